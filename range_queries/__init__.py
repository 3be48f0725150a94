"""Range membership inference: does the model remember anything near a record?

A range says what lies around a record, `RaMIA` asks any attack about points of it, an aggregation reduces their scores.
Names are loaded when first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .aggregation import largest, log_mean_exp, mean, top_k, trimmed_mean
    from .base_range import Range, RangeRecords
    from .custom import Custom
    from .feature_mask import MissingAtRandom
    from .lp_ball import LpBall
    from .missing_features import Categorical, MissingFeatures, Numeric
    from .near import Near
    from .nearest_record import NearestRecords, nearest_training_distance
    from .point import Point
    from .ramia import RaMIA
    from .range_scores import RangeScorer, RangeScores
    from .reconstruction import Reconstruction, evaluate_reconstruction
    from .same_owner import SameOwner
    from .tokens import Tokens
    from .transformations import Transformations
    from .unlearned_neighbourhood import ForgottenNeighbours, forgotten_neighbours

_HOME = {
    "Categorical": "missing_features",
    "Custom": "custom",
    "ForgottenNeighbours": "unlearned_neighbourhood",
    "LpBall": "lp_ball",
    "MissingAtRandom": "feature_mask",
    "MissingFeatures": "missing_features",
    "Near": "near",
    "NearestRecords": "nearest_record",
    "Numeric": "missing_features",
    "Point": "point",
    "RaMIA": "ramia",
    "Range": "base_range",
    "RangeRecords": "base_range",
    "RangeScorer": "range_scores",
    "RangeScores": "range_scores",
    "Reconstruction": "reconstruction",
    "SameOwner": "same_owner",
    "Tokens": "tokens",
    "Transformations": "transformations",
    "evaluate_reconstruction": "reconstruction",
    "forgotten_neighbours": "unlearned_neighbourhood",
    "largest": "aggregation",
    "log_mean_exp": "aggregation",
    "mean": "aggregation",
    "nearest_training_distance": "nearest_record",
    "top_k": "aggregation",
    "trimmed_mean": "aggregation",
}

__all__ = [
    "Categorical",
    "Custom",
    "ForgottenNeighbours",
    "LpBall",
    "MissingAtRandom",
    "MissingFeatures",
    "Near",
    "NearestRecords",
    "Numeric",
    "Point",
    "RaMIA",
    "Range",
    "RangeRecords",
    "RangeScorer",
    "RangeScores",
    "Reconstruction",
    "SameOwner",
    "Tokens",
    "Transformations",
    "evaluate_reconstruction",
    "forgotten_neighbours",
    "largest",
    "log_mean_exp",
    "mean",
    "nearest_training_distance",
    "top_k",
    "trimmed_mean",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

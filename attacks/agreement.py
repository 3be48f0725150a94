"""Tug of war: one number for how near an unlearned model's accuracies come to those of retraining, on all three sides at once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import special

from .estimate import LEVEL, Estimate, check_level

FORGET = "forget"
_OTHERS = ("retain", "test")


def tug_of_war(
    unlearned: Mapping[str, float],
    retrained: Mapping[str, float] | Sequence[Mapping[str, float]],
    level: float = LEVEL,
    *,
    forget: str = FORGET,
) -> Estimate:
    """(1 − |Δ forget|)·(1 − |Δ retain|)·(1 − |Δ test|), where Δ is unlearned minus retrained accuracy.

    Retraining twice does not give 1 either. With several retrained models `details["floor"]` says what perfect forgetting
    gives: the mean over pairs of them. Judge by that, not by 1.

    Args:
      unlearned: accuracies in [0, 1] under "forget", "retain" and "test"; other names are not read.
      retrained: those of a model trained without the forget set on the same records, or of several such.
      level: confidence level of the interval.
      forget: the name of what is compared on the forget set. "mia_efficacy", with the share of forget records that an
        attack calls non-members in both mappings, gives the authors' ToW-MIA.
    Returns:
      The mean over retrained models in [0, 1]; 1 = all three alike. Its interval is for the mean over all models that
      retraining could give, with these records: Student's t, and with identical values what so few of them can show; none
      with a single one. `details`: `retrained_models`, and from two of them on `floor`.
    Raises:
      ValueError: on a missing name, an accuracy outside [0, 1], or no retrained model.
    Source: Zhao et al. 2024, arXiv:2406.01257.
    """
    check_level(level)
    names = (forget, *_OTHERS)
    several = [retrained] if isinstance(retrained, Mapping) else list(retrained)
    if not several:
        raise ValueError("retrained is empty; give the accuracies of at least one retrained model.")
    ours = _accuracies(unlearned, names, "unlearned")
    theirs = np.stack([_accuracies(one, names, "retrained") for one in several])
    values = _products(ours, theirs)
    models = len(values)
    if models == 1:
        return Estimate(float(values[0]), level=level, details={"retrained_models": 1})
    first, second = np.triu_indices(models, 1)
    details = {"retrained_models": models, "floor": float(_products(theirs[first], theirs[second]).mean())}
    mean = float(values.mean())
    low, high = _interval(values, mean, level)
    return Estimate(mean, low, high, level, details=details)


def _products(ours: NDArray[np.float64], theirs: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.prod(1 - np.abs(ours - theirs), axis=-1)


def _interval(values: NDArray[np.float64], mean: float, level: float) -> tuple[float, float]:
    """The ends for the mean of further values, which lie in [0, 1], too."""
    if np.ptp(values) == 0:
        # So often at least a further value is the same; where not, it may be anything.
        same = ((1 - level) / 2) ** (1 / len(values))
        return mean * same, mean * same + 1 - same
    reach = special.stdtrit(len(values) - 1, 0.5 + level / 2) * np.std(values, ddof=1) / np.sqrt(len(values))
    return max(0.0, mean - float(reach)), min(1.0, mean + float(reach))


def _accuracies(given: Mapping[str, float], names: tuple[str, ...], what: str) -> NDArray[np.float64]:
    missing = [name for name in names if name not in given]
    if missing:
        raise ValueError(f"{what} lacks {', '.join(missing)}; give a number for each of {', '.join(names)}.")
    for name in names:
        if not 0 <= _number(given[name]) <= 1:
            raise ValueError(f"{what} has {name} = {given[name]!r}; give a share from 0 to 1, not a percentage.")
    return np.array([given[name] for name in names], dtype=np.float64)


def _number(value: object) -> float:
    """NaN for what is none."""
    try:
        return float("nan") if isinstance(value, (str, bytes)) else float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return float("nan")

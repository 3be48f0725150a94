"""Candidates of a reconstruction attack: does a training record lie within ε of one, and can that be told by the model?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from privacy_callbacks.attacks.attack import Attack
from privacy_callbacks.attacks.record_arrays import joined, records_from
from privacy_callbacks.attacks.report import LeakageReport, failed_report
from privacy_callbacks.attacks.shadow_models import ShadowModels

from .base_range import Range
from .lp_ball import LpBall
from .nearest_record import nearest_training_distance
from .ramia import RaMIA
from .range_scores import RangeScorer

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Reconstruction:
    """How close candidates come to training records, and who can tell.

    Attributes:
      epsilons: the radii, ascending.
      reports: by attack ("range", "point", "distance"), a report a radius: can it tell candidates with a training record
        within the radius from the others? A report is marked as failed where all have one, or none has.
      distance: float64[n], from each candidate to its nearest training record.
      distance_to_reference: float64[n], to the nearest record of the reference set.
    """

    epsilons: tuple[float, ...]
    reports: dict[str, tuple[LeakageReport, ...]]
    distance: NDArray[np.float64]
    distance_to_reference: NDArray[np.float64]

    @property
    def nearer_to_training(self) -> float:
        """The share of candidates that lie nearer to a training record than to any of the reference set; a tie counts half.

        About the training records' share of both sets together, if candidates know nothing of either.
        """
        nearer = self.distance < self.distance_to_reference
        return float(np.mean(nearer + 0.5 * (self.distance == self.distance_to_reference)))

    def table(self) -> pd.DataFrame:
        """A row a radius and attack: `epsilon`, `attack`, how many candidates are within it, each metric with its interval."""
        import pandas as pd

        rows = []
        for name, several in self.reports.items():
            for epsilon, report in zip(self.epsilons, several, strict=True):
                counts = {"within": report.num_members, "not_within": report.num_nonmembers}
                rows.append({"epsilon": epsilon, "attack": name, **counts, **report.scalars()})
        table = pd.DataFrame(rows).sort_values(["epsilon", "attack"], ignore_index=True)
        return table.reindex(columns=[*table, *(name for name in ("auc", "auc_low", "auc_high") if name not in table)])


def evaluate_reconstruction(
    model: Any,
    candidates: tuple[Any, Any],
    training: tuple[Any, Any],
    reference: tuple[Any, Any],
    epsilons: Sequence[float],
    attack: Attack,
    *,
    make_range: Callable[[float], Range] = LpBall,
    p: float = 2,
    queries: int = 16,
    shadow_models: ShadowModels | int | None = None,
    pool: Any = None,
    seed: int = 0,
    **options: Any,
) -> Reconstruction:
    """Tells by the model which candidates have a training record within ε, for each of several ε.

    Beside the range attack stand the attack on the candidates themselves ("point"), and a baseline that never asks the model
    ("distance"): a candidate is taken to be close to a training record where it is close to one of the reference set.

    Args:
      model: a built Keras model.
      candidates: (x, y), n reconstructed records with their labels.
      training: (x, y), what the model was trained on; for the truth alone.
      reference: (x, y), records of the same distribution that it was not trained on; what an attacker knows.
      epsilons: radii.
      attack: scores points.
      make_range: ε -> the range around a candidate; `LpBall` by default. Its truth need not be that of `p`.
      p: of the distances reported.
      queries: points a range.
      shadow_models, pool, seed, options: see `RangeScorer`; the pool is by default training and reference together.
    Raises:
      ValueError: without radii or with two alike, on a radius that is not positive, and as `RangeScorer`.
    """
    for name, side in (("candidates", candidates), ("training", training), ("reference", reference)):
        if not isinstance(side, (tuple, list)) or len(side) < 2:
            raise TypeError(f"{name} is a {type(side).__name__}; give (x, y) arrays.")
        if not np.size(side[1]):
            raise ValueError(f"{name} is empty; give at least one record.")
    try:
        radii = tuple(sorted(float(epsilon) for epsilon in epsilons))
    except (TypeError, ValueError):
        raise ValueError(f"epsilons is {epsilons!r}; give positive radii, each once.") from None
    if not radii or len(set(radii)) < len(radii) or not radii[0] > 0 or not np.isfinite(radii[-1]):
        raise ValueError(f"epsilons is {list(epsilons)!r}; give positive radii, each once.")
    if pool is None:
        known = [
            records_from(*side[:2], None, name) for side, name in ((training, "training"), (reference, "reference"))
        ]
        pool = joined([tuple(side[:2]) for side in known])
    names = [f"range_{place}" for place in range(len(radii))]
    attacks = [
        RaMIA(attack, make_range(epsilon), queries, seed=seed, name=name)
        for epsilon, name in zip(radii, names, strict=True)
    ]
    asked = [one for each in attacks for one in (each, each.at_centres())]
    scorer = RangeScorer(model, *candidates, asked, shadow_models=shadow_models, pool=pool, seed=seed, **options)
    found = scorer(model)
    distances = [nearest_training_distance(candidates[0], side[0], p).distance for side in (training, reference)]
    reports: dict[str, list[LeakageReport]] = {"range": [], "point": [], "distance": []}
    for each in attacks:
        truth = found.found_in(each.name, training)
        point = each.at_centres().name
        for kind, scores in (
            ("range", found.scores[each.name]),
            ("point", found.scores[point]),
            ("distance", -distances[1]),
        ):
            reports[kind].append(_judged(kind, scores, truth.inside, truth.known, seed))
    return Reconstruction(radii, {kind: tuple(several) for kind, several in reports.items()}, *distances)


def _judged(
    kind: str, scores: NDArray[np.float64], inside: NDArray[np.bool_], known: NDArray[np.bool_], seed: int
) -> LeakageReport:
    rows = known & ~np.isnan(scores)
    notes = (f"{int((~rows).sum()):,} candidates are left out: at the edge of the radius, or without a score.",)
    try:
        return LeakageReport.from_scores(scores[rows], inside[rows], kind, seed, notes=notes if not rows.all() else ())
    except ValueError as reason:
        within = int(inside[rows].sum())
        sides = {"num_members": within, "num_nonmembers": int(rows.sum()) - within}
        return failed_report(kind, f"nothing to tell apart at this radius: {reason}", **sides)

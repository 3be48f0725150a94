"""Unlearning, seen from nearby: does a model still remember anything around the records that it was made to forget?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from privacy_callbacks.attacks.attack import Attack
from privacy_callbacks.attacks.record_arrays import Records, joined, records_from
from privacy_callbacks.attacks.report import LeakageReport
from privacy_callbacks.attacks.shadow_models import ShadowModels

from .base_range import Range
from .ramia import RaMIA
from .range_scores import RangeScorer

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class ForgottenNeighbours:
    """Ranges around records to be forgotten against ranges around records never seen, model by model.

    Attributes:
      ranges: by model, how well the range attack tells one from the other; ½ = this attack finds nothing.
      points: by model, the same attack at the ranges' centres.
      excluded: of (forget, never seen) queries, how many are left out; see `forgotten_neighbours`.
    """

    ranges: Mapping[str, LeakageReport]
    points: Mapping[str, LeakageReport]
    excluded: tuple[int, int]

    def table(self) -> pd.DataFrame:
        """A row a model and attack: `model`, `attack`, counts, and each metric with its interval."""
        import pandas as pd

        rows = []
        for kind, reports in (("range", self.ranges), ("point", self.points)):
            for model, report in reports.items():
                counts = {"forget": report.num_members, "never_seen": report.num_nonmembers}
                rows.append({"model": model, "attack": kind, **counts, **report.scalars()})
        return pd.DataFrame(rows)


def forgotten_neighbours(
    models: Mapping[str, Any],
    forget: tuple[Any, Any],
    never_seen: tuple[Any, Any],
    retain: tuple[Any, Any],
    range: Range,
    attack: Attack,
    *,
    queries: int = 16,
    centre: Range | None = None,
    shadow_models: ShadowModels | int | None = None,
    pool: Any = None,
    seed: int = 0,
    **options: Any,
) -> ForgottenNeighbours:
    """Compares models before and after unlearning by what they answer around the forget set.

    Left out are ranges that hold a record of the retain set, which the model may rightly know, or one of the other side, and
    those that hold their own record no longer (or of which it cannot be said).

    Args:
      models: by name: e.g. {"before": …, "after": …, "retrained": …}; of the same inputs and outputs. Shadow models take after
        the first.
      forget: (x, y), records that the model was trained on and made to forget.
      never_seen: (x, y), records of the same distribution that no model was trained on.
      retain: (x, y), what it is still trained on.
      range: around these records.
      attack: scores points.
      queries: points a range.
      centre: a range from which queries are drawn in the place of the records; None = the records themselves. It must lie
        within `range`, so that a query's range holds its record; those that do not are left out.
      shadow_models, pool, seed, options: see `RangeScorer`; the pool is by default forget and retain set and the records
        never seen together.
    Raises:
      ValueError: without models, if every query of a side is left out, and as `RangeScorer`.
    """
    if not isinstance(models, Mapping):
        raise TypeError(
            f"models is a {type(models).__name__}; give them by name, e.g. {{'before': model, 'after': unlearned}}."
        )
    if not models:
        raise ValueError("models is empty; give at least one by name, e.g. {'before': model, 'after': unlearned}.")
    sides = [records_from(*side[:2], None, name) for side, name in ((forget, "forget"), (never_seen, "never_seen"))]
    both = Records(*joined([tuple(side) for side in sides]))
    is_forget = np.arange(len(both)) < len(sides[0])
    if pool is None:
        kept = records_from(*retain[:2], None, "retain")
        pool = joined([tuple(both[:2]), tuple(kept[:2])])
    wide = RaMIA(attack, range, queries, centre=centre, seed=seed, name="range")
    asked = (wide, wide.at_centres("point"))
    scorer = RangeScorer(
        next(iter(models.values())), both.x, both.y, asked, shadow_models=shadow_models, pool=pool, seed=seed, **options
    )
    found = {name: scorer(model) for name, model in models.items()}
    first = next(iter(found.values()))
    of_retain, of_forget, of_new = (first.found_in("range", side) for side in (retain, forget, never_seen))
    own = np.where(is_forget, of_forget.inside, of_new.inside)
    other = np.where(is_forget, of_new.inside | ~of_new.known, of_forget.inside | ~of_forget.known)
    clean = of_retain.known & ~of_retain.inside & own & ~other
    for side, rows in (("forget", is_forget), ("never seen", ~is_forget)):
        if not clean[rows].any():
            raise ValueError(
                f"every range around a {side} record is left out: records of the retain set (or of the other side) lie within; "
                "give smaller ranges."
            )
    excluded = int((is_forget & ~clean).sum()), int((~is_forget & ~clean).sum())
    reports = {
        kind: {name: _judged(one.scores[kind], is_forget, clean, name, seed) for name, one in found.items()}
        for kind in ("range", "point")
    }
    return ForgottenNeighbours(reports["range"], reports["point"], excluded)


def _judged(
    scores: NDArray[np.float64], truth: NDArray[np.bool_], clean: NDArray[np.bool_], name: str, seed: int
) -> LeakageReport:
    rows = clean & ~np.isnan(scores)
    notes = (
        f"{int((~rows).sum()):,} ranges are left out: other records lie within, their own does not, or they have no score.",
    )
    return LeakageReport.from_scores(scores[rows], truth[rows], name, seed, notes=notes if not rows.all() else ())

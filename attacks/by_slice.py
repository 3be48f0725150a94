"""One attack judged on slices of the records, with intervals that hold for all slices together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from .estimate import LEVEL
from .number_arrays import as_flags, as_floats, group_codes
from .report import LeakageReport, failed_report
from .slices import Slice
from .verdict import holm_p_values


def sliced_reports(
    scores: ArrayLike,
    is_member: ArrayLike,
    slices: Sequence[Slice],
    attack: str = "scores",
    seed: int = 0,
    *,
    level: float = LEVEL,
    folds: ArrayLike | None = None,
    **described: Any,
) -> list[LeakageReport]:
    """One report a slice, in their order; a slice that cannot be judged is there, failed, and says why.

    Every interval and null level holds at 1 − (1 − level) / S for S slices (Bonferroni), so that together they are wrong with
    probability 1 − level at most: the largest of 50 leak-free slices of 40 + 40 records has an AUC of about .65.
    `holm_p_value` is the p-value after Holm's correction over the slices.

    Args:
      scores: float[n], NaN where the attack could not score a record (it is left out).
      is_member: bool[n] (or 0 / 1).
      slices: of the n records.
      attack, seed, folds, described: see `LeakageReport.from_scores`.
      level: of all slices together.
    Raises:
      ValueError: if scores, flags, slices or folds are not of the same records.
    """
    values, truth = as_floats(scores, "scores"), as_flags(is_member, "is_member", "1 means the record was trained on.")
    known = None if folds is None else group_codes(folds, "folds")
    shapes = [np.shape(one) for one in (truth, known, *(slice.rows for slice in slices)) if one is not None]
    if values.ndim != 1 or any(shape != values.shape for shape in shapes):
        raise ValueError(
            f"scores has shape {values.shape}, is_member, folds and slices {sorted(set(shapes))}; give one of each a record."
        )
    each = 1 - (1 - level) / max(1, len(slices))
    found = []
    for slice in slices:
        rows = slice.rows & ~np.isnan(values)
        members = int(np.count_nonzero(truth[rows]))
        try:
            report = LeakageReport.from_scores(
                values[rows],
                truth[rows],
                attack,
                seed,
                slice=slice.name,
                level=each,
                folds=None if known is None else known[rows],
                **described,
            )
        except ValueError as reason:
            sides = {"num_members": members, "num_nonmembers": int(np.count_nonzero(rows)) - members}
            report = replace(failed_report(attack, f"slice too small: {reason}", **sides), slice=slice.name)
            report = replace(report, step=described.get("step"))
        found.append(report)
    p_values = [1.0 if report.p_value is None else report.p_value for report in found]
    return [
        report if report.failed else replace(report, holm_p_value=p)
        for report, p in zip(found, holm_p_values(p_values), strict=True)
    ]

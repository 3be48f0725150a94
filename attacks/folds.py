"""Parts of the records that were scored by attackers of their own, so that scores are comparable within each only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .estimate import mean_estimate
from .low_fpr import FPRS, low_fpr_name
from .number_arrays import group_codes
from .roc import RocCurve

if TYPE_CHECKING:
    from .report import LeakageReport


def rows_of_folds(folds: ArrayLike, is_member: NDArray[np.bool_]) -> list[NDArray[np.intp]]:
    """The rows of each fold.

    Raises:
      ValueError: if there is not one fold a record, or a fold lacks members or non-members.
    """
    known = group_codes(folds, "folds")
    if known.shape != is_member.shape:
        raise ValueError(f"folds has shape {known.shape}; give one fold a record, {is_member.shape}.")
    found = [np.flatnonzero(known == fold) for fold in np.unique(known)]
    for rows in found:
        members = int(is_member[rows].sum())
        if not 0 < members < rows.size:
            raise ValueError(
                f"a fold has {members} members and {rows.size - members} non-members; each needs at least one of both."
            )
    return found


def ranks_in_folds(scores: NDArray[np.float64], folds: ArrayLike) -> NDArray[np.float64]:
    """float[n] in (0, 1): each score's middle rank among those of its fold, so that folds can share one curve."""
    from scipy import stats  # imported where it is used: it takes half a second

    ranks, known = np.empty(scores.size), np.asarray(folds)
    for fold in np.unique(known):
        rows = known == fold
        ranks[rows] = stats.rankdata(scores[rows]) / (int(rows.sum()) + 1)
    return ranks


def mean_of_folds(reports: Sequence[LeakageReport], roc: RocCurve) -> LeakageReport:
    """The report whose numbers are the means of these; one that a fold refused is refused."""
    first = reports[0]
    refusals = {name: reason for report in reports for name, reason in report.refusals.items()}
    found = {name: mean_estimate([report.estimates()[name] for report in reports]) for name in first.estimates()}
    metrics: dict[str, Any] = {name: found[name] for name in found if not name.startswith("tpr_at_fpr")}
    return replace(
        first,
        **metrics,
        num_members=roc.num_members,
        num_nonmembers=roc.num_nonmembers,
        tpr_at_fpr={fpr: found[low_fpr_name(fpr)] for fpr in FPRS},
        # Whatever the folds have to do with each other: Bonferroni.
        p_value=min(1.0, len(reports) * min(1.0 if report.p_value is None else report.p_value for report in reports)),
        roc=roc,
        refusals=refusals,
        folds=len(reports),
    )

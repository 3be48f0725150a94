"""What the Privacy tab and its one-file twin are told of an audit: plain types, few of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from . import plain_fields as plain
from .estimate import LEVEL
from .report import LeakageReport
from .report_in_words import in_words
from .roc import RocCurve
from .roc_points import roc_points
from .score_bins import score_counts

SLICES_TOLD = 40
_DIGITS = 6


def audit_of(report: LeakageReport, headline: bool) -> dict[str, Any]:
    """A report on all records, and what it says in words."""
    return {"report": rounded(report.to_dict()), "headline": headline, "words": in_words(report)}


def details_of(
    whole: LeakageReport, sliced: Sequence[LeakageReport] = (), most_slices: int = SLICES_TOLD
) -> dict[str, Any]:
    """The curve, the scores' histogram and the slices of one attack in one audit.

    Args:
      whole: the report on all records.
      sliced: those on slices, of the same attack and audit.
      most_slices: how many are told, the worst first; `slices_left_out` counts the others.
    """
    roc = whole.roc
    level = LEVEL if whole.auc is None else whole.auc.level
    worst_first = sorted(sliced, key=_harmlessness)
    return {
        "roc": None if roc is None else rounded(roc_points(roc, level, band=whole.folds == 1)),
        "scores": None if roc is None else _histogram(roc, ranks=whole.folds > 1),
        "slices": [_slice(report) for report in worst_first[:most_slices]],
        "slices_left_out": max(0, len(worst_first) - most_slices),
    }


def rounded(value: Any) -> Any:
    """The value with its floats to six significant digits, in types that strict JSON can hold."""
    if isinstance(value, dict):
        return {name: rounded(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [rounded(part) for part in value]
    if isinstance(value, float):
        return plain.of(float(f"{value:.{_DIGITS}g}"))
    return plain.of(value)


def _histogram(roc: RocCurve, ranks: bool) -> dict[str, Any]:
    counts = score_counts(roc)
    edges = counts["edges"]
    # To a thousandth of a bin: six digits of scores that lie close together could be one number.
    decimals = 3 - math.floor(math.log10(edges[1] - edges[0]))
    return {**counts, "edges": [round(edge, decimals) for edge in edges], "ranks": ranks}


def _harmlessness(report: LeakageReport) -> tuple[bool, float, float]:
    """The slice whose leak is surest comes first, of those alike the one with the larger AUC; failed ones last."""
    if report.auc is None:
        return True, 0.0, 0.0
    low = report.auc if report.auc.low is None else report.auc.low
    return False, -float(low), -float(report.auc)


def _slice(report: LeakageReport) -> dict[str, Any]:
    auc = report.auc
    interval = None if auc is None else {"value": float(auc), "low": auc.low, "high": auc.high, "level": auc.level}
    return rounded(
        {
            "slice": report.slice,
            "num_members": report.num_members,
            "num_nonmembers": report.num_nonmembers,
            "auc": interval,
            "p_value": report.p_value,
            "holm_p_value": report.holm_p_value,
            "reason": next(iter(report.warnings), "no result") if report.failed else None,
        }
    )

"""The audits of one attack, folded into the columns that the page draws."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

METRICS = (
    "auc",
    "advantage",
    "youden_j",
    "balanced_accuracy",
    "mutual_information",
    "tpr_at_fpr_1e-1",
    "tpr_at_fpr_1e-2",
    "tpr_at_fpr_1e-3",
)
EPSILON_METRICS = ("epsilon_lower_bound", "epsilon_estimate")
MOST_SENTENCES = 50

_PARTS = ("low", "high", "null_level")
_LEVEL = 0.95
_LOW_FPR = re.compile(r"tpr_at_fpr_\d+(\.\d+)?e-?\d+")
_NON_FINITE = ("NaN", "Infinity", "-Infinity")
_NOTHING: Mapping[str, Any] = {}


def attack_entry(
    id: str, attack: str, headline: bool, audits: Iterable[tuple[int, Mapping[str, Any], str]]
) -> dict[str, Any]:
    """What the overview says of one attack: its audits as columns, oldest first.

    Nothing is taken for granted about the reports: whatever is missing, or of another kind than it should be, becomes None.

    Args:
      id: the attack's name on the page, unique.
      attack: the attack's name.
      headline: whether it is the one that speaks for its run.
      audits: (step, `LeakageReport.to_dict()`, words for a product owner) in the order in which they were written, on all
        records, not on slices. Of a step that comes twice the later one counts.
    Returns:
      The entry; numbers are rounded to 6 significant digits, those that are not finite are strings.
    """
    newest_of = {step: (report, words) for step, report, words in audits}
    steps = sorted(newest_of)
    reports = [_fields(newest_of[step][0]) for step in steps]
    rates = dict.fromkeys(name for report in reports for name in report if _LOW_FPR.fullmatch(str(name)))
    return {
        "id": id,
        "attack": attack,
        "headline": headline,
        "steps": steps,
        "num_members": [_count(report.get("num_members")) for report in reports],
        "num_nonmembers": [_count(report.get("num_nonmembers")) for report in reports],
        "metrics": {name: metric_columns(reports, name) for name in dict.fromkeys([*METRICS, *rates])}
        | _epsilon_columns(reports),
        "p_value": [rounded(report.get("p_value")) for report in reports],
        "failed": [_failed(report) for report in reports],
        "words": [_text(newest_of[step][1]) or "" for step in steps],
        "void": next(filter(None, (_text(report.get("void")) for report in reversed(reports))), None),
        "warnings": _sentences(steps, reports, "warnings"),
        "notes": _sentences(steps, reports, "notes"),
        "refusals": _refusals(reports[-1]) if reports else {},
    }


def metric_columns(reports: Iterable[Mapping[str, Any]], metric: str) -> dict[str, Any]:
    """One metric of several reports as columns: `value`, `low`, `high`, `null_level` (a part that none of them has is left out),
    and the confidence `level`.
    """
    estimates = [_fields(report.get(metric)) for report in reports]
    columns: dict[str, Any] = {"value": [rounded(estimate.get("value")) for estimate in estimates]}
    for part in _PARTS:
        column = [rounded(estimate.get(part)) for estimate in estimates]
        if any(number is not None for number in column):
            columns[part] = column
    levels = [rounded(estimate.get("level")) for estimate in estimates]
    known = [level for level in levels if isinstance(level, float) and 0 < level < 1]
    return columns | {"level": known[-1] if known else _LEVEL}


def _epsilon_columns(reports: list[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The training's ε by its name, a bound or an estimate: `value`, `level`, and what was `claimed` last; {} without one."""
    readings = [_fields(report.get("epsilon")) for report in reports]
    found: dict[str, dict[str, Any]] = {}
    for name in EPSILON_METRICS:
        own = [reading if reading.get("name") == name else _NOTHING for reading in readings]
        if any(own):
            claimed = [rounded(_fields(reading.get("claim")).get("epsilon")) for reading in own]
            known = [number for number in claimed if isinstance(number, float)]
            bounds = [_fields(reading.get("best")) for reading in own]
            levels = [
                number for number in (rounded(bound.get("level")) for bound in bounds) if isinstance(number, float)
            ]
            found[name] = {
                "value": [rounded(bound.get("value")) for bound in bounds],
                "level": levels[-1] if levels else _LEVEL,
                "claimed": known[-1] if known else None,
            }
    return found


def rounded(value: Any) -> float | str | None:
    """A number to 6 significant digits; the name of one that is not finite; None for whatever is no number."""
    if isinstance(value, str):
        return value if value in _NON_FINITE else None
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    try:
        number = float(value)
    except OverflowError:
        return None
    if math.isfinite(number):
        return float(f"{number:.6g}")
    return "NaN" if math.isnan(number) else "Infinity" if number > 0 else "-Infinity"


def _fields(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else _NOTHING


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _failed(report: Mapping[str, Any]) -> bool:
    return report.get("failed") is True or not isinstance(report.get("auc"), Mapping)


def _texts(value: Any) -> list[str]:
    return [part for part in value if isinstance(part, str)] if isinstance(value, (list, tuple)) else []


def _refusals(report: Mapping[str, Any]) -> dict[str, str]:
    reasons = _fields(report.get("refusals"))
    return {name: why for name, why in reasons.items() if isinstance(name, str) and isinstance(why, str)}


def _sentences(steps: list[int], reports: list[Mapping[str, Any]], kind: str) -> list[dict[str, Any]]:
    """The distinct sentences of all audits, those said last first; at most `MOST_SENTENCES`, and how many are left out."""
    found: dict[str, dict[str, Any]] = {}
    for step, report in zip(steps, reports, strict=True):
        for text in dict.fromkeys(_texts(report.get(kind))):
            said = found.setdefault(text, {"text": text, "first": step, "last": step, "count": 0})
            said["last"], said["count"] = step, said["count"] + 1
    newest_first = sorted(found.values(), key=lambda said: -said["last"])
    kept, left_out = newest_first[:MOST_SENTENCES], newest_first[MOST_SENTENCES:]
    if left_out:
        text = f"{len(left_out):,} further {kind} of earlier audits stand in their reports."
        ends = {"first": min(said["first"] for said in left_out), "last": max(said["last"] for said in left_out)}
        kept.append({"text": text, **ends, "count": sum(said["count"] for said in left_out)})
    return kept

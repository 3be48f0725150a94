"""Reports in the order in which pages tell them: attack by attack, audit by audit, slices with the whole they are of."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import NamedTuple

from .report import LeakageReport
from .report_files import listed_reports

_ENTIRE = "entire"


class AttackAudit(NamedTuple):
    """One attack in one audit.

    Attributes:
      step: the audit's place: the epoch, or for reports at no epoch's end one after all others.
      whole: the report on all records.
      sliced: those on slices of them.
    """

    step: int
    whole: LeakageReport
    sliced: tuple[LeakageReport, ...]


def audits_by_attack(reports: Iterable[LeakageReport]) -> dict[str, list[AttackAudit]]:
    """Each attack's audits by step, the attacks in the order in which they first come.

    Of an attack that speaks twice of one step and slice the later report counts. A report on a slice without one on the whole
    beside it stands for itself, as `<attack> on <slice>`.

    Raises:
      TypeError: if something else than reports is given.
      ValueError: if none is given.
    """
    listed = listed_reports(reports)
    if not listed:
        raise ValueError("no report was given; give at least one, such as mia.reports after a fit.")
    after_all = max((report.step for report in listed if report.step is not None), default=-1) + 1
    repeated: Counter[tuple[str, str]] = Counter()
    audits: dict[tuple[str, int], dict[str, LeakageReport]] = {}
    for report in listed:
        step = report.step
        if step is None:
            step = after_all + repeated[report.attack, report.slice]
            repeated[report.attack, report.slice] += 1
        audits.setdefault((report.attack, step), {})[report.slice] = report
    found: dict[str, list[AttackAudit]] = {}
    for (attack, step), by_slice in audits.items():
        if _ENTIRE in by_slice:
            sliced = tuple(report for name, report in by_slice.items() if name != _ENTIRE)
            found.setdefault(attack, []).append(AttackAudit(step, by_slice[_ENTIRE], sliced))
        else:
            for name, report in by_slice.items():
                found.setdefault(f"{attack} on {name}", []).append(AttackAudit(step, report, ()))
    return {attack: sorted(found[attack], key=lambda audit: audit.step) for attack in found}


def strongest_of(reports: Iterable[LeakageReport]) -> LeakageReport | None:
    """The report whose AUC's interval begins highest; None if all failed."""
    judged = [(report.auc, report) for report in reports if report.auc is not None]
    if not judged:
        return None
    return max(judged, key=lambda pair: (pair[0] if pair[0].low is None else pair[0].low, pair[0]))[1]

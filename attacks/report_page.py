"""Reports as the data of the Privacy page, and the page as one HTML file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from privacy_callbacks.privacy_page.attack_entry import attack_entry
from privacy_callbacks.privacy_page.one_file import one_file_page, write_page
from privacy_callbacks.privacy_page.page_version import package_version
from privacy_callbacks.privacy_page.thinning import evenly_spread, thinned_sentence

from .audit_payload import audit_of, details_of
from .grouped_reports import AttackAudit, audits_by_attack
from .report import LeakageReport
from .report_files import listed_reports
from .verdict import LeakVerdict, leak_verdict

TITLE = "Membership leakage"
MOST_AUDITS = 60

_SCHEMA_VERSION = 1
_RUN, _NAME = ".", "audit"
_AT_NO_EPOCH = "audited at no epoch's end; the page counts it as one more epoch."


def reports_to_html(
    reports: Iterable[LeakageReport],
    path: str | os.PathLike[str],
    title: str = TITLE,
    *,
    verdict: LeakVerdict | None = None,
    training: Mapping[str, Any] | None = None,
    most_audits: int = MOST_AUDITS,
) -> None:
    """Writes reports as one HTML file with the views of TensorBoard's Privacy tab; it opens offline and asks for nothing.

    Args:
      reports: of any audits, the headline attack's first, such as `mia.reports`. Curves and histograms are drawn where a report
        holds its curve.
      path: of the file; its folder must exist. A file that is there is replaced as a whole.
      title, verdict, training, most_audits: see `report_page`.
    Raises:
      TypeError, ValueError: as `report_page`.
      OSError: if the file cannot be written.
    """
    page = report_page(reports, title, verdict=verdict, training=training, most_audits=most_audits)
    write_page(one_file_page(page, title), Path(path))


def report_page(
    reports: Iterable[LeakageReport],
    title: str = TITLE,
    *,
    verdict: LeakVerdict | None = None,
    training: Mapping[str, Any] | None = None,
    most_audits: int = MOST_AUDITS,
    written: datetime | None = None,
) -> dict[str, Any]:
    """The data of a page on these reports, in plain types.

    Args:
      reports: see `reports_to_html`.
      title: of the page.
      verdict: over all audits; None = `leak_verdict` of these reports.
      training: `{"steps": [epoch, from 0], "values": {"loss": [one an epoch], ...}}`, drawn beneath the leakage; None = none.
      most_audits: curves, histograms and slices of at most so many audits an attack are kept, evenly spread; of metrics all.
      written: when; None = now.
    Raises:
      TypeError, ValueError: if something else than reports is given, none, or `most_audits` is below 2.
    """
    listed = listed_reports(reports)
    attacks = audits_by_attack(listed)
    ids = {attack: f"{_NAME}/{attack}" for attack in attacks}
    kept = {attack: _kept(audits, most_audits) for attack, audits in attacks.items()}
    most = max(attacks, key=lambda attack: len(attacks[attack]))
    entries = [
        _entry(ids[attack], attack, place == 0, audits) for place, (attack, audits) in enumerate(attacks.items())
    ]
    headline, *others = entries
    verdict = leak_verdict(listed) if verdict is None else verdict
    run = {
        "id": _NAME,
        "run": _RUN,
        "name": _NAME,
        "training": None if training is None else dict(training),
        "verdict": {"text": str(verdict), "detected": _detected(verdict, listed, attacks), "void": verdict.unjudged},
        "has_records": False,
        "attacks": [headline, *sorted(others, key=lambda entry: entry["attack"])],
    }
    return {
        "overview": {
            "schema_version": _SCHEMA_VERSION,
            "version": package_version(),
            "runs": [run],
            "ranges": [],
            "problems": [],
        },
        "details": {ids[attack]: [_details(audit) for audit in audits] for attack, audits in kept.items()},
        "records": {},
        "written": (written or datetime.now(UTC)).isoformat(timespec="seconds"),
        "title": title,
        "thinned": thinned_sentence(len(kept[most]), len(attacks[most])),
    }


def _detected(
    verdict: LeakVerdict, listed: Sequence[LeakageReport], attacks: Mapping[str, Sequence[AttackAudit]]
) -> dict[str, int]:
    """The step of each first detection, on the page's axis, where audits at no epoch's end stand after all others."""
    audits = [audit for of_attack in attacks.values() for audit in of_attack]
    steps = {id(report): audit.step for audit in audits for report in (audit.whole, *audit.sliced)}
    dated = [replace(report, step=steps.get(id(report), report.step)) for report in listed]
    found = {name: at for name, at in leak_verdict(dated, verdict.alpha).detected.items() if at is not None}
    # A verdict of the caller's may have found what these reports alone do not show.
    first_undated = min((audit.step for audit in audits if audit.whole.step is None), default=0)
    return {name: found.get(name, first_undated) if step is None else step for name, step in verdict.detected.items()}


def _kept(audits: Sequence[AttackAudit], most: int) -> list[AttackAudit]:
    steps = set(evenly_spread([audit.step for audit in audits], most))
    return [audit for audit in audits if audit.step in steps]


def _entry(id: str, attack: str, headline: bool, audits: Sequence[AttackAudit]) -> dict[str, Any]:
    told = [(audit.step, audit_of(_dated(audit.whole), headline)) for audit in audits]
    return attack_entry(id, attack, headline, [(step, audit["report"], audit["words"]) for step, audit in told])


def _details(audit: AttackAudit) -> dict[str, Any]:
    report = audit_of(_dated(audit.whole), headline=False)["report"]
    return {"step": audit.step, **details_of(audit.whole, audit.sliced), "report": report}


def _dated(report: LeakageReport) -> LeakageReport:
    return report if report.step is not None else replace(report, notes=(*report.notes, _AT_NO_EPOCH))

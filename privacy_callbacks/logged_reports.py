"""The newest reports that lie in logs, read back from the data of the page."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from privacy_callbacks.attacks.estimate import Estimate
from privacy_callbacks.attacks.report import LeakageReport


@dataclass(frozen=True)
class LoggedRun:
    """One callback in one log directory.

    Attributes:
      id: its name on the page.
      words: the headline's, for a product owner.
      reports: of the newest audit of each attack, the headline's first, each with those on slices that were logged.
      verdict: over all audits; None if the fit has not ended.
      unreadable: sentences about audits that could not be read back.
    """

    id: str
    words: str
    reports: tuple[LeakageReport, ...]
    verdict: str | None
    unreadable: tuple[str, ...]


def logged_runs(page: Mapping[str, Any]) -> Iterator[LoggedRun]:
    """The runs of a page's data, in its order."""
    for run in page["overview"]["runs"]:
        reports: list[LeakageReport] = []
        unreadable = []
        for attack in run["attacks"]:
            items = page["details"].get(attack["id"], [])
            try:
                reports += _reports(items[-1], attack["attack"]) if items else []
            except ValueError as reason:
                unreadable.append(f"{attack['id']}: {reason}")
        verdict = None if run["verdict"] is None else run["verdict"]["text"]
        words = next((said for said in reversed(run["attacks"][0]["words"]) if said), "")
        yield LoggedRun(run["id"], words, tuple(reports), verdict, tuple(unreadable))


def _reports(item: Mapping[str, Any], attack: str) -> list[LeakageReport]:
    """The report of an audit, and those on its slices as far as they were logged."""
    whole = replace(LeakageReport.from_dict(item["report"]), attack=attack)
    left_out = item["slices_left_out"]
    if left_out:
        whole = replace(whole, notes=(*whole.notes, f"{left_out:,} further slices, less at risk, were not logged."))
    return [whole, *(_of_slice(row, whole) for row in item["slices"])]


def _of_slice(row: Mapping[str, Any], whole: LeakageReport) -> LeakageReport:
    return LeakageReport(
        attack=whole.attack,
        slice=row["slice"],
        step=whole.step,
        num_members=row["num_members"],
        num_nonmembers=row["num_nonmembers"],
        auc=None if row["auc"] is None else Estimate.from_dict(row["auc"]),
        warnings=() if row["reason"] is None else (row["reason"],),
    )

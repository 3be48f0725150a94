"""The overview: every run, attack and audit as columns of figures, without the curves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from privacy_callbacks.privacy_page.attack_entry import METRICS, attack_entry, metric_columns

from .. import __version__
from .audited_runs import RANGES, AttackLog, RunLog, group_listings
from .event_files import EventFiles
from .kept_series import Listing, Series, in_words
from .log_reading import LogReader
from .newest_fit import newest_fit

SCHEMA_VERSION = 1
_READ = ("audit", "training", "verdict", RANGES)
_MOST_PROBLEMS = 50
_MOST_FIGURES = 50


def overview(reader: LogReader) -> dict[str, Any]:
    """What the page shows first.

    Args:
      reader: of the logs.
    Returns:
      Plain JSON: `version`, `runs`, `ranges`, `problems`; numbers to 6 significant digits.
    """
    listings, problems = reader.listings()
    runs, curves = group_listings(listings)
    series = reader.series((listing for listing in listings if listing.header.kind in _READ), problems)
    entries = [_run_entry(run, series, problems) for run in runs]
    ranges = [entry for log in curves for entry in _range_entries(log, series, problems)]
    if reader.files is not None:
        problems += _unread(reader.files, listings, runs)
    return {
        "schema_version": SCHEMA_VERSION,
        "version": __version__,
        "runs": [entry for entry in entries if entry["attacks"]],
        "ranges": ranges,
        "problems": _at_most(problems),
    }


def _unread(files: EventFiles, listings: Iterable[Listing], runs: Iterable[RunLog]) -> list[str]:
    """What the files hold beyond what was loaded."""
    newest: dict[str, int | None] = {}
    for listing in listings:
        # The figures of ranges stand at steps of their own: their sizes.
        step = None if listing.header.kind == RANGES else listing.state[0]
        known = newest.get(listing.path)
        newest[listing.path] = known if step is None else step if known is None else max(known, step)
    return files.problems(newest, (run.folder for run in runs if run.folder is not None))


def _run_entry(run: RunLog, series: Mapping[Listing, Series], problems: list[str]) -> dict[str, Any]:
    fit = newest_fit(run, series, problems)
    if fit.earlier:
        problems.append(
            f"run '{in_words(run.id)}': {', '.join(fit.earlier)} {'was' if len(fit.earlier) == 1 else 'were'} audited by an "
            "earlier fit into the same folder, which is not shown."
        )
    entries = []
    for log in fit.attacks:
        audits = [(step, audit["report"], audit["words"]) for step, audit in fit.audits[log.id].items()]
        entries.append(attack_entry(log.id, log.attack, log is fit.headline, audits))
    return {
        "id": run.id,
        "run": run.run,
        "name": run.name,
        "training": _training(_pieces(fit.beside("training"), series, problems)),
        "verdict": next(reversed(_pieces(fit.beside("verdict"), series, problems).values()), None),
        "has_records": fit.beside("records") is not None,
        "attacks": entries,
    }


def _pieces(
    listing: Listing | None, series: Mapping[Listing, Series], problems: list[str]
) -> dict[int, dict[str, Any]]:
    """What a series holds by step; nothing where it is absent or cannot be read."""
    if listing is None or listing not in series:
        return {}
    return series[listing].payloads(problems, listing.path)


def _training(epochs: Mapping[int, Mapping[str, Any]]) -> dict[str, Any] | None:
    if not epochs:
        return None
    names = list(dict.fromkeys(name for epoch in epochs.values() for name in epoch["logs"]))[:_MOST_FIGURES]
    values = {name: [epoch["logs"].get(name) for epoch in epochs.values()] for name in names}
    return {"steps": list(epochs), "values": values}


def _range_entries(log: AttackLog, series: Mapping[Listing, Series], problems: list[str]) -> list[dict[str, Any]]:
    written = _pieces(log.kinds.get(RANGES), series, problems)
    if not written:
        return []
    newest = written[max(written)]
    curves = [_curve(curve) for curve in newest["curves"]]
    return [{"id": log.id, "name": log.name, "label": newest["label"], "sizes": newest["sizes"], "curves": curves}]


def _curve(curve: Mapping[str, Any]) -> dict[str, Any]:
    reports = curve["reports"]
    return {
        "name": curve["name"],
        "metrics": {metric: metric_columns(reports, metric) for metric in METRICS},
        "num_members": [report["num_members"] for report in reports],
        "num_nonmembers": [report["num_nonmembers"] for report in reports],
        "reasons": [_reason(report) for report in reports],
    }


def _reason(report: Mapping[str, Any]) -> str | None:
    """Why there is no AUC."""
    if not report["failed"]:
        return None
    return next(iter([*report["warnings"], *report["refusals"].values()]), "the audit gave no scores to judge")


def _at_most(problems: list[str]) -> list[str]:
    left = len(problems) - _MOST_PROBLEMS
    return problems if left <= 0 else [*problems[:_MOST_PROBLEMS], f"There are {left:,} further problems."]

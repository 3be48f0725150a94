"""The overview: every run, attack and audit as columns of figures, without the curves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from privacy_callbacks.privacy_page.attack_entry import METRICS, attack_entry, metric_columns

from .. import __version__
from .audited_runs import RANGES, AttackLog, RunLog, group_listings
from .event_files import EventFiles
from .log_reading import Listing, LogReader, Series

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
    read = {log.id: _payloads(log, "audit", series, problems) for log in run.attacks}
    logs = [log for log in run.attacks if read[log.id]]
    headline = _headline(logs, read)
    since = 0.0 if headline is None else series[headline.kinds["audit"]].since
    earlier = [log.attack for log in logs if _written(log, "audit") < since]
    if earlier:
        problems.append(
            f"run '{run.id}': {', '.join(earlier)} {'was' if len(earlier) == 1 else 'were'} audited by an earlier fit into the "
            "same folder, which is not shown."
        )
    logs = [log for log in logs if _written(log, "audit") >= since]
    entries = []
    for log in sorted(logs, key=lambda log: log is not headline):  # stable: the others stay sorted by name
        audits = [(step, audit["report"], audit["words"]) for step, audit in read[log.id].items()]
        entries.append(attack_entry(log.id, log.attack, log is headline, audits))
    return {
        "id": run.id,
        "run": run.run,
        "name": run.name,
        "training": _training(_of_this_fit(headline, "training", since, series, problems)),
        "verdict": next(iter(reversed(_of_this_fit(headline, "verdict", since, series, problems).values())), None),
        "has_records": headline is not None and _written(headline, "records") >= max(since, 1.0),
        "attacks": entries,
    }


def _headline(logs: Iterable[AttackLog], read: Mapping[str, Mapping[int, Any]]) -> AttackLog | None:
    """The attack that last said it is; else the one beside which the training was logged; else the first."""

    def claim(log: AttackLog) -> tuple[bool, float, bool]:
        audits = read[log.id]
        newest = max(audits)
        said = audits[newest]["headline"]
        written = _written(log, "audit")
        return said, written if said else 0.0, bool({"training", "records", "verdict"} & set(log.kinds))

    return max(logs, key=claim, default=None)


def _written(log: AttackLog, kind: str) -> float:
    """The wall time at which the newest piece of a kind was written; 0 if there is none."""
    listing = log.kinds.get(kind)
    return 0.0 if listing is None else float(listing.state[1] or 0.0)


def _of_this_fit(
    headline: AttackLog | None, kind: str, since: float, series: Mapping[Listing, Series], problems: list[str]
) -> dict[int, dict[str, Any]]:
    """A kind that the headline's run holds, by step; nothing, if all of it is older than the fit that is shown."""
    if headline is None or _written(headline, kind) < since:
        return {}
    return _payloads(headline, kind, series, problems)


def _payloads(
    log: AttackLog, kind: str, series: Mapping[Listing, Series], problems: list[str]
) -> dict[int, dict[str, Any]]:
    listing = log.kinds.get(kind)
    if listing is None or listing not in series:
        return {}
    return series[listing].payloads(problems, log.path)


def _training(epochs: Mapping[int, Mapping[str, Any]]) -> dict[str, Any] | None:
    if not epochs:
        return None
    names = list(dict.fromkeys(name for epoch in epochs.values() for name in epoch["logs"]))[:_MOST_FIGURES]
    values = {name: [epoch["logs"].get(name) for epoch in epochs.values()] for name in names}
    return {"steps": list(epochs), "values": values}


def _range_entries(log: AttackLog, series: Mapping[Listing, Series], problems: list[str]) -> list[dict[str, Any]]:
    written = _payloads(log, RANGES, series, problems)
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

"""What the overview leaves out: curves, histograms and slices of some audits, and the records at risk."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .audited_runs import AttackLog, RunLog, group_listings
from .kept_series import Listing, Series, in_words
from .log_reading import LogReader
from .newest_fit import newest_fit
from .payload_values import PayloadError

MOST_AUDITS = 100
_MOST_TABLES = 1_000
_MOST_CELLS = 500_000


class UnknownRunError(LookupError):
    """There is no such attack in the logs."""


def details(
    reader: LogReader, attack_id: str, name: str, first: int, last: int, steps: Sequence[int] | None = None
) -> dict[str, Any]:
    """The audits of one attack whose step lies from `first` to `last`.

    Args:
      reader: of the logs.
      attack_id: as the overview calls the attack.
      name: the callback's name.
      first, last: steps, inclusive.
      steps: of those only these; all if None.
    Returns:
      Plain JSON: `details`, oldest first, at most 100; `more`, whether later ones were asked for, too; `problems`.
    Raises:
      UnknownRunError: if there is no such attack.
    """
    log = _attack(reader, attack_id, name)
    problems: list[str] = []
    wanted = [listing for kind, listing in log.kinds.items() if kind in ("audit", "details")]
    series = {listing.header.kind: one for listing, one in reader.series(wanted, problems).items()}
    audits = series["audit"].payloads([], log.path) if "audit" in series else {}  # the overview names the damaged ones
    asked = [step for step in audits if first <= step <= last and (steps is None or step in steps)]
    items = []
    damaged: list[str] = []
    for step in asked[:MOST_AUDITS]:
        found = _details_at(step, series.get("details"), damaged)
        items.append({"step": step, **found, "report": audits[step]["report"]})
    if damaged:
        problems.append(
            f"run '{in_words(log.path)}': the curves of {len(damaged):,} of {len(items):,} audits cannot be shown; {damaged[0]}."
        )
    return {"details": items, "more": len(asked) > MOST_AUDITS, "problems": problems}


def records(reader: LogReader, attack_id: str, name: str) -> dict[str, Any]:
    """The records at risk of one run's newest fit at every audit, newest tables kept first, with their pictures.

    Args:
      reader: of the logs.
      attack_id: as the overview calls the run, or one of its attacks.
      name: the callback's name.
    Returns:
      Plain JSON: `tables`, oldest first; `pictures` by row; `problems`.
    Raises:
      UnknownRunError: if there is no such run.
    """
    run = _run(reader, attack_id, name)
    problems: list[str] = []
    audits = [log.kinds["audit"] for log in run.attacks if "audit" in log.kinds]
    fit = newest_fit(run, reader.series(audits, []), [])  # the overview names the damaged audits
    tables = _by_step(reader, fit.beside("records"), problems)
    kept: list[dict[str, Any]] = []
    cells = 0
    for step, table in reversed(tables.items()):
        cells += len(table["columns"]) * len(table["rows"])
        if len(kept) == _MOST_TABLES or (kept and cells > _MOST_CELLS):
            problems.append(f"Tables of {len(tables):,} audits were written; the page shows the newest {len(kept):,}.")
            break
        kept.append({"step": step, **table})
    shown = {str(row["row"]) for table in kept for row in table["rows"]}
    pictures: dict[str, Any] = {}
    for written in _by_step(reader, fit.beside("pictures"), problems).values() if shown else ():
        for row, picture in written["pictures"].items():
            if row in shown:
                sides = {side: picture[side] for side in ("width", "height")}
                pictures[row] = {"url": f"data:image/png;base64,{picture['png']}", **sides}
    return {"tables": kept[::-1], "pictures": pictures, "problems": problems}


def _details_at(step: int, series: Series | None, damaged: list[str]) -> Mapping[str, Any]:
    nothing: dict[str, Any] = {"roc": None, "scores": None, "slices": [], "slices_left_out": 0}
    if series is None or step not in series:
        return nothing
    try:
        return series.payload(step)
    except PayloadError as reason:
        damaged.append(f"the first, at step {step}: {reason}")
        return nothing


def _attack(reader: LogReader, attack_id: str, name: str) -> AttackLog:
    for run in group_listings(reader.listings()[0])[0]:
        for log in run.attacks:
            if (log.id, log.name) == (attack_id, name):
                return log
    raise UnknownRunError("the logs hold no such attack; ask for one that the overview names.")


def _run(reader: LogReader, id: str, name: str) -> RunLog:
    for run in group_listings(reader.listings()[0])[0]:
        if run.name == name and id in (run.id, *(log.id for log in run.attacks)):
            return run
    raise UnknownRunError("the logs hold no such run; ask for one that the overview names.")


def _by_step(reader: LogReader, listing: Listing | None, problems: list[str]) -> dict[int, dict[str, Any]]:
    if listing is None:
        return {}
    return {
        step: found
        for series in reader.series([listing], problems).values()
        for step, found in series.payloads(problems, listing.path).items()
    }

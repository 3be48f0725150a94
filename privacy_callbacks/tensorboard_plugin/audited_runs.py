"""Which event runs belong together: the attacks of one callback in one log directory, and range curves."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from .kept_series import Listing
from .payload_values import whole_letters

RANGES = "ranges"
_SEPARATOR = re.compile(r"[/\\]")


@dataclass(frozen=True)
class AttackLog:
    """The series of one attack.

    Attributes:
      id: its name on the page, unique: the path of its event run, wherever that is enough.
      attack: the attack's name.
      name: the callback's name.
      path: of its event run.
      kinds: its series by their kind.
    """

    id: str
    attack: str
    name: str
    path: str
    kinds: Mapping[str, Listing]


@dataclass(frozen=True)
class RunLog:
    """One callback in one log directory.

    Attributes:
      id: its name on the page, unique: `<run>/<name>`.
      run: the log directory, relative to TensorBoard's; "." if it is that.
      name: the callback's name.
      attacks: sorted by name.
      folder: the event runs' common folder; None where each was found by itself.
    """

    id: str
    run: str
    name: str
    attacks: tuple[AttackLog, ...]
    folder: str | None


def group_listings(listings: Iterable[Listing]) -> tuple[list[RunLog], list[AttackLog]]:
    """The runs, and the range curves, each in the order of their names; numbers in names count as numbers."""
    logs = _attack_logs(listings)
    curves = [log for log in logs if RANGES in log.kinds]
    grouped: dict[tuple[str, str, str], list[AttackLog]] = {}
    for log in logs:
        if set(log.kinds) - {RANGES}:
            grouped.setdefault((*_place(log), log.name), []).append(log)
    taken: set[str] = set()
    runs = []
    for (place, run, name), attacks in sorted(grouped.items(), key=lambda pair: _by_number(pair[0])):
        id = _unique(taken, place, name)
        ordered = tuple(sorted(attacks, key=lambda log: log.attack))
        runs.append(RunLog(id, whole_letters(run), name, ordered, None if place == ordered[0].path else place))
    return runs, curves


def _attack_logs(listings: Iterable[Listing]) -> list[AttackLog]:
    grouped: dict[tuple[str, str, str], dict[str, Listing]] = {}
    for listing in listings:
        header = listing.header
        kinds = grouped.setdefault((listing.path, header.name, header.attack), {})
        # Two series of one kind: the one that is called as the package calls it.
        if header.kind not in kinds or listing.tag == f"{header.name}/privacy_{header.kind}":
            kinds[header.kind] = listing
    taken: set[str] = set()
    found = []
    for (path, name, attack), kinds in sorted(grouped.items(), key=lambda pair: _by_number(pair[0])):
        id = _unique(taken, path, f"{name}, {attack}")
        found.append(AttackLog(id, attack, name, path, kinds))
    return found


def _place(log: AttackLog) -> tuple[str, str]:
    """(the run's id, its log directory): `run1/mia` and `run1` of the path `run1/mia/lira`.

    A path that does not end in `<name>/<attack>` was opened from inside or moved: then as much as is known.
    """
    parts = _SEPARATOR.split(log.path)
    if parts[-1] != log.attack:
        return log.path, log.path
    above = log.path[: -len(log.attack) - 1]
    if len(parts) > 1 and parts[-2] == log.name:
        return above, above[: -len(log.name) - 1] or "."
    return above or ".", above or "."


def _unique(taken: set[str], wanted: str, further: str) -> str:
    """A name that is not taken yet, and is from now on."""
    wanted = whole_letters(wanted)
    id, count = wanted, 1
    while id in taken:
        id, count = f"{wanted} ({further})" if count == 1 else f"{wanted} ({further}, {count})", count + 1
    taken.add(id)
    return id


def _by_number(names: Sequence[str]) -> Any:
    """Orders run10 after run2."""
    return [[_part(part) for part in re.split(r"(\d+)", name)] for name in names], list(names)


def _part(part: str) -> tuple[int, int, str]:
    is_number = part.isascii() and part.isdecimal() and len(part) < 18
    return (1, int(part), "") if is_number else (0, 0, part)

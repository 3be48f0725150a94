"""Series of event files as they were read: their pieces, and how many of them are kept in memory."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from .payload_values import PayloadError, whole_letters
from .payloads import Header, inflated_size, payload_of

_MOST_KEPT = 128 * 2**20  # bytes of all series together
_WEIGHT_UNPACKED = 2**10  # bytes of an empty payload as Python objects
_WEIGHT_A_BYTE = 4  # bytes of Python objects for one of JSON
_KEPT_UNPACKED = frozenset({"audit", "training", "verdict"})  # asked for with every look at the page


@dataclass(frozen=True)
class Listing:
    """A series that exists.

    Attributes:
      path: its event run.
      tag: its tag.
      header: what it says it is.
      state: changes when a step is added.
    """

    path: str
    tag: str
    header: Header
    state: tuple[Any, ...] = field(repr=False)


class Series:
    """The pieces of one series by step; unpacked when asked for.

    Args:
      kind: of its payloads.
      written: step → the tensor's bytes, or None where it holds no string; ascending.
      known: the same series as it was read before.
      since: the wall time at which its first piece was written.
    """

    def __init__(
        self, kind: str, written: Mapping[int, bytes | None], known: Series | None = None, since: float = 0.0
    ) -> None:
        self._kind, self._written, self.since = kind, written, since
        self._unpacked: dict[int, dict[str, Any] | PayloadError] = {}
        self._sizes: dict[int, int] = {}
        if known is not None:
            before = dict(known._unpacked)  # another request may be adding to it
            same = {step for step, tensor in known._written.items() if step in written and written[step] == tensor}
            self._unpacked = {step: found for step, found in before.items() if step in same}
            self._sizes = {step: size for step, size in known._sizes.items() if step in same}
        if kind in _KEPT_UNPACKED:
            further = (step for step in written if step not in self._sizes)
            self._sizes |= {step: inflated_size(written[step] or b"") for step in further}

    def __contains__(self, step: int) -> bool:
        """Whether something was written at a step, damaged or not."""
        return step in self._written

    @property
    def weight(self) -> int:
        """About how many bytes of memory it takes, once unpacked: a small tensor may hold a lot."""
        unpacked = sum(_WEIGHT_UNPACKED + _WEIGHT_A_BYTE * size for size in self._sizes.values())
        return unpacked + sum(len(tensor or b"") + 100 for tensor in self._written.values())

    def payload(self, step: int) -> dict[str, Any]:
        """What was written at a step; not to be changed.

        Raises:
          PayloadError: if it is damaged.
        """
        found = self._unpacked.get(step) or self._unpack(step)
        if self._kind in _KEPT_UNPACKED:
            self._unpacked[step] = found
        if isinstance(found, PayloadError):
            raise found
        return found

    def _unpack(self, step: int) -> dict[str, Any] | PayloadError:
        tensor = self._written[step]
        try:
            if tensor is None:
                return PayloadError("it holds no string")
            return payload_of(self._kind, tensor)
        except PayloadError as reason:
            return reason

    def payloads(self, problems: list[str], path: str) -> dict[int, dict[str, Any]]:
        """All that can be read, by step; of the rest one sentence is added to `problems`."""
        found, damaged = {}, []
        for step in self._written:
            try:
                found[step] = self.payload(step)
            except PayloadError as reason:
                damaged.append((step, str(reason)))
        if damaged:
            first, why = damaged[0]
            problems.append(
                f"run '{in_words(path)}': {len(damaged):,} of {len(self._written):,} pieces of kind '{self._kind}' cannot be "
                f"shown; the first, at step {first}: {why}."
            )
        return found


class SeriesCache:
    """Series that were read before, the least recently used dropped first; shared by requests that come at once."""

    def __init__(self, most: int = _MOST_KEPT) -> None:
        self.lock = threading.RLock()
        self._most = most
        self._held: OrderedDict[tuple[str, str, str], tuple[Listing, Series]] = OrderedDict()
        self._weight = 0

    def get(self, key: tuple[str, str, str]) -> tuple[Listing, Series] | None:
        """The series as it was when it was listed so."""
        held = self._held.get(key)
        if held is not None:
            self._held.move_to_end(key)
        return held

    def put(self, key: tuple[str, str, str], listing: Listing, series: Series) -> None:
        """Keeps a series, in place of an earlier state of it."""
        known = self._held.pop(key, None)
        self._weight += series.weight - (known[1].weight if known else 0)
        self._held[key] = (listing, series)
        while self._weight > self._most:
            _, (_, dropped) = self._held.popitem(last=False)
            self._weight -= dropped.weight


def in_words(name: str, most: int = 200) -> str:
    """A run's name as it stands in a sentence."""
    shown = whole_letters(name)
    return shown if len(shown) <= most else f"{shown[:most]}…"

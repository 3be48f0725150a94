"""The plugin's series, out of whatever data provider reads the logs for TensorBoard; what was read once is kept."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tensorboard import context
from tensorboard.data import provider as data

from .event_files import EventFiles
from .payload_values import PayloadError, whole_letters
from .payloads import Header, header_of, payload_of, tensor_bytes

PLUGIN = "privacy"
_ALL_STEPS = 10**6
_RUNS_AT_ONCE = 20
_MOST_KEPT = 128 * 2**20  # bytes of all series together
_WEIGHT_UNPACKED = 6 * 2**10  # bytes of a small payload as Python objects
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
        if known is not None:
            before = dict(known._unpacked)  # another request may be adding to it
            same = (step for step in before if step in written and written[step] == known._written[step])
            self._unpacked = {step: before[step] for step in same}

    def __contains__(self, step: int) -> bool:
        """Whether something was written at a step, damaged or not."""
        return step in self._written

    @property
    def weight(self) -> int:
        """About how many bytes of memory it takes, once unpacked."""
        unpacked = _WEIGHT_UNPACKED * len(self._written) if self._kind in _KEPT_UNPACKED else 0
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


class LogReader:
    """What the plugin asks of TensorBoard's data provider.

    Args:
      provider: TensorBoard's.
      cache: what earlier readers of the same provider read.
      ctx: the request's context.
      experiment: its experiment id.
      files: of the same logs, if they lie on this machine.
    """

    def __init__(
        self,
        provider: Any,
        cache: SeriesCache | None = None,
        ctx: Any = None,
        experiment: str = "",
        files: EventFiles | None = None,
    ) -> None:
        self.files = files
        self._provider = provider
        self._cache = SeriesCache() if cache is None else cache
        self._asked = {"ctx": context.RequestContext() if ctx is None else ctx, "experiment_id": experiment}

    def has_data(self) -> bool:
        """Whether there is any series of the plugin."""
        return any((self._provider.list_tensors(**self._asked, plugin_name=PLUGIN) or {}).values())

    def listings(self) -> tuple[list[Listing], list[str]]:
        """The series there are, sorted; and a sentence about each that cannot be shown."""
        found, problems = [], []
        listed = self._provider.list_tensors(**self._asked, plugin_name=PLUGIN) or {}
        for path, tags in sorted(listed.items()):
            for tag, series in sorted(tags.items()):
                try:
                    header = header_of(series.plugin_content)
                except PayloadError as reason:
                    problems.append(f"run '{in_words(path)}': the series '{in_words(tag)}' cannot be shown: {reason}.")
                    continue
                state = (series.max_step, series.max_wall_time, series.plugin_content)
                found.append(Listing(path, tag, header, state))
        return found, problems

    def series(self, wanted: Iterable[Listing], problems: list[str]) -> dict[Listing, Series]:
        """The series by listing; one that cannot be read is missing, and `problems` gets a sentence."""
        with self._cache.lock:
            found, missing = {}, OrderedDict[str, list[Listing]]()
            for listing in wanted:
                known = self._cache.get(self._key(listing))
                if known is not None and known[0] == listing:
                    found[listing] = known[1]
                else:
                    missing.setdefault(listing.path, []).append(listing)
            read = self._together({path: [one.tag for one in listings] for path, listings in missing.items()}, problems)
            for path, listings in missing.items():
                for listing in listings:
                    if listing.tag in read[path]:
                        found[listing] = self._kept(listing, read[path][listing.tag])
            return found

    def _kept(self, listing: Listing, tensors: Sequence[Any]) -> Series:
        key = self._key(listing)
        known = self._cache.get(key)
        same_kind = known is not None and known[0].header == listing.header
        course = _newest_course(tensors)
        written = {step: tensor_bytes(tensor.numpy) for step, tensor in course.items()}
        since = min((float(tensor.wall_time) for tensor in course.values()), default=0.0)
        series = Series(listing.header.kind, written, known[1] if known and same_kind else None, since)
        self._cache.put(key, listing, series)
        return series

    def _key(self, listing: Listing) -> tuple[str, str, str]:
        return self._asked["experiment_id"], listing.path, listing.tag

    def _together(
        self, tags: Mapping[str, Sequence[str]], problems: list[str]
    ) -> dict[str, Mapping[str, Sequence[Any]]]:
        """The tensors by run and tag; several runs in one question, since a data server takes 20 ms for each."""
        paths, found = list(tags), dict[str, Mapping[str, Sequence[Any]]]()
        for some in (paths[start : start + _RUNS_AT_ONCE] for start in range(0, len(paths), _RUNS_AT_ONCE)):
            try:
                read = self._read(some, sorted({tag for path in some for tag in tags[path]}))
                found |= {path: read.get(path, {}) for path in some}
            except Exception:
                # An answer may be too large, or one of its tensors damaged: a run at a time tells which.
                found |= {path: self._tensors(path, tags[path], problems) for path in some}
        return found

    def _read(self, paths: Sequence[str], tags: Sequence[str]) -> Mapping[str, Mapping[str, Sequence[Any]]]:
        wanted = data.RunTagFilter(runs=paths, tags=tags)
        read = self._provider.read_tensors(
            **self._asked, plugin_name=PLUGIN, downsample=_ALL_STEPS, run_tag_filter=wanted
        )
        return read or {}

    def _tensors(self, path: str, tags: Sequence[str], problems: list[str]) -> Mapping[str, Sequence[Any]]:
        """The tensors of one run by tag."""
        try:
            return self._read([path], tags).get(path, {})
        except Exception as reason:
            # TensorBoard decodes all tensors of an answer together: one that it cannot decode must not hide the others.
            if len(tags) == 1:
                problems.append(
                    f"run '{in_words(path)}': the series '{in_words(tags[0])}' cannot be read ({type(reason).__name__})."
                )
                return {}
            return {tag: found for one in tags for tag, found in self._tensors(path, [one], problems).items()}


def _newest_course(tensors: Sequence[Any]) -> dict[int, Any]:
    """Step → tensor, ascending.

    Where steps go back, training began anew in the same folder: what was written before at this step and later ones does not
    count. TensorBoard's data server reads so by itself; its Python loader gives all, in the order in which they were written.
    """
    kept: list[tuple[int, Any]] = []
    for tensor in tensors:
        step = int(tensor.step)
        while kept and kept[-1][0] >= step:
            kept.pop()
        kept.append((step, tensor))
    return dict(kept)


def in_words(name: str, most: int = 200) -> str:
    """A run's name as it stands in a sentence."""
    shown = whole_letters(name)
    return shown if len(shown) <= most else f"{shown[:most]}…"

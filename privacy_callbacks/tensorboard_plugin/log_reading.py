"""The plugin's series, out of whatever data provider reads the logs for TensorBoard; what was read once is kept."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from tensorboard import context
from tensorboard.data import provider as data

from .event_files import EventFiles
from .kept_series import Listing, Series, SeriesCache, in_words
from .payload_values import PayloadError
from .payloads import header_of, tensor_bytes

PLUGIN = "privacy"
_ALL_STEPS = 10**6
_RUNS_AT_ONCE = 20


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

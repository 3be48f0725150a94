"""Which event files are damaged or cut short: TensorBoard's loaders stop there and tell nobody but their own logs."""

from __future__ import annotations

import os
import stat
import struct
import threading
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tensorboard.compat.proto import event_pb2

from .payload_values import whole_letters

# A record: its length (8 bytes), their checksum (4), so many bytes, their checksum (4).
_HEAD, _TAIL = 12, 4
_LONGEST_RECORD = 2**28
_EVENT_FILE = "tfevents"


@dataclass(frozen=True)
class FileState:
    """How far an event file can be read.

    Attributes:
      size, changed: bytes and time of the file as it was then.
      whole: bytes of whole records at its beginning.
      last: where the last whole record begins, None if there is none.
      nonsense: True if what follows cannot be the beginning of a record.
    """

    size: int
    changed: int
    whole: int
    last: int | None
    nonsense: bool


class EventFiles:
    """Looks at the framing of event files, below one folder only; reads no more of a file than it has to.

    Args:
      folder: TensorBoard's log directory, local.
      quiet: seconds for which a file must not have changed before its incomplete end counts: it may be being written.
    """

    def __init__(self, folder: str, quiet: float) -> None:
        self._folder, self._quiet = Path(os.path.realpath(folder)), quiet
        self._known: dict[Path, FileState] = {}
        self._lock = threading.Lock()

    def problems(self, newest: Mapping[str, int | None], groups: Iterable[str]) -> list[str]:
        """A sentence about each event file that cannot be read to its end.

        Args:
          newest: the greatest step that was loaded of each run, by its path below the folder; None if that says nothing.
          groups: folders each of whose sub-folders is a run, such as `run1/mia`.
        """
        with self._lock:
            found = []
            for run in sorted({*newest, *self._runs_in(groups)}):
                files = self._files_of(run)
                for file in files:
                    said = self._said(file, newest.get(run) if file == files[-1] else None)
                    if said:
                        found.append(f"run '{whole_letters(run)}': {said}.")
            return found

    def _runs_in(self, groups: Iterable[str]) -> Iterator[str]:
        for group in groups:
            inside = self._inside(group)
            for sub in _entries(inside):
                if stat.S_ISDIR(_mode(sub)):
                    yield os.path.normpath(os.path.join(group, sub.name))

    def _files_of(self, run: str) -> list[Path]:
        # Regular files alone: a pipe of such a name would never end.
        found = [path for path in _entries(self._inside(run)) if _EVENT_FILE in path.name]
        return [path for path in found if self._inside(path) and stat.S_ISREG(_mode(path))]

    def _inside(self, path: str | Path) -> Path | None:
        """The real path, if it lies in the folder."""
        real = Path(os.path.realpath(self._folder / path))
        return real if real.is_relative_to(self._folder) else None

    def _said(self, file: Path, newest: int | None) -> str | None:
        try:
            state = self._state(file)
        except OSError as reason:
            return f"an event file cannot be opened ({type(reason).__name__})"
        is_quiet = time.time() - state.changed / 1e9 >= self._quiet
        if state.nonsense:
            return f"an event file is damaged: of its {state.size:,} bytes the first {state.whole:,} can be read"
        if state.whole < state.size and is_quiet:
            return "an event file ends within a record: it was cut short, or is still being written"
        if state.size == 0 and is_quiet:
            return "an event file is empty"
        last = _step_at(file, state) if newest is not None and is_quiet else None
        if last is not None and newest is not None and last > newest:
            return (
                f"an event file goes on to step {last}, and what was loaded ends at step {newest}: it is damaged in between, "
                "or was not loaded again"
            )
        return None

    def _state(self, file: Path) -> FileState:
        status = file.stat()
        known = self._known.get(file)
        if known is None or (known.size, known.changed) != (status.st_size, status.st_mtime_ns):
            known = _walked(file, status, known if known and known.size <= status.st_size else None)
            self._known[file] = known
        return known


def _entries(folder: Path | None) -> list[Path]:
    """What a folder holds, by name; nothing if it may not be read."""
    try:
        return sorted(folder.iterdir()) if folder is not None and folder.is_dir() else []
    except OSError:
        return []


def _mode(path: Path) -> int:
    """What kind of thing lies there; 0 if that may not be known."""
    try:
        return path.stat().st_mode
    except OSError:
        return 0


def _walked(file: Path, status: os.stat_result, known: FileState | None) -> FileState:
    """From record to record, beginning where an earlier walk ended."""
    at, last = (known.whole, known.last) if known else (0, None)
    nonsense = False
    with file.open("rb", buffering=0) as stream:
        while at + _HEAD <= status.st_size:
            stream.seek(at)
            (length,) = struct.unpack("<Q", stream.read(8))
            if not 0 < length <= _LONGEST_RECORD:
                nonsense = True
                break
            if at + _HEAD + length + _TAIL > status.st_size:
                break
            last, at = at, at + _HEAD + length + _TAIL
    return FileState(status.st_size, status.st_mtime_ns, at, last, nonsense)


def _step_at(file: Path, state: FileState) -> int | None:
    """The step of the last whole record."""
    if state.last is None:
        return None
    with file.open("rb") as stream:
        stream.seek(state.last + _HEAD)
        record = stream.read(state.whole - state.last - _HEAD - _TAIL)
    try:
        return int(event_pb2.Event.FromString(record).step)
    except Exception:  # protobuf's own kind of error: the bytes are no event
        return None

"""A folder of results that are whole or not there, and that belong to one configuration."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import uuid
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from privacy_callbacks.attacks.whole_files import read_json

from .located_yaml import ConfigError

SCHEMA_VERSION = 1
LAST = "run.json"
_FORMAT = "privacy_callbacks run"
_RESULTS = (
    "reports.json",
    "reports.json.curves-*.npz",
    "ranges.csv",
    "records.csv",
    "residuals.csv",
    "summary.csv",
    "range.png",
    "report.html",
    "report.md",
    "unlearning.json",
    "config.yaml",
    LAST,
)
_UNFINISHED = ".unfinished-"


class ResultFolder:
    """Where a run's results go. One run at a time may write to it.

    Files are written in a folder within that is nobody's, and renamed when all are there; `run.json`, which names the others
    with their digests, comes last. A run that is killed leaves what was there before; if it was in the instant of renaming,
    the next one ends that.

    Args:
      path: of the folder; made where it is missing.
      identity: what decides the results, in plain types.
    Raises:
      ConfigError: if the folder cannot be made or written to.
    """

    def __init__(self, path: Path, identity: Mapping[str, Any]) -> None:
        self.path = path
        self.identity: dict[str, Any] = json.loads(json.dumps(identity))
        try:
            path.mkdir(parents=True, exist_ok=True)
        except OSError as reason:
            raise ConfigError(f"run.out: {path} cannot be made ({reason}); give another folder.") from None
        if not os.access(path, os.W_OK | os.X_OK):
            raise ConfigError(f"run.out: {path} cannot be written to; give another folder.")

    def finished(self) -> dict[str, Any] | None:
        """What `run.json` says, if the folder holds whole results of the same identity; None if it holds none, or damaged ones.

        Raises:
          ConfigError: if it holds results of something else.
        """
        self._complete()
        held = read_json(self.path / LAST)
        strays = [file.name for file in self._results()]
        if not isinstance(held, dict) or held.get("format") != _FORMAT:
            if strays:
                raise ConfigError(
                    f"{self.path} holds {', '.join(strays[:3])} of another program or of a run that was cut short; give another "
                    "folder with --out, or --overwrite."
                )
            return None
        theirs = held.get("identity")
        if theirs != self.identity or held.get("schema_version") != SCHEMA_VERSION:
            raise ConfigError(
                f"{self.path} holds results of another configuration{_difference(theirs, self.identity)}; give another folder "
                "with --out, or --overwrite."
            )
        files = held.get("files")
        whole = isinstance(files, dict) and files and all(_digest(self.path / name) == files[name] for name in files)
        return held if whole else None

    def is_finished(self, say: Callable[[str], object]) -> bool:
        """True if these results are there, whole, which is then said.

        Raises:
          ConfigError: see `finished`.
        """
        found = self.finished() is not None
        if found:
            say(
                f"{self.path} holds the finished results of this configuration; nothing to do (--overwrite computes again)."
            )
        return found

    @contextlib.contextmanager
    def filled(self, about: Mapping[str, Any]) -> Iterator[Path]:
        """A folder to write results into; they get their names, and replace earlier ones, when the block ends well.

        Args:
          about: what `run.json` is to say; read when the block ends.
        """
        for stray in self.path.glob(f"{_UNFINISHED}*"):
            shutil.rmtree(stray, ignore_errors=True)
        unfinished = self.path / f"{_UNFINISHED}{uuid.uuid4().hex}"
        unfinished.mkdir()
        try:
            yield unfinished
            names = sorted(file.name for file in unfinished.iterdir())
            held = {"format": _FORMAT, "schema_version": SCHEMA_VERSION, "identity": self.identity, **about}
            held["files"] = {name: _digest(unfinished / name) for name in names}
            (unfinished / LAST).write_text(json.dumps(held, indent=2, allow_nan=False) + "\n")
            for earlier in sorted(self._results(), key=lambda file: file.name != LAST):
                earlier.unlink()
            for name in (*names, LAST):
                os.replace(unfinished / name, self.path / name)
        finally:
            shutil.rmtree(unfinished, ignore_errors=True)

    def _complete(self) -> None:
        """Ends the renaming in whose instant a run was killed, if all it wrote is there."""
        for unfinished in self.path.glob(f"{_UNFINISHED}*"):
            held = read_json(unfinished / LAST)
            files = held.get("files") if isinstance(held, dict) and held.get("format") == _FORMAT else None
            if (self.path / LAST).exists() or not isinstance(files, dict):
                continue
            left = {file.name for file in unfinished.iterdir()} & files.keys()
            if any(_digest((unfinished if name in left else self.path) / name) != files[name] for name in files):
                continue
            for earlier in self._results():
                if earlier.name not in files or earlier.name in left:
                    earlier.unlink()
            for name in (*sorted(left), LAST):
                os.replace(unfinished / name, self.path / name)
            shutil.rmtree(unfinished, ignore_errors=True)

    def _results(self) -> list[Path]:
        return [file for pattern in _RESULTS for file in self.path.glob(pattern)]


def digest_of_file(path: Path) -> str:
    """The SHA-256 of a file.

    Raises:
      OSError: if it cannot be read.
    """
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _digest(path: Path) -> str | None:
    try:
        return digest_of_file(path)
    except (OSError, ValueError):  # the latter of a name that no file can have
        return None


def _difference(theirs: Any, ours: Mapping[str, Any], place: str = "") -> str:
    """` (range.radius was 0.5, is 1.0)`, the first field that differs; nothing if it cannot be named."""
    if not isinstance(theirs, dict):
        return ""
    for name in [*ours, *(name for name in theirs if name not in ours)]:
        before, now = theirs.get(name), ours.get(name)
        if before != now:
            if isinstance(before, dict) and isinstance(now, dict):
                return _difference(before, now, f"{place}{name}.")
            return f" ({place}{name} was {_short(before)}, is {_short(now)})"
    return ""


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) <= 40 else f"{text[:37]}..."

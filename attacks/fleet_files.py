"""A fleet's folder: where every group of shadow models stands, what it answered, and how it got there.

    fleet.json                            what fleet this is
    pool.npz                              a hash of each record of the pool, in its order
    rates/00007.npz                       the learning rates of an epoch
    group-0003/trained-00007.npz          losses and failures after so many epochs
    group-0003/state-00007.npz            weights, optimizer, seeds; of the newest two epochs
    group-0003/asked-00007-<digest>.npz   signals

Every file is written under another name and renamed, and names its place and the SHA-256 of what it holds. What is missing,
damaged or in another's place is made again: training is deterministic, from the newest state that is whole.
"""

from __future__ import annotations

import contextlib
import json
import os
import platform
import weakref
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from .whole_files import is_unfinished, read_arrays, read_json, remove_unfinished, write_arrays, write_whole

T = TypeVar("T")

SCHEMA_VERSION = 1
_FORMAT = "privacy_callbacks shadow fleet"
_STATES_KEPT = 2
_NEEDED: Mapping[str, type] = {"engine": str, "group_size": int, "num_models": int, "identity": dict, "versions": dict}
_HELD: weakref.WeakValueDictionary[Path, FleetFiles] = weakref.WeakValueDictionary()


class Outcome(NamedTuple):
    """What became of a group in one epoch.

    Attributes:
      losses: of each of its shadow models; NaN where training failed.
      failures: why a shadow model is left out from now on, by its number.
    """

    losses: list[float]
    failures: dict[int, str]


class Answers(NamedTuple):
    """A group's signals.

    Attributes:
      shadows: the shadow models that answered.
      own: name → float32[k, n, q].
      population: name → float32[k, z, q].
      failures: why a shadow model could not answer, by its number.
    """

    shadows: list[int]
    own: dict[str, NDArray[np.float32]]
    population: dict[str, NDArray[np.float32]]
    failures: dict[int, str]


class FleetFiles:
    """The files of one fleet in one folder, held by one process at a time.

    Args:
      folder: made if it is not there.
      shared: True for a further process that works for the one that holds the folder.
    Attributes:
      manifest: what fleet this is; empty before `begin`.
      trouble: why something could not be written (a full disk, say), after which training goes on all the same; "" = all was.
    Raises:
      ValueError: if the folder cannot be written to, holds something else, or another process is at work in it.
    """

    def __init__(self, folder: str | os.PathLike[str], shared: bool = False) -> None:
        self.folder = Path(folder)
        self._unlock: Callable[[], Any] = lambda: None
        self.manifest: dict[str, Any] = {}
        self.trouble = ""
        try:
            (self.folder / "rates").mkdir(parents=True, exist_ok=True)
            if not shared:
                self._take()
        except OSError as reason:
            raise ValueError(f"checkpoint_dir {str(self.folder)!r} cannot be written to: {reason}.") from reason
        if shared:
            return
        try:
            self.manifest = self._read_manifest()
        except BaseException:
            self.close()
            raise
        remove_unfinished(self.folder)

    def check(self, identity: Mapping[str, Any]) -> str:
        """Refuses a folder of another fleet.

        Args:
          identity: see `identity_of`.
        Returns:
          A sentence for the user if the versions differ, else "".
        Raises:
          ValueError: with what differs.
        """
        if not self.manifest:
            return ""
        theirs, versions = self.manifest["identity"], self.manifest["versions"]
        same_versions = versions == _versions()
        differing = [what for what, value in json.loads(json.dumps(identity)).items() if theirs.get(what) != value]
        if not same_versions:  # which trace other operations for the same step
            differing = [what for what in differing if what != "the model's training step"]
        if differing:
            raise ValueError(
                f"checkpoint_dir {str(self.folder)!r} holds the shadow models of another fleet, with another: "
                f"{'; '.join(differing)}. Give an empty directory, or what that fleet was made with."
            )
        if same_versions:
            return ""
        before = ", ".join(f"{name} {version}" for name, version in versions.items())
        return f"the shadow models in checkpoint_dir were begun with {before}; those that go on may differ in the last digits."

    def begin(
        self, identity: Mapping[str, Any], engine: str, group_size: int, choice: str, hashes: NDArray[np.uint64]
    ) -> None:
        """Notes which fleet this is, unless it was noted before.

        Args:
          identity: see `identity_of`.
          engine, group_size: what trains it.
          choice: the sentence on what was measured.
          hashes: of the records of the pool, in its order.
        """
        if self.manifest:
            return
        pool = self.folder / "pool.npz"
        write_arrays(pool, [hashes], {"place": self._place(pool)})
        self.manifest = {
            "format": _FORMAT,
            "schema_version": SCHEMA_VERSION,
            "engine": engine,
            "group_size": group_size,
            "choice": choice,
            "num_models": identity["the number of shadow models"],
            "identity": json.loads(json.dumps(identity)),
            "versions": _versions(),
        }
        text = json.dumps(self.manifest, indent=1).encode()
        write_whole(self.folder / "fleet.json", lambda file: file.write(text))

    def pool(self) -> NDArray[np.uint64] | None:
        """The hash of each record of the pool, as the fleet was dealt them; None if no fleet has begun here."""
        return self._told(self.folder / "pool.npz", lambda arrays, _: arrays[0]) if self.manifest else None

    def rates(self, epoch: int) -> tuple[NDArray[np.float32] | None] | None:
        """(the learning rates of epoch number `epoch`, from 0,), or None if it has not begun."""
        return self._told(self._rates(epoch), lambda arrays, about: (None,) if about["own"] else (arrays[0],))

    def keep_rates(self, epoch: int, rates: NDArray[np.float32] | None) -> None:
        """Notes with which learning rates an epoch is trained; None = the optimizer's own."""
        self._write(self._rates(epoch), [] if rates is None else [rates], {"own": rates is None})

    def outcome(self, group: int, epochs: int) -> Outcome | None:
        """What became of the group in the last of so many epochs; None if it has not been trained so far."""
        path = self._group(group) / f"trained-{epochs:05d}.npz"
        return self._told(path, lambda arrays, about: Outcome(arrays[0].tolist(), _numbered(about["failures"])))

    def keep_epoch(self, group: int, epochs: int, state: Sequence[Any], outcome: Outcome) -> None:
        """Notes where the group stands after so many epochs, and lets go of states that are older than the one before."""
        folder = self._group(group)
        self._write(folder / f"state-{epochs:05d}.npz", [np.asarray(value) for value in state], {})
        about = {"failures": outcome.failures}
        # Lost with the machine it costs an epoch of the group, from the state before.
        self._write(folder / f"trained-{epochs:05d}.npz", [np.array(outcome.losses, np.float64)], about, lasting=False)
        for old in self._states(group)[:-_STATES_KEPT]:
            (folder / f"state-{old:05d}.npz").unlink(missing_ok=True)

    def newest_state(self, group: int, most: int) -> tuple[int, list[Any]] | None:
        """(after how many epochs, the state), of those at most `most` the newest that is whole."""
        for epochs in reversed(self._states(group)):
            if epochs <= most:
                state = self._told(self._group(group) / f"state-{epochs:05d}.npz", lambda arrays, _: arrays)
                if state is not None:
                    return epochs, [tf.convert_to_tensor(array) for array in state]
        return None

    def answers(self, group: int, epochs: int, question: str) -> Answers | None:
        """What the group answered after so many epochs."""
        return self._told(self._asked(group, epochs, question), _answers)

    def keep_answers(self, group: int, epochs: int, question: str, answers: Answers) -> None:
        """Notes what the group answered."""
        about = {
            "shadows": answers.shadows,
            "own": list(answers.own),
            "population": list(answers.population),
            "failures": answers.failures,
        }
        arrays = [*answers.own.values(), *answers.population.values()]
        self._write(self._asked(group, epochs, question), arrays, about)

    def close(self) -> None:
        """Lets other processes work in the folder."""
        self._unlock()

    def _take(self) -> None:
        folder = self.folder.resolve()
        before = _HELD.pop(folder, None)
        if before is not None:
            before.close()  # of a fit of this process that was broken off
        self._unlock = weakref.finalize(self, os.close, _locked(folder / "lock"))
        _HELD[folder] = self

    def _write(self, path: Path, arrays: Sequence[Any], about: Mapping[str, Any], lasting: bool = True) -> None:
        if self.trouble:
            return  # what comes later would not be reached from what is there
        try:
            path.parent.mkdir(exist_ok=True)
            write_arrays(path, arrays, {**about, "place": self._place(path)}, lasting)
        except OSError as reason:
            self.trouble = f"{type(reason).__name__}: {reason}"

    def _told(self, path: Path, read: Callable[[list[NDArray[Any]], dict[str, Any]], T]) -> T | None:
        """What a file's arrays and description say; None if it is not there, damaged, or another one of the fleet's files."""
        held = read_arrays(path)
        with contextlib.suppress(LookupError, TypeError, ValueError, AttributeError, StopIteration):
            # Files of earlier versions do not name their place.
            if held is not None and held[1].get("place", self._place(path)) == self._place(path):
                return read(*held)
        return None

    def _place(self, path: Path) -> str:
        return path.relative_to(self.folder).as_posix()

    def _read_manifest(self) -> dict[str, Any]:
        path = self.folder / "fleet.json"
        if not path.exists():
            known = {"rates", "lock", "pool.npz"}
            others = {entry.name for entry in self.folder.iterdir() if not is_unfinished(entry)} - known
            if others:
                raise ValueError(
                    f"checkpoint_dir {str(self.folder)!r} holds {', '.join(sorted(others)[:3])}, but no fleet of shadow models; "
                    "give an empty directory."
                )
            return {}
        manifest = read_json(path)
        if not isinstance(manifest, dict) or manifest.get("format") != _FORMAT:
            raise ValueError(f"{path} is damaged or not of a fleet of shadow models; give an empty directory.")
        if manifest.get("schema_version") != SCHEMA_VERSION:
            raise ValueError(
                f"{path} has schema version {manifest.get('schema_version')!r:.80}, this is {SCHEMA_VERSION}; give an empty "
                "directory."
            )
        if not all(type(manifest.get(name)) is kind and manifest[name] for name, kind in _NEEDED.items()):
            raise ValueError(f"{path} is damaged: it does not say which fleet this is; give an empty directory.")
        if min(manifest["group_size"], manifest["num_models"]) < 0:
            raise ValueError(f"{path} is damaged: it speaks of fewer than no shadow models; give an empty directory.")
        return manifest

    def _states(self, group: int) -> list[int]:
        found = self._group(group).glob("state-*.npz")
        numbers = (path.stem.removeprefix("state-") for path in found)
        return sorted(int(number) for number in numbers if number.isdigit())  # a copy may lie beside

    def _group(self, group: int) -> Path:
        return self.folder / f"group-{group:04d}"

    def _asked(self, group: int, epochs: int, question: str) -> Path:
        return self._group(group) / f"asked-{epochs:05d}-{question}.npz"

    def _rates(self, epoch: int) -> Path:
        return self.folder / "rates" / f"{epoch:05d}.npz"


def _answers(arrays: list[NDArray[Any]], about: dict[str, Any]) -> Answers:
    values = iter(arrays)
    own = {name: next(values) for name in about["own"]}
    return Answers(
        about["shadows"], own, {name: next(values) for name in about["population"]}, _numbered(about["failures"])
    )


def _numbered(failures: Mapping[str, str]) -> dict[int, str]:
    return {int(shadow): reason for shadow, reason in failures.items()}


def _versions() -> dict[str, str]:
    import keras

    return {"tensorflow": tf.__version__, "keras": keras.__version__, "machine": platform.machine()}


def _locked(path: Path) -> int:
    """A file descriptor that holds the lock until it is closed, at the latest when the process ends."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        import fcntl

        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as reason:
        os.close(lock)
        raise ValueError(
            f"another process trains shadow models in checkpoint_dir {str(path.parent)!r}; wait for it, or give "
            "another directory."
        ) from reason
    except (ImportError, OSError):
        pass  # Windows, or a file system without locks
    return lock

"""Files that are whole or not there, and arrays in files that tell when they are not what was written."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

_UNFINISHED = ".unfinished"
_ABOUT = "about"


def write_whole(path: Path, write: Callable[[IO[bytes]], Any], lasting: bool = True) -> None:
    """Lets `write` fill a file under another name, and gives it its own.

    A process that is killed leaves the file as it was before, and at most a stray one that `remove_unfinished` removes.

    Args:
      path: of the file.
      write: is called with the open file.
      lasting: wait until it is on the disk, so that it also outlasts a machine that stops; milliseconds.
    """
    unfinished = path.with_name(f"{path.name}.{uuid.uuid4().hex}{_UNFINISHED}")
    try:
        with unfinished.open("wb") as file:
            write(file)
            if lasting:
                file.flush()
                os.fsync(file.fileno())
        os.replace(unfinished, path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def is_unfinished(path: Path) -> bool:
    """True for what a writer that was killed has left behind."""
    return path.name.endswith(_UNFINISHED)


def remove_unfinished(folder: Path) -> None:
    """Removes what writers that were killed have left behind in a folder and its subfolders."""
    for stray in folder.rglob(f"*{_UNFINISHED}"):
        stray.unlink(missing_ok=True)


def write_arrays(path: Path, arrays: Sequence[Any], about: Mapping[str, Any], lasting: bool = True) -> None:
    """Writes arrays of any numeric type and a JSON description, with a digest of both; see `write_whole`."""
    about = json.loads(json.dumps(about))  # as it will be read
    plain = [np.asarray(array, order="C") for array in arrays]  # keeps numbers without an axis as they are
    types = [str(array.dtype) for array in plain]
    # NumPy's own format forgets the types that TensorFlow adds, such as bfloat16.
    stored = [array.view(f"u{array.dtype.itemsize}") if array.dtype.kind == "V" else array for array in plain]
    described = {"about": about, "types": types, "sha256": _digest(stored, about)}
    text = np.frombuffer(json.dumps(described).encode(), np.uint8)
    named = {str(index): array for index, array in enumerate(stored)}
    # A file object, because np.savez would append ".npz" to a path.
    write_whole(path, lambda file: np.savez(file, allow_pickle=False, **{_ABOUT: text}, **named), lasting)


def read_arrays(path: Path) -> tuple[list[NDArray[Any]], dict[str, Any]] | None:
    """What `write_arrays` wrote; None if the file is not there, cut short or changed."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as held:
            described = json.loads(held[_ABOUT].tobytes())
            stored = [held[str(index)] for index in range(len(described["types"]))]
        if described["sha256"] != _digest(stored, described["about"]):
            return None
    except Exception:  # a damaged archive fails in a dozen ways
        return None
    return [_typed(array, name) for array, name in zip(stored, described["types"], strict=True)], described["about"]


def read_json(path: Path) -> Any:
    """The parsed file; None if it is not there or no JSON."""
    with contextlib.suppress(OSError, ValueError, RecursionError):
        return json.loads(path.read_text())
    return None


def _digest(arrays: Sequence[NDArray[Any]], about: Mapping[str, Any]) -> str:
    found = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for array in arrays:
        found.update(f"{array.dtype.str}{array.shape}".encode())
        found.update(array.tobytes())
    return found.hexdigest()


def _typed(array: NDArray[Any], name: str) -> NDArray[Any]:
    if str(array.dtype) == name:
        return array
    import ml_dtypes  # comes with TensorFlow, and is needed only where it wrote

    return array.view(np.dtype(getattr(ml_dtypes, name)))

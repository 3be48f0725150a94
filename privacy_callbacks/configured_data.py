"""The records that a configuration names, and which of them the target is trained on."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .config_data import Data
from .config_values import array_from
from .data_sources import Records, records_from
from .located_yaml import ConfigError

_FILES = {"members": "member_file", "nonmembers": "nonmember_file", "population": "population_file"}
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

    @property
    def counted(self) -> str:
        """The same in words."""
        counts = (f"{count:,} {name.replace('_', ' ')}" for name, count in self.counts.items() if count)
        return f"{len(self.x):,} records; {', '.join(counts)}"


def configured_data(data: Data, seed: int, by_owner: bool) -> ConfiguredData:
    """Reads the records and parts them.

    Args:
      data: the section.
      seed: decides the parts, and which labels are wrong.
      by_owner: True to keep all records of an owner, but those held out, on one side.
    Raises:
      ConfigError: if a file cannot be read or holds something else, parts overlap, or there are too few records.
    """
    parts, (x, y, ids, owners) = _read(data)
    if y.dtype.kind in "US":
        y = np.unique(y, return_inverse=True)[1].astype(np.int64)
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
            "data has no owners, and same_owner asks about records of owners; add an array `owners`, or name a column `owner`."
        )
    rng = np.random.default_rng([seed, 0x5B117])
    if parts:
        rows = _parts_of_files(data, parts, rng)
    else:
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


def _read(data: Data) -> tuple[dict[str, int], Records]:
    """How many records each side's own file has, in order, if there are such; and all records."""
    if data.member_file is None:
        return {}, records_from(data)
    sides = [side for side, field in _FILES.items() if getattr(data, field) is not None]
    found = [records_from(data, _FILES[side]) for side in sides]
    for side, one in zip(sides[1:], found[1:], strict=True):
        if one.x.shape[1:] != found[0].x.shape[1:] or one.y.shape[1:] != found[0].y.shape[1:]:
            raise ConfigError(
                f"data.{_FILES[side]}: records have shape {list(one.x.shape[1:])}, those of data.member_file "
                f"{list(found[0].x.shape[1:])}; give files of the same columns."
            )
    counts = {side: len(one.x) for side, one in zip(sides, found, strict=True)}
    return counts, Records(*(_joined([getattr(one, name) for one in found]) for name in Records._fields))


def _joined(parts: list[Any]) -> Any:
    return None if any(part is None for part in parts) else np.concatenate(parts)


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
    given_rows = {side: getattr(data, side) for side in _SIDES}
    rows = {
        side: rows_from(path, f"data.{side}") if isinstance(path, str) else None for side, path in given_rows.items()
    }
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


def _parts_of_files(data: Data, counts: dict[str, int], rng: np.random.Generator) -> dict[str, NDArray[np.int64]]:
    """Of each side's own file as many records as are asked for, or all."""
    found, start = {side: np.empty(0, np.int64) for side in _SIDES}, 0
    for side, there in counts.items():
        asked = getattr(data, side)
        if asked is not None and asked > there:
            raise ConfigError(
                f"data.{side}: {asked:,} are asked for, and data.{_FILES[side]} has {there:,}; ask for fewer."
            )
        rows = np.arange(there) if asked is None else np.sort(rng.permutation(there)[:asked])
        found[side], start = start + rows, start + there
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


def rows_from(path: str, field: str) -> NDArray[np.int64]:
    """int64[k], the row numbers in a file.

    Raises:
      ConfigError: if it holds something else; `field` names it in the message.
    """
    rows = array_from(path, field)
    if rows.ndim != 1 or rows.dtype.kind not in "iu" or not len(rows):
        raise ConfigError(
            f"{field}: {path} holds {rows.dtype}{list(rows.shape)}; give whole numbers [k], rows of the data."
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

"""Which columns of queries are missing, as a mask says it, and whether queries fit the mask."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from privacy_callbacks.attacks.seeded_stream import seeded_stream

from .tables import check_table, column, keys_of, num_rows


@dataclass(frozen=True)
class MissingAtRandom:
    """A mask for `MissingFeatures`: so many columns of each query are missing, others for each, drawn by the seed.

    Args:
      count: of missing columns, at least 1; fewer than there are.
      seed: decides which.
    Raises:
      ValueError: on numbers out of range; where it is used, if queries are no table of more columns.
    """

    count: int
    seed: int = 0

    def __post_init__(self) -> None:
        for name, value, least in (("count", self.count, 1), ("seed", self.seed, 0)):
            if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
                raise ValueError(f"{name} is {value!r}; give a whole number of at least {least}.")

    def __call__(self, x: Any) -> NDArray[np.bool_]:
        """bool[n, d], True = missing."""
        shape: tuple[int, ...] = np.shape(x) if not isinstance(x, Mapping) else ()
        if len(shape) != 2 or shape[1] <= self.count:
            raise ValueError(
                f"queries have shape {shape or 'of a dict'}; {self.count} missing columns need a table [n, d] of more than that."
            )
        columns = seeded_stream("missing features", self.seed).random(shape).argsort(axis=1)[:, : self.count]
        mask = np.zeros(shape, bool)
        np.put_along_axis(mask, columns, True, axis=1)
        return mask


def read_mask(given: Any) -> tuple[Any, list[Any], NDArray[np.bool_]]:
    """A mask in each of its forms, see `MissingFeatures`.

    Returns:
      It as an array or a dict of them, the m columns that any record misses, and bool[n or 1, m], True = missing.
    Raises:
      ValueError: if it is no mask.
    """
    if isinstance(given, str):
        given = [given]
    if isinstance(given, Sequence) and len(given) and all(isinstance(entry, str) for entry in given):
        given = dict.fromkeys(given, True)
    if not isinstance(given, Mapping):
        mask = _booleans(given, "mask", (1, 2))
        grid = np.atleast_2d(mask)
        if not grid.size:
            raise ValueError(
                f"mask has shape {mask.shape}; give a row for each query, or one for all, over all columns."
            )
        missing = np.flatnonzero(grid.any(axis=0))
        return mask, missing.tolist(), grid[:, missing]
    named = {key: _booleans(entry, f"mask of column {key!r}", (0, 1)) for key, entry in given.items()}
    if not named:
        raise ValueError("mask names no column; give the names of missing ones.")
    lengths = {len(entry) for entry in named.values() if entry.ndim}
    if len(lengths) > 1 or 0 in lengths:
        raise ValueError(f"mask has columns of {sorted(lengths)} rows; give True, or a row for each query.")
    keys = sorted(key for key, entry in named.items() if entry.any())
    return named, keys, _side_by_side(named, keys)


def observed_in(x: Any, mask: Any) -> NDArray[np.bool_]:
    """bool[n, d], or bool[1, d] for all queries, over all columns of x; of a mask from `read_mask`."""
    return ~(_side_by_side(mask, keys_of(x)) if isinstance(x, Mapping) else np.atleast_2d(mask))


def check_columns(x: Any, mask: Any, named: Collection[Any]) -> None:
    """Nothing, if arrays or tensors have the columns that the mask covers and those that are `named`.

    Raises:
      ValueError: otherwise.
    """
    by_name = isinstance(x, Mapping)
    if by_name != isinstance(mask, Mapping):
        raise ValueError(
            f"queries are {'a dict of columns' if by_name else 'a table'}, but the mask is "
            f"{'an array' if by_name else 'one of named columns'}; give a dict with names, or an array with an array."
        )
    if by_name:
        if unknown := [key for key in (*mask, *named) if key not in x]:
            raise ValueError(f"queries have no column {unknown[0]!r}; they have {', '.join(map(repr, keys_of(x)))}.")
    elif len(x.shape) != 2 or x.shape[1] != mask.shape[-1]:
        raise ValueError(
            f"queries have shape {tuple(x.shape)}, but the mask covers {mask.shape[-1]} columns; give [n, d] of that d."
        )


def check_observed(x: Any, mask: Any, named: Collection[Any]) -> None:
    """Nothing, if queries are a table that the mask fits, and each has observed columns, of which none is NaN.

    Raises:
      ValueError: otherwise.
    """
    check_table(x, "queries")
    check_columns(x, mask, named)
    observed = observed_in(x, mask)
    rows, given = len(observed), num_rows(x)
    if rows not in (1, given):
        raise ValueError(f"mask has {rows} rows, but there are {given} queries; give a row for each, or one for all.")
    if (blind := ~observed.any(axis=1)).any():
        raise ValueError(f"query {int(blind.argmax())} has no observed column: any record would agree; unmask one.")
    for key, seen in zip(keys_of(x), observed.T, strict=True):
        values = column(x, key)
        if values.dtype.kind == "f" and (np.isnan(values) & seen).any():
            raise ValueError(
                f"column {key!r} holds NaN where the mask says it is observed; mask it, or fill in a value."
            )


def _side_by_side(mask: Mapping[Any, NDArray[np.bool_]], keys: list[Any]) -> NDArray[np.bool_]:
    """bool[n or 1, len(keys)]."""
    missing = np.zeros((max(entry.size for entry in mask.values()), len(keys)), bool)
    for place, key in enumerate(keys):
        missing[:, place] = mask.get(key, False)
    return missing


def _booleans(given: Any, what: str, dimensions: tuple[int, ...]) -> NDArray[np.bool_]:
    array = np.array(given)
    if array.dtype != bool:
        raise ValueError(f"{what} has dtype {array.dtype}; give booleans, True = missing.")
    if array.ndim not in dimensions:
        shapes = "bool[d] for all queries or bool[n, d]" if 2 in dimensions else "True or bool[n]"
        raise ValueError(f"{what} has shape {array.shape}; give {shapes}.")
    array.flags.writeable = False
    return array

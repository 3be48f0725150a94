"""Which columns of which records are missing: each record has as many slots as the one that misses most, filled from the left."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray


class Query(NamedTuple):
    """What an attacker sees of records.

    Attributes:
      x: a table whose values count where `observed` is True, and nowhere else.
      observed: bool[n, d], or bool[1, d] for all records.
    """

    x: Any
    observed: NDArray[np.bool_]


class Slots(NamedTuple):
    """Missing columns of one type, and which of them each record misses.

    Attributes:
      kind: what they hold, see `type_of`.
      keys: the m columns that any record misses.
      chosen: int32[n, k] in 0 … m − 1, those a record misses, in order; m = none. One row if all miss the same.
    """

    kind: str
    keys: list[Any]
    chosen: NDArray[np.int32]


def chosen_slots(missing: NDArray[np.bool_]) -> NDArray[np.int32]:
    """int32[n, k] from bool[n, m]; see `Slots.chosen`."""
    numbers = np.broadcast_to(np.arange(missing.shape[1], dtype=np.int32), missing.shape)
    return packed(numbers, missing, missing.shape[1])


def place_values(
    chosen: NDArray[np.int32], sizes: list[float], labels: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What a step of each slot counts in the number of a point, float64[n, k], and how many points there are, float64[n].

    The last slot of a record is the fastest, but for the label. Infinite where that is unknown.

    Args:
      chosen: int32[n, k] in 0 … m, see `Slots`.
      sizes: how many values each of the m columns has.
      labels: how many the label has.
    """
    digits = np.array([*sizes, 1.0])[chosen][:, ::-1]
    with np.errstate(over="ignore"):  # to infinity, which is what it may as well be
        faster = np.cumprod(np.concatenate([np.full((len(chosen), 1), labels), digits], axis=1), axis=1)
    return faster[:, -2::-1], faster[:, -1]


def slots_among(chosen: NDArray[np.int32], numbers: list[int], m: int) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
    """The slots [n, j] of some of m columns alone, counted among these, and where they stood, bool[n, k]."""
    number = np.full(m + 1, len(numbers), np.int32)
    number[numbers] = np.arange(len(numbers))
    wanted = number[chosen] < len(numbers)
    return packed(number[chosen], wanted, len(numbers)), wanted


def packed(values: NDArray[Any], wanted: NDArray[np.bool_], filler: int) -> NDArray[Any]:
    """[n, j], the wanted values of each row [n, k], moved to its left."""
    counts = wanted.sum(axis=1)
    found = np.full((len(wanted), counts.max(initial=0)), filler, values.dtype)
    found[np.arange(found.shape[1]) < counts[:, None]] = values[wanted]
    return found

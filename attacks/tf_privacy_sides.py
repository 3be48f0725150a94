"""A user's arrays of members ("train") and non-members ("test") read as numbers, and joined."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .number_arrays import as_numbers

_INSTEAD = {
    "labels": "give class numbers, the same on both sides (np.unique(both_sides, return_inverse=True)[1]), or 0/1 rows"
}


def read_side(given: ArrayLike, name: str, side: str) -> NDArray[Any]:
    """Numbers [n, ...], a single column as [n].

    Args:
      given: from the user.
      name: of the field, without its side.
      side: "train" or "test".
    Raises:
      ValueError: if it holds something else, or is no array.
    """
    field = f"{name}_{side}"
    array = as_numbers(given, field, _INSTEAD.get(name, "give numbers, one row a record"))
    if array.ndim == 0:
        raise ValueError(f"{field} has shape (); give one row a record.")
    return array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array


def joined_sides(name: str, train: NDArray[Any] | None, test: NDArray[Any] | None) -> NDArray[Any] | None:
    """Members, then non-members, in one array; None if neither side is given.

    Raises:
      ValueError: if one side is missing or empty, or they differ in width.
    """
    if train is None and test is None:
        return None
    if train is None or test is None:
        here, there = ("test", "train") if train is None else ("train", "test")
        raise ValueError(f"{name}_{here} is given but {name}_{there} is not; give both or neither.")
    for side, array in (("train", train), ("test", test)):
        if len(array) == 0:
            raise ValueError(
                f"{name}_{side} has 0 records; an attack is judged on members and non-members, so give some of each."
            )
    if train.shape[1:] != test.shape[1:]:
        raise ValueError(
            f"{name}_train has shape {train.shape} and {name}_test {test.shape}; give one row a record, of equal width."
        )
    return np.concatenate([train, test])

"""Numbers, flags and groups as users give them: arrays, lists, pandas columns or tensors, or why they cannot be read.

NumPy by itself would read dates and the real part of complex numbers as numbers, forget a mask, and round whole numbers beyond
2^53 until different ones are equal, all without a word.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

_ONE_A_RECORD = "give numbers, one row a record"
_EXACT = 2**53


def as_numbers(given: ArrayLike, name: str, instead: str = _ONE_A_RECORD) -> NDArray[Any]:
    """An array of bool, int or float, of any shape; a NumPy array of such comes back itself.

    Objects (what pandas makes of a column with a None in it) are read as the numbers that they are, None as NaN.

    Args:
      given: from a user.
      name: what to call it in messages.
      instead: what to say of arrays that hold something else.
    Raises:
      ValueError: if it holds something else, is masked in places, or has rows of different lengths.
    """
    array = as_plain_array(given, name)
    if array.dtype.kind == "O":
        array = as_plain_array(array.tolist(), name)
    if array.dtype.kind == "O":
        try:
            array = array.astype(np.float64)
        except (TypeError, ValueError, OverflowError):
            raise ValueError(f"{name} holds objects that are no numbers; {instead}.") from None
    if array.dtype.kind == "V" and array.dtype.type is not np.void:
        # What TensorFlow adds to NumPy's types: bfloat16, narrower floats and integers.
        array = array.astype(np.float32)
    if array.dtype.kind not in "buif":
        raise ValueError(f"{name} has dtype {array.dtype}; {instead}.")
    return array


def as_floats(given: ArrayLike, name: str, instead: str = _ONE_A_RECORD) -> NDArray[np.float64]:
    """The numbers in float64; see `as_numbers`.

    Raises:
      ValueError: as `as_numbers`, or on whole numbers that would be rounded.
    """
    array = as_numbers(given, name, instead)
    if array.dtype.kind in "iu" and array.dtype.itemsize == 8:
        large = array[(array > _EXACT) | (array < -_EXACT)] if array.dtype.kind == "i" else array[array > _EXACT]
        rounded = [number for number in large.tolist() if float(number) != number]
        if rounded:
            raise ValueError(
                f"{name} holds whole numbers beyond 2^53 that 64-bit floats would round (first: {rounded[0]}), so that different "
                "ones may become equal; subtract a constant, or give their ranks."
            )
    with np.errstate(over="ignore"):  # of long doubles
        return array.astype(np.float64, copy=False)


def as_flags(given: ArrayLike, name: str, meaning: str) -> NDArray[np.bool_]:
    """The flags as bool, of any shape.

    Args:
      given: from a user.
      name: what to call them in messages.
      meaning: what a flag says, for messages.
    Raises:
      ValueError: if they are no numbers, or hold others than 0 and 1.
    """
    array = as_numbers(given, name, "give 0 / 1 or False / True")
    if array.dtype != bool and not np.isin(array, (0, 1)).all():
        raise ValueError(f"{name} holds values other than 0 and 1 (or False and True); {meaning}")
    return array.astype(bool, copy=False)


def group_codes(given: ArrayLike, name: str) -> NDArray[np.int64]:
    """Whole numbers from 0 on that stand for the values, in the values' order; equal for equal ones. Of the array's shape.

    Args:
      given: numbers, names or whatever can be ordered.
      name: what to call it in messages.
    Raises:
      ValueError: if values are missing (NaN, None), or cannot be ordered.
    """
    array = as_plain_array(given, name)
    try:
        values, codes = np.unique(array, return_inverse=True)
        missing = bool((values != values).any())
    except TypeError as reason:
        raise ValueError(
            f"{name} holds values that are missing, or cannot be told apart or ordered ({reason}); give numbers or names."
        ) from None
    if missing:
        raise ValueError(f"{name} is missing (NaN) in some places; give each record a value.")
    return codes.reshape(array.shape)


def as_plain_array(given: ArrayLike, name: str) -> NDArray[Any]:
    """An array of whatever it holds.

    Raises:
      ValueError: if it is masked in places, or has rows of different lengths.
    """
    if np.ma.is_masked(given):
        raise ValueError(f"{name} is masked in places, where it has no value; leave those records out.")
    try:
        return np.asarray(given)
    except ValueError:
        raise ValueError(f"{name} has rows of different lengths; give an array, one row a record.") from None

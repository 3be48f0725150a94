"""Non-members that are members in truth: records that stand on both sides, inputs and label."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf
from numpy.typing import NDArray

from .record_arrays import Records, is_ragged


class DuplicateWatch:
    """Watches one side go by and marks the records of the other that occur there exactly.

    Memory is one hash a watched-for record, whatever passes by; matching hashes are confirmed by comparing the records.
    """

    def __init__(self, wanted: Records) -> None:
        self._wanted = wanted
        hashes = record_hashes(wanted[:2])
        self._order = np.argsort(hashes, kind="stable")
        self._hashes = hashes[self._order]
        self.found = np.zeros(len(wanted), bool)

    def __call__(self, batch: Records) -> None:
        """Compares one batch of the other side."""
        hashes = record_hashes(batch[:2])
        first = np.searchsorted(self._hashes, hashes, "left")
        last = np.searchsorted(self._hashes, hashes, "right")
        for row in np.flatnonzero(first < last):
            for match in self._order[first[row] : last[row]]:
                if not self.found[match]:
                    self.found[match] = _same(self._wanted.take(match)[:2], batch.take(row)[:2])


def matching_rows(wanted: Records, records: Records) -> NDArray[np.int64]:
    """int[n], for each wanted record the first row of `records` that equals it, inputs and label; −1 where none does."""
    hashes = record_hashes(records[:2])
    order = np.argsort(hashes, kind="stable")
    asked = record_hashes(wanted[:2])
    first = np.searchsorted(hashes[order], asked, "left")
    found = np.full(len(asked), -1, np.int64)
    for index, start in enumerate(first):
        while start < len(order) and hashes[order[start]] == asked[index]:
            if _same(wanted.take(index)[:2], records.take(order[start])[:2]):
                found[index] = order[start]
                break
            start += 1
    return found


def record_hashes(records: Any) -> NDArray[np.uint64]:
    """uint64[n], equal for records of equal numbers, whatever their types, of a nest of arrays."""
    leaves = tf.nest.flatten(records)
    total = np.zeros(len(leaves[0]), np.uint64)
    for index, leaf in enumerate(leaves):
        rows = _words(_comparable(leaf).reshape(len(leaf), -1))
        words = pd.util.hash_array(rows.ravel(), categorize=False).reshape(rows.shape)
        places = np.arange(rows.shape[1], dtype=np.uint64) + np.uint64(2**32 * index)
        # Mixed word by word before they are summed: a weighted sum of few distinct words would tell little of their places.
        total += _mixed(words ^ _mixed(places)).sum(axis=1, dtype=np.uint64)
        beyond = _beyond_32_bits(leaf)
        if beyond is not None:
            columns = np.arange(beyond.shape[1], dtype=np.uint64) + np.uint64(2**32 * index + 2**31)
            total += np.where(beyond == 0, np.uint64(0), _mixed(beyond ^ _mixed(columns))).sum(axis=1, dtype=np.uint64)
    return total


def _mixed(words: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """Steele, Lea & Flood's splitmix64: every bit of a word decides about every bit of the result."""
    mixed = words + np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return mixed ^ (mixed >> np.uint64(31))


def _words(rows: NDArray[Any]) -> NDArray[Any]:
    """Numbers as the fewest 64-bit words a row; strings stay as they are."""
    if rows.dtype == object:
        return rows
    as_bytes = np.ascontiguousarray(rows).view(np.uint8).reshape(len(rows), -1)
    return np.pad(as_bytes, ((0, 0), (0, -as_bytes.shape[1] % 8))).view(np.uint64)


def _comparable(leaf: Any) -> np.ndarray:
    array = np.asarray(leaf)
    if is_ragged(array):
        return np.array([_comparable(row).tobytes() for row in array], object)
    if _is_number(array):
        with np.errstate(over="ignore"):
            return array.astype(np.float32) + np.float32(0)  # + 0 makes -0.0 and 0.0 one value
    return array.astype(object) if array.dtype.kind in "SU" else array


def _is_number(array: np.ndarray) -> bool:
    # Types that NumPy does not know by itself, bfloat16 and narrower ones, have kind V.
    return array.dtype.kind in "fiub" or (array.dtype.kind == "V" and array.dtype.names is None)


def _beyond_32_bits(leaf: Any) -> NDArray[np.uint64] | None:
    """uint64[n, ...]: whole numbers that 32-bit floats round, 0 for all others; None where there are none."""
    array = np.asarray(leaf)
    if array.dtype.kind not in "iu" or array.dtype.itemsize < 4 or not array.size:
        return None
    rows = array.reshape(len(array), -1)
    wide = rows.astype(np.int64) if array.dtype.kind == "i" else rows
    rounded = (wide > 2**24) | ((wide < -(2**24)) if array.dtype.kind == "i" else False)
    return np.where(rounded, wide, 0).astype(np.uint64) if rounded.any() else None


def _same(left: Any, right: Any) -> bool:
    pairs = zip(tf.nest.flatten(left), tf.nest.flatten(right), strict=True)
    return all(_same_leaf(a, b) for a, b in pairs)


def _same_leaf(left: Any, right: Any) -> bool:
    both = np.asarray(left), np.asarray(right)
    # As they are where a 32-bit float would round: both are whole numbers, or it is one float beside another.
    if all(array.dtype.kind in "iu" for array in both):
        return np.array_equal(*both)
    first, second = (_comparable(array) for array in both)
    if not np.array_equal(first, second):
        return False
    # Numbers beyond 32-bit floats are infinite there.
    beyond = np.isinf(first) if first.dtype == np.float32 else np.zeros(first.shape, bool)
    return bool((both[0][beyond] == both[1][beyond]).all())

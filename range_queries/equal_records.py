"""Which records of two sides are equal, or differ by rounding alone: a join on hashes and on a few sums, then a comparison."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from privacy_callbacks.attacks.duplicates import record_hashes
from privacy_callbacks.attacks.record_arrays import is_ragged
from privacy_callbacks.attacks.seeded_stream import seeded_stream

from .base_range import Pairs
from .equal_join import spans

BAND = 10.0  # times the tolerance: what lies between is uncertain
_BLOCK_BYTES = 2**25
_PAIRS = 2**20
_SUMS = 3
_EPSILON = np.finfo(np.float64).eps

Leaves = list[np.ndarray]


class Keys(NamedTuple):
    """What is compared of n records before they themselves are.

    Attributes:
      hashes: uint64[n], equal where all leaves without tolerance are.
      sums: float64[n, 3], weighted sums of leaves with tolerance, in units of it: records within tolerance differ by at most 1.
      slack: bound on the error of these sums.
    """

    hashes: NDArray[np.uint64]
    sums: NDArray[np.float64]
    slack: float

    def take(self, rows: Any) -> Keys:
        """Of these records."""
        return Keys(self.hashes[rows], self.sums[rows], self.slack)


def equal_pairs(x: Any, training: Any) -> Iterator[Pairs]:
    """Pairs of equal records, all certain.

    Args:
      x, training: nests of arrays [n, ...] and [t, ...].
    Raises:
      ValueError: if they have not the same structure, shapes and types.
    """
    ours = flat(x)
    theirs = alike(training, x)
    exact = [0.0] * len(ours)
    wanted, index = keys_of(ours, exact), KeyIndex(keys_of(theirs, exact))
    for rows, hits in index.near(wanted):
        for part in blocks(ours, len(rows)):
            within, _ = compared([leaf[rows[part]] for leaf in ours], [leaf[hits[part]] for leaf in theirs], exact)
            yield Pairs(rows[part][within], hits[part][within], np.ones(within.sum(), bool))


def flat(x: Any) -> Leaves:
    """The leaves of a nest; strings as Python's."""
    return [_as_text(np.asarray(leaf)) for leaf in tf.nest.flatten(x)]


def alike(training: Any, x: Any) -> Leaves:
    """The leaves of training records in the types of the centres.

    Raises:
      ValueError: if the two have not the same structure and shapes, or values that the other type cannot hold.
    """
    try:
        tf.nest.assert_same_structure(training, x)
    except (TypeError, ValueError) as reason:
        said = " ".join(str(reason).split())[:200]
        raise ValueError(f"training inputs and queries are nests of different structure: {said}.") from reason
    return [_in_type_of(leaf, centre) for leaf, centre in zip(flat(training), flat(x), strict=True)]


def keys_of(leaves: Leaves, tolerances: Sequence[float]) -> Keys:
    """Keys of the records in these leaves [n, ...]; tolerance 0 = exact."""
    exact = [leaf for leaf, tolerance in zip(leaves, tolerances, strict=True) if not tolerance]
    loose = [(leaf, tolerance) for leaf, tolerance in zip(leaves, tolerances, strict=True) if tolerance]
    count = len(leaves[0])
    hashes, sums, largest = np.zeros(count, np.uint64), np.zeros((count, _SUMS)), 0.0
    width = sum(int(np.prod(leaf.shape[1:], dtype=np.int64)) for leaf, _ in loose)
    weights = _weights(width)
    for part in blocks(leaves, count, np.float64().itemsize):
        if exact:
            hashes[part] = record_hashes([leaf[part] for leaf in exact])
        begin = 0
        for leaf, unit in loose:
            values = leaf[part].reshape(part.stop - part.start, -1)
            with np.errstate(invalid="ignore", over="ignore"):
                sums[part] += values.astype(np.float64) @ (weights[begin : begin + values.shape[1]] / unit)
            begin += values.shape[1]
            largest = max(largest, _largest(values) / unit)
    return Keys(hashes, sums, 4 * max(width, 1) * _EPSILON * largest)


def _largest(values: np.ndarray) -> float:
    """Of absolute values, infinite and undefined ones apart."""
    found = max(abs(float(values.min(initial=0))), abs(float(values.max(initial=0))))
    return found if np.isfinite(found) else float(np.abs(values[np.isfinite(values)]).max(initial=0))


class KeyIndex:
    """Records sorted by their keys.

    Args:
      keys: of t records.
    """

    def __init__(self, keys: Keys) -> None:
        finite = np.flatnonzero(np.isfinite(keys.sums).all(axis=1))
        self._keys = keys
        self._groups = np.unique(keys.hashes[finite])
        first = keys.sums[finite, 0]
        self._low, self._high = float(first.min(initial=np.inf)), float(first.max(initial=-np.inf))
        group = np.searchsorted(self._groups, keys.hashes[finite])
        # One number to sort by: groups lie further apart than a window reaches.
        self._span = max(self._high - self._low, 0.0) + 4 * (BAND + 1)
        places = group * self._span + (first - self._low)
        order = np.argsort(places, kind="stable")
        self._rows, self._places = finite[order], places[order]

    def near(self, wanted: Keys) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """Rows of wanted records and of indexed ones that may be equal within the band; at most about a million at once."""
        if not len(self._rows):
            return
        window = BAND + wanted.slack + self._keys.slack + 4 * _EPSILON * len(self._groups) * self._span
        group = np.minimum(np.searchsorted(self._groups, wanted.hashes), len(self._groups) - 1)
        first = wanted.sums[:, 0]
        known = (self._groups[group] == wanted.hashes) & np.isfinite(wanted.sums).all(axis=1)
        rows = np.flatnonzero(known & (first >= self._low - window) & (first <= self._high + window))
        places = group[rows] * self._span + (first[rows] - self._low)
        start = np.searchsorted(self._places, places - window, "left")
        stop = np.searchsorted(self._places, places + window, "right")
        for which, found in spans(start, stop - start, _PAIRS):
            ours, theirs = rows[which], self._rows[found]
            near = (np.abs(wanted.sums[ours] - self._keys.sums[theirs]) <= window).all(axis=1)
            near &= wanted.hashes[ours] == self._keys.hashes[theirs]
            yield ours[near], theirs[near]


def compared(left: Leaves, right: Leaves, tolerances: Sequence[float]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """bool[n] twice: which records are equal within the band, and which within tolerance; leaves [n, ...]."""
    within, certain = np.ones(len(left[0]), bool), np.ones(len(left[0]), bool)
    for one, other, tolerance in zip(left, right, tolerances, strict=True):
        if not tolerance:
            equal = _equal_rows(one, other)
            within &= equal
            certain &= equal
            continue
        far = np.abs(one.astype(np.float64) - other).reshape(len(one), -1).max(axis=1, initial=0.0)
        within &= far <= BAND * tolerance
        certain &= far <= tolerance
    return within, certain


def blocks(leaves: Leaves, count: int, least_bytes: int = 1) -> Iterator[slice]:
    """Slices of `count` records like these, such that copies of them stay within about 32 MB."""
    size = sum(int(np.prod(leaf.shape[1:], dtype=np.int64)) * max(leaf.dtype.itemsize, least_bytes) for leaf in leaves)
    rows = max(1, _BLOCK_BYTES // max(size, 1))
    for start in range(0, count, rows):
        yield slice(start, min(start + rows, count))


def _weights(width: int) -> NDArray[np.float64]:
    """float64[width, 3]; the absolute values of a column add up to 1."""
    drawn = seeded_stream("sums of records", width).standard_normal((width, _SUMS))
    return drawn / np.maximum(np.abs(drawn).sum(axis=0), np.finfo(np.float64).tiny)


def _equal_rows(one: np.ndarray, other: np.ndarray) -> NDArray[np.bool_]:
    if is_ragged(one):
        return np.array([np.array_equal(a, b) for a, b in zip(one, other, strict=True)], bool)
    return (one == other).reshape(len(one), -1).all(axis=1)


def _as_text(leaf: np.ndarray) -> np.ndarray:
    """Strings as Python's, from TensorFlow's bytes or NumPy's own; other arrays as they are."""
    if leaf.dtype.kind == "U":
        return leaf.astype(object)
    if leaf.dtype.kind == "S" or (leaf.dtype == object and any(isinstance(one, bytes) for one in leaf.ravel()[:1])):
        texts = [one.decode("utf-8", "surrogateescape") if isinstance(one, bytes) else one for one in leaf.ravel()]
        return np.array(texts, object).reshape(leaf.shape)
    return leaf


def _in_type_of(leaf: np.ndarray, centre: np.ndarray) -> np.ndarray:
    if leaf.shape[1:] != centre.shape[1:]:
        raise ValueError(
            f"training inputs have shape {leaf.shape}, queries {centre.shape}; records must have one shape."
        )
    if leaf.dtype == centre.dtype:
        return leaf
    with np.errstate(invalid="ignore", over="ignore"):
        cast = leaf.astype(centre.dtype) if centre.dtype != object and leaf.dtype != object else None
    floats = leaf.dtype.kind == "f" and centre.dtype.kind == "f"
    if cast is None or not (floats or np.array_equal(cast.astype(leaf.dtype), leaf)):
        raise ValueError(f"training inputs are of type {leaf.dtype}, queries of {centre.dtype}; give both in one type.")
    return cast

"""A block of queries against a block of training records: the nearest ones, or all within a radius.

Columns that differ are counted by products where there are few values. Other distances are sorted out by products: a pair is
believed to be far, or near, where the rounding error cannot change that, and computed in float64 otherwise. Products give the
ℓ2 distance, but they sort out for other norms too, because no ℓ1 distance is below it, and no ℓ∞ distance below 1/√d of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from .coded_blocks import UNIT_ROUNDOFF, CodedBlock, product
from .exact_distances import all_distances, paired_distances

_TOO_MANY = 1 / 8  # of a block's pairs to be computed one by one; beyond, all at once is faster
_UNDERFLOW = 2.0**-120  # more than a column loses by it

# Of pairs: which query (counted in its block), which training record (in its block), what distance, or NaN if surely within.
Found = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]


class BlockPair:
    """A block of queries and a block of training records, coded alike."""

    def __init__(self, left: CodedBlock, right: CodedBlock) -> None:
        self._left, self._right, self._coding = left, right, left.coding
        self._d = left.records.shape[1]

    def __len__(self) -> int:
        """Of the queries."""
        return len(self._left)

    def nearer_than(self, best: NDArray[np.float64]) -> Iterator[Found]:
        """Pairs among which, for each query, is the first of the nearest of these training records, if nearer than `best`."""
        counts = self._counts()
        if counts is not None:
            hits = counts.argmin(axis=1)
            yield np.arange(len(hits)), hits, np.take_along_axis(counts, hits[:, None], 1)[:, 0].astype(np.float64)
            return
        screen = self._screen()
        if screen is None:
            yield from self._nearest_of_all(np.arange(len(self._left)))
            return
        scores, lowest = screen
        limits = self._threshold(best)
        limits[best == 0] = -np.inf  # nothing is nearer
        for rows in self._in_groups(np.flatnonzero(lowest <= limits)):
            some = tf.gather(scores, rows).numpy()
            reach = np.minimum(best[rows], paired_distances(self._left, self._right, rows, some.argmin(axis=1)))
            inside = some <= self._threshold(reach, rows)[:, None]
            if np.count_nonzero(inside) > len(rows) + _TOO_MANY * inside.size:
                yield from self._nearest_of_all(rows)
            else:
                places, hits = np.nonzero(inside)
                yield rows[places], hits, paired_distances(self._left, self._right, rows[places], hits)

    def within(self, radius: float, limit: float) -> Iterator[Found]:
        """All pairs that are at most `limit` apart; in the place of a distance surely within `radius` stands NaN."""
        counts = self._counts()
        if counts is not None:
            for rows in self._in_groups(np.flatnonzero(counts.min(axis=1) <= limit)):
                places, hits = np.nonzero(counts[rows] <= limit)
                yield rows[places], hits, counts[rows[places], hits].astype(np.float64)
            return
        screen = self._screen()
        if screen is None:
            yield from self._within_of_all(np.arange(len(self._left)), radius, limit)
            return
        scores, lowest = screen
        limits = self._threshold(np.full(len(self._left), limit))
        for rows in self._in_groups(np.flatnonzero(lowest <= limits)):
            some = tf.gather(scores, rows).numpy()
            places, hits = np.nonzero(some <= limits[rows, None])
            sure = self._surely_within(some[places, hits], rows[places], hits, radius)
            if np.count_nonzero(~sure) > _TOO_MANY * some.size:
                yield from self._within_of_all(rows, radius, limit)
                continue
            distance = np.full(len(places), np.nan)
            distance[~sure] = paired_distances(self._left, self._right, rows[places[~sure]], hits[~sure])
            inside = ~(distance > limit)
            yield rows[places[inside]], hits[inside], distance[inside]

    def _in_groups(self, rows: NDArray[np.int64]) -> Iterator[NDArray[np.int64]]:
        size = max(1, self._coding.memory // (16 * len(self._right)))
        for start in range(0, len(rows), size):
            yield rows[start : start + size]

    def _counts(self) -> NDArray[np.float32] | None:
        """float32[k, l], in how many columns records differ: whole numbers; None if that is not to be had by products."""
        values, left, right = self._coding.values, self._left, self._right
        if values is None or self._d >= 1 / UNIT_ROUNDOFF:
            return None
        if self._coding.binary and right.is_binary:
            return ((self._d - product(left.signs, right.signs)) / 2).numpy()
        if self._coding.norm == 1:
            return None
        return (self._d - tf.add_n([product(left.having(value), right.having(value)) for value in values])).numpy()

    def _screen(self) -> tuple[Any, NDArray[np.float32]] | None:
        """(a float32 tensor [k, l], the least of each row): see `_threshold`; None if products cannot tell."""
        if self._coding.norm == "hamming":
            return None
        half = (1 - self._coding.kappa) / 2 * self._right.squares
        largest = max(np.max(self._left.squares, initial=0), np.max(half, initial=0))
        if not largest < 1e36:  # too unlike the first block for float32
            return None
        scores = tf.constant(half, tf.float32) - product(self._left.parts, self._right.parts)
        return scores, tf.reduce_min(scores, axis=1).numpy()

    def _threshold(self, distance: NDArray[np.float64], rows: Any = slice(None)) -> NDArray[np.float32]:
        """float32[k]: a pair whose score is larger is further apart than this."""
        coding = self._coding
        with np.errstate(over="ignore"):
            reach = distance * coding.scale * (np.sqrt(self._d) if coding.norm == np.inf else 1.0)
            half = reach**2 / 2 * (1 + 1e-9) - (1 - coding.kappa) / 2 * self._left.squares[rows]
            return np.nextafter((half + self._d * _UNDERFLOW).astype(np.float32), np.float32(np.inf))

    def _surely_within(
        self, scores: NDArray[np.float32], rows: NDArray[np.int64], hits: NDArray[np.int64], radius: float
    ) -> NDArray[np.bool_]:
        """bool: no rounding could have made these Euclidean distances larger than the radius."""
        if self._coding.norm != 2:
            return np.zeros(len(rows), bool)
        kappa, ours, theirs = self._coding.kappa, self._left.squares[rows], self._right.squares[hits]
        largest = scores + (1 - kappa) / 2 * ours + kappa * (ours + theirs) + self._d * _UNDERFLOW
        return largest <= (radius * self._coding.scale) ** 2 / 2 * (1 - 1e-9)

    def _nearest_of_all(self, rows: NDArray[np.int64]) -> Iterator[Found]:
        for some, begin, distance in all_distances(self._left, self._right, rows):
            hits = distance.argmin(axis=1) + begin
            yield some, hits, paired_distances(self._left, self._right, some, hits)

    def _within_of_all(self, rows: NDArray[np.int64], radius: float, limit: float) -> Iterator[Found]:
        for some, begin, distances in all_distances(self._left, self._right, rows):
            places, hits = np.nonzero(distances <= limit * (1 + 1e-9))
            distance = distances[places, hits]
            # Sums in another order may differ in the last digit, which decides at the edge.
            edge = (distance >= limit * (1 - 1e-9)) | (np.abs(distance - radius) <= radius * 1e-9)
            distance[edge] = paired_distances(self._left, self._right, some[places[edge]], hits[edge] + begin)
            inside = distance <= limit
            yield some[places[inside]], hits[inside] + begin, distance[inside]

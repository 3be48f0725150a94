"""Distances from records to training records: to the nearest one, and which of them lie within a radius.

Assumes numbers: the leaves of a nest are flattened and joined as columns, each of them counting alike, and a distance is that
of the values as given, taken as float64. Blocks of both sides are compared, so memory does not grow with their lengths.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .base_range import Pairs
from .block_distances import BlockPair, Found
from .coded_blocks import CodedBlock, Coding
from .norm_and_radius import checked_norm
from .record_columns import Columns, training_blocks

BLOCK_BYTES = 64 * 2**20
_MOST_AT_ONCE = 4096  # training records of one product: more are no faster


@dataclass(frozen=True, eq=False)
class NearestRecords:
    """The training record that is nearest to each of n queries.

    Attributes:
      distance: float64[n]; exactly 0 for an equal record; for "hamming" a number of columns.
      row: int64[n], which training record, counted from 0; of several equally near ones the first.
    """

    distance: NDArray[np.float64]
    row: NDArray[np.int64]


def nearest_training_distance(
    x: Any, training: Any, p: float | str = 2, *, block_bytes: int = BLOCK_BYTES
) -> NearestRecords:
    """How far the nearest training record is from each query, to the precision of float64.

    Euclidean distances, and "hamming" ones and ℓ1 between zeros and ones, cost little more than a matrix product. Other ℓ1 and
    ℓ∞ distances, and "hamming" with more than 32 values, are computed pair by pair where products cannot tell: that is
    some thirty times slower.

    Args:
      x: queries, an array [n, ...] or a nest of arrays; numbers or booleans.
      training: training records like x, [t, ...], or an iterable of batches of such, which is read once.
      p: 1, 2, np.inf (or "inf"), or "hamming", the number of columns that differ.
      block_bytes: memory for blocks, approximately.
    Raises:
      ValueError: on another p, strings, ragged or missing values, records of different shapes, or no training record.
    """
    norm, queries = checked_norm(p), Columns(x, "x")
    best, row, seen = np.full(len(queries), np.inf), np.zeros(len(queries), np.int64), False
    for offset, start, pair in _block_pairs(queries, x, training, norm, block_bytes):
        seen, own = True, slice(start, start + len(pair))
        for found in pair.nearer_than(best[own]):
            _keep_nearest(found, best[own], row[own], offset)
    if not seen and len(queries):
        raise ValueError("training holds no record, so none is nearest; give at least one.")
    return NearestRecords(best, row)


def pairs_within(
    x: Any, training: Any, radius: float, p: float | str, margin: float, *, block_bytes: int = BLOCK_BYTES
) -> Iterator[Pairs]:
    """Pairs of queries and training records that are at most `radius` · (1 + `margin`) apart; certain up to `radius`.

    Args:
      x, training, p, block_bytes: as `nearest_training_distance`; no training record makes no pair.
      radius: the largest distance; a pair that is just so far apart is within it.
      margin: at least 0.
    """
    norm, queries = checked_norm(p), Columns(x, "x")
    for offset, start, pair in _block_pairs(queries, x, training, norm, block_bytes):
        for rows, hits, distance in pair.within(radius, radius * (1 + margin)):
            if len(rows):
                yield Pairs(rows + start, hits + offset, ~(distance > radius))


def _block_pairs(
    queries: Columns, x: Any, training: Any, norm: float | str, block_bytes: int
) -> Iterator[tuple[int, int, BlockPair]]:
    """(first training record, first query, the comparison of a block of queries with one of training records)."""
    part, d = max(1, int(block_bytes) // 4), queries.d
    across = min(_MOST_AT_ONCE, max(1, part // (4 * d)))
    down = max(1, min(part // (4 * across), part // (4 * d)))
    blocks = training_blocks(training, x, queries, across)
    first = next(blocks, None)
    if first is None or not len(queries):
        return
    coding = Coding.of(queries, first, norm, down, part)
    kept = 4 * len(queries) * d <= part  # else each is brought into float32 again for every block of training records
    lefts = [CodedBlock(block, coding) for block in queries.blocks(down)] if kept else None
    offset = 0
    for block in chain([first], blocks):
        right = CodedBlock(block, coding)
        for index, left in enumerate(lefts or (CodedBlock(each, coding) for each in queries.blocks(down))):
            yield offset, index * down, BlockPair(left, right)
        offset += len(block)


def _keep_nearest(found: Found, best: NDArray[np.float64], row: NDArray[np.int64], offset: int) -> None:
    """Writes into `best` and `row` what is nearer than that."""
    rows, hits, distance = found
    order = np.lexsort((hits, distance, rows))
    rows, hits, distance = rows[order], hits[order], distance[order]
    first = np.flatnonzero(np.diff(rows, prepend=-1))
    first = first[distance[first] < best[rows[first]]]
    best[rows[first]], row[rows[first]] = distance[first], hits[first] + offset

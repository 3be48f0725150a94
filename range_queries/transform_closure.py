"""Ground truth of variations: which records are transformations of each other, whichever of the two was transformed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from .base_range import Pairs
from .equal_records import KeyIndex, Keys, Leaves, alike, blocks, compared, flat, keys_of
from .transformed_batch import Transformation, TransformGraphs, acted_on

_QUERY_ROWS, _TRAINING_ROWS = 4096, 8192

Found = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]


class TransformClosure:
    """Pairs of a query x and a training record z with z = T(x) or x = T(z) for a transformation T of a list.

    Args:
      transformations: these, hashable.
      graphs: what they make of a batch.
      tolerance: see `Transformations`.
      centres: queries whose keys are kept (32 bytes a query and transformation) once they have been asked about; None = none.
    """

    def __init__(
        self,
        transformations: Sequence[Transformation],
        graphs: TransformGraphs,
        tolerance: float | None,
        centres: Any = None,
    ) -> None:
        self._transformations, self._graphs = transformations, graphs
        self._tolerance, self._centres = tolerance, centres
        self._known: list[Keys] | None = None

    def pairs(self, x: Any, training: Any) -> Iterator[Pairs]:
        """Each pair once in a part, certain if one way to it is.

        Args:
          x, training: nests of arrays [n, ...] and [t, ...].
        """
        queries, records = flat(x), alike(training, x)
        tolerances = self._tolerances(queries)
        plain = keys_of(queries, tolerances)
        varied = self._keys_of_queries(x, queries, tolerances)
        for start in range(0, len(records[0]), _TRAINING_ROWS):
            some = [leaf[start : start + _TRAINING_ROWS] for leaf in records]
            as_given = KeyIndex(keys_of(some, tolerances))
            transformed = [KeyIndex(keys) for keys in self._keys(x, some, tolerances)]
            for first in range(0, len(queries[0]), _QUERY_ROWS):
                part = slice(first, first + _QUERY_ROWS)
                found: list[Found] = []
                for one, of_queries, of_records in zip(self._transformations, varied, transformed, strict=True):
                    for rows, hits in _candidates(as_given, of_queries, part, queries):
                        made = self._made_of(one, x, queries, rows)
                        found += _confirmed(rows, hits, made, [leaf[hits] for leaf in some], tolerances)
                    for rows, hits in _candidates(of_records, plain, part, queries):
                        made = self._made_of(one, x, some, hits)
                        found += _confirmed(rows, hits, [leaf[rows] for leaf in queries], made, tolerances)
                yield _once(found, start)

    def _tolerances(self, queries: Leaves) -> list[float]:
        """One a leaf; see `compared`."""
        acted = acted_on(queries)
        if self._tolerance is not None:
            return [self._tolerance if place in acted else 0.0 for place in range(len(queries))]
        return [_rounding(leaf, self._graphs.domain) if place in acted else 0.0 for place, leaf in enumerate(queries)]

    def _keys_of_queries(self, x: Any, queries: Leaves, tolerances: Sequence[float]) -> list[Keys]:
        if x is not self._centres:
            return list(self._keys(x, queries, tolerances))
        if self._known is None:
            self._known = list(self._keys(x, queries, tolerances))
        return self._known

    def _keys(self, x: Any, leaves: Leaves, tolerances: Sequence[float]) -> Iterator[Keys]:
        """For each transformation, of what it makes of records in these leaves."""
        for one in self._transformations:
            parts = [
                keys_of(self._run(one, x, [leaf[part] for leaf in leaves]), tolerances)
                for part in blocks(leaves, len(leaves[0]), 4)
            ]
            parts = parts or [keys_of(leaves, tolerances)]  # no record at all
            hashes, sums = (np.concatenate(column) for column in zip(*(keys[:2] for keys in parts), strict=True))
            yield Keys(hashes, sums, max(keys.slack for keys in parts))

    def _made_of(self, one: Transformation, x: Any, leaves: Leaves, rows: NDArray[np.int64]) -> Leaves:
        each, places = np.unique(rows, return_inverse=True)
        return [leaf[places] for leaf in self._run(one, x, [leaf[each] for leaf in leaves])]

    def _run(self, one: Transformation, x: Any, leaves: Leaves) -> Leaves:
        made = self._graphs(one, tf.nest.pack_sequence_as(x, leaves))
        return flat(tf.nest.map_structure(lambda leaf: leaf.numpy(), made))


def _rounding(leaf: np.ndarray, domain: tuple[float, float] | None) -> float:
    """Up to which difference values may come from arithmetic that rounds otherwise."""
    if leaf.dtype.kind != "f" or not leaf.size:
        return 0.0
    low, high = domain or (np.nanmin(leaf), np.nanmax(leaf))
    return max(1e-6, 2 * float(np.finfo(leaf.dtype).eps)) * (float(high) - float(low))


def _candidates(index: KeyIndex, keys: Keys, part: slice, queries: Leaves) -> Iterator[tuple[Any, Any]]:
    """Rows of queries and records that may be pairs, in blocks of bounded memory."""
    for rows, hits in index.near(keys.take(part)):
        for block in blocks(queries, len(rows)):
            yield rows[block] + part.start, hits[block]


def _confirmed(
    rows: NDArray[np.int64], hits: NDArray[np.int64], left: Leaves, right: Leaves, tolerances: Sequence[float]
) -> Iterable[Found]:
    within, certain = compared(left, right, tolerances)
    return [(rows[within], hits[within], certain[within])] if within.any() else []


def _once(found: list[Found], start: int) -> Pairs:
    if not found:
        return Pairs(np.zeros(0, np.int64), np.zeros(0, np.int64), np.zeros(0, bool))
    rows, hits, certain = (np.concatenate(column) for column in zip(*found, strict=True))
    order = np.lexsort((~certain, hits, rows))
    rows, hits, certain = rows[order], hits[order], certain[order]
    first = np.ones(len(rows), bool)
    first[1:] = (rows[1:] != rows[:-1]) | (hits[1:] != hits[:-1])
    return Pairs(rows[first], hits[first] + start, certain[first])

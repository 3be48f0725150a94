"""Which reference records are nearest to a query by what is observed of it."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .missing_slots import Query
from .table_columns import Categorical, Schema
from .tables import as_text, column, entries, keys_of, num_rows, slices

_CELLS_AT_ONCE = 1 << 24


def nearest_rows(query: Query, reference: Any, schema: Schema, count: int) -> NDArray[np.int64]:
    """int64[n, count]: rows of the nearest reference records, the nearest first.

    Squared distance: of numbers in units of the reference's standard deviations; 1 for each category that differs (strings,
    booleans, and columns of listed values).

    Args:
      query: of n records.
      reference: a table of the same columns, of at least `count` records.
      schema: says which numbers are categories.
    """
    x, observed = query
    space, known, queries = _Coordinates(reference, schema, x), num_rows(reference), num_rows(x)
    size = max(1, _CELLS_AT_ONCE // max(space.width, 1))
    ours = _CELLS_AT_ONCE // min(size, known) // 4
    best, rows = np.full((queries, count), np.inf), np.zeros((queries, count), np.int64)
    for block in slices(known, size):
        theirs = space.points(reference, block)
        factors = np.concatenate([theirs, np.square(theirs[:, space.numbers])], axis=1).T
        for some in slices(queries, min(size // 4, ours)):
            weights = space.spread(entries(observed, some))
            with np.errstate(over="ignore", invalid="ignore"):  # of what stands in the place of a missing value
                points = np.where(weights, space.points(x, some), 0)
            weights = np.broadcast_to(weights, points.shape)
            # Squared distances, but for what is the same for all reference records.
            apart = np.concatenate([-2 * points, weights[:, space.numbers].astype(np.float32)], axis=1) @ factors
            best[some], rows[some] = _least(best[some], rows[some], apart, block.start)
    return rows


class _Coordinates:
    """Coordinates in which the squared distance of two records is the one that `nearest_rows` speaks of.

    One of two categories is ±½, one of more is √½ in the place of its value: two that differ are 1 apart when squared, and all
    are equally long. A category that the reference does not have is 0, equally far from all.

    Attributes:
      width: how many coordinates.
      numbers: bool[width], those that stand for numbers.
    """

    def __init__(self, reference: Any, schema: Schema, x: Any) -> None:
        self._keys = keys_of(x)
        self._scales: dict[Any, tuple[float, float]] = {}
        self._values: dict[Any, NDArray[Any]] = {}
        for key in self._keys:
            values, held = as_text(column(reference, key)), schema[key]
            if isinstance(held, Categorical):
                self._values[key] = np.sort(np.array(held.values, dtype=str if values.dtype.kind == "U" else None))
            elif values.dtype.kind in "Ub":
                self._values[key] = np.unique(values)
            else:
                values = values.astype(np.float64)
                self._scales[key] = float(values.mean()), float(values.std()) or 1.0
        several = [len(self._values.get(key, ())) for key in self._keys]
        self._widths = np.array([number if number > 2 else 1 for number in several])
        self.width = int(self._widths.sum())
        self.numbers = np.repeat([key in self._scales for key in self._keys], self._widths)

    def spread(self, observed: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """[b, width]: each column's entry, once for each of its coordinates."""
        return np.repeat(observed, self._widths, axis=1)

    def points(self, x: Any, rows: slice) -> NDArray[np.float32]:
        """float32[b, width]."""
        points = np.zeros((rows.stop - rows.start, self.width), np.float32)
        for start, key in zip(np.cumsum(self._widths) - self._widths, self._keys, strict=True):
            values = as_text(column(x, key)[rows])
            if key in self._scales:
                mean, scale = self._scales[key]
                points[:, start] = (values - mean) / scale
                continue
            known = self._values[key]
            place = np.minimum(np.searchsorted(known, values), len(known) - 1)
            found = known[place] == values
            if len(known) > 2:
                points[np.arange(len(values)), start + place] = np.where(found, np.sqrt(0.5), 0)
            else:
                points[:, start] = np.where(found, place - 0.5, 0)
        return points


def _least(
    best: NDArray[np.float64], rows: NDArray[np.int64], apart: NDArray[np.float32], start: int
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """The k least of what was known and of new distances, in ascending order."""
    k = best.shape[1]
    if apart.shape[1] > k:
        near = np.argpartition(apart, k - 1, axis=1)[:, :k]
    else:
        near = np.broadcast_to(np.arange(apart.shape[1]), apart.shape)
    values = np.concatenate([best, np.take_along_axis(apart, near, axis=1)], axis=1)
    known = np.concatenate([rows, start + near], axis=1)
    order = np.lexsort((known, values))[:, :k]
    return np.take_along_axis(values, order, axis=1), np.take_along_axis(known, order, axis=1)

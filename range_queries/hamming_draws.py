"""Records that differ from a query in a few columns: how many there are, all of them, or one at random, each alike.

A column changes by a shift: it moves on by so many of its values, in a circle; see `column_values`.
"""

from __future__ import annotations

import functools
import itertools
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from .ball_draws import shares
from .column_values import shifted
from .seeded_draws import uniform, whole_numbers

_HOW_MANY, _COLUMNS, _VALUES, _GROUPS = range(2, 6)  # streams of random numbers


def records_within(counts: NDArray[np.int64], radius: int, most: int) -> int | None:
    """How many records differ in at most `radius` columns, or None if they are more than `most`.

    Args:
      counts: int64[d], how many values each column may hold.
    """
    if 1 + int(np.sum(counts - 1)) > most:
        return None
    changing = [1] + [0] * radius  # how many records differ in 0, 1, … columns
    for others in (counts - 1).tolist():
        changing = [one + others * less for one, less in zip(changing, [0, *changing], strict=False)]
    return sum(changing) if sum(changing) <= most else None


def listed_record(columns: Any, radius: int, counts: NDArray[np.int64], values: Any, index: Any) -> Any:
    """[n, d], the record number `index` of those within the radius, in turn; number 0 is [n, d] `columns` itself."""
    every = _every_shift(tuple(counts.tolist()), radius)
    shifts = tf.gather(tf.constant(every), tf.cast(index, tf.int64) % len(every))
    where = tf.broadcast_to(tf.range(len(counts)), tf.shape(columns))
    return shifted(columns, where, tf.broadcast_to(shifts, tf.shape(columns)), counts, values)


def drawn_record(
    columns: Any, radius: int, counts: NDArray[np.int64], values: Any, seed: Any, index: Any, first: Any
) -> Any:
    """[n, d], a record drawn uniformly from those within the radius of [n, d] `columns`."""
    where, shifts = _drawn_shifts(counts, radius, seed, index, tf.shape(columns)[0], first)
    changed = shifted(tf.gather(columns, where, batch_dims=1), where, shifts, counts, values)
    row = tf.broadcast_to(tf.range(tf.shape(columns)[0])[:, None], tf.shape(where))
    return tf.tensor_scatter_nd_update(columns, tf.stack([row, where], axis=-1), changed)


@functools.lru_cache(maxsize=16)
def _every_shift(counts: tuple[int, ...], radius: int) -> NDArray[np.int64]:
    """int64[size, d], every way to change at most `radius` columns; 0 = unchanged."""
    found = []
    for size in range(radius + 1):
        for columns in itertools.combinations(range(len(counts)), size):
            for shifts in itertools.product(*(range(1, counts[column]) for column in columns)):
                row = np.zeros(len(counts), np.int64)
                row[list(columns)] = shifts
                found.append(row)
    return np.stack(found)


def _drawn_shifts(
    counts: NDArray[np.int64], radius: int, seed: Any, index: Any, rows: Any, first: Any
) -> tuple[Any, Any]:
    """(int32[rows, s], different columns; int64[rows, s], by how many values they move on, 0 = unchanged)."""
    how_many, groups = _groups(tuple(counts.tolist()), radius)
    left = tf.searchsorted(tf.constant(how_many), shares(seed, index, rows, first, _HOW_MANY)[:, 0], side="right")
    keys = uniform((len(counts),), seed, index, rows, first, _COLUMNS)
    where, active, others = [], [], []
    for place, group in enumerate(groups):
        here = left
        if group.cumulative is not None:
            table = tf.gather(tf.constant(group.cumulative), left)
            above = shares(seed, index, rows, first, _GROUPS + place) >= table
            here = tf.reduce_sum(tf.cast(above, tf.int32), axis=1)
        left -= here
        own = keys if len(group.columns) == len(counts) else tf.gather(keys, group.columns, axis=1)
        slots = min(radius, len(group.columns))
        where.append(tf.gather(tf.constant(group.columns), tf.math.top_k(own, slots, sorted=True).indices))
        active.append(tf.range(slots)[None] < here[:, None])
        others += [group.others] * slots
    shifts = 1 + whole_numbers(np.array(others), (len(others),), seed, index, rows, first, _VALUES)
    return tf.concat(where, axis=1), tf.where(tf.concat(active, axis=1), shifts, 0)


class _Group(NamedTuple):
    """Columns with equally many values, and how many of them change."""

    others: int  # values but one
    columns: NDArray[np.int32]
    cumulative: NDArray[np.float64] | None  # [m, j]: of m that are left, at most j are of this group; None = all


@functools.lru_cache(maxsize=16)
def _groups(counts: tuple[int, ...], radius: int) -> tuple[NDArray[np.float64], tuple[_Group, ...]]:
    """(float64[radius + 1], the probability of at most k changed columns; the groups in which to find them).

    So many records change certain columns as the product of their other values; k columns of any, as the elementary symmetric
    polynomial of these. Columns with equally many are alike, so it is enough to draw how many of each group change.
    """
    others = np.array(counts) - 1
    kinds = [int(kind) for kind in np.unique(others[others > 0])]
    members = [np.flatnonzero(others == kind).astype(np.int32) for kind in kinds]
    own = [_log_ways(len(columns), kind, radius) for kind, columns in zip(kinds, members, strict=True)]
    rest = own[-1]  # of this group and those behind it
    tables: list[NDArray[np.float64] | None] = [None]
    for ways in own[-2::-1]:
        table = np.full((radius + 1, radius + 1), -np.inf)
        for left in range(radius + 1):
            table[left, : left + 1] = ways[: left + 1] + rest[left::-1]
        rest = np.logaddexp.reduce(table, axis=1)
        tables.insert(0, _cumulative(table))
    groups = tuple(_Group(*group) for group in zip(kinds, members, tables, strict=True))
    return _cumulative(rest[None])[0], groups


def _log_ways(columns: int, others: int, most: int) -> NDArray[np.float64]:
    """float64[most + 1], the logarithm of in how many ways 0, 1, … of so many columns change."""
    from scipy.special import gammaln

    k = np.arange(most + 1.0)
    possible = np.minimum(k, columns)
    ways = gammaln(columns + 1) - gammaln(possible + 1) - gammaln(columns - possible + 1) + k * np.log(others)
    return np.where(k <= columns, ways, -np.inf)


def _cumulative(log_ways: NDArray[np.float64]) -> NDArray[np.float64]:
    """[rows, k]; where nothing is possible, 1 from the first on."""
    most = log_ways.max(axis=1, keepdims=True)
    ways = np.exp(np.where(np.isneginf(most), 0, log_ways - np.where(np.isneginf(most), 0, most)))
    sums = np.cumsum(ways, axis=1)
    return sums / sums[:, -1:]

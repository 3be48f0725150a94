"""How missing values of a column are distributed, one column apart from another, and drawing them in a graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from .missing_slots import Slots
from .table_columns import Categorical, Numeric
from .tables import as_text, values_as

_MOST_BARS = 4096


class Bars(NamedTuple):
    """A distribution over values.

    Attributes:
      values: as many as there are weights.
      weights: float[v], above 0.
    """

    values: Sequence[Any]
    weights: NDArray[np.float64]


Law = Bars | Numeric  # a `Numeric` stands for the uniform distribution over it


def uniform_law(held: Categorical | Numeric) -> Law:
    """Every value that a column may hold alike."""
    return Bars(held.values, np.ones(len(held.values))) if isinstance(held, Categorical) else held


def marginal_law(values: NDArray[Any]) -> Bars:
    """The frequencies of values [n]; of numbers with more than 4,096 different ones 4,096 quantiles."""
    distinct, counts = np.unique(as_text(values), return_counts=True)
    if distinct.dtype.kind == "U" or len(distinct) <= _MOST_BARS:
        return Bars(distinct.tolist(), counts.astype(float))
    share = (np.arange(_MOST_BARS) + 0.5) / _MOST_BARS
    return Bars(np.quantile(values, share, method="inverted_cdf").tolist(), np.ones(_MOST_BARS))


class LawTable(NamedTuple):
    """The distributions of missing columns of one type; columns with the same one share it.

    Attributes:
      chosen: int32[n, k], which distribution a slot has, any for one that is none; [1, 1] where there is but one.
      sizes: int64[l], how many values each has; 1 where they are infinitely many.
      values: of all those that have a list of them, one after the other.
      edges: float64[v], for each value the share of its distribution that lies up to it, plus the distribution's number.
      starts: int64[l], where a distribution's values begin, or −1: it is a range of numbers.
      low, span: float64[l], of such a range.
      whole: bool[l], whether it holds whole numbers.
    """

    chosen: NDArray[np.int32]
    sizes: NDArray[np.int64]
    values: NDArray[Any]
    edges: NDArray[np.float64]
    starts: NDArray[np.int64]
    low: NDArray[np.float64]
    span: NDArray[np.float64]
    whole: NDArray[np.bool_]

    @classmethod
    def of(cls, slots: Slots, laws: Mapping[Any, Law | None]) -> LawTable:
        """From the distribution of each column; None = unknown, for a column that is not drawn."""
        numbers: dict[Any, int] = {}
        number_of = [numbers.setdefault(_identity(laws[key]), len(numbers)) for key in slots.keys]
        different = {number: laws[key] for number, key in zip(number_of, slots.keys, strict=True)}
        values: list[Any] = []
        edges: list[NDArray[np.float64]] = [np.zeros(0)]
        starts, sizes = np.full(len(different), -1), np.ones(len(different), np.int64)
        low, span = np.zeros(len(different)), np.zeros(len(different))
        for number, law in different.items():
            if isinstance(law, Bars):
                starts[number], sizes[number] = len(values), len(law.values)
                share = np.cumsum(law.weights) / np.sum(law.weights)
                share[-1] = 1
                edges.append(number + share)
                values.extend(law.values)
            elif law is not None:
                low[number], span[number] = law.low, law.size if law.integer else law.high - law.low
                sizes[number] = law.size if law.integer else 1
        whole = np.array([isinstance(law, Numeric) and law.integer for law in different.values()], bool)
        chosen = np.array([*number_of, 0], np.int32)[slots.chosen] if len(different) > 1 else np.zeros((1, 1), np.int32)
        held = values_as(values, slots.kind)
        return cls(chosen, sizes, held, np.concatenate(edges), starts, low, span, whole)

    def numbered(self, chosen: Any, digits: Any, dtype: Any) -> Any:
        """The values [rows, k] with these numbers, counted around; `chosen` of their rows."""
        digits %= tf.gather(self.sizes, chosen)
        return self._either(chosen, tf.gather(self.starts, chosen) + digits, tf.cast(digits, tf.float64), dtype)

    def at_shares(self, chosen: Any, shares: Any, dtype: Any) -> Any:
        """The values [rows, k] up to which such shares of the distributions lie, float64[rows, k] in [0, 1)."""
        along = tf.gather(self.span, chosen) * shares
        if self.whole.any():
            along = tf.where(tf.gather(self.whole, chosen), tf.floor(along), along)
        flat = tf.reshape(tf.cast(chosen, tf.float64) + shares, [-1])
        found = tf.searchsorted(tf.constant(self.edges), flat, side="right", out_type=tf.int64)
        return self._either(chosen, tf.reshape(found, tf.shape(shares)), along, dtype)

    def _either(self, chosen: Any, places: Any, along: Any, dtype: Any) -> Any:
        if not len(self.values):
            if dtype == tf.string:  # of columns of which no values are known: for records that do not miss them
                return tf.fill(tf.shape(places), "")
            return tf.cast(tf.gather(self.low, chosen) + along, dtype)
        listed = tf.gather(tf.constant(self.values, dtype), tf.clip_by_value(places, 0, len(self.values) - 1))
        if not self.span.any():
            return listed
        return tf.where(
            tf.gather(self.starts, chosen) >= 0, listed, tf.cast(tf.gather(self.low, chosen) + along, dtype)
        )


def _identity(law: Law | None) -> Any:
    return (tuple(law.values), law.weights.tobytes()) if isinstance(law, Bars) else law

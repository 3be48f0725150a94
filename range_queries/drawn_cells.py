"""What stands in the missing places of a point, in a graph: every value in turn, a draw, or one of an imputer's guesses."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from .column_laws import LawTable
from .missing_slots import Slots
from .seeded_draws import whole_numbers

LABELS, _GUESSES, CELLS = 0, 1, 2  # streams of random numbers; from the last on, one for each type of column
_GRAIN = 1 << 31


class PointPlace(NamedTuple):
    """Which point of which records is being drawn; see `Range.draw`."""

    q: int
    index: Any
    seed: int
    first: Any
    rows: Any

    def of(self, table: NDArray[Any], dtype: Any = None) -> Any:
        """[rows, ...]: a table's entries for these records; one with a single entry has it for all."""
        rows = tf.minimum(tf.cast(self.first, tf.int32) + tf.range(self.rows), len(table) - 1)
        return tf.gather(tf.constant(table, dtype), rows)

    def drawn(self, below: int, shape: tuple[int, ...], stream: int) -> Any:
        """int64[rows, *shape], the point's random numbers in 0 … below − 1."""
        return whole_numbers(below, shape, self.seed, self.index, self.rows, self.first, stream)

    def in_turn(self, count: int, each: int = 1) -> Any:
        """int64[rows], the same number in 0 … count − 1 for all records, the next one after `each` points."""
        return tf.fill([self.rows], tf.cast(self.index, tf.int64) // each % count)


def counted_cells(laws: LawTable, steps: NDArray[np.int64], place: PointPlace, dtype: Any) -> Any:
    """[rows, k], of the point whose number is the index.

    Args:
      steps: int64[n, k]: a point's number divided by it, and the remainder by the column's size, is the slot's digit.
    """
    digits = tf.math.floordiv(tf.cast(place.index, tf.int64), place.of(steps))
    return laws.numbered(place.of(laws.chosen), digits, dtype)


def random_cells(laws: LawTable, width: int, stream: int, place: PointPlace, dtype: Any) -> Any:
    """[rows, width], drawn from the distributions."""
    shares = tf.cast(place.drawn(_GRAIN, (width,), stream), tf.float64) / _GRAIN
    return laws.at_shares(place.of(laws.chosen), shares, dtype)


def guessed_cells(guesses: NDArray[Any], each: int, all_there_are: bool, place: PointPlace, dtype: Any) -> Any:
    """[rows, k], one of the guesses [n, c, k], jointly.

    Args:
      each: how many points a guess stands for where all are asked in turn: the number of labels.
      all_there_are: if c guesses are not enough for q points, each is drawn anew; else that is refused.
    Raises:
      ValueError: see above.
    """
    count = guesses.shape[1]
    if all_there_are and count * each <= place.q:
        chosen = place.in_turn(count, each)
    elif all_there_are:
        chosen = place.drawn(count, (), _GUESSES)
    elif place.q <= count:
        # From anywhere on, so that another seed asks others; no guess is asked twice.
        start = place._replace(index=0).drawn(count, (), _GUESSES)
        chosen = (start + place.in_turn(count)) % count
    else:
        raise ValueError(
            f"q is {place.q}, but the imputer drew {count} guesses a record; give Conditional(model, draws={place.q})."
        )
    return tf.gather(place.of(guesses, dtype), chosen, axis=1, batch_dims=1)


def with_cells(table: Any, cells: Any, slots: Slots, columns: NDArray[np.int32], place: PointPlace) -> Any:
    """A table [rows, d] with cells [rows, k] in their slots, whose m columns stand at `columns`."""
    chosen = slots.chosen
    if not chosen.shape[1]:
        return tf.identity(table)
    missing = chosen < len(columns)
    if not missing.all():
        # A record that misses fewer writes its first cell again, or, if it misses none, what it holds.
        chosen = np.where(missing, chosen, np.where(missing[:, :1], chosen[:, :1], 0))
        unwritten = tf.where(place.of(missing[:, :1]), cells[:, :1], tf.gather(table, [int(columns[0])], axis=1))
        cells = tf.where(place.of(missing), cells, unwritten)
    written = place.of(columns[chosen])
    rows = tf.broadcast_to(tf.range(place.rows)[:, None], tf.shape(written))
    return tf.tensor_scatter_nd_update(table, tf.stack([rows, written], axis=-1), cells)

"""At which places of sequences a point is edited: drawn without replacement, the same whatever batch a sequence stands in."""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf

from . import seeded_draws

PLACES, FIRST, SECOND, COUNT, PROPOSED = range(5)  # streams of random numbers


class PointDraw(NamedTuple):
    """What decides the random numbers of one point of some records; see `seeded_draws`."""

    seed: Any
    index: Any
    rows: Any
    first: Any = 0

    def whole_numbers(self, below: Any, size: int, stream: int) -> Any:
        """int64[rows, size], uniform in 0 … below − 1."""
        return seeded_draws.whole_numbers(below, (size,), *self, stream)

    def uniform(self, size: int, stream: int) -> Any:
        """float32[rows, size] in [0, 1)."""
        return seeded_draws.uniform((size,), *self, stream)


def chosen_ranks(counts: Any, edits: int, point: PointDraw, spared: int = 0, up_to: bool = False) -> tuple[Any, Any]:
    """Which of a sequence's tokens are edited, uniformly among all sets of so many.

    Args:
      counts: [n], how many tokens there are.
      edits: how many are edited; where there are fewer, all.
      point: decides the draw.
      spared: how many are left at least.
      up_to: True for 1 … edits of them, uniformly.
    Returns:
      int64[n, edits], numbers of tokens from 0; bool[n, edits], which of them are valid.
    Source: Bentley & Floyd 1987 (as many random numbers as edits, however long the sequence).
    """
    counts = tf.cast(counts, tf.int64)[:, tf.newaxis]
    wanted = tf.minimum(counts - spared, edits)
    if up_to:
        wanted = tf.minimum(wanted, 1 + point.whole_numbers(edits, 1, COUNT))
    steps = tf.range(edits, dtype=tf.int64)[tf.newaxis]
    valid = steps < wanted
    last = tf.where(valid, counts - wanted + steps, 0)
    drawn = point.whole_numbers(last + 1, edits, PLACES)
    chosen: list[Any] = []
    for step in range(edits):
        one = drawn[:, step]
        if chosen:
            taken = tf.reduce_any(tf.stack(chosen, axis=1) == one[:, tf.newaxis], axis=1)
            one = tf.where(taken, last[:, step], one)
        chosen.append(tf.where(valid[:, step], one, -1))
    return tf.maximum(tf.stack(chosen, axis=1), 0), valid

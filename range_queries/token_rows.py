"""Rows of token numbers, filled up with padding: where their tokens stand, and rows with some replaced or dropped."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from .edit_distance import Sequences


class TokenRows:
    """Token rows in a graph or without one.

    Tokens are named by ranks: 0 for the first of a row that is no padding.

    Args:
      held: whole numbers [n, length].
      padding: the token that fills up; None = none.
      padded: at which end what is dropped leaves padding: "end" or "start".
    Attributes:
      counts: int32[n], how many tokens a row has.
    """

    def __init__(self, held: Any, padding: int | None, padded: str) -> None:
        self._held, self._padding, self._at_start = held, padding, padded == "start"
        self._shape = tf.shape(held)
        used = tf.ones(self._shape, tf.bool) if padding is None else held != tf.cast(padding, held.dtype)
        self._reached = tf.cumsum(tf.cast(used, tf.int32), axis=1)
        self.counts = tf.reduce_sum(tf.cast(used, tf.int32), axis=1)

    def places(self, ranks: Any) -> Any:
        """int32[n, edits], the columns at which tokens of these ranks stand."""
        return tf.minimum(tf.searchsorted(self._reached, tf.cast(ranks, tf.int32) + 1), self._shape[1] - 1)

    def at(self, ranks: Any) -> Any:
        """[n, edits], the tokens of these ranks."""
        return tf.gather(self._held, self.places(ranks), batch_dims=1)

    def replaced(self, ranks: Any, valid: Any, new: Any) -> Any:
        """Rows with new tokens at valid ranks."""
        new = tf.cast(new, self._held.dtype)
        # Ranks that are not valid repeat others: they must not be written.
        return tf.tensor_scatter_nd_update(self._held, self._cells(ranks, valid), tf.boolean_mask(new, valid))

    def without(self, ranks: Any, valid: Any) -> Any:
        """Rows without the tokens at valid ranks: what follows moves up."""
        cells = self._cells(ranks, valid)
        dropped = tf.scatter_nd(cells, tf.ones_like(cells[:, 0]), self._shape) > 0
        target = tf.cumsum(tf.cast(~dropped, tf.int32), axis=1) - 1
        if self._at_start:
            target += tf.reduce_sum(tf.cast(dropped, tf.int32), axis=1, keepdims=True)
        kept = tf.boolean_mask(tf.stack([self._numbers(self._shape), target], axis=2), ~dropped)
        empty = tf.fill(self._shape, tf.cast(self._padding, self._held.dtype))
        return tf.tensor_scatter_nd_update(empty, kept, tf.boolean_mask(self._held, ~dropped))

    def _cells(self, ranks: Any, valid: Any) -> Any:
        """int32[cells, 2], rows and columns of the tokens at valid ranks."""
        places = self.places(ranks)
        return tf.boolean_mask(tf.stack([self._numbers(tf.shape(places)), places], axis=2), valid)

    def _numbers(self, shape: Any) -> Any:
        """The number of its row in each cell."""
        return tf.broadcast_to(tf.range(self._shape[0])[:, tf.newaxis], shape)


def without_padding(tokens: np.ndarray, padding: int | None) -> Sequences:
    """Whole numbers [n, length] as sequences without their padding."""
    used = np.ones(tokens.shape, bool) if padding is None else tokens != padding
    lengths = used.sum(axis=1)
    packed = np.zeros(tokens.shape, np.int64)
    packed[np.arange(tokens.shape[1]) < lengths[:, None]] = tokens[used]
    return Sequences(packed, lengths.astype(np.int64))

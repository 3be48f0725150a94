"""Random numbers of a record's own: the same whichever records stand beside it in a batch, on whatever device.

A counter-based generator (Philox) is set to the place that belongs to a row, so that part of the records can be drawn for alone.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

_PHILOX = 1
_VALUES_AT_A_COUNT = 4


def uniform(shape: tuple[int, ...], seed: Any, index: Any, rows: int | Any, first: Any = 0, stream: int = 0) -> Any:
    """float32[rows, *shape] in [0, 1); see `standard_normal`."""
    return _drawn(tf.raw_ops.StatelessRandomUniformV2, tf.float32, shape, seed, index, rows, first, stream)


def standard_normal(
    shape: tuple[int, ...], seed: Any, index: Any, rows: int | Any, first: Any = 0, stream: int = 0
) -> Any:
    """float32[rows, *shape] in a graph or without one.

    Args:
      shape: of what is drawn for a record.
      seed: a whole number of at least 0, or a scalar tensor.
      index: the number of the point within its range, below 2^32; a number or a scalar tensor.
      rows: how many records, a number or a scalar tensor.
      first: the row at which the first of them stands.
      stream: set apart what is drawn for different purposes, below 2^31.
    """
    return _drawn(tf.raw_ops.StatelessRandomNormalV2, tf.float32, shape, seed, index, rows, first, stream)


def whole_numbers(
    below: Any, shape: tuple[int, ...], seed: Any, index: Any, rows: int | Any, first: Any = 0, stream: int = 0
) -> Any:
    """int64[rows, *shape], uniform in 0 … below − 1; `below` of at most 2^31, a number or a tensor that broadcasts.

    The remainder of 64 random bits: its deviation from uniform is below 2^-32. Other arguments as `standard_normal`.
    """
    bits = _drawn(tf.raw_ops.StatelessRandomUniformFullIntV2, tf.uint64, shape, seed, index, rows, first, stream)
    return tf.cast(tf.math.floormod(bits, tf.cast(below, tf.uint64)), tf.int64)


def _drawn(
    kind: Any, dtype: Any, shape: tuple[int, ...], seed: Any, index: Any, rows: Any, first: Any, stream: int
) -> Any:
    size = int(np.prod(shape, dtype=np.int64))
    width = size * (2 if dtype == tf.uint64 else 1)  # in words of 32 bits
    padded = -(-width // _VALUES_AT_A_COUNT) * _VALUES_AT_A_COUNT
    place = tf.cast(first, tf.uint64) * tf.constant(padded // _VALUES_AT_A_COUNT, tf.uint64)
    # The counter has 128 bits: the row in the lower half; purpose and point in the upper.
    upper = tf.constant(stream << 32, tf.uint64) + tf.cast(index, tf.uint64)
    values = kind(
        shape=tf.stack([tf.cast(rows, tf.int32), padded // (2 if dtype == tf.uint64 else 1)]),
        key=tf.reshape(tf.cast(seed, tf.uint64), [1]),
        counter=tf.stack([place, upper]),
        dtype=dtype,
        alg=_PHILOX,
    )
    return tf.reshape(values[:, :size], [rows, *shape])

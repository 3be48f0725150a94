"""From a number a position (token, pixel) to a number a record."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

_LOWEST_SHARE = 0.2


def mean_over_positions(values: Any, valid: Any = None) -> Any:
    """float64[n] from float64[n, ...]: the mean over all trailing axes, or over those of the leading ones that are valid.

    Args:
      values: float64[n, positions..., rest...].
      valid: bool[n, positions...]; None = all. A record without any gets 0.
    """
    if valid is not None:
        rest = list(range(valid.shape.rank, values.shape.rank))
        values = tf.reduce_mean(values, axis=rest) if rest else values
        values = tf.reshape(values, [tf.shape(values)[0], -1])
        weights = tf.cast(tf.reshape(valid, tf.shape(values)), tf.float64)
        # Selected before they are summed: what stands in padding may be NaN.
        values = tf.where(weights > 0, values, tf.zeros_like(values))
        return tf.math.divide_no_nan(tf.reduce_sum(values, axis=1), tf.reduce_sum(weights, axis=1))
    return tf.reduce_mean(tf.reshape(values, [tf.shape(values)[0], -1]), axis=1)


def sum_over_positions(values: Any, valid: Any = None) -> Any:
    """float64[n] from float64[n, positions...]: the sum over the valid positions."""
    values, valid = _in_rows(values, valid)
    return tf.reduce_sum(tf.where(valid, values, tf.zeros_like(values)), axis=1)


def lowest_positions(values: Any, valid: Any = None) -> Any:
    """float64[n] from float64[n, positions...]: the mean of the lowest fifth of the valid positions, at least of one.

    Source: Shi et al. 2024, arXiv:2310.16789 (Min-K% Prob with their k of 20).
    """
    values, valid = _in_rows(values, valid)
    wanted = tf.math.ceil(_LOWEST_SHARE * tf.cast(tf.math.count_nonzero(valid, axis=1), tf.float64) - 1e-9)
    ascending = tf.sort(tf.where(valid, values, tf.constant(float("inf"), tf.float64)), axis=1)
    taken = tf.range(tf.shape(values)[1])[None] < tf.cast(wanted, tf.int32)[:, None]
    total = tf.reduce_sum(tf.where(taken, ascending, tf.zeros_like(ascending)), axis=1)
    return tf.math.divide_no_nan(total, wanted)


def _in_rows(values: Any, valid: Any) -> tuple[Any, Any]:
    """float64[n, positions] and bool[n, positions]."""
    rows = tf.reshape(values, [tf.shape(values)[0], -1])
    return rows, tf.ones_like(rows, tf.bool) if valid is None else tf.reshape(valid, tf.shape(rows))

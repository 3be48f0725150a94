"""Points uniform in a ball of the ℓ1, ℓ2 or ℓ∞ norm, and directions uniform on a sphere.

Sums, logarithms and powers may differ in the last digit by where in a batch a record stands. They are taken in float64 and
rounded, so that what is left of that in float32 is nothing.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from .seeded_draws import standard_normal, uniform

_POINTS, _LENGTHS = 0, 1  # streams of random numbers
_HALF_STEP = 2.0**-24  # uniform numbers are multiples of 2^-23: the middle between two of them is never 0 or 1


def in_ball(norm: float | str, radius: float, d: int, seed: Any, index: Any, rows: Any, first: Any) -> tuple[Any, Any]:
    """(float32[rows, d], a number or float64[rows, 1]), whose product is uniform in the ball around 0.

    They are two, because no products with two constants may follow each other: a graph may multiply them in another order.

    Source: for the ℓ1 norm, Barthe, Guédon, Mendelson and Naor 2005, A probabilistic approach to the geometry of the ℓp-ball,
      Annals of Probability 33(2), theorem 1.
    """
    if norm == 2:
        length = radius * shares(seed, index, rows, first) ** (1 / d)
        return directions(d, seed, index, rows, first), tf.cast(tf.cast(length, tf.float32), tf.float64)
    signed = 2 * uniform((d,), seed, index, rows, first, _POINTS) + (2 * _HALF_STEP - 1)
    if norm == np.inf:
        return signed, radius
    size = -tf.math.log1p(-tf.cast(tf.abs(signed), tf.float64))
    slack = -tf.math.log(shares(seed, index, rows, first))
    return tf.sign(signed) * tf.cast(size / (tf.reduce_sum(size, axis=1, keepdims=True) + slack), tf.float32), radius


def directions(d: int, seed: Any, index: Any, rows: Any, first: Any) -> Any:
    """float32[rows, d], uniform on the sphere of radius 1."""
    normal = standard_normal((d,), seed, index, rows, first, _POINTS)
    norm = tf.sqrt(tf.reduce_sum(tf.square(tf.cast(normal, tf.float64)), axis=1, keepdims=True))
    return normal * tf.cast(tf.math.divide_no_nan(tf.constant(1, tf.float64), norm), tf.float32)


def shares(seed: Any, index: Any, rows: Any, first: Any, stream: int = _LENGTHS) -> Any:
    """float64[rows, 1], uniform between 0 and 1, without these."""
    return tf.cast(uniform((1,), seed, index, rows, first, stream), tf.float64) + _HALF_STEP

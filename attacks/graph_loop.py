"""A loop inside a graph."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def stacked(step: Callable[[Any], Any], count: Any, shape: tuple[int, ...]) -> Any:
    """float64[count, *shape]: what `step` gives for 0 … count − 1, one at a time so that memory holds one.

    `tf.map_fn` does the same, but where tracing `step` fails it leaves the variable scope of the process changed, and
    later models under a distribution strategy cannot be made.
    """
    results = tf.TensorArray(tf.float64, size=count, element_shape=shape)
    _, results = tf.while_loop(
        lambda index, _: index < count,
        lambda index, so_far: (index + 1, so_far.write(index, step(index))),
        (tf.constant(0), results),
        parallel_iterations=1,
    )
    return results.stack()

"""LiRA's likelihoods inside a graph. The one module that imports tensorflow-probability (about a second), when asked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

if TYPE_CHECKING:
    from .lira import Side


def lira_in_graph(values: Any, in_side: Side | None, out_side: Side) -> Any:
    """float64[n]: what `lira_scores` gives, for a tensor [n, q] on whatever device it lies.

    Args:
      values: the target's signal, higher = more member-like.
      in_side, out_side: the fitted distributions; without IN the offline score.
    """
    values = tf.cast(values, tf.float64)
    if in_side is None:
        return tf.reduce_mean((values - out_side.loc) / out_side.scale, axis=1)
    ratio = _distribution(in_side).log_prob(values) - _distribution(out_side).log_prob(values)
    return tf.reduce_mean(ratio, axis=1)


def _distribution(side: Side) -> Any:
    if np.isinf(side.df).all():
        return tfp.distributions.Normal(side.loc, side.scale)
    return tfp.distributions.StudentT(side.df, side.loc, side.scale)

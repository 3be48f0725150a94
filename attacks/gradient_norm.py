"""White-box signals: how far a record would still pull the model. What was trained on pulls little."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

# What may stand between the last layer's product and the loss.
_BEHIND = ("Identity", "Cast", "BiasAdd", "AddV2", "Add", "Reshape", "Squeeze", "StopGradient", "EnsureShape")
_INSTEAD = "weight_gradient_norm"
_PRODUCTS = ("MatMul", "BatchMatMul", "BatchMatMulV2", "BatchMatMulV3", "Einsum", "Conv2D", "Conv3D")


def gradient_norm(loss_signal: Any, layer_input: Any) -> Any:
    """float64[n]: minus the Euclidean norm of each record's loss gradient at the last layer's input.

    In inference mode no record's loss depends on another record, so the rows of one gradient are the records' own.

    Args:
      loss_signal: float64[n], minus the loss, in the graph that made it.
      layer_input: a tensor of the same graph whose first axis is that of the records, or divides into it.
    Source: Nasr, Shokri & Houmansadr 2019, arXiv:1812.00910 (gradients of the last layers tell the most).
    """
    (gradient,) = tf.gradients(loss_signal, layer_input)
    return -_norm([tf.reshape(gradient, [tf.shape(loss_signal)[0], -1])])


def weights_gradient_norm(loss_of_one: Any, tape: tf.GradientTape, variables: Sequence[Any]) -> Any:
    """float64 scalar: minus the norm of one record's loss gradient by all these variables.

    Args:
      loss_of_one: float64[1], recorded by `tape`.
      variables: Keras variables.
    """
    found = tape.gradient(loss_of_one, [variable.value for variable in variables])
    return -_norm([tf.reshape(tf.convert_to_tensor(one), [1, -1]) for one in found if one is not None])[0]


def last_layer_input(outputs: Any, reader: str = "gradient_norm", instead: str = _INSTEAD) -> Any:
    """The tensor that the layer which made these outputs (or the logits behind them) multiplies with its kernel.

    Args:
      outputs: a tensor in the graph that made it, activation apart.
      reader, instead: for the message: what looks for it, and what needs no such layer.
    Raises:
      ValueError: if the last operation is no product with a kernel.
    """
    tensor = outputs
    while tensor.op.type in _BEHIND and tensor.op.inputs:
        tensor = tensor.op.inputs[0]
    if tensor.op.type not in _PRODUCTS:
        raise ValueError(
            f"{reader} looks for the input of a last dense or convolutional layer and finds {tensor.op.type!r}; {instead} needs "
            "no such layer."
        )
    return tensor.op.inputs[0]


def _norm(rows: Sequence[Any]) -> Any:
    """float64[n]: the norm of the rows of all tensors together, scaled first so that squares neither vanish nor overflow."""
    if not rows:
        return tf.zeros([1], tf.float64)
    together = tf.cast(tf.concat([tf.cast(row, tf.float64) for row in rows], axis=1), tf.float64)
    largest = tf.reduce_max(tf.abs(together), axis=1, keepdims=True)
    return largest[:, 0] * tf.norm(tf.math.divide_no_nan(together, largest), axis=1)

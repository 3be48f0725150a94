"""What a shadow model trains on in one epoch: resident records, their weights, the augmentation, the order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from .record_arrays import Records, resident, spec_of
from .seeded_stream import seeded_stream


@dataclass(frozen=True)
class TrainingData:
    """The pool, as shadow models train on it.

    Attributes:
      x, y: a nest of tensors [p, ...].
      weights: sample weights as a nest of tensors [p, ...], or float[p] from class weights; None = all alike.
      augment: a Keras layer (each shadow model gets a copy with a seed of its own), or a function (x, seed) -> x of a batch of
        inputs and an int32[2] seed for `tf.random.stateless_*`; None = none.
      batch_size: records in a training step.
    """

    x: Any
    y: Any
    weights: Any
    augment: Any
    batch_size: int

    @classmethod
    def of(
        cls, records: Records, batch_size: int, class_weight: Mapping[int, float] | None, augment: Any
    ) -> TrainingData:
        """Makes the pool resident.

        Raises:
          TypeError: if `augment` is neither a layer nor a function.
          ValueError: if there are class weights, but the labels are no classes.
        """
        x, y = resident(records[:2])
        if augment is not None:
            _check_augmentation(augment, x)
        weights = resident(records.weights) if tf.nest.flatten(records.weights) else None
        if class_weight is not None and weights is not None:
            raise ValueError(
                "there are class weights and sample weights, which fit does not take together; give one of them."
            )
        if class_weight is not None:
            weights = tf.constant(_weights(records.y, class_weight))
        return cls(x, y, weights, augment, batch_size)

    @property
    def count(self) -> int:
        """p."""
        return int(tf.nest.flatten(self.y)[0].shape[0])

    def batch(self, rows: Any) -> tuple[Any, Any, Any]:
        """x, y and weights (or None) of these records."""
        held = (self.x, self.y) if self.weights is None else (self.x, self.y, self.weights)
        found = tf.nest.map_structure(lambda leaf: tf.gather(leaf, rows), held)
        return (*found, None) if self.weights is None else found


class Augmentation:
    """One shadow model's own copy of the augmentation.

    Attributes:
      variables: Keras variables that it changes; part of the shadow model's state.
    """

    def __init__(self, augment: Any, x: Any, seed: int) -> None:
        self._augment = augment
        self.variables: list[Any] = []
        if isinstance(augment, keras.Layer):
            from .fresh_model import fresh_layer

            self._augment = fresh_layer(augment, x, seed)
            self.variables = list(self._augment.variables)

    def __call__(self, x: Any, seed: Any) -> Any:
        """The batch, altered; `seed` is int32[2]."""
        if self._augment is None:
            return x
        if isinstance(self._augment, keras.Layer):
            return self._augment(x, training=True)
        return self._augment(x, seed)


def _check_augmentation(augment: Any, x: Any) -> None:
    if not callable(augment):
        raise TypeError(f"augment is {augment!r}; give a Keras layer, or a function (x, seed) -> x.")
    specs = tf.nest.map_structure(lambda leaf: spec_of(leaf, 2), x)
    try:
        own = Augmentation(augment, x, 0)
        made = (
            tf.function(own, autograph=False)
            .get_concrete_function(specs, tf.TensorSpec([2], tf.int32))
            .structured_outputs
        )
        tf.nest.assert_same_structure(made, specs)
        shapes = [(given.shape, given.dtype) for given in tf.nest.flatten(made)]
    except Exception as reason:
        said = " ".join(str(reason).split())[:200]
        raise TypeError(
            f"augment cannot be used as a function (x, seed) -> x: {type(reason).__name__}: {said}."
        ) from reason
    wanted = [(spec.shape, spec.dtype) for spec in tf.nest.flatten(specs)]
    if shapes != wanted:
        raise ValueError(f"augment makes inputs of {wanted} into {shapes}; it must keep records, shapes and types.")


def epoch_order(
    trained_on: NDArray[np.bool_], seed: tuple[int, ...], epoch: int, share: float = 1.0
) -> NDArray[np.int32]:
    """The records of one epoch in the order of training: a fresh permutation of the IN records for each pass.

    Args:
      trained_on: bool[p].
      seed: decides the permutations.
      epoch: counted from 0.
      share: of a pass that an epoch is, for a target whose epoch (`steps_per_epoch`) is none.
    Returns:
      int32[round(share·IN)], rows of the pool.
    """
    rows = np.flatnonzero(trained_on)
    length = max(1, round(share * len(rows)))
    start = epoch * length
    passes = range(start // len(rows), (start + length - 1) // len(rows) + 1)
    stream = np.concatenate([seeded_stream("training order", *seed, index).permutation(rows) for index in passes])
    offset = start - passes[0] * len(rows)
    return stream[offset : offset + length].astype(np.int32)


def _weights(labels: Any, class_weight: Mapping[int, float]) -> NDArray[np.float32]:
    """As `fit(class_weight=)` does it: one-hot labels name their largest entry, classes that are not listed weigh 1."""
    array = np.asarray(tf.nest.flatten(labels)[0])
    if array.ndim > 2 or array.dtype.kind not in "iufb":
        raise ValueError(f"class weights need one class a record; the labels have shape {array.shape}.")
    classes = array.argmax(axis=1) if array.ndim == 2 and array.shape[1] > 1 else array.reshape(len(array))
    rounded = np.round(classes.astype(float)).astype(np.int64)
    return np.array([class_weight.get(int(label), 1.0) for label in rounded], np.float32)

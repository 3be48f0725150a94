"""A Keras layer that draws, made into one deterministic variation: the same draw for every record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from privacy_callbacks.attacks.random_state import own_random_state
from privacy_callbacks.attacks.record_arrays import symbolic
from privacy_callbacks.attacks.seeded_stream import seeded_stream

from .image_transforms import in_type, is_image


@dataclass(frozen=True)
class LayerDraw:
    """One draw of a layer in training mode, for records one by one.

    Asked about a batch, Keras' layers draw for each record apart; asked about one record from the same state of their seed
    generators each time, they draw for each alike. These states are held, never advanced; nor is anything else of the layer.
    Each image of a nest goes through the layer by itself; a nest without images as a whole.

    Args:
      layer: a Keras layer, or a Sequential or functional model of layers, that keeps shapes.
      seed, draw: decide the draw.
    """

    layer: Any
    seed: int
    draw: int

    def __call__(self, x: Any) -> Any:
        if not any(is_image(leaf) for leaf in tf.nest.flatten(x)):
            return self._each(x)
        return tf.nest.map_structure(lambda leaf: self._each(leaf) if is_image(leaf) else leaf, x)

    def _each(self, x: Any) -> Any:
        made = tf.nest.map_structure(lambda leaf: tf.TensorSpec(leaf.shape[1:], leaf.dtype), x)
        return tf.map_fn(self._of_one, x, fn_output_signature=made)

    def _of_one(self, record: Any) -> Any:
        batch = tf.nest.map_structure(lambda leaf: _as_float(leaf)[tf.newaxis], record)
        # A matrix alone would be a row of pixels to a layer for images.
        no_channels = not tf.nest.is_nested(record) and record.shape.rank == 2 and _is_for_images(self.layer)
        batch = batch[..., tf.newaxis] if no_channels else batch
        if not self.layer.built:
            with own_random_state(self.seed), tf.init_scope():
                self.layer(symbolic(batch))
        with keras.StatelessScope(state_mapping=self._states()):
            made = self.layer(batch, training=True)
        made = made[..., 0] if no_channels else made
        tf.nest.assert_same_structure(made, record)
        return tf.nest.map_structure(lambda leaf, given: in_type(leaf[0], given.dtype), made, record)

    def _states(self) -> list[tuple[Any, Any]]:
        states = seed_states(self.layer)
        words = seeded_stream("layer draw", self.seed, self.draw).integers(
            2**32, size=(len(states), 2), dtype=np.uint32
        )
        return [(state, tf.constant(pair, state.dtype)) for state, pair in zip(states, words, strict=True)]


def _as_float(leaf: Any) -> Any:
    """Whole numbers of images as floats, which all layers take."""
    return tf.cast(leaf, tf.float32) if leaf.dtype.is_integer and leaf.shape.rank in (2, 3) else leaf


def seed_states(layer: Any) -> list[Any]:
    """The variables in which a layer keeps what it draws from; none, if it draws nothing."""
    return [variable for variable in layer.variables if "seed_generator_state" in variable.path]


def _is_for_images(layer: Any) -> bool:
    inner = getattr(layer, "layers", [])
    return hasattr(layer, "transform_images") or any(_is_for_images(one) for one in inner)

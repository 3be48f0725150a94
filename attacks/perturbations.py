"""Small changes to inputs that a robust answer survives: functions of a batch, deterministic and the same for each record.

They are values (equal if their arguments are), so that an audit asks each of them once, however many attacks want it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tensorflow as tf


@dataclass(frozen=True)
class Unaltered:
    """The record as it is."""

    def __call__(self, x: Any) -> Any:
        return x


@dataclass(frozen=True)
class Shifted:
    """Images moved by whole pixels; what comes in at the edge mirrors what is next to it.

    Args:
      down, right: pixels, negative = up, left.
    """

    down: int
    right: int

    def __call__(self, x: Any) -> Any:
        """The batch with every leaf [n, height, width, ...] moved.

        Raises:
          ValueError: if there is none.
        """
        if not any(_is_image(leaf) for leaf in tf.nest.flatten(x)):
            raise ValueError(
                f"inputs of shape {[leaf.shape for leaf in tf.nest.flatten(x)]} have no height and width to shift along; perturb "
                "them by noise= in their own unit, or by functions of yours with queries=."
            )
        return tf.nest.map_structure(lambda leaf: self._moved(leaf) if _is_image(leaf) else leaf, x)

    def _moved(self, images: Any) -> Any:
        for axis, by, name in ((1, self.down, "high"), (2, self.right, "wide")):
            if images.shape[axis] is not None and abs(by) > images.shape[axis]:
                raise ValueError(
                    f"images {images.shape[axis]} pixels {name} cannot be shifted by {abs(by)}; give fewer shifts=."
                )
        paddings, begins = [[0, 0]] * images.shape.rank, [0] * images.shape.rank
        for axis, by in ((1, self.down), (2, self.right)):
            paddings[axis] = [max(0, by), max(0, -by)]
            begins[axis] = max(0, -by)
        return tf.slice(tf.pad(images, paddings, "SYMMETRIC"), begins, tf.shape(images))


@dataclass(frozen=True)
class Mirrored:
    """Images with left and right exchanged."""

    def __call__(self, x: Any) -> Any:
        return tf.nest.map_structure(lambda leaf: tf.reverse(leaf, [2]) if _is_image(leaf) else leaf, x)


@dataclass(frozen=True)
class Noisy:
    """Inputs with Gaussian noise, one draw for all records; 8-bit images are rounded and stay within 0 … 255.

    Args:
      scale: standard deviation, in the inputs' unit.
      seed: of the draw.
    """

    scale: float
    seed: int

    def __call__(self, x: Any) -> Any:
        """The batch with noise on every leaf of floats or bytes.

        Raises:
          ValueError: if there is none.
        """
        leaves = tf.nest.flatten(x)
        if not any(_is_measured(leaf) for leaf in leaves):
            raise ValueError(
                f"inputs of type {[leaf.dtype.name for leaf in leaves]} take no noise; give functions of yours with queries=."
            )
        noisy = [self._with_noise(leaf, place) if _is_measured(leaf) else leaf for place, leaf in enumerate(leaves)]
        return tf.nest.pack_sequence_as(x, noisy)

    def _with_noise(self, leaf: Any, place: int) -> Any:
        noise = self.scale * tf.random.stateless_normal(leaf.shape[1:], [self.seed, place])
        if leaf.dtype == tf.uint8:
            return tf.cast(tf.clip_by_value(tf.round(tf.cast(leaf, tf.float32) + noise), 0, 255), tf.uint8)
        return leaf + tf.cast(noise, leaf.dtype)


def _is_image(leaf: Any) -> bool:
    return not isinstance(leaf, tf.RaggedTensor) and leaf.shape.rank in (3, 4) and leaf.dtype != tf.string


def _is_measured(leaf: Any) -> bool:
    return not isinstance(leaf, tf.RaggedTensor) and (leaf.dtype.is_floating or leaf.dtype == tf.uint8)

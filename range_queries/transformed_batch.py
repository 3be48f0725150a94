"""What a transformation makes of a batch: in its own structure, shapes and types, within the limits of its values."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from privacy_callbacks.attacks.perturbations import Mirrored, Noisy, Shifted, Unaltered

from .image_transforms import (
    Brightened,
    Composed,
    Contrasted,
    Cropped,
    Rotated,
    Saturated,
    UpsideDown,
    is_image,
    is_text,
)
from .layer_draws import LayerDraw

Transformation = Callable[[Any], Any]
Domain = tuple[float, float] | None

OF_IMAGES = (Mirrored, UpsideDown, Shifted, Rotated, Cropped, Brightened, Contrasted, Saturated)
OWN = (*OF_IMAGES, Unaltered, Noisy, LayerDraw)


def transformed(one: Transformation, x: Any, domain: Domain) -> Any:
    """The batch, transformed and clipped.

    Args:
      one: the transformation; the library's own are given a nest's images only, where there are any.
      x: a nest of tensors [n, ...].
      domain: (low, high), the limits of values; None = none.
    Raises:
      ValueError: if structure, shapes or types change.
    """
    leaves = tf.nest.flatten(x)
    made = [tf.convert_to_tensor(leaf) for leaf in tf.nest.flatten(_changed(one, x))]
    if domain is not None:
        acted = acted_on(leaves)
        made = [_clipped(leaf, domain) if place in acted else leaf for place, leaf in enumerate(made)]
    for leaf, given in zip(made, leaves, strict=True):
        if leaf.dtype != given.dtype:
            raise ValueError(f"made {leaf.dtype.name} of {given.dtype.name}")
    same = [tf.ensure_shape(leaf, given.shape) for leaf, given in zip(made, leaves, strict=True)]
    return tf.nest.pack_sequence_as(x, same)


def acted_on(leaves: list[Any]) -> list[int]:
    """Places of the images; of all numbers, if there is none."""
    images = [place for place, leaf in enumerate(leaves) if is_image(leaf)]
    return images or [place for place, leaf in enumerate(leaves) if not is_text(leaf)]


class TransformGraphs:
    """As `transformed`, each transformation traced once for batches of a kind, whatever their number of records.

    Args:
      domain: see `transformed`.
    """

    def __init__(self, domain: Domain) -> None:
        self.domain = domain
        self._functions: dict[Transformation, Any] = {}

    def __call__(self, one: Transformation, x: Any) -> Any:
        """A nest of tensors, of one of tensors or arrays; outside of graphs."""
        x = tf.nest.map_structure(tf.convert_to_tensor, x)
        kind = tf.nest.map_structure(lambda leaf: tf.TensorSpec([None, *leaf.shape[1:]], leaf.dtype), x)
        if one not in self._functions:
            domain = self.domain
            self._functions[one] = tf.function(lambda nest: transformed(one, nest, domain), autograph=False)
        return self._functions[one].get_concrete_function(kind)(x)

    def __reduce__(self) -> Any:
        return TransformGraphs, (self.domain,)  # graphs are made anew


def _changed(one: Transformation, x: Any) -> Any:
    if isinstance(one, Composed):
        for part in one.parts:
            x = _changed(part, x)
        return x
    leaves = tf.nest.flatten(x)
    images = [place for place, leaf in enumerate(leaves) if is_image(leaf)]
    if isinstance(one, OWN) and images and len(images) < len(leaves):
        for place, leaf in zip(images, one([leaves[place] for place in images]), strict=True):
            leaves[place] = leaf
        return tf.nest.pack_sequence_as(x, leaves)
    made = one(x)
    tf.nest.assert_same_structure(made, x)
    return made


def _clipped(leaf: Any, domain: tuple[float, float]) -> Any:
    if leaf.dtype == tf.bool:
        return leaf
    return tf.clip_by_value(leaf, tf.cast(domain[0], leaf.dtype), tf.cast(domain[1], leaf.dtype))

"""Single variations of images: functions of a batch, deterministic and the same for each record, as values.

They join `Unaltered`, `Shifted`, `Mirrored` and `Noisy` of `privacy_callbacks.attacks.perturbations`. Each acts on the leaves
[n, height, width] or [n, height, width, channels] of a nest and keeps their type: whole numbers are rounded and stay within the
limits of their type.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import tensorflow as tf

_LUMA = 0.299, 0.587, 0.114  # ITU-R BT.601


@dataclass(frozen=True)
class UpsideDown:
    """Images with top and bottom exchanged."""

    def __call__(self, x: Any) -> Any:
        return _on_images(x, lambda images: tf.reverse(images, [1]))


@dataclass(frozen=True)
class Rotated:
    """Images turned about their centre, counter-clockwise.

    Multiples of 90 are exact; of others pixels are interpolated bilinearly, with edges reflected.

    Args:
      degrees: by how much.
    """

    degrees: float

    def __call__(self, x: Any) -> Any:
        quarters, rest = divmod(self.degrees, 90)
        if rest == 0:
            return _on_images(x, lambda images: _quarter_turned(images, int(quarters) % 4))
        angle = tf.constant(self.degrees * _RADIANS, tf.float32)
        cosine, sine = tf.cos(angle), tf.sin(angle)
        return _on_images(x, lambda images: _mapped(images, [[cosine, -sine], [sine, cosine]]))


@dataclass(frozen=True)
class Cropped:
    """A part of the images, brought back to their size bilinearly.

    Args:
      share: of either side that is kept.
      down, right: where the part lies: 0 = in the middle, −1 = at the upper or left edge, 1 = at the lower or right one.
    """

    share: float
    down: float = 0.0
    right: float = 0.0

    def __call__(self, x: Any) -> Any:
        scale = [[self.share, 0.0], [0.0, self.share]]
        room = (1 - self.share) / 2
        return _on_images(x, lambda images: _mapped(images, scale, (room * self.down, room * self.right)))


@dataclass(frozen=True)
class Brightened:
    """Images with every value multiplied.

    Args:
      factor: above 1 = brighter, where 0 is black.
    """

    factor: float

    def __call__(self, x: Any) -> Any:
        return _on_images(x, lambda images: _in_floats(images, lambda values: values * self.factor))


@dataclass(frozen=True)
class Contrasted:
    """Images with the distance of every value from its channel's mean multiplied.

    Args:
      factor: below 1 = flatter.
    """

    factor: float

    def __call__(self, x: Any) -> Any:
        def changed(values: Any) -> Any:
            mean = _mean_of_pixels(values)
            return mean + (values - mean) * self.factor

        return _on_images(x, lambda images: _in_floats(images, changed))


@dataclass(frozen=True)
class Saturated:
    """Colour images (3 channels) with the distance of every value from its pixel's grey multiplied.

    Args:
      factor: 0 = grey, above 1 = more colourful.
    """

    factor: float

    def __call__(self, x: Any) -> Any:
        """The batch, changed.

        Raises:
          ValueError: if the images have no 3 channels.
        """

        def changed(values: Any) -> Any:
            if values.shape.rank != 4 or values.shape[3] != 3:
                raise ValueError(
                    f"images of shape {values.shape} have no 3 channels to saturate; leave saturation= out."
                )
            red, green, blue = tf.split(values, 3, axis=3)
            grey = red * _LUMA[0] + green * _LUMA[1] + blue * _LUMA[2]
            return grey + (values - grey) * self.factor

        return _on_images(x, lambda images: _in_floats(images, changed))


@dataclass(frozen=True)
class Composed:
    """Several changes, one after the other.

    Args:
      parts: functions of a batch.
    """

    parts: tuple[Callable[[Any], Any], ...]

    def __call__(self, x: Any) -> Any:
        for part in self.parts:
            x = part(x)
        return x


def is_image(leaf: Any) -> bool:
    """True for a tensor or an array of numbers [n, height, width] or [n, height, width, channels]."""
    ragged = isinstance(leaf, tf.RaggedTensor)
    return not ragged and len(leaf.shape) in (3, 4) and not is_text(leaf)


def is_text(leaf: Any) -> bool:
    """True for a tensor or an array of strings."""
    return leaf.dtype == tf.string or getattr(leaf.dtype, "kind", "") in ("O", "S", "U")


def in_type(values: Any, dtype: Any) -> Any:
    """Floats brought into another type: rounded and kept within its limits, if it is one of whole numbers."""
    if values.dtype == dtype:
        return values
    if dtype.is_floating:
        return tf.cast(values, dtype)
    low, high = (0, 1) if dtype == tf.bool else (dtype.min, dtype.max)
    rounded = tf.round(tf.cast(values, tf.float64 if dtype.size > 2 else tf.float32))
    # A cast saturates nowhere: the largest float below the limit of a 64-bit type must do.
    high = float(high) * (1 - 2**-52) if dtype.size == 8 else high
    return tf.cast(tf.clip_by_value(rounded, float(low), float(high)), dtype)


_RADIANS = 3.141592653589793 / 180


def _on_images(x: Any, change: Callable[[Any], Any]) -> Any:
    leaves = tf.nest.flatten(x)
    if not any(is_image(leaf) for leaf in leaves):
        raise ValueError(
            f"inputs of shape {[tuple(leaf.shape) for leaf in leaves]} have no height and width; give images "
            "[n, height, width] or [n, height, width, channels], or functions of yours."
        )
    return tf.nest.map_structure(lambda leaf: change(tf.convert_to_tensor(leaf)) if is_image(leaf) else leaf, x)


def _in_floats(images: Any, change: Callable[[Any], Any]) -> Any:
    dtype = images.dtype
    wide = dtype == tf.float64 or (not dtype.is_floating and dtype.size > 2)
    return in_type(change(tf.cast(images, tf.float64 if wide else tf.float32)), dtype)


def _quarter_turned(images: Any, quarters: int) -> Any:
    if quarters % 2:
        rest = range(3, images.shape.rank)
        return tf.reverse(tf.transpose(images, [0, 2, 1, *rest]), [1 if quarters == 1 else 2])
    return tf.reverse(images, [1, 2]) if quarters else images


def _mapped(images: Any, matrix: Any, offset: tuple[float, float] = (0.0, 0.0)) -> Any:
    """Images whose pixel at p, counted (right, down) from the centre, is the given one's at matrix·p + offset.

    The offset is (down, right), in shares of height and width.
    """

    def moved(values: Any) -> Any:
        with_channels = values if values.shape.rank == 4 else values[..., tf.newaxis]
        size = tf.shape(values)[1:3]
        height, width = tf.unstack(tf.cast(size, tf.float32))
        (a, b), (c, d) = matrix
        right, down = (width - 1) / 2, (height - 1) / 2
        across = right - a * right - b * down + offset[1] * width
        along = down - c * right - d * down + offset[0] * height
        found = tf.raw_ops.ImageProjectiveTransformV3(
            images=with_channels,
            transforms=[tf.stack([tf.cast(entry, tf.float32) for entry in (a, b, across, c, d, along, 0, 0)])],
            output_shape=size,
            fill_value=0.0,
            interpolation="BILINEAR",
            fill_mode="REFLECT",
        )
        return tf.ensure_shape(found if values.shape.rank == 4 else found[..., 0], values.shape)

    return _in_floats(images, moved)


def _mean_of_pixels(values: Any) -> Any:
    """[n, 1, 1, ...], added up in an order that does not depend on how many records stand in the batch."""
    rank = values.shape.rank
    size = tf.shape(values)
    pixels = tf.reshape(values, tf.concat([[size[0], size[1] * size[2]], size[3:]], 0))
    count = values.shape[1] * values.shape[2]
    left = count
    while left > 1:
        half = left // 2
        folded = pixels[:, :half] + pixels[:, half : 2 * half]
        pixels = tf.concat([folded, pixels[:, 2 * half :]], 1) if left % 2 else folded
        left -= half
    shape = tf.concat([[size[0], 1, 1], size[3:]], 0)
    return tf.ensure_shape(tf.reshape(pixels / count, shape), [None, 1, 1, *values.shape[3:]][:rank])

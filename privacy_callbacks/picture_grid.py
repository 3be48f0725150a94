"""Records that are images, side by side in one picture."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from privacy_callbacks.attacks.audit_set import AuditSet
from privacy_callbacks.attacks.record_arrays import as_arrays, plain_leaves

_COLUMNS, _LEAST_PIXELS, _GAP = 10, 56, 2
_MOST_PIXELS = 96  # of a picture in a table


def images_of(audit_set: AuditSet, rows: Any) -> Any:
    """The inputs of some records as an array, where there is one input."""
    leaves = plain_leaves(as_arrays(tf.nest.map_structure(lambda leaf: tf.gather(leaf, rows), audit_set.x)))
    if len(leaves) != 1:
        raise ValueError(f"the model has {len(leaves)} inputs; log_pictures takes one, of images.")
    return leaves[0]


def pictures_of(audit_set: AuditSet, rows: Sequence[int]) -> dict[int, NDArray[np.uint8]]:
    """Pictures [height, width, channels] of some records by their row, small enough for a table.

    Raises:
      ValueError: if they are no images.
    """
    if not rows:
        return {}
    images = _as_images(images_of(audit_set, np.asarray(rows)))
    # As bright as they are among all audited records, so that a picture looks alike whenever it is made.
    (every_image,) = tf.nest.flatten(audit_set.x)
    ends = [float(tf.cast(end(every_image), tf.float64)) for end in (tf.reduce_min, tf.reduce_max)]
    shades = _shades(images, *ends)
    every = max(1, -(-max(shades.shape[1:3]) // _MOST_PIXELS))
    return dict(zip(rows, shades[:, ::every, ::every], strict=True))


def picture_grid(images: NDArray) -> NDArray[np.uint8]:
    """uint8[height, width, channels]: the images in rows of ten, left to right; small ones enlarged.

    Grey values run from the darkest to the brightest of these images.

    Args:
      images: [k, height, width] or [k, height, width, 1 or 3], of any number type.
    Raises:
      ValueError: if they are no images.
    """
    images = _as_images(images)
    shades = _shades(images, float(images.min()), float(images.max()))
    times = max(1, -(-_LEAST_PIXELS // max(images.shape[1:3])))
    tiles = shades.repeat(times, axis=1).repeat(times, axis=2)
    tiles = np.pad(tiles, ((0, 0), (_GAP, _GAP), (_GAP, _GAP), (0, 0)), constant_values=128)
    columns = min(_COLUMNS, len(tiles))
    missing = -len(tiles) % columns
    tiles = np.concatenate([tiles, np.full((missing, *tiles.shape[1:]), 128, np.uint8)])
    rows = tiles.reshape(-1, columns, *tiles.shape[1:])
    return np.concatenate([np.concatenate(list(row), axis=1) for row in rows], axis=0)


def _as_images(images: NDArray) -> NDArray:
    """[k, height, width, 1 or 3]."""
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or not len(images) or images.dtype.kind not in "fiub":
        raise ValueError(
            f"records of shape {images.shape[1:]} and type {images.dtype} are no images; log_pictures takes (height, width) "
            "with 1 or 3 channels."
        )
    return images


def _shades(images: NDArray, low: float, high: float) -> NDArray[np.uint8]:
    """The images, black where they are `low`, white where they are `high`."""
    share = (images.astype(np.float64) - low) / (high - low if high > low else 1.0)
    return np.round(255 * np.clip(np.nan_to_num(share), 0, 1)).astype(np.uint8)

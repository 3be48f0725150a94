"""Embeddings of records by a Keras layer or a function: in inference mode, and checked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from privacy_callbacks.attacks.model_call import ModelCall
from privacy_callbacks.attacks.said import said

_TRIED = 8
_EMBEDDED_AT_ONCE = 1024


def check_embedding(embed: Any) -> None:
    """Nothing, if it is a built layer, a function, or None.

    Raises:
      TypeError: if it cannot be called.
      ValueError: if it is a layer that is not built.
    """
    if embed is not None and not callable(embed):
        raise TypeError(f"embed is {embed!r}; give a Keras layer or model, or a function of a batch.")
    if isinstance(embed, keras.Layer) and not embed.built:
        raise ValueError(f"{embed.name} has no weights yet, so it embeds nothing; call it on a batch first.")


def embedded(embed: Callable[[Any], Any], x: Any) -> Any:
    """float[n, k], of a nest of tensors [n, ...], in a graph or without one.

    Raises:
      ValueError: if it cannot be asked about x, or gives something else than one tensor [n, ...].
    """
    asked = ModelCall(embed) if isinstance(embed, keras.Layer) else embed
    try:
        found = asked(x)
    except Exception as reason:
        raise ValueError(f"embed cannot be asked about x: {said(reason)}") from reason
    rows = tf.nest.flatten(x)[0].shape[0]
    if isinstance(found, (dict, tuple, list)):
        raise ValueError(f"embed gives {type(found).__name__}; let it give one tensor [n, ...].")
    found = tf.convert_to_tensor(found)
    if not found.shape.rank or (rows is not None and found.shape[0] not in (None, rows)):
        raise ValueError(f"embed gives shape {found.shape} for {rows} records; let it give [n, ...].")
    wide = found if found.dtype in (tf.float32, tf.float64) else tf.cast(found, tf.float32)
    return tf.reshape(wide, [tf.shape(wide)[0], -1])


def refuse_mixing(embed: Callable[[Any], Any], x: Any) -> None:
    """Nothing, if an embedding gives a record the same again, and whatever stands beside it; tried on a few of these arrays.

    Raises:
      ValueError: otherwise.
    """
    few = tf.nest.map_structure(lambda leaf: tf.convert_to_tensor(leaf[:_TRIED]), x)
    rest = tf.nest.map_structure(lambda leaf: leaf[1:], few)
    once, again, fewer = (np.asarray(embedded(embed, part), np.float64) for part in (few, few, rest))
    reach = 1e-4 * max(1e-30, float(np.abs(once).max(initial=0)))
    if not np.allclose(once, again, rtol=1e-3, atol=reach) or not np.allclose(once[1:], fewer, rtol=1e-3, atol=reach):
        raise ValueError(
            "embed gives a record something else when it is asked again, or beside other records; distances would mean nothing. "
            "Treat each record by itself, and draw nothing."
        )


def embedded_batches(embed: Callable[[Any], Any], x: Any) -> Iterator[NDArray[Any]]:
    """float[≤ 1024, k], of a nest of arrays [n, ...], in order.

    Raises:
      ValueError: as `embedded`, and on values that are missing or infinite.
    """
    for start in range(0, len(tf.nest.flatten(x)[0]), _EMBEDDED_AT_ONCE):
        rows = slice(start, start + _EMBEDDED_AT_ONCE)
        found = embedded(embed, tf.nest.map_structure(lambda leaf, rows=rows: tf.convert_to_tensor(leaf[rows]), x))
        if not np.isfinite(found).all():
            raise ValueError("embed gives values that are missing or infinite; no distance is told from them.")
        yield found.numpy()

"""How surprising a sequence is to somebody who knows no model: its compressed size."""

from __future__ import annotations

import zlib
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray


def compressed_sizes(x: Any, labels: NDArray[Any]) -> NDArray[np.float64]:
    """float64[n], bytes: of a record's text, where the model's only input is text, else of its labels' numbers.

    The numbers are written as 32-bit little-endian ones; padding at the end costs next to nothing.

    Args:
      x: the records' inputs, a nest of tensors [n, ...].
      labels: int[n, ...], the tokens that the model is asked for.
    Source: Carlini et al. 2021, arXiv:2012.07805 (zlib entropy as the reference of a language model's likelihood).
    """
    leaves = tf.nest.flatten(x)
    if len(leaves) == 1 and leaves[0].dtype == tf.string:
        rows = leaves[0].numpy().reshape(len(labels), -1)
        texts = [b"\n".join(row) for row in rows]
    else:
        texts = [row.tobytes() for row in np.ascontiguousarray(labels, dtype="<i4")]
    return np.array([len(zlib.compress(text)) for text in texts], dtype=np.float64)

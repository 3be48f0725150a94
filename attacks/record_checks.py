"""Are records what they must be, to be asked about and compared?"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from .record_arrays import Records, is_ragged


def refuse_other_shapes(known: Records, other: Records, side: str, known_side: str) -> None:
    """Nothing, if inputs and labels of both are of one structure, and their records of one shape.

    Args:
      known, other: the records.
      side: what to call `other` in messages.
      known_side: what to call `known`.
    Raises:
      ValueError: if they differ.
    """
    try:
        tf.nest.assert_same_structure(known[:2], other[:2])
    except (TypeError, ValueError):
        raise ValueError(
            f"{side} and {known_side} have inputs or labels of different structure; give both alike."
        ) from None
    for what, one, another in zip(("record", "label"), known[:2], other[:2], strict=True):
        for ours, theirs in zip(tf.nest.flatten(one), tf.nest.flatten(another), strict=True):
            if ours.shape[1:] != theirs.shape[1:]:
                raise ValueError(
                    f"a {what} of {side} has shape {theirs.shape[1:]}, one of {known_side} {ours.shape[1:]}; give both alike."
                )


def refuse_nonfinite(x: Any, describe: Callable[[NDArray[np.intp]], str]) -> None:
    """Nothing, if no input is NaN or infinite.

    Args:
      x: inputs, arrays or a nest of them.
      describe: names records by their rows in a sentence.
    Raises:
      ValueError: if one is.
    """
    for leaf in tf.nest.flatten(x):
        if is_ragged(leaf) and leaf[0].dtype.kind == "f":
            bad = np.flatnonzero([not np.isfinite(row).all() for row in leaf])
        elif leaf.dtype.kind == "f":
            bad = np.flatnonzero(~np.isfinite(leaf.reshape(len(leaf), -1)).all(axis=1))
        else:
            continue
        if bad.size:
            raise ValueError(f"inputs are NaN or infinite in {describe(bad)}; clean them first.")

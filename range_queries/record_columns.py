"""Nests of numeric arrays as the rows of one matrix, read in blocks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

_JOINED_UP_TO = 1024  # records: smaller batches are read together, since small products are slow


class Columns:
    """The leaves of a nest of numeric arrays as one matrix [n, d], whose rows are joined when they are asked for.

    Raises:
      ValueError: on strings, ragged leaves, leaves of different lengths, or no column.
    """

    def __init__(self, nest: Any, what: str) -> None:
        given = [np.asarray(leaf) for leaf in tf.nest.flatten(nest)]
        # Of no kind of NumPy's own.
        self._leaves = [leaf.astype(np.float32) if leaf.dtype.name == "bfloat16" else leaf for leaf in given]
        self._what = what
        for leaf in self._leaves:
            if leaf.dtype.kind not in "biuf":
                kind = "ragged or of strings" if leaf.dtype.kind in "OSU" else f"of type {leaf.dtype}"
                raise ValueError(
                    f"{what} has an input that is {kind}; distances need numbers of a fixed shape: leave it out, or measure "
                    "between embeddings (Near with embed=)."
                )
            if not leaf.ndim or len(leaf) != len(self._leaves[0]):
                lengths = [leaf.shape[:1] for leaf in self._leaves]
                raise ValueError(f"{what} has inputs of lengths {lengths}; give as many records in each.")
        self.shapes = [leaf.shape[1:] for leaf in self._leaves]
        self._widths = [int(np.prod(shape, dtype=np.int64)) for shape in self.shapes]
        self.d = sum(self._widths)
        if not self.d:
            raise ValueError(f"{what} has no column; give at least one.")

    def __len__(self) -> int:
        return len(self._leaves[0])

    def __getitem__(self, rows: slice) -> NDArray[Any]:
        """[k, d], finite.

        Raises:
          ValueError: otherwise.
        """
        parts = [leaf[rows] for leaf in self._leaves]
        parts = [part.reshape(len(part), width) for part, width in zip(parts, self._widths, strict=True)]
        joined = parts[0] if len(parts) == 1 else np.concatenate(parts, axis=1)
        if joined.dtype.kind == "f" and not np.isfinite(joined).all():
            raise ValueError(f"{self._what} has values that are missing or infinite; no distance is told from them.")
        return joined

    def blocks(self, rows: int) -> Iterator[NDArray[Any]]:
        """[≤ rows, d] of the records, in order."""
        return (self[start : start + rows] for start in range(0, len(self), rows))


def training_blocks(training: Any, x: Any, queries: Columns, rows: int) -> Iterator[NDArray[Any]]:
    """[≤ rows, d] of training records, in order.

    Args:
      training: records like x, or an iterable of batches of such, which is read once.
      x: queries, a nest of arrays.
      queries: their columns.
      rows: at most in a block.
    Raises:
      ValueError: if training records are built otherwise than x.
    """
    for nest in _batches(training, x):
        columns = Columns(nest, "training")
        if columns.shapes != queries.shapes:
            raise ValueError(
                f"training records have shape {columns.shapes}, x has {queries.shapes}; give the same columns."
            )
        yield from columns.blocks(rows)


def _batches(training: Any, x: Any) -> Iterator[Any]:
    """Nests of arrays like x: `training` itself, or what it yields, small batches joined."""
    if _is_nest_like(training, x):
        yield training
        return
    if not isinstance(training, Iterable):
        raise ValueError(f"training is {type(training).__name__}; give records like x, or an iterable of batches.")
    held: list[Any] = []
    rows = 0
    for batch in training:
        if not _is_nest_like(batch, x):
            raise ValueError("training yields batches that are built otherwise than x; give the same nest of arrays.")
        held.append(tf.nest.map_structure(np.asarray, batch))
        rows += len(tf.nest.flatten(held[-1])[0])
        if rows >= _JOINED_UP_TO:
            yield _joined(held)
            held, rows = [], 0
    if held:
        yield _joined(held)


def _joined(batches: list[Any]) -> Any:
    if len(batches) == 1:
        return batches[0]
    return tf.nest.map_structure(lambda *leaves: np.concatenate(leaves), *batches)


def _is_nest_like(candidate: Any, x: Any) -> bool:
    try:
        tf.nest.assert_same_structure(candidate, x)
    except (ValueError, TypeError):
        return False
    return all(hasattr(leaf, "shape") for leaf in tf.nest.flatten(candidate))

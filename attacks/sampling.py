"""A uniform sample without replacement in one pass over any source, the same whatever form the records come in."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from .record_arrays import Records, joined
from .record_source import RecordSource


@dataclass(frozen=True)
class Sample:
    """Drawn records, in the order of the draw: its first k records are themselves a uniform sample.

    Attributes:
      records: the drawn records.
      positions: int[k], where each stood in its source.
      total: how many records the source held.
    """

    records: Records
    positions: NDArray[np.int64]
    total: int

    def part(self, start: int, stop: int) -> Sample:
        """Records start … stop of the draw, put back into the order of the source."""
        drawn = np.arange(start, min(stop, len(self.positions)))
        in_order = drawn[np.argsort(self.positions[drawn], kind="stable")]
        return Sample(self.records.take(in_order), self.positions[in_order], self.total)


def draw(source: RecordSource, size: int, seed: int, watch: Callable[[Records], None] | None = None) -> Sample:
    """Keeps the `size` records with the smallest of independent uniform keys, one key a record by position.

    So an array, a `tf.data.Dataset` and a `PyDataset` of the same records give the same sample, whatever their batch
    sizes, and memory is bounded by `size` and one batch.

    Args:
      source: the records; read once.
      size: how many to keep.
      seed: decides the keys.
      watch: sees every batch as it passes.
    Raises:
      ValueError: if the source is empty, or its records differ in shape.
    """
    rng = np.random.default_rng(seed)
    # Lists until they are joined: joining batch by batch would cost the square of the sample.
    kept: list[Records] = []
    keys: list[NDArray[np.float64]] = []
    positions: list[NDArray[np.int64]] = []
    total, waiting, limit = 0, 0, np.inf
    shapes: set[tuple[Any, ...]] = set()
    for batch in untouched(source):
        shapes.add(tuple(leaf.shape[1:] for leaf in tf.nest.flatten(tuple(batch))))
        if len(shapes) > 1:
            raise ValueError(
                f"records of {source.side} differ in shape from batch to batch ({sorted(shapes)}); pad them to one."
            )
        if watch is not None:
            watch(batch)
        new_keys = rng.random(len(batch))
        wanted = np.flatnonzero(new_keys < limit)
        if len(wanted) or not kept:  # parts of no records would pile up: late in a stream nearly all are
            kept.append(batch.take(wanted))
            keys.append(new_keys[wanted])
            positions.append(total + wanted)
        total += len(batch)
        waiting += len(wanted)
        if waiting > 2 * size:
            kept, keys, positions = _smallest(kept, keys, positions, size)
            waiting, limit = size, keys[0][-1]
    if total == 0:
        raise ValueError(f"{source.side} is empty; an audit needs at least one record on each side.")
    kept, _, positions = _smallest(kept, keys, positions, size)
    return Sample(kept[0], positions[0], total)


def untouched(source: RecordSource) -> Iterator[Records]:
    """Reads the source and leaves the global random states as they were, even if the user's own reader draws from them.

    They belong to the training that is about to start.
    """
    for_numpy, for_python = np.random.get_state(), random.getstate()  # noqa: NPY002
    try:
        yield from source
    finally:
        np.random.set_state(for_numpy)  # noqa: NPY002
        random.setstate(for_python)


def _smallest(
    kept: list[Records], keys: list[NDArray[np.float64]], positions: list[NDArray[np.int64]], size: int
) -> tuple[list[Records], list[NDArray[np.float64]], list[NDArray[np.int64]]]:
    """Lists of one part each: the records of the smallest keys, in the order of these."""
    every_key, every_position = np.concatenate(keys), np.concatenate(positions)
    order = np.argsort(every_key, kind="stable")[:size]
    together = Records(*joined([tuple(part) for part in kept]))
    return [together.take(order)], [every_key[order]], [every_position[order]]

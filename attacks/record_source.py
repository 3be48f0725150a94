"""Where records come from: arrays, tf.data or PyDataset, read as batches of NumPy arrays in a stable order.

Nothing here shuffles, seeds or otherwise touches random state. Each iteration is one pass; of a `PyDataset` the first batch is
read twice, to notice one that gives other values each time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from .graph_reading import random_draws, written_variables
from .record_arrays import ACCEPTED, Records, records_from

# A data set that does not know its length is read up to here; an endless one would otherwise never return.
MAX_RECORDS_OF_UNKNOWN_LENGTH = 10_000_000
_BYTES_PER_BATCH = 16 * 2**20


@dataclass(frozen=True)
class RecordSource:
    """One side of an audit before anything is drawn from it.

    Attributes:
      side: what to call it in messages.
      arrays: all records at once, if they are in memory; else None.
      batches: reads the records once, in order.
      given: what the user gave.
    """

    side: str
    arrays: Records | None
    batches: Any
    given: Any = None

    def __iter__(self) -> Iterator[Records]:
        if self.arrays is None:
            yield from self.batches()
        else:
            step = _rows_per_batch(leaf[:1].nbytes for leaf in tf.nest.flatten((self.arrays.x, self.arrays.y)))
            for start in range(0, len(self.arrays), step):
                yield self.arrays.take(slice(start, start + step))


def open_source(data: Any, side: str) -> RecordSource:
    """Recognises what the user gave.

    Args:
      data: (x, y) or (x, y, sample_weight) arrays or lists, a `tf.data.Dataset` or a `keras.utils.PyDataset` of them.
      side: what to call it in messages, e.g. "members".
    Raises:
      TypeError: on generators, iterators and anything else that cannot be read twice in the same order.
      ValueError: on inputs without labels, lengths that differ, endless or reshuffling data sets.
    """
    if isinstance(data, tf.data.Dataset):
        return _from_dataset(data, side)
    if _is_py_dataset(data):
        return _from_py_dataset(data, side)
    if isinstance(data, (tuple, list)) and len(data) in (2, 3):
        records = records_from(data[0], data[1], data[2] if len(data) == 3 else None, side)
        return RecordSource(side, records, None, data)
    if hasattr(data, "__next__"):
        raise TypeError(
            f"{side} is a generator or iterator ({type(data).__name__}): reading it would take records away from fit. "
            f"Give {ACCEPTED}."
        )
    if hasattr(data, "shape") or isinstance(data, (list, dict)):
        raise ValueError(f"{side} holds inputs without labels; give {ACCEPTED}.")
    raise TypeError(f"{side} is a {type(data).__name__}; give {ACCEPTED}.")


def _from_dataset(data: tf.data.Dataset, side: str) -> RecordSource:
    spec = data.element_spec
    if not isinstance(spec, tuple) or len(spec) not in (2, 3):
        raise ValueError(f"{side} is a data set of {_shapes(spec)}, without labels; give {ACCEPTED}.")
    if any(not isinstance(leaf, (tf.TensorSpec, tf.RaggedTensorSpec)) for leaf in tf.nest.flatten(spec)):
        raise TypeError(f"{side} holds sparse tensors or the like; densify them first (.map with tf.sparse.to_dense).")
    if data.cardinality() == tf.data.INFINITE_CARDINALITY:
        raise ValueError(f"{side} is an endless data set; give it before .repeat(), or end it with .take(n).")
    if _reshuffles(data):
        raise ValueError(
            f"{side} is a data set that reshuffles at each pass: reading it would change the order in which fit sees "
            "the records, and record ids would mean nothing. Give the data set as it is before .shuffle(), "
            "and shuffle only what fit gets; if it comes shuffled from elsewhere, read it into arrays once, x = np.concatenate("
            "[x for x, y in data]) and y in the same loop, and fit on those."
        )
    stateful = changing_maps(data)
    if stateful:
        raise ValueError(
            f"{side} is a data set with a random or stateful map ({', '.join(stateful[:3])}): the audit would ask about altered "
            "records, and reading it may change what fit sees. Give the data set as it is before that map."
        )
    batched = _is_batched(data)

    def read() -> Iterator[Records]:
        count = 0
        sizes = ((leaf.shape.num_elements() or 1_000) * leaf.dtype.size for leaf in tf.nest.flatten(spec[:2]))
        source = data if batched else data.batch(_rows_per_batch(sizes))
        for element in _elements(source, side):
            batch = records_from(*_as_given(element), side)
            yield batch
            count += len(batch)
            if count >= MAX_RECORDS_OF_UNKNOWN_LENGTH and data.cardinality() == tf.data.UNKNOWN_CARDINALITY:
                raise ValueError(
                    f"{side} gave {count:,} records without telling its length and may be endless; end it with "
                    ".take(n) or tell the length with tf.data.experimental.assert_cardinality."
                )

    return RecordSource(side, None, read, data)


def _from_py_dataset(data: Any, side: str) -> RecordSource:
    if data.num_batches is None:
        raise ValueError(f"{side} is an endless PyDataset (num_batches is None); give a finite one.")
    if getattr(data, "shuffle", False) is True:
        raise ValueError(
            f"{side} is a {type(data).__name__} that shuffles, so record ids mean nothing; give one with shuffle=False."
        )

    def read() -> Iterator[Records]:
        for index in range(data.num_batches):
            item = data[index]
            if index == 0 and not _same_again(item, data[index]):
                raise ValueError(
                    f"{side} is a {type(data).__name__} that gives other values each time it is read (augmentation?): the audit "
                    "would ask about altered records; give one that returns the records as they are."
                )
            if not isinstance(item, (tuple, list)) or len(item) not in (2, 3):
                raise ValueError(f"{side} gives batches without labels; give {ACCEPTED}.")
            yield records_from(item[0], item[1], item[2] if len(item) == 3 else None, side)

    return RecordSource(side, None, read, data)


def _rows_per_batch(bytes_per_record: Iterable[int]) -> int:
    return max(1, min(8_192, _BYTES_PER_BATCH // max(1, sum(bytes_per_record))))


def _is_py_dataset(data: Any) -> bool:
    import keras

    return isinstance(data, keras.utils.PyDataset)


def _is_batched(data: tf.data.Dataset) -> bool:
    """True if the elements are batches: all leaves lead with one common axis, and they were put into batches as far as is known.

    A record's own leaves may lead with one axis, too: a sequence and a label for each of its tokens.
    """
    shapes = [leaf.shape for leaf in tf.nest.flatten(data.element_spec[:2])]
    if any(shape.rank == 0 for shape in shapes):
        return False
    if not any(shape.rank is None for shape in shapes) and len({shape[0] for shape in shapes}) > 1:
        return False
    for source in ancestors(data):
        kind = type(source).__name__
        if "Unbatch" in kind or "TensorSlice" in kind:
            return False
        if "atch" in kind or "GroupByWindow" in kind:
            return True
    return True


def ancestors(data: Any) -> list[Any]:
    """A data set and those that it was made from."""
    # TensorFlow has no public way to ask this that does not serialise the whole data set.
    inputs = data._inputs() if isinstance(data, tf.data.Dataset) else []
    return [data, *(source for given in inputs for source in ancestors(given))]


def own_functions(data: Any) -> list[Any]:
    """The graphs of the functions (of `map`, `filter`, …) that records come through."""
    return [
        part.function for source in ancestors(data) if hasattr(source, "_functions") for part in source._functions()
    ]


def changing_maps(data: tf.data.Dataset) -> list[str]:
    """Names of the operations by which the data set's own functions change variables or draw random numbers."""
    readers = (written_variables, random_draws)
    return [name for function in own_functions(data) for read in readers for name in read(function)]


def _reshuffles(data: tf.data.Dataset) -> bool:
    """True if two passes differ, as far as the chain of transformations shows it."""
    return any(getattr(source, "_reshuffle_each_iteration", False) for source in ancestors(data))


def _same_again(first: Any, second: Any) -> bool:
    leaves = [[np.asarray(leaf) for leaf in tf.nest.flatten(item)] for item in (first, second)]
    pairs = zip(*leaves, strict=True)
    return all(np.array_equal(one, other, equal_nan=one.dtype.kind == "f") for one, other in pairs)


def _elements(data: tf.data.Dataset, side: str) -> Iterator[Any]:
    try:
        yield from data
    except tf.errors.InvalidArgumentError as reason:
        raise ValueError(
            f"{side} cannot be read in batches: {reason.message}. Records must have one shape; pad them to it."
        ) from reason


def _as_given(element: tuple[Any, ...]) -> tuple[Any, Any, Any]:
    """x, y and weights (or None), as arrays and ragged tensors."""

    def array(leaf: Any) -> Any:
        return leaf if isinstance(leaf, tf.RaggedTensor) else leaf.numpy()

    parts = tf.nest.map_structure(array, element)
    return parts[0], parts[1], parts[2] if len(parts) == 3 else None


def _shapes(spec: Any) -> str:
    return str(tf.nest.map_structure(lambda leaf: getattr(leaf, "shape", leaf), spec))

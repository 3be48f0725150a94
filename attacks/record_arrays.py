"""Records as nests of arrays: what fit takes, checked once and brought into one form."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

ACCEPTED = "(x, y) arrays, a finite tf.data.Dataset or a keras.utils.PyDataset of (x, y)"


class Records(NamedTuple):
    """Inputs and labels of n records, nests (dict, tuple, list) of arrays [n, ...]; `weights` is () if there are none.

    A ragged input is an object array [n] that holds an array a record; as a tensor it is a `tf.RaggedTensor`.
    """

    x: Any
    y: Any
    weights: Any = ()

    def __len__(self) -> int:
        return len(tf.nest.flatten(self.y)[0])

    def take(self, rows: Any) -> Records:
        """The records at these rows (indices or a slice)."""
        return Records(*tf.nest.map_structure(lambda leaf: leaf[rows], tuple(self)))


def records_from(x: Any, y: Any, weights: Any, side: str) -> Records:
    """Brings what `fit` takes into one form.

    Args:
      x: inputs: an array, list, ragged tensor, or a nest of them.
      y: labels: an array, or a dict, tuple or list of arrays, one an output.
      weights: sample weights, or None.
      side: what to call the records in messages.
    Raises:
      TypeError: on values that are no numbers, booleans or strings.
      ValueError: on inputs without labels, or lengths that differ.
    """
    if y is None:
        raise ValueError(f"{side} holds inputs without labels; give {ACCEPTED}.")
    labels = _labels(y, f"{side} labels", _rows_given(x))
    for leaf in tf.nest.flatten(labels):
        if leaf.ndim == 0:
            raise ValueError(
                f"{side} has a single number for labels; give one label a record (and batch a data set of unknown shapes)."
            )
        if is_ragged(leaf):
            raise TypeError(f"{side} has ragged labels; pad them, and give the padding weight 0 or a class to ignore.")
    count = len(tf.nest.flatten(labels)[0])
    if isinstance(x, (dict, tuple)) or _is_list_of_inputs(x, count):
        inputs = tf.nest.map_structure(lambda leaf: _array(leaf, f"{side} inputs"), _open_lists(x))
    else:
        inputs = _array(x, f"{side} inputs")
    weighing = () if weights is None else _labels(weights, f"{side} weights", count, named=True)
    for what, nest in (("inputs", inputs), ("labels", labels), ("weights", weighing)):
        for leaf in tf.nest.flatten(nest):
            if leaf.ndim == 0 or len(leaf) != count:
                rows = "no rows" if leaf.ndim == 0 else f"{len(leaf)} {what}"
                raise ValueError(f"{side} has {rows} but {count} labels; give one label a record.")
    return Records(inputs, labels, weighing)


def joined(parts: Sequence[Any]) -> Any:
    """One nest of arrays from several of the same structure, one after the other."""
    return tf.nest.map_structure(lambda *leaves: np.concatenate(leaves), *parts)


def resident(nest: Any) -> Any:
    """Tensors in the place of arrays."""
    return tf.nest.map_structure(_tensor, nest)


def as_arrays(nest: Any) -> Any:
    """Arrays in the place of tensors: the way back from `resident`."""
    return tf.nest.map_structure(lambda leaf: _rows(leaf) if isinstance(leaf, tf.RaggedTensor) else leaf.numpy(), nest)


def plain_leaves(nest: Any) -> list[np.ndarray]:
    """The leaves of a nest of arrays; ragged ones as strings, which have no length in common either."""
    leaves = tf.nest.flatten(nest)
    return [np.array([" ".join(map(str, row)) for row in leaf], object) if is_ragged(leaf) else leaf for leaf in leaves]


def is_ragged(array: np.ndarray) -> bool:
    """True for an array that holds an array a record."""
    return array.dtype == object and array.ndim == 1 and len(array) > 0 and isinstance(array[0], np.ndarray)


def symbolic(nest: Any) -> Any:
    """Keras' placeholders for batches of these tensors' records."""
    import keras

    return tf.nest.map_structure(
        lambda leaf: keras.KerasTensor(
            (None, *leaf.shape[1:]), leaf.dtype.name, ragged=isinstance(leaf, tf.RaggedTensor)
        ),
        nest,
    )


def spec_of(leaf: Any, rows: int | None) -> Any:
    """The type of a batch of so many of a tensor's records (None = any number)."""
    shape = (rows, *leaf.shape[1:])
    if isinstance(leaf, tf.RaggedTensor):
        return tf.RaggedTensorSpec(shape, leaf.dtype, ragged_rank=1, row_splits_dtype=leaf.row_splits.dtype)
    return tf.TensorSpec(shape, leaf.dtype)


def rows_of(leaf: Any, start: Any, count: int) -> Any:
    """`count` records of a tensor in a graph, from `start` on."""
    if isinstance(leaf, tf.RaggedTensor):
        return leaf[start : start + count]
    rest = leaf.shape[1:]
    return tf.slice(leaf, tf.concat([[start], tf.zeros(len(rest), tf.int32)], 0), [count, *rest])


def _tensor(leaf: np.ndarray) -> Any:
    if not is_ragged(leaf):
        return tf.convert_to_tensor(leaf)
    return tf.RaggedTensor.from_row_lengths(np.concatenate(list(leaf)), [len(row) for row in leaf])


def _rows(ragged: Any) -> np.ndarray:
    rows = np.empty(int(ragged.nrows()), object)
    for index, row in enumerate(np.split(ragged.values.numpy(), ragged.row_splits.numpy()[1:-1])):
        rows[index] = row  # one by one: NumPy would make a matrix of rows that happen to be of one length
    return rows


def _labels(y: Any, what: str, count: int | None, named: bool = False) -> Any:
    """An array, or a dict or tuple of them where there is more than one output; `count` records, if that is known.

    `named` keeps the name of one output alone.
    """
    if isinstance(y, dict):
        if any(isinstance(leaf, dict) for leaf in y.values()):
            raise ValueError(f"{what} are nests within a nest; give one dict, tuple or list of arrays, one an output.")
        each = {name: _array(leaf, what) for name, leaf in y.items()}
        return next(iter(each.values())) if len(each) == 1 and not named else each
    if not _are_outputs(y, count):
        return _array(y, what)
    return _array(y[0], what) if len(y) == 1 else tuple(_array(leaf, what) for leaf in y)


def _are_outputs(y: Any, count: int | None) -> bool:
    """True if a tuple or list holds one array an output, False if it holds the records' labels themselves."""
    if not isinstance(y, (tuple, list)) or not y:
        return False
    if not all(len(getattr(leaf, "shape", ())) or isinstance(leaf, (list, tuple)) for leaf in y):
        return False
    as_outputs = count is None or all(len(leaf) == count for leaf in y)
    # As many entries as records: one-hot rows in a list, unless each entry has a row for every record, too.
    return as_outputs and (len(y) != count or all(hasattr(leaf, "shape") for leaf in y))


def _rows_given(x: Any) -> int | None:
    """How many records these inputs hold, where that can be told without the labels."""
    if isinstance(x, dict):
        return next((_num_rows(leaf) for leaf in x.values() if not isinstance(leaf, dict)), None)
    if isinstance(x, tuple):
        return _num_rows(x[0]) if x else None
    if isinstance(x, list):
        several = len(x) > 0 and all(len(getattr(leaf, "shape", ())) for leaf in x)
        return _num_rows(x[0]) if several and len({_num_rows(leaf) for leaf in x}) == 1 else None
    return _num_rows(x)


def _is_list_of_inputs(x: Any, num_records: int) -> bool:
    """A list is several inputs if each entry has one row a record; otherwise it is the records themselves."""
    if not isinstance(x, list) or not x or len(x) == num_records:
        return False
    return all(_num_rows(entry) == num_records for entry in x)


def _num_rows(entry: Any) -> int | None:
    if isinstance(entry, tf.RaggedTensor):
        return int(entry.nrows())
    return len(entry) if hasattr(entry, "__len__") else None


def _open_lists(x: Any) -> Any:
    """The nest of inputs, with innermost Python lists of numbers turned into arrays, so that they count as leaves."""
    if isinstance(x, dict):
        return {name: _leaf(leaf) for name, leaf in x.items()}
    return type(x)(_leaf(leaf) for leaf in x)


def _leaf(leaf: Any) -> Any:
    return leaf if isinstance(leaf, (dict, tf.RaggedTensor)) else np.asarray(leaf)


def _array(values: Any, what: str) -> np.ndarray:
    """One leaf as an array of a kind that a model takes: floats in Keras' default float type, the rest as given."""
    import keras

    if isinstance(values, tf.RaggedTensor):
        if values.ragged_rank != 1:
            raise TypeError(f"{what} are ragged in {values.ragged_rank} axes; one can be audited, pad the others.")
        return _rows(values)
    if isinstance(values, tf.SparseTensor):
        raise TypeError(f"{what} are sparse tensors; densify them first (tf.sparse.to_dense).")
    try:
        array = np.asarray(values)
    except ValueError as reason:
        raise ValueError(
            f"{what} are of uneven length ({reason}); pad them to one shape, or give a tf.RaggedTensor."
        ) from None
    if array.dtype == object and not is_ragged(array):
        if not all(isinstance(value, (str, bytes)) for value in array.ravel()):
            kinds = sorted({type(value).__name__ for value in array.ravel()[:1_000]})
            raise TypeError(f"{what} hold Python objects ({', '.join(kinds)}); give numbers, or strings, of one shape.")
        return array
    if array.dtype.kind in "mMc":
        raise TypeError(f"{what} have dtype {array.dtype}; give numbers, booleans or strings.")
    # As fit itself does with arrays; it also halves what stays resident.
    return array.astype(keras.config.floatx()) if array.dtype == np.float64 else array

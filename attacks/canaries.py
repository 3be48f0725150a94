"""Canaries: records that a model can only know by heart, so that whether it does says more than ordinary ones would."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .canary_split import count_records, is_tensor, leaves, mapped, opened, taken
from .number_arrays import group_codes
from .seeded_stream import seeded_stream

_TEXT = "OUS"


def mislabelled(x: Any, y: Any, count: int, seed: int = 0, num_classes: int | None = None) -> tuple[Any, Any]:
    """Some of the records, each with a wrong label.

    Take them out of what else trains if they should be known by their wrong label alone.

    Args:
      x: inputs of n records: an array, list or tensor, or a dict, tuple or list of these with the records on the first axis.
      y: their labels: class numbers (or names) [n] or [n, 1], or one-hot rows [n, c].
      count: how many; drawn without replacement, in the order of the draw.
      seed: decides which, and their labels.
      num_classes: wrong labels are drawn uniformly from 0 … num_classes − 1; None = from the labels that occur, or c.
    Returns:
      (x, y) of `count` records, of the structure, shapes and types given; the originals stay as they are.
    Raises:
      ValueError: on a count out of range, labels that name no classes, or fewer than two classes.
      TypeError: on several outputs, or what has no rows.
    """
    records = opened(x, y, "the records")
    if isinstance(records[1], (dict, tuple, list)):
        raise TypeError("y holds several outputs; give the labels of one, and put the others beside the answer.")
    total, number = count_records(records, "the records"), _count(count)
    if number > total:
        raise ValueError(f"count is {number}, but {total} records were given; ask for at most as many.")
    labels = as_array(records[1])
    classes, index = _classes(labels, num_classes)
    rng = seeded_stream("mislabelled canaries", seed)
    rows = rng.choice(total, number, replace=False)
    wrong = (index[rows] + rng.integers(1, len(classes), number)) % len(classes)
    if _is_one_hot(labels):
        drawn = (np.arange(len(classes)) == wrong[:, None]).astype(labels.dtype)
    else:
        drawn = classes[wrong].astype(labels.dtype).reshape(number, *labels.shape[1:])
    return taken(records[0], rows), as_leaf(records[1], drawn)


def random_inputs(like: tuple[Any, Any], count: int, seed: int = 0) -> tuple[Any, Any]:
    """Inputs that resemble nothing, in the range of what a model takes.

    Args:
      like: (x, y) to take ranges and labels from, in the forms of `mislabelled`; y of any kind, also several outputs.
      count: how many to make; may exceed the number of records.
      seed: decides them.
    Returns:
      (x, y) of `count` records of this structure, and of these shapes and types. Each feature is uniform between its smallest
      and largest value here, whole numbers among whole numbers; text is drawn from the values that occur in its place. Each
      output's labels are drawn uniformly from the distinct ones that occur.
    Raises:
      ValueError: on a count below 1, no records, inputs that do not vary, or inputs that are NaN or infinite.
      TypeError: on ragged inputs, or inputs that are neither numbers nor text.
    """
    if not isinstance(like, (tuple, list)) or len(like) != 2:
        raise TypeError(f"like is a {type(like).__name__}; give (x, y).")
    x, y = opened(like[0], like[1], "the records")
    number = _count(count)
    if count_records((x, y), "the records") == 0:
        raise ValueError("no records were given, so there are no ranges to draw from; give some.")
    if not any(_varies(array) for array in map(as_array, leaves(x))):
        raise ValueError(
            "the inputs do not vary from record to record, so canaries would be copies; give more records."
        )
    rng = seeded_stream("random canaries", seed)
    inputs = mapped(lambda leaf: as_leaf(leaf, _uniform(as_array(leaf), number, rng)), x)
    return inputs, mapped(lambda leaf: as_leaf(leaf, _among(as_array(leaf), number, rng)), y)


def as_array(leaf: Any) -> NDArray[Any]:
    """One leaf as an array.

    Raises:
      TypeError: on a ragged one.
    """
    array = leaf.numpy() if is_tensor(leaf) and not hasattr(leaf, "row_splits") else leaf
    if not isinstance(array, np.ndarray) or (array.dtype == object and isinstance(array.flat[0], np.ndarray)):
        raise TypeError(
            "a ragged array has no range a feature, nor one label a record; pad it, or bring canaries of your own."
        )
    return array


def as_leaf(leaf: Any, array: NDArray[Any]) -> Any:
    """An array as what this leaf is: an array or a tensor."""
    if not is_tensor(leaf):
        return array
    import tensorflow as tf

    return tf.convert_to_tensor(array, leaf.dtype)


def _count(count: int) -> int:
    number = operator.index(count)
    if number < 1:
        raise ValueError(f"count is {count!r}; ask for one canary at least.")
    return number


def _is_one_hot(labels: NDArray[Any]) -> bool:
    return labels.ndim == 2 and labels.shape[1] > 1


def _classes(labels: NDArray[Any], num_classes: int | None) -> tuple[NDArray[Any], NDArray[np.int64]]:
    """The classes there are, and which of them each record has.

    Raises:
      ValueError: if labels name no classes, or fewer than two.
    """
    if _is_one_hot(labels):
        ones = (labels == 1).sum(axis=1)
        if not ((ones == 1) & ((labels == 0).sum(axis=1) == labels.shape[1] - 1)).all():
            raise ValueError("labels have several columns that are not one-hot; give one class a record.")
        if num_classes not in (None, labels.shape[1]):
            raise ValueError(
                f"num_classes is {num_classes}, but one-hot labels have {labels.shape[1]} columns; leave it out."
            )
        return np.arange(labels.shape[1]), labels.argmax(axis=1)
    if labels.ndim > 2:
        raise ValueError(f"labels have shape {labels.shape}; give one class a record: (n,), (n, 1) or one-hot (n, c).")
    flat = labels.reshape(-1)
    if flat.dtype.kind == "f" and not (flat == np.floor(flat)).all():
        raise ValueError(
            "labels are no whole numbers; targets of a regression have no wrong class, so try random_inputs."
        )
    index = group_codes(flat, "y")
    classes = flat[np.unique(index, return_index=True)[1]]
    if num_classes is not None:
        if flat.dtype.kind not in "biuf" or classes[0] < 0 or classes[-1] >= num_classes:
            raise ValueError(
                f"labels run from {classes[0]} to {classes[-1]}; with num_classes={num_classes} give 0 to it less 1."
            )
        classes, index = np.arange(num_classes), flat.astype(np.int64)
        if (classes.astype(flat.dtype) != classes).any():
            raise ValueError(f"labels of type {flat.dtype} cannot name {num_classes} classes; give a wider type.")
    if len(classes) < 2:
        raise ValueError(
            f"{len(classes)} class occurs, so no label is wrong; say num_classes, or give records of several."
        )
    return classes, index


def _varies(array: NDArray[Any]) -> bool:
    """True if not all records are the same."""
    if array.dtype == object:  # where values may refuse to be compared, as pandas' NA does
        return len({repr(row) for row in array.tolist()}) > 1
    return bool((array != array[:1]).any())


def _uniform(array: NDArray[Any], count: int, rng: np.random.Generator) -> NDArray[Any]:
    """[count, ...], each feature uniform over the range (text: the values) that it has here."""
    shape = (count, *array.shape[1:])
    if array.dtype.kind in _TEXT:
        columns = array.reshape(len(array), -1)
        drawn = [_among(columns[:, column], count, rng) for column in range(columns.shape[1])]
        return np.stack(drawn, axis=1).reshape(shape)
    if array.dtype.kind not in "biuf":
        raise TypeError(f"inputs have dtype {array.dtype}; give numbers or text, or bring canaries of your own.")
    low, high = array.min(axis=0), array.max(axis=0)
    if array.dtype.kind == "b":
        return rng.integers(low, high, shape, np.uint8, endpoint=True).astype(bool)
    if array.dtype.kind in "iu":
        return rng.integers(low, high, shape, array.dtype, endpoint=True)
    if not (np.isfinite(low) & np.isfinite(high)).all():
        raise ValueError("inputs are NaN or infinite in some places, so they have no range; clean them first.")
    share = rng.random(shape, np.float64 if array.itemsize > 4 else np.float32)
    # Not low + share · (high − low): that difference may overflow.
    return np.clip((low * (1 - share) + high * share).astype(array.dtype), low, high)


def _among(array: NDArray[Any], count: int, rng: np.random.Generator) -> NDArray[Any]:
    """[count, ...], drawn uniformly from the distinct rows."""
    if array.size == len(array):  # text of one column, too, which `axis` does not take
        flat = array.reshape(-1)
        keys = group_codes(flat, "a column of texts") if flat.dtype == object else flat
        rows = np.unique(keys, return_index=True)[1]
    else:
        rows = np.unique(array.reshape(len(array), -1), axis=0, return_index=True)[1]
    return array[rng.choice(rows, count)]

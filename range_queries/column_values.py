"""What columns may hold, and how a column's value moves on to another of them.

Throughout, `values` is None (0 and 1 in each column), a number c (0 … c − 1 in each), or a tuple with an array of different
values for each column.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

_CHECKED_AT_ONCE = 4096


def checked_values(values: Any) -> Any:
    """None, a number of values, or a tuple of arrays; see above.

    Raises:
      ValueError: if it is something else, or nothing could change.
    """
    if values is None:
        return None
    if isinstance(values, (int, np.integer)) and not isinstance(values, bool):
        if values < 2:
            raise ValueError(f"values is {values}; give at least 2, or a list with the values of each column.")
        return int(values)
    try:
        lists = tuple(np.unique(np.asarray(one)) for one in values)
    except TypeError:
        lists = ()
    if not lists or any(one.dtype.kind not in "biuf" or not one.size or np.isnan(one).any() for one in lists):
        raise ValueError(f"values is {values!r}; give a whole number, or a list with the numbers each column may hold.")
    if all(np.ndim(one) == 0 for one in values):
        raise ValueError(f"values is {values!r}; give a list of lists, one a column, or a number of values.")
    if all(len(one) == 1 for one in lists):
        raise ValueError("values gives one value for each column, so nothing can change; give more.")
    return lists


def choices(values: Any, d: int) -> NDArray[np.int64]:
    """int64[d], how many values each column may hold.

    Raises:
      ValueError: if they are listed for more or fewer columns.
    """
    if not isinstance(values, tuple):
        return np.full(d, 2 if values is None else values)
    if len(values) != d:
        raise ValueError(f"values has {len(values)} lists, but a record has {d} columns; give one for each.")
    return np.array([len(one) for one in values])


def check_held(columns: Any, values: Any) -> None:
    """Nothing, if these columns hold such values only.

    Args:
      columns: [n, d], read in blocks of rows.
    Raises:
      ValueError: otherwise.
    """
    for start in range(0, len(columns), _CHECKED_AT_ONCE):
        block = columns[start : start + _CHECKED_AT_ONCE]
        if not isinstance(values, tuple):
            count = 2 if values is None else values
            if not ((block >= 0) & (block < count) & (block == np.rint(block))).all():
                holds = "0 and 1" if values is None else f"0 … {count - 1}"
                raise ValueError(f"x holds other values than {holds}; say by values= what its columns may hold.")
            continue
        for column, listed in enumerate(values):
            odd = block[~np.isin(block[:, column], listed), column]
            if len(odd):
                raise ValueError(f"column {column} of x holds {odd[0]}, which values does not list; add it.")


def shifted(held: Any, where: Any, shifts: Any, counts: NDArray[np.int64], values: Any) -> Any:
    """[n, s] like `held`, each value moved on by so many of its column's values, in a circle.

    Args:
      held: [n, s], what columns hold.
      where: int[n, s], which columns.
      shifts: int64[n, s]; 0 = unchanged.
      counts: int64[d]; see `choices`.
    """
    own = tf.gather(tf.constant(counts, tf.int64), where)
    if not isinstance(values, tuple):
        moved = tf.cast((tf.cast(held, tf.int64) + shifts) % own, held.dtype)
    else:
        table = np.stack([np.resize(one, max(counts)) for one in values])  # repeated, so that nothing else is found
        listed = tf.gather(tf.cast(tf.constant(table), held.dtype), where)
        place = tf.argmax(tf.cast(tf.equal(listed, held[..., None]), tf.int8), axis=-1)
        moved = tf.gather(listed, (place + shifts) % own, batch_dims=2)
    return tf.where(shifts > 0, moved, held)

"""A few points of a range drawn and looked at, before a model is asked about all of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from privacy_callbacks.attacks.record_arrays import as_arrays, is_ragged, resident

from .base_range import Range, RangeRecords

_RECORDS, _POINTS = 64, 4
_MANY = 0.5


def notes_on_points(bound: Range, centres: RangeRecords, q: int, seed: int) -> tuple[str, ...]:
    """Sentences where points hardly differ from their query; of a range that makes its points.

    Args:
      bound: the range, told the centres.
      centres: of all ranges.
      q, seed: see `Range.draw`.
    Raises:
      ValueError: if points are NaN or infinite, depend on what stands beside a record, or if none differs from its query in a
        range that should have others.
    """
    count = min(_RECORDS, len(tf.nest.flatten(centres.x)[0]))
    few = tf.nest.map_structure(lambda leaf: leaf[:count], centres.x)
    middle, shares = count // 2, []
    for index in range(min(q, _POINTS)):
        made = as_arrays(bound.draw(resident(few), q, index, seed))
        if not all(_finite(leaf).all() for leaf in tf.nest.flatten(made)):
            raise ValueError(
                f"{bound.kind}: points are NaN or infinite; give a smaller range, or look at its function."
            )
        if 0 < middle < count:
            half = tf.nest.map_structure(lambda leaf: leaf[middle:], few)
            again = as_arrays(bound.draw(resident(half), q, index, seed, first=middle))
            if not _alike(tf.nest.map_structure(lambda leaf: leaf[middle:], made), again):
                raise ValueError(
                    f"{bound.kind}: a record gets another point when it stands beside others; treat each record by itself, and "
                    "draw by row."
                )
        shares.append(_equal(made, few).mean())
    equal = float(np.mean(shares))
    if bound.sizes(centres.x, q) is not None or equal < _MANY:
        return ()
    if equal == 1:
        raise ValueError(
            f"{bound.kind}: every point is the query itself (rounded back to it, perhaps); give a larger range, or Point()."
        )
    return (f"about {100 * equal:.0f} % of the points are the query itself (rounded back to it, perhaps).",)


def refuse_nonfinite(nest: Any, what: str) -> None:
    """Nothing, if all floats are finite.

    Raises:
      ValueError: otherwise.
    """
    bad = sum(int((~_finite(leaf)).sum()) for leaf in tf.nest.flatten(nest))
    if bad:
        raise ValueError(f"{what} hold {bad:,} values that are NaN or infinite; clean them first.")


def _finite(leaf: Any) -> NDArray[np.bool_]:
    array = np.asarray(leaf)
    return np.isfinite(array) if array.dtype.kind == "f" else np.ones(len(array), bool)


def _equal(one: Any, other: Any) -> NDArray[np.bool_]:
    """bool[n], records that are equal in all leaves."""
    pairs = zip(tf.nest.flatten(one), tf.nest.flatten(other), strict=True)
    each = [np.array([np.array_equal(a, b) for a, b in zip(_told(x), _told(y), strict=True)]) for x, y in pairs]
    return np.logical_and.reduce(each)


def _alike(one: Any, other: Any) -> bool:
    for left, right in zip(tf.nest.flatten(one), tf.nest.flatten(other), strict=True):
        if left.dtype.kind == "f":
            wide = left.astype(np.float64), right.astype(np.float64)
            if not np.allclose(*wide, rtol=1e-3, atol=1e-4 * max(1e-30, float(np.abs(wide[0]).max(initial=0)))):
                return False
        elif not _equal(left, right).mean() > 0.9:  # a value that is rounded may fall to the other side
            return False
    return True


def _told(leaf: Any) -> Any:
    """Strings come back from TensorFlow as bytes."""
    array = np.asarray(leaf)
    if array.dtype.kind in "OSU" and not is_ragged(array):
        flat = [value.decode() if isinstance(value, bytes) else str(value) for value in array.ravel()]
        return np.array(flat, object).reshape(array.shape)
    return leaf

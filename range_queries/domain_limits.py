"""The limits of values: a domain as users give it, and what it comes to in the type of each input."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

_INTO_INT64 = float(2**63 - 1024)  # the largest that float64 holds


def checked_domain(domain: Any) -> tuple[Any, Any] | None:
    """(low, high).

    Raises:
      ValueError: if it is something else.
    """
    if domain is None:
        return None
    if not isinstance(domain, (tuple, list)) or len(domain) != 2:
        raise ValueError(f"domain is {domain!r}; give (low, high).")
    low, high = domain
    ends = [end for end in tf.nest.flatten((low, high)) if end is not None]
    if any(np.asarray(end).dtype.kind not in "biuf" or np.isnan(end).any() for end in ends):
        raise ValueError(f"domain is {domain!r}; give numbers, or None for no limit.")
    if all(isinstance(end, (int, float, np.number)) for end in (low, high)):
        _check_order(low, high)
    return low, high


def limits_of(
    domain: tuple[Any, Any] | None, x: Any, marks: Sequence[bool], types: Sequence[np.dtype[Any]]
) -> list[tuple[Any, Any]]:
    """(low, high) for each input that is marked, arrays that broadcast to a record; None = no limit.

    In float64 for floats, what their type holds; in int64 for whole numbers and booleans, which their type limits anyway.

    Args:
      domain: see `checked_domain`.
      x: the nest of inputs.
      marks: which of its leaves are marked.
      types: of these.
    Raises:
      ValueError: if the domain does not fit.
    """
    lows, highs = (
        _spread(end, x, name, marks) for end, name in zip(domain or (None, None), ("low", "high"), strict=True)
    )
    shapes = [tuple(leaf.shape[1:]) for leaf, mark in zip(tf.nest.flatten(x), marks, strict=True) if mark]
    return [_in_type(*each) for each in zip(lows, highs, shapes, types, strict=True)]


def _spread(end: Any, x: Any, name: str, marks: Sequence[bool]) -> list[Any]:
    """One end of a domain for each input that is marked."""
    nests = (Mapping, tuple, list)
    if end is None or not isinstance(x, nests) or (not isinstance(end, nests) and np.ndim(end) == 0):
        return [end] * sum(marks)
    try:
        tf.nest.assert_same_structure(x, end)
    except (ValueError, TypeError):
        raise ValueError(
            f"{name} of the domain is {end!r}; for several inputs give a number, or a nest like x."
        ) from None
    return [one for one, mark in zip(tf.nest.flatten(end), marks, strict=True) if mark]


def _in_type(low: Any, high: Any, shape: tuple[int, ...], kind: np.dtype[Any]) -> tuple[Any, Any]:
    ends = [None if end is None else np.asarray(end, np.float64) for end in (low, high)]
    for end in ends:
        if end is not None and not _broadcasts(end.shape, shape):
            raise ValueError(
                f"domain has shape {end.shape}, but a record has {shape}; give numbers, or arrays that fit."
            )
    if low is not None and high is not None:
        _check_order(low, high)
    if kind.kind not in "biu":
        with np.errstate(over="ignore"):
            rounded = [None if end is None else end.astype(kind).astype(np.float64) for end in ends]
        return rounded[0], rounded[1]
    if kind.itemsize == 8 and low is None and high is None:
        return None, None
    held = (0, 1) if kind.kind == "b" else (np.iinfo(kind).min, np.iinfo(kind).max)
    bottom, top = max(held[0], -_INTO_INT64), min(held[1], _INTO_INT64)
    lowest = np.clip(bottom if ends[0] is None else np.ceil(ends[0]), bottom, top)
    highest = np.clip(top if ends[1] is None else np.floor(ends[1]), bottom, top)
    return lowest.astype(np.int64), highest.astype(np.int64)


def _check_order(low: Any, high: Any) -> None:
    if not np.all(np.asarray(low) <= np.asarray(high)):
        raise ValueError(f"domain is {(low, high)!r}, of which low is above high; give (low, high).")


def _broadcasts(shape: tuple[int, ...], record: tuple[int, ...]) -> bool:
    ends = zip(shape[::-1], record[::-1], strict=False)
    return len(shape) <= len(record) and all(one in (1, other) for one, other in ends)

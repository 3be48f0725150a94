"""Those inputs of records that hold numbers, as columns: read, moved within their limits, and put back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from .domain_limits import limits_of

_CHECKED_AT_ONCE = 4096


class NumericLeaves:
    """Those inputs of a nest, arrays or tensors [n, ...], that a range changes.

    Args:
      x: the nest.
      leaves: keys or positions in it; None = all.
      domain: (low, high); see `LpBall`.
      skip: True to leave out what is no number, instead of refusing it.
    Attributes:
      leaves, others: the inputs that are changed, and those that are not.
      d: how many columns the former have.
    Raises:
      ValueError: if they are no numbers of a fixed shape, or the domain does not fit.
    """

    def __init__(self, x: Any, leaves: Sequence[str | int] | None, domain: Any, skip: bool = False) -> None:
        self._x = x
        given = tf.nest.flatten(x)
        self._marks = [
            mark and (_is_number(leaf) or not skip) for mark, leaf in zip(_named(x, leaves), given, strict=True)
        ]
        self.leaves = [leaf for leaf, mark in zip(given, self._marks, strict=True) if mark]
        self.others = [leaf for leaf, mark in zip(given, self._marks, strict=True) if not mark]
        if not self.leaves:
            raise ValueError("no input is left to change; give one that holds numbers.")
        for leaf in self.leaves:
            _check_type(leaf)
        self._types = [_numpy_type(leaf) for leaf in self.leaves]
        self._widths = [math.prod(leaf.shape[1:]) for leaf in self.leaves]
        self.d = sum(self._widths)
        self._limits = limits_of(domain, x, self._marks, self._types)

    @property
    def rows(self) -> Any:
        """How many records tensors hold, a scalar tensor."""
        return tf.shape(self.leaves[0])[0]

    def check(self) -> None:
        """Nothing, if all numbers are finite and within the domain.

        Raises:
          ValueError: otherwise.
        """
        for leaf, (low, high) in zip(self.leaves, self._limits, strict=True):
            for start in range(0, len(leaf), _CHECKED_AT_ONCE):
                block = leaf[start : start + _CHECKED_AT_ONCE]
                if block.dtype.kind not in "biu" and not np.isfinite(block).all():
                    raise ValueError("x has values that are missing or infinite; a ball needs a finite centre.")
                outside = np.zeros(block.shape, bool)
                outside |= False if low is None else block < low
                outside |= False if high is None else block > high
                if outside.any():
                    place = tuple(np.argwhere(outside)[0])
                    raise ValueError(
                        f"record {start + place[0]} holds {block[place]}, outside of the domain; widen the domain to hold all "
                        "records, or leave that one out."
                    )

    def joined(self) -> Any:
        """[n, d], all columns in a type that holds those of all inputs."""
        if all(np.can_cast(kind, np.int32) for kind in self._types):
            common = tf.int32
        elif all(kind.kind in "biu" for kind in self._types):
            common = tf.int64
        else:
            common = self.leaves[0].dtype if len(set(self._types)) == 1 else tf.float64
        flat = [
            tf.reshape(leaf, [tf.shape(leaf)[0], width]) for leaf, width in zip(self.leaves, self._widths, strict=True)
        ]
        return tf.concat([tf.cast(leaf, common) for leaf in flat], axis=1)

    def replaced(self, columns: Any) -> Any:
        """A nest like x, with these columns [n, d] in the place of its own."""
        parts = zip(tf.split(columns, self._widths, axis=1), self.leaves, strict=True)
        return self._packed([tf.cast(tf.reshape(part, tf.shape(leaf)), leaf.dtype) for part, leaf in parts])

    def moved(self, offsets: Any, length: Any, whole: bool = False) -> Any:
        """A nest like x, with length · offsets [n, d] added to its columns, rounded and clipped as needed.

        Args:
          offsets: float32[n, d].
          length: a number, or float[n, 1].
          whole: True if the offsets are uniform in [−1, 1], and those of whole numbers should be so within the length.
        """
        parts = tf.split(offsets, self._widths, axis=1)
        made = []
        for leaf, part, kind, (low, high) in zip(self.leaves, parts, self._types, self._limits, strict=True):
            counted = kind.kind in "biu"
            work = tf.float64 if counted or kind == np.float64 else tf.float32
            if counted and whole:
                most = math.floor(length)
                step = tf.clip_by_value(tf.round(tf.cast(part, work) * (most + 0.5)), -most, most)
            else:
                step = tf.cast(part, work) * tf.cast(length, work)
            to = tf.int64 if counted else work
            step = tf.cast(tf.round(step), to) if counted else step
            point = tf.cast(leaf, to) + tf.reshape(step, tf.shape(leaf))
            point = point if low is None else tf.maximum(point, tf.constant(low, to))
            point = point if high is None else tf.minimum(point, tf.constant(high, to))
            made.append(tf.cast(point, leaf.dtype))
        return self._packed(made)

    def _packed(self, made: list[Any]) -> Any:
        new = iter(made)
        flat = [next(new) if mark else leaf for leaf, mark in zip(tf.nest.flatten(self._x), self._marks, strict=True)]
        return tf.nest.pack_sequence_as(self._x, flat)


def _named(x: Any, leaves: Sequence[str | int] | None) -> list[bool]:
    """Of the inputs in the order of `tf.nest`: is it one of these?"""
    if leaves is None:
        return [True] * len(tf.nest.flatten(x))
    if not isinstance(x, (Mapping, tuple, list)):
        raise ValueError(f"leaves is {leaves!r}, but x is a single input; leave it out.")
    keys: list[Any] = sorted(x) if isinstance(x, Mapping) else list(range(len(x)))
    unknown = [leaf for leaf in leaves if leaf not in keys]
    if unknown or not leaves:
        raise ValueError(f"leaves is {leaves!r}, but x has {keys!r}; give some of these.")
    return [key in leaves for key in keys for _ in tf.nest.flatten(x[key])]


def _numpy_type(leaf: Any) -> np.dtype[Any]:
    return np.dtype(leaf.dtype.as_numpy_dtype if hasattr(leaf.dtype, "as_numpy_dtype") else leaf.dtype)


def _is_number(leaf: Any) -> bool:
    ragged = isinstance(leaf, tf.RaggedTensor)
    # bfloat16 is none of NumPy's own kinds.
    return not ragged and (_numpy_type(leaf).kind in "biuf" or _numpy_type(leaf).name == "bfloat16")


def _check_type(leaf: Any) -> None:
    if not _is_number(leaf):
        kind = "ragged" if isinstance(leaf, tf.RaggedTensor) else f"of type {_numpy_type(leaf)}"
        raise ValueError(
            f"x has an input that is {kind}, which has no neighbourhood in numbers; name others by leaves=."
        )
    if _numpy_type(leaf) == np.uint64:
        raise ValueError("x has an input of type uint64, in which no offset can be added; give int64.")
    if isinstance(leaf.shape, tf.TensorShape) and leaf.shape[1:].num_elements() is None:
        raise ValueError(f"x has an input of shape {leaf.shape}; a ball needs to know a record's shape: set it.")

"""What a range is: the records around a query that an attacker asks about, and the truth about them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from privacy_callbacks.attacks.record_arrays import Records
from privacy_callbacks.attacks.true_membership import Pairs

from .content_digest import content_digest


class RangeRecords(NamedTuple):
    """Records with what decides about ranges: centres of ranges, or training records.

    Attributes:
      x: inputs, a nest of arrays [n, ...].
      y: labels, such a nest; () = unknown.
      ids: [n], owners or other ids; None = unknown.
    """

    x: Any
    y: Any = ()
    ids: NDArray[Any] | None = None


class Range(ABC):
    """A set of records around each query. Subclasses are frozen dataclasses (`eq=False`) that say what they hold.

    Axes: n queries (the centres), q points drawn from a range.

    Whether a range contains a training record is decided by `pairs`, never taken from how the query was made.

    Attributes:
      kind: what reports call such ranges.
      asks_labels: True if a training record lies in a range only with the label of the query: with another one it is uncertain.
      others: records that its points are taken from, instead of being made from the query; None = made.
      label_values: labels [k, ...] that stand for a label that the attacker does not know; None = the query's own.
      holds_centre: True if a query is a whole record that the model can be asked about; False if it is part of one, or an owner.
    """

    kind: str = "range"
    asks_labels: bool = True
    others: Records | None = None
    label_values: Any = None
    holds_centre: bool = True

    @abstractmethod
    def draw(self, x: Any, q: int, index: Any, seed: int, first: Any = 0) -> Any:
        """One point of each range, in a graph or without one: the same for a record in whatever batch it stands.

        Args:
          x: the centres, a nest of tensors [n, ...], rows `first` … `first + n − 1` of all centres.
          q: how many points will be asked.
          index: which of them, a whole number or an int32 scalar tensor below q.
          seed: a whole number.
          first: see above, a number or an int32 scalar tensor.
        Returns:
          Like x; for a range that takes `others`, it is not called.
        """

    @abstractmethod
    def pairs(self, x: Any, training: Any) -> Iterator[Pairs]:
        """Centres and training records in their ranges, by inputs alone; in parts of bounded memory.

        Args:
          x, training: nests of arrays [n, ...] and [t, ...].
        """

    def check(self, x: Any) -> None:  # noqa: B027 - most ranges fit whatever they are given
        """Nothing, if these centres (a nest of arrays) fit the range.

        Raises:
          ValueError: otherwise.
        """

    def at(self, centres: RangeRecords) -> Range:
        """The range with what it needs to know of all centres; itself, if that is nothing.

        Raises:
          ValueError: if they do not fit.
        """
        self.check(centres.x)
        return self

    def sizes(self, x: Any, q: int) -> NDArray[np.int64] | None:
        """int64[n], how many of q points are different by construction, at least 1; None = all q.

        A range with fewer points than are asked for is enumerated, and repeated in turn.
        """
        return None

    def chosen(self, centres: RangeRecords, q: int, seed: int) -> NDArray[np.int64] | None:
        """int64[n, q]: rows of `others`, or None if it has none."""
        return None

    def label_index(self, q: int, index: Any, seed: int, rows: Any, first: Any = 0) -> Any:
        """int64[rows], in a graph: which of `label_values` a point has."""
        raise NotImplementedError

    def related(self, centres: RangeRecords, training: RangeRecords) -> Iterator[Pairs]:
        """As `pairs`, with labels: a record within the range that is of another class is uncertain."""
        labels = centres.y, training.y
        ask = self.asks_labels and all(len(tf.nest.flatten(side)) for side in labels) and _names_classes(labels[0])
        for found in self.pairs(centres.x, training.x):
            certain = found.certain
            if ask and len(found.rows):
                certain = certain & _equal_labels(*labels, found)
            yield Pairs(found.rows, found.hits, certain)

    def sample(self, x: Any, q: int, seed: int = 0) -> Any:
        """Points from the range around each query.

        Args:
          x: queries [n, ...], or a nest of them; arrays, or tensors within a `tf.function` or `tf.data`.
          q: how many points a query, at least 1.
          seed: decides which.
        Returns:
          [n, q, ...] in the type of x; where a range has fewer points it is enumerated and repeated in turn.
        Raises:
          ValueError: if queries, range and q do not fit each other.
        """
        check_queries(q)
        _check_seed(seed)
        x = np.asarray(x) if isinstance(x, list) else x
        given = tf.nest.flatten(x)
        arrays = not any(tf.is_tensor(leaf) or isinstance(leaf, tf.RaggedTensor) for leaf in given)
        bound = self.at(RangeRecords(tf.nest.map_structure(np.asarray, x))) if arrays else self
        tensors = tf.nest.map_structure(tf.convert_to_tensor, x) if arrays else x
        points = [bound.draw(tensors, q, index, seed) for index in range(q)]
        stacked = tf.nest.map_structure(lambda *leaves: tf.stack(leaves, axis=1), *points)
        return tf.nest.map_structure(lambda leaf: leaf.numpy(), stacked) if arrays else stacked

    def contains(self, x: Any, training_records: Any) -> NDArray[np.bool_]:
        """bool[n]: does a training record lie in the range around each query?

        By inputs alone; records at the edge, of which it cannot be said, count as outside.

        Args:
          x: queries, an array [n, ...] or a nest of arrays.
          training_records: inputs like x, [t, ...].
        """
        x, training = (tf.nest.map_structure(np.asarray, side) for side in (x, training_records))
        bound = self.at(RangeRecords(x))
        found = np.zeros(len(tf.nest.flatten(x)[0]), bool)
        for pairs in bound.pairs(x, training):
            found[pairs.rows[pairs.certain]] = True
        return found

    @property
    def digest(self) -> str:
        """Equal for ranges that are equal in content."""
        return content_digest(type(self), vars(self))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Range) and self.digest == other.digest

    def __hash__(self) -> int:
        return hash(self.digest)


def check_queries(q: int, name: str = "q") -> None:
    """Nothing, if q is a number of points.

    Args:
      q: the number.
      name: what it is called where it was given.
    Raises:
      ValueError: otherwise.
    """
    if isinstance(q, bool) or not isinstance(q, (int, np.integer)) or q < 1:
        raise ValueError(f"{name} is {q!r}; give how many points to draw from each range, at least 1.")


def _check_seed(seed: Any) -> None:
    whole = isinstance(seed, (int, np.integer)) and not isinstance(seed, bool) and 0 <= seed < 2**63
    if not whole and not tf.is_tensor(seed):
        raise ValueError(f"seed is {seed!r}; give a whole number, at least 0 (and below 2^63).")


def _names_classes(labels: Any) -> bool:
    """False for targets of a regression and soft labels: those of two records hardly ever agree."""
    leaves = [np.asarray(leaf) for leaf in tf.nest.flatten(labels)]
    return all(leaf.dtype.kind != "f" or bool(np.all(leaf == np.round(leaf))) for leaf in leaves)


def _equal_labels(left: Any, right: Any, pairs: Pairs) -> NDArray[np.bool_]:
    equal = np.ones(len(pairs.rows), bool)
    for ours, theirs in zip(tf.nest.flatten(left), tf.nest.flatten(right), strict=True):
        one, other = np.asarray(ours)[pairs.rows], np.asarray(theirs)[pairs.hits]
        equal &= (one == other).reshape(len(equal), -1).all(axis=1)
    return equal

"""What is asked in the place of a record: functions of a batch, and points that are drawn for each record by its row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol, runtime_checkable

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from .graph_loop import stacked
from .record_arrays import Records
from .said import said


@runtime_checkable
class PointQueries(Protocol):
    """Several queries a record, each record's own; in a graph one after the other, so that memory holds one.

    Axes: n records in all, k of them in a batch.

    Attributes:
      width: how many.
      counts: int[n], how many of them a record has, the first ones: answers to the others are NaN; None = all.
      digest: equal for queries that ask the same.
      others: records that are asked about instead, labels and all; None = altered inputs.
      chosen: int[n, width], rows of `others`.
      label_values: labels [v, ...] that are asked instead of the record's own; None = its own.
    """

    width: int
    counts: NDArray[Any] | None
    digest: str
    others: Records | None
    chosen: NDArray[Any] | None
    label_values: Any

    def __call__(self, x: Any, index: Any, first: Any) -> Any:
        """The query with number `index` (an int32 scalar) of the records from row `first` on; inputs like x [k, ...].

        Where there are `others`, x holds those that were chosen.
        """

    def label_index(self, index: Any, rows: Any, first: Any) -> Any:
        """int64[rows], which of `label_values` it asks."""


Query = Callable[[Any], Any] | PointQueries
Queries = tuple[Query, ...]
# (inputs, what the head reads of their labels …) of `others` and of `label_values`, as tensors.
Further = dict[Query, tuple[Any, ...]]


def has_points(queries: Queries) -> bool:
    """True if some of them are drawn for each record."""
    return any(isinstance(query, PointQueries) for query in queries)


def width_of(queries: Queries) -> int:
    """How many answers a record gets."""
    return max(1, sum(query.width if isinstance(query, PointQueries) else 1 for query in queries))


def missing(queries: Queries, count: int) -> NDArray[np.bool_] | None:
    """bool[n, queries], True where a record has no such query; None if all have all."""
    parts, some = [], False
    for query in queries:
        if isinstance(query, PointQueries):
            counts = np.full(count, query.width) if query.counts is None else query.counts
            parts.append(np.arange(query.width) >= counts[:, None])
            some |= bool(parts[-1].any())
        else:
            parts.append(np.zeros((count, 1), bool))
    return np.concatenate(parts, axis=1) if some else None


def answers_to(
    queries: Queries,
    answer: Callable[..., Any],
    shape: tuple[int, int],
    batch: tuple[Any, ...],
    rows: Any,
    further: Further,
) -> Any:
    """float64[names, queries, k], in a graph.

    Args:
      queries: none = the records themselves.
      answer: (inputs, what belongs to them …) -> float64[names, k].
      shape: (names, k).
      batch: the arguments of `answer` for these records.
      rows: int32[k], where the records stand among all.
      further: see `Further`.
    """
    if not queries:
        return answer(*batch)[:, None]
    found: list[Any] = []
    for query in queries:
        with tf.control_dependencies(found[-1:]):  # one after the other: memory holds one
            if isinstance(query, PointQueries):
                points = stacked(_asking(query, answer, batch, rows, further), query.width, shape)
                found.append(tf.transpose(points, [1, 0, 2]))
            else:
                x, *others = batch
                found.append(answer(altered(query, x), *others)[:, None])
    return tf.concat(found, axis=1)


def altered(query: Callable[[Any], Any], x: Any) -> Any:
    """The inputs as this query wants them asked.

    Raises:
      ValueError: if it fails, or changes their shape.
    """
    try:
        made = tf.nest.map_structure(
            lambda leaf: leaf if isinstance(leaf, tf.RaggedTensor) else tf.convert_to_tensor(leaf), query(x)
        )
        tf.nest.assert_same_structure(made, x)
    except Exception as reason:
        raise ValueError(f"a query cannot be asked: {said(reason)}") from reason
    for given, wanted in zip(tf.nest.flatten(made), tf.nest.flatten(x), strict=True):
        if not given.shape.is_compatible_with(wanted.shape):
            raise ValueError(
                f"a query makes inputs of shape {wanted.shape} into {given.shape}; it must keep records and their shape."
            )
    return made


def _asking(
    query: PointQueries, answer: Callable[..., Any], batch: tuple[Any, ...], rows: Any, further: Further
) -> Callable[[Any], Any]:
    def ask(index: Any) -> Any:
        if query.others is not None:
            # A batch that was filled up has rows beyond the last record.
            table = tf.constant(query.chosen)
            chosen = tf.gather(table, tf.minimum(rows, table.shape[0] - 1))[:, index]
            other, *theirs = _rows(further[query], chosen)
            return answer(altered(lambda inputs: query(inputs, index, rows[0]), other), *theirs)
        x, *truth = batch
        made = altered(lambda inputs: query(inputs, index, rows[0]), x)
        if query.label_values is not None:
            labels = query.label_index(index, tf.shape(rows)[0], rows[0])
            _, y, classes, _ = further[query]
            truth = [*_rows((y, classes), labels), truth[2]]
        return answer(made, *truth)

    return ask


def _rows(nest: Any, rows: Any) -> Any:
    return tf.nest.map_structure(lambda leaf: tf.gather(leaf, rows), nest)

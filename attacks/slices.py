"""Parts of the audited records that are judged by themselves: classes, percentiles of the loss, right answers, any column."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .number_arrays import as_floats, as_numbers, as_plain_array

_MOST_VALUES = 1_000


@dataclass(frozen=True, eq=False)
class Slice:
    """Some of the records, of both sides.

    Attributes:
      name: what reports call it.
      rows: bool[n], which records belong to it.
    """

    name: str
    rows: NDArray[np.bool_]


def by_class(labels: ArrayLike, classes: Iterable[Any] | None = None) -> list[Slice]:
    """One slice a class.

    Args:
      labels: [n].
      classes: the classes wanted, present or not; None = those present, in order.
    Raises:
      ValueError: if labels are not one a record.
    """
    return by_column("class", labels, classes)


def by_column(name: str, values: ArrayLike, wanted: Iterable[Any] | None = None) -> list[Slice]:
    """One slice a distinct value of any column: `<name> <value>`.

    Args:
      name: of the column.
      values: [n], numbers or strings, one a record.
      wanted: the values wanted, present or not; None = those present, in order.
    Raises:
      ValueError: if there is not one value a record, one is NaN, or there are more than 1,000 different ones.
    """
    column = as_plain_array(values, f"column {name!r}")
    if column.ndim == 2 and column.shape[1] == 1:
        column = column[:, 0]
    if column.ndim != 1:
        raise ValueError(f"column {name!r} has shape {column.shape}; give one value a record.")
    missing = _missing(column)
    if missing.any():
        raise ValueError(f"column {name!r} is missing (NaN, None) for {int(missing.sum())} records; give each a value.")
    present = _distinct(name, column) if wanted is None else _wanted(name, wanted)
    if len(present) > _MOST_VALUES:
        raise ValueError(
            f"column {name!r} has {len(present):,} different values; bin it first, or name the values you want."
        )
    return [Slice(f"{name} {value}", _holding(column, value)) for value in present]


def _wanted(name: str, wanted: Iterable[Any]) -> list[Any]:
    """The values that were asked for, each of them one value."""
    alone = isinstance(wanted, (str, bytes)) or not isinstance(wanted, Iterable) or getattr(wanted, "ndim", 1) != 1
    listed = [] if alone else list(wanted)
    if alone or any(isinstance(value, (list, tuple, set, dict, np.ndarray)) for value in listed):
        raise ValueError(f"{wanted!r:.80} was wanted of column {name!r}; give a list of single values.")
    return listed


def _holding(column: NDArray[Any], value: Any) -> NDArray[np.bool_]:
    try:
        return column == value
    except OverflowError:  # a whole number that no float of the column can be
        return np.zeros(len(column), bool)


def _missing(column: NDArray[Any]) -> NDArray[np.bool_]:
    """bool[n]: NaN, NaT or None, in a column of any type."""
    if column.dtype.kind != "O":
        return np.isnan(column) if column.dtype.kind in "fcmM" else np.zeros(column.shape, bool)
    # What does not equal itself is NaN of some kind; pandas' NA does not say.
    return np.array([value is None or str(value) == "<NA>" or bool(value != value) for value in column], bool)


def _distinct(name: str, column: NDArray[Any]) -> list[Any]:
    """The values present, in order; of several types, type by type."""
    if column.dtype.kind != "O":
        return list(np.unique(column))
    try:
        return sorted(set(column.tolist()), key=lambda value: (isinstance(value, str), type(value).__name__, value))
    except TypeError as reason:
        raise ValueError(f"column {name!r} holds values that cannot be told apart or ordered ({reason}).") from None


def by_percentile(losses: ArrayLike, parts: int = 10) -> list[Slice]:
    """Slices of about equal size by the records' loss, of both sides together, smallest first: `loss 0–10 %`, …

    A record belongs to the first part whose upper edge it does not exceed, so parts do not overlap and equal losses stay
    together; where many tie, a part may be empty.

    Args:
      losses: float[n], the loss itself (smaller = known better). ±inf are ordinary extremes.
      parts: how many.
    Raises:
      ValueError: if losses are not one a record, are NaN, or parts is not at least 2.
    """
    values = as_floats(losses, "losses")
    if values.ndim != 1 or not values.size or np.isnan(values).any():
        raise ValueError(f"losses have shape {values.shape} or are NaN somewhere; give one number a record.")
    if parts < 2:
        raise ValueError(f"parts is {parts!r}; give at least 2.")
    edges = percentile_edges(values, parts)
    part = np.searchsorted(edges[1:-1], values, side="left")
    shares = [f"{100 * index / parts:g}" for index in range(parts + 1)]
    return [Slice(f"loss {shares[index]}–{shares[index + 1]} %", part == index) for index in range(parts)]


def percentile_edges(losses: NDArray[np.float64], parts: int) -> NDArray[np.float64]:
    """float[parts + 1]: the edges of `by_percentile`, linearly interpolated between neighbouring losses."""
    with np.errstate(invalid="ignore"):
        edges = np.quantile(losses, np.arange(parts + 1) / parts)
    # Between two infinite losses interpolation gives NaN; the edge is the upper of the two.
    return np.where(np.isnan(edges), np.quantile(losses, np.arange(parts + 1) / parts, method="higher"), edges)


def by_correctness(correct: ArrayLike) -> list[Slice]:
    """Two slices: records that the model answers correctly, and the others.

    Args:
      correct: bool[n] (or 0 / 1).
    Raises:
      ValueError: if it is not one flag a record.
    """
    flags = as_numbers(correct, "correct", "give one flag a record")
    if flags.ndim != 1 or not np.isin(flags, (0, 1)).all():
        raise ValueError(f"correct has shape {flags.shape} or values other than 0 and 1; give one flag a record.")
    return [Slice("correct", flags == 1), Slice("wrong", flags == 0)]


def crossed(*slicings: Sequence[Slice]) -> list[Slice]:
    """Every combination of one slice of each: `class 3 & wrong`.

    Raises:
      ValueError: if there are fewer than two, or more than 1,000 combinations.
    """
    if len(slicings) < 2:
        raise ValueError(f"{len(slicings)} slicings were given; cross two or more.")
    if np.prod([len(slicing) for slicing in slicings]) > _MOST_VALUES:
        raise ValueError("these cross to more than 1,000 slices; cross fewer, or coarser ones.")
    found = list(slicings[0])
    for slicing in slicings[1:]:
        found = [Slice(f"{left.name} & {right.name}", left.rows & right.rows) for left in found for right in slicing]
    return found


@dataclass(frozen=True, eq=False)
class Column:
    """A column of the user's to cut records by, e.g. an age group.

    Attributes:
      name: of the column.
      members, nonmembers: one value a record of each source, in its order.
    """

    name: str
    members: ArrayLike
    nonmembers: ArrayLike

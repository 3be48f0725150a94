"""What a column of a table may hold: a few values, or numbers between two ends."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .tables import as_text, type_of

_MOST_WHOLE_NUMBERS = 1 << 31


@dataclass(frozen=True)
class Categorical:
    """A column that holds one of a few values: numbers, booleans or strings.

    Raises:
      ValueError: on none, on values that repeat, or on NaN and infinity.
    """

    values: tuple[Any, ...]

    def __post_init__(self) -> None:
        array = np.asarray(self.values)
        if array.ndim != 1 or not len(array):
            raise ValueError(f"values of a column have shape {array.shape}; give at least one, as a flat list.")
        values = as_text(array).tolist()
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            raise ValueError(f"values of a column are {values}; give finite numbers.")
        if len(set(values)) < len(values):
            raise ValueError(f"values of a column repeat: {values[:10]}; give each once.")
        object.__setattr__(self, "values", tuple(values))

    @property
    def size(self) -> float:
        """How many values."""
        return len(self.values)


@dataclass(frozen=True)
class Numeric:
    """A column that holds any number from `low` to `high`, or any whole number (both ends included).

    Raises:
      ValueError: if the ends are not finite and in order, not whole where they should be, or more than 2^31 numbers apart.
    """

    low: float
    high: float
    integer: bool = False

    def __post_init__(self) -> None:
        if not (np.isfinite(self.low) and np.isfinite(self.high) and self.low < self.high):
            raise ValueError(
                f"a column goes from {self.low} to {self.high}; give two finite numbers, the lower one first."
            )
        if self.integer and (self.low != int(self.low) or self.high != int(self.high)):
            raise ValueError(f"a column of whole numbers goes from {self.low} to {self.high}; give whole ends.")
        if self.integer and self.size > _MOST_WHOLE_NUMBERS:
            raise ValueError(f"a column has {self.size:.0f} whole numbers; give at most 2^31, or integer=False.")

    @property
    def size(self) -> float:
        """How many values; infinite unless they are whole numbers."""
        return self.high - self.low + 1 if self.integer else np.inf


@dataclass(frozen=True)
class Schema:
    """What columns may hold, as far as that is known.

    Attributes:
      named: by index of the column, or by its name.
      others: every other column; None = unknown.
    """

    named: Mapping[Any, Categorical | Numeric]
    others: Categorical | Numeric | None = None

    def __getitem__(self, key: Any) -> Categorical | Numeric | None:
        return self.named.get(key, self.others)


def schema_from(values: Any, columns: Any, width: int | None) -> Schema:
    """What columns may hold, from the forms in which it may be said.

    Args:
      values: values for all columns, or a list (dict) with those of each; None = see `columns`.
      columns: a list (dict) of `Categorical`, `Numeric`, lists of values, or None for what never misses.
      width: how many columns a table has; None for a dict of columns.
    Raises:
      ValueError: on both, or on another number of columns.
    """
    if values is not None and columns is not None:
        raise ValueError("values and columns both say what columns may hold; give one of them.")
    given, name = (values, "values") if columns is None else (columns, "columns")
    if given is None:
        return Schema({})
    if isinstance(given, (Categorical, Numeric)):
        return Schema({}, given)
    if columns is None and not isinstance(given, Mapping) and not any(_holds_column(entry) for entry in given):
        return Schema({}, Categorical(given))
    if isinstance(given, Mapping):
        each = dict(given)
    elif width is None:
        raise ValueError(
            f"{name} is a list with one entry a column, but the columns have names; give a dict by their names."
        )
    else:
        each = dict(enumerate(given))
    if width is not None and (unknown := [key for key in each if key not in range(width)]):
        raise ValueError(f"{name} speaks of column {unknown[0]!r}, but the mask has {width} columns, from 0 on.")
    if width is not None and not isinstance(given, Mapping) and len(each) != width:
        raise ValueError(f"{name} has {len(each)} entries, but the mask has {width} columns; give one for each.")
    return Schema({key: _column(entry, key) for key, entry in each.items() if entry is not None})


def check_fits(held: Categorical | Numeric, key: Any, kind: str) -> None:
    """Nothing, if a column of this type (see `type_of`) can hold these values.

    Raises:
      ValueError: otherwise.
    """
    if isinstance(held, Categorical):
        wrong: Any = [value for value in held.values if not _can_hold(kind, value)]
        if wrong:
            raise ValueError(f"column {key!r} holds {kind}, which {wrong[0]!r} is not; give values of that type.")
        return
    if kind in ("string", "bool"):
        raise ValueError(f"column {key!r} holds {kind}, but its values are a numeric range; list them instead.")
    if not kind.startswith(("float", "bfloat")):
        if not held.integer:
            raise ValueError(f"column {key!r} holds {kind}; give Numeric(low, high, integer=True).")
        if not all(_can_hold(kind, end) for end in (held.low, held.high)):
            raise ValueError(f"column {key!r} holds {kind}, which does not reach from {held.low} to {held.high}.")


def may_hold(held: Categorical | Numeric, values: NDArray[Any]) -> NDArray[np.bool_]:
    """bool[n], which of these values, stored as a column stores them, are among those that it may hold."""
    text = type_of(values) == "string"
    if isinstance(held, Categorical):
        if text != isinstance(held.values[0], str):
            return np.zeros(len(values), bool)
        known = np.array(held.values)
        # As the model is given them: 0.1 in float32 is the 0.1 that is listed.
        return np.isin(as_text(values), known.astype(values.dtype) if values.dtype.kind == "f" else known)
    if text:
        return np.zeros(len(values), bool)
    return (values >= held.low) & (values <= held.high) & ((not held.integer) | (values == np.rint(values)))


def _can_hold(kind: str, value: Any) -> bool:
    if kind == "string" or isinstance(value, str):
        return kind == "string" and isinstance(value, str)
    if kind == "bool":
        return value in (0, 1)
    if kind.startswith(("float", "bfloat")):
        return True
    limits = np.iinfo(kind)
    return value == int(value) and limits.min <= value <= limits.max


def _holds_column(entry: Any) -> bool:
    return entry is None or isinstance(entry, (Categorical, Numeric, list, tuple, np.ndarray))


def _column(entry: Any, key: Any) -> Categorical | Numeric:
    if isinstance(entry, (Categorical, Numeric)):
        return entry
    if not isinstance(entry, (list, tuple, np.ndarray)):
        raise ValueError(
            f"column {key!r} is said to hold {entry!r}; give a list of values, Categorical(values) or Numeric(low, high)."
        )
    return Categorical(tuple(entry))

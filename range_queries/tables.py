"""Tables as models take them, an array [n, d] or a dict of columns: reading their columns, checking their form."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SHAPES = "give an array [n, d], or a dict of columns {name: [n] or [n, 1]}"


def keys_of(x: Any) -> list[Any]:
    """Names of a dict's columns in alphabetical order, or 0 … d − 1; of arrays or tensors."""
    return sorted(x) if isinstance(x, Mapping) else list(range(x.shape[-1]))


def column(x: Any, key: Any) -> NDArray[Any]:
    """[n], one column."""
    return x[key].reshape(-1) if isinstance(x, Mapping) else x[:, key]


def num_rows(x: Any) -> int:
    """How many records a table of arrays has."""
    return len(next(iter(x.values())) if isinstance(x, Mapping) else x)


def type_of(leaf: Any) -> str:
    """What an array or tensor holds: "string", or the name of its dtype."""
    return "string" if getattr(leaf.dtype, "kind", None) in ("S", "U", "O") else leaf.dtype.name


def types_of(x: Any) -> dict[str, list[Any]]:
    """Keys of the columns by what they hold, in order."""
    if not isinstance(x, Mapping):
        return {type_of(x): keys_of(x)}
    found: dict[str, list[Any]] = {}
    for key in keys_of(x):
        found.setdefault(type_of(x[key]), []).append(key)
    return found


def stacked(x: Any, keys: list[Any], rows: slice = slice(None)) -> NDArray[Any]:
    """[n, len(keys)], these columns of some records, in the type that holds all of them."""
    if not isinstance(x, Mapping):
        block = x[rows]
        return block if len(keys) == x.shape[1] else block[:, keys]
    return np.stack([column(x, key)[rows] for key in keys], axis=1)


def slices(count: int, size: int) -> Iterator[slice]:
    """Slices of at most so many rows, at least one, that cover `count` rows."""
    for start in range(0, count, max(1, size)):
        yield slice(start, min(start + max(1, size), count))


def entries(table: NDArray[Any], rows: Any) -> NDArray[Any]:
    """A table's entries for these records; a single one is for all."""
    return table if len(table) == 1 else table[rows]


def as_text(values: NDArray[Any]) -> NDArray[Any]:
    """Strings, bytes or objects of both as an array of str; numbers as they are."""
    if values.dtype.kind not in "SO":
        return values
    texts = [value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value for value in values.flat]
    if wrong := [value for value in texts if not isinstance(value, str)]:
        raise ValueError(f"a column holds {wrong[0]!r} among strings; give strings alone, or numbers alone.")
    return np.array(texts, dtype=str).reshape(values.shape)


def values_as(values: Any, kind: str) -> NDArray[Any]:
    """Values as an array of a type that `type_of` names."""
    return np.asarray(values, dtype=object) if kind == "string" else np.asarray(values).astype(kind)


def check_table(x: Any, what: str) -> None:
    """Nothing, if x is an array [n, d] or a dict of columns.

    Raises:
      ValueError: otherwise.
    """
    leaves = x if isinstance(x, Mapping) else {"": x}
    if not leaves:
        raise ValueError(f"{what} have no columns; {_SHAPES}.")
    for name, leaf in leaves.items():
        place = f" in column {name!r}" if isinstance(x, Mapping) else ""
        if not hasattr(leaf, "dtype"):
            raise ValueError(f"{what} are a {type(leaf).__name__}{place}; {_SHAPES}.")
        shape = tuple(leaf.shape)
        fits = len(shape) == 1 or (len(shape) == 2 and shape[1] == 1) if place else len(shape) == 2
        if not fits:
            raise ValueError(f"{what} have shape {shape}{place}; {_SHAPES}.")
        if leaf.dtype.kind not in "biufSUO":
            raise ValueError(f"{what} hold {leaf.dtype}{place}; give numbers, booleans or strings.")
    lengths = {len(leaf) for leaf in leaves.values()}
    if len(lengths) > 1:
        raise ValueError(f"{what} have columns of {sorted(lengths)} records; give columns of one length.")


def check_alike(x: Any, other: Any, what: str) -> None:
    """Nothing, if both tables have the same columns.

    Raises:
      ValueError: otherwise, or if one holds strings where the other holds numbers.
    """
    check_table(other, what)
    if isinstance(x, Mapping) != isinstance(other, Mapping) or keys_of(x) != keys_of(other):
        raise ValueError(f"{what} have columns {_told(other)}, but the queries have {_told(x)}; give the same ones.")
    for one, theirs in ((x[key], other[key]) for key in x) if isinstance(x, Mapping) else [(x, other)]:
        if (type_of(one) == "string") != (type_of(theirs) == "string"):
            raise ValueError(f"{what} hold {type_of(theirs)} where the queries hold {type_of(one)}; give the same.")


def _told(x: Any) -> str:
    keys = keys_of(x)
    return f"{len(keys)}" if not isinstance(x, Mapping) else ", ".join(map(repr, keys[:5])) + " …" * (len(keys) > 5)

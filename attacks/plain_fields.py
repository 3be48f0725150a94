"""Plain types that JSON can hold: how values become such, and how they are read again, field by field."""

from __future__ import annotations

import json
import math
import reprlib
from collections.abc import Callable, Mapping
from numbers import Integral, Real
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")

# JSON has no numbers for these.
_NON_FINITE = ("NaN", "Infinity", "-Infinity")


def of(value: Any) -> Any:
    """The value in types that strict JSON can hold: NumPy's numbers as Python's, numbers that are not finite as strings.

    `number` reads either; every float comes back bit for bit.
    """
    if isinstance(value, Mapping):
        return {name: of(part) for name, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [of(part) for part in value]
    if isinstance(value, np.generic):
        return of(value.item())
    if isinstance(value, float):
        if math.isfinite(value):
            return float(value)
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    return value


def parsed(text: str | bytes, holder: str) -> Any:
    """What the JSON says.

    Raises:
      ValueError: if it is no strict JSON; NaN and Infinity as bare words are none, nor is a field that stands twice.
    """
    try:
        return json.loads(text, parse_constant=_refused_constant, object_pairs_hook=_fields_once)
    except (ValueError, TypeError, RecursionError) as reason:
        raise ValueError(
            f"{holder} is no JSON, or was cut short or changed ({str(reason).rstrip('.')}); give it as it was written."
        ) from None


def mapping(value: Any, holder: str) -> Mapping[str, Any]:
    """The value, if it is fields by name.

    Raises:
      ValueError: if it is something else.
    """
    if not isinstance(value, Mapping) or not all(isinstance(name, str) for name in value):
        raise ValueError(f"{reprlib.repr(value)} is no {holder}, which has fields by name; give it as it was written.")
    return value


def field(held: Mapping[str, Any], name: str, read: Callable[[Any], T], holder: str) -> T:
    """What a field holds.

    Args:
      held: the fields by name.
      name: of the field.
      read: gives the value back as it should be; raises TypeError with what it expects, or a ValueError of its own.
      holder: what to call the whole in messages.
    Raises:
      ValueError: if there is no such field, or something else in it.
    """
    if name not in held:
        raise ValueError(f"the {holder} has no field {name!r}; give it whole, as it was written.")
    try:
        return read(held[name])
    except TypeError as expected:
        shown = reprlib.repr(held[name])
        raise ValueError(
            f"{name!r} of the {holder} is {shown} and should be {expected}; give it as it was written."
        ) from None
    except ValueError as reason:
        raise ValueError(f"{name!r} of the {holder}: {reason}") from None


def schema_version(held: Mapping[str, Any], newest: int, holder: str) -> int:
    """The version of the layout, from 1 to `newest`.

    Raises:
      ValueError: if there is none, or another one.
    """
    version = field(held, "schema_version", whole, holder)
    if not 1 <= version <= newest:
        raise ValueError(
            f"the {holder} is of schema version {version}, and this package reads versions up to {newest}; read it with "
            "the version of the package that wrote it."
        )
    return version


def text(value: Any) -> str:
    """A string."""
    if not isinstance(value, str):
        raise TypeError("a string")
    return value


def flag(value: Any) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise TypeError("true or false")
    return value


def whole(value: Any) -> int:
    """A whole number."""
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError("a whole number")
    return int(value)


def count(value: Any) -> int:
    """A whole number, 0 or more."""
    if isinstance(value, bool) or not isinstance(value, Integral) or value < 0:
        raise TypeError("a whole number, 0 or more")
    return int(value)


def number(value: Any) -> float:
    """A float, or the name of one that is not finite."""
    if isinstance(value, str) and value in _NON_FINITE:
        return float(value)
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError("a number")
    try:
        return float(value)
    except OverflowError:
        raise TypeError("a number that a float can hold") from None


def figure(value: Any) -> float:
    """A number; a whole one and a flag stay what they are."""
    if isinstance(value, bool):
        return value
    return int(value) if isinstance(value, Integral) else number(value)


def texts(value: Any) -> tuple[str, ...]:
    """Strings."""
    if not isinstance(value, (list, tuple)) or not all(isinstance(part, str) for part in value):
        raise TypeError("a list of strings")
    return tuple(value)


def texts_by_name(value: Any) -> dict[str, str]:
    """Strings by name."""
    if not isinstance(value, Mapping) or not all(isinstance(part, str) for pair in value.items() for part in pair):
        raise TypeError("strings by name")
    return dict(value)


def or_none(read: Callable[[Any], T]) -> Callable[[Any], T | None]:
    """As `read`, but None stays None."""
    return lambda value: None if value is None else read(value)


def _refused_constant(name: str) -> float:
    raise ValueError(f"it holds a bare {name}")


def _fields_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        twice = next(name for index, (name, _) in enumerate(pairs) if name in dict(pairs[:index]))
        raise ValueError(f"the field {reprlib.repr(twice)} stands twice")
    return found

"""The values that payloads may hold, read one by one: nothing in an event file is taken for granted."""

from __future__ import annotations

import math
import reprlib
from collections.abc import Callable, Mapping
from typing import Any

MOST_LETTERS = 20_000
MOST_ITEMS = 10_000
MOST_TEXTS = 200
MOST_EXACT = 2**53  # the greatest whole number up to which a browser holds all
_LONGEST_SENTENCE = 2_000
_NON_FINITE = ("NaN", "Infinity", "-Infinity")


class PayloadError(ValueError):
    """Why a piece of an event file cannot be shown; speaks of the piece, not of the run."""


def fields(value: Any, what: str) -> Mapping[str, Any]:
    """The value, if it is fields by name (JSON knows no other names than strings)."""
    if not isinstance(value, dict):
        raise PayloadError(f"its {what} is {_shown(value)}, where fields by name were expected")
    return value


def text(value: Any, what: str) -> str:
    """A string of at most 20,000 letters, without halves of letters, which no file could hold."""
    if not isinstance(value, str) or len(value) > MOST_LETTERS:
        raise PayloadError(f"its {what} is {_shown(value)}, where a string was expected")
    return whole_letters(value)


def whole_letters(value: str) -> str:
    """The string with a question mark for each half of a surrogate pair."""
    return value if value.isascii() else value.encode("utf-8", "replace").decode()


def flag(value: Any, what: str) -> bool:
    """True or False."""
    if not isinstance(value, bool):
        raise PayloadError(f"its {what} is {_shown(value)}, where true or false was expected")
    return value


def whole(value: Any, what: str) -> int:
    """A whole number that a browser holds exactly."""
    if type(value) is not int or abs(value) > MOST_EXACT:
        raise PayloadError(f"its {what} is {_shown(value)}, where a whole number was expected")
    return value


def count(value: Any, what: str) -> int:
    """A whole number, 0 or more."""
    if whole(value, what) < 0:
        raise PayloadError(f"its {what} is {_shown(value)}, where a whole number, 0 or more, was expected")
    return value


def number(value: Any, what: str) -> float | str:
    """A number to 6 significant digits; one that is not finite is the string that names it."""
    if type(value) is float and math.isfinite(value):
        return float(f"{value:.6g}")
    if type(value) is int:
        return whole(value, what)
    if isinstance(value, float):  # such as 1e999, which JSON allows
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, str) and value in _NON_FINITE:
        return value
    raise PayloadError(f"its {what} is {_shown(value)}, where a number was expected")


def numbers(
    value: Any, what: str, least: float = -math.inf, most: float = math.inf, exact: bool = False
) -> list[float]:
    """Finite numbers from `least` to `most`, at most 10,000; to 6 significant digits unless they are to be exact."""
    found = items(value, what)
    for one in found:
        if type(one) not in (float, int) or not least <= one <= most or not _is_finite(one):
            raise PayloadError(f"its {what} holds {_shown(one)}, where finite numbers were expected")
    return [float(one) if exact else float(f"{one:.6g}") for one in found]


def _is_finite(value: float) -> bool:
    """Whether the value is a finite number to a browser, which holds whole ones up to 2**53."""
    return abs(value) <= MOST_EXACT if isinstance(value, int) else math.isfinite(value)


def counts(value: Any, what: str, size: int | None = None) -> list[int]:
    """Whole numbers, 0 or more; of a list of this size if one is given."""
    found = [count(one, what) for one in items(value, what)]
    if size is not None and len(found) != size:
        raise PayloadError(f"its {what} has {len(found)} entries, where {size} were expected")
    return found


def items(value: Any, what: str) -> list[Any]:
    """A list of at most 10,000 things."""
    if not isinstance(value, list) or len(value) > MOST_ITEMS:
        raise PayloadError(f"its {what} is {_shown(value)}, where a list was expected")
    return value


def texts(value: Any, what: str) -> list[str]:
    """A list of strings, the first 200 of them."""
    return [text(one, what) for one in items(value, what)[:MOST_TEXTS]]


def sentences(value: Any, what: str) -> list[str]:
    """As `texts`, each cut after 2,000 letters."""
    return [sentence(one, what) for one in texts(value, what)]


def sentence(value: Any, what: str) -> str:
    """A string, cut after 2,000 letters."""
    found = text(value, what)
    return found if len(found) <= _LONGEST_SENTENCE else f"{found[: _LONGEST_SENTENCE - 1]}…"


def or_none(read: Callable[[Any, str], Any]) -> Callable[[Any, str], Any]:
    """As `read`, but null stays None."""
    return lambda value, what: None if value is None else read(value, what)


def field(held: Mapping[str, Any], name: str, read: Callable[[Any, str], Any], holder: str = "") -> Any:
    """What a field that must be there holds."""
    if name not in held:
        raise PayloadError(f"it has no {name!r}{f' in its {holder}' if holder else ''}")
    return read(held[name], f"{holder} {name!r}" if holder else repr(name))


def _shown(value: Any) -> str:
    return whole_letters(reprlib.repr(value))

"""What a payload's report must hold of the training's ε; whatever else it holds is left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from itertools import islice
from typing import Any

from privacy_callbacks.privacy_page.attack_entry import EPSILON_METRICS

from .payload_values import PayloadError, field, fields, number, or_none, sentence, text

_MOST_FIGURES = 20


def epsilon(value: Any, what: str, estimate: Callable[[Any, str], dict[str, Any]]) -> dict[str, Any]:
    """The ε as `EpsilonReading.to_dict` gives it and `from_dict` takes it.

    Args:
      value: what the payload holds.
      what: what to call it in messages.
      estimate: reads a number with its interval.
    """
    held = fields(value, what)
    read = partial(field, held, holder=what)
    name = read("name", text)
    if name not in EPSILON_METRICS:
        raise PayloadError("its ε is neither a bound nor an estimate")
    return {
        "name": name,
        "newest": read("newest", _bound),
        "best": read("best", _bound),
        "doubt": read("doubt", or_none(sentence)),
        "claim": read("claim", or_none(_claim)),
        "exposure": read("exposure", or_none(estimate)),
    }


def _bound(value: Any, what: str) -> dict[str, Any]:
    held = fields(value, what)
    kinds: Mapping[str, Callable[[Any, str], Any]] = {"value": number, "method": text, "delta": number, "level": number}
    found = {name: field(held, name, read, what) for name, read in kinds.items()}
    further: Mapping[str, Callable[[Any, str], Any]] = {"ceiling": number, "reason": sentence, "details": _figures}
    return found | {name: read(held[name], what) for name, read in further.items() if name in held}


def _claim(value: Any, what: str) -> dict[str, Any]:
    held = fields(value, what)
    return {name: field(held, name, number, what) for name in ("epsilon", "delta")}


def _figures(value: Any, what: str) -> dict[str, Any]:
    held = fields(value, what)
    return {text(name, what): number(held[name], what) for name in islice(held, _MOST_FIGURES)}

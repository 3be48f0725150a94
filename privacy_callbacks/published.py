"""The intervals of the numbers in Keras' logs, for the callbacks that decide by them.

Keras' logs may hold plain floats only (anything else breaks its progress bar), and a callback knows no other callback.
What all of them know is the model: the estimates behind its newest log entries are kept here for as long as it lives.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

from privacy_callbacks.attacks.estimate import Estimate

_NEWEST: WeakKeyDictionary[Any, dict[str, Estimate]] = WeakKeyDictionary()


def publish(model: Any, estimates: Mapping[str, Estimate | None]) -> None:
    """Keeps the estimates behind the log keys of `model`; None takes a key back."""
    known = _NEWEST.setdefault(model, {})
    for key, estimate in estimates.items():
        if estimate is None:
            known.pop(key, None)
        else:
            known[key] = estimate


def published(model: Any, key: str) -> Estimate | None:
    """The newest estimate behind a log key, or None if there is none."""
    return _NEWEST.get(model, {}).get(key)

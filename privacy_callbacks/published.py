"""The intervals of the numbers in Keras' logs, for the callbacks that decide by them.

Keras' logs may hold plain floats only (anything else breaks its progress bar), and a callback knows no other callback.
What all of them know is the model: the estimates behind its newest log entries are kept here for as long as it lives,
each with the epoch it was audited after, so that nobody decides about one epoch's weights by another's number.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from weakref import WeakKeyDictionary

from privacy_callbacks.attacks.estimate import Estimate

_NEWEST: WeakKeyDictionary[Any, dict[str, tuple[int, Estimate]]] = WeakKeyDictionary()


def publish(model: Any, estimates: Mapping[str, Estimate | None], epoch: int) -> None:
    """Keeps the estimates behind the log keys of `model` after `epoch`; None takes a key back."""
    known = _NEWEST.setdefault(model, {})
    for key, estimate in estimates.items():
        if estimate is None:
            known.pop(key, None)
        else:
            known[key] = epoch, estimate


def published(model: Any, key: str, epoch: int) -> Estimate | None:
    """The estimate behind a log key if the model was audited after this very epoch, else None."""
    stamp, estimate = _NEWEST.get(model, {}).get(key, (None, None))
    return estimate if stamp == epoch else None

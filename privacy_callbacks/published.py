"""The intervals of the numbers in Keras' logs, for the callbacks that decide by them.

Keras' logs may hold plain floats only (anything else breaks its progress bar), and a callback knows no other callback.
What all of them know is the model: the estimates behind its newest log entries are kept here for as long as it lives,
each with the epoch it was audited after, so that nobody decides about one epoch's weights by another's number.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from weakref import WeakKeyDictionary

from privacy_callbacks.attacks.estimate import Estimate

_NEWEST: WeakKeyDictionary[Any, dict[str, tuple[int, Estimate | None]]] = WeakKeyDictionary()


def publish(model: Any, estimates: Mapping[str, Estimate | None], epoch: int) -> None:
    """Keeps the estimates behind the log keys of `model` after `epoch`; None = audited, but refused or failed."""
    _NEWEST.setdefault(model, {}).update({key: (epoch, estimate) for key, estimate in estimates.items()})


def retract(model: Any, keys: Iterable[str]) -> None:
    """Forgets these log keys of `model`."""
    for key in keys:
        _NEWEST.get(model, {}).pop(key, None)


def published(model: Any, key: str, epoch: int) -> Estimate | None:
    """The estimate behind a log key if the model was audited after this very epoch, else None."""
    stamp, estimate = _NEWEST.get(model, {}).get(key, (None, None))
    return estimate if stamp == epoch else None


def was_audited(model: Any, key: str, epoch: int | None = None) -> bool:
    """True if an audit has written this log key: after `epoch`, or after any."""
    stamp, _ = _NEWEST.get(model, {}).get(key, (None, None))
    return stamp is not None and epoch in (None, stamp)

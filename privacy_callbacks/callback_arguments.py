"""Arguments that all callbacks take, checked in their constructors."""

from __future__ import annotations

from typing import Any

import numpy as np

from privacy_callbacks.attacks.attack import check_name


def check_prefix(name: str) -> str:
    """The prefix of log keys and tags.

    Raises:
      ValueError: if it cannot stand in log keys, or would overwrite Keras' own.
    """
    if name == "val":
        raise ValueError("name is 'val', which would overwrite Keras' own validation keys; give another.")
    return check_name(name)


def check_on_error(on_error: str) -> bool:
    """True if an audit that fails shall end the training.

    Raises:
      ValueError: if it is neither "warn" nor "raise".
    """
    if on_error not in ("warn", "raise"):
        raise ValueError(f"on_error is {on_error!r}; give 'warn' or 'raise'.")
    return on_error == "raise"


def whole_number(name: str, value: Any, what: str, least: int = 1) -> int:
    """A whole number that is no less than `least`; `what` says in the message what it counts.

    Raises:
      ValueError: if it is none.
    """
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(f"{name} is {value!r}; give a whole number {what}.")
    return int(value)

"""How long a task may take: after that its caller goes on without it."""

from __future__ import annotations

import contextvars
import math
import threading
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

T = TypeVar("T")

_NUMBERS = int, float, np.integer, np.floating


class TookTooLong(RuntimeError):
    """A task was given up."""


def check_timeout(name: str, seconds: Any) -> float | None:
    """The seconds, or None for no limit.

    Raises:
      ValueError: if it is neither None nor a positive number.
    """
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, _NUMBERS) or not 0 < seconds < math.inf:
        raise ValueError(f"{name} is {seconds!r}; give a positive number of seconds, or None for no limit.")
    return float(min(seconds, threading.TIMEOUT_MAX))


def within(seconds: float | None, task: Callable[[], T]) -> T:
    """What the task returns or raises, if it does so in time.

    With a limit it runs in a thread of its own. Python cannot stop a thread: a task that was given up goes on beside its
    caller until it ends by itself or the program does, which it does not hold up.

    Args:
      seconds: None = wait for ever, in this very thread.
      task: without arguments.
    Raises:
      TookTooLong: if it is not done in time.
    """
    if seconds is None:
        return task()
    returned: list[T] = []
    raised: list[BaseException] = []
    context = contextvars.copy_context()  # NumPy keeps there what to do about errors of floating point

    def run() -> None:
        try:
            returned.append(context.run(task))
        except BaseException as reason:
            raised.append(reason)

    thread = threading.Thread(target=run, daemon=True, name="privacy_callbacks: a task with a limit")
    thread.start()
    thread.join(seconds)
    if returned:
        return returned[0]
    if raised:
        raise raised[0]
    raise TookTooLong(f"it took longer than {seconds:g} s")

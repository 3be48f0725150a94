"""Checks of an installation: each plants something known, looks, and says what it found. How they are run and told."""

from __future__ import annotations

import math
import os
import platform
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .printable import printable

_WIDEST = 600


class Fault(Exception):
    """What a check found wrong, in a sentence with its figures."""


@dataclass(frozen=True)
class Check:
    """One thing that must hold on a sound installation.

    Attributes:
      name: what is checked.
      error: the probability at most that a sound installation fails it, over other seeds; 0 = nothing that is drawn decides.
      look: gives the figures in words; raises `Fault`, or whatever goes wrong.
    """

    name: str
    error: float
    look: Callable[[], str]


def run_checks(checks: Sequence[Check], say: Callable[[str], object]) -> int:
    """Runs them in order and says a line of each; one that fails does not keep the others from running.

    Args:
      checks: what to look at.
      say: is told each line.
    Returns:
      How many failed.
    """
    width = max((len(check.name) for check in checks), default=0)
    failed = 0
    for check in checks:
        since = time.process_time()
        word, told = _looked(check)
        failed += word == "FAILED"
        taken = time.process_time() - since
        say(f"{word:<6}  {check.name:<{width}}  {told} ({taken:.1f} s CPU; {_odds(check.error)})")
    return failed


def conclusion(checks: Sequence[Check], failed: int) -> str:
    """The last line: how many held, and how often a sound installation would fail."""
    total = sum(check.error for check in checks)
    return (
        f"{len(checks) - failed} of {len(checks)} checks ok; over all seeds a sound installation {_odds(total)} runs."
    )


def versions() -> list[str]:
    """What runs here: Python, packages, devices, a line each."""
    from . import __version__

    lines = [f"privacy-callbacks {__version__}, Python {platform.python_version()}, {platform.platform()}"]
    since = time.process_time()
    try:
        import keras
        import tensorflow as tf

        kinds = [device.device_type for device in tf.config.list_physical_devices()]
        devices = ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
    except Exception as reason:  # whatever keeps TensorFlow from starting is what is to be told
        return [*lines, f"TensorFlow and Keras cannot be imported: {_first_line(reason)}"]
    lines.append(f"TensorFlow {tf.__version__}, Keras {keras.__version__} on {keras.backend.backend()}")
    taken = time.process_time() - since
    return [*lines, f"devices: {devices}; {os.cpu_count()} cores; TensorFlow imported in {taken:.1f} s CPU"]


def _looked(check: Check) -> tuple[str, str]:
    try:
        return "ok", printable(check.look())
    except Fault as fault:
        return "FAILED", printable(str(fault))
    except Exception as reason:  # a check that breaks down has not been passed
        return "FAILED", printable(f"{type(reason).__name__}: {_first_line(reason)}")


def _first_line(reason: Exception) -> str:
    return (str(reason).strip().partition("\n")[0] or type(reason).__name__)[:_WIDEST]


def _odds(error: float) -> str:
    """How often a sound installation fails, in words that do not claim more."""
    if error == 0:
        return "no draw decides"
    digits = 10 ** int(math.log10(1 / error) + 1e-9)
    return f"errs less than once in {int(1 / error / digits + 1e-9) * digits:,}"

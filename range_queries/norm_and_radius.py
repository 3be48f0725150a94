"""How far a range reaches: norm, radius and margin as users give them, and in words."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

NORM_NAMES: dict[float | str, str] = {1: "l1", 2: "l2", np.inf: "linf", "hamming": "Hamming"}


def checked_norm(p: float | str) -> float | str:
    """1, 2, np.inf or "hamming".

    Raises:
      ValueError: if p is something else.
    """
    if isinstance(p, str):
        if p in ("hamming", "inf"):
            return p if p == "hamming" else np.inf
    elif not isinstance(p, (bool, np.bool_)) and p in (1, 2, np.inf):
        return float(p) if p == np.inf else int(p)
    raise ValueError(f"p is {p!r}; give 1, 2, np.inf or 'hamming'.")


def checked_positive(name: str, given: Any) -> float:
    """A number above 0.

    Raises:
      ValueError: otherwise.
    """
    number = _finite(given)
    if not number > 0:
        raise ValueError(f"{name} is {given!r}; give a positive, finite number.")
    return number


def checked_margin(margin: Any) -> float:
    """A number of at least 0.

    Raises:
      ValueError: otherwise.
    """
    number = _finite(margin)
    if not number >= 0:
        raise ValueError(f"margin is {margin!r}; give a finite number of at least 0.")
    return number


def _finite(given: Any) -> float:
    """NaN for what is no finite number."""
    known = isinstance(given, (int, float, np.integer, np.floating)) and not isinstance(given, bool)
    return float(given) if known and math.isfinite(given) else math.nan

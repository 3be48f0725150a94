"""What an attack gives back, read as scores: one real number a record, or a refusal in a sentence."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

_NO_REAL_NUMBERS = "cmMSU"


def scores_given(given: Any, count: int) -> NDArray[np.float64]:
    """The scores that an attack gave, in the type that everything after it reads.

    NumPy by itself would take the real part of complex scores, and one score for all records, and say nothing an attack's
    author sees.

    Args:
      given: an array, a list, a pandas column or a tensor. NaN stands for a record that could not be scored.
      count: how many records were asked about.
    Returns:
      float[count], higher = more member-like.
    Raises:
      ValueError: if these are not so many real numbers.
    """
    if np.shape(given) != (count,):
        kind = "" if hasattr(given, "__len__") or np.isscalar(given) else f" (a {type(given).__name__})"
        raise ValueError(f"the attack gave scores of shape {np.shape(given)}{kind} for {count} records.")
    found = np.asarray(given)
    if found.dtype.kind in _NO_REAL_NUMBERS:
        raise ValueError(f"the attack gave scores of type {found.dtype}; give one real number a record.")
    try:
        return np.asarray(given, dtype=np.float64)
    except (TypeError, ValueError) as reason:
        raise ValueError(f"the attack gave scores that are no real numbers ({reason}); give one a record.") from reason

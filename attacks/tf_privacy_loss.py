"""Which loss users of TensorFlow Privacy ask for: one of two by name, or a function of their own."""

from __future__ import annotations

import enum
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .array_signals import known
from .number_arrays import as_numbers


class LossFunction(enum.Enum):
    """The losses that are computed from answers and labels."""

    CROSS_ENTROPY = "cross_entropy"
    SQUARED = "squared"


def named_loss(chosen: str | LossFunction | Callable[..., ArrayLike]) -> str | Callable[..., ArrayLike]:
    """ "cross_entropy", "squared" or the callable.

    Raises:
      ValueError: on another name.
    """
    chosen = chosen.value if isinstance(chosen, LossFunction) else chosen
    if callable(chosen):
        return chosen
    if chosen not in ("cross_entropy", "xe", "squared"):
        raise ValueError(f"loss_function is {chosen!r}; give 'cross_entropy', 'squared' or a callable.")
    return "cross_entropy" if chosen == "xe" else str(chosen)


def called_loss(
    function: Callable[..., ArrayLike], sides: Sequence[tuple[Any, Any, Any]], multi_label: bool
) -> NDArray[np.float64]:
    """A user's loss of each side's (labels, answers, sample weights or None), one after the other.

    Args:
      function: (labels, answers[, sample weights]); what takes no weights is multiplied by them here.
      sides: as given by the user.
      multi_label: whether it may return [n, labels].
    Returns:
      float[n] or float[n, labels].
    Raises:
      ValueError: if it does not return one number a record.
    """
    found = []
    for labels, answers, weights in sides:
        weighs = _takes_weights(function)
        returned = function(labels, answers, weights) if weighs else function(labels, answers)
        values, records = as_numbers(returned, "loss_function's result"), len(np.asarray(labels))
        if values.ndim not in (1, 2) or len(values) != records:
            raise ValueError(
                f"loss_function returned shape {values.shape} for {records} records; give one that returns one number a "
                "record, without reducing."
            )
        values = known(values, "loss_function's result")
        weighted = weights is not None and not weighs
        found.append(values * np.asarray(weights, np.float64).reshape(-1, 1) if weighted else values)
    joined = np.concatenate(found)
    if joined.shape[1] > 1 and not multi_label:
        raise ValueError(
            f"loss_function returned {joined.shape[1]} numbers a record; return one, or say multilabel_data=True."
        )
    return joined[:, 0] if joined.shape[1] == 1 else joined


def _takes_weights(function: Callable[..., Any]) -> bool:
    """True if a loss can be called with sample weights as its third argument."""
    try:
        inspect.signature(function).bind(None, None, None)
    except (TypeError, ValueError):
        return False
    return True

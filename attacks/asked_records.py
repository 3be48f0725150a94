"""Asking a model about records as they stand, outside of any audit."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .attack import Signals
from .compiled_pass import SignalPass
from .model_checks import build_model, check_model
from .record_arrays import Records, resident
from .shadow_pool import pool_from_records


@dataclass(frozen=True)
class AllRecords:
    """Records to ask about, all of them: tensors [n, ...], and further ones that no model trains on, or None."""

    x: Any
    y: Any
    weights: Any
    population: Records | None

    def describe(self, rows: NDArray[np.intp]) -> str:
        """Names some of them in a sentence."""
        named = ", ".join(str(row) for row in rows[:3])
        return f"{len(rows):,} records (rows {named}{', …' if len(rows) > 3 else ''})"


def resident_records(records: Records, population: Any = None) -> AllRecords:
    """The records as tensors; `population` is (x, y) or None."""
    further = None
    if population is not None:
        if not isinstance(population, (tuple, list)) or len(population) != 2:
            raise TypeError(f"population is a {type(population).__name__}; give (x, y) arrays.")
        further = Records(*resident(tuple(pool_from_records(*population).records)))
    x, y, weights = resident(tuple(records))
    return AllRecords(x, y, weights, further)


def signals_of(
    model: Any,
    x: Any,
    y: Any,
    *,
    signals: tuple[str, ...] | None = None,
    queries: tuple[Callable[[Any], Any], ...] = (),
    loss: Any = None,
    batch_size: int | None = None,
    output: str | int | None = None,
) -> Signals:
    """What a model answers about records: what attacks read, and the target's side of `lira_scores` and its like.

    Args:
      model: a built Keras model, compiled or with `loss` given.
      x, y: n records, as arrays.
      signals: names; None = all that fit the model's head.
      queries: functions of a batch of inputs, each asked instead of the records themselves.
      loss: to take the loss signal from, instead of the compiled one.
      batch_size: the most records in one forward pass.
      output: the name or number of the output to read, of several; None = the sum of their losses.
    Returns:
      name → float64[n, q] in the order of the records; higher = more member-like.
    Raises:
      ValueError: if records, model and signals do not fit each other, or outputs are NaN or infinite.
    """
    asked = resident_records(pool_from_records(x, y).records)
    check_model(model)
    build_model(model, asked.x)
    if isinstance(signals, str):
        signals = (signals,)
    asking = SignalPass(model, asked, loss, batch_size, output)
    return asking.signals(tuple(signals or asking.head.signals), tuple(queries))

"""Between ranges and their points: answers about n ranges of q points as those about n·q records, and scores back again."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from privacy_callbacks.attacks.attack import Signals
from privacy_callbacks.attacks.shadow_signals import ShadowSignals

Aggregate = Callable[[NDArray[np.float64]], ArrayLike]


class PointsOfRanges:
    """Answers [..., n, q·k] as those of n·q points to k queries each, less those that are NaN."""

    def __init__(self, signals: Any, each: int) -> None:
        first = next(iter(signals.values()))
        first = first[0] if first.ndim == 3 else first
        self._count, width = first.shape
        self._each, self._points = each, width // each
        self._there = ~np.isnan(first.reshape(self._count * self._points, each)).any(axis=1)

    def flattened(self, array: NDArray[Any]) -> NDArray[Any]:
        """[..., points, k]."""
        return array.reshape(*array.shape[:-2], self._count * self._points, self._each)[..., self._there, :]

    def repeated(self, array: NDArray[Any]) -> NDArray[Any]:
        """[..., points] from [..., n]."""
        return np.repeat(array, self._points, axis=-1)[..., self._there]

    def of(self, signals: Signals, own_labels: bool) -> Signals:
        """The signals of points; their labels are those of the record, if they have those."""
        labels = self.repeated(signals.labels) if own_labels and signals.labels is not None else None
        return Signals({name: self.flattened(array) for name, array in signals.items()}, labels=labels)

    def in_ranges(self, scores: ArrayLike) -> NDArray[np.float64]:
        """float64[n, q], NaN where there is no point."""
        found = np.full(self._count * self._points, np.nan)
        found[self._there] = scores
        return found.reshape(self._count, self._points)


def flat_shadows(shadows: ShadowSignals, each: int) -> ShadowSignals:
    """The shadow models' answers with points in the place of records."""
    points = PointsOfRanges(shadows, each)
    values = {name: points.flattened(array) for name, array in shadows.items()}
    return ShadowSignals(values, points.repeated(shadows.trained_on), shadows.population, shadows.warnings)


def reduced(scores: NDArray[np.float64], reduce: Aggregate) -> NDArray[np.float64]:
    """float64[n]: the function on each range's scores that are not NaN, ranges with equally many together; NaN where all are.

    Raises:
      ValueError: if it does not give one number a range.
    """
    there = ~np.isnan(scores)
    counts = there.sum(axis=1)
    # Those that are there first, in their order.
    inward = (
        np.take_along_axis(scores, np.argsort(~there, axis=1, kind="stable"), axis=1) if not there.all() else scores
    )
    found = np.full(len(scores), np.nan)
    for count in np.unique(counts[counts > 0]):
        rows = np.flatnonzero(counts == count)
        values = np.asarray(reduce(inward[rows, :count]), dtype=np.float64)
        if values.shape != rows.shape:
            raise ValueError(
                f"aggregate made {(len(rows), int(count))} scores into {values.shape}; it must give one number a range."
            )
        found[rows] = values
    return found

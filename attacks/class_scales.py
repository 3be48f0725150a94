"""A threshold and a scale for each class: what is a low loss in one class is a usual one in another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .attack import Signals

_NEEDED = 5  # members and non-members of a class, each, for statistics of its own


@dataclass(frozen=True)
class ClassScales:
    """Where the two sides part in each class, and how far records scatter there.

    Attributes:
      signal: which one.
      scales: by class, (the middle between the two sides' medians, the mean of their interquartile ranges).
      overall: the same of all records, for classes with fewer than five known records of a side.
    Source: Song & Mittal 2021, arXiv:2003.10595 (class-dependent thresholds).
    """

    signal: str
    scales: Mapping[int, tuple[float, float]]
    overall: tuple[float, float]

    @classmethod
    def of(cls, signal: str, signals: Signals, is_member: NDArray[np.bool_]) -> ClassScales:
        """Learns them from records of known membership.

        Raises:
          ValueError: if the records have no classes.
        """
        labels, values = _labels(signals), signals[signal].mean(axis=1)
        overall = _middle_and_spread(values, is_member, 1.0)
        scales = {}
        for label in np.unique(labels):
            rows = labels == label
            if min(np.count_nonzero(is_member[rows]), np.count_nonzero(~is_member[rows])) >= _NEEDED:
                scales[int(label)] = _middle_and_spread(values[rows], is_member[rows], overall[1])
        return cls(signal, scales, overall)

    def score(self, signals: Signals) -> NDArray[np.float64]:
        """float[n]: how many scales a record lies above its class's middle."""
        labels, values = _labels(signals), signals[self.signal].mean(axis=1)
        middle, spread = np.array([self.scales.get(int(label), self.overall) for label in labels]).T
        return (values - middle) / spread


def _labels(signals: Signals) -> NDArray[np.int64]:
    if signals.labels is None:
        raise ValueError("the records have no single class each, so no threshold a class; leave per_class out.")
    return signals.labels


def _middle_and_spread(
    values: NDArray[np.float64], is_member: NDArray[np.bool_], otherwise: float
) -> tuple[float, float]:
    """Quantiles that are values of records, so that infinite ones do not spread; `otherwise` where nothing scatters."""
    quarters = [
        np.quantile(side, (0.25, 0.5, 0.75), method="nearest") for side in (values[is_member], values[~is_member])
    ]
    with np.errstate(invalid="ignore"):
        middle = float(np.mean([one[1] for one in quarters]))
        spread = float(np.mean([one[2] - one[0] for one in quarters]))
    finite = values[np.isfinite(values)]
    if not np.isfinite(middle):
        middle = float(np.median(finite)) if finite.size else 0.0
    return middle, spread if np.isfinite(spread) and spread > 0 else otherwise

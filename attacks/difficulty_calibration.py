"""Difficulty calibration: how much better does the target do on a record than models that never saw it?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .attack import AttackContext, Signals
from .comparing_attack import ComparingAttack
from .shadow_values import mean_over, shadow_values


def difficulty_calibration_scores(target: ArrayLike, shadow: ArrayLike, trained_on: ArrayLike) -> NDArray[np.float64]:
    """The target's signal minus its mean over the models that did not train on the record.

    Axes: n records, q queries a record, m shadow models.

    Args:
      target: float[n] or [n, q], higher = more member-like.
      shadow: float[m, n] or [m, n, q].
      trained_on: bool[m, n].
    Returns:
      float[n] in the signal's unit, the mean over queries. NaN where every model trained on the record.
    Raises:
      ValueError: on shapes that do not fit each other, NaN or infinite values.
    Source: Watson et al. 2022, arXiv:2111.08440.
    """
    values = shadow_values(target, shadow, trained_on)
    return (values.target - mean_over(values.shadow, ~values.trained_on)).mean(axis=1)


@dataclass(frozen=True)
class DifficultyCalibration(ComparingAttack):
    """A record's signal minus what it is for shadow models that did not train on it.

    Args:
      signal: which signal to calibrate; the scaled logit does better than the loss.
      name: what to call the attack.
    Raises:
      ValueError: on an unknown signal.
    Source: Watson et al. 2022, arXiv:2111.08440.
    """

    signal: str = "scaled_logit"
    name: str = "difficulty_calibration"

    def fit(self, context: AttackContext) -> FittedCalibration:
        """Learns each record's difficulty."""
        shadows = context.shadow_models()
        values = shadow_values(np.zeros(shadows[self.signal].shape[1:]), shadows[self.signal], shadows.trained_on)
        return FittedCalibration(self.signal, mean_over(values.shadow, ~values.trained_on))


@dataclass(frozen=True)
class FittedCalibration:
    """`difficulty`: float64[n, q], the mean signal of the models that did not train on a record."""

    signal: str
    difficulty: NDArray[np.float64]

    def score(self, signals: Signals) -> NDArray[np.float64]:
        """float[n] for the records it was fitted on, in their order."""
        return (signals[self.signal] - self.difficulty).mean(axis=1)

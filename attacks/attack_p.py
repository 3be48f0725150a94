"""Attack-P: how rare is such an answer among records that no model trained on?"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .attack import AttackContext, Signals
from .number_arrays import as_floats
from .one_signal import OneSignalAttack

_NEEDED = 20  # population records of a class, for ranks of its own


def attack_p_scores(target: ArrayLike, population: ArrayLike) -> NDArray[np.float64]:
    """The rank of each record's signal among the population's.

    Args:
      target: float[n], higher = more member-like (minus the loss, say).
      population: float[z], the same signal of records that no model trained on.
    Returns:
      float[n] in (0, 1): one minus the p-value of "it was not trained on", (records below + ½ ties + ½) / (z + 1). One
      population for all makes it a function of the signal, so the curve is the threshold's, but for ties; its scale is that
      of a false positive rate.
    Raises:
      ValueError: on NaN, an empty population, or values that are not one a record.
    Source: Ye et al. 2022, arXiv:2111.09679 (population attack).
    """
    values, others = as_floats(target, "target"), as_floats(population, "population")
    if values.ndim != 1 or others.ndim != 1 or not others.size:
        raise ValueError(
            f"target has shape {values.shape}, population {others.shape}; give one number a record, (n,) and (z,)."
        )
    if np.isnan(values).any() or np.isnan(others).any():
        raise ValueError("target or population is NaN; leave such records out.")
    others = np.sort(others)
    below, up_to = (np.searchsorted(others, values, side=side) for side in ("left", "right"))
    return (below + (up_to - below) / 2 + 0.5) / (others.size + 1)


@dataclass(frozen=True)
class AttackP(OneSignalAttack):
    """The rank of a record's signal among population records.

    Args:
      signal: which signal to rank.
      name: what to call the attack.
      per_class: True to rank among population records of the same class, where there are at least twenty.
    Raises:
      ValueError: on an unknown signal.
    Source: Ye et al. 2022, arXiv:2111.09679.
    """

    signal: str = "loss"
    name: str = "attack_p"
    per_class: bool = False
    needs_population: bool = field(default=True, init=False)

    def fit(self, context: AttackContext) -> FittedAttackP:
        """Keeps the population's answers.

        Raises:
          ValueError: if there is no population, or it has no classes where they are asked for.
        """
        population = context.population_signals()
        if self.per_class and population.labels is None:
            raise ValueError("the records have no single class each, so no ranks a class; leave per_class out.")
        return FittedAttackP(self.signal, self.per_class, population)


@dataclass(frozen=True)
class FittedAttackP:
    """The population to rank among."""

    signal: str
    per_class: bool
    population: Signals

    def score(self, signals: Signals) -> NDArray[np.float64]:
        """float[n]; of several queries the mean signal is ranked."""
        values, others = signals[self.signal].mean(axis=1), self.population[self.signal].mean(axis=1)
        scores = attack_p_scores(values, others)
        if not self.per_class:
            return scores
        assert self.population.labels is not None
        assert signals.labels is not None
        for label in np.unique(signals.labels):
            alike = others[self.population.labels == label]
            if len(alike) >= _NEEDED:
                rows = signals.labels == label
                scores[rows] = attack_p_scores(values[rows], alike)
        return scores

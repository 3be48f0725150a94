"""Attack-R: is the target's loss on a record lower than that of models that never saw it?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .attack import AttackContext, Signals
from .comparing_attack import ComparingAttack
from .shadow_signals import ShadowSignals
from .shadow_values import shadow_values


def attack_r_scores(target: ArrayLike, shadow: ArrayLike, trained_on: ArrayLike) -> NDArray[np.float64]:
    """The rank of the target's signal among those of the models that did not train on the record.

    Axes: n records, q queries a record, m shadow models.

    Args:
      target: float[n] or [n, q], higher = more member-like (minus the loss, say).
      shadow: float[m, n] or [m, n, q].
      trained_on: bool[m, n].
    Returns:
      float[n] in (0, 1), the mean over queries: one minus the p-value of "the target did not train on it", (models below +
      ½ ties + ½) / (OUT models + 1). NaN where every model trained on the record.
    Raises:
      ValueError: on shapes that do not fit each other, or NaN.
    Source: Ye et al. 2022, arXiv:2111.09679 (reference-model attack).
    """
    values = shadow_values(target, shadow, trained_on, infinite=True)
    out = ~values.trained_on[:, :, None]
    below = np.count_nonzero((values.shadow < values.target) & out, axis=0)
    ties = np.count_nonzero((values.shadow == values.target) & out, axis=0)
    models = out.sum(axis=0)
    rank = (below + ties / 2 + 0.5) / (models + 1)
    return np.where(models > 0, rank, np.nan).mean(axis=1)


@dataclass(frozen=True)
class AttackR(ComparingAttack):
    """The rank of a record's signal among the shadow models that did not train on it.

    Args:
      signal: which signal to rank.
      name: what to call the attack.
    Raises:
      ValueError: on an unknown signal.
    Source: Ye et al. 2022, arXiv:2111.09679.
    """

    signal: str = "loss"
    name: str = "attack_r"

    def fit(self, context: AttackContext) -> FittedAttackR:
        """Keeps the shadow models' answers."""
        return FittedAttackR(self.signal, context.shadow_models())


@dataclass(frozen=True)
class FittedAttackR:
    """The shadow models' answers to rank among."""

    signal: str
    shadows: ShadowSignals

    def score(self, signals: Signals) -> NDArray[np.float64]:
        """float[n] for the records whose shadow signals it was fitted with."""
        return attack_r_scores(signals[self.signal], self.shadows[self.signal], self.shadows.trained_on)

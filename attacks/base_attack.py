"""BASE, the Bayes-optimal attack in practice: the target's log-likelihood of a record beside its mean likelihood over models.

Assumes that training favours weights with a probability that falls exponentially in the loss; then the best threshold on a
record's loss is a log-mean-exp over models. Offline (with `scale` 1) it is RMIA's log-ratio with a = 1, online RMIA's online
one where a record has as many models IN as OUT. Done differently from public code, on purpose: a record may have any number
of models on a side, and one that lacks a side which is needed is not scored (NaN).

Measured once on the data sets of `benchmarks/power.py` (16 shadow models, online; six and five targets, of which that
benchmark draws others) it reached AUC .922 and TPR .357 at 1 % FPR, with
`signal="confidence_t2"` .942 and .410 (synthetic), and .615 and .054, softened .617 and .056 (Fashion-MNIST); RMIA, tuned,
.927 and .366, .613 and .051.

Source: Lassila et al. 2025, arXiv:2505.24089.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .attack import AttackContext, Signals
from .comparing_attack import ComparingAttack
from .mean_probability import log_mean_probability, log_ratio
from .shadow_signals import ShadowSignals
from .shadow_values import shadow_values

_MODES = ("online", "offline")


def base_scores(
    target: ArrayLike, shadow: ArrayLike, trained_on: ArrayLike, mode: str = "online", scale: float = 1.0
) -> NDArray[np.float64]:
    """The target's log-likelihood minus the log of the mean likelihood over shadow models.

    Axes: n records, q queries a record, m shadow models.

    Args:
      target: float[n] or [n, q], log-probability of the true label, or minus any loss in nats; higher = more member-like.
      shadow: float[m, n] or [m, n, q], the shadow models'.
      trained_on: bool[m, n].
      mode: "online": the mean is over all models; "offline": over those that did not train on the record.
      scale: what the log-mean is multiplied by, offline alone: OUT models know a record less well than the mean of all, so
        that less than 1 makes up for the missing ones. (Public code takes .33.) It has a meaning for log-probabilities only.
    Returns:
      float64[n] in nats, the mean over queries; higher = more member-like. NaN where a record lacks the models: one that did
      not train on it, and online also one that did.
    Raises:
      ValueError: on shapes that do not fit each other, NaN, +inf, an unknown mode, or a scale out of [0, 1] or online.
    """
    _check(mode, scale)
    values = shadow_values(target, shadow, trained_on, infinite=True)
    if np.isposinf(values.target).any() or np.isposinf(values.shadow).any():
        raise ValueError("a log-likelihood is +inf; leave that record or shadow model out.")
    # Densities and losses of any size: seen from the largest no exponential overflows.
    largest = values.shadow.max(axis=0)
    largest = np.where(np.isneginf(largest), 0.0, largest)
    chosen = np.ones_like(values.trained_on) if mode == "online" else ~values.trained_on
    log_mean = log_mean_probability(values.shadow - largest, chosen) + largest
    scores = log_ratio(values.target, scale * log_mean if scale else np.zeros_like(log_mean))
    missing = values.trained_on.all(axis=0) | ((mode == "online") & ~values.trained_on.any(axis=0))
    return np.where(missing, np.nan, scores.mean(axis=1))


def _check(mode: str, scale: float) -> None:
    if mode not in _MODES:
        raise ValueError(f"mode is {mode!r}; give one of {', '.join(map(repr, _MODES))}.")
    if not 0 <= scale <= 1 or (mode == "online" and scale != 1):
        raise ValueError(f"scale is {scale!r} with mode {mode!r}; give a number in [0, 1] offline, 1 online.")


@dataclass(frozen=True)
class BASE(ComparingAttack):
    """A record's log-likelihood beside the log of its mean likelihood over shadow models.

    Args:
      signal: "confidence", a softened one ("confidence_t2", which public code takes), or "loss" for models that are no
        classifiers.
      name: what to call the attack.
      mode: "online" (IN and OUT models) or "offline" (OUT models only; for records that no shadow model trained on).
      scale: of the log-mean, offline; see `base_scores`.
    Raises:
      ValueError: on an unknown signal or mode, or a scale out of range.
    Source: Lassila et al. 2025, arXiv:2505.24089.
    """

    signal: str = "confidence"
    name: str = "base"
    mode: str = "online"
    scale: float = 1.0

    def __post_init__(self) -> None:
        super().__post_init__()
        _check(self.mode, self.scale)

    def fit(self, context: AttackContext) -> FittedBASE:
        """Keeps the shadow models' answers."""
        return FittedBASE(self, context.shadow_models())


@dataclass(frozen=True)
class FittedBASE:
    """The shadow models' answers to compare with."""

    attack: BASE
    shadows: ShadowSignals

    def score(self, signals: Signals) -> NDArray[np.float64]:
        """float64[n] for the records whose shadow signals it was fitted with; NaN where shadow models are missing."""
        name = self.attack.signal
        return base_scores(
            signals[name], self.shadows[name], self.shadows.trained_on, self.attack.mode, self.attack.scale
        )

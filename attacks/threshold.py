"""The threshold attack: whoever the model knows best is called a member."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .attack import AttackContext, FittedAttack, Signals, check_name, check_signal
from .class_scales import ClassScales


@dataclass(frozen=True)
class Threshold:
    """The score is the signal itself; one threshold for all records, or one a class.

    Args:
      signal: one of `loss`, `confidence`, `scaled_logit`, `margin`, `entropy`, `modified_entropy`, `correct`; of
        `gradient_norm` and `weight_gradient_norm`, which need the model's weights; of a model of sequences also of `min_k`,
        `zlib`. With a categorical cross-entropy on hard labels the first three put records in the same order, so their
        curves coincide; with a single sigmoid all but `entropy` and `correct` do.
      name: what to call the attack; default: the signal's name, and `_per_class`.
      per_class: True for a threshold (and scale) of each class, learned from half of the records and judged on the others.
    Raises:
      ValueError: on an unknown signal.
    Source: Yeom et al. 2018, arXiv:1709.01604; Song & Mittal 2021, arXiv:2003.10595.
    """

    signal: str = "loss"
    name: str = ""
    per_class: bool = False

    def __post_init__(self) -> None:
        check_signal(self.signal)
        default = f"{self.signal}_per_class" if self.per_class else self.signal
        object.__setattr__(self, "name", check_name(self.name or default))

    @property
    def needs_examples(self) -> bool:
        """True if there are thresholds to learn."""
        return self.per_class

    @property
    def signals(self) -> tuple[str, ...]:
        """The signal it reads."""
        return (self.signal,)

    def fit(self, context: AttackContext) -> FittedAttack:
        """Nothing to learn, unless classes have thresholds of their own."""
        if not self.per_class:
            return self
        known = context.known_examples()
        return ClassScales.of(self.signal, known.signals, known.is_member)

    def score(self, signals: Signals) -> NDArray[np.float64]:
        """float[n]: the signal, averaged over a record's queries if there are several."""
        return signals[self.signal].mean(axis=1)

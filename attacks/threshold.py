"""The threshold attack: whoever the model knows best is called a member."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .attack import AttackContext, Signals, check_name, check_signal


@dataclass(frozen=True)
class Threshold:
    """The score is the signal itself; one threshold for all records.

    Args:
      signal: one of `loss`, `confidence`, `scaled_logit`, `margin`, `entropy`, `modified_entropy`, `correct`. With a
        categorical cross-entropy on hard labels the first three put records in the same order, so their curves coincide;
        with a single sigmoid all but `entropy` and `correct` do.
      name: what to call the attack; default: the signal's name.
    Raises:
      ValueError: on an unknown signal.
    Source: Yeom et al. 2018, arXiv:1709.01604; Song & Mittal 2021, arXiv:2003.10595.
    """

    signal: str = "loss"
    name: str = ""

    def __post_init__(self) -> None:
        check_signal(self.signal)
        object.__setattr__(self, "name", check_name(self.name or self.signal))

    @property
    def signals(self) -> tuple[str, ...]:
        """The signal it reads."""
        return (self.signal,)

    def fit(self, context: AttackContext) -> Threshold:
        """Nothing to learn."""
        return self

    def score(self, signals: Signals) -> NDArray[np.float64]:
        """float[n]: the signal, averaged over a record's queries if there are several."""
        return signals[self.signal].mean(axis=1)

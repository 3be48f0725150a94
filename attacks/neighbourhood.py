"""Neighbourhood comparison: is the record better known than records like it?

A record that is easy anyway has easy neighbours, too; what training did to it shows in the difference.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .attack import AttackContext, Signals, check_name, check_signal
from .perturbations import Noisy, Unaltered


@dataclass(frozen=True)
class Neighbourhood:
    """The signal of a record, less its mean over neighbours: calibration of difficulty without shadow models.

    Args:
      signal: which one; the source's is the loss.
      noise: standard deviation of the Gaussian noise that makes neighbours, in the inputs' unit; for images of bytes 2.0, say,
        and for standardised columns 0.1.
      draws: how many neighbours.
      queries: functions of a batch of inputs that make the neighbours instead, such as words replaced by similar ones;
        deterministic, see `Attack`.
      seed: of the noise.
      name: what to call the attack.
    Raises:
      ValueError, TypeError: on arguments out of range, or if neither noise nor queries are given.
    Source: Mattern et al. 2023, arXiv:2305.18462, eq. 1, there for language models and substituted words.
    """

    signal: str = "loss"
    noise: float | None = None
    draws: int = 16
    queries: tuple[Callable[[Any], Any], ...] = ()
    seed: int = 0
    name: str = "neighbourhood"

    def __post_init__(self) -> None:
        check_signal(self.signal)
        check_name(self.name)
        if callable(self.queries) or not all(map(callable, self.queries)):
            raise TypeError(f"queries is {self.queries!r}; give a tuple of functions of a batch of inputs.")
        if (
            not all(isinstance(value, (int, np.integer)) for value in (self.draws, self.seed))
            or self.draws < 1
            or self.seed < 0
        ):
            raise ValueError(f"draws is {self.draws!r}, seed {self.seed!r}; give whole numbers, draws of at least 1.")
        if (self.noise is None) == (not self.queries) or (self.noise is not None and not 0 < self.noise < np.inf):
            raise ValueError(
                f"noise is {self.noise!r}, and there are {len(self.queries)} queries; give either a positive noise, in the "
                "inputs' unit, or functions that make neighbours."
            )
        made = tuple(self.queries)
        if self.noise is not None:
            made = tuple(Noisy(self.noise, self.seed * self.draws + draw) for draw in range(self.draws))
        object.__setattr__(self, "queries", (Unaltered(), *(query for query in made if query != Unaltered())))

    @property
    def signals(self) -> tuple[str, ...]:
        """The signal it reads."""
        return (self.signal,)

    def fit(self, context: AttackContext) -> Neighbourhood:
        """Nothing to learn."""
        return self

    def score(self, signals: Signals) -> NDArray[np.float64]:
        """float[n]: positive where the record is better known than its neighbours.

        Raises:
          ValueError: if the signals hold no neighbours.
        """
        values = signals[self.signal]
        if values.shape[1] < 2:
            raise ValueError(
                f"signal {self.signal!r} has shape {values.shape}; give the record first, then its neighbours, as queries."
            )
        return values[:, 0] - values[:, 1:].mean(axis=1)

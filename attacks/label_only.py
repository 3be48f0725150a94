"""Label-only attacks: the attacker sees which class is answered, and nothing else.

Members are answered rightly more often, and stay so when the input is changed a little.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .attack import AttackContext, Signals, check_name
from .perturbations import Mirrored, Noisy, Shifted, Unaltered


@dataclass(frozen=True)
class LabelOnly:
    """The share of right answers to a record and to fixed perturbations of it.

    The first query is the record as it is; alone it would be the gap attack (`Threshold("correct")`).

    Args:
      shifts: images are moved by so many pixels, in every direction (4·shifts neighbours); 0 = not at all.
      mirror: True to ask the mirror image, too.
      noise: standard deviation of Gaussian noise, in the inputs' unit; None = none. For inputs that are no images give
        noise, with shifts=0.
      draws: how many noisy copies.
      queries: functions of a batch of inputs instead of all these; deterministic, see `Attack`.
      decision: "share" (how many answers are right), or "votes": 1 where more than half are, else 0.
      seed: of the noise.
      name: what to call the attack.
    Raises:
      ValueError: if nothing is asked, or on arguments out of range.
    Source: Choquette-Choo et al. 2021, arXiv:2007.14321; Yeom et al. 2018, arXiv:1709.01604 (the gap).
    """

    shifts: int = 1
    mirror: bool = False
    noise: float | None = None
    draws: int = 8
    queries: tuple[Callable[[Any], Any], ...] = ()
    decision: str = "share"
    seed: int = 0
    name: str = "label_only"

    def __post_init__(self) -> None:
        check_name(self.name)
        if self.decision not in ("share", "votes"):
            raise ValueError(f"decision is {self.decision!r}; give 'share' or 'votes'.")
        whole = all(isinstance(value, (int, np.integer)) for value in (self.shifts, self.draws, self.seed))
        if (
            not whole
            or min(self.shifts, self.draws - 1, self.seed) < 0
            or (self.noise is not None and not 0 < self.noise < np.inf)
        ):
            raise ValueError(
                f"shifts is {self.shifts!r}, draws {self.draws!r}, seed {self.seed!r}, noise {self.noise!r}; give whole numbers, "
                "draws of at least 1, and a positive noise or None."
            )
        if callable(self.queries) or not all(map(callable, self.queries)):
            raise TypeError(f"queries is {self.queries!r}; give a tuple of functions of a batch of inputs.")
        queries = tuple(self.queries) or self._perturbations()
        if len(queries) < 2:
            raise ValueError(
                "nothing would be perturbed; give shifts=, mirror=, noise= or queries= (Threshold('correct') asks once)."
            )
        object.__setattr__(self, "queries", queries)

    @property
    def signals(self) -> tuple[str, ...]:
        """The signal it reads."""
        return ("correct",)

    def fit(self, context: AttackContext) -> LabelOnly:
        """Nothing to learn."""
        return self

    def score(self, signals: Signals) -> NDArray[np.float64]:
        """float[n] in [0, 1]."""
        share = signals["correct"].mean(axis=1)
        return share if self.decision == "share" else (share > 0.5).astype(np.float64)

    def _perturbations(self) -> tuple[Callable[[Any], Any], ...]:
        asked: list[Callable[[Any], Any]] = [Unaltered()]
        for down in range(-self.shifts, self.shifts + 1):
            across = self.shifts - abs(down)
            asked += [Shifted(down, right) for right in sorted({-across, across}) if self.shifts]
        asked += [Mirrored()] if self.mirror else []
        if self.noise is not None:
            asked += [Noisy(self.noise, self.seed * self.draws + draw) for draw in range(self.draws)]
        return tuple(asked)

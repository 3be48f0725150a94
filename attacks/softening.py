"""Names of softened confidences: log-probabilities of the true label under another softmax than the model's own."""

from __future__ import annotations

import re
from dataclasses import dataclass

_NUMBER = r"\d+(?:\.\d+)?(?:e-\d+)?"
_FORM = re.compile(
    rf"(?:confidence|taylor_n(?P<order>\d{{1,2}}))(?:_m(?P<margin>{_NUMBER}))?_t(?P<temperature>{_NUMBER})"
)
# For messages that list the names of signals.
EXAMPLES = "confidence_t2 (or another temperature), taylor_n4_m0.6_t2 (or other numbers)"
_COOLEST, _HOTTEST, _WIDEST, _HIGHEST = 1e-3, 1e3, 1e3, 20


@dataclass(frozen=True)
class Softening:
    """How logits become the probability of the true label: w(z_y/T − m) / [w(z_y/T − m) + Σ_{j≠y} w(z_j/T)].

    Args:
      temperature: T, what logits are divided by first.
      order: None: w is the exponential; an even number n: its Taylor polynomial Σ_{i≤n} z^i/i!, which is above 0 everywhere.
        The polynomial rises again for z below about −1.6 (n = 4), and unlike the exponential it sees a shift of all logits.
      margin: m, taken from the true class alone (a soft margin).
    Raises:
      ValueError: on arguments out of range.
    Source: Zarifzadeh et al. 2024, arXiv:2312.03262 (for CIFAR-10: T = 2, n = 4, m = .6).
    """

    temperature: float = 1.0
    order: int | None = None
    margin: float = 0.0

    def __post_init__(self) -> None:
        if not _COOLEST <= self.temperature <= _HOTTEST:
            raise ValueError(f"temperature is {self.temperature!r}; give a number from {_COOLEST:g} to {_HOTTEST:g}.")
        if not 0 <= self.margin <= _WIDEST:
            raise ValueError(f"soft_margin is {self.margin!r}; give a number from 0 to {_WIDEST:g}.")
        if self.order is not None and (self.order not in range(2, _HIGHEST + 1, 2)):
            raise ValueError(
                f"order is {self.order!r}; give an even number from 2 to {_HIGHEST}, for only those polynomials are above 0 "
                "everywhere."
            )

    @property
    def name(self) -> str:
        """What the signal is called: "confidence_t2", "taylor_n4_m0.6_t2"; "confidence" where nothing is softened."""
        if self == Softening():
            return "confidence"
        weight = "confidence" if self.order is None else f"taylor_n{self.order}"
        return f"{weight}{f'_m{self.margin:.12g}' if self.margin else ''}_t{self.temperature:.12g}"

    @classmethod
    def of(cls, name: str) -> Softening | None:
        """What a signal's name stands for; None for a name of another form."""
        found = _FORM.fullmatch(name) if isinstance(name, str) else None
        if found is None:
            return None
        order = None if found["order"] is None else int(found["order"])
        try:
            return cls(float(found["temperature"]), order, float(found["margin"] or 0))
        except ValueError:
            return None

"""Worlds of scores whose truth is known: members and non-members are independent draws from laws with closed forms."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from scipy import integrate, stats


@dataclass(frozen=True)
class Law:
    """Scores of members are those of non-members plus a gain, rounded to a grid where there is one.

    Args:
      name: what tables call it.
      base: the law of non-members, symmetric, of scipy.stats.
      gain: what membership adds.
      grid: scores are rounded to multiples of it; None = as they are.
    """

    name: str
    base: Any
    gain: float
    grid: float | None = None

    def draw(self, members, nonmembers, rng):
        """(scores[n], is_member[n]), members first."""
        is_member = np.arange(members + nonmembers) < members
        scores = self.base.rvs(size=is_member.size, random_state=rng) + self.gain * is_member
        return (scores if self.grid is None else np.round(scores / self.grid) * self.grid), is_member

    def above(self, threshold, members, inclusive=False):
        """P(score > threshold) of one side, or ≥."""
        reach = 0.0 if self.grid is None else (-0.5 if inclusive else 0.5) * self.grid
        return float(self.base.sf(threshold + reach - self.gain * members))

    @cached_property
    def auc(self):
        """P(member's score > non-member's) + ½ P(equal)."""
        if self.gain == 0:
            return 0.5
        if self.grid is None:
            return float(integrate.quad(lambda s: self.base.pdf(s - self.gain) * self.base.cdf(s), -np.inf, np.inf)[0])
        values = self._values
        member, nonmember = (
            np.array([self.above(v, side, True) - self.above(v, side) for v in values]) for side in (1, 0)
        )
        return float(member @ (np.cumsum(nonmember) - nonmember / 2))

    @property
    def _values(self):
        reach = np.ceil((self.gain + self.base.isf(1e-12)) / self.grid)
        return self.grid * np.arange(-reach, reach + 1)

    def tpr_at(self, fpr):
        """Of the lowest threshold whose population FPR is at most `fpr`."""
        if self.grid is None:
            return self.above(self.base.isf(fpr), 1)
        return self.above(next(v for v in self._values if self.above(v, 0) <= fpr), 1)

    def j_of(self, threshold):
        """TPR − FPR of whoever calls members all that score at least so much."""
        return self.above(threshold, 1, True) - self.above(threshold, 0, True)


NORMAL, HEAVY = stats.norm(), stats.t(2)
LAWS = (
    Law("null", NORMAL, 0.0),
    Law("weak", NORMAL, 0.18),
    Law("strong", NORMAL, 1.81),
    Law("null, ties", NORMAL, 0.0, 0.5),
    Law("weak, ties", NORMAL, 0.18, 0.5),
    Law("strong, few values", NORMAL, 1.81, 2.0),
    Law("null, heavy tails", HEAVY, 0.0),
    Law("weak, heavy tails", HEAVY, 0.24),
    Law("strong, heavy tails", HEAVY, 3.0),
)

"""Forget records above nearly all test records: do more of them stand there than chance and an even shift explain?

A few that are still remembered hardly move an average. They stand at the top, among the test records that are hard to tell from
members; so each of the highest ranks is looked at, not the very first alone, which a single odd test record can hold.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import integrate, special, stats

# The probability, at most, that forget records which are like test records are said to stand out at the first rank, and as
# much for all further ranks together.
BY_CHANCE = 1e-3
# From this rank on the random height of a rank matters less than a shift that is allowed.
_STEADY = 8
_LOWEST_SHARE = 1 / 20
_NODES = 10.0 ** np.linspace(-12, 0, 400)


class StandingOut(NamedTuple):
    """So many forget records score above the test record of this rank, 1 for the highest; by chance with this probability."""

    above: int
    rank: int
    by_chance: float


def standing_out(forget: NDArray[np.float64], test: NDArray[np.float64], limit: float) -> StandingOut | None:
    """The highest rank at which more forget records stand out than chance explains, if there is one.

    At the first rank chance deals forget and test records in random order. At the ranks 2, 4, 8 … up to a twentieth of the test
    records all forget scores may be shifted by as much as `limit` allows, which is no sign of some that are remembered.

    Args:
      forget: float[nf], test: float[nt]; higher = more member-like.
      limit: how far from ½ AUC(forget against test) may lie: the shift of a Gaussian that brings it there is allowed for.
    """
    ranks = _ranks(test.size, 2)
    found = [_at_the_top(forget, test)]
    for rank in ranks:
        count = _above(forget, test, rank)
        # The share of never-seen records above the rank is Beta-distributed; of its upper tail every power of ten counts.
        false = stats.beta.isf(_NODES, rank, test.size - rank + 1)
        chances = stats.binom.sf(count - 1, forget.size, _shifted(false, limit))
        found.append(
            StandingOut(count, rank, len(ranks) * float(integrate.trapezoid(chances * _NODES, np.log(_NODES))))
        )
    return _highest(found)


def standing_out_beside(
    forget: NDArray[np.float64],
    test: NDArray[np.float64],
    other_forget: NDArray[np.float64],
    other_test: NDArray[np.float64],
    limit: float,
) -> StandingOut | None:
    """The same beside another model, of whose forget records some may stand out as well.

    Args:
      forget, test, limit: see `standing_out`.
      other_forget, other_test: scores of the same records by the other model.
    """
    ranks = _ranks(test.size, _STEADY)
    found = []
    for rank in ranks:
        count, usual = _above(forget, test, rank), _above(other_forget, other_test, rank)
        share = 1.0
        if usual < forget.size:
            share = float(special.betaincinv(usual + 1, forget.size - usual, 1 - BY_CHANCE))
        share = float(_shifted(max(share, rank / test.size), limit))
        found.append(StandingOut(count, rank, len(ranks) * float(stats.binom.sf(count - 1, forget.size, share))))
    return _highest(found)


def _ranks(records: int, first: int) -> list[int]:
    return [2**power for power in range(1, 40) if first <= 2**power <= _LOWEST_SHARE * records]


def _at_the_top(forget: NDArray[np.float64], test: NDArray[np.float64]) -> StandingOut:
    count = _above(forget, test, 1)
    places = np.arange(count)
    return StandingOut(count, 1, float(np.prod((forget.size - places) / (forget.size + test.size - places))))


def _above(forget: NDArray[np.float64], test: NDArray[np.float64], rank: int) -> int:
    return int(np.count_nonzero(forget > np.partition(test, test.size - rank)[test.size - rank]))


def _shifted(share: NDArray[np.float64] | float, limit: float) -> NDArray[np.float64] | float:
    """The share above a threshold after a Gaussian has been shifted until its AUC is ½ + limit."""
    return special.ndtr(special.ndtri(share) + np.sqrt(2) * special.ndtri(0.5 + limit))


def _highest(found: list[StandingOut]) -> StandingOut | None:
    """The first that chance does not explain."""
    return next((one for one in found if one.by_chance < BY_CHANCE), None)

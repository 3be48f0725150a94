"""How the spreads of many records vary around a common one: what a few models cannot tell of each record alone."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy import special


class SpreadPrior(NamedTuple):
    """Variances scatter around `variance` as if each had been seen in `weight` further models; infinite = all are equal."""

    variance: float
    weight: float

    def mean(self, squares: NDArray[np.float64], freedom: int) -> NDArray[np.float64]:
        """float64[n]: each record's variance, drawn towards the common one; see `draw`."""
        if not np.isfinite(self.weight):
            return np.full(squares.shape, self.variance)
        return (self.weight * self.variance + squares) / (self.weight + freedom)

    def draw(self, squares: NDArray[np.float64], freedom: int, rng: np.random.Generator) -> NDArray[np.float64]:
        """float64[n]: for each record one standard deviation that it may have, given what its models show.

        Args:
          squares: float64[n], sums of squared distances from the record's mean.
          freedom: of how many independent distances.
        """
        if not np.isfinite(self.weight):
            return np.full(squares.shape, np.sqrt(self.variance))
        together = self.weight * self.variance + squares
        return np.sqrt(together / rng.chisquare(self.weight + freedom, squares.shape))


def spread_prior(squares: NDArray[np.float64], freedom: int) -> SpreadPrior:
    """Fits the common variance and its weight to the logarithms of the records' own variances.

    Their scatter is what sampling makes of it, trigamma(freedom / 2), and what the records really differ by.

    Args:
      squares, freedom: see `SpreadPrior.draw`; records without any spread tell nothing of the scatter.
    Source: Smyth 2004, section 6.2.
    """
    seen = squares[squares > 0]
    if seen.size < 2:
        return SpreadPrior(float(squares.mean()) / freedom, np.inf)
    half = freedom / 2
    logs = np.log(seen / freedom) - special.digamma(half) + np.log(half)
    beyond = float(logs.var(ddof=1) - special.polygamma(1, half))
    if beyond <= 0:
        return SpreadPrior(float(np.exp(logs.mean())), np.inf)
    weight = 2 * _inverse_trigamma(beyond)
    return SpreadPrior(float(np.exp(logs.mean() + special.digamma(weight / 2) - np.log(weight / 2))), weight)


def _inverse_trigamma(value: float) -> float:
    """By Newton's method, which from there comes down to it without a turn."""
    found = 0.5 + 1 / value
    for _ in range(100):
        trigamma = special.polygamma(1, found)
        step = trigamma * (1 - trigamma / value) / special.polygamma(2, found)
        found += step
        if abs(step) < 1e-10 * found:
            break
    return float(found)

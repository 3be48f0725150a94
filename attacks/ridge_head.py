"""A linear head in closed form: ridge regression on centred columns, and which strength answers best for records held out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_RIDGES = 10.0 ** np.arange(-3, 1.1, 0.5)


@dataclass(frozen=True)
class RidgeHead:
    """argmin Σ|y − b − (x − m)·K|² + n·ridge·v·|K|², with m, b the means of x, y and v the mean variance of a column of x.

    Attributes:
      centre: float64[d], m.
      kernel: float64[d, c].
      bias: float64[c].
    """

    centre: NDArray[np.float64]
    kernel: NDArray[np.float64]
    bias: NDArray[np.float64]

    @classmethod
    def fitted(cls, rows: NDArray[np.float64], targets: NDArray[np.float64], ridge: float) -> RidgeHead:
        """Of float64[n, d] and float64[n, c]."""
        return cls.of_moments(_moments(rows, targets), ridge)

    @classmethod
    def of_moments(cls, moments: tuple[NDArray[np.float64], ...], ridge: float) -> RidgeHead:
        """Of the means of x and y, and the covariances of x with itself and with y."""
        from scipy import linalg

        centre, bias, gram, products = moments
        unit = float(np.trace(gram)) / len(gram) or 1.0  # where no column varies any will do
        factor = linalg.cho_factor(gram + ridge * unit * np.eye(len(gram)), lower=True)
        return cls(centre, linalg.cho_solve(factor, products), bias)

    def __call__(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """float64[n, c]."""
        return self.bias + (rows - self.centre) @ self.kernel


def best_ridge(
    rows: NDArray[np.float64],
    targets: NDArray[np.float64],
    held_out: NDArray[np.float64],
    held_out_targets: NDArray[np.float64],
) -> float:
    """Of a grid the strength whose head, fitted to `rows`, has the least squared error on the held-out records."""
    moments = _moments(rows, targets)
    heads = (RidgeHead.of_moments(moments, ridge) for ridge in _RIDGES)
    errors = [float(np.square(head(held_out) - held_out_targets).sum()) for head in heads]
    return float(_RIDGES[int(np.argmin(errors))])


def _moments(rows: NDArray[np.float64], targets: NDArray[np.float64]) -> tuple[NDArray[np.float64], ...]:
    """Means of both, and the sums of products of the centred rows with themselves and with the targets, over n."""
    centre, bias = rows.mean(axis=0), targets.mean(axis=0)
    centred = rows - centre
    return centre, bias, centred.T @ centred / len(rows), centred.T @ (targets - bias) / len(rows)

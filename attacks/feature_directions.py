"""Records as small networks can read them: standardised columns, and of wide records a few directions."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

_MOST_COLUMNS = 8_192
_LAST_COLUMNS = 1_024  # never left out: the labels stand there
WIDTH = 48  # wider records are seen through so many directions,
_SINGLE = 16  # of which these many are columns and the rest principal components

Rows = NDArray[np.float64]


class FeatureDirections:
    """Columns standardised as the population's are; wide records through a few directions, chosen without a fold for its sake.

    Args:
      features: float[z, d], the population's.
      target: float[z], what is to be explained.
      folds: int[z], the fold of each record.
      rng: draws columns and the start of principal components.
    Attributes:
      width: how many numbers a record becomes; 0 if no column varies.
    """

    def __init__(
        self, features: NDArray[Any], target: Rows, folds: NDArray[np.int64], rng: np.random.Generator
    ) -> None:
        self._folds = int(folds.max()) + 1
        self._read: NDArray[np.int64] | None = None
        width = features.shape[1]
        if width > _MOST_COLUMNS:
            others = rng.choice(width - _LAST_COLUMNS, _MOST_COLUMNS - _LAST_COLUMNS, replace=False)
            self._read = np.append(np.sort(others), np.arange(width - _LAST_COLUMNS, width))
        values = self._values(features)
        peak = np.abs(values).max(axis=0, initial=0.0)
        self._peak = np.where(peak > 0, peak, 1.0)
        values /= self._peak
        self._mean, self._spread = values.mean(axis=0), values.std(axis=0)
        self._varies = self._spread > 1e-9
        self.width = min(int(self._varies.sum()), WIDTH)
        self._components: Rows | None = None
        if self._varies.sum() > WIDTH:
            rows = self._standardised(features)
            self._components = _principal_components(rows, WIDTH - _SINGLE, rng)
            # Chosen anew for each fold, without it: the best of many columns look good where they were chosen.
            self._single = [_most_explaining(rows[folds != fold], target[folds != fold]) for fold in range(self._folds)]

    def inputs(self, features: NDArray[Any]) -> Rows:
        """float64[folds, n, width]; finite."""
        rows = self._standardised(features)
        if self._components is None:
            return np.broadcast_to(rows, (self._folds, *rows.shape))
        together = np.clip(rows @ self._components, -10, 10)
        return np.stack([np.concatenate([rows[:, single], together], axis=1) for single in self._single])

    def _values(self, features: NDArray[Any]) -> Rows:
        return np.array(features if self._read is None else features[:, self._read], dtype=np.float64)

    def _standardised(self, features: NDArray[Any]) -> Rows:
        with np.errstate(over="ignore"):
            rows = (self._values(features) / self._peak - self._mean)[:, self._varies] / self._spread[self._varies]
        return np.clip(rows, -5, 5)


def _principal_components(rows: Rows, count: int, rng: np.random.Generator) -> Rows:
    """float64[columns, count]. Source: Halko, Martinsson & Tropp 2011, arXiv:0909.4061 (randomised subspace iteration)."""
    start = rng.normal(size=(rows.shape[1], count + 10))
    with tf.device("CPU:0"):  # NumPy's threads wait busily on a busy machine: a hundred times the CPU time
        given = tf.constant(rows)
        basis = tf.matmul(given, start)
        for _ in range(2):
            basis, _ = tf.linalg.qr(tf.matmul(given, tf.matmul(given, basis, transpose_a=True)))
        found = tf.matmul(given, basis, transpose_a=True)
        squares, turn = (part.numpy() for part in tf.linalg.eigh(tf.matmul(found, found, transpose_a=True)))
        components = tf.matmul(found, turn[:, ::-1][:, :count]).numpy()
    sizes = np.sqrt(np.maximum(squares[::-1][:count], 1e-12 * squares[-1]))
    # Half way to whitening: small components carry something, but hardly as much as large ones.
    spread = sizes / np.sqrt(len(rows))
    return components / sizes / np.sqrt(spread[0] * np.maximum(spread, 0.01 * spread[0]))


def _most_explaining(rows: Rows, target: Rows) -> NDArray[np.int64]:
    """The columns with the largest squared correlation with the signal plus that with its distance from the median."""
    traits = np.stack([target, np.abs(target - np.median(target))])
    traits -= traits.mean(axis=1, keepdims=True)
    centred = rows - rows.mean(axis=0)
    sizes = np.outer((traits**2).sum(axis=1), (centred**2).sum(axis=0))
    explained = (np.einsum("tz,zc->tc", traits, centred) ** 2 / np.maximum(sizes, 1e-12)).sum(axis=0)
    return np.argsort(-explained, kind="stable")[:_SINGLE]

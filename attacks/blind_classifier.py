"""A fast classifier of membership that sees records and labels: closed-form ridge discriminants of several looks at them.

Each discriminant weighs as much as it separates the records it was fitted to, left one out.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .auc import auc_value
from .record_features import label_classes, record_features, record_statistics, standardised

_PENALTIES = (0.1, 1.0, 10.0)  # times the number of columns, which is the total variance of standardised ones
_LOW_DIMENSION = 12
_WAVES = 128
_BINNED_COLUMNS = 32


def looks_at(
    inputs: Sequence[NDArray], labels: Sequence[NDArray], statistics: dict[str, NDArray[np.float64]], seed: int
) -> tuple[list[NDArray[np.float32]], NDArray[np.float32]]:
    """Several sets of standardised columns, each for a discriminant of its own, and all plain columns together.

    Args:
      inputs, labels: flattened leaves, arrays [n, ...].
      statistics: float[n] by name.
      seed: decides projections.
    """
    rng = np.random.default_rng([seed, 0x100C])
    features = record_features(inputs, seed)
    named = _columns(statistics, len(features))
    targets = [leaf for leaf in labels if label_classes(leaf) is None]
    beside = [record_features(targets, seed)] if targets else []
    plain = np.concatenate([features, named, *beside], axis=1)
    low = features
    if low.shape[1] > _LOW_DIMENSION:
        low = standardised(low @ rng.normal(size=(low.shape[1], _LOW_DIMENSION)).astype(np.float32))
    answers = _columns(record_statistics([], labels), len(features))
    looks = [
        plain,
        np.concatenate([named, standardised(named**2)], axis=1),
        standardised(_products(low, low, distinct=True)),
        standardised(_products(answers, low)),
        standardised(_bins(features[:, :_BINNED_COLUMNS])),
        standardised(_waves(np.concatenate([low, named], axis=1), rng)),
    ]
    return [look for look in looks if look.shape[1]], plain


def _columns(statistics: dict[str, NDArray[np.float64]], count: int) -> NDArray[np.float32]:
    return standardised(np.stack(list(statistics.values()), axis=1) if statistics else np.zeros((count, 0)))


def _products(left: NDArray[np.float32], right: NDArray[np.float32], distinct: bool = False) -> NDArray[np.float32]:
    i, j = np.triu_indices(left.shape[1]) if distinct else np.indices((left.shape[1], right.shape[1])).reshape(2, -1)
    return left[:, i] * right[:, j]


def _bins(columns: NDArray[np.float32]) -> NDArray[np.float32]:
    """Indicators of eight equally filled bins of each column: any difference in one column's shape."""
    edges = np.quantile(columns, np.arange(1, 8) / 8, axis=0) if columns.shape[1] else columns[:7]
    above = np.concatenate([columns >= edge for edge in edges], axis=1).astype(np.float32)
    middle = np.concatenate([above[:, columns.shape[1] :], np.zeros_like(columns)], axis=1)
    return above - middle


def _waves(columns: NDArray[np.float32], rng: np.random.Generator) -> NDArray[np.float32]:
    """Random Fourier features of a Gaussian kernel as wide as records are apart (Rahimi & Recht 2007)."""
    directions = rng.normal(size=(columns.shape[1], _WAVES)).astype(np.float32) / np.sqrt(max(1, columns.shape[1]))
    return np.cos(columns @ directions + rng.uniform(0, 2 * np.pi, _WAVES).astype(np.float32))


def classified(
    looks: list[NDArray[np.float32]],
    columns: NDArray[np.float32],
    truth: NDArray[np.bool_],
    fitting: NDArray[np.bool_],
    judged: NDArray[np.bool_],
) -> NDArray[np.float64]:
    """float[judged records], higher = more member-like, by classifiers fitted to other records.

    Args:
      looks, columns: see `looks_at`.
      truth: bool[n], who is a member; read of the fitting records alone.
      fitting, judged: bool[n].
    """
    parts = [_discriminant(look[fitting], truth[fitting], look[judged]) for look in looks]
    parts.append(_stand_outs(columns[fitting], truth[fitting], columns[judged]))
    total = np.zeros(judged.sum())
    for skill, score in parts:
        if (spread := score.std()) > 0:
            # The square lets one good look drown the others' noise; what noise reaches keeps a small say.
            total += max(skill - 1, 0.1) ** 2 * (score - score.mean()) / spread
    return total


def _discriminant(
    columns: NDArray[np.float32], truth: NDArray[np.bool_], judged: NDArray[np.float32]
) -> tuple[float, NDArray[np.float64]]:
    """(skill, score of the judged): a ridge regression of membership, its penalty chosen by leaving one out."""
    centre = columns.mean(axis=0)
    fitted, others = (columns - centre).astype(np.float64), (judged - centre).astype(np.float64)
    target = truth - truth.mean()
    count, width = fitted.shape
    wide = width > count
    eigenvalues, vectors = np.linalg.eigh(fitted @ fitted.T if wide else fitted.T @ fitted)
    eigenvalues = np.maximum(eigenvalues, 0)
    basis = vectors if wide else fitted @ vectors
    seen = basis.T @ target
    candidates = []
    for penalty in _PENALTIES:
        shrunk = 1 / (eigenvalues + penalty * width)
        factor = shrunk * eigenvalues if wide else shrunk
        leverage = np.minimum((basis**2) @ factor, 0.999)
        residual = (target - basis @ (factor * seen)) / (1 - leverage)
        weights = fitted.T @ (vectors @ (shrunk * seen)) if wide else vectors @ (shrunk * seen)
        candidates.append((_skill(target - residual, truth), others @ weights))
    return max(candidates, key=lambda candidate: candidate[0])


def _stand_outs(
    columns: NDArray[np.float32], truth: NDArray[np.bool_], judged: NDArray[np.float32]
) -> tuple[float, NDArray[np.float64]]:
    """(skill, score of the judged) of the columns whose mean or mean square differs by more than the best of noise."""
    skill, total = 0.0, np.zeros(len(judged))
    own = np.zeros(len(columns))
    for power in (1, 2):
        here, there = columns.astype(np.float64) ** power, judged.astype(np.float64) ** power
        members, nonmembers = here[truth], here[~truth]
        error = np.sqrt(members.var(axis=0) / len(members) + nonmembers.var(axis=0) / len(nonmembers))
        apart = (members.mean(axis=0) - nonmembers.mean(axis=0)) / np.maximum(error, 1e-6)
        best_of_noise = np.sqrt(2 * np.log(2 * columns.shape[1] + 2))
        weights = np.sign(apart) * np.maximum(np.abs(apart) - best_of_noise, 0)
        own, total = own + here @ weights, total + there @ weights
        skill = _skill(own, truth)
    return skill, total


def _skill(scores: NDArray[np.float64], truth: NDArray[np.bool_]) -> float:
    """Standard errors by which the AUC exceeds ½."""
    members = int(truth.sum())
    others = len(truth) - members
    return (auc_value(scores, truth) - 0.5) / np.sqrt((len(truth) + 1) / (12 * members * others))

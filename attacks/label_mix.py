"""Do members and non-members have the same labels? If not, an attack may tell the label and be called a leak."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

_MANY_CLASSES = 32
_LEAST_EXPECTED = 5.0  # records a class and side, below which the chi-square law is off


def label_mix(labels: NDArray, is_member: NDArray[np.bool_], error: float = 0.005) -> str | None:
    """A sentence if the labels of the two sides come from different distributions, else None.

    Classes are compared by a chi-square test, rare ones put together; real targets by the Kolmogorov–Smirnov test; integers of
    more than 32 values, which may be either, by both at half the error each.

    Args:
      labels: [n] or [n, 1]; integers, booleans and strings are classes, floats are targets.
      is_member: bool[n].
      error: the probability of a sentence if the distributions are the same.
    Returns:
      None also where there is nothing to compare: several labels a record, one class, very few records.
    """
    if labels.ndim > 1 and int(np.prod(labels.shape[1:])) != 1:
        return None
    flat = labels.reshape(len(labels))
    if flat.dtype.kind == "f" and not _whole(flat):
        found = stats.ks_2samp(flat[is_member], flat[~is_member])
        if found.pvalue > error:
            return None
        return _targets_differ(flat, is_member)
    classes, codes = np.unique(flat, return_inverse=True)
    if flat.dtype.kind in "iu" and len(classes) > _MANY_CLASSES:
        error /= 2
        if stats.ks_2samp(flat[is_member], flat[~is_member]).pvalue <= error:
            return _targets_differ(flat, is_member)
    counts = np.stack([np.bincount(codes[side], minlength=len(classes)) for side in (is_member, ~is_member)])
    if _chi_square_tail(counts) > error:
        return None
    shares = counts / counts.sum(axis=1, keepdims=True)
    worst = int(np.argmax(np.abs(shares[0] - shares[1])))
    name = f"{classes[worst]:g}" if classes.dtype.kind == "f" else str(classes[worst])
    return _sentence(
        f"the mix of classes differs between the sides (class {name}: {100 * shares[0, worst]:.1f} % of members, "
        f"{100 * shares[1, worst]:.1f} % of non-members)"
    )


def _targets_differ(targets: NDArray, is_member: NDArray[np.bool_]) -> str:
    medians = np.median(targets[is_member]), np.median(targets[~is_member])
    return _sentence(
        f"targets differ between the sides (median {medians[0]:.4g} in members, {medians[1]:.4g} in non-members)"
    )


def _whole(values: NDArray) -> bool:
    """True for class numbers that came as floats."""
    return bool((values == np.round(values)).all()) and len(np.unique(values)) <= max(2, len(values) // 10)


def _chi_square_tail(counts: NDArray[np.int64]) -> float:
    """P-value of equal distributions, from counts [2, classes]; 1 where fewer than two classes are large enough."""
    expected = counts.sum(axis=0) * counts.sum(axis=1).min() / counts.sum()
    rare = expected < _LEAST_EXPECTED
    together = np.concatenate([counts[:, ~rare], counts[:, rare].sum(axis=1, keepdims=True)], axis=1)
    together = together[:, together.sum(axis=0) * counts.sum(axis=1).min() / counts.sum() >= _LEAST_EXPECTED]
    if together.shape[1] < 2:
        return 1.0
    return float(stats.chi2_contingency(together, correction=together.shape[1] == 2).pvalue)


def _sentence(what: str) -> str:
    return (
        f"{what}: an attack may recognise the label where it seems to recognise the record, which moves every number by an "
        "amount unknown; draw both sides at random from one pool, or with the same share of each class."
    )

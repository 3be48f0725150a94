"""How surely a record is a member: the share of members among records with such a score."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from .roc import check_scores

_BINS, _RECORDS_A_BIN = 20, 20


def membership_probabilities(
    scores: ArrayLike, is_member: ArrayLike, prior: float = 0.5, seed: int = 0
) -> NDArray[np.float64]:
    """P(member | score) of each record, learned from other records.

    The records are halved at random; each half is read off the other's curve: the share of members in up to 20 bins of its
    scores, at prior ½ (with one record's worth of ½ in each, so that no share is 0 or 1), made to rise with the score, joined
    by straight lines, and carried over to the prior. Without leakage it is the prior, give or take chance; of records that score
    alike about so many are members, if membership had this prior. How sure it can be is bounded by a bin: with 1,000 records
    a side odds of about 100 to 1.

    Args:
      scores: float[n], higher = more member-like; ±inf are ordinary extremes.
      is_member: bool[n]; sides of unequal size are reweighted to the prior.
      prior: share of members among the records the attacker would try, in (0, 1).
      seed: decides the halves.
    Returns:
      float[n] in (0, 1); the prior where a half has too few records to learn from (fewer than twenty of a side).
    Raises:
      ValueError: on a prior outside (0, 1), or as `RocCurve.from_scores`.
    Source: Zadrozny & Elkan 2002 (isotonic calibration).
    """
    values, truth = check_scores(scores, is_member)
    if not 0 < prior < 1:
        raise ValueError(f"prior is {prior!r}; give the share of members the attacker expects, between 0 and 1.")
    rng = np.random.default_rng([seed, 0x9B0B])
    half = np.empty(truth.size, np.int64)
    for side in (truth, ~truth):
        half[side] = rng.permutation(np.arange(side.sum()) % 2)
    found = np.full(truth.size, float(prior))
    for judged in (half == 0, half == 1):
        learned = truth[~judged]
        if _RECORDS_A_BIN <= learned.sum() <= learned.size - _RECORDS_A_BIN:
            found[judged] = _read_off(values[judged], values[~judged], learned, prior)
    return found


def _read_off(
    scores: NDArray[np.float64], known: NDArray[np.float64], truth: NDArray[np.bool_], prior: float
) -> NDArray[np.float64]:
    from sklearn.isotonic import isotonic_regression

    ascending, members, nonmembers = np.sort(known), truth.sum(), (~truth).sum()
    smaller = min(members, nonmembers)  # a record of the larger side tells less
    places, bins = _middle_ranks(known, ascending), max(1, min(_BINS, 2 * smaller // _RECORDS_A_BIN))
    bin_of = np.minimum((places * bins).astype(np.int64), bins - 1)
    weights = np.where(truth, smaller / members, smaller / nonmembers)
    inside = np.bincount(bin_of, weights=weights, minlength=bins)
    found = np.bincount(bin_of[truth], weights=weights[truth], minlength=bins)
    centres = np.bincount(bin_of, weights=weights * places, minlength=bins)
    filled = inside > 0
    shares = isotonic_regression(
        (found[filled] + 0.5) / (inside[filled] + 1), sample_weight=inside[filled] + 1, increasing=True
    )
    at_one_half = np.interp(_middle_ranks(scores, ascending), centres[filled] / inside[filled], shares)
    return special.expit(special.logit(at_one_half) + special.logit(prior))


def _middle_ranks(scores: NDArray[np.float64], ascending: NDArray[np.float64]) -> NDArray[np.float64]:
    """float[n] in [0, 1]: the share of the ascending scores below, and half of those equal."""
    below, up_to = (np.searchsorted(ascending, scores, side=side) for side in ("left", "right"))
    return (below + up_to) / (2 * ascending.size)

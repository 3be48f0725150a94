"""Which share of a data set was used in training, told from membership scores of its records.

Assumes that the queried records which were used score like the known members, and the others like the known non-members:
known from shadow models, or from a part of the data whose use is known, and drawn from the same source.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize

from .estimate import LEVEL, Estimate, check_level, normal_quantile
from .unlearning_rates import check_values, ends, halves, least_records, share_between


def usage_share(
    queried: ArrayLike, members: ArrayLike, nonmembers: ArrayLike, level: float = LEVEL, seed: int = 0
) -> Estimate:
    """The share of the queried records that were trained on, whatever the attacker's errors.

    Each half of the known records teaches how likely a member a score is (rising with the score, no other form assumed);
    the other half tells which mean of this members and non-members have, and the queried records lie between the two. No single
    record needs to be told. In simulations its error is .5 to 1 times that of counting the scores above a threshold learned in
    the same way (Gaussian shifts of .5, 1 and 3; a tenth of members standing out, .3 times).

    The interval is Fieller's, with two pseudo-records, one at each extreme, in each mean. It covers the share of the population
    that the queried records are a random sample of; for the share among these very records it is a little wider than need be.

    Args:
      queried: float[n], scores of the data set in question; higher = more member-like, ±inf allowed.
      members: float[a], scores of records that were trained on, by the same attack.
      nonmembers: float[b], scores of records that were not.
      level: confidence level of the interval.
      seed: decides the halves.
    Returns:
      An `Estimate` in [0, 1]; `details` holds the share and its interval before they were cut to that range.
    Raises:
      ValueError: on NaN, other shapes, a level outside (0, 1), fewer than 10 queried or 20 known records a side (more at levels
        beyond .99), or an attacker that cannot tell members from non-members.
    Source: the question, and the debiasing by known error rates: Tong et al., ICLR 2025 (DUCI); the rising function of the score
      and the interval are ours.
    """
    check_level(level)
    least = least_records(level)
    asked = check_values("queried", queried, least)
    known = check_values("members", members, 2 * least), check_values("nonmembers", nonmembers, 2 * least)
    member_halves, nonmember_halves = (halves(side, seed, place) for place, side in enumerate(known))
    learned = [_membership(*sides) for sides in zip(member_halves, nonmember_halves, strict=True)]

    def judged(parts: tuple[NDArray[np.float64], NDArray[np.float64]]) -> Estimate:
        return _mean(np.concatenate([learned[1](parts[0]), learned[0](parts[1])]), level)

    found = share_between(
        _mean((learned[0](asked) + learned[1](asked)) / 2, level), judged(member_halves), judged(nonmember_halves)
    )
    low, high = ends(found)
    share, least_share, largest = (float(np.clip(number, 0.0, 1.0)) for number in (float(found), low, high))
    whole = {"unclipped": float(found), "unclipped_low": low, "unclipped_high": high}
    return Estimate(share, least_share, largest, level, details=whole)


def _membership(
    members: NDArray[np.float64], nonmembers: NDArray[np.float64]
) -> Callable[[NDArray[np.float64]], NDArray[np.float64]]:
    """How likely a member a score is, both sides weighing the same: the least-squares fit among functions that never fall."""
    known, place = np.unique(np.concatenate([members, nonmembers]), return_inverse=True)
    hits = np.bincount(place[: members.size], minlength=known.size) / members.size
    weights = hits + np.bincount(place[members.size :], minlength=known.size) / nonmembers.size
    fitted = optimize.isotonic_regression(hits / weights, weights=weights).x

    def at(values: NDArray[np.float64]) -> NDArray[np.float64]:
        # Between two known scores the mean of theirs; interpolation would fail at infinite ones.
        below, above = np.searchsorted(known, values, "right") - 1, np.searchsorted(known, values, "left")
        return (fitted[np.clip(below, 0, None)] + fitted[np.clip(above, None, known.size - 1)]) / 2

    return at


def _mean(values: NDArray[np.float64], level: float) -> Estimate:
    """A mean of numbers in [0, 1]: its interval knows of one more record at either extreme, so it never shrinks to a point."""
    padded = np.append(values, [0.0, 1.0])
    reach = normal_quantile(level) * float(np.sqrt(padded.var() / padded.size))
    return Estimate(float(padded.mean()), float(padded.mean()) - reach, float(padded.mean()) + reach, level)

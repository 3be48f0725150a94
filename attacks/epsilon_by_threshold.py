"""How large ε must be, at least, from how well one threshold tells members from non-members.

Under (ε, δ)-DP no way of telling them has a small false positive rate and a small false negative rate together. Rates are
bounded from above, exactly (Clopper–Pearson), so each may err with half of what the level leaves. That takes a threshold
which the judged records did not choose: chosen by other records (split), or one of few that are fixed by rank (grid).
The largest value over all thresholds of the same scores is no bound: with rates as they were counted it exceeds 0 on noise in
nearly every audit, and with bounded rates in more of them than the level allows.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from .epsilon_bound import EpsilonBound
from .estimate import clopper_pearson_high
from .roc import RocCurve
from .seeded_stream import seeded_stream

_TOO_FEW_TO_SPLIT = "one half of each side chooses the threshold and the other judges it: at least 2 of each are needed"
# What (upper bound of FNR, upper bound of FPR) show; element by element, −inf for nothing.
Worth = Callable[[Any, Any], Any]


@dataclass(frozen=True)
class Outcome:
    """What one threshold did.

    Attributes:
      threshold: records with a score at or above it were called members.
      true_positives, false_positives: how many members and non-members were.
      members, nonmembers: how many there were.
      error: by which each of the two bounds of rates may fail.
    """

    threshold: float
    true_positives: int
    false_positives: int
    members: int
    nonmembers: int
    error: float

    def rates(self) -> tuple[float, float]:
        """Upper bounds of the false negative rate and the false positive rate."""
        missed = self.members - self.true_positives
        return (
            clopper_pearson_high(missed, self.members, self.error),
            clopper_pearson_high(self.false_positives, self.nonmembers, self.error),
        )

    def perfect_rates(self) -> tuple[float, float]:
        """The same after an attack that made no mistake."""
        return replace(self, true_positives=self.members, false_positives=0).rates()

    @property
    def details(self) -> dict[str, float]:
        """Its numbers by name."""
        return {name: value for name, value in vars(self).items() if name != "error"}

    def reason(self, value: float, ceiling: float) -> str | None:
        """Why a bound is 0; None if it is not."""
        if value > 0:
            return None
        if ceiling > 0:
            return (
                f"{self.true_positives:,} of {self.members:,} members and {self.false_positives:,} of {self.nonmembers:,} "
                f"non-members scored {self.threshold:.4g} or more, which needs no ε above 0 at this level and δ"
            )
        return (
            f"with {self.members:,} members and {self.nonmembers:,} non-members to judge by, not even a perfect attack could "
            "show an ε above 0 at this level and δ; audit more records"
        )


def epsilon_of_rates(fnr: Any, fpr: Any, delta: float) -> Any:
    """The smallest ε at which (ε, δ)-DP allows these two rates: max{log((1−FNR−δ)/FPR), log((1−FPR−δ)/FNR)}.

    The first term is for attacks sure about a few members, the second for those sure about a few non-members.

    Args:
      fnr, fpr: false negative and false positive rates in (0, 1], numbers or arrays alike.
      delta: in [0, 1).
    Returns:
      float64 of their shape in nats; may be negative, −inf where no ε is too small.
    """
    with np.errstate(divide="ignore"):
        few_members = np.log(np.maximum(1 - fnr - delta, 0)) - np.log(fpr)
        few_nonmembers = np.log(np.maximum(1 - fpr - delta, 0)) - np.log(fnr)
    return np.maximum(few_members, few_nonmembers)


def split_epsilon(
    values: NDArray[np.float64], truth: NDArray[np.bool_], delta: float, level: float, seed: int = 0
) -> EpsilonBound:
    """The bound from one threshold: chosen by half of the records of each side, judged by the others.

    Args:
      values: float[n]; higher = more member-like.
      truth: bool[n], both values present.
      delta: in [0, 1).
      level: of the bound, in (0, 1).
      seed: of the halves.
    Returns:
      The bound in nats; `details` holds the numbers of the judged half.
    """
    said: dict[str, Any] = {"method": "split", "delta": delta, "level": level}
    generator, error = seeded_stream("epsilon halves", seed), (1 - level) / 2
    members, nonmembers = generator.permutation(values[truth]), generator.permutation(values[~truth])
    half, other_half = len(members) // 2, len(nonmembers) // 2
    if min(half, other_half) == 0:
        return EpsilonBound(0.0, ceiling=0.0, reason=_TOO_FEW_TO_SPLIT, **said)
    worth = partial(epsilon_of_rates, delta=delta)
    threshold = _best_threshold(members[:half], nonmembers[:other_half], worth, error)
    members, nonmembers = members[half:], nonmembers[other_half:]
    called, wrongly = np.count_nonzero(members >= threshold), np.count_nonzero(nonmembers >= threshold)
    outcome = Outcome(threshold, int(called), int(wrongly), len(members), len(nonmembers), error)
    value, ceiling = max(0.0, float(worth(*outcome.rates()))), max(0.0, float(worth(*outcome.perfect_rates())))
    return EpsilonBound(value, ceiling=ceiling, reason=outcome.reason(value, ceiling), details=outcome.details, **said)


def _best_threshold(members: NDArray[np.float64], nonmembers: NDArray[np.float64], worth: Worth, error: float) -> float:
    is_member = np.arange(len(members) + len(nonmembers)) < len(members)
    roc = RocCurve.from_scores(np.concatenate([members, nonmembers]), is_member)
    fnr = _nearly_clopper_pearson_high(len(members) - roc.true_positives[1:], len(members), error)
    fpr = _nearly_clopper_pearson_high(roc.false_positives[1:], len(nonmembers), error)
    best = int(np.argmax(worth(fnr, fpr)))
    # Between two scores that these records hold, any threshold serves them alike. The smaller rate is the one that the
    # bound hangs on: the threshold is as high as it can be for few false positives, as low as it can be for few misses.
    if fpr[best] > fnr[best] and best + 2 < len(roc.thresholds):
        return float(np.nextafter(roc.thresholds[best + 2], np.inf))
    return float(roc.thresholds[best + 1])


def _nearly_clopper_pearson_high(successes: NDArray[np.int64], trials: int, error: float) -> NDArray[np.float64]:
    """`clopper_pearson_high` to about 4 % at usual levels, some 25 times sooner: only to choose by.

    Source: Paulson 1942, the normal approximation of the cube root of F.
    """
    a, b = 2.0 * (successes + 1), 2.0 * np.maximum(trials - successes, 1)
    z_squared = special.ndtri(error) ** 2
    p, q, of_p, of_q = 1 - 2 / (9 * a), 1 - 2 / (9 * b), 2 / (9 * a), 2 / (9 * b)
    square = q * q - z_squared * of_q
    usable = (square > 0) & (successes < trials)  # else near 1, where the bound shows nothing whatever its digits
    square = np.where(usable, square, 1.0)
    root = np.sqrt(np.maximum((p * q) ** 2 - square * (p * p - z_squared * of_p), 0))
    f = ((p * q + root) / square) ** 3
    return np.where(usable, a * f / (a * f + b), 1.0)


def grid_epsilon(values: NDArray[np.float64], truth: NDArray[np.bool_], delta: float, level: float) -> EpsilonBound:
    """The largest bound over a few thresholds fixed by rank, each paying for all (Bonferroni); see `best_by_rank`.

    Args:
      values: float[n]; higher = more member-like.
      truth: bool[n], both values present.
      delta: in [0, 1).
      level: of the bound, in (0, 1).
    Returns:
      The bound in nats; `details` holds the numbers at the best threshold, and how many `thresholds` there were.
    """
    worth = partial(epsilon_of_rates, delta=delta)
    outcome, thresholds = best_by_rank(values, truth, worth, level)
    value, ceiling = max(0.0, float(worth(*outcome.rates()))), max(0.0, float(worth(*outcome.perfect_rates())))
    return EpsilonBound(
        value,
        method="grid",
        delta=delta,
        level=level,
        ceiling=ceiling,
        reason=outcome.reason(value, ceiling),
        details={**outcome.details, "thresholds": thresholds},
    )


def best_by_rank(
    values: NDArray[np.float64], truth: NDArray[np.bool_], worth: Worth, level: float
) -> tuple[Outcome, int]:
    """What the best of a few thresholds fixed by rank did, at the error that each of them may spend.

    The thresholds are the highest non-members' scores, at ranks 1, 2, 4, 8, … up to half, and one above them all: so many
    false positives; and likewise the lowest members' scores. How many there are depends on the numbers of records alone.

    Why that is allowed. Take the threshold t at the k-th highest non-member. Given the non-members it is a fixed number for
    the members, so the bound of the false negative rate holds exactly. Now the false positive rate: each non-member scores
    s or more with probability q(s), N(s) of them do, and u(N) is the bound. If it fails at t, then q(t) > u(N(t)) ≥ u(k), so
    that t lies among the s with q(s) > u(k): all those up to a number s* that does not depend on the data. Hence N(s*) < k,
    or t = s*; either way the bound fails at s* too, which is fixed, and there it does so with the stated probability at
    most. (If s* itself is not among them, this holds for every s below it, and so in the limit.) Equal scores change
    nothing. Above all non-members it is the same with u(0).

    Args:
      values: float[n]; higher = more member-like.
      truth: bool[n], both values present.
      worth: what bounds of both rates show; the best threshold is the best for it.
      level: with which all bounds of rates hold together.
    Returns:
      The outcome of the best threshold, and how many there were.
    """
    members, nonmembers = np.sort(values[truth]), np.sort(values[~truth])
    thresholds, called, wrongly = _by_rank(members, nonmembers)
    error = (1 - level) / (2 * len(thresholds))
    fnr = clopper_pearson_high(len(members) - called, len(members), error)
    fpr = clopper_pearson_high(wrongly, len(nonmembers), error)
    best = int(np.argmax(worth(fnr, fpr)))
    counts = int(called[best]), int(wrongly[best]), len(members), len(nonmembers)
    return Outcome(float(thresholds[best]), *counts, error), len(thresholds)


def _by_rank(
    members: NDArray[np.float64], nonmembers: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """(thresholds, true positives, false positives) of the grid, from sorted scores."""
    at_or_above = nonmembers[len(nonmembers) - _ranks(len(nonmembers))]
    at_or_below = members[_ranks(len(members)) - 1]
    # "Above x" is "at or above the next number".
    above = np.append(at_or_below, nonmembers[-1])
    at_or_above = np.append(at_or_above, members[0])
    thresholds = np.concatenate([at_or_above, np.nextafter(above, np.inf)])

    def reach(scores: NDArray[np.float64]) -> NDArray[np.int64]:
        below = [np.searchsorted(scores, at_or_above, "left"), np.searchsorted(scores, above, "right")]
        return len(scores) - np.concatenate(below)

    return thresholds, reach(members), reach(nonmembers)


def _ranks(records: int) -> NDArray[np.int64]:
    """1, 2, 4, … up to half of the records, 1 at least.

    Closer ones cost more than they find: each further threshold weakens all the others.
    """
    return 2 ** np.arange(max(1, (records // 2).bit_length()))

"""Guessing who was a member: the highest scores yes, the lowest no, and abstaining in between."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Unequal numbers of guesses need fair coins; sides so unequal that these produce them once in a thousand audits are refused.
_IMPLAUSIBLE = 1e-3


@dataclass(frozen=True)
class Guesses:
    """What came of the guesses of one audit.

    Attributes:
      canaries: how many records could have been guessed.
      made: for how many a guess was made, 1 to `canaries`.
      correct: how many of those were right.
      attainable: how many a perfect attacker had right; fewer than `made` where a side is smaller than the guesses on it.
      unfair: why the number of right guesses says nothing here, or None.
    """

    canaries: int
    made: int
    correct: int
    attainable: int
    unfair: str | None = None


def make_guesses(
    values: NDArray[np.float64],
    truth: NDArray[np.bool_],
    guesses: int | tuple[int, int] | None = None,
    seed: int = 0,
) -> Guesses:
    """Guesses "member" for the highest scores and "non-member" for the lowest.

    Records with equal scores are ordered at random. Their number is fixed beforehand, however many scores are equal; abstaining
    on those at the cut instead would leave the number to the data, which the bound at δ > 0 does not allow. Chance must not know
    the truth, and arrays often hold the members first: a permutation by `seed` alone would guess the same places in every
    audit of so many records, and where all scores are equal be right in nearly all of them or in none. So the order is drawn
    from `seed` and a digest of all that was given: another one for other coins.

    With equal numbers of guesses the sides may be of any size. If each record is a member with odds λ, a guess of
    "member" is right with probability at most expit(ε + log λ), one of "non-member" with expit(ε − log λ), and the mean of
    the two is largest at λ = 1, whatever ε ≥ 0. With unequal numbers that does not hold: guessing the larger side is right
    more often than not. Such an audit is marked `unfair` if the sides differ more than fair coins explain.

    Few guesses suit scores whose extremes tell most, many suit scores that are all alike sure: over 8 audits of 4,000
    records at ε = 3, δ = 1e-5, the one-run bound with a third, a fifth and a tenth on each side had a mean of .74, .94 and
    1.15 with the Gaussian mechanism, 2.83, 2.79 and 2.59 with randomised response.

    Args:
      values: float[n], n ≥ 2; higher = more member-like; ±inf are ordinary extremes.
      truth: bool[n], read only to count which guesses were right.
      guesses: how many on each side, one number for both or (members, non-members); None: a third of the records on each.
      seed: of the order of records with equal scores; stated beforehand.
    Raises:
      ValueError: on numbers of guesses that are no counts, add up to none or to more than n.
    """
    records = len(values)
    of_members, of_nonmembers = check_guesses(guesses, records)
    order = np.argsort(values)
    if (values[order[1:]] == values[order[:-1]]).any():
        shuffled = np.random.default_rng([seed, _digest(values, truth)]).permutation(records)
        order = shuffled[np.argsort(values[shuffled], kind="stable")]
    highest, lowest = order[records - of_members :], order[:of_nonmembers]
    correct = int(np.count_nonzero(truth[highest])) + int(np.count_nonzero(~truth[lowest]))
    members = int(np.count_nonzero(truth))
    attainable = min(of_members, members) + min(of_nonmembers, records - members)
    unfair = None if of_members == of_nonmembers else _unfair(members, records)
    return Guesses(records, of_members + of_nonmembers, correct, attainable, unfair)


def _digest(values: NDArray[np.float64], truth: NDArray[np.bool_]) -> int:
    """Of scores and coins; the same where every coin is turned, so that both sides are treated alike."""
    found = hashlib.blake2b((values + 0.0).tobytes(), digest_size=16)
    found.update(np.packbits(truth ^ truth[0]).tobytes())
    return int.from_bytes(found.digest())


def check_guesses(guesses: Any, records: int) -> tuple[int, int]:
    """The numbers of guesses (members, non-members) among so many records.

    Raises:
      ValueError: see `make_guesses`.
    """
    if guesses is None:
        return (max(1, records // 3),) * 2
    given = tuple(guesses) if isinstance(guesses, (tuple, list)) else (guesses, guesses)
    whole = all(isinstance(count, (int, np.integer)) and not isinstance(count, bool) for count in given)
    if len(given) != 2 or not whole or min(given) < 0:
        raise ValueError(
            f"guesses is {guesses!r}; give how many records to guess on each side, a whole number or (members, non-members)."
        )
    if not 0 < sum(given) <= records:
        raise ValueError(
            f"guesses is {guesses!r}, {sum(given):,} in all, but there are {records:,} records; "
            "guess at least one and none twice."
        )
    return int(given[0]), int(given[1])


def _unfair(members: int, records: int) -> str | None:
    from scipy import (
        stats,
    )  # imported where it is used: it takes half a second

    if stats.binomtest(members, records).pvalue >= _IMPLAUSIBLE:
        return None
    return (
        f"{members:,} of {records:,} records are members, which fair coins do not produce, and the two sides are guessed "
        "unequally often; guess equally many of each"
    )

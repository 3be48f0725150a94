"""How large ε must be, at least, from the guesses of one audit of one training run.

Each canary was included in the training by an independent fair coin. Under (ε, δ)-DP nobody who sees the model can guess
these coins much better than if each guess were right with probability expit(ε) on its own.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, special

from .epsilon_bound import EpsilonBound
from .estimate import clopper_pearson_low
from .one_run_guesses import Guesses, make_guesses

# The answer is at most this far below the exact one, in nats.
_PRECISION = 1e-6
# How far below the bound at δ = 0 the search looks first, in nats; doubled until an ε is refuted.
_FIRST_STEP = 0.01
# A p-value whose logarithm is taken counts as this at least.
_TINIEST = 1e-300
# Beyond it expit rounds to 1.
_LARGEST = 36.0
# Standard deviations below the mean beyond which no binomial probability matters, and as many counts for very small ones.
_REACH = 12
_FEW = 30


def one_run_epsilon(
    values: NDArray[np.float64],
    truth: NDArray[np.bool_],
    delta: float,
    level: float,
    guesses: int | tuple[int, int] | None = None,
    seed: int = 0,
) -> EpsilonBound:
    """The lower bound on ε from one training run whose members were dealt by fair coins.

    Args:
      values: float[n], n ≥ 2; higher = more member-like; made without looking at the truth.
      truth: bool[n], the coins.
      delta: of (ε, δ)-DP, in [0, 1). It costs power in proportion to n·δ.
      level: of the bound, in (0, 1).
      guesses, seed: see `make_guesses`. State them beforehand: the best of several is no bound.
    Returns:
      At least so much ε, in nats; 0.0 with a reason if nothing can be said. `details`: guesses, correct, canaries.
    Raises:
      ValueError: on impossible `guesses`.
    Source: Steinke, Nasr & Jagielski 2023, arXiv:2305.08846.
    """
    found = make_guesses(values, truth, guesses, seed)
    ceiling = epsilon_of_guesses(found.attainable, found.made, found.canaries, delta, level)
    value = 0.0
    if found.unfair is None:
        value = epsilon_of_guesses(found.correct, found.made, found.canaries, delta, level)
    return EpsilonBound(
        value,
        method="one_run",
        delta=delta,
        level=level,
        ceiling=ceiling,
        reason=None if value > 0 else why_nothing(found, ceiling, level),
        details={"guesses": found.made, "correct": found.correct, "canaries": found.canaries},
    )


def why_nothing(found: Guesses, ceiling: float, level: float) -> str:
    """The sentence on a bound of 0."""
    if found.unfair is not None:
        return found.unfair
    if ceiling <= 0:
        return (
            f"even {found.attainable:,} right guesses of {found.made:,} would show no ε above 0 at level {level:g} and this δ; "
            "audit more records, or allow a smaller δ"
        )
    return (
        f"{found.correct:,} of {found.made:,} guesses were right, "
        f"which no ε above 0 is needed to explain at level {level:g}"
    )


def epsilon_of_guesses(correct: int, guesses: int, canaries: int, delta: float, level: float) -> float:
    """The largest ε that so many right guesses refute, 0.0 if they refute none.

    Any refuted ε is a bound, whether or not all smaller ones are refuted by the same formula: a mechanism that is
    (ε, δ)-DP is (ε', δ)-DP for every ε' ≥ ε, so one that satisfied a smaller ε could not have escaped either.

    Args:
      correct: right guesses, 0 to `guesses`.
      guesses: how many were made, a number fixed beforehand, 1 to `canaries`.
      canaries: records whose coins were unknown.
      delta: in [0, 1).
      level: in (0, 1).
    Returns:
      Nats, ≥ 0, at most 1e-6 below the point where the p-value passes 1 − level. At δ = 0 it is in closed form, the log-odds
      of the Clopper–Pearson lower bound of the share of right guesses.
    """
    error = 1 - level
    most = min(_LARGEST, max(0.0, float(special.logit(clopper_pearson_low(correct, guesses, error)))))
    if delta == 0 or most == 0:
        return most

    def surplus(epsilon: float) -> float:
        """How far the p-value lies above the error, as a difference of logarithms; at most 0 where ε is refuted."""
        return math.log(max(_TINIEST, guesses_p_value(correct, guesses, canaries, epsilon, delta)) / error)

    if surplus(most) <= 0:
        return most
    # Down from there to an ε that is refuted: the further below, the more probabilities a look adds up.
    high, step = most, _FIRST_STEP
    while surplus(low := max(0.0, high - step)) > 0:
        if low == 0:
            return 0.0
        high, step = low, 2 * step
    root, below = optimize.brentq(surplus, low, high, xtol=_PRECISION / 4), _PRECISION / 2
    while (refuted := max(low, root - below)) > low and surplus(refuted) > 0:
        below *= 2
    return refuted


def guesses_p_value(correct: int, guesses: int, canaries: int, epsilon: float, delta: float) -> float:
    """An upper bound on the probability of so many right guesses, or more, under (ε, δ)-DP.

    β + 2·canaries·δ·A, with β = P[B ≥ correct] for B of Binomial(guesses, expit(ε)), and A the largest mean of the
    probabilities P[B = j] over j from any number below `correct` up to correct − 1.

    Source: Steinke, Nasr & Jagielski 2023, arXiv:2305.08846.
    """
    if correct == 0:
        return 1.0
    chance = float(special.expit(epsilon))
    beyond = float(_at_least(np.array([correct]), guesses, chance)[0])
    if delta == 0:
        return min(1.0, beyond)
    # The mean grows as long as the probability that is added exceeds it, so it is largest with its lowest j not far below
    # the mode: the many still smaller j need no look.
    spread = float(np.sqrt(guesses * chance * (1 - chance)))
    lowest = min(correct - 1, max(0, int(guesses * chance - _REACH * spread) - _FEW))
    counts = np.arange(correct - 1, lowest - 1, -1)
    means = (_at_least(counts, guesses, chance) - beyond) / (correct - counts)
    return min(1.0, beyond + 2 * canaries * delta * float(means.max()))


def _at_least(counts: NDArray[np.int64], trials: int, chance: float) -> NDArray[np.float64]:
    """P[B ≥ count] for each count from 0 to `trials`, B of Binomial(trials, chance)."""
    positive = np.maximum(counts, 1)
    return np.where(counts > 0, special.betainc(positive, trials - positive + 1, chance), 1.0)

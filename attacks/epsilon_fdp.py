"""The ε of one training run from its whole trade-off curve: tighter than one (ε, δ), if the curve has the right shape.

A mechanism with trade-off function f bounds what can be guessed about the coins of n canaries in one run. Let p_i be the
probability of i right guesses out of c. Flip the coin of one canary that was guessed right in a run with j + 1 or more right
guesses: the same answer now guesses it wrong, and at least j are right. Averaged over canaries, with f̄ = 1 − f,

  Σ_{i>j} i·p_i / n  ≤  f̄( Σ_{i≥j} (c − i)·p_i / n )     for every j.

So a probability `error` of as many right guesses as were counted forces so much on fewer, and so on downwards; if all of it
must exceed 1, the mechanism does not have this f.

Source: Mahloujifar, Melis & Chaudhuri 2024, arXiv:2410.22235. Different on purpose: as many low scores are guessed
"non-member" as high ones "member", and the sums stop as soon as they exceed 1, after about √c steps instead of c.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import special

from .epsilon_bound import EpsilonBound
from .epsilon_gdp import gaussian_epsilon
from .epsilon_one_run import why_nothing
from .one_run_guesses import make_guesses

GAUSSIAN, APPROXIMATE = "gaussian", "approximate"
FAMILIES = (GAUSSIAN, APPROXIMATE)
# The answer is at most this far below the exact one: μ, and ε in nats.
_MU_PRECISION = 1e-8
_EPSILON_PRECISION = 1e-6
# No audit of any size that can be held refutes more; at an error that rounds to 1 everything would be.
_LARGEST = 64.0


def fdp_epsilon(
    values: NDArray[np.float64],
    truth: NDArray[np.bool_],
    delta: float,
    level: float,
    guesses: int | tuple[int, int] | None = None,
    seed: int = 0,
    *,
    family: str = GAUSSIAN,
) -> EpsilonBound:
    """The lower bound on ε from one training run whose members were dealt by fair coins, by trade-off functions.

    Args:
      values: float[n], n ≥ 2; higher = more member-like; made without looking at the truth.
      truth: bool[n], the coins.
      delta: of (ε, δ)-DP, in [0, 1).
      level: of the bound, in (0, 1).
      guesses, seed: see `make_guesses`. State them beforehand: the best of several is no bound.
      family: which trade-off functions are tried. "gaussian": those of μ-GDP, and the largest μ refuted is converted to ε
        at δ. It is a bound for mechanisms whose curve is Gaussian, such as one with many noisy steps, and for no others:
        randomised response exceeds it. "approximate": those of (ε, δ)-DP, a bound for every mechanism. At δ = 0, where no
        Gaussian mechanism has a finite ε, it is always the second.
    Returns:
      At least so much ε, in nats; 0.0 with a reason if nothing can be said. `details`: guesses, correct, canaries, and mu
      where the family is Gaussian.
    Raises:
      ValueError: on impossible `guesses` or an unknown family.
    Source: Mahloujifar, Melis & Chaudhuri 2024, arXiv:2410.22235.
    """
    if family not in FAMILIES:
        raise ValueError(f"family is {family!r}; give one of {', '.join(FAMILIES)}.")
    found = make_guesses(values, truth, guesses, seed)
    details: dict[str, float] = {"guesses": found.made, "correct": found.correct, "canaries": found.canaries}
    right = 0 if found.unfair is not None else found.correct
    if family == GAUSSIAN and delta > 0:
        mu = mu_of_guesses(right, found.made, found.canaries, level)
        value, details["mu"] = gaussian_epsilon(mu, delta), mu
        ceiling = gaussian_epsilon(mu_of_guesses(found.attainable, found.made, found.canaries, level), delta)
    else:
        value = approximate_epsilon_of_guesses(right, found.made, found.canaries, delta, level)
        ceiling = approximate_epsilon_of_guesses(found.attainable, found.made, found.canaries, delta, level)
    return EpsilonBound(
        value,
        method="fdp",
        delta=delta,
        level=level,
        ceiling=ceiling,
        reason=None if value > 0 else why_nothing(found, ceiling, level),
        details=details,
    )


def mu_of_guesses(correct: int, guesses: int, canaries: int, level: float) -> float:
    """The largest μ of Gaussian DP that so many right guesses refute, 0.0 if they refute none.

    Args:
      correct: right guesses, 0 to `guesses`.
      guesses: how many were made, a number fixed beforehand, 1 to `canaries`.
      canaries: records whose coins were unknown.
      level: in (0, 1).
    """

    def gaussian(mu: float) -> Callable[[float], float]:
        return lambda reached: float(special.ndtr(special.ndtri(reached) - mu))

    return _largest_refuted(gaussian, correct, guesses, canaries, 1 - level, _MU_PRECISION)


def approximate_epsilon_of_guesses(correct: int, guesses: int, canaries: int, delta: float, level: float) -> float:
    """The largest ε of (ε, δ)-DP that so many right guesses refute, 0.0 if they refute none; arguments as `mu_of_guesses`.

    With δ well above 0 and many canaries it can exceed `epsilon_of_guesses`: here δ is paid for a canary, there for all of
    them. At δ = 0 that one is the tight one.
    """

    def approximate(epsilon: float) -> Callable[[float], float]:
        shrink, grow = float(np.exp(-epsilon)), float(np.exp(epsilon))
        return lambda reached: max(0.0, shrink * (reached - delta), 1 - delta - grow * (1 - reached))

    return _largest_refuted(approximate, correct, guesses, canaries, 1 - level, _EPSILON_PRECISION)


def refuted(inverse: Callable[[float], float], correct: int, guesses: int, canaries: int, error: float) -> bool:
    """Whether so many right guesses, or more, have a probability below `error` under a trade-off function f.

    Args:
      inverse: of f̄ = 1 − f: the least probability under one coin of what has this probability under the other; rising.
      correct, guesses, canaries: see `mu_of_guesses`.
      error: in (0, 1).
    """
    # A probability `error`, all of it at `correct`, obliges the least on fewer. Sums over counts from i up: of the
    # probability that a canary is guessed right (right), that it is guessed wrong (wrong).
    right, wrong = error * correct / canaries, error * (guesses - correct) / canaries
    whole = guesses / canaries
    for count in range(correct - 1, -1, -1):
        least = inverse(right)
        if least <= wrong:
            return False  # nothing more is forced, here nor further down
        right, wrong = right + count / (guesses - count) * (least - wrong), least
        if right + wrong > whole:
            return True
    return False


def _largest_refuted(
    inverse_of: Callable[[float], Callable[[float], float]],
    correct: int,
    guesses: int,
    canaries: int,
    error: float,
    precision: float,
) -> float:
    """The largest parameter of a family that is refuted: every larger one allows whatever a smaller one allows."""

    def is_refuted(parameter: float) -> bool:
        return refuted(inverse_of(parameter), correct, guesses, canaries, error)

    if not is_refuted(0.0):
        return 0.0
    low, high = 0.0, 1.0
    while high < _LARGEST and is_refuted(high):
        low, high = high, 2 * high
    while high - low > precision:
        middle = (low + high) / 2
        low, high = (middle, high) if is_refuted(middle) else (low, middle)
    return low

"""How large the ε of a training must be, at least, given how well scores tell its members from non-members."""

from __future__ import annotations

from numpy.typing import ArrayLike

from .epsilon_bound import EpsilonBound, check_delta, check_method
from .epsilon_by_threshold import grid_epsilon, split_epsilon
from .epsilon_gdp import gdp_epsilon
from .estimate import LEVEL, check_level
from .roc import check_scores
from .several_guesses import SEVERAL, of_several_guesses

_GUESSING = ("one_run", "fdp")


def epsilon_lower_bound(
    scores: ArrayLike,
    is_member: ArrayLike,
    delta: float = 0.0,
    level: float = LEVEL,
    method: str = "split",
    seed: int = 0,
    *,
    guesses: int | tuple[int, int] | str | None = None,
) -> EpsilonBound:
    """A lower bound on the ε of (ε, δ)-DP, for neighbours that differ by one record being in or out.

    Which method fits depends on where the records come from; the bound's `assumes` says it in words.

    | method | a bound when | its strength |
    |---|---|---|
    | split | each record is a trial of its own, as of many trainings | one threshold, chosen on half of the records |
    | grid | as split | few thresholds, all records, no draw; further than split but for scores that take few values |
    | gdp | as split, and the mechanism is Gaussian-DP | as grid, the furthest at small δ; nothing at δ = 0 |
    | one_run | each record of one training was a member by a fair coin | many canaries in a single training |
    | fdp | as one_run, and at δ > 0 the mechanism is Gaussian-DP | as one_run, closer at small δ |

    Otherwise the number is an estimate. One method, δ and number of guesses are stated beforehand: the best of several is no
    bound at this level.

    Args:
      scores: float[n]; higher = more member-like; ±inf are ordinary extremes, NaN is refused.
      is_member: bool[n] (or 0 / 1), at least one of each.
      delta: in [0, 1).
      level: the probability, at least, with which the true ε is no smaller, in (0, 1).
      method: see the table.
      seed: of the halves of split, and of the order of equal scores in one_run and fdp.
      guesses: for one_run and fdp only: how many to guess on each side, one number or (members, non-members); None: a third
        of the records on each side; "several": the best of a third, a tenth and a thirtieth, which pays for the choice and is
        nearly always the better one (see `of_several_guesses`).
    Returns:
      The bound in nats, an `EpsilonBound`; 0.0 with a `reason` when nothing can be said.
    Raises:
      ValueError: on scores that cannot be judged, a δ, level or method out of range, or guesses that do not fit.
    Source: Jagielski, Ullman & Oprea 2020, arXiv:2006.07709 (split); Steinke, Nasr & Jagielski 2023, arXiv:2305.08846
      (one_run); Mahloujifar, Melis & Chaudhuri 2024, arXiv:2410.22235 (fdp); Dong, Roth & Su 2022, arXiv:1905.02383 (gdp).
    """
    check_delta(delta)
    check_level(level)
    check_method(method)
    if guesses is not None and method not in _GUESSING:
        raise ValueError(
            f"guesses is {guesses!r}, but the method {method!r} guesses by a threshold; leave guesses out, or choose one of "
            f"{', '.join(_GUESSING)}."
        )
    values, truth = check_scores(scores, is_member)
    delta, level = float(delta), float(level)
    if isinstance(guesses, str):
        if guesses != SEVERAL:
            raise ValueError(f"guesses is {guesses!r}; give {SEVERAL!r}, a number for each side, or None.")

        def one(share: float, count: int) -> EpsilonBound:
            return epsilon_lower_bound(values, truth, delta, share, method, seed, guesses=count)

        return of_several_guesses(one, len(values), level)
    if method == "split":
        return split_epsilon(values, truth, delta, level, seed)
    if method == "grid":
        return grid_epsilon(values, truth, delta, level)
    if method == "gdp":
        return gdp_epsilon(values, truth, delta, level)
    if method == "one_run":
        from .epsilon_one_run import one_run_epsilon

        return one_run_epsilon(values, truth, delta, level, guesses, seed)
    from .epsilon_fdp import fdp_epsilon

    return fdp_epsilon(values, truth, delta, level, guesses, seed)

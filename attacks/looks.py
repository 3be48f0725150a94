"""Looking at a training again and again without the error adding up."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from .epsilon import epsilon_lower_bound
from .epsilon_bound import EpsilonBound, check_delta, check_method
from .estimate import LEVEL, check_level
from .roc import check_scores


def error_at_look(look: int, alpha: float) -> float:
    """The error that the t-th look may spend, 6α/(π²t²): over all looks that ever come it sums to α.

    Args:
      look: t, 1 for the first.
      alpha: in (0, 1), the error of all looks together.
    Raises:
      ValueError: on a look before the first, or an alpha outside (0, 1).
    Source: the spending of α is Lan & DeMets 1983 in its simplest, dependence-free form.
    """
    if look < 1:
        raise ValueError(f"look is {look!r}; the first look is 1.")
    if not 0 < alpha < 1:
        raise ValueError(f"alpha is {alpha!r}; give the error allowed, between 0 and 1, such as 0.05.")
    return 6 * alpha / (math.pi * look) ** 2


class EpsilonOverLooks:
    """A lower bound on the ε of a whole training run, from the models of many of its epochs.

    Of the error α = 1 − level a share is kept for the last look, which is named before training, since most is learned by then;
    the t-th of the others errs with probability `error_at_look(t, (1 − share)·α)`. However the looks depend on each other, all
    bounds hold together with probability `level`, and the largest of them is a bound, too. What it bounds is the ε of
    releasing all these models, the same that an accountant states of a training whose every step is released; a
    training of which only the last model is released may have a smaller one.

    The scores of every look must be made without looking at the coins, those shown to earlier looks included.

    Args:
      delta: of (ε, δ)-DP, in [0, 1).
      level: of all looks together, in (0, 1).
      method: as in `epsilon_lower_bound`.
      guesses: how many to guess on each side, see `epsilon_lower_bound`; for "one_run" and "fdp".
      seed: as in `epsilon_lower_bound`.
      last_share: of the error, kept for the last look, in [0, 1]; 0 = there is none that is known to be the last.
    Raises:
      ValueError: on a delta, level, method or share that there is not; impossible guesses are refused at the first look.
    """

    def __init__(
        self,
        delta: float = 1e-5,
        level: float = LEVEL,
        method: str = "one_run",
        guesses: int | tuple[int, int] | str | None = None,
        seed: int = 0,
        last_share: float = 0.0,
    ) -> None:
        if not 0 <= last_share <= 1:
            raise ValueError(f"last_share is {last_share!r}; give a share of the error, from 0 to 1.")
        self._last_share, self._over = float(last_share), False
        self.delta, self.level = check_delta(delta), check_level(level)
        self.method, self.guesses, self.seed = check_method(method), guesses, seed
        self._bounds: list[EpsilonBound] = []
        self._numbers: list[int] = []

    @property
    def bounds(self) -> tuple[EpsilonBound, ...]:
        """What each look found, each at its own level."""
        return tuple(self._bounds)

    def look(
        self, scores: ArrayLike, is_member: ArrayLike, number: int | None = None, *, last: bool = False
    ) -> EpsilonBound:
        """One more look; one that is refused does not count.

        Args:
          scores: float[n]; higher = more member-like.
          is_member: bool[n], the coins; the same of every look if the records are.
          number: which look of the training this is, from 1, each number used once; None = one more than the largest so far. By
            the epoch, say, where a training that was interrupted goes on with looks that were forgotten.
          last: True for the look that was named the last before training, whatever was seen since. Once; its number counts for
            nothing but the order.
        Returns:
          The bound of this look alone, at the level that it may spend.
        Raises:
          ValueError: on scores that cannot be judged, what `epsilon_lower_bound` refuses, a number that is none or was used
            before, or a second last look.
        """
        values, truth = check_scores(scores, is_member)
        number = max(self._numbers, default=0) + 1 if number is None else self._fresh(number, last)
        level = 1 - self._error(number, last)
        found = epsilon_lower_bound(values, truth, self.delta, level, self.method, self.seed, guesses=self.guesses)
        self._bounds.append(found)
        self._numbers.append(number)
        self._over = self._over or last
        return found

    def _fresh(self, number: int, last: bool) -> int:
        if isinstance(number, bool) or not isinstance(number, (int, np.integer)) or number < 1:
            raise ValueError(f"number is {number!r}; give a whole number, 1 for the first look of the training.")
        if number in self._numbers and not last:
            raise ValueError(
                f"number is {number}, and there was a look {number} before: its share of the error is spent. Give another."
            )
        return int(number)

    def _error(self, number: int, last: bool) -> float:
        alpha = 1 - self.level
        if not last:
            left = (1 - self._last_share) * alpha
            return error_at_look(number, left) if left else 0.0
        if self._over or not self._last_share:
            why = "there was one before" if self._over else "no share of the error was kept for it"
            raise ValueError(f"this is called the last look, and {why}; give last=False.")
        return self._last_share * alpha

    @property
    def best(self) -> EpsilonBound:
        """The largest bound so far, at the level of all looks together; `details` adds its `look` and the number of `looks`.

        Its ceiling is the largest that any look so far could have shown.
        """
        if not self._bounds:
            reason = "no model has been looked at yet"
            return EpsilonBound(0.0, method=self.method, delta=self.delta, level=self.level, reason=reason)
        index = max(range(len(self._bounds)), key=lambda position: float(self._bounds[position]))
        found = self._bounds[index]
        ceilings = [bound.ceiling for bound in self._bounds if bound.ceiling is not None]
        return EpsilonBound(
            float(found),
            method=found.method,
            delta=self.delta,
            level=self.level,
            ceiling=max(ceilings, default=None),
            reason=found.reason,
            details={**found.details, "look": self._numbers[index], "looks": len(self._bounds)},
        )

"""A number that never travels without its uncertainty."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from . import plain_fields as plain

LEVEL = 0.95
_MOST_SIMULATIONS = 20_000
# Asking NumPy whether a number is an array takes longer than one quantile.
_MANY = (np.ndarray, list, tuple)


class Estimate(float):
    """A float with the interval it belongs to.

    It behaves as a float wherever one is expected: comparing, formatting, averaging, JSON.

    Attributes:
      low, high: the confidence interval; None where no honest one exists.
      level: the interval's confidence level, e.g. 0.95.
      null_level: what a leak-free audit of this size does not exceed with probability `level`;
        stands in for the interval where there is none (advantage, mutual information), else None.
      details: further figures that belong to the number, by name (e.g. `attained_fpr`).
    """

    low: float | None
    high: float | None
    level: float
    null_level: float | None
    details: Mapping[str, float]

    def __new__(
        cls,
        value: float,
        low: float | None = None,
        high: float | None = None,
        level: float = LEVEL,
        null_level: float | None = None,
        details: Mapping[str, float] | None = None,
    ) -> Estimate:
        self = super().__new__(cls, value)
        set_once = super(Estimate, self).__setattr__
        set_once("low", None if low is None else float(low))
        set_once("high", None if high is None else float(high))
        set_once("level", float(level))
        set_once("null_level", None if null_level is None else float(null_level))
        set_once("details", MappingProxyType(dict(details or {})))
        return self

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"an Estimate is read-only; cannot set {name!r}")

    def __reduce__(self) -> tuple[Any, ...]:
        return (
            Estimate,
            (float(self), self.low, self.high, self.level, self.null_level, dict(self.details)),
        )

    def __repr__(self) -> str:
        if self.low is not None and self.high is not None:
            return f"{float(self):.4g} [{self.low:.4g}, {self.high:.4g}]"
        if self.null_level is not None:
            return f"{float(self):.4g} (null level {self.null_level:.4g})"
        return f"{float(self):.4g}"

    __str__ = float.__repr__

    def to_dict(self) -> dict[str, Any]:
        """Plain numbers by name, for JSON; what is absent is left out."""
        named = {"value": float(self), "low": self.low, "high": self.high, "level": self.level}
        named |= {"null_level": self.null_level, **self.details}
        return {name: value for name, value in named.items() if value is not None}

    @classmethod
    def from_dict(cls, mapping: Mapping[str, Any]) -> Estimate:
        """The inverse of `to_dict`: whatever has a name of its own is a detail.

        Raises:
          ValueError: if value or level is missing, or something is no number.
        """
        held = plain.mapping(mapping, "estimate")
        given = ("value", "level", *({"low", "high", "null_level"} & set(held)))
        own = {name: plain.field(held, name, plain.number, "estimate") for name in given}
        details = {name: plain.field(held, name, plain.figure, "estimate") for name in held if name not in own}
        return cls(**own, details=details)


def mean_estimate(estimates: Sequence[Estimate | None]) -> Estimate | None:
    """The mean of several, with the means of their ends and null levels; None if one is None.

    Of their details counts (whole numbers) are summed, other figures averaged.
    """
    known = [estimate for estimate in estimates if estimate is not None]
    if len(known) < len(estimates):
        return None

    def mean(parts: list[Any]) -> float | None:
        return None if None in parts else float(np.mean(parts))

    details = {}
    for name in known[0].details:
        parts = [estimate.details[name] for estimate in known]
        details[name] = (
            sum(parts) if all(isinstance(part, (int, np.integer)) for part in parts) else float(np.mean(parts))
        )
    return Estimate(
        float(np.mean(known)),
        mean([estimate.low for estimate in known]),
        mean([estimate.high for estimate in known]),
        known[0].level,
        mean([estimate.null_level for estimate in known]),
        details,
    )


def normal_quantile(level: float) -> float:
    """The z of a two-sided normal interval: 1.96 for level 0.95."""
    return float(special.ndtri(0.5 + level / 2))


def clopper_pearson_low(successes: Any, trials: Any, error: Any) -> Any:
    """The exact one-sided lower bound of a proportion: it exceeds the truth with probability at most `error`.

    Args:
      successes, trials, error: numbers, or arrays that broadcast; 0 <= successes <= trials.
    Returns:
      A float, or float64 of the arrays' common shape.
    """
    if isinstance(successes, _MANY) or isinstance(trials, _MANY) or isinstance(error, _MANY):
        # The quantile does not exist without successes; asked for one it is any number, and not used.
        quantile = special.betaincinv(np.maximum(successes, 1), np.subtract(trials, successes) + 1, error)
        return np.where(np.equal(successes, 0), 0.0, quantile)
    return 0.0 if successes == 0 else float(special.betaincinv(successes, trials - successes + 1, error))


def clopper_pearson_high(successes: Any, trials: Any, error: Any) -> Any:
    """The exact one-sided upper bound of a proportion: it falls short of the truth with probability at most `error`.

    Args and Returns: as for `clopper_pearson_low`.
    """
    if isinstance(successes, _MANY) or isinstance(trials, _MANY) or isinstance(error, _MANY):
        failures = np.subtract(trials, successes)
        quantile = special.betaincinv(np.add(successes, 1), np.maximum(failures, 1), np.subtract(1, error))
        return np.where(failures == 0, 1.0, quantile)
    return 1.0 if successes == trials else float(special.betaincinv(successes + 1, trials - successes, 1 - error))


def order_quantile(simulated: NDArray[np.float64], level: float) -> float:
    """The simulated value that a further draw exceeds with probability at most 1 − level: rank ⌈level·(S + 1)⌉ of S."""
    rank = min(len(simulated), int(np.ceil(level * (len(simulated) + 1) - 1e-9)))
    return float(np.partition(simulated, rank - 1)[rank - 1])


def simulations_for(level: float, least: int) -> int:
    """How many simulations resolve `order_quantile` at this level: its promise holds for any number beyond 1 / (1 − level).

    At most 20,000: further out it is the largest of these, which a further draw exceeds once in 20,001.
    """
    return max(least, min(_MOST_SIMULATIONS, int(np.ceil(2 / (1 - level) - 1e-9))))


def check_level(level: float) -> float:
    """Returns `level` if it is a confidence level.

    Raises:
      ValueError: if it does not lie strictly between 0 and 1.
    """
    if not 0 < level < 1 or not np.isfinite(level):
        raise ValueError(f"level is {level!r}; give a confidence level between 0 and 1, such as 0.95.")
    return float(level)

"""An ε that a training was shown to exceed, and what must hold for that to be so."""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from . import plain_fields as plain

_FAIR_COINS = (
    "each record was a member by an independent fair coin, and scores were made without looking at those coins"
)
_TRIALS = "records' scores are independent trials, such as one record of each of many separately trained models"
_ASSUMES = {
    "split": _TRIALS,
    "grid": _TRIALS,
    "one_run": _FAIR_COINS,
    "fdp": _FAIR_COINS,
    "gdp": _TRIALS,
}
METHODS = tuple(_ASSUMES)


class EpsilonBound(float):
    """A lower bound of ε in nats, for neighbours that differ by one record being in or out.

    It behaves as a float wherever one is expected. 0.0 says that nothing was shown, never that nothing leaks.

    Args:
      value: the bound, at least 0 and finite.
      method: which formula, one of `METHODS`.
      delta: of the (ε, δ) that is bounded.
      level: the probability, at least, with which the true ε is no smaller, if what the bound `assumes` holds.
      ceiling: the largest value that an audit of this size could have shown, a perfect attacker's; None if not known.
      reason: why the bound is 0.0, a sentence; else None.
      details: further figures that belong to the number, by name (e.g. `true_positives`).
    Raises:
      ValueError: on a value below 0 or not finite, or a method that there is not.
    """

    method: str
    delta: float
    level: float
    ceiling: float | None
    reason: str | None
    details: Mapping[str, float]

    def __new__(
        cls,
        value: float,
        *,
        method: str,
        delta: float,
        level: float,
        ceiling: float | None = None,
        reason: str | None = None,
        details: Mapping[str, float] | None = None,
    ) -> EpsilonBound:
        check_method(method)
        self = super().__new__(cls, value)
        if not 0 <= float(self) < math.inf:
            raise ValueError(f"a bound of ε is {value!r}; give a finite number, 0 or more (0 = nothing was shown).")
        set_once = super(EpsilonBound, self).__setattr__
        set_once("method", method)
        set_once("delta", float(delta))
        set_once("level", float(level))
        set_once("ceiling", None if ceiling is None else float(ceiling))
        set_once("reason", reason)
        set_once("details", MappingProxyType(dict(details or {})))
        return self

    @property
    def assumes(self) -> str:
        """What must hold for the number to be a bound."""
        # A bound by way of μ says so in its details, whatever its method.
        gaussian = self.method == "gdp" or "mu" in self.details
        return _ASSUMES[self.method] + ("; and the mechanism is Gaussian-DP" if gaussian else "")

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"an EpsilonBound is read-only; cannot set {name!r}")

    def __reduce__(self) -> tuple[Any, ...]:
        return EpsilonBound.from_dict, (self.to_dict(),)

    def __repr__(self) -> str:
        return f"{float(self):.4g} (at least, {100 * self.level:g} %, {self.method}, delta {self.delta:g})"

    __str__ = float.__repr__

    def to_dict(self) -> dict[str, Any]:
        """Plain types that JSON can hold; a number that is not finite is a string, and what is absent is left out."""
        named = {"value": float(self), "method": self.method, "delta": self.delta, "level": self.level}
        named |= {"ceiling": self.ceiling, "reason": self.reason, "details": dict(self.details) or None}
        return plain.of({name: value for name, value in named.items() if value is not None})

    @classmethod
    def from_dict(cls, mapping: Mapping[str, Any]) -> EpsilonBound:
        """The inverse of `to_dict`.

        Raises:
          ValueError: if a field is missing or holds something else than it should.
        """
        held = plain.mapping(mapping, "ε bound")

        def read(name: str, kind: Any) -> Any:
            return plain.field(held, name, kind, "ε bound")

        return cls(
            read("value", plain.number),
            method=read("method", plain.text),
            delta=read("delta", plain.number),
            level=read("level", plain.number),
            ceiling=read("ceiling", plain.number) if "ceiling" in held else None,
            reason=read("reason", plain.text) if "reason" in held else None,
            details=read("details", _figures_by_name) if "details" in held else None,
        )


def check_method(method: str) -> str:
    """Returns `method` if there is such a one.

    Raises:
      ValueError: if not.
    """
    if method not in METHODS:
        raise ValueError(f"method is {method!r}; give one of {', '.join(METHODS)}.")
    return method


def check_delta(delta: float) -> float:
    """Returns `delta` if an (ε, δ) can have it.

    Raises:
      ValueError: if it does not lie in [0, 1).
    """
    if not 0 <= delta < 1:
        raise ValueError(f"delta is {delta!r}; give the δ of (ε, δ), 0 or more and below 1, such as 1e-5.")
    return float(delta)


def _figures_by_name(value: Any) -> dict[str, float]:
    """Numbers by name."""
    if not isinstance(value, Mapping):
        raise TypeError("numbers by name")
    return {name: plain.field(value, name, plain.figure, "details") for name in value}

"""The ε that a training claims, to be held against what an audit shows."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from numbers import Real
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .epsilon_bound import EpsilonBound

_LIBRARY = "dp_accounting"
# In nats; and the most cells of a privacy loss distribution between 0 and the ε that Rényi accounting gives.
_FINEST, _CELLS = 1e-4, 100_000


@dataclass(frozen=True)
class PrivacyClaim:
    """That a training is (ε, δ)-differentially private: its output tells little of whether any one record was in or out.

    Args:
      epsilon: in nats, at least 0, for neighbours that differ by one added or removed record.
      delta: in [0, 1).
      source: where the ε comes from: "stated", or the accountant that computed it. It is no part of what is claimed:
        claims that differ in it are equal.
    Raises:
      TypeError: if ε or δ is no number.
      ValueError: if one is out of range; an ε of infinity claims nothing.
    """

    epsilon: float
    delta: float = 1e-5
    source: str = field(default="stated", compare=False)

    def __post_init__(self) -> None:
        for name, value in (("epsilon", self.epsilon), ("delta", self.delta)):
            if not _is_number(value):
                raise TypeError(f"the claimed {name} is {value!r}; give a number.")
            object.__setattr__(self, name, float(value))
        if not 0 <= self.epsilon < math.inf:
            raise ValueError(
                f"the claimed epsilon is {self.epsilon!r}; give a finite number of at least 0, or no claim at all."
            )
        if not 0 <= self.delta < 1:
            raise ValueError(f"the claimed delta is {self.delta!r}; give a number from 0 to below 1, such as 1e-5.")

    def silence(self, delta: float) -> str | None:
        """Why a lower bound of ε at this δ says nothing about the claim; None if it may refute it.

        ε(δ) falls as δ grows. What is shown at a larger δ than the claimed one therefore holds at the claimed one, too. At a
        smaller δ more may be lost than is claimed, and the claim be true.

        Args:
          delta: of the lower bound.
        """
        if delta >= self.delta:
            return None
        return (
            f"a lower bound at δ {delta:g} says nothing about an ε that is claimed at the larger δ {self.delta:g}; "
            f"bound ε at δ {self.delta:g}, or claim one at δ {delta:g}."
        )

    def check(self, bound: EpsilonBound) -> str | None:
        """The alarm in words if a lower bound exceeds the claim; None if it does not.

        None is no proof of the claim: the attack may be weak, or the audit small (see `EpsilonBound.ceiling`), or the bound at
        a δ that says nothing about the claim (see `silence`).

        Args:
          bound: what an audit showed.
        """
        shown = float(bound)
        if not shown > self.epsilon or self.silence(bound.delta) is not None:
            return None
        at_least, claimed = _told_apart(shown, self.epsilon)
        at = "" if bound.delta == self.delta else f" at δ {self.delta:g}"
        by = "" if self.source == "stated" else f" ({self.source})"
        return (
            f"At least ε {at_least} was shown ({100 * bound.level:g} %, {bound.method}, δ {bound.delta:g}), more than the "
            f"claimed {claimed}{at}{by}: either the accounting or the implementation is wrong, or records were not drawn as the "
            "bound assumes."
        )


def as_privacy_claim(claimed: Any, delta: float) -> PrivacyClaim | None:
    """What is claimed, in whatever form it was given.

    Args:
      claimed: None, ε as a number, a `PrivacyClaim`, or an event of the package `dp_accounting`; of an event ε is computed at
        `delta`, by the Rényi accountant and that of privacy loss distributions. Both are upper bounds; the smaller is taken.
      delta: at which ε will be bounded from below, in [0, 1).
    Returns:
      The claim; None if there is none.
    Raises:
      TypeError: if it is none of these.
      ValueError: if it is out of range, if a bound at `delta` could say nothing about it, or if neither accountant gives a
        finite ε for the event.
    """
    if claimed is None:
        return None
    if isinstance(claimed, PrivacyClaim):
        claim = claimed
    elif _is_number(claimed):
        claim = PrivacyClaim(claimed, delta)
    elif _is_event(claimed):
        claim = _accounted(claimed, delta)
    else:
        raise TypeError(
            f"the claim is a {type(claimed).__module__}.{type(claimed).__qualname__}; give ε as a number, a PrivacyClaim, or "
            "an event of dp_accounting (an accountant's is accountant.ledger)."
        )
    unsaid = claim.silence(delta)
    if unsaid is not None:
        raise ValueError(f"the claim could never be refuted: {unsaid}")
    return claim


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _is_event(claimed: Any) -> bool:
    # The package is optional: without one of its classes at hand there is nothing to import it for.
    if all(ancestor.__module__.partition(".")[0] != _LIBRARY for ancestor in type(claimed).__mro__):
        return False
    import dp_accounting

    return isinstance(claimed, dp_accounting.DpEvent)


def _accounted(event: Any, delta: float) -> PrivacyClaim:
    """The claim that the better of two accountants makes for an event."""
    import dp_accounting
    from dp_accounting import pld, rdp

    relation = dp_accounting.NeighboringRelation.ADD_OR_REMOVE_ONE
    PrivacyClaim(0.0, delta)  # refuses a δ out of range, on which the accountants differ

    def epsilon_of(accountant: Any) -> float:
        return float(accountant.compose(event).get_epsilon(delta)) if accountant.supports(event) else math.nan

    renyi = epsilon_of(rdp.RdpAccountant(neighboring_relation=relation))
    # Any width of the cells keeps the distribution's ε an upper bound; a fixed one would need more memory the less private
    # the event is.
    width = max(_FINEST, renyi / _CELLS) if math.isfinite(renyi) else _FINEST
    losses = epsilon_of(pld.PLDAccountant(neighboring_relation=relation, value_discretization_interval=width))
    # The distribution's bound can be infinite at a very small δ, where Rényi's is not.
    found = [(renyi, "Rényi accountant"), (losses, "accountant of privacy loss distributions")]
    finite = [(epsilon, source) for epsilon, source in found if math.isfinite(epsilon)]
    if finite:
        epsilon, source = min(finite)
        return PrivacyClaim(epsilon, delta, source)
    if math.isnan(renyi) and math.isnan(losses):
        raise ValueError(
            f"no accountant of dp_accounting knows ε, for neighbours that differ by one record added or removed, of {event!r}; "
            "give ε as a number."
        )
    raise ValueError(f"ε is infinite at δ {delta:g} for {event!r}: it claims nothing. Give a δ above 0, or no claim.")


def _told_apart(larger: float, smaller: float) -> tuple[str, str]:
    """Both as text, with as many digits as it takes to see the difference."""
    for digits in range(3, 17):
        texts = tuple(f"{value:.{digits}g}" for value in (larger, smaller))
        if texts[0] != texts[1]:
            return _with_point(texts[0]), _with_point(texts[1])
    return repr(larger), repr(smaller)


def _with_point(text: str) -> str:
    return text if "." in text or "e" in text else f"{text}.0"

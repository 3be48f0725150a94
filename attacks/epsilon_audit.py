"""A training's ε, bounded from below look by look, beside the ε that it claims."""

from __future__ import annotations

import math
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from . import plain_fields as plain
from .attack import Attack, needs
from .epsilon import epsilon_lower_bound
from .epsilon_bound import EpsilonBound, check_delta
from .estimate import LEVEL, Estimate, check_level
from .one_run_guesses import check_guesses
from .privacy_claim import PrivacyClaim, as_privacy_claim
from .several_guesses import SEVERAL

# Those that hold for many canaries in one training run.
OF_ONE_RUN = ("one_run", "fdp")
BOUND, ESTIMATE = "epsilon_lower_bound", "epsilon_estimate"


@dataclass(frozen=True)
class EpsilonAudit:
    """How to bound the ε of a training while it runs.

    Args:
      delta: of the (ε, δ) that is bounded.
      level: the probability by which the bound holds, over all audits of a training together.
      method: see `epsilon_lower_bound`; `one_run` and `fdp` are bounds for records dealt by fair coins, whatever of them; with
        the others the number is an estimate here, since the records share one training.
      guesses: see `epsilon_lower_bound`.
      claimed: the ε that the training claims at `delta`: a number, a `PrivacyClaim`, or an event of `dp_accounting`.
      seed: for methods that halve the records.
    Raises:
      ValueError: on a level or δ out of range, a method that there is not, or a claim that is none.
    """

    delta: float = 1e-5
    level: float = LEVEL
    method: str = "one_run"
    guesses: int | tuple[int, int] | str | None = SEVERAL
    claimed: Any = None
    seed: int = 0

    def __post_init__(self) -> None:
        check_delta(self.delta)
        check_level(self.level)
        # Tried once, so that whatever does not fit is refused here.
        if self.guesses == SEVERAL and self.method not in OF_ONE_RUN:
            object.__setattr__(self, "guesses", None)  # nobody asked for guesses
        tried = None if self.guesses is None else SEVERAL if self.guesses == SEVERAL else 1
        if tried != SEVERAL:
            check_guesses(self.guesses, sys.maxsize)
        epsilon_lower_bound(
            [1.0, 0.0] * 8, [True, False] * 8, self.delta, self.level, self.method, self.seed, guesses=tried
        )
        object.__setattr__(self, "claimed", as_privacy_claim(self.claimed, self.delta))

    def doubt(self, attack: Attack, coin: float | None) -> str | None:
        """Why what this attack shows is an estimate and no bound; None if it is one.

        Args:
          attack: whose scores are read.
          coin: by which each record became a member; None = not by coins of their own. See `AuditSet.coin`.
        """
        if coin is None:
            return "membership was not dealt by coins (see randomised_membership)"
        if self.method not in OF_ONE_RUN:
            return f"the method {self.method!r} takes each record for a training of its own, and these share one"
        if coin != 0.5:
            return f"the coins came down «member» with probability {coin:g}, and this bound asks for fair ones"
        if self.method == "fdp" and self.delta > 0:
            return "the method 'fdp' is a bound for Gaussian mechanisms alone, and a training is none in general"
        wish = needs(attack)
        if wish.examples:
            return f"the attack {attack.name} learned from the coins of other records"
        if wish.relation is not None:
            return f"the attack {attack.name} asks about ranges, which hold other records, too"
        return None


@dataclass(frozen=True)
class EpsilonReading:
    """What the audits of a training so far say about its ε.

    Attributes:
      newest: of the newest audit alone, at the share of the error that is spent on it.
      best: the largest so far, at the level of all audits together.
      doubt: why this is an estimate; None if it is a bound.
      claim: the ε that training claims, or None.
      exposure: the mean exposure of the members among the non-members by rank, in bits; None where they were not dealt by
        coins. See `exposure_estimate`.
    """

    newest: EpsilonBound
    best: EpsilonBound
    doubt: str | None = None
    claim: PrivacyClaim | None = None
    exposure: Estimate | None = None

    @property
    def name(self) -> str:
        """`epsilon_lower_bound`, or `epsilon_estimate` where it is none."""
        return BOUND if self.doubt is None else ESTIMATE

    @property
    def estimate(self) -> Estimate:
        """The largest so far as a number with its one-sided interval."""
        return Estimate(self.best, self.best, math.inf, self.best.level)

    @property
    def alarm(self) -> str | None:
        """In words, that more was shown than is claimed; None if not, or if nothing is claimed.

        Of an estimate it accuses nobody.
        """
        found = None if self.claim is None else self.claim.check(self.best)
        if found is None or self.claim is None or self.doubt is None:
            return found
        return (
            f"ε is estimated as {self.best:.3g} ({self.best.method}, δ {self.best.delta:g}), above the claimed "
            f"{self.claim.epsilon:.3g}; that refutes nothing, since it is no bound: {self.doubt}."
        )

    def scalars(self) -> dict[str, float]:
        """Plain floats by name, as TensorBoard shows them."""
        claimed = {} if self.claim is None else {"epsilon_claimed": float(self.claim.epsilon)}
        found = {self.name: float(self.best)} | claimed
        if self.exposure is not None:
            found["exposure"] = float(self.exposure)
            ends = {"_low": self.exposure.low, "_high": self.exposure.high, "_null_level": self.exposure.null_level}
            found |= {f"exposure{part}": value for part, value in ends.items() if value is not None}
        return found

    def line(self) -> str:
        """A line of a report's table."""
        said = "at least" if self.doubt is None else "estimated"
        claimed = "" if self.claim is None else f"; claimed {self.claim.epsilon:.3g}"
        why = "" if self.doubt is None else f" (no bound: {self.doubt})"
        return f"{said} {self.best:.3g} at δ {self.best.delta:g}, {100 * self.best.level:g} %{claimed}{why}"

    def to_dict(self) -> dict[str, Any]:
        """Plain types that JSON can hold."""
        claim = None if self.claim is None else {"epsilon": self.claim.epsilon, "delta": self.claim.delta}
        return {
            "name": self.name,
            "newest": self.newest.to_dict(),
            "best": self.best.to_dict(),
            "doubt": self.doubt,
            "claim": claim,
            "exposure": None if self.exposure is None else self.exposure.to_dict(),
        }

    @classmethod
    def from_dict(cls, mapping: Mapping[str, Any]) -> EpsilonReading:
        """The inverse of `to_dict`.

        Raises:
          ValueError: if something is missing or of another kind.
        """
        held = plain.mapping(mapping, "epsilon")
        read = partial(plain.field, held, holder="epsilon")
        bound = EpsilonBound.from_dict
        return cls(
            read("newest", bound),
            read("best", bound),
            read("doubt", plain.or_none(plain.text)),
            read("claim", plain.or_none(_claim)),
            read("exposure", plain.or_none(Estimate.from_dict)),
        )


def _claim(value: Any) -> PrivacyClaim:
    held = plain.mapping(value, "claim")
    return PrivacyClaim(
        plain.field(held, "epsilon", plain.number, "claim"), plain.field(held, "delta", plain.number, "claim")
    )

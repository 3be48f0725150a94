"""What the limits of a configuration say of reports."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from privacy_callbacks.attacks.report import LeakageReport

DONE, EXCEEDED, REFUSED = 0, 1, 2
Say = Callable[[str], Any]


@dataclass(frozen=True)
class Verdict:
    """What limits say of reports.

    Attributes:
      exceeded: sentences, one a limit and attack.
      unjudged: sentences on limits of which it cannot be said.
    """

    exceeded: tuple[str, ...]
    unjudged: tuple[str, ...]

    @property
    def code(self) -> int:
        """The exit code."""
        return EXCEEDED if self.exceeded else REFUSED if self.unjudged else DONE


def judged(reports: Sequence[LeakageReport], limits: Mapping[str, float]) -> Verdict:
    """Does the lower end of any report's interval lie above a limit?

    A report of which it cannot be said (it failed, its metric was refused, or its records tell nothing) does not pass in silence.
    """
    exceeded, unjudged = [], []
    for name, limit in limits.items():
        for report in reports:
            estimate = report.estimates().get(name)
            if estimate is None or estimate.low is None or report.void or "p_value" in report.refusals:
                reason = (
                    report.void
                    or report.refusals.get(name)
                    or report.refusals.get("p_value")
                    or next(iter(report.warnings), "it has no interval")
                )
                unjudged.append(f"limit {name} <= {limit:g}: cannot be judged of {report.attack} ({reason})")
            elif estimate.low > limit:
                exceeded.append(
                    f"limit {name} <= {limit:g}: exceeded by {report.attack}, {float(estimate):.3f} [{estimate.low:.3f}, "
                    f"{estimate.high:.3f}]"
                )
    return Verdict(tuple(exceeded), tuple(unjudged))


def told(verdict: Verdict, say: Say) -> int:
    """The exit code, after all sentences were said."""
    for sentence in (*verdict.exceeded, *verdict.unjudged):
        say(sentence)
    return verdict.code

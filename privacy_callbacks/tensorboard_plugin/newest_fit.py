"""Which of the fits that wrote into one folder is shown: the one whose headline attack was audited last."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from .audited_runs import AttackLog, RunLog
from .kept_series import Listing, Series

_OF_A_HEADLINE = frozenset({"training", "records", "verdict"})


@dataclass(frozen=True)
class Fit:
    """What the newest fit left in a run's folder.

    Attributes:
      headline: its first attack; None if no audit can be read.
      attacks: those it audited, the headline first, then by name.
      earlier: attacks all of whose audits are older than the headline's first one.
      audits: by attack id and step.
      since: wall time of the headline's first audit; 0 where no attack says that it is the headline.
    """

    headline: AttackLog | None
    attacks: tuple[AttackLog, ...]
    earlier: tuple[str, ...]
    audits: Mapping[str, Mapping[int, dict[str, Any]]]
    since: float

    def beside(self, kind: str) -> Listing | None:
        """The series of a kind that this fit wrote beside its headline; none, if all of it is older than the fit."""
        if self.headline is None or kind not in self.headline.kinds or _written(self.headline, kind) < self.since:
            return None
        return self.headline.kinds[kind]


def newest_fit(run: RunLog, series: Mapping[Listing, Series], problems: list[str]) -> Fit:
    """The newest fit of a run.

    Args:
      run: whose folder.
      series: its audits among others; read before.
      problems: gets a sentence about audits that cannot be read.
    """
    audits = {log.id: _audits(log, series, problems) for log in run.attacks}
    logs = [log for log in run.attacks if audits[log.id]]
    headline = _headline(logs, audits)
    # Without a claim the first attack stands in, which another may well have preceded within one audit.
    claimed = headline is not None and _claims(audits[headline.id])
    since = series[headline.kinds["audit"]].since if headline is not None and claimed else 0.0
    own = [log for log in logs if _written(log, "audit") >= since]
    own.sort(key=lambda log: log is not headline)  # stable: the others stay sorted by name
    earlier = tuple(log.attack for log in logs if log not in own)
    return Fit(headline, tuple(own), earlier, audits, since)


def _headline(logs: Iterable[AttackLog], audits: Mapping[str, Mapping[int, Any]]) -> AttackLog | None:
    """The attack that last said it is; else the one beside which the training was logged; else the first."""

    def claim(log: AttackLog) -> tuple[bool, float, bool]:
        said = _claims(audits[log.id])
        return said, _written(log, "audit") if said else 0.0, bool(_OF_A_HEADLINE & set(log.kinds))

    return max(logs, key=claim, default=None)


def _claims(audits: Mapping[int, Mapping[str, Any]]) -> bool:
    """Whether the newest audit says that its attack is the headline."""
    return bool(audits[max(audits)]["headline"])


def _written(log: AttackLog, kind: str) -> float:
    """The wall time at which the newest piece of a kind was written; 0 if there is none."""
    listing = log.kinds.get(kind)
    return 0.0 if listing is None else float(listing.state[1] or 0.0)


def _audits(log: AttackLog, series: Mapping[Listing, Series], problems: list[str]) -> dict[int, dict[str, Any]]:
    listing = log.kinds.get("audit")
    return {} if listing is None or listing not in series else series[listing].payloads(problems, log.path)

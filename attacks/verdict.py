"""Is there a leak? One answer over many looks and several attacks, wrong with a stated probability."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from .looks import error_at_look
from .report import LeakageReport

_SLICES_NAMED = 3


@dataclass(frozen=True)
class LeakVerdict:
    """What all audits of one training together say.

    Attributes:
      detected: attack (with its slice, where that is not the whole) -> the step of the audit that first detected a leak by it
        (None for one at no epoch's end).
      looks: how many audits were judged; those that failed altogether are not counted.
      attacks: how many attacks the widest of them had.
      slices: on how many slices these were judged, too.
      alpha: the probability of a detection anywhere, if members and non-members are alike to every attack.
      void: why nothing can be said, or None.
    """

    detected: Mapping[str, int | None]
    looks: int
    attacks: int
    alpha: float
    void: str | None = None
    slices: int = 0

    def __bool__(self) -> bool:
        return bool(self.detected)

    @property
    def unjudged(self) -> str | None:
        """Why this is no verdict; None if it is one."""
        if self.void is None and not self.looks:
            return "no audit of trained weights has succeeded"
        return self.void

    def __str__(self) -> str:
        if self.unjudged is not None:
            return f"leak not judged: {self.unjudged}"
        within = (
            f"error {100 * self.alpha:g} % over {self.looks:,} audit{'s' * (self.looks != 1)} by {self.attacks} "
            f"attack{'s' * (self.attacks != 1)}{f' on all records and {self.slices} slices' if self.slices else ''}"
        )
        if not self.detected:
            return f"no leak detected ({within}); these attacks not finding one is no proof that there is none"
        since = {name: "" if step is None else f" from epoch {step + 1} on" for name, step in self.detected.items()}
        found = [name + moment for name, moment in since.items()]
        # Names of attacks hold no spaces; those found on slices are named `<attack> on <slice>`.
        whole = [sentence for name, sentence in zip(since, found, strict=True) if " " not in name]
        parts = [sentence for sentence in found if sentence not in whole]
        told = [*whole, *parts[:_SLICES_NAMED]]
        more = len(parts) - _SLICES_NAMED
        return f"leak detected: {', '.join(told)}{f', and {more:,} more on slices' if more > 0 else ''} ({within})"


def leak_verdict(reports: Iterable[LeakageReport], alpha: float = 0.05) -> LeakVerdict:
    """Judges the audits of one training, oldest first.

    The t-th audit may err with probability 6α/(π²t²), which sums to α however many there are, and Holm's procedure divides
    it among the attacks of that audit: whatever depends on what, the verdict "leak" comes about with probability α at most
    if members and non-members are exchangeable, that is, independent draws from one pool (records that come in groups are not).
    What an audit has detected stays detected.

    Args:
      reports: as in `MIACallback.reports`, or what `audit` returned. Those before training (step −1) are left out; one that
        failed counts among the attacks that could have alarmed. If one of them is void, so is the verdict.
      alpha: the error allowed, in (0, 1).
    Raises:
      ValueError: if alpha lies outside (0, 1).
    Source: Holm 1979; the spending of α is formulas of Lan & DeMets 1983 in their simplest, dependence-free form.
    """
    check_alpha(alpha)
    audits = _by_audit(report for report in reports if report.step != -1)
    audits = [audit for audit in audits if not all(report.failed for report in audit)]
    void = next((report.void for audit in audits for report in audit if report.void is not None), None)
    detected: dict[str, int | None] = {}
    for look, audit in enumerate(audits, start=1):
        p_values = [1.0 if report.p_value is None else report.p_value for report in audit]
        rejected = holm(p_values, error_at_look(look, alpha))
        for report, leaks in zip(audit, rejected, strict=True):
            if leaks and void is None:
                detected.setdefault(_name(report), report.step)
    widest = max(audits, key=len, default=[])
    attacks, slices = ({getattr(report, part) for report in widest} for part in ("attack", "slice"))
    return LeakVerdict(MappingProxyType(detected), len(audits), len(attacks), alpha, void, len(slices - {"entire"}))


def check_alpha(alpha: float) -> float:
    """Returns `alpha` if it is an error that can be allowed.

    Raises:
      ValueError: if it does not lie strictly between 0 and 1.
    """
    if not 0 < alpha < 1:
        raise ValueError(f"alpha is {alpha!r}; give the error allowed, between 0 and 1, such as 0.05.")
    return float(alpha)


def holm(p_values: Sequence[float], alpha: float) -> list[bool]:
    """Which hypotheses Holm's step-down procedure rejects, with probability `alpha` at most for any true one.

    Source: Holm 1979.
    """
    rejected = [False] * len(p_values)
    for rank, index in enumerate(np.argsort(p_values, kind="stable")):
        if p_values[index] > alpha / (len(p_values) - rank):
            break
        rejected[index] = True
    return rejected


def holm_p_values(p_values: Sequence[float]) -> list[float]:
    """Each p-value after Holm's correction: the smallest error at which `holm` rejects its hypothesis.

    Source: Holm 1979.
    """
    found, largest = [1.0] * len(p_values), 0.0
    for rank, index in enumerate(np.argsort(p_values, kind="stable")):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        found[index] = largest
    return found


def _by_audit(reports: Iterable[LeakageReport]) -> list[list[LeakageReport]]:
    """One list an audit: a new one begins with another step, or where an attack speaks again."""
    audits: list[list[LeakageReport]] = []
    for report in reports:
        again = audits and (audits[-1][0].step != report.step or _name(report) in map(_name, audits[-1]))
        if not audits or again:
            audits.append([])
        audits[-1].append(report)
    return audits


def _name(report: LeakageReport) -> str:
    return report.attack if report.slice == "entire" else f"{report.attack} on {report.slice}"

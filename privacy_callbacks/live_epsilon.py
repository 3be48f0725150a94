"""The ε of a training, bounded by the headline attack's scores after each audit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from privacy_callbacks.attacks.attack import Attack
from privacy_callbacks.attacks.audit_set import AuditSet
from privacy_callbacks.attacks.canary_exposure import exposure_estimate
from privacy_callbacks.attacks.epsilon_audit import BOUND, ESTIMATE, EpsilonAudit, EpsilonReading
from privacy_callbacks.attacks.looks import EpsilonOverLooks

from .auditing import Audit
from .course import BEFORE_TRAINING


class LiveEpsilon:
    """Reads the ε out of one audit after the other, by the first attack alone: the best of several would be no bound.

    Args:
      plan: how to bound it.
      headline: the attack that is read.
      audit_set: the records.
    Attributes:
      name: of the number, in logs and reports: `epsilon_lower_bound`, or `epsilon_estimate` where it is no bound.
      doubt: why it is none; else None.
    """

    def __init__(self, plan: EpsilonAudit, headline: Attack, audit_set: AuditSet) -> None:
        self.doubt = plan.doubt(headline, audit_set.coin)
        self.name = BOUND if self.doubt is None else ESTIMATE
        self._looks = EpsilonOverLooks(plan.delta, plan.level, plan.method, plan.guesses, plan.seed)
        self._claim, self._dealt = plan.claimed, audit_set.coin is not None
        self._is_member = audit_set.is_member

    def read(self, audit: Audit, look: int) -> Audit:
        """The audit with the ε in its first report; as it is, if that attack gave no scores or nothing was trained.

        Args:
          audit: of trained weights.
          look: which one of its training, from 1; each number is used once.
        """
        headline, *others = audit.reports
        scores = audit.scores.get(headline.attack)
        if scores is None or audit.step == BEFORE_TRAINING:
            return audit
        known = ~np.isnan(scores)
        try:
            newest = self._looks.look(scores[known], self._is_member[known], look)
        except ValueError as reason:
            return replace(audit, reports=(replace(headline, notes=(*headline.notes, f"no ε: {reason}")), *others))
        exposed = None
        if self._dealt:
            members = self._is_member[known]
            exposed = exposure_estimate(scores[known][members], scores[known][~members])
        reading = EpsilonReading(newest, self._looks.best, self.doubt, self._claim, exposed)
        told = replace(headline, epsilon=reading)
        if reading.alarm is not None and reading.doubt is None:
            told = replace(told, warnings=(*told.warnings, reading.alarm))
        elif reading.alarm is not None:
            told = replace(told, notes=(*told.notes, reading.alarm))
        return replace(audit, reports=(told, *others))


def epsilon_plan(given: EpsilonAudit | None, audit_set: AuditSet) -> EpsilonAudit | None:
    """The plan given; for records that were dealt by coins one there is anyway; else None."""
    return EpsilonAudit() if given is None and audit_set.coin is not None else given

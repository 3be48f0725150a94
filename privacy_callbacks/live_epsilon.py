"""The ε of a training, bounded by the headline attack's scores after each audit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from privacy_callbacks.attacks.attack import Attack
from privacy_callbacks.attacks.audit_set import AuditSet
from privacy_callbacks.attacks.canary_exposure import exposure_estimate
from privacy_callbacks.attacks.epsilon_audit import BOUND, ESTIMATE, EpsilonAudit, EpsilonReading
from privacy_callbacks.attacks.looks import EpsilonOverLooks
from privacy_callbacks.attacks.one_run_guesses import check_guesses
from privacy_callbacks.attacks.several_guesses import SEVERAL

from .audit_outcome import Audit
from .course import BEFORE_TRAINING

_KEPT_FOR_THE_LAST = 0.5


class LiveEpsilon:
    """Reads the ε out of one audit after the other, by the first attack alone: the best of several would be no bound.

    Args:
      plan: how to bound it.
      headline: the attack that is read.
      audit_set: the records.
      doubt: a further reason why the number is no bound, if there is one.
      only: True if there will be one audit, which may spend all of the error.
      last_step: the epoch that training is to end with, for whose audit half of the error is kept: named before, since an end
        that depends on what was seen would be no chance. None = not known.
    Attributes:
      name: of the number, in logs and reports: `epsilon_lower_bound`, or `epsilon_estimate` where it is no bound.
      doubt: why it is none; else None.
    Raises:
      ValueError: if more guesses are asked for than there are records.
    """

    def __init__(
        self,
        plan: EpsilonAudit,
        headline: Attack,
        audit_set: AuditSet,
        doubt: str | None = None,
        *,
        only: bool = False,
        last_step: int | None = None,
    ) -> None:
        if plan.guesses is not None and plan.guesses != SEVERAL:
            check_guesses(plan.guesses, len(audit_set.is_member))
        self.doubt = plan.doubt(headline, audit_set.coin) or doubt
        self.name = BOUND if self.doubt is None else ESTIMATE
        share = 1.0 if only else 0.0 if last_step is None else _KEPT_FOR_THE_LAST
        self._looks = EpsilonOverLooks(plan.delta, plan.level, plan.method, plan.guesses, plan.seed, share)
        self._last_step, self._only = last_step, only
        self._reading: EpsilonReading | None = None
        self._claim, self._dealt = plan.claimed, audit_set.coin is not None
        # As they were dealt, not members first: nothing that breaks ties may know the coins.
        self._order = np.arange(len(audit_set.is_member)) if audit_set.coin is None else np.argsort(audit_set.ids)
        self._is_member = audit_set.is_member[self._order]

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
        scores = scores[self._order]
        known = ~np.isnan(scores)
        try:
            newest = self._looks.look(scores[known], self._is_member[known], look, last=self._is_last(audit.step))
        except ValueError as reason:
            return replace(audit, reports=(replace(headline, notes=(*headline.notes, f"no ε: {reason}")), *others))
        exposed = None
        if self._dealt:
            members = self._is_member[known]
            exposed = exposure_estimate(scores[known][members], scores[known][~members])
        self._reading = EpsilonReading(newest, self._looks.best, self.doubt, self._claim, exposed)
        return self.recall(audit)

    def _is_last(self, step: int | None) -> bool:
        """Once: of two audits of the last epoch the first."""
        last = self._only or (step is not None and step == self._last_step)
        if last:
            self._only, self._last_step = False, None
        return last

    def recall(self, audit: Audit) -> Audit:
        """The audit with what was read last: it speaks of the training, whatever weights are held now. Spends no error."""
        reading = self._reading
        if reading is None:
            return audit
        headline, *others = audit.reports
        told = replace(headline, epsilon=reading)
        if reading.alarm is not None and reading.doubt is None:
            told = replace(told, warnings=(*told.warnings, reading.alarm))
        elif reading.alarm is not None:
            told = replace(told, notes=(*told.notes, reading.alarm))
        return replace(audit, reports=(told, *others))


def epsilon_plan(given: EpsilonAudit | None, audit_set: AuditSet | None) -> EpsilonAudit | None:
    """The plan given; for records that were dealt by coins one there is anyway; else None.

    Raises:
      TypeError: if it is no plan.
    """
    if given is not None and not isinstance(given, EpsilonAudit):
        raise TypeError(f"epsilon is {given!r}; give EpsilonAudit(delta=1e-5, claimed=...), or None.")
    dealt = audit_set is not None and audit_set.coin is not None
    return EpsilonAudit() if given is None and dealt else given

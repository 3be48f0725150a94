"""What the audits of one fit have found so far."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from privacy_callbacks.attacks.report import LeakageReport

from .audit_outcome import Audit

BEFORE_TRAINING = -1
_OFTEN = 20


class Course:
    """The audits of one fit, oldest first.

    Attributes:
      reports: one an audit and attack. Curves are kept for the headline, and for the others of the newest audit.
      last: the newest audit; None before the first.
      losses: float32[n] an audited epoch.
      headline: the first attack's scores, likewise; NaN where it failed.
    """

    def __init__(self) -> None:
        self.reports: list[LeakageReport] = []
        self.last: Audit | None = None
        self.losses: list[NDArray[Any]] = []
        self.headline: list[NDArray[Any]] = []
        self._steps: list[int] = []
        self._glimpse: Audit | None = None
        self._epoch_of_weights: dict[str, int] = {}

    def keep(self, audit: Audit, *, in_course: bool = True) -> None:
        """Adds an audit; `in_course` = False for a further one of an epoch whose losses are known."""
        if self.last is not None:
            headline, *others = self.last.reports
            self.reports[-len(self.last.reports) :] = [headline, *(replace(report, roc=None) for report in others)]
        self.last = audit
        self.reports.extend(audit.reports)
        if audit.step is None or audit.step == BEFORE_TRAINING:
            return
        if in_course:
            self._epoch_of_weights[audit.fingerprint] = audit.step
            if audit.loss is not None:
                self._steps.append(audit.step)
                self.losses.append(audit.loss.astype(np.float32))
                # Of one attack alone: another's scores have another scale and meaning.
                first = audit.scores.get(audit.reports[0].attack, np.full(audit.loss.shape, np.nan))
                self.headline.append(first.astype(np.float32))

    @property
    def is_milestone(self) -> bool:
        """True at the first twenty audits, then at every second, third, …: ranking all of them at each would cost ever more."""
        audits = len(self.losses)
        return audits % max(1, -(-audits // _OFTEN)) == 0

    def before(self, step: int | None) -> list[NDArray[Any]]:
        """The losses at the epochs audited before this one; at all of them for no epoch's end."""
        return [loss for at, loss in zip(self._steps, self.losses, strict=True) if step is None or at < step]

    def glimpse(self, audit: Audit) -> Audit:
        """Remembers, until the next, an audit at another moment than an epoch's end. It is nobody's: it joins no list."""
        self._glimpse = audit
        return audit

    def known(self, weights: str) -> Audit | None:
        """The newest audit, or the newest glimpse, if it speaks of the weights with this fingerprint."""
        for audit in (self.last, self._glimpse):
            if audit is not None and audit.fingerprint == weights:
                return audit
        return None

    def epoch_of(self, weights: str) -> int | None:
        """The audited epoch at whose end the model held the weights with this fingerprint."""
        return self._epoch_of_weights.get(weights)

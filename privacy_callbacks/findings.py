"""What a user asks of a callback, during a fit and after it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from privacy_callbacks.attacks.audit_payload import rounded
from privacy_callbacks.attacks.audit_set import AuditSet
from privacy_callbacks.attacks.blind import BlindBaseline
from privacy_callbacks.attacks.information_of_signals import information_view
from privacy_callbacks.attacks.information_table import InformationView
from privacy_callbacks.attacks.report import LeakageReport
from privacy_callbacks.attacks.report_markdown import reports_to_markdown
from privacy_callbacks.attacks.report_page import reports_to_html
from privacy_callbacks.attacks.shadow_signals import ShadowSignals
from privacy_callbacks.attacks.verdict import LeakVerdict, leak_verdict

from .audit_outcome import Audit
from .auditing import Auditor, ShadowAnswers
from .course import Course
from .experiment import owners
from .live_epsilon import LiveEpsilon
from .lockstep import Lockstep
from .records_at_risk import records_table
from .weight_fingerprint import fingerprint

if TYPE_CHECKING:
    import pandas as pd

HELD_NOW = "audited on the weights the model holds now, which are not those of an audited epoch's end."


class Findings:
    """The questions that `MIACallback` answers; it brings the attributes."""

    model: Any
    audit_set: AuditSet | None
    _auditor: Auditor | None
    _lockstep: Lockstep | None
    _live_epsilon: LiveEpsilon | None
    _course: Course
    _history: Any
    _alpha: float
    _seed: int
    _strict: bool

    def _without_leakage(self, logs: Mapping[str, Any]) -> dict[str, Any]:
        raise NotImplementedError

    @property
    def reports(self) -> list[LeakageReport]:
        """One an audit, attack and slice, oldest first; see the class."""
        return self._course.reports

    @property
    def report(self) -> LeakageReport:
        """The headline attack on the weights that the model holds now.

        Weights may change after the last epoch (an averaging optimizer, `EarlyStopping(restore_best_weights=True)`, which
        restores after this callback has written its last word to TensorBoard): then the model is audited afresh, and the
        report says so in its notes; it does not join `reports`.

        Raises:
          RuntimeError: before the first fit.
        """
        return self._newest().reports[0]

    @property
    def shadow_signals(self) -> Mapping[int, ShadowSignals]:
        """What the shadow models answered, by audited epoch (−1 = before training); empty without shadow models.

        All are kept: 4 bytes a shadow model, record, query and signal for each audited epoch.

        With attacks that ask several kinds of queries, those of the first such attack.
        """
        answers = {} if self._lockstep is None else self._lockstep.answers
        return {step: next(iter(several.values())) for step, several in answers.items() if several}

    @property
    def verdict(self) -> LeakVerdict:
        """Has a leak been detected, from which epoch on, by which attack? Wrong with probability `alpha` over the whole fit.

        Every audited epoch is a further look, and every attack a further chance to be wrong: see `leak_verdict`. It says
        nothing (`void`) where the sides differ without any training.
        """
        return leak_verdict(self.reports, self._alpha)

    @property
    def blind_baseline(self) -> BlindBaseline | None:
        """What a classifier without any model tells; None before the first fit, if not wanted, or with too few records."""
        return None if self._auditor is None else self._auditor.experiment.blind_baseline

    def records(self) -> pd.DataFrame:
        """The audited records as a table: members first, most at risk on top, then non-members.

        Columns: `id`, `is_member`, `label` (where it is one number), one a successful attack with its score (higher = more
        member-like) on the weights that the model holds now, `member_probability` (by the first successful attack, at prior ½;
        see `membership_probabilities`), `loss_iqr` (the interquartile range of the record's loss over the audited epochs),
        `risk_rank` (1 = the member most at risk; <NA> for non-members) and `risk_stability` (the share of audits at which the
        member stood among the tenth most at risk). For classifiers the rank follows `loss_iqr` from four audited epochs on,
        which finds the records that had to be memorised; otherwise, and for regressions, where `loss_iqr` mostly measures
        the size of the target, the first successful attack's score.

        Raises:
          RuntimeError: before the first fit, or if the newest audit failed.
        """
        return self._ranked().reset_index(drop=True)

    def _ranked(self) -> pd.DataFrame:
        """`records`, its index the records' rows in the audit set."""
        newest = self._newest()
        if not newest.scores:
            raise RuntimeError(f"the newest audit gave no scores: {newest.reports[0].warnings[0]}")
        assert self._auditor is not None
        assert self.audit_set is not None
        course = self._course
        return records_table(self.audit_set, self._auditor, newest.scores, course.losses, course.headline, self._seed)

    def information(self) -> InformationView:
        """How much each signal that the attacks read, and all together, tell about membership; see `information_view`.

        Of the weights that the model holds now; `print` shows it as a table.

        Raises:
          RuntimeError: before the first fit, or if the newest audit failed.
        """
        newest = self._newest()
        if newest.signals is None:
            raise RuntimeError(f"the newest audit gave no signals: {newest.reports[0].warnings[0]}")
        assert self.audit_set is not None
        return information_view(
            newest.signals, self.audit_set.is_member, seed=self._seed, groups=owners(self.audit_set)
        )

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Writes what this fit's audits found as one HTML file, with the views of TensorBoard's Privacy tab.

        It opens offline, loads nothing and has no table of records at risk; warnings name records by their position, never by id.
        Curves and histograms are there where `reports` holds curves: for the headline attack over the course, for the others of
        the newest audit.

        Raises:
          ValueError: before the first audit.
          OSError: if the file cannot be written.
        """
        reports_to_html(self.reports, path, verdict=self.verdict, training=self._epoch_logs())

    def to_markdown(self) -> str:
        """The newest audit as a section for a model card, in Markdown.

        Raises:
          ValueError: before the first audit.
        """
        return reports_to_markdown(self.reports, verdict=self.verdict)

    def _epoch_logs(self) -> dict[str, Any] | None:
        """Keras' own course of this fit, for a page; None where hooks were driven by hand."""
        history = self._history
        if history is None or not getattr(history, "epoch", None):
            return None
        others = {name: np.asarray(course) for name, course in self._without_leakage(history.history).items()}
        values = {
            name: rounded(course.astype(float).tolist())
            for name, course in others.items()
            # Not those of epochs that cannot be told any more, as with validation_freq=2.
            if course.dtype.kind in "fiu" and course.shape == (len(history.epoch),)
        }
        return {"steps": [int(epoch) for epoch in history.epoch], "values": values}

    def _newest(self) -> Audit:
        """The newest audit, if it speaks of the weights of this moment; else a fresh one."""
        if self._auditor is None:
            raise RuntimeError("there is no report yet; pass the callback to model.fit first.")
        weights = fingerprint(self.model)
        known = self._course.known(weights)
        if known is not None:
            return known
        # The weights of an audited epoch, restored, are compared with the shadow models of that epoch.
        epoch = self._course.epoch_of(weights)
        note = HELD_NOW if epoch is None else f"the model holds the weights of epoch {epoch + 1} again."
        shadows: ShadowAnswers | Exception | None = None
        remark: tuple[str, ...] = ()
        if self._lockstep is not None:
            shadows, remark = self._lockstep.known_at(epoch)
        course = self._course.before(epoch)
        found = self._auditor.run(epoch, strict=self._strict, notes=(note, *remark), shadows=shadows, course=course)
        return self._course.glimpse(found if self._live_epsilon is None else self._live_epsilon.recall(found))

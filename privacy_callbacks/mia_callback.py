"""The one object a Keras user adds: it decides when to audit and where the numbers go."""

from __future__ import annotations

import contextlib
import inspect
import os
import warnings
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import keras
import numpy as np

from privacy_callbacks.attacks.attack import Attack, named_attacks
from privacy_callbacks.attacks.audit_set import AuditSet
from privacy_callbacks.attacks.audit_warning import AuditWarning
from privacy_callbacks.attacks.estimate import Estimate
from privacy_callbacks.attacks.report import LeakageReport, low_fpr_name
from privacy_callbacks.attacks.threshold import check_name

from .auditing import HEADLINE_FPR, Audit, Auditor, audit_set_for, fingerprint, null_check
from .published import publish
from .records_at_risk import records_table
from .tensorboard_log import TensorBoardLog, check_log_dir

if TYPE_CHECKING:
    import pandas as pd

_HEADLINE_METRICS = ("auc", "advantage", "youden_j", low_fpr_name(HEADLINE_FPR))
BEFORE_TRAINING = -1


class MIACallback(keras.callbacks.Callback):
    """Shows, while `fit` runs, how well an attacker tells training records from others.

    It only watches: a fit with it ends with bit-identical weights to the fit without it.

    Place it before callbacks that read its log keys (`EarlyStopping`, `ModelCheckpoint`, `CSVLogger`, `LeakageLimit`,
    `PrivateCheckpoint`). It writes into the epoch logs `mia_auc`, `mia_advantage`, `mia_youden_j`, `mia_tpr_at_fpr_1e-2`
    of the first attack and `mia_<attack>_auc` of the others; NaN where a number was refused, failed or is not there yet,
    and the last one carried forward on epochs without an audit.

    ```python
    mia = MIACallback((x_train, y_train), (x_test, y_test), log_dir="logs/run1")
    model.fit(x_train, y_train, epochs=20, callbacks=[mia, keras.callbacks.TensorBoard("logs/run1")])
    print(mia.report.summary())
    ```

    Args:
      members: the records that fit trains on: (x, y) arrays, a `tf.data.Dataset` or a `keras.utils.PyDataset`; or one
        `AuditSet` that holds both sides.
      nonmembers: records of the same distribution that fit never sees, in any of these forms.
      attacks: instances of attacks, the headline first; default: a threshold on each signal that fits the model's head,
        the loss first.
      population: records that no model trains on, for attacks that need some; default: a third of the non-members, set
        aside and never judged, if an attack needs it.
      audit_size: the most records to audit on each side, drawn once.
      every: audit after each k-th epoch; or "train_end" for one audit after training.
      log_dir: for TensorBoard; the same directory that `keras.callbacks.TensorBoard` gets. None = none.
      name: the prefix of log keys and tags; give two callbacks in one fit two names.
      seed: decides sample, halves and permutations.
      on_error: what an audit that fails during training does: "warn" marks its reports and lets training go on, "raise"
        ends it.
      loss: a loss to audit by instead of the compiled one.
      batch_size: records in one forward pass; default: about a thousand, fewer where memory asks for it.
    Attributes:
      reports: one `LeakageReport` per audit and attack, oldest first; those of step −1 describe the untrained model.
      audit_set: the records audited; None before the first fit.
    Raises:
      TypeError, ValueError: here on arguments out of range; at the start of training on records, labels, model and
        `log_dir` that cannot be audited, before anything is trained or written.
    """

    def __init__(
        self,
        members: Any,
        nonmembers: Any = None,
        *,
        attacks: Sequence[Attack] | Attack | None = None,
        population: Any = None,
        audit_size: int = 2_000,
        every: int | str = 1,
        log_dir: str | os.PathLike[str] | None = None,
        name: str = "mia",
        seed: int = 0,
        on_error: str = "warn",
        loss: Any = None,
        batch_size: int | None = None,
    ) -> None:
        super().__init__()
        if every != "train_end" and (isinstance(every, (bool, str)) or every < 1):
            raise ValueError(f"every is {every!r}; give a number of epochs, at least 1, or 'train_end'.")
        if on_error not in ("warn", "raise"):
            raise ValueError(f"on_error is {on_error!r}; give 'warn' or 'raise'.")
        self.name = check_name(name)
        if attacks is not None:
            attacks = list(named_attacks(attacks).values())
        self.audit_set: AuditSet | None = None
        if isinstance(members, AuditSet):
            self.audit_set = audit_set_for(members, nonmembers, attacks, population, audit_size, seed)
        self.reports: list[LeakageReport] = []
        self._sides = members, nonmembers
        self._attacks, self._population, self._audit_size = attacks, population, audit_size
        self._every, self._log_dir, self._seed, self._strict = every, log_dir, seed, on_error == "raise"
        self._loss, self._batch_size = loss, batch_size
        self._auditor: Auditor | None = None
        self._log: TensorBoardLog | None = None
        self._forget()

    def _forget(self) -> None:
        self.reports = []
        self._last: Audit | None = None
        self._losses: list[Any] = []
        self._epoch: int | None = None
        self._log_values: dict[str, float] = {}
        self._known_to_fail: set[str] = set()

    # Keras' hooks: when.

    def on_train_begin(self, logs: Any = None) -> None:
        self._forget()
        if self._log_dir is not None:
            check_log_dir(os.fspath(self._log_dir))
        if self.audit_set is None:
            sides = (*self._sides, self._attacks, self._population, self._audit_size, self._seed)
            self.audit_set = audit_set_for(*sides)
        self._auditor = Auditor(self.model, self.audit_set, self._attacks, self._loss, self._batch_size, self._seed)
        self._log = None if self._log_dir is None else TensorBoardLog(os.fspath(self._log_dir), self.name)
        for sentence in [*self._auditor.warnings, *self._looks_like_a_subset(), *self._readers_placed_too_early()]:
            self._warn(sentence)
        if self._every != "train_end":
            self._log_values = dict.fromkeys(self._log_keys(), float("nan"))

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if self._epoch is None and epoch == 0:
            with self._training_goes_on():
                self._audit_before_training()
        self._epoch = epoch

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._epoch = epoch
        if self._every != "train_end" and (epoch + 1) % int(self._every) == 0:
            with self._training_goes_on():
                self._audit(epoch)
        if logs is not None:
            logs.update(self._log_values)

    def on_train_end(self, logs: Any = None) -> None:
        with self._training_goes_on():
            if self._epoch is not None and self._is_stale():
                self._audit(self._epoch)
            if self._log is not None and self._last is not None:
                self._log.text(self._last.reports[0], "after_training", self._epoch or 0)
        if self._log is not None:
            self._log.close()

    # What the user asks afterwards.

    @property
    def report(self) -> LeakageReport:
        """The headline attack on the weights that the model holds now.

        Weights may change after the last epoch (an averaging optimizer, `EarlyStopping(restore_best_weights=True)`): then
        the model is audited afresh.

        Raises:
          RuntimeError: before the first fit.
        """
        if self._auditor is None:
            raise RuntimeError("there is no report yet; pass the callback to model.fit first.")
        if self._is_stale():
            self._keep(self._auditor.run(self._epoch, strict=self._strict))
        assert self._last is not None
        return self._last.reports[0]

    def records(self) -> pd.DataFrame:
        """The audited records, members most at risk first; see `records_table` for the columns.

        Raises:
          RuntimeError: before the first audit that gave scores.
        """
        if self._auditor is None or self.audit_set is None or self._last is None or not self._last.scores:
            raise RuntimeError("there are no scores yet; fit the model with this callback first.")
        return records_table(self.audit_set, self._auditor.labels, self._last.scores, self._losses)

    # What one audit leads to.

    def _audit(self, epoch: int) -> None:
        assert self._auditor is not None
        already_logged = self._last is not None and self._last.step == epoch
        audit = self._auditor.run(epoch, strict=self._strict)
        self._keep(audit)
        headline = audit.reports[0]
        found = {metric: headline.estimates()[metric] for metric in _HEADLINE_METRICS}
        found |= {f"{report.attack}_auc": report.auc for report in audit.reports[1:]}
        estimates = {f"{self.name}_{key}": estimate for key, estimate in found.items()}
        if self._log_values:
            self._log_values = {key: _plain(estimate) for key, estimate in estimates.items()}
            publish(self.model, estimates)
        self._warn_of_failures(audit)
        if self._log is not None and not already_logged:
            for report in audit.reports:
                self._log.scalars(report, epoch)
            self._log.flush()

    def _audit_before_training(self) -> None:
        assert self._auditor is not None
        audit = self._auditor.run(BEFORE_TRAINING, strict=self._strict)
        # A model that has been fitted before may well know its members; there is no null to check then.
        untrained = self.model.optimizer is None or int(self.model.optimizer.iterations) == 0
        alarm = null_check(audit.reports) if untrained else None
        if alarm is not None:
            self._warn(alarm)
            self._auditor.warnings.append(alarm)
            audit = self._auditor.run(BEFORE_TRAINING, strict=self._strict)
        self._keep(audit)
        if self._log is not None:
            self._log.text(audit.reports[0], "before_training", 0)
            self._log.flush()

    def _keep(self, audit: Audit) -> None:
        self._last = audit
        self.reports.extend(audit.reports)
        if audit.loss is not None:
            self._losses.append(audit.loss.astype(np.float32))

    def _is_stale(self) -> bool:
        return self._last is None or self._last.fingerprint != fingerprint(self.model)

    def _log_keys(self) -> list[str]:
        assert self._auditor is not None
        others = list(self._auditor.attacks)[1:]
        return [f"{self.name}_{key}" for key in (*_HEADLINE_METRICS, *(f"{attack}_auc" for attack in others))]

    # Manners.

    @contextlib.contextmanager
    def _training_goes_on(self) -> Iterator[None]:
        """A failing audit never ends a training run, unless the user asked for that."""
        try:
            yield
        except Exception as error:
            if self._strict:
                raise
            self._warn(f"auditing failed ({type(error).__name__}: {error}); training goes on.")

    def _warn(self, sentence: str) -> None:
        warnings.warn(f"{type(self).__name__} {self.name!r}: {sentence}", AuditWarning, stacklevel=3)

    def _warn_of_failures(self, audit: Audit) -> None:
        """Once an attack and fit; the marked reports tell the rest."""
        failed = [report for report in audit.reports if report.failed and report.attack not in self._known_to_fail]
        for reason in dict.fromkeys(report.warnings[0] for report in failed):
            names = [report.attack for report in failed if report.warnings[0] == reason]
            self._warn(f"after epoch {audit.step}, {', '.join(names)}: {reason}")
        self._known_to_fail.update(report.attack for report in failed)

    def _looks_like_a_subset(self) -> list[str]:
        """A callback sees the number of steps but no batch size: is there one that makes a pass over `members`?"""
        assert self.audit_set is not None
        steps, records = (self.params or {}).get("steps"), self.audit_set.available[0]
        # With a remainder batch kept, ⌈records / batch⌉ = steps; with it dropped, ⌊records / batch⌋ = steps.
        if not steps or steps == 1 or records // (steps + 1) < -(-records // (steps - 1)) - 1:
            return []
        return [
            f"an epoch of fit has {steps:,} steps, which no batch size makes of the {records:,} records in members: if fit "
            "sees more records than these, the numbers speak of these alone (fine for a random sample); if it sees "
            "others, they are wrong."
        ]

    def _readers_placed_too_early(self) -> list[str]:
        found = []
        for callback in _callbacks_before(self):
            monitored = str(getattr(callback, "monitor", "")), str(getattr(callback, "filepath", ""))
            if monitored[0] in self._log_keys() or any(f"{{{key}" in monitored[1] for key in self._log_keys()):
                found.append(
                    f"{type(callback).__name__} reads a key that this callback writes but stands before it in the list; "
                    "place it after."
                )
        return found


def _callbacks_before(callback: Any) -> list[Any]:
    """The callbacks that stand before this one in the fit that is being set up; empty if hooks are driven by hand."""
    # A callback is told neither the list it stands in nor its neighbours; the list is the caller of the hook.
    frame = inspect.currentframe()
    while frame is not None:
        owner = frame.f_locals.get("self")
        if isinstance(owner, keras.callbacks.CallbackList):
            before = list(owner.callbacks)
            return before[: before.index(callback)] if callback in before else []
        frame = frame.f_back
    return []


def _plain(estimate: Estimate | None) -> float:
    return float("nan") if estimate is None else float(estimate)

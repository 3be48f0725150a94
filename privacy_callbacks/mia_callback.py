"""The one object a Keras user adds: it decides when to audit and where the numbers go."""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import keras
import numpy as np
import tensorflow as tf

from privacy_callbacks.attacks.attack import Attack, check_name, named_attacks
from privacy_callbacks.attacks.audit_set import AuditSet
from privacy_callbacks.attacks.audit_warning import AuditWarning
from privacy_callbacks.attacks.compiled_pass import build_model, check_model
from privacy_callbacks.attacks.estimate import Estimate
from privacy_callbacks.attacks.report import LeakageReport, low_fpr_name

from .auditing import HEADLINE_FPR, Audit, Auditor, audit_set_for, fingerprint, null_check
from .fit_doubts import current_fit, doubts_about_members, readers_placed_too_early
from .published import publish, retract
from .records_at_risk import records_table
from .tensorboard_log import TensorBoardLog, check_writable

if TYPE_CHECKING:
    import pandas as pd

_HEADLINE_METRICS = ("auc", "advantage", "youden_j", low_fpr_name(HEADLINE_FPR))
BEFORE_TRAINING = -1
_HELD_NOW = "audited on the weights the model holds now, which are not those of an audited epoch's end."

# Models that some callback of ours has seen in training: for them no audit is a null check, compiled afresh or not.
_TRAINED: WeakSet[Any] = WeakSet()


class MIACallback(keras.callbacks.Callback):
    """Shows, while `fit` runs, how well an attacker tells training records from others.

    It only watches: a fit with it ends with bit-identical weights to the fit without it, as long as reading `members` has
    no effects of its own on the data that fit reads.

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
      audit_size: the most records to audit on each side, drawn once; an `AuditSet` brings its own.
      every: audit after each k-th epoch; or "train_end" for one audit after training.
      log_dir: for TensorBoard; the same directory that `keras.callbacks.TensorBoard` gets. None = none.
      name: the prefix of log keys and tags; give two callbacks in one fit two names.
      seed: decides sample, halves and permutations.
      on_error: what an audit that fails during training does: "warn" marks its reports and lets training go on, "raise"
        ends it.
      loss: a loss to audit by instead of the compiled one.
      batch_size: the most records in one forward pass; default: about a thousand, fewer where memory asks for it.
    Attributes:
      reports: one `LeakageReport` per audit and attack, oldest first; those of step −1 describe the model before training.
        Each fit starts a new list (and a new course of losses for `records`), so keep what you need of the one before.
        ROC curves are kept for the headline attack, and for the others of the newest audit only.
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
        if every != "train_end":
            every = _whole_number("every", every, "of epochs, at least 1, or 'train_end'")
        if on_error not in ("warn", "raise"):
            raise ValueError(f"on_error is {on_error!r}; give 'warn' or 'raise'.")
        if name == "val":
            raise ValueError("name is 'val', which would overwrite Keras' own validation keys; give another.")
        if batch_size is not None:
            _whole_number("batch_size", batch_size, "of records, at least 1, or None")
        self.name = check_name(name)
        self.reports: list[LeakageReport] = []
        self._sides = members, nonmembers
        self._attacks = None if attacks is None else list(named_attacks(attacks).values())
        self._population, self._audit_size = population, audit_size
        self._every, self._strict = every, on_error == "raise"
        self._log_dir = None if log_dir is None else os.fspath(log_dir)
        self._seed = _whole_number("seed", seed, "that decides the sample, at least 0", least=0)
        self._loss, self._batch_size = loss, batch_size
        self.audit_set: AuditSet | None = self._draw() if isinstance(members, AuditSet) else None
        self._auditor: Auditor | None = None
        self._log: TensorBoardLog | None = None
        self._forget()

    def _forget(self) -> None:
        self.reports = []
        self._last: Audit | None = None
        self._glimpse: Audit | None = None
        self._losses: list[Any] = []
        self._epoch: int | None = None
        self._scheduled_epoch: int | None = None
        self._log_values: dict[str, float] = {}
        self._known_to_fail: set[str] = set()
        self._taken_keys: set[str] = set()

    def __deepcopy__(self, memo: dict[int, Any]) -> MIACallback:
        """A callback of the same arguments that has not been fitted; tuners copy callbacks for each trial."""
        return type(self)(
            *self._sides,
            attacks=self._attacks,
            population=self._population,
            audit_size=self._audit_size,
            every=self._every,
            log_dir=self._log_dir,
            name=self.name,
            seed=self._seed,
            on_error="raise" if self._strict else "warn",
            loss=self._loss,
            batch_size=self._batch_size,
        )

    # Keras' hooks: when.

    def on_train_begin(self, logs: Any = None) -> None:
        self._forget()
        fit = current_fit()
        if any(
            isinstance(other, MIACallback) and other is not self and other.name == self.name for other in fit.callbacks
        ):
            raise ValueError(f"two callbacks in this fit are called {self.name!r}; give each a name= of its own.")
        if self._log_dir is not None:
            check_writable(f"{self._log_dir}/{self.name}", "log_dir")
        check_model(self.model)
        if self.audit_set is None:
            self.audit_set = self._draw()
        build_model(self.model, self.audit_set.x)
        self._auditor = Auditor(self.model, self.audit_set, self._attacks, self._loss, self._batch_size, self._seed)
        self._log = None if self._log_dir is None else TensorBoardLog(self._log_dir, self.name)
        retract(self.model, self._log_keys())
        steps = (self.params or {}).get("steps")
        self._auditor.warnings += doubts_about_members(self.audit_set.available[0], steps, fit)
        for sentence in (*self._auditor.warnings, *readers_placed_too_early(self, self._log_keys(), fit)):
            self._warn(sentence)
        if self._every != "train_end":
            self._log_values = dict.fromkeys(self._log_keys(), float("nan"))

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if self._epoch is None and epoch == 0:
            with self._training_goes_on():
                self._audit_before_training()
        self._epoch = epoch
        _TRAINED.add(self.model)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        self._epoch = epoch
        if self._every != "train_end" and (epoch + 1) % int(self._every) == 0:
            with self._training_goes_on():
                self._audit(epoch)
        if logs is not None:
            self._warn_of_taken_keys(logs)
            logs.update(self._log_values)

    def on_train_end(self, logs: Any = None) -> None:
        with self._training_goes_on():
            if self._epoch is not None:
                newest = self._audit_after_training(self._epoch)
                if self._log is not None:
                    self._log.text(newest.reports[0], "after_training", self._epoch)
        if self._log is not None:
            self._log.close()

    # What the user asks.

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

    def records(self) -> pd.DataFrame:
        """The audited records as a table: members first, most at risk on top, then non-members.

        Columns: `id`, `is_member`, `label` (where it is one number), one a successful attack with its score (higher = more
        member-like) on the weights that the model holds now, `loss_iqr` (the interquartile range of the record's loss over
        the audited epochs) and `risk_rank` (1 = the member most at risk; <NA> for non-members). For classifiers the rank
        follows `loss_iqr` from four audited epochs on, which finds the records that had to be memorised; otherwise, and
        for regressions, where `loss_iqr` mostly measures the size of the target, the first attack's score.

        Raises:
          RuntimeError: before the first fit, or if the newest audit failed.
        """
        newest = self._newest()
        if not newest.scores:
            raise RuntimeError(f"the newest audit gave no scores: {newest.reports[0].warnings[0]}")
        assert self._auditor is not None
        assert self.audit_set is not None
        return records_table(self.audit_set, self._auditor, newest.scores, self._losses)

    def _newest(self) -> Audit:
        """The newest audit, if it speaks of the weights of this moment; else a fresh one."""
        if self._auditor is None:
            raise RuntimeError("there is no report yet; pass the callback to model.fit first.")
        weights = fingerprint(self.model)
        # A look at other moments than an epoch's end is nobody's audit: it is answered, not kept.
        for audit in (self._last, self._glimpse):
            if audit is not None and audit.fingerprint == weights:
                return audit
        self._glimpse = self._auditor.run(None, strict=self._strict, notes=(_HELD_NOW,))
        return self._glimpse

    # What one audit leads to.

    def _draw(self) -> AuditSet:
        return audit_set_for(*self._sides, self._attacks, self._population, self._audit_size, self._seed)

    def _audit(self, epoch: int) -> None:
        assert self._auditor is not None
        # Whatever fails from here on must not leave the numbers of another epoch standing.
        self._log_values = dict.fromkeys(self._log_values, float("nan"))
        audit = self._auditor.run(epoch, strict=self._strict)
        self._keep(audit)
        self._scheduled_epoch = epoch
        headline = audit.reports[0].estimates()
        found = [headline[metric] for metric in _HEADLINE_METRICS] + [report.auc for report in audit.reports[1:]]
        estimates = dict(zip(self._log_keys(), found, strict=True))
        self._log_values = {key: _plain(estimate) for key, estimate in estimates.items()}
        publish(self.model, estimates, epoch)
        self._warn_of_failures(audit)
        self._show(audit.reports, epoch)

    def _audit_before_training(self) -> None:
        assert self._auditor is not None
        audit = self._auditor.run(BEFORE_TRAINING, strict=self._strict)
        alarm = None if self._has_been_trained() else null_check(audit.reports)
        if alarm is not None:
            self._warn(alarm)
            self._auditor.warnings.append(alarm)
            audit = self._auditor.run(BEFORE_TRAINING, strict=self._strict)
        self._keep(audit)
        if self._log is not None:
            self._log.text(audit.reports[0], "before_training", 0)
            self._log.flush()

    def _audit_after_training(self, epoch: int) -> Audit:
        """Of the last epoch, unless it has been audited and the weights are still the same (an averaging optimizer's are not)."""
        assert self._auditor is not None
        if self._last is None or self._scheduled_epoch != epoch:
            audit = self._auditor.run(epoch, strict=self._strict)
            self._keep(audit)
            self._warn_of_failures(audit)
            self._show(audit.reports, epoch)
        elif self._last.fingerprint != fingerprint(self.model):
            self._keep(self._auditor.run(epoch, strict=self._strict, notes=(_HELD_NOW,)), in_course=False)
        assert self._last is not None
        return self._last

    def _has_been_trained(self) -> bool:
        optimizer = getattr(self.model, "optimizer", None)
        # Through TensorFlow: under a distribution strategy the variable is mirrored.
        steps = 0 if optimizer is None else int(tf.convert_to_tensor(optimizer.iterations.value))
        return steps > 0 or self.model in _TRAINED

    def _keep(self, audit: Audit, in_course: bool = True) -> None:
        if self._last is not None:
            headline, *others = self._last.reports
            self.reports[-len(self._last.reports) :] = [headline, *(replace(report, roc=None) for report in others)]
        self._last = audit
        self.reports.extend(audit.reports)
        if in_course and audit.loss is not None and audit.step != BEFORE_TRAINING:
            self._losses.append(audit.loss.astype(np.float32))

    def _show(self, reports: Sequence[LeakageReport], epoch: int) -> None:
        if self._log is not None:
            for report in reports:
                self._log.scalars(report, epoch)
            self._log.flush()

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
        epoch = (audit.step or 0) + 1
        for reason in dict.fromkeys(report.warnings[0] for report in failed):
            names = [report.attack for report in failed if report.warnings[0] == reason]
            self._warn(f"after epoch {epoch}, {', '.join(names)}: {reason}")
        self._known_to_fail.update(report.attack for report in failed)

    def _warn_of_taken_keys(self, logs: Any) -> None:
        taken = (self._log_values.keys() & logs.keys()) - self._taken_keys
        if taken:
            self._warn(
                f"the logs hold {', '.join(sorted(taken))} already, which is overwritten; give this callback another name=."
            )
        self._taken_keys |= taken


def _plain(estimate: Estimate | None) -> float:
    return float("nan") if estimate is None else float(estimate)


def _whole_number(name: str, value: Any, what: str, least: int = 1) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(f"{name} is {value!r}; give a whole number {what}.")
    return int(value)

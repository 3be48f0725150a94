"""The one object a Keras user adds: it decides when to audit and where the numbers go."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import keras
import numpy as np
import tensorflow as tf

from privacy_callbacks.attacks.attack import Attack, named_attacks
from privacy_callbacks.attacks.audit_set import AuditSet
from privacy_callbacks.attacks.canary_split import CanarySplit
from privacy_callbacks.attacks.epsilon_audit import EpsilonAudit
from privacy_callbacks.attacks.model_checks import build_model, check_model
from privacy_callbacks.attacks.shadow_models import ShadowModels, as_shadow_models
from privacy_callbacks.attacks.verdict import check_alpha

from .after_the_fact import audit_set_for
from .attack_choice import shadow_attacks
from .audit_outcome import Audit
from .auditing import Auditor
from .callback_arguments import check_on_error, check_prefix, whole_number
from .course import BEFORE_TRAINING, Course
from .findings import HELD_NOW, Findings
from .fit_doubts import (
    FitCall,
    altering_data,
    current_fit,
    deciding_by_nonmembers,
    doubts_about_members,
    readers_of_nothing,
    readers_placed_too_early,
)
from .forgiving import Forgiving
from .live_epsilon import LiveEpsilon, epsilon_plan
from .lockstep import Lockstep
from .null_check import null_check
from .picture_grid import images_of, picture_grid, pictures_of
from .publisher import Publisher
from .split_doubts import doubt_about_split
from .tensorboard_log import check_writable
from .time_limit import check_timeout
from .weight_fingerprint import fingerprint

if TYPE_CHECKING:
    import pandas as pd

# Models that some callback of ours has seen in training: for them no audit is a null check, compiled afresh or not.
_TRAINED: WeakSet[Any] = WeakSet()
_SLICES = "slices="  # beside names of attacks, and none of those


class MIACallback(Findings, Forgiving, keras.callbacks.Callback):
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
        `AuditSet` or `CanarySplit` that holds both sides.
      nonmembers: records of the same distribution that fit never sees, in any of these forms.
      attacks: instances of attacks, the headline first; default: a threshold on each signal that fits the model's head,
        the loss first, and with shadow models LiRA and (for classifiers) RMIA.
      shadow_models: how many, or `ShadowModels(...)`: models of the same architecture that are trained in lockstep with fit,
        each on half of members and non-members, for the attacks that compare with such (LiRA, RMIA, AttackR, …).
      budget: the shadow models' training may cost so many times the target's, in time: their number is lowered once, before
        the first epoch, by a measurement of both (so it depends on the machine). None = no bound.
      population: records that no model trains on, for attacks that need some; default: a third of the non-members, set
        aside and never judged, if an attack needs it.
      audit_size: the most records to audit on each side, drawn once; an `AuditSet` brings its own.
      every: audit after each k-th epoch; or "train_end" for one audit after training.
      log_dir: for TensorBoard; the same directory that `keras.callbacks.TensorBoard` gets. None = none.
      name: the prefix of log keys and tags; give two callbacks in one fit two names.
      seed: decides sample, halves and permutations.
      on_error: what an audit that fails during training does: "warn" marks its reports, says so once a fit and lets training
        go on, "raise" ends it. What ends a program (`KeyboardInterrupt`, `SystemExit`) ends the fit in either case.
      attack_timeout: the seconds that one attack may take at one audit, in a thread of its own; one that takes longer counts as
        failed and is not asked again in this fit, though its thread goes on until it ends. None = no limit, no thread: an
        attack that never returns holds training up.
      loss: a loss to audit by instead of the compiled one.
      output: of a model with several outputs the name or number of the one to audit, by all signals that fit it; default:
        the weighted sum of their losses, which training minimises.
      batch_size: the most records in one forward pass; default: about a thousand, fewer where memory asks for it.
      blind_baseline: whether to see, before training, how well a classifier without any model tells the sides apart.
      alpha: the error that `verdict` may have, over all epochs and attacks.
      log_records: so many of the members most at risk are listed in TensorBoard, by id, label and scores: in its Privacy tab at
        the first twenty audits and at ever rarer ones later, and when training ends also as text.
        Otherwise nothing that is written names a record.
      log_pictures: True to show these members as pictures, too, where the model's only input is images. Otherwise what a
        record holds is never written.
      slices: parts of the records to judge by themselves, too: "class", "loss_percentile", "correct", a `Column`, a tuple of
        these for their crosses, or a list of several.
      epsilon: how to bound the ε of this training by the headline attack: a number in logs, reports and TensorBoard beside the
        one that is claimed; `EpsilonAudit()` if `members` is a `CanarySplit`, with which alone it is a bound and is called
        `epsilon_lower_bound`; otherwise it is called `epsilon_estimate`. None = none.
    Attributes:
      reports: one `LeakageReport` per audit, attack and slice, oldest first; those of step −1 describe the model before training.
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
        shadow_models: ShadowModels | int | None = None,
        budget: float | None = None,
        population: Any = None,
        audit_size: int = 2_000,
        every: int | str = 1,
        log_dir: str | os.PathLike[str] | None = None,
        name: str = "mia",
        seed: int = 0,
        on_error: str = "warn",
        attack_timeout: float | None = None,
        loss: Any = None,
        output: str | int | None = None,
        batch_size: int | None = None,
        blind_baseline: bool = True,
        alpha: float = 0.05,
        log_records: int = 0,
        log_pictures: bool = False,
        slices: Any = None,
        epsilon: EpsilonAudit | None = None,
    ) -> None:
        super().__init__()
        if every != "train_end":
            every = whole_number("every", every, "of epochs, at least 1, or 'train_end'")
        strict = check_on_error(on_error)
        if batch_size is not None:
            whole_number("batch_size", batch_size, "of records, at least 1, or None")
        if budget is not None and (shadow_models is None or not 0 < budget < float("inf")):
            raise ValueError(
                f"budget is {budget!r} with shadow_models={shadow_models!r}; give a positive number, together with shadow models."
            )
        self.name = check_prefix(name)
        self._sides = members, nonmembers
        self._attacks = None if attacks is None else list(named_attacks(attacks).values())
        self._shadow_models, self._budget = as_shadow_models(shadow_models), budget
        if self._shadow_models is not None:
            # Keras calls batch hooks only of callbacks that have one: without shadow models there is no need for it.
            self.on_train_batch_end = self._on_batch_end
        self._population, self._audit_size = population, audit_size
        self._every, self._strict = every, strict
        self._attack_timeout = check_timeout("attack_timeout", attack_timeout)
        self._log_dir = None if log_dir is None else os.fspath(log_dir)
        self._seed = whole_number("seed", seed, "that decides the sample, at least 0", least=0)
        self._loss, self._batch_size, self._output = loss, batch_size, output
        self._blind_baseline = bool(blind_baseline)
        self._alpha = check_alpha(alpha)
        self._log_records = whole_number("log_records", log_records, "of records, at least 0", least=0)
        self._log_pictures, self._slices = bool(log_pictures), slices
        if self._log_pictures and not self._log_records:
            raise ValueError("log_pictures shows the records that log_records lists; say how many with log_records=.")
        self._epsilon = epsilon
        self.audit_set = self._draw() if isinstance(members, (AuditSet, CanarySplit)) else None
        epsilon_plan(epsilon, self.audit_set)  # refuses here what is none
        self._auditor = None
        self._publisher: Publisher | None = None
        self._forget()

    def _forget(self) -> None:
        self._course = Course()
        self._epoch: int | None = None
        self._scheduled_epoch: int | None = None
        self._lockstep = None
        self._live_epsilon: LiveEpsilon | None = None
        self._known_to_fail: set[str] = set()
        self._failures_told = set()
        self._taken_keys: set[str] = set()
        self._history: Any = None
        self._beside: list[MIACallback] = []

    def __deepcopy__(self, memo: dict[int, Any]) -> MIACallback:
        """A callback of the same arguments that has not been fitted; tuners copy callbacks for each trial."""
        return type(self)(
            *self._sides,
            attacks=self._attacks,
            shadow_models=self._shadow_models,
            budget=self._budget,
            population=self._population,
            audit_size=self._audit_size,
            every=self._every,
            log_dir=self._log_dir,
            name=self.name,
            seed=self._seed,
            on_error="raise" if self._strict else "warn",
            attack_timeout=self._attack_timeout,
            loss=self._loss,
            output=self._output,
            batch_size=self._batch_size,
            blind_baseline=self._blind_baseline,
            alpha=self._alpha,
            log_records=self._log_records,
            log_pictures=self._log_pictures,
            slices=self._slices,
            epsilon=self._epsilon,
        )

    # Keras' hooks: when.

    def on_train_begin(self, logs: Any = None) -> None:
        self._forget()
        fit = current_fit()
        self._history = getattr(self.model, "history", None) if fit.callbacks else None
        self._beside = [other for other in fit.callbacks if isinstance(other, MIACallback) and other is not self]
        if any(other.name == self.name for other in self._beside):
            raise ValueError(f"two callbacks in this fit are called {self.name!r}; give each a name= of its own.")
        if self._log_dir is not None:
            check_writable(f"{self._log_dir}/{self.name}", "log_dir")
        check_model(self.model)
        if self.audit_set is None:
            self.audit_set = self._draw()
        build_model(self.model, self.audit_set.x)
        self._auditor = auditor = self._new_auditor()
        doubt = self._look_at_fit(auditor, fit)
        if self._log_pictures:
            picture_grid(images_of(self.audit_set, np.arange(1)))
        if self._shadow_models is not None:
            self._lockstep = self._new_lockstep(self._shadow_models, fit)
            auditor.warnings += self._lockstep.warnings
        self._live_epsilon = self._new_live_epsilon(auditor, doubt)
        self._publisher = self._new_publisher(auditor)
        for sentence in (*auditor.warnings, *auditor.remarks, *self._doubts_about_readers(fit)):
            self._warn(sentence)

    def on_epoch_begin(self, epoch: int, logs: Any = None) -> None:
        if self._epoch is None and epoch == 0:
            with self._training_goes_on():
                self._audit_before_training()
        self._epoch = epoch
        _TRAINED.add(self.model)
        if self._lockstep is not None:
            assert self._auditor is not None
            for sentence in self._lockstep.on_epoch_begin(epoch, self._warn):
                self._auditor.warnings.append(sentence)
                self._warn(sentence)

    def _on_batch_end(self, batch: int, logs: Any = None) -> None:
        if self._lockstep is not None:
            self._lockstep.on_batch_end(self._warn)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        assert self._publisher is not None
        self._epoch = epoch
        if self._lockstep is not None:
            self._lockstep.on_epoch_end(self._warn)
        if self._every != "train_end" and (epoch + 1) % int(self._every) == 0:
            with self._training_goes_on():
                self._audit(epoch)
        if logs is not None:
            with self._training_goes_on():
                self._publisher.epoch(self._without_leakage(logs), epoch)
            self._warn_of_taken_keys(logs)
            logs.update(self._publisher.values)

    def on_train_end(self, logs: Any = None) -> None:
        assert self._publisher is not None
        epochs = int((self.params or {}).get("epochs") or 0)
        if self._epoch is None and self._lockstep is not None and 0 < epochs <= self._lockstep.kept_epochs:
            # Interrupted after its last epoch, before its end: Keras goes on with no epoch at all.
            self.on_epoch_begin(epochs)
            self._epoch = epochs - 1
        try:
            if self._lockstep is not None and self._epoch is not None:
                self._lockstep.on_train_end(self._warn)
            with self._training_goes_on():
                if self._epoch is not None:
                    newest = self._audit_after_training(self._epoch)
                    self._publisher.at_the_end(newest.reports[0], self.verdict, self._epoch)
                    if self._log_records and newest.scores:
                        self._show_records(self._epoch)
        finally:
            with self._training_goes_on():
                self._publisher.close()
            if self._lockstep is not None:
                self._lockstep.close()

    def _without_leakage(self, logs: Mapping[str, Any]) -> dict[str, Any]:
        """The logs but for what this callback, or another of its kind, wrote into them."""
        publishers = [one._publisher for one in (self, *self._beside)]
        taken = {key for publisher in publishers if publisher is not None for key in publisher.keys}
        return {name: value for name, value in logs.items() if name not in taken}

    # What one audit leads to.

    def _draw(self) -> AuditSet:
        return audit_set_for(*self._sides, self._attacks, self._population, self._audit_size, self._seed)

    def _new_auditor(self) -> Auditor:
        assert self.audit_set is not None
        return Auditor(
            self.model,
            self.audit_set,
            self._attacks,
            loss=self._loss,
            batch_size=self._batch_size,
            seed=self._seed,
            with_shadows=self._shadow_models is not None,
            output=self._output,
            blind_baseline=self._blind_baseline,
            slices=self._slices,
            timeout=self._attack_timeout,
        )

    def _look_at_fit(self, auditor: Auditor, fit: FitCall) -> str | None:
        """Notes what is doubtful about the records that fit trains on; returns why they are not those of the split, if so."""
        assert self.audit_set is not None
        steps, split, doubt = (self.params or {}).get("steps"), self._sides[0], None
        if isinstance(split, CanarySplit):
            doubt = doubt_about_split(split, steps, fit)
            auditor.warnings += [] if doubt is None else [f"{doubt}."]
        else:
            auditor.warnings += doubts_about_members(self.audit_set.available[0], steps, fit)
        auditor.warnings += deciding_by_nonmembers(self.audit_set, fit)
        auditor.remarks += altering_data(self.audit_set, fit)
        return doubt

    def _new_live_epsilon(self, auditor: Auditor, doubt: str | None) -> LiveEpsilon | None:
        plan = epsilon_plan(self._epsilon, self.audit_set)
        if plan is None:
            return None
        assert self.audit_set is not None
        headline, epochs = next(iter(auditor.attacks.values())), int((self.params or {}).get("epochs") or 0)
        only, last = self._every == "train_end", epochs - 1 if epochs else None
        return LiveEpsilon(plan, headline, self.audit_set, doubt, only=only, last_step=last)

    def _new_publisher(self, auditor: Auditor) -> Publisher:
        carries, live = self._every != "train_end", self._live_epsilon
        names, epsilon = list(auditor.attacks), None if live is None else live.name
        return Publisher(self.model, self.name, names, self._log_dir, carries, epsilon)

    def _doubts_about_readers(self, fit: FitCall) -> list[str]:
        """Callbacks of this fit that would read log keys too early, or such as never hold a number."""
        assert self._auditor is not None
        assert self._publisher is not None
        doubts = readers_placed_too_early(self, self._publisher.keys, fit)
        if self._shadow_models is not None and self._shadow_models.schedule == "train_end":
            doubts += readers_of_nothing(self._publisher.keys_of(shadow_attacks(self._auditor.attacks)), fit)
        return doubts

    def _new_lockstep(self, plan: ShadowModels, fit: FitCall) -> Lockstep:
        assert self._auditor is not None
        assert self.audit_set is not None
        return Lockstep(
            plan,
            self.model,
            self.audit_set,
            self._auditor,
            fit,
            self.params or {},
            loss=self._loss,
            batch_size=self._batch_size,
            output=self._output,
            budget=self._budget,
            strict=self._strict,
            trained_before=self._has_been_trained(),
        )

    def _run(self, step: int, notes: tuple[str, ...] = (), scheduled: bool = True) -> Audit:
        assert self._auditor is not None
        shadows = None if self._lockstep is None else self._lockstep.ask(step, self._warn)
        course = self._course.before(step)
        audit = self._auditor.run(step, strict=self._strict, notes=notes, shadows=shadows, course=course)
        if self._live_epsilon is None:
            return audit
        # By the epoch, not by counting: a fit that was interrupted and goes on spends no share of the error twice.
        look = 1 if self._every == "train_end" else (step + 1) // int(self._every) + (not scheduled)
        return self._live_epsilon.read(audit, look)

    def _audit(self, epoch: int) -> None:
        assert self._publisher is not None
        self._publisher.forget()
        audit = self._run(epoch)
        self._course.keep(audit)
        self._scheduled_epoch = epoch
        self._warn_of_failures(audit)  # before a full disk can keep it from being said
        self._publisher.publish(audit.whole, audit.sliced, epoch)
        if self._log_records and self._log_dir is not None and audit.scores and self._course.is_milestone:
            self._list_records(epoch)

    def _audit_before_training(self) -> None:
        assert self._auditor is not None
        assert self._publisher is not None
        audit = self._run(BEFORE_TRAINING)
        alarm = None if self._has_been_trained() else null_check(audit.whole)
        if alarm is not None:
            self._warn(alarm)
            self._auditor.warnings.append(alarm)
            self._auditor.void = self._auditor.void or alarm
            audit = self._run(BEFORE_TRAINING)
        self._course.keep(audit)
        self._publisher.before_training(audit.whole, audit.sliced, BEFORE_TRAINING)

    def _audit_after_training(self, epoch: int) -> Audit:
        """Of the last epoch, unless it has been audited and the weights are still the same (an averaging optimizer's are not)."""
        assert self._publisher is not None
        waited = self._lockstep is not None and self._lockstep.waits
        if self._course.last is None or self._scheduled_epoch != epoch or waited:
            audit = self._run(epoch, scheduled=False)
            self._course.keep(audit, in_course=self._scheduled_epoch != epoch)
            self._warn_of_failures(audit)
            self._publisher.show(audit.whole, audit.sliced, epoch)
        elif self._course.last.fingerprint != fingerprint(self.model):
            audit = self._run(epoch, notes=(HELD_NOW,), scheduled=False)
            self._course.keep(audit, in_course=False)
            self._publisher.show_in_tab(audit.whole, audit.sliced, epoch)
        assert self._course.last is not None
        return self._course.last

    def _list_records(self, epoch: int) -> pd.DataFrame:
        """The members most at risk, in the Privacy tab."""
        assert self._publisher is not None
        assert self.audit_set is not None
        ranked = self._ranked()
        risky = ranked[ranked["is_member"]].head(self._log_records)
        pictures = partial(pictures_of, self.audit_set) if self._log_pictures else None
        self._publisher.records(risky, pictures, epoch)
        return risky

    def _show_records(self, epoch: int) -> None:
        """The same at the end, and under Text and Images."""
        assert self._publisher is not None
        assert self.audit_set is not None
        risky = self._list_records(epoch)
        self._publisher.lines(risky.to_string(index=False), "records_at_risk", epoch)
        if self._log_pictures:
            self._publisher.picture(picture_grid(images_of(self.audit_set, risky.index)), "pictures_at_risk", epoch)

    def _has_been_trained(self) -> bool:
        optimizer = getattr(self.model, "optimizer", None)
        # Through TensorFlow: under a distribution strategy the variable is mirrored. With gradient accumulation it is a tensor.
        steps = 0 if optimizer is None else int(tf.convert_to_tensor(keras.ops.convert_to_tensor(optimizer.iterations)))
        return steps > 0 or self.model in _TRAINED

    # Manners.

    def _warn_of_failures(self, audit: Audit) -> None:
        """Once an attack and fit; the marked reports tell the rest."""
        silent = self._known_to_fail | audit.postponed
        failed = [report for report in audit.whole if report.failed and report.attack not in silent]
        epoch = (audit.step or 0) + 1
        for reason in dict.fromkeys(report.warnings[0] for report in failed):
            names = [report.attack for report in failed if report.warnings[0] == reason]
            self._warn(f"after epoch {epoch}, {', '.join(names)}: {reason}")
        self._known_to_fail.update(report.attack for report in failed)
        if audit.unsliced is not None and _SLICES not in self._known_to_fail:
            self._known_to_fail.add(_SLICES)
            self._warn(f"after epoch {epoch}, {audit.unsliced}; reports are on all records alone.")

    def _warn_of_taken_keys(self, logs: Any) -> None:
        assert self._publisher is not None
        taken = (self._publisher.values.keys() & logs.keys()) - self._taken_keys
        if taken:
            self._warn(
                f"the logs hold {', '.join(sorted(taken))} already, which is overwritten; give this callback another name=."
            )
        self._taken_keys |= taken

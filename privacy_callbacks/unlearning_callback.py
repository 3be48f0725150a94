"""Watches a training that is to make a model forget, epoch by epoch, until the forget set looks like what was never seen."""

from __future__ import annotations

import os
from typing import Any

import keras

from privacy_callbacks.attacks.attack import Attack
from privacy_callbacks.attacks.estimate import LEVEL, Estimate, check_level
from privacy_callbacks.attacks.looks import error_at_look
from privacy_callbacks.attacks.model_checks import check_model
from privacy_callbacks.attacks.record_scorer import ScoredModel
from privacy_callbacks.attacks.shadow_models import ShadowModels
from privacy_callbacks.attacks.unlearning_evaluation import UnlearningEvaluation
from privacy_callbacks.attacks.unlearning_judge import UnlearningJudge
from privacy_callbacks.attacks.unlearning_outcome import check_margin

from .callback_arguments import check_on_error, check_prefix, whole_number
from .course import BEFORE_TRAINING
from .forgiving import Forgiving
from .privacy_log import PrivacyLog
from .published import publish, retract
from .tensorboard_log import TensorBoardLog, check_writable
from .weight_fingerprint import fingerprint

FORGOTTEN = "forgotten"
_TOO_FEW = "inconclusive: after so many looks a verdict over all of them needs more records than these."
_IN_LOGS = ("forget_auc", "mia_efficacy", "psi", "forgetting")
_MEANINGS = {
    "forget_auc": "How well the attack tells the forget set from records never seen; 0.5 = it cannot.",
    "mia_efficacy": "Share of the forget set that the attacker takes for not trained on; compare with efficacy_floor, not 1.",
    "efficacy_floor": "Share of records never seen that the attacker takes for not trained on: what perfect forgetting gives.",
    "psi": "Share of the forget set taken for trained on, by that of the kept records; compare with psi_floor, not 0.",
    "psi_floor": "Share of records never seen taken for trained on, by that of the kept records: what perfect forgetting gives.",
    "forgetting": "0 = as well known as the kept records, 1 = as little known as records never seen, above 1 = less.",
    "retain_auc": "How well the attack tells the kept records from records never seen; 0.5 = it cannot.",
}


class UnlearningCallback(Forgiving, keras.callbacks.Callback):
    """Shows, while `fit` runs on what is kept, how much the model still knows of what it is to forget.

    The model as it is when training begins is the original. Each epoch is audited by the same attack on the same records; the
    epoch logs get `unlearning_forget_auc`, `unlearning_mia_efficacy`, `unlearning_psi`, `unlearning_forgetting` (NaN where
    refused) and `unlearning_forgotten`: 1 once an epoch's verdict is "forgotten" at the level that so many looks leave, else 0.

    ```python
    watch = UnlearningCallback(retain, forget, test, log_dir="logs/unlearning", stop_when_forgotten=True)
    model.fit(*retain, epochs=20, callbacks=[watch])
    print(watch.evaluation.summary())
    ```

    Args:
      retain, forget, test: what stays in the training set, what is to be forgotten, and records never seen; in any form that
        `AuditSet` takes, apart from each other.
      attack, retrained, shadow_models, population, audit_size, margin, level, loss, output, batch_size, leave_out_copies: see
        `evaluate_unlearning`.
      every: audit after each k-th epoch.
      log_dir: for TensorBoard: scalars under `<name>/` beside those of `MIACallback`, and the Privacy tab. None = none.
      name: the prefix of log keys and tags.
      seed: decides the records, the attacker's halves and whatever is random in the attack.
      on_error: what an audit that fails during training does: "warn" lets training go on, "raise" ends it.
      stop_when_forgotten: True to stop after the first epoch that is "forgotten".
    Attributes:
      evaluations: one an audit, by epoch; −1 = before training.
      forgotten_epoch: the first epoch (from 0) whose verdict was "forgotten" over all looks, or None.
    Raises:
      TypeError, ValueError: here on arguments out of range; at the start of training as `evaluate_unlearning`.
    """

    def __init__(
        self,
        retain: Any,
        forget: Any,
        test: Any,
        *,
        attack: Attack | None = None,
        retrained: Any = None,
        shadow_models: ShadowModels | int | None = None,
        population: Any = None,
        audit_size: int = 2_000,
        every: int = 1,
        log_dir: str | os.PathLike[str] | None = None,
        name: str = "unlearning",
        seed: int = 0,
        on_error: str = "warn",
        level: float = LEVEL,
        margin: float | None = None,
        loss: Any = None,
        output: str | int | None = None,
        batch_size: int | None = None,
        leave_out_copies: bool = False,
        stop_when_forgotten: bool = False,
    ) -> None:
        super().__init__()
        self.name, self._level = check_prefix(name), check_level(level)
        if margin is not None:
            check_margin(margin)
        self._sets = retain, forget, test
        self._retrained = retrained
        self._given: dict[str, Any] = {
            "attack": attack,
            "shadow_models": shadow_models,
            "population": population,
            "audit_size": whole_number("audit_size", audit_size, "of records of each set"),
            "margin": margin,
            "seed": whole_number("seed", seed, "that decides the records, at least 0", least=0),
            "loss": loss,
            "output": output,
            "batch_size": batch_size,
            "leave_out_copies": leave_out_copies,
        }
        self._every = whole_number("every", every, "of epochs, at least 1")
        self._strict = check_on_error(on_error)
        self._log_dir = None if log_dir is None else os.fspath(log_dir)
        self._stop = bool(stop_when_forgotten)
        self._log: TensorBoardLog | None = None
        self._forget()

    def _forget(self) -> None:
        self.evaluations: dict[int, UnlearningEvaluation] = {}
        self.forgotten_epoch: int | None = None
        self._judge: UnlearningJudge | None = None
        self._last_epoch: int | None = None
        self._audited_weights = ""
        self._taken_keys: set[str] = set()
        self._failures_told = set()
        self._values = {f"{self.name}_{metric}": float("nan") for metric in (*_IN_LOGS, FORGOTTEN)}

    @property
    def evaluation(self) -> UnlearningEvaluation:
        """Of the weights that the model holds now; they may change after the last epoch, as by `EarlyStopping`.

        Raises:
          ValueError: if nothing has been audited yet.
        """
        if self._judge is None or not self.evaluations:
            raise ValueError("nothing has been audited yet; fit a model with this callback first.")
        if fingerprint(self.model) != self._audited_weights:
            return self._judge(self.model, self._level)
        return self.evaluations[max(self.evaluations)]

    # Keras' hooks: when.

    def on_train_begin(self, logs: Any = None) -> None:
        self._forget()
        if self._log_dir is not None:
            check_writable(f"{self._log_dir}/{self.name}", "log_dir")
        check_model(self.model)
        retract(self.model, self._values)
        retrained = self._retrained if isinstance(self._retrained, (list, tuple)) else [self._retrained]
        known = [one for one in retrained if one is not None]
        self._judge = UnlearningJudge(
            self.model, *self._sets, self.model, known, level=self._level, verbose=0, **self._given
        )
        self._log = None if self._log_dir is None else TensorBoardLog(self._log_dir, self.name)
        self._tab = None if self._log is None else PrivacyLog(self._log, self._judge.attack)
        for sentence in self._judge.warnings:
            self._warn(sentence)
        scored = self._audited(BEFORE_TRAINING)  # what cannot be judged is refused here, before anything is trained
        with self._training_goes_on():
            self._write_start(scored)

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if (epoch + 1) % self._every == 0:
            self._values = dict.fromkeys(self._values, float("nan"))
            with self._training_goes_on():
                self._look(epoch, (epoch + 1) // self._every)
        if self._tab is not None:
            with self._training_goes_on():
                self._tab.training(logs or {}, epoch)
        self._last_epoch = epoch
        if logs is not None:
            self._warn_of_taken_keys(logs)
            logs.update(self._values)

    def on_train_end(self, logs: Any = None) -> None:
        epoch = self._last_epoch
        with self._training_goes_on():
            if epoch is not None and epoch not in self.evaluations:
                self._look(epoch, (epoch + 1) // self._every + 1)
        if self._log is not None:
            with self._training_goes_on():
                self._log.close()

    # What one audit leads to.

    def _look(self, epoch: int, look: int) -> None:
        """An audit of this epoch, and what follows from all so far. Decisions first: a full disk must not undo them."""
        scored = self._audited(epoch)
        found, strict = self.evaluations[epoch], self._at_all_looks(scored, look)
        estimates: dict[str, Estimate | None] = {f"{self.name}_{metric}": getattr(found, metric) for metric in _IN_LOGS}
        publish(self.model, estimates, epoch)
        self._values = {key: float("nan") if one is None else float(one) for key, one in estimates.items()}
        forgotten = strict is not None and strict.verdict == FORGOTTEN
        self._values[f"{self.name}_{FORGOTTEN}"] = float(forgotten)
        if strict is not None and forgotten and self.forgotten_epoch is None:
            self.forgotten_epoch = epoch
            if self._stop:
                self.model.stop_training = True
                print(f"\nUnlearningCallback: after epoch {epoch + 1} {strict.reason} Training stops.")
        self._write(scored, strict, epoch)

    def _audited(self, epoch: int) -> ScoredModel:
        assert self._judge is not None
        scored = self._judge.scored(self.model)
        self.evaluations[epoch] = self._judge.evaluation(scored, self._level)
        self._audited_weights = fingerprint(self.model)
        return scored

    def _at_all_looks(self, scored: ScoredModel, look: int) -> UnlearningEvaluation | None:
        """The evaluation at the level that so many looks leave; None if that asks for more records than there are."""
        assert self._judge is not None
        try:
            return self._judge.evaluation(scored, 1 - error_at_look(look, 1 - self._level))
        except ValueError:
            return None

    def _write_start(self, scored: ScoredModel) -> None:
        found = self.evaluations[BEFORE_TRAINING]
        if self._log is not None:
            self._log.lines(found.summary(), found.attack, "before_training", 0)
            self._write_tab(scored, found, BEFORE_TRAINING)

    def _write(self, scored: ScoredModel, strict: UnlearningEvaluation | None, epoch: int) -> None:
        """Into TensorBoard: the audit's own figures; as its verdict, what holds over all audits so far."""
        found = self.evaluations[epoch]
        if self._log is not None:
            self._log.figures(found.scalars(), found.attack, epoch, _meanings(found))
            self._log.lines(found.summary(), found.attack, "verdict", epoch)
            self._write_tab(scored, strict, epoch)

    def _write_tab(self, scored: ScoredModel, over_all: UnlearningEvaluation | None, epoch: int) -> None:
        assert self._judge is not None
        assert self._log is not None
        assert self._tab is not None
        self._tab.audit(self._judge.leakage(scored, epoch, self._level), [], epoch)
        if over_all is None:
            self._tab.judgement(_TOO_FEW, {}, _TOO_FEW, epoch)
        else:
            # Only what is shown to be left, or to stand out, is told as found.
            found_at = {over_all.attack: epoch} if over_all.verdict in ("residual", "over-forgotten") else {}
            blind = over_all.reason if over_all.verdict == "inconclusive" else None
            self._tab.judgement(f"{over_all.verdict}: {over_all.reason}", found_at, blind, epoch)
        self._log.flush()

    def _warn_of_taken_keys(self, logs: Any) -> None:
        taken = (self._values.keys() & logs.keys()) - self._taken_keys
        if taken:
            self._warn(
                f"the logs hold {', '.join(sorted(taken))} already, which is overwritten; give this callback another name=."
            )
        self._taken_keys |= taken


def _meanings(found: UnlearningEvaluation) -> dict[str, str]:
    """A sentence for each of the evaluation's scalars."""
    level = f"{100 * found.level:.4g} %"
    ends = {"": "", "_low": f"Lower end of the {level} interval. ", "_high": f"Upper end of the {level} interval. "}
    return {f"{name}{end}": part + meaning for name, meaning in _MEANINGS.items() for end, part in ends.items()}

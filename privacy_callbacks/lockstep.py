"""A fleet of shadow models beside one `fit`: trained as the target is trained, asked what the target is asked."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from privacy_callbacks.attacks.audit_set import AuditSet
from privacy_callbacks.attacks.epoch_bar import EpochBar
from privacy_callbacks.attacks.fleet import Fleet
from privacy_callbacks.attacks.fleet_training import failure_sentences, prepare
from privacy_callbacks.attacks.shadow_engine import finalizes, learning_rate_variable
from privacy_callbacks.attacks.shadow_models import ShadowModels
from privacy_callbacks.attacks.shadow_pool import pool_of

from .auditing import Auditor, ShadowAnswers
from .fit_doubts import FitCall
from .trained_as_fit import (
    as_fit_trains,
    batch_size_of_steps,
    not_from_the_start,
    schedule_warning,
    share_of_a_pass,
    weighed_as_fit_weighs,
)


class Lockstep:
    """The fleet of one fit, and what it answered.

    A fleet that fails takes the attacks that need it along, not the training and not the other attacks.

    Args:
      plan: what the user wants.
      model: the target.
      audit_set: the records audited.
      auditor: whose attacks ask.
      fit: the fit that is starting, as far as it can be seen.
      params: Keras' parameters of the fit: `epochs`, `steps`, `verbose`.
      loss, batch_size, output: of the audit; see `SignalPass`.
      budget: see `prepare`.
      strict: raise what goes wrong with the fleet.
      trained_before: True if the model is known to have been trained before this fit.
    Attributes:
      waits: True if the fleet is trained after the target.
      answers: by step (−1 = before training), whatever was asked.
      warnings: sentences that change what a number means.
    Raises:
      ValueError: if the batch size cannot be told, an attack cannot work with such shadow models, and as `prepare`.
    """

    def __init__(
        self,
        plan: ShadowModels,
        model: Any,
        audit_set: AuditSet,
        auditor: Auditor,
        fit: FitCall,
        params: Mapping[str, Any],
        *,
        loss: Any = None,
        batch_size: int | None = None,
        output: str | int | None = None,
        budget: float | None = None,
        strict: bool = False,
        trained_before: bool = False,
    ) -> None:
        members, steps = audit_set.available[0], params.get("steps")
        size, guessed = batch_size_of_steps(plan, members, steps, fit)
        plan = as_fit_trains(plan, fit)
        share = share_of_a_pass(members, steps, size, fit)
        pool, from_weights = weighed_as_fit_weighs(pool_of(audit_set, plan.pool, plan.seed), fit)
        prepared = prepare(
            plan,
            model,
            audit_set,
            pool,
            batch_size=size,
            epochs=(plan.epochs if plan.schedule == "train_end" else None) or params.get("epochs"),
            share=share,
            loss=loss,
            ask_batch_size=batch_size,
            output=output,
            budget=budget,
            untrained=not trained_before,
            relations=auditor.relations,
        )
        self._fleet: Fleet | None = prepared.fleet
        self._requests, self._model = auditor.shadow_requests, model
        self.waits = plan.schedule == "train_end"
        self._epochs = plan.epochs if self.waits else params.get("epochs")
        self._strict = strict
        verbose = params.get("verbose") or 0
        self._verbose = 1 if verbose == "auto" else int(verbose)
        self._optimizer = model.optimizer
        self._averages_on_epoch = any(getattr(other, "swap_on_epoch", False) for other in fit.callbacks)
        self._rates: list[float] = []
        self._rates_of_epochs: list[NDArray[np.float32] | None] = []
        self._rate_changed = False
        self._failure: Exception | None = None
        self._ended = self._begun = False
        self._final: set[int] = set()
        # Whether a target that comes trained is one that goes on shows when its first epoch begins.
        before = not_from_the_start(trained_before, fit)
        self._doubts = before if prepared.fleet.kept_epochs else []
        self.warnings = [
            *prepared.warnings,
            *guessed,
            *from_weights,
            *([] if self._doubts else before),
            *schedule_warning(model, prepared.fleet.steps_per_epoch, members, share, size),
        ]
        if self._verbose and prepared.engine:
            print(f"Shadow models: {prepared.engine}")
        try:
            untrained = self._asked()
            # An attack that cannot work with these shadow models says so now, not after hours.
            auditor.try_attacks(untrained)
        except BaseException:
            self.close()
            raise
        self.answers: dict[int, ShadowAnswers] = {} if self.waits else {-1: untrained}

    @property
    def kept_epochs(self) -> int:
        """How many epochs have been begun in `checkpoint_dir`, in this run or before."""
        return 0 if self._fleet is None else self._fleet.kept_epochs

    def on_epoch_begin(self, epoch: int, warn: Callable[[str], None]) -> list[str]:
        """Forgets the learning rates of the epoch before; a fleet of an interrupted fit is brought to where the target goes on.

        Returns:
          Sentences that change what a number means.
        """
        self._rates = []
        if self._begun:
            return []
        self._begun, kept = True, self.kept_epochs
        if not epoch or not kept:
            return self._doubts
        with self._may_fail(warn):
            self._go_on(epoch)
        if kept >= epoch:
            return []
        return [
            f"the target goes on after epoch {epoch}, the shadow models in checkpoint_dir were begun up to epoch {kept}; they "
            "took the present learning rate for what is between. Let BackupAndRestore stand behind this callback."
        ]

    def on_batch_end(self, warn: Callable[[str], None]) -> None:
        """Notes the learning rate that the target's step has taken, before callbacks that stand behind change it."""
        if self._failure is not None:
            return
        with self._may_fail(warn):
            rate = learning_rate_variable(self._model.optimizer)
            if rate is not None:
                self._rates.append(float(np.asarray(rate)))

    def on_epoch_end(self, warn: Callable[[str], None]) -> None:
        """Notes how the target was trained, and in lockstep moves the fleet on by one epoch."""
        rates = np.array(self._rates, np.float32) if self._rates else self._rate_now()
        if rates is not None:
            first = next((known for known in self._rates_of_epochs if known is not None), rates)[0]
            self._rate_changed |= bool((rates != first).any())
            rates = rates[:1] if (rates == rates[0]).all() else rates  # one number for an epoch of a million steps
        self._rates_of_epochs.append(rates)
        if self._failure is not None or self._fleet is None:
            return
        with self._may_fail(warn):
            if self.waits:
                self._fleet.note_rates(len(self._rates_of_epochs) - 1, rates)
            else:
                self._train(rates)

    def on_train_end(self, warn: Callable[[str], None]) -> None:
        """Where the fleet has waited: trains it for as many epochs as the target was trained."""
        self._ended = True
        if not self.waits:
            return
        trained = len(self._rates_of_epochs)
        self._epochs = self._epochs or trained
        with self._may_fail(warn):
            for epoch in range(self._epochs):
                self._train(self._rates_of_epochs[min(epoch, trained - 1)])

    def ask(self, step: int, warn: Callable[[str], None]) -> ShadowAnswers | Exception | None:
        """What the shadow models answer at this step, asked once; why they cannot; or None if they wait for training's end.

        Where the optimizer puts averages in the place of the weights when training ends, they are asked once more then.
        """
        asked_again = self._ended and step not in self._final and finalizes(self._optimizer)
        if self._failure is None and (step not in self.answers or asked_again) and (self._ended or not self.waits):
            with self._may_fail(warn):
                self.answers[step] = self._asked()
                if self._ended:
                    self._final.add(step)
        return self.answers.get(step, self._failure)

    def known_at(self, step: int | None) -> tuple[ShadowAnswers | Exception | None, tuple[str, ...]]:
        """What they answered at this step (None or one not asked: at the last), and a remark if that is another one."""
        if step in self.answers:
            return self.answers[step], ()
        if not self.answers:
            return self._failure, ()
        last = max(self.answers)
        return self.answers[last], (f"the shadow models compared with are those after epoch {last + 1}.",)

    def close(self) -> None:
        """Lets the models and their records go; what they answered stays."""
        if self._fleet is not None:
            self._fleet.close()
        self._fleet = None

    def _asked(self) -> ShadowAnswers:
        assert self._fleet is not None
        fleet = self._fleet
        final = self._ended or (self._averages_on_epoch and fleet.epoch > 0)  # before training there is no average yet
        answers = {queries: fleet.signals(request, queries, final) for queries, request in self._requests.items()}
        remarks = (*failure_sentences(fleet), *self._remarks())
        return {queries: signals.with_warnings(remarks) for queries, signals in answers.items()}

    def _go_on(self, epoch: int) -> None:
        assert self._fleet is not None
        now = self._rate_now()
        self._rates_of_epochs = [self._fleet.rates_of(known, now) for known in range(epoch)]
        while not self.waits and self._fleet.epoch < epoch:
            self._train(self._rates_of_epochs[self._fleet.epoch])

    def _train(self, rates: NDArray[np.float32] | None) -> None:
        fleet = self._fleet
        assert fleet is not None
        label = f"{fleet.epoch + 1}" + (f"/{self._epochs}" if self._epochs else "")
        fleet.train_epoch(rates, EpochBar(len(fleet.alive), label, self._verbose))

    @contextlib.contextmanager
    def _may_fail(self, warn: Callable[[str], None]) -> Iterator[None]:
        try:
            yield
        except Exception as error:
            if self._strict:
                raise
            self._failure = error
            warn(f"the shadow models failed ({type(error).__name__}: {error}); training and other attacks go on.")

    def _rate_now(self) -> NDArray[np.float32] | None:
        rate = learning_rate_variable(self._model.optimizer)
        return None if rate is None else np.array([rate], np.float32).reshape(1)

    def _remarks(self) -> list[str]:
        remarks = []
        others = [] if self._fleet is None else self._fleet.other_rates
        if self._rate_changed and not others:
            remarks.append("The learning rate was changed during training; shadow models took the same, step by step.")
        if self._model.optimizer is not self._optimizer:
            remarks.append("The target's optimizer was replaced during training; shadow models kept the first one.")
        if others:
            named = ", ".join(str(epoch + 1) for epoch in others)
            remarks.append(f"Shadow models were trained with other learning rates than the target in epoch {named}.")
        trained = len(self._rates_of_epochs)
        if self._ended and self.waits and self._epochs != trained:
            remarks.append(f"Shadow models were trained for {self._epochs} epochs, the target for {trained}.")
        return remarks

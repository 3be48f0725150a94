"""Shadow models trained and asked in this process, group by group, each brought to where it is wanted."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .asked_queries import Queries
from .compiled_pass import AskedRecords, SignalPass
from .fleet_files import Answers, FleetFiles, Outcome
from .fleet_identity import question_digest, reading_digest
from .fresh_model import state_variables
from .in_threads import in_threads
from .output_reading import NonFiniteOutputs
from .parked_states import ParkedStates
from .shadow_engine import Engine, State, finalizes
from .shadow_training import Rates, ShadowRequest, Training


class FleetHere:
    """Groups of shadow models, their states held here, and in files where there is a folder.

    A group that is wanted at an epoch gets there from wherever it stands: by no work at all where a file knows what came of
    it, else from the newest state that is whole, trained on with the learning rates of old.

    Args:
      training: how.
      asked: the records that signals are wanted of.
      made: a compiled shadow model that none of the engine's is: the one that is asked.
      engine: trains groups.
      shadows: the numbers of those that are trained here; None = all.
      loss, ask_batch_size, output: see `SignalPass`.
      memory_limit: bytes of models and optimizers to hold in memory; what exceeds it is parked in temporary files.
      files: where every epoch of every group is kept; None = nowhere.
    Attributes:
      engine_name: the engine's.
    """

    def __init__(
        self,
        training: Training,
        asked: AskedRecords,
        made: Any,
        engine: Engine,
        *,
        shadows: Sequence[int] | None = None,
        loss: Any = None,
        ask_batch_size: int | None = None,
        output: str | int | None = None,
        memory_limit: int | None = None,
        files: FleetFiles | None = None,
    ) -> None:
        self.engine_name = engine.name
        self._training, self._engine, self._model, self._files = training, engine, made, files
        numbers = range(len(training.assignment)) if shadows is None else shadows
        self._groups = {first // engine.group_size: group for first, group in _grouped(numbers, engine.group_size)}
        self._asked = asked
        self._pass = SignalPass(made, asked, loss, ask_batch_size, output)
        self._reading = "" if files is None else reading_digest(self._pass, loss, output)
        self._states = ParkedStates(memory_limit)
        self._epochs: dict[int, int] = {}  # after how many epochs the states held here are
        self._rates: dict[int, Rates] = {}
        self._questions: dict[tuple[Queries, bool], str] = {}

    def train(
        self, epoch: int, rates: Rates, alive: Sequence[int], done: Callable[[int], None] = lambda count: None
    ) -> dict[int, float | str]:
        """Moves shadow models that have been trained for `epoch` epochs on by one.

        Args:
          epoch: counted from 0.
          rates: float[steps], the learning rate of each of the target's steps; None = the optimizer's own.
          alive: the shadow models that have not failed.
          done: called with the number of models trained so far.
        Returns:
          For each that was alive its mean training loss, or why it is to be left out.
        """
        self._rates[epoch] = rates
        living = set(alive)
        wanted = {number: group for number, group in self._groups.items() if living.intersection(group)}
        found: dict[int, float | str] = {}
        for number in set(self._groups) - set(wanted):
            self._let_go(number)
        known = {number: self._files and self._files.outcome(number, epoch + 1) for number in wanted}
        for number in wanted:
            if known[number] is None:
                self._get_ready(number, epoch)  # Keras models are not made in threads

        def advance(number: int) -> Outcome:
            return known[number] or self._advanced(number, epoch)

        for number, outcome in in_threads(advance, list(wanted), self._engine.workers):
            for place, shadow in enumerate(wanted[number]):
                if shadow not in living:
                    continue
                if isinstance(outcome, Exception):
                    found[shadow] = f"{type(outcome).__name__}: {outcome}"
                else:
                    found[shadow] = outcome.failures.get(shadow) or outcome.losses[place]
            done(len(found))
            if all(isinstance(found.get(shadow, ""), str) for shadow in wanted[number]):
                self._let_go(number)
        return found

    def ask(
        self, epochs: int, request: ShadowRequest, queries: Queries, final: bool, alive: Sequence[int]
    ) -> tuple[dict[int, Answers], dict[int, str]]:
        """What shadow models answer after so many epochs.

        Args:
          epochs: behind them.
          request: names of signals.
          queries: see `SignalPass.signals`.
          final: ask with the weights that `fit` would leave behind if it ended here; see `Engine.weights`.
          alive: the shadow models that have not failed.
        Returns:
          By shadow model its answers (k = 1), and why others cannot answer.
        """
        living, found, failures = set(alive), {}, {}
        for number, group in self._groups.items():
            if not living.intersection(group):
                continue
            answers = self._answers(number, epochs, request, queries, final, living.intersection(group))
            for place, shadow in enumerate(answers.shadows):
                if shadow in living:
                    found[shadow] = _one_of(answers, place, request)
            failures.update({shadow: why for shadow, why in answers.failures.items() if shadow in living})
        return found, failures

    def close(self) -> None:
        """Removes parked states."""
        self._states.close()
        self._epochs = {}

    def _advanced(self, number: int, epoch: int) -> Outcome:
        """The group after one epoch more; it stands at some earlier one."""
        group = self._groups[number]
        while True:
            before = self._epochs[number]
            state, losses = self._trained(group, self._states[number], before)
            # Only now is there a next state: an epoch that fails leaves the one before.
            self._states[number], self._epochs[number] = state, before + 1
            if before == epoch:
                break
        reasons = {
            shadow: f"its training loss became {loss}"
            for shadow, loss in zip(group, losses, strict=True)
            if not np.isfinite(loss)
        }
        outcome = Outcome([float(loss) for loss in losses], reasons)
        if self._files is not None:
            self._files.keep_epoch(number, epoch + 1, self._engine.packed(group, state), outcome)
        return outcome

    def _trained(self, group: Sequence[int], state: State, epoch: int) -> tuple[State, NDArray[np.float64]]:
        training = self._training
        orders = [training.order(shadow, epoch) for shadow in group]
        rates = self._rates_of(epoch)
        fitted = None if rates is None else [training.fitted(rates, len(order)) for order in orders]
        return self._engine.train(group, state, orders, fitted, epoch * training.steps_per_epoch)

    def _get_ready(self, number: int, epochs: int) -> None:
        """Holds a state of the group from which the one after so many epochs can be reached."""
        if number in self._epochs and self._epochs[number] <= epochs:
            return
        kept = None if self._files is None else self._files.newest_state(number, epochs)
        if kept is None:
            self._epochs[number], self._states[number] = 0, self._engine.initial(self._groups[number])
        else:
            self._epochs[number] = kept[0]
            self._states[number] = self._engine.unpacked(self._groups[number], kept[1])

    def _answers(
        self, number: int, epochs: int, request: ShadowRequest, queries: Queries, final: bool, living: set[int]
    ) -> Answers:
        if self._files is None:
            return self._asked_now(number, epochs, request, queries, final, living)
        final = final and finalizes(self._model.optimizer)
        question = self._question(queries, final)
        known = self._files.answers(number, epochs, question)
        if known is not None and _covers(known, request) and living <= {*known.shadows, *known.failures}:
            return known
        # What a later audit may want is asked along: the state will be gone.
        usual = self._pass.head.signals
        names = (*request.names, *(name for name in usual if name not in request.names))
        more = ShadowRequest(names, request.population_names)
        answers = self._asked_now(number, epochs, more, queries, final, living)
        self._files.keep_answers(number, epochs, question, answers)
        return answers

    def _asked_now(
        self, number: int, epochs: int, request: ShadowRequest, queries: Queries, final: bool, living: set[int]
    ) -> Answers:
        self._get_ready(number, epochs)
        group = self._groups[number]
        while self._epochs[number] < epochs:
            self._states[number], _ = self._trained(group, self._states[number], self._epochs[number])
            self._epochs[number] += 1
        own: dict[int, Any] = {}
        population: dict[int, Any] = {}
        failures: dict[int, str] = {}
        weights = self._engine.weights(group, self._states[number], final)
        for shadow, values in zip(group, weights, strict=True):
            if shadow not in living:
                continue
            for variable, value in zip(state_variables(self._model), values, strict=False):
                variable.assign(value)
            try:
                if request.population_names:
                    population[shadow] = self._pass.population_signals(request.population_names, queries)
                own[shadow] = self._pass.signals(request.names, queries)
            except NonFiniteOutputs as reason:
                failures[shadow] = str(reason)
        further = [population[shadow] for shadow in own] if population else []
        return Answers(list(own), _stacked(own.values()), _stacked(further), failures)

    def _rates_of(self, epoch: int) -> Rates:
        known = None if self._files is None else self._files.rates(epoch)
        return self._rates.get(epoch) if known is None else known[0]

    def _question(self, queries: Queries, final: bool) -> str:
        if (queries, final) not in self._questions:
            self._questions[queries, final] = question_digest(self._asked, queries, final, self._reading)
        return self._questions[queries, final]

    def _let_go(self, number: int) -> None:
        if self._epochs.pop(number, None) is not None:
            del self._states[number]
            self._engine.forget(self._groups[number])


def _grouped(numbers: Sequence[int], size: int) -> Iterator[tuple[int, tuple[int, ...]]]:
    """(first number, numbers) of groups that are the same whoever trains them: models i·size to (i + 1)·size − 1."""
    for first in sorted({number - number % size for number in numbers}):
        yield first, tuple(number for number in numbers if first <= number < first + size)


def _covers(answers: Answers, request: ShadowRequest) -> bool:
    return set(request.names) <= set(answers.own) and set(request.population_names) <= set(answers.population)


def _one_of(answers: Answers, place: int, request: ShadowRequest) -> Answers:
    own = {name: answers.own[name][place] for name in request.names}
    population = {name: answers.population[name][place] for name in request.population_names}
    return Answers([answers.shadows[place]], own, population, {})


def _stacked(answers: Iterable[Any]) -> dict[str, NDArray[np.float32]]:
    several = list(answers)
    names = list(several[0]) if several else []
    return {name: np.stack([one[name] for one in several]).astype(np.float32) for name in names}

"""Shadow models in training: dealt their records, moved on by an epoch at a time, and asked what the target is asked."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .attack import Signals
from .compiled_pass import AskedRecords, NonFiniteOutputs, Queries, SignalPass
from .engine_choice import EngineChoice
from .fresh_model import state_variables
from .parked_states import ParkedStates
from .shadow_pool import ShadowPool
from .shadow_signals import ShadowSignals
from .training_data import epoch_order


class ShadowRequest(NamedTuple):
    """Names of signals to ask shadow models for: on the audited records, on the population."""

    names: tuple[str, ...]
    population_names: tuple[str, ...]


class Fleet:
    """Some shadow models and where each of them stands.

    Args:
      assignment: bool[m, p], which model trains on which record of the pool.
      pool: the records.
      asked: the records that signals are wanted of, in the order of `pool.audited`.
      made: a compiled shadow model that none of the engine's is: the one that is asked.
      choice: the engine.
      loss: to audit by instead of the compiled one; see `SignalPass`.
      ask_batch_size: the most records in one forward pass.
      output: see `SignalPass`.
      share: of a pass over its records that an epoch is.
      memory_limit: bytes of models and optimizers to hold in memory; what exceeds it is parked in temporary files.
      seed: decides the order of training.
    Attributes:
      epoch: how many epochs the fleet has been trained.
      failures: why a shadow model was left out, by its number.
      losses: the mean training loss of each model in the newest epoch; NaN for those left out.
    """

    def __init__(
        self,
        assignment: NDArray[np.bool_],
        pool: ShadowPool,
        asked: AskedRecords,
        made: Any,
        choice: EngineChoice,
        *,
        loss: Any = None,
        ask_batch_size: int | None = None,
        output: str | int | None = None,
        share: float = 1.0,
        memory_limit: int | None = None,
        seed: int = 0,
    ) -> None:
        self.epoch = 0
        self.failures: dict[int, str] = {}
        self.losses = np.full(len(assignment), np.nan)
        self._assignment, self._audited, self._share, self._seed = assignment, pool.audited, share, seed
        self._engine, self._batch_size = choice.engine, choice.engine.batch_size
        self._model = made
        self._pass = SignalPass(self._model, asked, loss, ask_batch_size, output)
        self._states = ParkedStates(memory_limit)
        for shadow in range(len(assignment)):
            self._states[shadow] = self._engine.initial(shadow)

    @property
    def num_models(self) -> int:
        """m, failed ones included."""
        return len(self._assignment)

    @property
    def engine(self) -> str:
        """The engine's name."""
        return self._engine.name

    @property
    def alive(self) -> list[int]:
        """The shadow models that have not failed."""
        return [shadow for shadow in range(self.num_models) if shadow not in self.failures]

    @property
    def steps_per_epoch(self) -> int:
        """Training steps of the shadow model with the most records."""
        longest = math.ceil(self._share * int(self._assignment.sum(axis=1).max()))
        return -(-longest // self._batch_size)

    def train_epoch(
        self, rates: NDArray[np.float32] | None = None, done: Callable[[int], None] = lambda count: None
    ) -> None:
        """Moves every shadow model on by one epoch.

        A model whose loss is NaN or infinite, or whose training fails, is left out from then on and named in `failures`.

        Args:
          rates: float[steps], the learning rate of each of the target's steps; None = the optimizer's own.
          done: called with the number of models trained so far.
        Raises:
          RuntimeError: if no model is left.
        """
        self.losses = np.full(self.num_models, np.nan)
        now = f"in epoch {self.epoch + 1}"
        for count, (shadow, outcome) in enumerate(
            _in_threads(self._train_one, self.alive, rates, self._engine.workers)
        ):
            if isinstance(outcome, Exception):
                self._fail(shadow, now, f"{type(outcome).__name__}: {outcome}")
            elif not np.isfinite(outcome):
                self._fail(shadow, now, f"its training loss became {outcome}")
            else:
                self.losses[shadow] = outcome
            done(count + 1)
        self.epoch += 1
        if not self.alive:
            raise RuntimeError(self._all_failed())

    def signals(self, request: ShadowRequest, queries: Queries = (), final: bool = False) -> ShadowSignals:
        """The shadow models' answers as they stand; failed models are left out.

        Args:
          request: names of signals.
          queries: see `SignalPass.signals`.
          final: ask with the weights that `fit` would leave behind if it ended here; see `Engine.weights`.
        Raises:
          RuntimeError: if no model gives finite answers.
        """
        names, population_names = request
        answers: dict[int, tuple[Signals, Signals | None]] = {}
        for shadow in self.alive:
            self._load(shadow, final)
            try:
                population = self._pass.population_signals(population_names, queries) if population_names else None
                answers[shadow] = self._pass.signals(names, queries), population
            except NonFiniteOutputs as reason:
                self._fail(shadow, f"asked after epoch {self.epoch}", str(reason))
        if not answers:
            raise RuntimeError(self._all_failed())
        in_pool = self._audited >= 0
        trained_on = self._assignment[np.ix_(np.array(list(answers)), np.maximum(self._audited, 0))] & in_pool
        return ShadowSignals(
            _stacked(names, (own for own, _ in answers.values())),
            trained_on,
            _stacked(population_names, (other for _, other in answers.values())) if population_names else None,
        )

    def close(self) -> None:
        """Removes parked states; the fleet can be neither trained nor asked afterwards."""
        self._states.close()

    def _train_one(self, shadow: int, rates: NDArray[np.float32] | None) -> float:
        order = epoch_order(self._assignment[shadow], (self._seed, shadow, 2), self.epoch, self._share)
        fitted, first_step = self._fitted(rates, len(order)), self.epoch * self.steps_per_epoch
        state, loss = self._engine.train(shadow, self._states[shadow], order, fitted, first_step)
        self._states[shadow] = state
        return loss

    def _fitted(self, rates: NDArray[np.float32] | None, records: int) -> NDArray[np.float32] | None:
        """The target's learning rates over its epoch, stretched over a shadow model's number of steps."""
        if rates is None:
            return None
        steps = -(-records // self._batch_size)
        return rates[np.arange(steps) * len(rates) // steps]

    def _load(self, shadow: int, final: bool) -> None:
        weights = self._engine.weights(shadow, self._states[shadow], final)
        for variable, value in zip(state_variables(self._model), weights, strict=False):
            variable.assign(value)

    def _all_failed(self) -> str:
        return f"all {self.num_models} shadow models failed; the first: {self.failures[min(self.failures)]}."

    def _fail(self, shadow: int, when: str, reason: str) -> None:
        said = " ".join(reason.split()).rstrip(".")
        self.failures[shadow] = f"{when}: {said}"
        del self._states[shadow]
        self._engine.forget(shadow)


def _stacked(names: Iterable[str], answers: Iterable[Any]) -> dict[str, NDArray[np.float32]]:
    several = list(answers)
    return {name: np.stack([one[name] for one in several]).astype(np.float32) for name in names}


def _in_threads(work: Callable[..., Any], items: list[int], argument: Any, workers: int) -> Iterator[tuple[int, Any]]:
    """(item, what `work(item, argument)` gave or raised) as they come; one thread where one is enough."""
    if workers == 1:
        for item in items:
            yield item, _outcome(work, item, argument)
        return
    with ThreadPoolExecutor(workers, thread_name_prefix="shadow") as pool:
        running: dict[Future[Any], int] = {pool.submit(_outcome, work, item, argument): item for item in items}
        try:
            while running:
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    yield running.pop(future), future.result()
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)  # those that run are waited for on the way out
            raise


def _outcome(work: Callable[..., Any], item: int, argument: Any) -> Any:
    try:
        return work(item, argument)
    except Exception as reason:
        return reason

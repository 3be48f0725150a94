"""Shadow models trained by one compiled program over resident data, a whole epoch at a time."""

from __future__ import annotations

import inspect
import queue
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from .fresh_model import FreshModels, state_variables
from .shadow_engine import State, learning_rate_variable
from .training_data import Augmentation, TrainingData


class _Worker:
    """One Keras model that shadow models take turns in, and the program that trains it."""

    def __init__(self, fresh: FreshModels, data: TrainingData, longest: int, xla: bool) -> None:
        self._data, self._most_steps, shadow = data, longest // data.batch_size, 0
        self.model = fresh.make_compiled(shadow)
        self._augment = Augmentation(data.augment, data.x, fresh.augmentation_seed(shadow))
        self._variables = [*state_variables(self.model), *self._augment.variables]
        self._loss_takes_training = "training" in inspect.signature(self.model.compute_loss).parameters
        self._rate = learning_rate_variable(self.model.optimizer)
        self._many = tf.function(self._steps, autograph=False, jit_compile=xla)
        # The rest of an epoch, smaller than a batch: one trace for all its sizes.
        specs = tf.TensorSpec([None], tf.int32), tf.TensorSpec([], tf.float32), tf.TensorSpec([2], tf.int32)
        self._last = tf.function(self._step, autograph=False, input_signature=specs)

    def load(self, state: State) -> None:
        for variable, value in zip(self._variables, state, strict=True):
            variable.assign(value)

    def state(self) -> State:
        # A copy: what a variable hands out may share its memory, which the next shadow model overwrites.
        return [tf.raw_ops.DeepCopy(x=tf.convert_to_tensor(variable.value)) for variable in self._variables]

    def train(
        self,
        shadow_seed: int,
        order: NDArray[np.int32],
        rates: NDArray[np.float32] | None,
        first_step: int,
        steps: int | None = None,
    ) -> float:
        """The mean loss over steps; `steps` ends the epoch early (to measure)."""
        size, most = self._data.batch_size, self._most_steps
        whole = len(order) // size
        count = whole if steps is None else min(steps, whole)
        rates = self._rates_of(whole + 1) if rates is None else rates
        seed, total = tf.constant([shadow_seed, first_step], tf.int32), 0.0
        if count:
            # Epochs of unequal length are padded to one shape; the program stops at `count`.
            batches = np.resize(order[: whole * size], (most, size))
            total = float(self._many(batches, np.resize(rates[:whole], most), tf.constant(count), seed))
        rest = order[whole * size :]
        if len(rest) and steps is None:
            seed = tf.constant([shadow_seed, first_step + whole], tf.int32)
            total += float(self._last(tf.constant(rest), tf.constant(rates[whole], tf.float32), seed))
            count += 1
        return total / max(1, count)

    def warm_up(self) -> None:
        """Traces and compiles both programs."""
        size, seed = self._data.batch_size, tf.constant([0, 0])
        if self._most_steps:
            batches = np.zeros((self._most_steps, size), np.int32)
            self._many(batches, self._rates_of(self._most_steps), tf.constant(1), seed)
        self._last.get_concrete_function()

    def _rates_of(self, steps: int) -> NDArray[np.float32]:
        """The optimizer's own learning rate for so many steps."""
        return np.full(steps, 0.0 if self._rate is None else float(np.asarray(self._rate)), np.float32)

    def _steps(self, batches: Any, rates: Any, count: Any, seed: Any) -> Any:
        def one(index: Any, total: Any) -> Any:
            return index + 1, total + self._step(batches[index], rates[index], tf.stack([seed[0], seed[1] + index]))

        start = tf.constant(0), tf.constant(0.0)
        return tf.while_loop(lambda index, _: index < count, one, start, parallel_iterations=1)[1]

    def _step(self, rows: Any, rate: Any, seed: Any) -> Any:
        """What `Model.train_step` does, metrics apart."""
        model, optimizer = self.model, self.model.optimizer
        if self._rate is not None:
            self._rate.assign(tf.cast(rate, self._rate.dtype))
        x, y, weights = self._data.batch(rows)
        x = self._augment(x, seed)
        extra = {"training": True} if self._loss_takes_training else {}
        with tf.GradientTape() as tape:
            outputs = model(x, training=True)
            loss = model.compute_loss(x=x, y=y, y_pred=outputs, sample_weight=weights, **extra)
            scaled = optimizer.scale_loss(loss)
        variables = model.trainable_variables
        optimizer.apply(tape.gradient(scaled, variables), variables)
        return tf.cast(loss, tf.float32)


class CompiledEngine:
    """A whole epoch as one graph over resident records, run for one shadow model after the other in the same Keras model.

    The arithmetic of a step is Keras' own (`compute_loss`, `Optimizer.apply`); what is left out is the way back to Python
    after each step, the input pipeline and the metrics.

    Args:
      fresh: makes the models.
      data: the pool.
      longest: the most records that any shadow model trains on in an epoch.
      xla: compile the program with XLA.
      workers: threads, each with a model of its own.
    """

    def __init__(self, fresh: FreshModels, data: TrainingData, longest: int, xla: bool, workers: int) -> None:
        self.name = "xla" if xla else "compiled"
        self.group_size = 1
        self.workers = workers
        self.batch_size = data.batch_size
        self._fresh, self._data = fresh, data
        everyone = [_Worker(fresh, data, longest, xla) for _ in range(workers)]
        self._everyone = everyone
        self._idle: queue.LifoQueue[_Worker] = queue.LifoQueue()
        for worker in everyone:
            worker.warm_up()  # one after the other: Keras is not traced in threads
            self._idle.put(worker)

    def initial(self, shadows: Sequence[int]) -> State:
        """Weights drawn afresh, by the shadow's own seed, and an optimizer built on them (some start from the weights)."""
        (shadow,) = shadows
        made = self._fresh.make_compiled(shadow)
        augment = Augmentation(self._data.augment, self._data.x, self._fresh.augmentation_seed(shadow))
        return [tf.convert_to_tensor(variable.value) for variable in [*state_variables(made), *augment.variables]]

    def train(
        self,
        shadows: Sequence[int],
        state: State,
        orders: Sequence[NDArray[np.int32]],
        rates: Sequence[NDArray[np.float32]] | None,
        first_step: int = 0,
    ) -> tuple[State, NDArray[np.float64]]:
        """See `Engine`."""
        (shadow,), (order,) = shadows, orders
        worker = self._idle.get()
        try:
            worker.load(state)
            seed = self._fresh.augmentation_seed(shadow)
            loss = worker.train(seed, order, None if rates is None else rates[0], first_step)
            return worker.state(), np.array([loss])
        finally:
            self._idle.put(worker)

    def weights(self, shadows: Sequence[int], state: State, final: bool = False) -> Iterator[list[Any]]:
        """See `Engine`."""
        if not final:
            yield state
            return
        worker = self._idle.get()
        try:
            worker.load(state)
            worker.model.optimizer.finalize_variable_values(worker.model.trainable_variables)
            yield worker.state()
        finally:
            self._idle.put(worker)

    def packed(self, shadows: Sequence[int], state: State) -> list[Any]:
        """The state as it is."""
        return state

    def unpacked(self, shadows: Sequence[int], values: list[Any]) -> State:
        """The values as they are."""
        return values

    def forget(self, shadows: Sequence[int]) -> None:
        """Nothing is kept."""

    def seconds(self, state: State, order: NDArray[np.int32], steps: int) -> float:
        """How long so many steps take on all workers at the same time."""

        def some(worker: _Worker) -> None:
            worker.load(state)
            worker.train(0, order, None, 0, steps)

        start = time.perf_counter()
        with ThreadPoolExecutor(self.workers) as pool:
            list(pool.map(some, self._everyone))
        return time.perf_counter() - start

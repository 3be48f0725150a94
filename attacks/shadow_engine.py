"""How a shadow model is trained for one epoch: by one compiled program over resident data, or by `fit`."""

from __future__ import annotations

import inspect
import queue
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from .fresh_model import FreshModels, own_random_state, state_variables, untrained_variables
from .training_data import Augmentation, TrainingData

State = list[Any]


class Engine(Protocol):
    """Trains shadow models whose whole state (weights, statistics, seeds, optimizer) stands between epochs outside of it.

    Attributes:
      name: what to call it.
      workers: how many shadow models may be trained at the same time, each call of `train` in a thread.
      batch_size: records in a training step.
    """

    name: str
    workers: int
    batch_size: int

    def initial(self, shadow: int) -> State:
        """A shadow model's state before training."""

    def train(
        self,
        shadow: int,
        state: State,
        order: NDArray[np.int32],
        rates: NDArray[np.float32] | None,
        first_step: int = 0,
    ) -> tuple[State, float]:
        """One epoch over the records named by `order`.

        Args:
          shadow: its number.
          state: where it stands.
          order: int32[r], rows of the pool.
          rates: float32[⌈r / batch size⌉], the learning rate of each step; None = the optimizer's own.
          first_step: how many steps it has made before, which decides an augmentation function's seeds.
        Returns:
          The new state, and the mean of the training loss over steps.
        """

    def weights(self, shadow: int, state: State, final: bool = False) -> list[Any]:
        """The values of its trainable and untrained variables, in the order of `state_variables`.

        Args:
          shadow: its number.
          state: where it stands.
          final: as `fit` leaves them when it ends (an averaging optimizer then puts the averages in place); its training may
            go on from `state` all the same.
        """

    def forget(self, shadow: int) -> None:
        """Lets go of whatever it keeps of a shadow model."""


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
        self.workers = workers
        self.batch_size = data.batch_size
        self._fresh, self._data = fresh, data
        everyone = [_Worker(fresh, data, longest, xla) for _ in range(workers)]
        self._everyone = everyone
        self._idle: queue.LifoQueue[_Worker] = queue.LifoQueue()
        for worker in everyone:
            worker.warm_up()  # one after the other: Keras is not traced in threads
            self._idle.put(worker)

    def initial(self, shadow: int) -> State:
        """Weights drawn afresh, by the shadow's own seed, and an optimizer built on them (some start from the weights)."""
        made = self._fresh.make_compiled(shadow)
        augment = Augmentation(self._data.augment, self._data.x, self._fresh.augmentation_seed(shadow))
        return [tf.convert_to_tensor(variable.value) for variable in [*state_variables(made), *augment.variables]]

    def train(
        self,
        shadow: int,
        state: State,
        order: NDArray[np.int32],
        rates: NDArray[np.float32] | None,
        first_step: int = 0,
    ) -> tuple[State, float]:
        """See `Engine`."""
        worker = self._idle.get()
        try:
            worker.load(state)
            loss = worker.train(self._fresh.augmentation_seed(shadow), order, rates, first_step)
            return worker.state(), loss
        finally:
            self._idle.put(worker)

    def weights(self, shadow: int, state: State, final: bool = False) -> list[Any]:
        """See `Engine`."""
        if not final:
            return state
        worker = self._idle.get()
        try:
            worker.load(state)
            worker.model.optimizer.finalize_variable_values(worker.model.trainable_variables)
            return worker.state()
        finally:
            self._idle.put(worker)

    def forget(self, shadow: int) -> None:
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


class FitEngine:
    """`Model.fit`, one Keras model a shadow model: for models with a `train_step` of their own, whatever state they keep.

    Args:
      fresh: makes the models.
      data: the pool.
    """

    def __init__(self, fresh: FreshModels, data: TrainingData) -> None:
        self.name = "fit"
        self.workers = 1  # Keras models share global state while they are traced
        self.batch_size = data.batch_size
        self._fresh, self._data = fresh, data
        self._models: dict[int, tuple[Any, Augmentation]] = {}

    def initial(self, shadow: int) -> State:
        """Makes the model, in which its whole state stays: nothing is handed out."""
        model = self._fresh.make_compiled(shadow)
        augment = Augmentation(self._data.augment, self._data.x, self._fresh.augmentation_seed(shadow))
        self._models[shadow] = model, augment
        return []

    def train(
        self,
        shadow: int,
        state: State,
        order: NDArray[np.int32],
        rates: NDArray[np.float32] | None,
        first_step: int = 0,
        watch: Any = None,
    ) -> tuple[State, float]:
        """See `Engine`; `state` is not read. `watch` is a further callback."""
        model, augment = self._models[shadow]
        seed = self._fresh.augmentation_seed(shadow)
        batches = tf.data.Dataset.from_tensor_slices(order).batch(self._data.batch_size).enumerate(first_step)

        def batch(step: Any, rows: Any) -> Any:
            x, y, weights = self._data.batch(rows)
            x = augment(x, tf.stack([tf.constant(seed, tf.int32), tf.cast(step, tf.int32)]))
            return (x, y) if weights is None else (x, y, weights)

        raw = _RawWeights()
        callbacks = [raw] if watch is None else [raw, watch]
        if rates is not None and learning_rate_variable(model.optimizer) is not None:
            callbacks.append(_Rates(rates))
        with own_random_state(seed, first_step):
            history = model.fit(batches.map(batch), epochs=1, verbose=0, shuffle=False, callbacks=callbacks)
        raw.put_back()
        return [], float(history.history.get("loss", [0.0])[-1])

    def weights(self, shadow: int, state: State, final: bool = False) -> list[Any]:
        """See `Engine`."""
        model, _ = self._models[shadow]
        own = [*model.trainable_variables, *untrained_variables(model)]
        if not final or not finalizes(model.optimizer):
            return [variable.value for variable in own]
        raw = [np.array(variable) for variable in model.trainable_variables]
        model.optimizer.finalize_variable_values(model.trainable_variables)
        values = [np.array(variable) for variable in own]
        for variable, value in zip(model.trainable_variables, raw, strict=True):
            variable.assign(value)
        return values

    def forget(self, shadow: int) -> None:
        """Lets go of its model."""
        self._models.pop(shadow, None)


class _RawWeights(keras.callbacks.Callback):
    """Undoes what `fit` does when it ends, for an epoch that is not the last: putting averages in the place of weights."""

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        if finalizes(self.model.optimizer):
            self._kept = [np.array(variable) for variable in self.model.trainable_variables]

    def put_back(self) -> None:
        """Once `fit` has returned."""
        if finalizes(self.model.optimizer):
            for variable, value in zip(self.model.trainable_variables, self._kept, strict=True):
                variable.assign(value)


class _Rates(keras.callbacks.Callback):
    def __init__(self, rates: NDArray[np.float32]) -> None:
        super().__init__()
        self._rates = rates

    def on_train_batch_begin(self, batch: int, logs: Any = None) -> None:
        rate = self._rates[min(batch, len(self._rates) - 1)]
        self.model.optimizer.learning_rate.assign(float(rate))


def finalizes(optimizer: Any) -> bool:
    """True if the optimizer changes the weights once more when `fit` ends, as averaging ones do."""
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    if not isinstance(inner, keras.optimizers.Optimizer):
        return False
    own = type(inner).finalize_variable_values is not keras.optimizers.Optimizer.finalize_variable_values
    return own or bool(getattr(inner, "use_ema", False))


def learning_rate_variable(optimizer: Any) -> Any:
    """The optimizer's learning rate as a Keras variable; None if a schedule (or nothing) decides it."""
    if optimizer is None:
        return None
    inner = getattr(optimizer, "inner_optimizer", optimizer)
    rate = getattr(inner, "learning_rate", None)
    return rate if isinstance(rate, keras.Variable) else None

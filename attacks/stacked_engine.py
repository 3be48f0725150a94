"""Shadow models trained many at a time: every weight with an axis of models, one program for all of them."""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from .epoch_segments import Segment, epoch_segments, steps_of
from .fresh_model import FreshModels, state_variables, untrained_variables
from .fused_adam import FusedAdamProgram, can_be_fused
from .model_layers import has_recurrence, layers_of, unfoldable_convolution
from .shadow_engine import State
from .stacked_program import StackedProgram
from .stacked_step import StackedStep
from .stateless_optimizer import why_not_stateless
from .training_data import Augmentation, TrainingData
from .vectorized_convolutions import vectorize_convolutions
from .vectorized_draws import vectorize_draws

# More together gain little: the operations are large enough by then, and the state outgrows the caches.
_MOST_TOGETHER = 16
_FEWEST_TOGETHER = 4
_BYTES_TOGETHER = 2**29
_LONGEST_REASON = 200
_REFUSAL = "the engine 'stacked' cannot train this model: {}; give engine='compiled' or 'auto'."


def why_not_stacked(model: Any, data: TrainingData) -> str:
    """Why models such as this one cannot be trained stacked.

    Args:
      model: compiled.
      data: what they are trained on.
    Returns:
      A clause; "" if they can, as far as can be told without tracing a step.
    """
    if type(model).train_step is not keras.Model.train_step:
        return f"{type(model).__name__} has a train_step of its own"
    if model.run_eagerly:
        return "the model is compiled to run eagerly"
    leaves = tf.nest.flatten([data.x, data.y])
    if any(isinstance(leaf, tf.RaggedTensor) or leaf.dtype == tf.string for leaf in leaves):
        return "ragged inputs and strings do not stack"
    convolution = unfoldable_convolution(model)
    if convolution is not None:
        return f"convolutions in three dimensions, in groups or with channels first ({convolution.name}) do not stack"
    for layer in layers_of(model):
        if layer.compute_dtype != layer.variable_dtype:
            return f"{layer.name} computes in {layer.compute_dtype} on weights in {layer.variable_dtype}"
    return why_not_stateless(model.optimizer)


class StackedEngine:
    """Groups of shadow models whose steps are made together: a step of one is traced and vectorized over an axis of models.

    The arithmetic of a step is Keras' own (`compute_loss`, `Optimizer.apply`), and random layers draw what they would draw
    alone. Epochs of unequal length are exact: whole batches are made by all models that have one left, rests by those whose
    rests are of one size.

    Args:
      fresh: makes the models.
      data: the pool.
      num_models: how many there will be, which decides the size of groups.
      workers: how many groups may be trained at the same time, if there are models enough.
    Raises:
      ValueError: if the models cannot be stacked.
    """

    def __init__(self, fresh: FreshModels, data: TrainingData, num_models: int = 1, workers: int = 1) -> None:
        self.name = "stacked"
        # One stack alone leaves cores idle between its large operations; two small ones lose more than that.
        self.workers = max(1, min(workers, num_models // _FEWEST_TOGETHER))
        self.batch_size = data.batch_size
        self._fresh, self._data = fresh, data
        self._programs: dict[tuple[bool, int | None], StackedProgram | FusedAdamProgram] = {}
        self._tracing = threading.Lock()
        vectorize_draws()
        vectorize_convolutions()
        try:
            self._step = StackedStep(fresh, data)
            reason = why_not_stacked(self._step.model, data)
            if not reason:
                size = sum(map(_bytes, self._step.flat_variables))
                self.group_size = group_size(num_models, size, self.workers)
                self._fusible = can_be_fused(self._step)
                # A loop takes seconds to trace: rather one program for stacks of all sizes.
                self._program(self._fusible, None if has_recurrence(self._step.model) else self.group_size)
        except Exception as error:  # what cannot be vectorized shows itself in many ways
            said = " ".join(str(error).split())[:_LONGEST_REASON]
            raise ValueError(_REFUSAL.format(f"{type(error).__name__}: {said}")) from error
        if reason:
            raise ValueError(_REFUSAL.format(reason))

    def initial(self, shadows: Sequence[int]) -> State:
        """Weights drawn afresh, each model's by its own seed; the optimizer's variables are the same for all."""
        slots = [tf.convert_to_tensor(variable.value) for variable in self._step.variables.slots]
        states = []
        for shadow in shadows:
            made = self._fresh.make(shadow)
            augment = Augmentation(self._data.augment, self._data.x, self._fresh.augmentation_seed(shadow))
            own = [*made.trainable_variables, *untrained_variables(made)]
            states.append([*(one.value for one in own), *slots, *(one.value for one in augment.variables)])
        return [tf.stack(values) for values in zip(*states, strict=True)]

    def train(
        self,
        shadows: Sequence[int],
        state: State,
        orders: Sequence[NDArray[np.int32]],
        rates: Sequence[NDArray[np.float32]] | None,
        first_step: int = 0,
    ) -> tuple[State, NDArray[np.float64]]:
        """See `Engine`."""
        seeds = np.array([[self._fresh.augmentation_seed(shadow), first_step] for shadow in shadows], np.int32)
        steps = np.array([steps_of(order, self.batch_size) for order in orders])
        totals = np.zeros(len(shadows))
        for segment in epoch_segments(orders, self.batch_size):
            state, losses = self._advanced(state, segment, rates, seeds)
            totals[segment.members] += losses
        return state, totals / np.maximum(steps, 1)

    def weights(self, shadows: Sequence[int], state: State, final: bool = False) -> Iterator[list[Any]]:
        """See `Engine`."""
        model = self._step.model
        for place in range(len(shadows)):
            own = [values[place] for values in state]
            if not final:
                yield own
                continue
            variables = state_variables(model)
            for variable, value in zip(variables, own, strict=False):
                variable.assign(value)
            model.optimizer.finalize_variable_values(model.trainable_variables)
            yield [tf.raw_ops.DeepCopy(x=tf.convert_to_tensor(variable.value)) for variable in variables]

    def packed(self, shadows: Sequence[int], state: State) -> list[Any]:
        """The state as it is."""
        return state

    def unpacked(self, shadows: Sequence[int], values: list[Any]) -> State:
        """The values as they are."""
        return values

    def forget(self, shadows: Sequence[int]) -> None:
        """Nothing is kept."""

    def sample_state(self) -> State:
        """A state of a whole group to measure with: everybody alike."""
        values = [variable.value for variable in self._step.flat_variables]
        return [tf.stack([value] * self.group_size) for value in values]

    def seconds(self, state: State, order: NDArray[np.int32], steps: int) -> float:
        """How long so many steps take with all workers busy."""
        group = range(self.group_size)
        orders = [order[: steps * self.batch_size]] * len(group)

        def some(_: int) -> None:
            self.train(group, state, orders, None)

        start = time.perf_counter()
        with ThreadPoolExecutor(self.workers) as pool:
            list(pool.map(some, range(self.workers)))
        return time.perf_counter() - start

    def _advanced(
        self,
        state: State,
        segment: Segment,
        rates: Sequence[NDArray[np.float32]] | None,
        seeds: NDArray[np.int32],
    ) -> tuple[State, NDArray[np.float64]]:
        """After a segment: the group's state, and the sum of each member's losses."""
        members = segment.members
        everyone = len(members) == len(seeds)
        part = list(state) if everyone else [tf.gather(values, members) for values in state]
        own_rates = self._rates(part, segment, rates)
        own_seeds = seeds[members] + np.stack([np.zeros_like(segment.first), segment.first], 1)
        fused = self._fusible and self._step.agree(part, own_rates)
        size = len(members) if (fused, len(members)) in self._programs else None
        given = part, segment.rows, own_rates, own_seeds
        if size is None and len(members) == 1:
            given = _doubled(*given)
        new, losses = self._program(fused, size)(*given)
        if len(new[0]) > len(members):
            new, losses = [values[:1] for values in new], losses[:1]
        if everyone:
            return new, losses.numpy()
        together = [
            tf.tensor_scatter_nd_update(old, members[:, None], own) for old, own in zip(state, new, strict=True)
        ]
        return together, losses.numpy()

    def _program(self, fused: bool, size: int | None) -> StackedProgram | FusedAdamProgram:
        """The program for stacks of this size, or of any (None); traced once."""
        with self._tracing:
            if (fused, size) not in self._programs:
                program = FusedAdamProgram(self._step, size) if fused else StackedProgram(self._step, size)
                with _quiet():
                    program.trace()
                self._programs[fused, size] = program
            return self._programs[fused, size]

    def _rates(
        self, state: State, segment: Segment, rates: Sequence[NDArray[np.float32]] | None
    ) -> NDArray[np.float32]:
        """float32[steps, k]: the learning rates given, or those that stand in the state."""
        shape = segment.steps, len(segment.members)
        if rates is not None:
            pairs = zip(segment.members, segment.first, strict=True)
            return np.stack([rates[one][first : first + segment.steps] for one, first in pairs], 1)
        index = self._step.optimizer.rate_index
        if index is None:
            return np.zeros(shape, np.float32)
        return np.broadcast_to(np.asarray(self._step.cut(state).slots[index], np.float32), shape)


def _doubled(state: State, rows: Any, rates: Any, seeds: Any) -> tuple[State, Any, Any, Any]:
    """A model beside itself: some conversions of TensorFlow's mistake one of an unknown number for none."""
    return [tf.repeat(values, 2, 0) for values in state], rows.repeat(2, 1), rates.repeat(2, 1), seeds.repeat(2, 0)


def group_size(num_models: int, model_bytes: int, workers: int = 1) -> int:
    """How many models to train together: groups of about equal size, none too large for memory or of use.

    Args:
      num_models: of the fleet.
      model_bytes: of one model's state.
      workers: groups that are trained at the same time.
    """
    most = max(1, min(_MOST_TOGETHER, num_models, _BYTES_TOGETHER // max(1, model_bytes * workers)))
    rounds = math.ceil(num_models / (most * workers))
    return math.ceil(num_models / (rounds * workers))


def _bytes(variable: Any) -> int:
    return int(np.prod(variable.shape, dtype=np.int64)) * tf.as_dtype(variable.dtype).size


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without TensorFlow's log of what it could not vectorize, which is said in a sentence of ours."""
    logger = tf.get_logger()

    def below_error(record: logging.LogRecord) -> bool:
        return "pfor" not in record.pathname

    logger.addFilter(below_error)
    try:
        yield
    finally:
        logger.removeFilter(below_error)

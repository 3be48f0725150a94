"""A training step of one shadow model as a function of its state, which `tf.vectorized_map` makes one of many models."""

from __future__ import annotations

import inspect
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from .fresh_model import FreshModels, untrained_variables
from .stateless_optimizer import StatelessOptimizer
from .training_data import Augmentation, TrainingData


class Parts(NamedTuple):
    """A state cut up: lists of tensors, or of variables.

    Attributes:
      weights: trained.
      untrained: statistics, seeds of random layers, frozen weights.
      slots: the optimizer's.
      augment: what an augmentation layer keeps.
    """

    weights: list[Any]
    untrained: list[Any]
    slots: list[Any]
    augment: list[Any]


class StackedStep:
    """What `Model.train_step` does, metrics apart, on values instead of variables.

    Args:
      fresh: makes the model in which the step is traced; its own weights are not read.
      data: the pool.
    Attributes:
      model: a compiled shadow model.
      optimizer: its optimizer as a function.
      variables: the Keras variables that a state stands for.
    """

    def __init__(self, fresh: FreshModels, data: TrainingData) -> None:
        self.model = model = fresh.make_compiled(0)
        self.optimizer = StatelessOptimizer(model)
        self._data = data
        self._augment = Augmentation(data.augment, data.x, fresh.augmentation_seed(0))
        self.variables = Parts(
            model.trainable_variables, untrained_variables(model), self.optimizer.variables, self._augment.variables
        )
        self._loss_takes_training = "training" in inspect.signature(model.compute_loss).parameters

    @property
    def flat_variables(self) -> list[Any]:
        """All of them, in the order of a state."""
        return [variable for some in self.variables for variable in some]

    def agree(self, state: list[Any], rates: Any) -> bool:
        """True if stacked models have made the same number of steps and will make the next ones at the same rates."""
        iterations = np.asarray(self.cut(state).slots[self.optimizer.iterations_index])
        return bool((iterations == iterations[0]).all() and (rates == rates[:, :1]).all())

    def cut(self, state: Any) -> Parts:
        """The parts of a state, which is a flat list."""
        state, parts = list(state), []
        for some in self.variables:
            parts.append(state[: len(some)])
            state = state[len(some) :]
        return Parts(*parts)

    def gradients(self, state: Parts, rows: Any, seed: Any) -> tuple[Any, list[Any], Parts]:
        """Forward and backward on the records at `rows`.

        Args:
          state: one model's.
          rows: int32[b].
          seed: int32[2], for an augmentation function.
        Returns:
          The loss, the gradient of each weight (dense, sparse, or None), and the state with new statistics and seeds.
        """
        model = self.model
        x, y, weights = self._data.batch(rows)
        with self._scope(state) as scope, tf.GradientTape() as tape:
            tape.watch(state.weights)
            x = self._augment(x, seed)
            outputs = model(x, training=True)
            extra = {"training": True} if self._loss_takes_training else {}
            loss = model.compute_loss(x=x, y=y, y_pred=outputs, sample_weight=weights, **extra)
            scaled = model.optimizer.scale_loss(loss)
        return tf.cast(loss, tf.float32), tape.gradient(scaled, state.weights), self._after(scope)

    def update(self, state: Parts, gradients: list[Any], rate: Any) -> Parts:
        """The optimizer's step, with this learning rate unless a schedule decides it."""
        index = self.optimizer.rate_index
        slots = list(state.slots)
        if index is not None:
            slots[index] = tf.cast(rate, slots[index].dtype)
        with self._scope(state._replace(slots=slots)) as scope:
            self.optimizer.apply(gradients)
        return self._after(scope)

    def rate(self, slots: list[Any]) -> Any:
        """The learning rate that an optimizer in this state would take."""
        with keras.StatelessScope(state_mapping=list(zip(self.variables.slots, slots, strict=True))):
            return self.optimizer.rate

    def _scope(self, state: Parts) -> Any:
        mapping = [pair for some in zip(self.variables, state, strict=True) for pair in zip(*some, strict=True)]
        # compute_loss counts into metrics, which nobody reads.
        mapping += [(metric, tf.zeros(metric.shape, metric.dtype)) for metric in self.model.metrics_variables]
        return keras.StatelessScope(state_mapping=mapping, collect_losses=True)

    def _after(self, scope: Any) -> Parts:
        return Parts(*([scope.get_current_value(variable) for variable in some] for some in self.variables))

"""Shadow models trained by `Model.fit`, whatever their `train_step` does."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from .fresh_model import FreshModels, state_variables, untrained_variables
from .random_state import own_random_state
from .shadow_engine import State, finalizes, learning_rate_variable
from .training_data import Augmentation, TrainingData


class FitEngine:
    """`Model.fit`, one Keras model a shadow model: for models with a `train_step` of their own, whatever state they keep.

    Args:
      fresh: makes the models.
      data: the pool.
    """

    def __init__(self, fresh: FreshModels, data: TrainingData) -> None:
        self.name = "fit"
        self.group_size = 1
        self.workers = 1  # Keras models share global state while they are traced
        self.batch_size = data.batch_size
        self._fresh, self._data = fresh, data
        self._models: dict[int, tuple[Any, Augmentation]] = {}

    def initial(self, shadows: Sequence[int]) -> State:
        """Makes the model, in which its whole state stays: nothing is handed out."""
        (shadow,) = shadows
        model = self._fresh.make_compiled(shadow)
        augment = Augmentation(self._data.augment, self._data.x, self._fresh.augmentation_seed(shadow))
        self._models[shadow] = model, augment
        return []

    def train(
        self,
        shadows: Sequence[int],
        state: State,
        orders: Sequence[NDArray[np.int32]],
        rates: Sequence[NDArray[np.float32]] | None,
        first_step: int = 0,
        watch: Any = None,
    ) -> tuple[State, NDArray[np.float64]]:
        """See `Engine`; `state` is not read. `watch` is a further callback."""
        (shadow,), (order,) = shadows, orders
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
            callbacks.append(_Rates(rates[0]))
        with own_random_state(seed, first_step):
            history = model.fit(batches.map(batch), epochs=1, verbose=0, shuffle=False, callbacks=callbacks)
        raw.put_back()
        return [], np.array([history.history.get("loss", [0.0])[-1]], np.float64)

    def weights(self, shadows: Sequence[int], state: State, final: bool = False) -> Iterator[list[Any]]:
        """See `Engine`."""
        model, _ = self._models[shadows[0]]
        own = [*model.trainable_variables, *untrained_variables(model)]
        if not final or not finalizes(model.optimizer):
            yield [variable.value for variable in own]
            return
        raw = [np.array(variable) for variable in model.trainable_variables]
        model.optimizer.finalize_variable_values(model.trainable_variables)
        values = [np.array(variable) for variable in own]
        for variable, value in zip(model.trainable_variables, raw, strict=True):
            variable.assign(value)
        yield values

    def packed(self, shadows: Sequence[int], state: State) -> list[Any]:
        """Every variable of the model, of its optimizers and of the augmentation."""
        return [tf.convert_to_tensor(variable.value) for variable in self._variables(shadows)]

    def unpacked(self, shadows: Sequence[int], values: list[Any]) -> State:
        """Makes the model if there is none, and puts the values in."""
        if shadows[0] not in self._models:
            self.initial(shadows)
        if len(self._variables(shadows)) < len(values):
            # An optimizer of the model's own train_step has its variables from the first step on; what that step makes is undone.
            self.train(shadows, [], [np.zeros(self.batch_size, np.int32)], None)
        for variable, value in zip(self._variables(shadows), values, strict=True):
            variable.assign(value)
        return []

    def forget(self, shadows: Sequence[int]) -> None:
        """Lets go of its model."""
        self._models.pop(shadows[0], None)

    def _variables(self, shadows: Sequence[int]) -> list[Any]:
        model, augment = self._models[shadows[0]]
        # A model with a train_step of its own may hold further optimizers, in no list of Keras'.
        others = [one for one in vars(model).values() if isinstance(one, keras.optimizers.Optimizer)]
        found = [*state_variables(model), *augment.variables, *(own for other in others for own in other.variables)]
        return list({id(variable): variable for variable in found}.values())


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

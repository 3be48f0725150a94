"""A stack of shadow models trained by Adam, whose update TensorFlow has in one operation."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from .fresh_model import undecayed
from .stacked_step import StackedStep

_PLAIN = ("clipnorm", "global_clipnorm", "clipvalue", "use_ema", "amsgrad", "loss_scale_factor")


def can_be_fused(step: StackedStep) -> bool:
    """True for Keras' Adam and AdamW (in 32 bits) without clipping, averages, AMSGrad and constraints."""
    optimizer, weights = step.model.optimizer, step.variables.weights
    if type(optimizer) not in (keras.optimizers.Adam, keras.optimizers.AdamW):
        return False
    plain = not any(getattr(optimizer, name, None) for name in _PLAIN)
    usual = all(one.constraint is None and one.dtype == "float32" for one in weights)
    return plain and usual and _moments(step) is not None


class FusedAdamProgram:
    """Steps of k models at a time, as `StackedProgram` makes them, with the update in one pass over memory.

    An update out of elementary operations reads and writes each weight about a dozen times, and waits for memory. The fused
    operation takes one learning rate and one number of steps: the models must agree on both.

    Args:
      step: of one model; see `can_be_fused`.
      size: see `StackedProgram`.
    """

    def __init__(self, step: StackedStep, size: int | None = None) -> None:
        self._step = step
        self._first, self._second = _moments(step) or ([], [])
        decay, excluded = float(step.model.optimizer.weight_decay or 0), undecayed(step.model)
        self._decay = [0.0 if number in excluded else decay for number in range(len(step.variables.weights))]
        # Within the operation 1 − β is rounded as a difference of 32 bits, off by up to 1e-4 of itself where β is near 1.
        # That scales the moments, so they are kept in this scale and read in theirs.
        betas = step.model.optimizer.beta_1, step.model.optimizer.beta_2
        self._scales = [float(np.float32(1) - np.float32(beta)) / float(np.float32(1 - beta)) for beta in betas]
        specs = [tf.TensorSpec([size, *one.shape], one.dtype) for one in step.flat_variables]
        rows, rates = tf.TensorSpec([None, size, None], tf.int32), tf.TensorSpec([None, size], tf.float32)
        self._specs = specs, rows, rates, tf.TensorSpec([size, 2], tf.int32)

    def trace(self) -> None:
        """See `StackedProgram.trace`."""
        self._run = tf.function(self._loop, autograph=False).get_concrete_function(self._places(), *self._specs)

    def __call__(self, state: list[Any], rows: Any, rates: Any, seeds: Any) -> tuple[list[Any], Any]:
        """See `StackedProgram`."""
        return self._run(self._places(), state, rows, rates, seeds)

    def _places(self) -> list[list[Any]]:
        """Empty variables for weights and moments, which the operation changes: each call has its own, so calls may overlap."""
        shapes = [tuple(one.shape) for one in self._step.variables.weights]
        return [
            [tf.Variable(tf.zeros([0, *shape]), trainable=False, shape=[None, *shape]) for shape in shapes]
            for _ in range(3)
        ]

    def _loop(
        self, places: list[list[Any]], state: list[Any], rows: Any, rates: Any, seeds: Any
    ) -> tuple[list[Any], Any]:
        given, steps = self._step.cut(state), tf.shape(rows)[0]
        weights, first, second = places
        slots = list(given.slots)
        for variable, value in zip(weights, given.weights, strict=True):
            variable.assign(value)
        moments = list(zip((self._first, self._second), (first, second), self._scales, strict=True))
        for indices, some, scale in moments:
            for index, variable in zip(indices, some, strict=True):
                variable.assign(slots[index] * scale)
        begun = slots[self._step.optimizer.iterations_index]

        def one(index: Any, total: Any, untrained: list[Any], augment: list[Any]) -> Any:
            read = [variable.read_value() for variable in weights]
            for value, old in zip(read, given.weights, strict=True):
                value.set_shape(old.shape)
            part = read, untrained, augment, rows[index], seeds + tf.stack([0, index])
            losses, gradients, *after = tf.vectorized_map(self._one, part, fallback_to_while_loop=False)
            for old, new in zip([*untrained, *augment], [*after[0], *after[1]], strict=True):
                new.set_shape(old.shape)
            losses.set_shape(total.shape)
            with tf.control_dependencies(
                self._update(places, gradients, slots, begun[0] + tf.cast(index, begun.dtype), rates[index])
            ):
                return index + 1, total + losses, *after

        start = tf.constant(0), tf.zeros_like(rates[0]), given.untrained, given.augment
        _, total, untrained, augment = tf.while_loop(lambda index, *_: index < steps, one, start, parallel_iterations=1)
        slots[self._step.optimizer.iterations_index] = begun + tf.cast(steps, begun.dtype)
        if self._step.optimizer.rate_index is not None:
            slots[self._step.optimizer.rate_index] = rates[-1]
        for indices, some, scale in moments:
            for index, variable in zip(indices, some, strict=True):
                slots[index] = variable / scale
        after = [*(variable.read_value() for variable in weights), *untrained, *slots, *augment]
        return after, total

    def _one(self, given: Any) -> tuple[Any, list[Any], list[Any], list[Any]]:
        weights, untrained, augment, rows, seed = given
        # Gradients do not read the optimizer's variables.
        zeros = [tf.zeros(one.shape, one.dtype) for one in self._step.variables.slots]
        state = self._step.cut([*weights, *untrained, *zeros, *augment])
        loss, gradients, after = self._step.gradients(state, rows, seed)
        return loss, [_leaves(one) for one in gradients], after.untrained, after.augment

    def _update(
        self, places: list[list[Any]], gradients: Any, slots: list[Any], iterations: Any, rates: Any
    ) -> list[Any]:
        optimizer, step = self._step.model.optimizer, tf.cast(iterations + 1, tf.float32)
        scalars = [slot[0] for slot in slots]
        scalars[self._step.optimizer.iterations_index] = iterations
        if self._step.optimizer.rate_index is not None:
            scalars[self._step.optimizer.rate_index] = rates[0]
        of_first, of_second = self._scales
        rate = tf.cast(self._step.rate(scalars), tf.float32)
        common = {
            "beta1_power": tf.pow(tf.constant(optimizer.beta_1, tf.float32), step),
            "beta2_power": tf.pow(tf.constant(optimizer.beta_2, tf.float32), step),
            "lr": rate * (of_second**0.5 / of_first),
            "beta1": optimizer.beta_1,
            "beta2": optimizer.beta_2,
            "epsilon": optimizer.epsilon * of_second**0.5,
        }
        done = []
        for variable, first, second, decay, gradient in zip(*places, self._decay, list(gradients), strict=True):
            if not gradient:
                continue
            if decay:
                variable.assign_sub(variable * decay * rate)
            if len(gradient) == 2:
                done.append(_sparse_update(variable, first, second, gradient[0], gradient[1], common))
            else:
                done.append(_update(variable, first, second, gradient[0], common))
        return done


def _leaves(gradient: Any) -> tuple[Any, ...]:
    """(tensor,) of a dense gradient, (values, indices) of a sparse one, () where the loss does not depend on the weight."""
    if gradient is None:
        return ()
    return (gradient.values, gradient.indices) if isinstance(gradient, tf.IndexedSlices) else (gradient,)


def _update(variable: Any, first: Any, second: Any, gradient: Any, common: dict[str, Any]) -> Any:
    return tf.raw_ops.ResourceApplyAdam(var=variable.handle, m=first.handle, v=second.handle, grad=gradient, **common)


def _sparse_update(variable: Any, first: Any, second: Any, values: Any, indices: Any, common: dict[str, Any]) -> Any:
    """As Keras does with the gradient of an embedding: squares are added up for each time that a row was looked up."""
    count, found = tf.shape(indices)[0], tf.cast(indices, tf.int32)
    model = tf.broadcast_to(tf.range(count)[:, None], tf.shape(found))
    places = tf.stack([model, found], -1)
    for moment, rate, addend in ((first, common["beta1"], values), (second, common["beta2"], tf.square(values))):
        moment.assign(moment * rate)
        moment.scatter_nd_add(places, addend * (np.float32(1) - np.float32(rate)))
    # The moments are done: with both betas at 1 the operation leaves them, and updates the weights.
    rest = {**common, "beta1": 1.0, "beta2": 1.0, "beta1_power": 0.0, "beta2_power": 0.0}
    rest["lr"] = common["lr"] * tf.sqrt(1 - common["beta2_power"]) / (1 - common["beta1_power"])
    return _update(variable, first, second, first.read_value(), rest)


def _moments(step: StackedStep) -> tuple[list[int], list[int]] | None:
    """Where among the optimizer's variables the first and second moments of each weight stand, by name."""
    found = [
        [index for index, slot in enumerate(step.variables.slots) if str(slot.path).endswith(f"_{name}")]
        for name in ("momentum", "velocity")
    ]
    shapes = [[tuple(step.variables.slots[index].shape) for index in some] for some in found]
    wanted = [tuple(one.shape) for one in step.variables.weights]
    return (found[0], found[1]) if shapes == [wanted, wanted] else None

"""The compiled program that trains a stack of shadow models: a loop over steps, each step one batch of every model."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from .stacked_step import StackedStep


class StackedProgram:
    """Steps of k models at a time; the batch's size and the number of steps are free.

    The optimizer's update is vectorized with the rest, so it is exact whatever the optimizer, and models may have made
    different numbers of steps and have different learning rates.

    Args:
      step: of one model.
      size: k; None = any. With a size of its own the program need not copy what it takes apart.
    """

    def __init__(self, step: StackedStep, size: int | None = None) -> None:
        self._step = step
        specs = [tf.TensorSpec([size, *one.shape], one.dtype) for one in step.flat_variables]
        rows, rates = tf.TensorSpec([None, size, None], tf.int32), tf.TensorSpec([None, size], tf.float32)
        self._specs = specs, rows, rates, tf.TensorSpec([size, 2], tf.int32)

    def trace(self) -> None:
        """Makes the program, which several threads may then call.

        Raises:
          Exception: of many kinds, if the step cannot be vectorized.
        """
        self._run = tf.function(self._loop, autograph=False).get_concrete_function(*self._specs)

    def __call__(self, state: list[Any], rows: Any, rates: Any, seeds: Any) -> tuple[list[Any], Any]:
        """Trains.

        Args:
          state: tensors [k, ...].
          rows: int32[steps, k, b].
          rates: float32[steps, k].
          seeds: int32[k, 2], of the first step; the second number is that of the step.
        Returns:
          The new state, and float32[k], the sum of the losses.
        """
        return self._run(state, rows, rates, seeds)

    def _loop(self, state: list[Any], rows: Any, rates: Any, seeds: Any) -> tuple[list[Any], Any]:
        def one(index: Any, total: Any, state: list[Any]) -> Any:
            given = state, rows[index], rates[index], seeds + tf.stack([0, index])
            losses, new = tf.vectorized_map(self._one, given, fallback_to_while_loop=False)
            for value, old in zip(new, state, strict=True):
                value.set_shape(old.shape)
            losses.set_shape(total.shape)
            return index + 1, total + losses, new

        start = tf.constant(0), tf.zeros_like(rates[0]), state
        _, total, state = tf.while_loop(lambda index, *_: index < tf.shape(rows)[0], one, start, parallel_iterations=1)
        return state, total

    def _one(self, given: Any) -> tuple[Any, list[Any]]:
        state, rows, rate, seed = given
        loss, gradients, after = self._step.gradients(self._step.cut(state), rows, seed)
        return loss, [value for some in self._step.update(after, gradients, rate) for value in some]

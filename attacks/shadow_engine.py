"""How a shadow model is trained for one epoch: what an engine is, and what engines need to know of an optimizer."""

from __future__ import annotations

from typing import Any, Protocol

import keras
import numpy as np
from numpy.typing import NDArray

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

"""How a shadow model is trained for one epoch: what an engine is, and what engines need to know of an optimizer."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Protocol

import keras
import numpy as np
from numpy.typing import NDArray

State = list[Any]


class Engine(Protocol):
    """Trains groups of shadow models whose whole state (weights, statistics, seeds, optimizer) stands between epochs outside.

    A group is a sequence of shadow models' numbers, always the same for the same models. Its state is a list of tensors.

    Attributes:
      name: what to call it.
      group_size: how many shadow models are trained together; the last group may be smaller.
      workers: how many groups may be trained at the same time, each call of `train` in a thread.
      batch_size: records in a training step.
    """

    name: str
    group_size: int
    workers: int
    batch_size: int

    def initial(self, shadows: Sequence[int]) -> State:
        """A group's state before training."""

    def train(
        self,
        shadows: Sequence[int],
        state: State,
        orders: Sequence[NDArray[np.int32]],
        rates: Sequence[NDArray[np.float32]] | None,
        first_step: int = 0,
    ) -> tuple[State, NDArray[np.float64]]:
        """One epoch, each shadow model over the records named by its own order.

        Args:
          shadows: the group.
          state: where it stands; not changed.
          orders: for each of the group int32[r], rows of the pool; r may differ.
          rates: for each of the group float32[⌈r / batch size⌉], the learning rate of each step; None = the optimizer's own.
          first_step: how many steps they have made before, which decides an augmentation function's seeds.
        Returns:
          The new state, and for each of the group the mean of the training loss over steps.
        """

    def weights(self, shadows: Sequence[int], state: State, final: bool = False) -> Iterator[list[Any]]:
        """For each of the group the values of its trainable and untrained variables, in the order of `state_variables`.

        Args:
          shadows: the group.
          state: where it stands.
          final: as `fit` leaves them when it ends (an averaging optimizer then puts the averages in place); its training may
            go on from `state` all the same.
        """

    def packed(self, shadows: Sequence[int], state: State) -> list[Any]:
        """The state as tensors from which `unpacked` makes it again, in this process or in another."""

    def unpacked(self, shadows: Sequence[int], values: list[Any]) -> State:
        """A state from what `packed` gave."""

    def forget(self, shadows: Sequence[int]) -> None:
        """Lets go of whatever it keeps of a group."""


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

"""How the shadow models of a fleet are trained, whatever trains them, and what they are asked."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .training_data import epoch_order

Rates = NDArray[np.float32] | None


class ShadowRequest(NamedTuple):
    """Names of signals to ask shadow models for: on the audited records, on the population."""

    names: tuple[str, ...]
    population_names: tuple[str, ...]


class Training(NamedTuple):
    """How a fleet's shadow models are trained, whatever trains them.

    Attributes:
      assignment: bool[m, p], which model trains on which record of the pool.
      share: of a pass over its records that an epoch is.
      batch_size: records in a training step.
      seed: decides the order of training.
    """

    assignment: NDArray[np.bool_]
    share: float
    batch_size: int
    seed: int

    @property
    def steps_per_epoch(self) -> int:
        """Training steps of the shadow model with the most records."""
        longest = math.ceil(self.share * int(self.assignment.sum(axis=1).max()))
        return -(-longest // self.batch_size)

    def order(self, shadow: int, epoch: int) -> NDArray[np.int32]:
        """The records of a shadow model's epoch, in the order of training."""
        return epoch_order(self.assignment[shadow], (self.seed, shadow, 2), epoch, self.share)

    def fitted(self, rates: NDArray[np.float32], records: int) -> NDArray[np.float32]:
        """The target's learning rates over its epoch, stretched over a shadow model's number of steps."""
        steps = -(-records // self.batch_size)
        return rates[np.arange(steps) * len(rates) // steps]

"""What a fleet and the workers of its shards tell each other; read before TensorFlow may be imported."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from .model_description import ModelDescription
    from .shadow_training import Training


@dataclass(frozen=True)
class ShardWork:
    """What every worker of a fleet is told.

    Attributes:
      description: of the target.
      seed, class_weight, augment, memory_limit: see `ShadowModels`.
      training: see `FleetHere`.
      weights: digest of what shadow model 0 starts from.
      loss, ask_batch_size, output: see `SignalPass`.
      keras: its settings: float type, epsilon, image format, precision.
    """

    description: ModelDescription
    seed: int
    class_weight: Any
    augment: Any
    memory_limit: int | None
    training: Training
    weights: str
    loss: Any
    ask_batch_size: int | None
    output: Any
    keras: tuple[Any, ...]


class Failed(NamedTuple):
    """An exception of a worker's own code.

    Attributes:
      said: its sentence.
      refused: True if it says that something cannot be done at all (a ValueError).
    """

    said: str
    refused: bool


class Chosen(NamedTuple):
    """The engine that a worker trains with, and the sentence of its choice."""

    name: str
    group_size: int
    sentence: str


class Progress(NamedTuple):
    """How many shadow models a worker has trained in this epoch."""

    trained: int

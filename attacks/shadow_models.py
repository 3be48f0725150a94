"""The description of a fleet of shadow models: how many, on what, trained how."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .ray_workers import RayWorkers
from .shadow_assignment import balanced_assignment
from .shadow_signals import ShadowSignals

ENGINES = ("auto", "stacked", "compiled", "xla", "fit", "ray")
SCHEDULES = ("lockstep", "train_end")


@dataclass(frozen=True)
class ShadowModels:
    """Models of the target's architecture, trained as the target is, each on half of the records.

    Every record is IN for exactly half of them, in complementary pairs, so that for each record there are models that did and
    models that did not train on it. They start from weights of their own, drawn from `seed`, and never see the target's.
    Architecture, optimizer, learning-rate schedule, loss, augmentation layers and epochs are taken from the compiled target.

    Args:
      num_models: an even number.
      pool: records to deal out, (x, y) in any form that `AuditSet` takes; audited records that are not among them are OUT for
        every model (use offline attacks). None = the audit's members and non-members, less its population.
      batch_size: of a training step; None = the target's, where it can be told.
      epochs: for training outside of a `fit`, or after it ("train_end"); in lockstep the fleet trains as many as the target.
      class_weight: as for `fit`.
      augment: what `fit`'s data pipeline did to the inputs of a batch: a Keras layer, or a function (x, seed) -> x with an
        int32[2] seed for `tf.random.stateless_*`. Augmentation layers within the model need no mention.
      engine: "stacked" (many models at a time, every weight with an axis of models), "compiled" (one at a time, a whole epoch as
        one graph), "xla" (the same compiled with XLA), "fit" (for models with a train_step of their own), or "auto":
        whichever a measurement before training finds fastest. Engines round differently, and XLA draws other random numbers:
        name one where runs must agree.
        "ray" spreads the fleet over the processes of a Ray cluster, as does `RayWorkers(...)`, which says how many.
      schedule: "lockstep": an epoch of the fleet after each epoch of the target; "train_end": all after its training.
      seed: decides halves, weights, random layers and the order of training.
      model_fn: makes a new model, for models that cannot be cloned from their configuration.
      memory_limit: bytes of shadow models to hold in memory; those beyond wait in temporary files. The engine "fit" keeps all
        models whatever the limit, and says so.
      checkpoint_dir: a directory of this fleet alone, where states and signals are kept after every epoch. A run that was
        killed goes on there, and a finished fleet audits later targets of the same records and architecture without being
        trained again; see the README on interrupted runs. None = nowhere.
    Raises:
      ValueError: on numbers out of range, or an unknown engine or schedule.
    Source: Shokri et al. 2017, arXiv:1610.05820; Carlini et al. 2022, arXiv:2112.03570 (each record in half of the models).
    """

    num_models: int = 16
    pool: Any = None
    batch_size: int | None = None
    epochs: int | None = None
    class_weight: Mapping[int, float] | None = None
    augment: Any = None
    engine: str | RayWorkers = "auto"
    schedule: str = "lockstep"
    seed: int = 0
    model_fn: Callable[[], Any] | None = None
    memory_limit: int | None = None
    checkpoint_dir: str | os.PathLike[str] | None = None

    def __post_init__(self) -> None:
        _whole("num_models", self.num_models, 2)
        if self.num_models % 2:
            raise ValueError(
                f"num_models is {self.num_models}; give an even number: each record is IN for exactly half of the models."
            )
        for name in ("batch_size", "epochs", "memory_limit"):
            if getattr(self, name) is not None:
                _whole(name, getattr(self, name), 1)
        _whole("seed", self.seed, 0)
        for name in ("num_models", "batch_size", "epochs", "memory_limit", "seed"):
            if getattr(self, name) is not None:
                object.__setattr__(self, name, int(getattr(self, name)))  # NumPy's numbers have types of their own
        for name, known in (("engine", ENGINES), ("schedule", SCHEDULES)):
            if getattr(self, name) not in known and not (name == "engine" and isinstance(self.engine, RayWorkers)):
                raise ValueError(f"{name} is {getattr(self, name)!r}; give one of {', '.join(map(repr, known))}.")
        path = self.checkpoint_dir
        if path is not None and (not isinstance(path, (str, os.PathLike)) or not os.fspath(path)):
            raise ValueError(f"checkpoint_dir is {self.checkpoint_dir!r}; give the path of a directory.")
        if self.class_weight is not None and not isinstance(self.class_weight, Mapping):
            raise ValueError(
                f"class_weight is {self.class_weight!r}; give a dictionary, class number -> weight, as for fit."
            )
        if self.model_fn is not None and not callable(self.model_fn):
            raise ValueError(
                f"model_fn is {self.model_fn!r}; give a function of no arguments that returns a new model."
            )

    def fit(
        self,
        model: Any,
        x: Any,
        y: Any,
        groups: ArrayLike | None = None,
        *,
        signals: tuple[str, ...] | None = None,
        queries: tuple[Callable[[Any], Any], ...] = (),
        population: Any = None,
        loss: Any = None,
        output: str | int | None = None,
        verbose: int = 1,
    ) -> ShadowSignals:
        """Trains the fleet on halves of these records and asks it about all of them.

        Args:
          model: the compiled target; only its architecture and compilation are read.
          x, y: the records, n of them: the target's training set and as many that it never saw, say.
          groups: [n], records of one group (owner) are IN or OUT together.
          signals: names of signals; None = all that fit the model's head.
          queries: functions of a batch of inputs, each asked instead of the records themselves.
          population: further records (x, y) to ask about, that no model is trained on.
          loss: to take the loss signal from, instead of the compiled one.
          output: the name or number of the output to ask, of several; None = the sum of their losses.
          verbose: 0 = silent, 1 = a progress bar.
        Returns:
          The signals, [m, n, q], of the models that did not fail; see `ShadowSignals.warnings`.
        Raises:
          ValueError: without `epochs` or `batch_size`, on a model that is not compiled or cannot be cloned, and on records that
            do not fit it.
          RuntimeError: if every shadow model fails.
        """
        from .fleet_alone import signals_of_pool
        from .shadow_pool import pool_from_records

        return signals_of_pool(
            self,
            model,
            pool_from_records(x, y, groups),
            signals=signals,
            queries=tuple(queries),
            population=population,
            loss=loss,
            output=output,
            verbose=verbose,
        )

    def assignment(self, num_records: int, groups: ArrayLike | None = None) -> NDArray[np.bool_]:
        """bool[m, p]: which model trains on which record of the pool; see `balanced_assignment`."""
        return balanced_assignment(self.num_models, num_records, self.seed, groups)


def as_shadow_models(given: ShadowModels | int | None) -> ShadowModels | None:
    """What users give as `shadow_models=`.

    Raises:
      TypeError: if it is neither a number nor a `ShadowModels`.
    """
    if given is None or isinstance(given, ShadowModels):
        return given
    if isinstance(given, (int, np.integer)) and not isinstance(given, bool):
        return ShadowModels(int(given))
    raise TypeError(f"shadow_models is {given!r}; give how many, or ShadowModels(...).")


def _whole(name: str, value: Any, least: int) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)) or value < least:
        raise ValueError(f"{name} is {value!r}; give a whole number, at least {least}.")

"""Which engine trains the shadow models fastest here: decided by a measurement, not by belief."""

from __future__ import annotations

import functools
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from .compiled_engine import CompiledEngine
from .fit_engine import FitEngine
from .fresh_model import FreshModels
from .shadow_engine import Engine
from .training_data import TrainingData

_SECONDS = 0.1
_FIT_STEPS = 12
_MOST_WORKERS = 4


@dataclass(frozen=True)
class EngineChoice:
    """An engine, and what is known of its speed.

    Attributes:
      engine: ready to train.
      seconds_per_step: wall seconds a training step of one shadow model takes, several at a time where the engine can; None if
        not measured.
      fit_seconds_per_step: the same of `Model.fit` on resident records; None if not measured.
      sentence: what was measured, for the user.
    """

    engine: Engine
    seconds_per_step: float | None
    fit_seconds_per_step: float | None
    sentence: str


def choose_engine(
    name: str,
    model: Any,
    fresh: FreshModels,
    data: TrainingData,
    longest: int,
    steps: int | None = None,
    measure: bool = False,
) -> EngineChoice:
    """Makes the named engine, or for "auto" the one that trains `steps` steps soonest, its set-up included.

    Args:
      name: "auto", "compiled", "xla" or "fit".
      model: the target, for its `train_step`.
      fresh, data: see the engines.
      longest: the most records that any shadow model trains on in an epoch.
      steps: how many training steps all shadow models will make together; None = very many.
      measure: measure the engine and `fit` in any case, so that the fleet can be held against the target's own training.
    Raises:
      ValueError: if the named engine cannot train the model.
    """
    why_fit = ""
    if type(model).train_step is not keras.Model.train_step:
        why_fit = f"{type(model).__name__} has a train_step of its own"
    elif model.run_eagerly:
        why_fit = "the model is compiled to run eagerly"
    elif tf.distribute.has_strategy():
        why_fit = "fit is called within the scope of a distribution strategy"
    if why_fit and name in ("compiled", "xla"):
        raise ValueError(f"{why_fit}, which the engine {name!r} cannot serve; give engine='fit' or 'auto'.")
    if why_fit or name == "fit":
        seconds = _seconds_of_fit(fresh, data) if measure else None
        return EngineChoice(FitEngine(fresh, data), seconds, seconds, "")
    if name == "auto":
        return _fastest(fresh, data, longest, steps)
    if measure:
        engine, _, seconds = _measured(lambda: CompiledEngine(fresh, data, longest, name == "xla", workers()), longest)
        return EngineChoice(engine, seconds, _seconds_of_fit(fresh, data), "")
    return EngineChoice(CompiledEngine(fresh, data, longest, name == "xla", workers()), None, None, "")


def workers() -> int:
    """How many shadow models are trained at the same time: on CPU one a core up to four, on one accelerator one."""
    if tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("TPU"):
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return min(_MOST_WORKERS, cores)


def _fastest(fresh: FreshModels, data: TrainingData, longest: int, steps: int | None) -> EngineChoice:
    found: list[tuple[float, float, Engine]] = []
    measured: list[str] = []
    reason: Exception | None = None
    for xla in (False, True):
        try:
            engine, setup, seconds = _measured(
                functools.partial(CompiledEngine, fresh, data, longest, xla, workers()), longest
            )
        except Exception as error:  # what cannot be compiled shows itself in many ways
            reason = reason or error
            measured.append(f"{'xla' if xla else 'compiled'} cannot train this model")
            continue
        total = seconds if steps is None else setup + steps * seconds
        found.append((total, seconds, engine))
        measured.append(f"{engine.name} {1e3 * seconds:.3g} ms a step after {setup:.1f} s")
    fit = _seconds_of_fit(fresh, data)
    measured.append(f"fit {1e3 * fit:.3g} ms")
    found.append((fit if steps is None else steps * fit, fit, FitEngine(fresh, data)))
    _, seconds, fastest = min(found, key=lambda one: one[0])
    why = f" ({type(reason).__name__}: {str(reason).splitlines()[0]})" if reason is not None and len(found) == 1 else ""
    return EngineChoice(fastest, seconds, fit, f"{', '.join(measured)}: {fastest.name} is chosen{why}.")


def _measured(make: Callable[[], CompiledEngine], longest: int) -> tuple[CompiledEngine, float, float]:
    """(engine, seconds until it was ready, seconds a training step with all workers busy)."""
    start = time.perf_counter()
    engine = make()
    setup = time.perf_counter() - start
    state = engine.initial([0])
    order = np.zeros(longest, np.int32)
    whole = max(1, longest // engine.batch_size)
    steps = min(4, whole)
    first = engine.seconds(state, order, steps)
    # Long enough for a clock, short enough for nobody to wait.
    steps = int(np.clip(steps * _SECONDS / max(first, 1e-6), steps, whole))
    best = min(engine.seconds(state, order, steps) for _ in range(3))
    return engine, setup, best / (steps * engine.workers)


def _seconds_of_fit(fresh: FreshModels, data: TrainingData) -> float:
    """Seconds a step of `Model.fit`, without its set-up."""
    engine = FitEngine(fresh, data)
    engine.initial([0])
    watch = _Stopwatch()
    for _ in range(2):
        watch.ticks = []
        engine.train([0], [], [np.zeros(_FIT_STEPS * data.batch_size, np.int32)], None, watch=watch)
    return float(np.median(np.diff(watch.ticks)))


class _Stopwatch(keras.callbacks.Callback):
    ticks: list[float]

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        self.ticks.append(time.perf_counter())

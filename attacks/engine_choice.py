"""Which engine trains the shadow models fastest here: decided by a measurement, not by belief."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from .compiled_engine import CompiledEngine
from .fit_engine import FitEngine
from .fresh_model import FreshModels
from .model_layers import has_convolutions, has_folded_convolutions, has_recurrence, is_mostly_products, on_cpu
from .shadow_engine import Engine
from .stacked_engine import StackedEngine, why_not_stacked
from .training_data import TrainingData

_SECONDS = 0.05
_FIT_STEPS = 12
_FEWEST_STEPS = 12
_MOST_WORKERS = 4


class _Prospect(NamedTuple):
    """What is known of an engine before it is tried.

    Attributes:
      seconds, multiple: it is ready after so many seconds and so many times what stacking takes.
      gain: it is tried if that is less than this share of the training that is left: what trying costs, and what not trying
        may cost, both stay small.
    """

    seconds: float
    multiple: float
    gain: float


_PROSPECTS = {
    "stacked": _Prospect(0, 1, 0.2),
    "compiled": _Prospect(0, 3, 0.03),  # hardly ever faster than a stack
    "xla": _Prospect(1.2, 3, 0.2),
}
_XLA_OF_PRODUCTS = _Prospect(1.2, 3, 0.05)  # what is mostly matrix products leaves little to fuse
_STACKED_LOOPS = _Prospect(0, 25, 0.25)  # a vectorized loop is written out many times


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
    num_models: int = 1,
) -> EngineChoice:
    """Makes the named engine, or for "auto" the one that trains `steps` steps soonest, its set-up included.

    Args:
      name: "auto", "stacked", "compiled", "xla" or "fit".
      model: the target, for its layers and its `train_step`.
      fresh, data: see the engines.
      longest: the most records that any shadow model trains on in an epoch.
      steps: how many training steps all shadow models will make together; None = very many.
      measure: measure the engine and `fit` in any case, so that the fleet can be held against the target's own training.
      num_models: how many shadow models there will be.
    Raises:
      ValueError: if the named engine cannot train the model.
    """
    why_fit = _why_fit(model)
    if why_fit and name in _PROSPECTS:
        raise ValueError(f"{why_fit}, which the engine {name!r} cannot serve; give engine='fit' or 'auto'.")
    if why_fit or name == "fit":
        seconds = _seconds_of_fit(fresh, data) if measure else None
        return EngineChoice(FitEngine(fresh, data), seconds, seconds, "")
    makers: dict[str, Callable[[], Any]] = {
        "stacked": lambda: StackedEngine(fresh, data, num_models, workers()),
        "compiled": lambda: CompiledEngine(fresh, data, longest, False, workers()),
        "xla": lambda: CompiledEngine(fresh, data, longest, True, workers()),
    }
    if name == "auto":
        prospects, left_out = _candidates(model, data, num_models)
        choice = _fastest(makers, prospects, left_out, longest, steps, measure)
        if choice is None:
            choice = EngineChoice(FitEngine(fresh, data), None, None, f"{'; '.join(left_out)}: fit is chosen.")
    else:
        engine = makers[name]()
        choice = EngineChoice(engine, _seconds_of(engine, longest) if measure else None, None, "")
    if not measure:
        return choice
    fit = _seconds_of_fit(fresh, data)
    also = choice.sentence and f"{choice.sentence[:-1]} (fit {1e3 * fit:.3g} ms)."
    return replace(choice, seconds_per_step=choice.seconds_per_step or fit, fit_seconds_per_step=fit, sentence=also)


def workers() -> int:
    """How many shadow models are trained at the same time: on CPU one a core up to four, on one accelerator one."""
    if not on_cpu():
        return 1
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    threads = tf.config.threading.get_inter_op_parallelism_threads()  # 0 where nobody has bounded them
    return min(_MOST_WORKERS, threads or cores)


def _why_fit(model: Any) -> str:
    """Why nothing but `fit` can train it; "" if others can."""
    if type(model).train_step is not keras.Model.train_step:
        return f"{type(model).__name__} has a train_step of its own"
    if model.run_eagerly:
        return "the model is compiled to run eagerly"
    if tf.distribute.has_strategy():
        return "fit is called within the scope of a distribution strategy"
    return ""


def _candidates(model: Any, data: TrainingData, num_models: int) -> tuple[dict[str, _Prospect], list[str]]:
    """Engines worth a try, the soonest ready first; clauses on those that are not."""
    found, left_out = dict(_PROSPECTS), []
    recurrent = has_recurrence(model)
    why = "there is one model" if num_models == 1 else why_not_stacked(model, data)
    if why:
        del found["stacked"]
        left_out.append(f"stacked is no choice: {why}")
    elif recurrent:
        found["stacked"] = _STACKED_LOOPS
    elif is_mostly_products(model):
        found["xla"] = _XLA_OF_PRODUCTS
    if "stacked" in found and on_cpu() and has_folded_convolutions(model):
        del found["stacked"]
        left_out.append("stacked is slow on CPU for convolutions")
    if on_cpu() and (recurrent or has_convolutions(model)):
        del found["xla"]
        left_out.append(f"xla is none on CPU for {'recurrent layers' if recurrent else 'convolutions'}")
    return dict(sorted(found.items(), key=lambda one: one[1].seconds + one[1].multiple)), left_out


def _fastest(
    makers: dict[str, Callable[[], Any]],
    prospects: dict[str, _Prospect],
    left_out: list[str],
    longest: int,
    steps: int | None,
    measure: bool,
) -> EngineChoice | None:
    """The best of those that were worth a try; None if none can train the model, with the reasons added to `left_out`."""
    best: EngineChoice | None = None
    least, unit, measured, late = np.inf, 0.0, list[str](), list[str]()
    for place, (name, prospect) in enumerate(prospects.items()):
        ready = prospect.seconds + prospect.multiple * unit
        if best is not None and steps is not None and ready > prospect.gain * steps * (best.seconds_per_step or 0):
            late.append(name)
            continue
        start = time.perf_counter()
        try:
            engine = makers[name]()
            setup = time.perf_counter() - start
            alone = best is None and place + 1 == len(prospects) and not measure
            seconds = 0.0 if alone else _seconds_of(engine, longest)
        except Exception as reason:  # what cannot be compiled shows itself in many ways
            cause = reason.__cause__ or reason
            said = " ".join(str(cause).split())
            left_out.append(f"{name} cannot train this model ({type(cause).__name__}: {said[:160]})")
            continue
        unit = unit or setup / prospect.multiple
        total = seconds if steps is None else setup + steps * seconds
        speed = "is ready" if alone else f"{1e3 * seconds:.3g} ms a step"
        measured.append(f"{name} {speed} after {setup:.1f} s")
        if total < least:
            least, best = total, EngineChoice(engine, None if alone else seconds, None, "")
    if best is None:
        return None
    if late:
        left_out.append(f"{' and '.join(late)} would hardly be ready before the training is done")
    also = f" ({'; '.join(left_out)})" if left_out else ""
    return replace(best, sentence=f"{', '.join(measured)}{also}: {best.engine.name} is chosen.")


def _seconds_of(engine: Any, longest: int) -> float:
    """Seconds a training step of one shadow model takes, with everything busy that will be."""
    state = engine.initial([0]) if isinstance(engine, CompiledEngine) else engine.sample_state()
    together = engine.workers * engine.group_size
    order = np.zeros(longest, np.int32)
    whole = max(1, longest // engine.batch_size)
    few = min(2, whole)
    engine.seconds(state, order, few)  # gets things going
    of_few = engine.seconds(state, order, few)
    # Long enough for a clock and for what a call costs however few its steps, short enough for nobody to wait.
    if of_few > 2 * _SECONDS or whole == few:
        return of_few / (few * together)
    steps = int(np.clip(few * _SECONDS / max(of_few, 1e-6), min(_FEWEST_STEPS, whole), whole))
    return min(engine.seconds(state, order, steps) for _ in range(2)) / (steps * together)


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

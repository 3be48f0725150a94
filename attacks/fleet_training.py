"""From the description of a fleet to shadow models in training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray

from .compiled_pass import AskedRecords, Queries, SignalPass, build_model, check_model
from .engine_choice import choose_engine
from .fleet import Fleet, ShadowRequest
from .fresh_model import FreshModels, differing_statistics
from .record_source import Records
from .shadow_models import ShadowModels
from .shadow_pool import ShadowPool, pool_from_records
from .shadow_signals import ShadowSignals
from .training_data import TrainingData

# A training set that differs by less is called equal.
_SIZE_TOLERANCE = 0.02
# Below four shadow models LiRA cannot tell a spread, and RMIA cannot tune; no budget lowers their number further.
_FEWEST = 4


@dataclass(frozen=True)
class PreparedFleet:
    """A fleet before its first epoch.

    Attributes:
      fleet: ready to train.
      engine: what was measured and chosen, one sentence; "" if there was no choice.
      warnings: sentences about the fleet that change what a number means.
    """

    fleet: Fleet
    engine: str
    warnings: tuple[str, ...]


def prepare(
    plan: ShadowModels,
    model: Any,
    asked: AskedRecords,
    pool: ShadowPool,
    *,
    batch_size: int,
    epochs: int | None,
    share: float = 1.0,
    loss: Any = None,
    ask_batch_size: int | None = None,
    budget: float | None = None,
) -> PreparedFleet:
    """Deals out the records, makes the models, measures the engines.

    Args:
      plan: what the user wants.
      model: the target, built and compiled.
      asked, pool: see `Fleet`.
      batch_size: of a training step.
      epochs: how many there will be; None = unknown, many.
      share: of a pass over its records that an epoch of the target is.
      loss, ask_batch_size: see `SignalPass`.
      budget: the fleet's training may cost so many times the target's, in wall time; decided here, once, by lowering the
        number of models. None = no bound.
    Raises:
      ValueError: if the pool is too small, the model cannot be cloned, or the engine cannot train it.
    """
    check_model(model)
    if not getattr(model, "compiled", False):
        raise ValueError("the model is not compiled; shadow models are trained as it is, so compile it first.")
    if model.distribute_strategy is not None and model.distribute_strategy.num_replicas_in_sync > 1:
        raise ValueError("shadow models are trained on one device; the model is distributed over several replicas.")
    assignment = plan.assignment(len(pool), pool.groups)
    smallest = int(assignment.sum(axis=1).min())
    if smallest < batch_size:
        raise ValueError(
            f"a shadow model would train on {smallest:,} records, fewer than one batch of {batch_size:,}: the pool holds "
            f"{len(pool):,}, and every model gets half of it; give more members and non-members, or a pool=."
        )
    fresh = FreshModels(model, asked.x, plan.model_fn, plan.seed)
    first = fresh.make(0)
    _refuse_equal_models(first, fresh.make(1))
    data = TrainingData.of(pool.records, batch_size, plan.class_weight, plan.augment)
    longest = math.ceil(share * int(assignment.sum(axis=1).max()))
    steps_per_epoch = math.ceil(longest / batch_size)
    all_steps = None if epochs is None else epochs * steps_per_epoch * plan.num_models
    choice = choose_engine(plan.engine, model, fresh, data, longest, all_steps, measure=budget is not None)
    warnings = [*_size_warning(assignment, pool), *_start_warning(model, first)]
    if budget is not None:
        assert choice.seconds_per_step is not None
        assert choice.fit_seconds_per_step is not None
        target_steps = math.ceil(share * (pool.target_size or longest) / batch_size)
        allowed = budget * target_steps * choice.fit_seconds_per_step / (steps_per_epoch * choice.seconds_per_step)
        fewer = min(plan.num_models, max(_FEWEST, 2 * int(allowed // 2)))
        if fewer < plan.num_models:
            warnings.append(_budget_sentence(plan.num_models, fewer, budget, allowed))
            plan = plan.reduced_to(fewer)
            assignment = assignment[:fewer]
    fleet = Fleet(
        assignment,
        pool,
        asked,
        fresh,
        choice,
        loss=loss,
        ask_batch_size=ask_batch_size,
        share=share,
        memory_limit=plan.memory_limit,
        seed=plan.seed,
    )
    return PreparedFleet(fleet, choice.sentence, tuple(warnings))


def failure_sentences(fleet: Fleet) -> list[str]:
    """One sentence if shadow models were left out."""
    if not fleet.failures:
        return []
    named = "; ".join(f"shadow model {number} {why}" for number, why in list(fleet.failures.items())[:3])
    more = "; …" if len(fleet.failures) > 3 else ""
    return [f"{len(fleet.failures)} of {fleet.num_models} shadow models are left out: {named}{more}."]


class EpochBar:
    """A Keras progress bar over the shadow models of an epoch; silent with verbose = 0.

    Args:
      fleet: whose epoch it is.
      label: what stands before it.
      verbose: as for `fit`.
    """

    def __init__(self, fleet: Fleet, label: str, verbose: int) -> None:
        self._bar = None
        if verbose:
            print(label)
            self._bar = keras.utils.Progbar(len(fleet.alive), verbose=verbose, unit_name="model")

    def __call__(self, count: int) -> None:
        """So many models are done."""
        if self._bar is not None:
            self._bar.update(count)


@dataclass(frozen=True)
class _AllRecords:
    """Every record of a pool, asked about as it is."""

    x: Any
    y: Any
    population: Records | None

    def describe(self, rows: NDArray[np.intp]) -> str:
        named = ", ".join(str(row) for row in rows[:3])
        return f"{len(rows):,} records (rows {named}{', …' if len(rows) > 3 else ''})"


def train_alone(
    plan: ShadowModels,
    model: Any,
    asked: AskedRecords,
    pool: ShadowPool,
    requests: Mapping[Queries, ShadowRequest],
    loss: Any = None,
    batch_size: int | None = None,
    verbose: int = 1,
) -> tuple[dict[Queries, ShadowSignals], list[str]]:
    """Trains a fleet from beginning to end, outside of any fit.

    Args:
      plan: with its epochs and batch size.
      model, asked, pool: see `prepare`.
      requests: what to ask, by queries.
      loss, batch_size: see `SignalPass`.
      verbose: 0 = silent, 1 = a progress bar.
    Returns:
      The answers by queries, and sentences that change what a number means.
    Raises:
      ValueError: without epochs or batch size, and as `prepare`.
    """
    if plan.epochs is None or plan.batch_size is None:
        raise ValueError(
            f"epochs is {plan.epochs} and batch_size {plan.batch_size}; outside of a fit nothing tells how the target was "
            "trained, so give ShadowModels(epochs=..., batch_size=...)."
        )
    prepared = prepare(
        plan,
        model,
        asked,
        pool,
        batch_size=plan.batch_size,
        epochs=plan.epochs,
        loss=loss,
        ask_batch_size=batch_size,
    )
    fleet = prepared.fleet
    try:
        if verbose and prepared.engine:
            print(f"Shadow models: {prepared.engine}")
        for epoch in range(plan.epochs):
            fleet.train_epoch(done=EpochBar(fleet, f"Shadow models, epoch {epoch + 1}/{plan.epochs}", verbose))
        answers = {queries: fleet.signals(request, queries) for queries, request in requests.items()}
        return answers, [*prepared.warnings, *failure_sentences(fleet)]
    finally:
        fleet.close()


def signals_of_pool(
    plan: ShadowModels,
    model: Any,
    x: Any,
    y: Any,
    groups: ArrayLike | None,
    signals: tuple[str, ...] | None,
    queries: Queries,
    population: Any,
    loss: Any,
    verbose: int,
) -> ShadowSignals:
    """`ShadowModels.fit`."""
    pool = pool_from_records(x, y, groups)
    resident = _resident(pool.records)
    further = None if population is None else _resident(pool_from_records(*population).records)
    check_model(model)
    build_model(model, resident.x)
    asked = _AllRecords(resident.x, resident.y, further)
    # Records that do not fit the model are refused before anything is trained.
    names = tuple(signals or SignalPass(model, asked, loss).head.signals)
    request = ShadowRequest(names, () if further is None else names)
    answers, sentences = train_alone(plan, model, asked, pool, {queries: request}, loss, None, verbose)
    return answers[queries].with_warnings(tuple(sentences))


def _resident(records: Records) -> Records:
    return Records(*tf.nest.map_structure(tf.convert_to_tensor, tuple(records)))


def _size_warning(assignment: NDArray[np.bool_], pool: ShadowPool) -> list[str]:
    own, target = float(assignment.sum(axis=1).mean()), pool.target_size
    if target is None or abs(own - target) <= _SIZE_TOLERANCE * target:
        return []
    return [
        f"each shadow model trains on {own:,.0f} records, the target on {target:,}, because half of the pool of {len(pool):,} "
        "is all there is: the attacks see models that memorise otherwise than the target. More non-members (or a pool=) mend it."
    ]


def _start_warning(model: Any, fresh: Any) -> list[str]:
    differing = differing_statistics(model, fresh)
    if not differing:
        return []
    return [
        f"the target holds values that training does not change by gradients ({', '.join(differing[:3])}) and that a fresh model "
        "does not have: frozen or adapted layers, or training before this one. Shadow models start without them; if they belong "
        "to the architecture, give ShadowModels(model_fn=...), which may set them."
    ]


def _budget_sentence(wanted: int, given: int, budget: float, allowed: float) -> str:
    if allowed < _FEWEST:
        return (
            f"even {given} shadow models cost more than the budget of {budget:g} times the target's training (room for "
            f"{allowed:.2g}); they are trained all the same, of {wanted} asked for."
        )
    return f"{given} shadow models are trained instead of {wanted}, to stay within {budget:g} times the target's training time."


def _refuse_equal_models(first: Any, second: Any) -> None:
    pairs = list(zip(first.trainable_variables, second.trainable_variables, strict=True))
    if pairs and all(np.array_equal(np.asarray(a), np.asarray(b)) for a, b in pairs):
        raise ValueError(
            "two shadow models start from the same weights; let model_fn (or the initializers) draw them afresh each time, "
            "without setting a global seed."
        )

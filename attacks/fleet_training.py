"""From the description of a fleet to shadow models in training."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .compiled_pass import AskedRecords
from .engine_choice import EngineChoice, choose_engine
from .fleet import Fleet
from .fresh_model import FreshModels, not_as_made
from .model_checks import check_model
from .shadow_models import ShadowModels
from .shadow_pool import ShadowPool
from .training_data import TrainingData
from .training_trace import refuse_what_reaches_outside

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
    output: str | int | None = None,
    budget: float | None = None,
    untrained: bool = True,
) -> PreparedFleet:
    """Deals out the records, makes the models, measures the engines.

    Args:
      plan: what the user wants.
      model: the target, built and compiled.
      asked, pool: see `Fleet`.
      batch_size: of a training step.
      epochs: how many there will be; None = unknown, many.
      share: of a pass over its records that an epoch of the target is.
      loss, ask_batch_size, output: see `SignalPass`.
      budget: the fleet's training may cost so many times the target's, in wall time; decided here, once, by lowering the
        number of models. None = no bound.
      untrained: True if the target is about to begin its training, so that it should look like a fresh model.
    Raises:
      ValueError: if the pool is too small, the model cannot be cloned, or the engine cannot train it.
    """
    _refuse_untrainable(model)
    assignment = plan.assignment(len(pool), pool.groups)
    smallest, largest = int(assignment.sum(axis=1).min()), int(assignment.sum(axis=1).max())
    if smallest < batch_size:
        raise ValueError(
            f"a shadow model would train on {smallest:,} records, fewer than one batch of {batch_size:,}: the pool holds "
            f"{len(pool):,}, and every model gets half of it; give more members and non-members, or a pool=."
        )
    fresh = FreshModels(model, asked.x, plan.model_fn, plan.seed)
    first, second = fresh.make_compiled(0), fresh.make(1)
    _refuse_equal_models(first, second)
    data = TrainingData.of(pool.records, batch_size, plan.class_weight, plan.augment)
    refuse_what_reaches_outside(first, model, data)
    longest = math.ceil(share * largest)
    steps = math.ceil(longest / batch_size)
    all_steps = None if epochs is None else epochs * steps * plan.num_models
    choice = choose_engine(plan.engine, model, fresh, data, longest, all_steps, measure=budget is not None)
    warnings = [
        *pool.warnings,
        *_size_warning(assignment, pool),
        *_memory_warning(plan, choice),
    ]
    if untrained:
        warnings += _start_warning(model, first, second)
    if budget is not None:
        target_steps = math.ceil(share * (pool.target_size or longest) / batch_size)
        affordable, said = affordable_models(plan.num_models, budget, choice, target_steps, steps)
        assignment, warnings = assignment[:affordable], [*warnings, *said]
    fleet = Fleet(
        assignment,
        pool,
        asked,
        first,
        choice,
        loss=loss,
        ask_batch_size=ask_batch_size,
        output=output,
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


def affordable_models(
    wanted: int, budget: float, choice: EngineChoice, target_steps: int, shadow_steps: int
) -> tuple[int, list[str]]:
    """How many shadow models a budget allows, an even number, at least four (or as many as are wanted).

    Args:
      wanted: how many are asked for.
      budget: how many times the target's own training they may cost.
      choice: the measured engine.
      target_steps, shadow_steps: training steps an epoch of the target and of one shadow model.
    Returns:
      Their number, and a sentence if it is not the one wanted.
    """
    assert choice.seconds_per_step is not None
    assert choice.fit_seconds_per_step is not None
    allowed = budget * target_steps * choice.fit_seconds_per_step / (shadow_steps * choice.seconds_per_step)
    given = min(wanted, max(_FEWEST, 2 * int(allowed // 2)))
    if allowed < given:
        return given, [
            f"even {given} shadow models cost more than the budget of {budget:g} times the target's training (room for "
            f"{allowed:.2g}); they are trained all the same, of {wanted} asked for."
        ]
    if given == wanted:
        return given, []
    return given, [
        f"{given} shadow models are trained instead of {wanted}, to stay within {budget:g} times the target's training time."
    ]


def _refuse_untrainable(model: Any) -> None:
    check_model(model)
    if not getattr(model, "compiled", False):
        raise ValueError("the model is not compiled; shadow models are trained as it is, so compile it first.")
    if model.distribute_strategy is not None and model.distribute_strategy.num_replicas_in_sync > 1:
        raise ValueError("shadow models are trained on one device; the model is distributed over several replicas.")


def _size_warning(assignment: NDArray[np.bool_], pool: ShadowPool) -> list[str]:
    own, target = float(assignment.sum(axis=1).mean()), pool.target_size
    if target is None or abs(own - target) <= _SIZE_TOLERANCE * target:
        return []
    remedy = (
        "give as many non-members as members, or a pool="
        if own < target
        else "audit fewer records at a time, all of which are in the pool"
    )
    return [
        f"each shadow model trains on {own:,.0f} records, half of the pool of {len(pool):,}, the target on {target:,}: the "
        f"attacks compare it with models that memorise otherwise; {remedy}."
    ]


def _memory_warning(plan: ShadowModels, choice: EngineChoice) -> list[str]:
    if plan.memory_limit is None or choice.engine.name != "fit":
        return []
    return ["memory_limit has no effect: the engine 'fit' keeps every shadow model in memory."]


def _start_warning(model: Any, first: Any, second: Any) -> list[str]:
    differing = not_as_made(model, first, second)
    if not differing:
        return []
    return [
        f"the target does not start as a fresh model would ({', '.join(differing[:3])}): it was trained before, has pretrained "
        "or frozen weights, or adapted layers. Shadow models start without them, so the attacks compare it with models that have "
        "learned less; audit the first fit, or give ShadowModels(model_fn=...), which may set what belongs to the architecture."
    ]


def _refuse_equal_models(first: Any, second: Any) -> None:
    pairs = list(zip(first.trainable_variables, second.trainable_variables, strict=True))
    if pairs and all(np.array_equal(np.asarray(a), np.asarray(b)) for a, b in pairs):
        raise ValueError(
            "two shadow models start from the same weights; let model_fn (or the initializers) draw them afresh each time, "
            "without setting a global seed."
        )

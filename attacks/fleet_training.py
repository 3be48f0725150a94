"""From the description of a fleet to shadow models in training."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .compiled_pass import AskedRecords
from .engine_choice import EngineChoice, choose_engine
from .fleet import Fleet
from .fleet_files import FleetFiles
from .fleet_here import FleetHere, Training
from .fleet_identity import identity_of, row_hashes
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
    alone: bool = False,
) -> PreparedFleet:
    """Deals out the records, makes the models, measures the engines; or finds all that in the plan's `checkpoint_dir`.

    Args:
      plan: what the user wants.
      model: the target, built and compiled.
      asked: the records that signals are wanted of, in the order of `pool.audited`.
      pool: the records.
      batch_size: of a training step.
      epochs: how many there will be; None = unknown, many.
      share: of a pass over its records that an epoch of the target is.
      loss, ask_batch_size, output: see `SignalPass`.
      budget: the fleet's training may cost so many times the target's, in wall time; decided here, once, by lowering the
        number of models. None = no bound.
      untrained: True if the target is about to begin its training, so that it should look like a fresh model.
      alone: True if the optimizer's own learning rate is taken, rather than those of the target's steps.
    Raises:
      ValueError: if the pool is too small, the model cannot be cloned, the engine cannot train it, or `checkpoint_dir` holds
        another fleet.
    """
    _refuse_untrainable(model)
    files = None if plan.checkpoint_dir is None else FleetFiles(plan.checkpoint_dir)
    try:
        pool = pool if files is None else _as_dealt(pool, files.pool())
        assignment = _dealt(plan, pool, batch_size, files if budget is not None else None)
        fresh = FreshModels(model, asked.x, plan.model_fn, plan.seed)
        first, second = fresh.make_compiled(0), fresh.make(1)
        _refuse_equal_models(first, second)
        data = TrainingData.of(pool.records, batch_size, plan.class_weight, plan.augment)
        step = refuse_what_reaches_outside(first, model, data)

        def identity() -> dict[str, Any]:
            return identity_of(plan, first, step, pool, data, assignment, share, alone)

        begun = files is not None and bool(files.manifest)
        warnings = [*pool.warnings, *_size_warning(assignment, pool)]
        if files is not None and begun:
            warnings += filter(None, [files.check(identity())])
        longest = math.ceil(share * int(assignment.sum(axis=1).max()))
        steps = math.ceil(longest / batch_size)
        all_steps = None if epochs is None else epochs * steps * plan.num_models
        name = _engine_of(plan, files)
        measure = budget is not None and not begun
        choice = choose_engine(name, model, fresh, data, longest, all_steps, measure=measure)
        warnings += _memory_warning(plan, choice)
        if untrained and not begun:
            warnings += _start_warning(model, first, second)
        if budget is not None and not begun:
            target_steps = math.ceil(share * (pool.target_size or longest) / batch_size)
            affordable, said = affordable_models(plan.num_models, budget, choice, target_steps, steps)
            assignment, warnings = assignment[:affordable], [*warnings, *said]
        if files is not None:
            files.begin(identity(), choice.engine.name, choice.engine.group_size, row_hashes(pool))
            choice.engine.group_size = files.manifest["group_size"]
        training = Training(assignment, share, batch_size, plan.seed)
        site = FleetHere(
            training,
            asked,
            first,
            choice.engine,
            loss=loss,
            ask_batch_size=ask_batch_size,
            output=output,
            memory_limit=plan.memory_limit,
            files=files,
        )
        return PreparedFleet(Fleet(training, pool.audited, site, files), choice.sentence, tuple(warnings))
    except BaseException:
        if files is not None:
            files.close()
        raise


def failure_sentences(fleet: Fleet) -> list[str]:
    """Sentences if shadow models were left out, or could not be kept in files."""
    said = []
    if fleet.failures:
        named = "; ".join(f"shadow model {number} {why}" for number, why in list(fleet.failures.items())[:3])
        more = "; …" if len(fleet.failures) > 3 else ""
        said.append(f"{len(fleet.failures)} of {fleet.num_models} shadow models are left out: {named}{more}.")
    if fleet.trouble:
        said.append(
            f"checkpoint_dir could not be written to ({fleet.trouble}): a run that is interrupted would start from what was kept "
            "before."
        )
    return said


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


def _as_dealt(pool: ShadowPool, hashes: NDArray[np.uint64] | None) -> ShadowPool:
    """The pool in the order in which a fleet was dealt the same records; as it is if they are not the same."""
    own = row_hashes(pool)
    if hashes is None or not np.array_equal(np.sort(hashes), np.sort(own)):
        return pool
    order = np.empty(len(own), np.int64)
    order[np.argsort(hashes, kind="stable")] = np.argsort(own, kind="stable")
    row = np.empty(len(own), np.int64)
    row[order] = np.arange(len(own))
    return replace(
        pool,
        records=pool.records.take(order),
        groups=None if pool.groups is None else pd.factorize(pool.groups[order])[0].astype(np.int64),
        audited=np.where(pool.audited >= 0, row[pool.audited], -1),
    )


def _dealt(plan: ShadowModels, pool: ShadowPool, batch_size: int, cut_as: FleetFiles | None) -> NDArray[np.bool_]:
    """Which model trains on which record; no more models than the budget allowed when the fleet was begun."""
    assignment = plan.assignment(len(pool), pool.groups)
    if cut_as is not None and cut_as.manifest:
        assignment = assignment[: cut_as.manifest["num_models"]]
    smallest = int(assignment.sum(axis=1).min())
    if smallest < batch_size:
        raise ValueError(
            f"a shadow model would train on {smallest:,} records, fewer than one batch of {batch_size:,}: the pool holds "
            f"{len(pool):,}, and every model gets half of it; give more members and non-members, or a pool=."
        )
    return assignment


def _engine_of(plan: ShadowModels, files: FleetFiles | None) -> str:
    """The engine to take: that of a fleet that was begun before."""
    begun = None if files is None or not files.manifest else str(files.manifest["engine"])
    if begun is None or plan.engine == begun:
        return plan.engine
    if plan.engine != "auto":
        raise ValueError(
            f"checkpoint_dir {str(plan.checkpoint_dir)!r} holds shadow models of the engine {begun!r}, which rounds otherwise than "
            f"{plan.engine!r}; give engine={begun!r} or 'auto', or an empty directory."
        )
    return begun


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

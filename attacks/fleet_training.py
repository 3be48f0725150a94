"""From the description of a fleet to shadow models in training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from .asked_queries import Queries
from .compiled_pass import AskedRecords
from .fleet import Fleet
from .fleet_dealing import as_dealt, dealt, size_warning
from .fleet_files import FleetFiles
from .fleet_identity import identity_of, row_hashes
from .fleet_sites import FleetParts, site_here, site_on_ray
from .fresh_model import FreshModels
from .ray_cluster import import_ray
from .ray_workers import RayWorkers, ray_workers_of
from .shadow_models import ShadowModels
from .shadow_pool import ShadowPool
from .shadow_training import Training
from .target_doubts import refuse_equal_models, refuse_untrainable, start_warning
from .training_data import TrainingData
from .training_trace import refuse_what_reaches_outside
from .true_membership import Relation, rows_within


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
    relations: Mapping[Queries, Relation] | None = None,
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
      relations: for queries that hold more than the audited record: which records lie within.
    Raises:
      ValueError: if the pool is too small, the model cannot be cloned, the engine cannot train it, or `checkpoint_dir` holds
        another fleet.
    """
    refuse_untrainable(model)
    workers = ray_workers_of(plan.engine)
    if workers is not None:
        _refuse_ray(budget)
    with ExitStack() as held:
        files = None if plan.checkpoint_dir is None else FleetFiles(plan.checkpoint_dir)
        if files is not None:
            held.callback(files.close)
        pool = pool if files is None else as_dealt(pool, files.pool())
        related = (relations or {}).items()
        within = {queries: rows_within(relation, pool.records, pool.ids) for queries, relation in related}
        assignment = dealt(plan, pool, batch_size, files if budget is not None else None)
        fresh = FreshModels(model, asked.x, plan.model_fn, plan.seed)
        first, second = fresh.make_compiled(0), fresh.make(1)
        refuse_equal_models(first, second)
        data = TrainingData.of(pool.records, batch_size, plan.class_weight, plan.augment)
        step = refuse_what_reaches_outside(first, model, data)

        def identity() -> dict[str, Any]:
            return identity_of(plan, first, step, pool, data, assignment, share, alone)

        begun = files is not None and bool(files.manifest)
        warnings = [*pool.warnings, *size_warning(assignment, pool)]
        if files is not None and begun:
            warnings += filter(None, [files.check(identity())])
        if untrained and not begun:
            warnings += start_warning(model, first, second)
        training = Training(assignment, share, batch_size, plan.seed)
        longest = math.ceil(share * int(assignment.sum(axis=1).max()))
        all_steps = None if epochs is None else epochs * training.steps_per_epoch * plan.num_models
        reading = {"loss": loss, "ask_batch_size": ask_batch_size, "output": output}
        engine = _engine_of(plan, workers, files)
        bound = None
        if budget is not None and not begun:
            bound = budget, math.ceil(share * (pool.target_size or longest) / batch_size)
        parts = FleetParts(plan, model, asked, pool, fresh, first, data, training, longest, all_steps, reading)
        chosen = site_on_ray(parts, workers, *engine) if workers is not None else site_here(parts, *engine, bound)
        if chosen.close is not None:
            held.callback(chosen.close)
        assignment = chosen.training.assignment
        if files is not None:
            files.begin(identity(), chosen.engine, chosen.group_size, chosen.sentence, row_hashes(pool))
        site = chosen.site(files)
        fleet = Fleet(chosen.training, pool.audited, site, files, within)
        warnings += [*chosen.warnings, *_memory_warning(plan, chosen.engine)]
        held.pop_all()
        return PreparedFleet(fleet, chosen.sentence, tuple(warnings))


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


def _engine_of(plan: ShadowModels, workers: RayWorkers | None, files: FleetFiles | None) -> tuple[str, int | None]:
    """The engine to take, within a worker where there are some, and its group size: those of a fleet that was begun before."""
    wanted = plan.engine if workers is None else workers.engine
    if files is None or not files.manifest:
        return str(wanted), None
    begun, group_size = str(files.manifest["engine"]), files.manifest["group_size"]
    if wanted not in ("auto", begun):
        raise ValueError(
            f"checkpoint_dir {str(plan.checkpoint_dir)!r} holds shadow models of the engine {begun!r}, which rounds otherwise "
            f"than {wanted!r}; give engine={begun!r} or 'auto', or an empty directory."
        )
    return begun, group_size


def _refuse_ray(budget: float | None) -> None:
    import_ray()
    if budget is not None:
        raise ValueError(
            f"budget is {budget:g} with Ray's workers, whose time is not the target's; give the number of shadow models instead."
        )


def _memory_warning(plan: ShadowModels, engine: str) -> list[str]:
    if plan.memory_limit is None or engine != "fit":
        return []
    return ["memory_limit has no effect: the engine 'fit' keeps every shadow model in memory."]

"""Where a fleet is trained, in this process or by Ray's workers, and by which engine."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from .compiled_pass import AskedRecords
from .engine_choice import choose_engine
from .fleet import Site
from .fleet_budget import affordable_models
from .fleet_files import FleetFiles
from .fleet_here import FleetHere
from .fleet_on_ray import FleetOnRay
from .fresh_model import FreshModels
from .model_description import described, weights_digest
from .ray_workers import RayWorkers
from .shadow_models import ShadowModels
from .shadow_pool import ShadowPool
from .shadow_training import Training
from .shard_messages import ShardWork
from .shard_worker import keras_settings
from .training_data import TrainingData


class FleetParts(NamedTuple):
    """What shadow models are trained with, wherever that is.

    Attributes:
      plan, model, asked, pool: see `prepare`.
      fresh: makes shadow models.
      first: shadow model 0, compiled, that no engine trains.
      data: the pool as it is trained on.
      training: how.
      longest: the most records that any shadow model trains on in an epoch.
      all_steps: how many training steps all of them will make together; None = very many.
      reading: `loss`, `ask_batch_size` and `output`, see `SignalPass`.
    """

    plan: ShadowModels
    model: Any
    asked: AskedRecords
    pool: ShadowPool
    fresh: FreshModels
    first: Any
    data: TrainingData
    training: Training
    longest: int
    all_steps: int | None
    reading: dict[str, Any]


class ChosenSite(NamedTuple):
    """Where a fleet will be trained, and by what.

    Attributes:
      engine, group_size: of each group of shadow models.
      sentence: what was measured, for the user.
      training: how; of fewer shadow models if a budget has it so.
      warnings: sentences that change what a number means.
      site: takes the fleet's files, which must have begun by then, and makes the site.
      close: lets go of what it holds already; None if that is nothing.
    """

    engine: str
    group_size: int
    sentence: str
    training: Training
    warnings: list[str]
    site: Callable[[FleetFiles | None], Site]
    close: Callable[[], None] | None


def site_here(parts: FleetParts, name: str, group_size: int | None, bound: tuple[float, int] | None) -> ChosenSite:
    """Training in this process.

    Args:
      parts: of the fleet.
      name: of the engine.
      group_size: that of a fleet that was begun before, or None.
      bound: a budget, and the target's training steps an epoch; None = no budget.
    """
    plan, training = parts.plan, parts.training
    choice = choose_engine(
        name,
        parts.model,
        parts.fresh,
        parts.data,
        parts.longest,
        parts.all_steps,
        measure=bound is not None,
        num_models=len(training.assignment),
    )
    engine = choice.engine
    said: list[str] = []
    engine.group_size = group_size or engine.group_size
    if bound is not None:
        affordable, said = affordable_models(plan.num_models, bound[0], choice, bound[1], training.steps_per_epoch)
        training = training._replace(assignment=training.assignment[:affordable])

    def site(files: FleetFiles | None) -> Site:
        limit = plan.memory_limit
        return FleetHere(training, parts.asked, parts.first, engine, memory_limit=limit, files=files, **parts.reading)

    return ChosenSite(engine.name, engine.group_size, choice.sentence, training, said, site, None)


def site_on_ray(parts: FleetParts, workers: RayWorkers, name: str, group_size: int | None) -> ChosenSite:
    """Training by Ray's workers, all of whom take the engine that the first one takes; arguments as for `site_here`."""
    plan, training = parts.plan, parts.training
    work = ShardWork(
        described(parts.model, plan.model_fn),
        plan.seed,
        plan.class_weight,
        plan.augment,
        plan.memory_limit,
        training,
        weights_digest(parts.first),
        keras=keras_settings(),
        **parts.reading,
    )
    spread = FleetOnRay(workers, work, tuple(parts.pool.records), parts.asked, len(training.assignment))
    try:
        engine, group_size, sentence = spread.choose(name, group_size, parts.longest, parts.all_steps)
    except BaseException:
        spread.close()
        raise

    def site(files: FleetFiles | None) -> Site:
        spread.deal(files)
        return spread

    return ChosenSite(engine, group_size, sentence, training, [], site, spread.close)

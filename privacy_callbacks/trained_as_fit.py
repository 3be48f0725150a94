"""How shadow models are trained as a fit trains: read from its arguments and its steps, or guessed, and then said."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import tensorflow as tf

from privacy_callbacks.attacks.record_arrays import Records
from privacy_callbacks.attacks.shadow_engine import learning_rate_variable
from privacy_callbacks.attacks.shadow_models import ShadowModels
from privacy_callbacks.attacks.shadow_pool import ShadowPool

from .fit_doubts import FitCall, batch_size_of, weights_records


def batch_size_of_steps(plan: ShadowModels, members: int, steps: int | None, fit: FitCall) -> tuple[int, list[str]]:
    """The target's, and a sentence if it is a guess.

    Raises:
      ValueError: if it can be neither seen nor guessed.
    """
    known = plan.batch_size or batch_size_of(fit)
    if known is not None:
        return min(known, members), []
    inferred = inferred_batch_size(members, steps) if fit.arguments.get("steps_per_epoch") is None else None
    if inferred is None:
        raise ValueError(
            f"the batch size cannot be told from {steps} steps an epoch and {members:,} members; give "
            "ShadowModels(batch_size=...), the one that fit trains with."
        )
    return inferred, [
        f"shadow models are trained with batches of {inferred:,}, which make {steps:,} steps of {members:,} members; if fit's "
        "are others, give ShadowModels(batch_size=...)."
    ]


def inferred_batch_size(num_records: int, steps: int | None) -> int | None:
    """The batch size that makes `steps` of one pass over the records, the roundest if several do; None if none does."""
    if not steps or num_records < 1:
        return None
    if steps == 1:
        return num_records
    # ⌈n/b⌉ = steps with the last batch kept, ⌊n/b⌋ = steps with it dropped.
    kept = range(-(-num_records // steps), -(-num_records // (steps - 1)))
    dropped = range(num_records // (steps + 1) + 1, num_records // steps + 1)
    for sizes in (kept, dropped):
        for step in (32, 64, 16, 100, 50, 8, 10, 4, 2, 1):
            round_ones = [size for size in sizes if size % step == 0]
            if round_ones:
                return round_ones[0]
    return None


def as_fit_trains(plan: ShadowModels, fit: FitCall) -> ShadowModels:
    """Takes over the class weights that `fit` was given, where they can be seen."""
    weights = fit.arguments.get("class_weight")
    if weights is not None and plan.class_weight is None:
        return replace(plan, class_weight=dict(weights))
    return plan


def weighed_as_fit_weighs(pool: ShadowPool, fit: FitCall) -> tuple[ShadowPool, list[str]]:
    """The pool with sample weights if `fit` has them, too, and a sentence if only `fit` has."""
    known = bool(tf.nest.flatten(pool.records.weights))
    if weights_records(fit) and not known:
        return pool, [
            "fit weights records (sample_weight), and shadow models are trained with all records alike: give members and "
            "nonmembers with their weights, (x, y, sample_weight)."
        ]
    if known and weights_records(fit) is False:
        return replace(pool, records=Records(pool.records.x, pool.records.y)), []
    return pool, []


def share_of_a_pass(members: int, steps: int | None, batch_size: int, fit: FitCall) -> float:
    """1 for an epoch that is a pass over the members, give or take a batch; another with `steps_per_epoch`.

    Without that argument an epoch of more steps has more records than members names, which is another matter.
    """
    seen = members if steps is None else steps * batch_size
    if abs(seen - members) < batch_size or (seen > members and fit.arguments.get("steps_per_epoch") is None):
        return 1.0
    return seen / members


def not_from_the_start(known: bool, fit: FitCall) -> list[str]:
    """A sentence if the target was trained before (`known`, or by the fit's arguments)."""
    if not known and not fit.arguments.get("initial_epoch"):
        return []
    return [
        "the target was trained before this fit; shadow models start afresh, so the attacks compare it with models that have "
        "been trained for fewer epochs and find less than there is. Audit the fit that begins with fresh weights."
    ]


def schedule_warning(model: Any, ours: int, members: int, share: float, batch_size: int) -> list[str]:
    """A sentence if a schedule counts other steps for shadow models (`ours` an epoch) than for the target."""
    optimizer = model.optimizer
    if optimizer is None or learning_rate_variable(optimizer) is not None:
        return []
    theirs = -(-round(share * members) // batch_size)
    if abs(ours - theirs) <= 0.02 * theirs:
        return []
    return [
        f"the learning-rate schedule counts steps, and shadow models make {ours:,} an epoch where the target makes {theirs:,}: "
        "theirs runs behind."
    ]

"""Shadow models trained from beginning to end, outside of any fit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .asked_queries import Queries
from .asked_records import resident_records
from .compiled_pass import AskedRecords, SignalPass
from .epoch_bar import EpochBar
from .fleet_training import failure_sentences, prepare
from .model_checks import build_model, check_model
from .shadow_models import ShadowModels
from .shadow_pool import ShadowPool
from .shadow_signals import ShadowSignals
from .shadow_training import ShadowRequest
from .true_membership import Relation


def train_alone(
    plan: ShadowModels,
    model: Any,
    asked: AskedRecords,
    pool: ShadowPool,
    requests: Mapping[Queries, ShadowRequest],
    loss: Any = None,
    batch_size: int | None = None,
    output: str | int | None = None,
    verbose: int = 1,
    relations: Mapping[Queries, Relation] | None = None,
) -> tuple[dict[Queries, ShadowSignals], list[str]]:
    """Trains a fleet from beginning to end, outside of any fit.

    Args:
      plan: with its epochs and batch size.
      model, asked, pool: see `prepare`.
      requests: what to ask, by queries.
      loss, batch_size, output: see `SignalPass`.
      verbose: 0 = silent, 1 = a progress bar.
      relations: see `prepare`.
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
        output=output,
        untrained=False,
        alone=True,
        relations=relations,
    )
    fleet = prepared.fleet
    try:
        if verbose and prepared.engine:
            print(f"Shadow models: {prepared.engine}")
        for epoch in range(plan.epochs):
            fleet.train_epoch(done=EpochBar(len(fleet.alive), f"{epoch + 1}/{plan.epochs}", verbose))
        answers = {queries: fleet.signals(request, queries, final=True) for queries, request in requests.items()}
        return answers, [*prepared.warnings, *failure_sentences(fleet)]
    finally:
        fleet.close()


def signals_of_pool(
    plan: ShadowModels,
    model: Any,
    pool: ShadowPool,
    *,
    signals: tuple[str, ...] | None,
    queries: Queries,
    population: Any,
    loss: Any,
    output: str | int | None,
    verbose: int,
) -> ShadowSignals:
    """`ShadowModels.fit`."""
    if isinstance(signals, str):
        signals = (signals,)
    asked = resident_records(pool.records, population)
    check_model(model)
    build_model(model, asked.x)
    # Records that do not fit the model are refused before anything is trained.
    names = tuple(signals or SignalPass(model, asked, loss, output=output).head.signals)
    request = ShadowRequest(names, () if asked.population is None else names)
    answers, sentences = train_alone(plan, model, asked, pool, {queries: request}, loss, None, output, verbose)
    return answers[queries].with_warnings(tuple(sentences))

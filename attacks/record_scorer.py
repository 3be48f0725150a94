"""Attacks on any records, whatever they were to the model: asked of one model after the other, shadow models trained once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .asked_queries import Queries
from .asked_records import resident_records
from .attack import Attack, AttackContext, Examples, Signals, named_attacks, needs
from .compiled_pass import SignalPass
from .fleet_alone import train_alone
from .model_checks import build_model, check_model
from .record_arrays import Records
from .shadow_models import ShadowModels, as_shadow_models
from .shadow_pool import ShadowPool
from .shadow_requests import known_to, shadow_relations, shadow_requests
from .shadow_signals import ShadowSignals


class ScoredModel(NamedTuple):
    """What attacks make of one model.

    Attributes:
      scores: by attack, float[n], higher = more member-like; NaN where a record could not be scored.
      signals: of the records as they are, those that were asked for beside the attacks'; empty if none were.
      labels: int[n], class numbers; None where a record has no single one.
      head: the kind of the model's head, and the shapes of one record's outputs.
    """

    scores: Mapping[str, NDArray[np.float64]]
    signals: Signals
    labels: NDArray[np.int64] | None
    head: tuple[str, Any]


class RecordScorer:
    """Attacks on the same records, asked of one model after the other; shadow models are trained once.

    Args:
      model: a built Keras model, compiled or with `loss` given; shadow models take after it.
      records: n of them, as arrays.
      attacks: on these records, the first of them first.
      ids: [n], owners of the records; None = unknown.
      shadow_models: `ShadowModels(16, epochs=..., batch_size=...)` for attacks that compare with such.
      pool: the records to deal out to shadow models.
      population: (x, y), records that no model trained on, for attacks that need some.
      learned_from: (rows, bool of each row), records of known membership, for attacks that learn from such. They are scored like
        all others, by an attack that knows them: leave them out of what is judged.
      beside: further signals to ask for, of the records as they are; those that do not fit the model's head are left out.
      seed: for whatever is random in an attack.
      loss, batch_size, output: see `SignalPass`.
      verbose: 0 = silent, 1 = a progress bar over shadow models.
    Attributes:
      attacks: by name, placed on the records.
      notes: sentences of shadow models that change what a number means.
    Raises:
      TypeError, ValueError: if attacks, records and model do not fit each other, or what an attack needs is missing.
    """

    def __init__(
        self,
        model: Any,
        records: Records,
        attacks: Sequence[Attack] | Attack,
        *,
        ids: ArrayLike | None = None,
        shadow_models: ShadowModels | int | None = None,
        pool: ShadowPool | None = None,
        population: Any = None,
        learned_from: tuple[NDArray[np.intp], NDArray[np.bool_]] | None = None,
        beside: tuple[str, ...] = (),
        seed: int = 0,
        loss: Any = None,
        batch_size: int | None = None,
        output: str | int | None = None,
        verbose: int = 1,
    ) -> None:
        self._asked = resident_records(records, population)
        self._reading: dict[str, Any] = {"loss": loss, "batch_size": batch_size, "output": output}
        self._last: SignalPass | None = None
        self._seed, self._beside, self._learned_from = seed, beside, learned_from
        owners = None if ids is None else one_each(ids, len(records), "queries")
        plan = as_shadow_models(shadow_models)
        given = named_attacks(attacks)
        for attack in given.values():
            self._refuse_unfed(attack, plan, pool)
        self.attacks = {name: _placed(attack, records, owners) for name, attack in given.items()}
        check_model(model)
        build_model(model, self._asked.x)
        self._answers(model)  # what does not fit is refused before anything is trained
        self._shadows: dict[Queries, ShadowSignals] = {}
        self.notes: tuple[str, ...] = ()
        if plan is not None and pool is not None and any(needs(attack).shadows for attack in self.attacks.values()):
            asking = self.attacks.values()
            requests, relations = shadow_requests(asking), shadow_relations(asking)
            self._shadows, sentences = train_alone(
                plan, model, self._asked, pool, requests, loss, batch_size, output, verbose, relations
            )
            self.notes = tuple(sentences)

    def __call__(self, model: Any) -> ScoredModel:
        """The records' scores by what this model answers; of the same inputs and outputs as the first."""
        asking, answers = self._answers(model)
        scores = {}
        for name, attack in self.attacks.items():
            wish = needs(attack)
            own = answers[wish.queries, False]
            population = answers.get((wish.population_queries, True)) if wish.population else None
            shadows = known_to(wish, self._shadows) if wish.shadows else None
            examples = None
            if wish.examples and self._learned_from is not None:
                rows, known = self._learned_from
                examples = Examples(own.of(rows), known)
            context = AttackContext(population, self._seed, shadows, examples)
            scores[name] = attack.fit(context).score(own)
        as_they_are = answers.get(((), False), Signals({}))
        return ScoredModel(scores, as_they_are, as_they_are.labels, (asking.head.kind, asking.output_shapes))

    def _answers(self, model: Any) -> tuple[SignalPass, dict[tuple[Queries, bool], Signals]]:
        # A model in training is asked again and again, and traced once.
        if self._last is None or self._last.model is not model:
            self._last = SignalPass(model, self._asked, **self._reading)
        asking = self._last
        beside = tuple(name for name in self._beside if name in asking.head.signals)
        wanted: dict[tuple[Queries, bool], tuple[str, ...]] = {((), False): beside} if beside else {}
        for attack in self.attacks.values():
            wish = needs(attack)
            keys = [(wish.queries, False), *([(wish.population_queries, True)] if wish.population else [])]
            for key in keys:
                wanted[key] = tuple(dict.fromkeys([*wanted.get(key, ()), *attack.signals]))
        labels = asking.head.labels
        labels = labels if labels is not None and labels.ndim == 1 else None
        found: dict[tuple[Queries, bool], Signals] = {}
        for (queries, of_population), names in wanted.items():
            if of_population:
                theirs = asking.population_signals(names, queries)
                found[queries, True] = theirs.beside(labels=asking.population_labels)
            else:
                found[queries, False] = asking.signals(names, queries).beside(labels=labels)
        return asking, found

    def _refuse_unfed(self, attack: Attack, plan: ShadowModels | None, pool: ShadowPool | None) -> None:
        inner = getattr(attack, "attack", attack)  # of a range attack the one that scores its points
        if needs(attack).examples and self._learned_from is None:
            raise ValueError(
                f"attack {inner.name!r} learns from records of known membership, and of queries nothing is known; "
                "give another, or audit members and non-members."
            )
        if needs(attack).course or needs(attack).inputs or needs(attack).features:
            raise ValueError(f"attack {inner.name!r} reads more than a model's answers to records; give another.")
        if needs(attack).shadows and (plan is None or pool is None):
            missing = "pool=, the records to train them on"
            if plan is None:
                missing = "shadow_models=, such as ShadowModels(16, epochs=20, batch_size=32)"
            raise ValueError(f"attack {inner.name!r} compares with shadow models; give {missing}.")
        least = getattr(attack, "least_shadow_models", 0)
        if plan is not None and plan.num_models < least:
            raise ValueError(f"{plan.num_models} shadow models are too few to tune on, at least {least} are needed.")


def of_none_asked(pool: ShadowPool, count: int) -> ShadowPool:
    """The pool for queries of which none need be among its records: `trained_on` follows an attack's relation alone."""
    return replace(pool, audited=np.full(count, -1))


def one_each(ids: ArrayLike, count: int, what: str) -> NDArray[Any]:
    """The ids as an array.

    Raises:
      ValueError: if there is not one for each.
    """
    array = np.asarray(ids)
    if array.shape != (count,):
        raise ValueError(f"ids have shape {array.shape} for {count} {what}; give one id each.")
    return array


def _placed(attack: Attack, records: Records, owners: NDArray[Any] | None) -> Any:
    place = getattr(attack, "at", None)
    return attack if place is None else place(records.x, records.y, owners)

"""Range attacks on any queries, members or not: candidates of a reconstruction, neighbours of records to be forgotten."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from privacy_callbacks.attacks.asked_queries import Queries
from privacy_callbacks.attacks.asked_records import resident_records
from privacy_callbacks.attacks.attack import AttackContext, Signals, named_attacks, needs
from privacy_callbacks.attacks.compiled_pass import SignalPass
from privacy_callbacks.attacks.fleet_alone import train_alone
from privacy_callbacks.attacks.model_checks import build_model, check_model
from privacy_callbacks.attacks.record_source import open_source
from privacy_callbacks.attacks.shadow_models import ShadowModels, as_shadow_models
from privacy_callbacks.attacks.shadow_pool import pool_from_records
from privacy_callbacks.attacks.shadow_requests import known_to, shadow_relations, shadow_requests
from privacy_callbacks.attacks.shadow_signals import ShadowSignals
from privacy_callbacks.attacks.true_membership import Found, found_within

from .ramia import PlacedRaMIA, RaMIA


@dataclass(frozen=True)
class RangeScores:
    """What range attacks make of queries; the truth about them is asked for apart.

    Attributes:
      scores: by attack, float[n], higher = the range rather holds a training record; NaN where it could not be scored.
      attacks: by the same names, placed on the queries.
      notes: sentences on how the scores were made.
    """

    scores: Mapping[str, NDArray[np.float64]]
    attacks: Mapping[str, PlacedRaMIA]
    notes: tuple[str, ...] = ()

    def found_in(self, name: str, records: Any, ids: ArrayLike | None = None) -> Found:
        """Which of an attack's ranges hold one of these records: training records, for the truth.

        Args:
          name: of the attack.
          records: (x, y) in any form that `AuditSet` takes; read once.
          ids: [t], their owners, or None.
        """
        if name not in self.attacks:
            raise ValueError(f"there is no attack {name!r}; give one of {', '.join(map(repr, self.attacks))}.")
        owners = None if ids is None else np.asarray(ids)
        return found_within(
            self.attacks[name].relation, open_source(records, "records"), owners, len(self.scores[name])
        )


class RangeScorer:
    """Range attacks on the same queries, asked of one model after the other; shadow models are trained once.

    Args:
      model: a built Keras model, compiled or with `loss` given; shadow models take after it.
      x, y: n queries and their labels, arrays or nests of them.
      attacks: range attacks on them.
      ids: [n], owners of the queries; None = unknown.
      shadow_models: `ShadowModels(16, epochs=..., batch_size=...)` for attacks that compare with such.
      pool: (x, y), records to deal out to shadow models; queries need not be among them. One is IN for a range if it
        trained on a record within it.
      pool_ids: [p], owners of the pool's records, for `SameOwner`; those of one owner go to the same shadow models.
      population: (x, y), records that no model trained on, for attacks that need some.
      seed: for whatever is random in an attack.
      loss, batch_size, output: see `SignalPass`.
      verbose: 0 = silent, 1 = a progress bar over shadow models.
    Raises:
      TypeError, ValueError: if attacks, queries and model do not fit each other, an attack learns from records of known
        membership, or shadow models or their pool are missing.
    """

    def __init__(
        self,
        model: Any,
        x: Any,
        y: Any,
        attacks: Sequence[RaMIA] | RaMIA,
        *,
        ids: ArrayLike | None = None,
        shadow_models: ShadowModels | int | None = None,
        pool: Any = None,
        pool_ids: ArrayLike | None = None,
        population: Any = None,
        seed: int = 0,
        loss: Any = None,
        batch_size: int | None = None,
        output: str | int | None = None,
        verbose: int = 1,
    ) -> None:
        records = pool_from_records(x, y).records
        self._asked = resident_records(records, population)
        self._reading = {"loss": loss, "batch_size": batch_size, "output": output}
        self._seed = seed
        owners = None if ids is None else _one_each(ids, len(records), "queries")
        self._attacks: dict[str, PlacedRaMIA] = {}
        plan = as_shadow_models(shadow_models)
        for name, attack in named_attacks(attacks).items():
            if not isinstance(attack, RaMIA):
                raise TypeError(f"{attack!r} is no range attack; give RaMIA(RMIA(), LpBall(0.5)) or the like.")
            if needs(attack).examples:
                raise ValueError(
                    f"attack {attack.attack.name!r} learns from records of known membership, and of queries nothing is known; "
                    "give another, or audit members and non-members."
                )
            if needs(attack).shadows and (plan is None or pool is None):
                raise ValueError(
                    f"attack {attack.attack.name!r} compares with shadow models; give shadow_models= and the pool= to train "
                    "them on."
                )
            if plan is not None and plan.num_models < attack.least_shadow_models:
                raise ValueError(
                    f"{plan.num_models} shadow models are too few to tune on, at least {attack.least_shadow_models} are needed."
                )
            self._attacks[name] = attack.at(records.x, records.y, owners)
        check_model(model)
        build_model(model, self._asked.x)
        self._answers(model)  # what does not fit is refused before anything is trained
        self._shadows: dict[Queries, ShadowSignals] = {}
        self.notes: tuple[str, ...] = ()
        if plan is not None and any(needs(attack).shadows for attack in self._attacks.values()):
            of_pool = None if pool_ids is None else np.asarray(pool_ids)
            dealt = pool_from_records(pool[0], pool[1], of_pool)
            dealt = replace(dealt, audited=np.full(len(records), -1), ids=of_pool)
            asking = self._attacks.values()
            requests, relations = shadow_requests(asking), shadow_relations(asking)
            self._shadows, sentences = train_alone(
                plan, model, self._asked, dealt, requests, loss, batch_size, output, verbose, relations
            )
            self.notes = tuple(sentences)

    def __call__(self, model: Any) -> RangeScores:
        """The scores of the queries by what this model answers; of the same inputs and outputs as the first."""
        answers = self._answers(model)
        found = {}
        for name, attack in self._attacks.items():
            wish = needs(attack)
            population = answers.get((wish.population_queries, True)) if wish.population else None
            shadows = known_to(wish, self._shadows) if wish.shadows else None
            context = AttackContext(population, self._seed, shadows)
            found[name] = attack.fit(context).score(answers[wish.queries, False])
        return RangeScores(found, dict(self._attacks), self.notes)

    def _answers(self, model: Any) -> dict[tuple[Queries, bool], Signals]:
        asking = SignalPass(
            model, self._asked, self._reading["loss"], self._reading["batch_size"], self._reading["output"]
        )
        wanted: dict[tuple[Queries, bool], tuple[str, ...]] = {}
        for attack in self._attacks.values():
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
        return found


def _one_each(ids: ArrayLike, count: int, what: str) -> NDArray[Any]:
    """The ids as an array.

    Raises:
      ValueError: if there is not one for each.
    """
    array = np.asarray(ids)
    if array.shape != (count,):
        raise ValueError(f"ids have shape {array.shape} for {count} {what}; give one id each.")
    return array

"""What attacks are told of a model and its records: that for which they ask, and nothing else."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from privacy_callbacks.attacks.asked_queries import Queries
from privacy_callbacks.attacks.attack import Attack, AttackContext, Needs, Signals, needs
from privacy_callbacks.attacks.audit_set import AuditSet
from privacy_callbacks.attacks.compiled_pass import SignalPass
from privacy_callbacks.attacks.shadow_signals import ShadowSignals
from privacy_callbacks.attacks.true_membership import QueryTruth, Relation, truth_of

from .audited_features import audited_features, audited_inputs
from .judging import ScoredRecords, scored


class AdversaryKnowledge:
    """The model's answers, the population's, labels, features and the truth about queries, dealt to each attack as it needs.

    Args:
      signal_pass: asks the model.
      audit_set: the records.
      attacks: whose needs are met.
      always: signals that are read of the records as they are, whatever attacks want.
      seed: for features and for whatever is random in an attack.
      truths: what is known already of attacks' queries, by their relation; None = nothing.
    Raises:
      ValueError: if the records do not have what an attack needs.
    """

    def __init__(
        self,
        signal_pass: SignalPass,
        audit_set: AuditSet,
        attacks: Iterable[Attack],
        always: Sequence[str],
        seed: int,
        truths: Mapping[Relation, QueryTruth] | None,
    ) -> None:
        self._pass, self._audit_set, self._seed = signal_pass, audit_set, seed
        self._attacks = tuple(attacks)
        self._wanted: dict[Queries, tuple[str, ...]] = {(): tuple(dict.fromkeys(always))}
        for attack in self._attacks:
            asked = needs(attack).queries
            self._wanted[asked] = tuple(dict.fromkeys([*self._wanted.get(asked, ()), *attack.signals]))
        self._features: tuple[NDArray[Any] | None, NDArray[Any] | None] = None, None
        if any(needs(attack).inputs for attack in self._attacks):
            self._features = audited_features(audit_set, seed)
        alone = any(needs(attack).features == "inputs" for attack in self._attacks)
        self._inputs = audited_inputs(audit_set, seed) if alone else None
        self._truths = {
            relation: (truths or {}).get(relation) or truth_of(relation, audit_set)
            for relation in dict.fromkeys(needs(attack).relation for attack in self._attacks)
            if relation is not None
        }

    def answers(self) -> dict[Queries, Signals]:
        """The records' signals, for each kind of queries of which an attack wants to know them."""
        return {queries: self._pass.signals(names, queries) for queries, names in self._wanted.items()}

    def populations(self) -> dict[Queries, Signals]:
        """The population's signals, for each kind of queries of which an attack wants to know them."""
        wanted: dict[Queries, tuple[str, ...]] = {}
        for attack in self._attacks:
            if needs(attack).population:
                asked = needs(attack).population_queries
                wanted[asked] = tuple(dict.fromkeys([*wanted.get(asked, ()), *attack.signals]))
        found = {queries: self._pass.population_signals(names, queries) for queries, names in wanted.items()}
        if not found:
            return found
        labels = class_numbers(self._pass.population_labels)
        return {
            queries: signals.beside(labels=labels, features=self._features[1]) for queries, signals in found.items()
        }

    def scored(
        self,
        attack: Attack,
        answers: Mapping[Queries, Signals],
        populations: Mapping[Queries, Signals],
        course: Sequence[NDArray[Any]] | None,
        shadows: ShadowSignals | None = None,
    ) -> ScoredRecords:
        """What the attack finds when it is given what it asks for, and nothing else."""
        wish = needs(attack)
        own = answers[wish.queries]
        population = populations.get(wish.population_queries) if wish.population else None
        context = AttackContext(population, self._seed, shadows)
        signals = Signals({name: own[name] for name in attack.signals}).beside(
            labels=class_numbers(self._pass.head.labels),
            features=self._features_for(wish),
            course=np.stack(course) if wish.course and course is not None else None,
        )
        return scored(attack, signals, self._audit_set, context, self.truth_of(attack))

    def truth_of(self, attack: Attack) -> QueryTruth | None:
        """What is true of an attack's queries; None if that is the records' membership."""
        relation = needs(attack).relation
        return None if relation is None else self._truths[relation]

    def _features_for(self, wish: Needs) -> NDArray[Any] | None:
        """The records as numbers, of the kind this attack reads."""
        if wish.features == "last_layer":
            return self._pass.last_layer_inputs()
        return self._inputs if wish.features == "inputs" else self._features[0] if wish.inputs else None


def class_numbers(labels: NDArray[np.int64] | None) -> NDArray[np.int64] | None:
    """The class numbers, if a record has one."""
    return labels if labels is not None and labels.ndim == 1 else None

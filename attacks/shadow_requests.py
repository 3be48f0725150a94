"""What several attacks together want to know of shadow models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from .asked_queries import Queries
from .attack import Attack, Needs, needs
from .shadow_signals import ShadowSignals
from .shadow_training import ShadowRequest
from .true_membership import Relation


def shadow_requests(attacks: Iterable[Attack]) -> dict[Queries, ShadowRequest]:
    """What shadow models must be asked for, by queries; empty if no attack wants to know."""
    found: dict[Queries, ShadowRequest] = {}
    for attack in attacks:
        wish, names = needs(attack), attack.signals
        if not wish.shadows:
            continue
        asked_of = [(wish.queries, wish.population and wish.population_queries == wish.queries)]
        if wish.population and wish.population_queries != wish.queries:
            asked_of.append((wish.population_queries, True))
        for queries, population in asked_of:
            known = found.get(queries, ShadowRequest((), ()))
            further = names if population else ()
            found[queries] = ShadowRequest(
                tuple(dict.fromkeys([*known.names, *names])),
                tuple(dict.fromkeys([*known.population_names, *further])),
            )
    return found


def shadow_relations(attacks: Iterable[Attack]) -> dict[Queries, Relation]:
    """Which records lie within those queries to shadow models that are more than the audited record."""
    wishes = [needs(attack) for attack in attacks]
    return {wish.queries: wish.relation for wish in wishes if wish.shadows and wish.relation is not None}


def known_to(wish: Needs, answers: Mapping[Queries, ShadowSignals]) -> ShadowSignals:
    """What shadow models answered to an attack's queries, and of the population to those that are put to it."""
    own = answers[wish.queries]
    if not wish.population or wish.population_queries == wish.queries:
        return own
    return ShadowSignals(own, own.trained_on, answers[wish.population_queries].population, own.warnings)

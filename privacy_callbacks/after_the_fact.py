"""The audit of a model that has been trained already."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

from privacy_callbacks.attacks.attack import Attack, named_attacks, needs
from privacy_callbacks.attacks.audit_set import AuditSet
from privacy_callbacks.attacks.audit_warning import AuditWarning
from privacy_callbacks.attacks.canary_audit import canary_audit_set
from privacy_callbacks.attacks.canary_split import CanarySplit
from privacy_callbacks.attacks.epsilon_audit import EpsilonAudit
from privacy_callbacks.attacks.fleet_alone import train_alone
from privacy_callbacks.attacks.report import LeakageReport
from privacy_callbacks.attacks.shadow_models import ShadowModels, as_shadow_models
from privacy_callbacks.attacks.shadow_pool import pool_of
from privacy_callbacks.attacks.true_membership import QueryTruth, Relation

from .attack_choice import refuse_few_shadow_models
from .audit_outcome import Audit
from .auditing import Auditor
from .live_epsilon import LiveEpsilon, epsilon_plan


def audit(
    model: Any,
    members: Any,
    nonmembers: Any = None,
    attacks: Sequence[Attack] | Attack | None = None,
    audit_size: int = 2_000,
    seed: int = 0,
    *,
    population: Any = None,
    loss: Any = None,
    batch_size: int | None = None,
    output: str | int | None = None,
    shadow_models: ShadowModels | int | None = None,
    blind_baseline: bool = True,
    slices: Any = None,
    epsilon: EpsilonAudit | None = None,
    verbose: int = 1,
) -> list[LeakageReport]:
    """How much of its training data does this model give away? The callback's audit, after the fact.

    Args:
      model: a built Keras model; compiled, or with `loss` given.
      members, nonmembers: records it was, and was not, trained on, in any form that `AuditSet` takes; or one `AuditSet`, or
        one `CanarySplit`.
      attacks: as for `MIACallback`.
      audit_size: the most records to audit on each side; an `AuditSet` brings its own.
      seed: decides sample, halves and permutations.
      population: see `AuditSet`; default: a third of the non-members if an attack needs one.
      loss: a loss to use instead of the compiled one.
      batch_size: the most records in one forward pass.
      output: the name or number of the output to audit, of several; default: the sum of their losses.
      shadow_models: `ShadowModels(16, epochs=..., batch_size=...)`, with the epochs and batch size that the model was trained
        with; trained now, for the attacks that compare with such.
      blind_baseline: see `MIACallback`.
      slices, epsilon: see `MIACallback`.
      verbose: 0 = silent, 1 = a progress bar over shadow models.
    Returns:
      One report an attack; then those on slices, attack by attack.
    Raises:
      TypeError, ValueError: see `AuditSet` and `Auditor`.
    """
    audit_set = audit_set_for(members, nonmembers, attacks, population, audit_size, seed)
    _, found, sentences = audited(
        model,
        audit_set,
        attacks,
        seed,
        loss=loss,
        batch_size=batch_size,
        output=output,
        shadow_models=shadow_models,
        blind_baseline=blind_baseline,
        slices=slices,
        epsilon=epsilon,
        verbose=verbose,
    )
    for sentence in sentences:
        warnings.warn(sentence, AuditWarning, stacklevel=2)
    return list(found.reports)


def audited(
    model: Any,
    audit_set: AuditSet,
    attacks: Sequence[Attack] | Attack | None,
    seed: int = 0,
    *,
    loss: Any = None,
    batch_size: int | None = None,
    output: str | int | None = None,
    shadow_models: ShadowModels | int | None = None,
    blind_baseline: bool = True,
    slices: Any = None,
    epsilon: EpsilonAudit | None = None,
    verbose: int = 1,
    truths: Mapping[Relation, QueryTruth] | None = None,
) -> tuple[Auditor, Audit, list[str]]:
    """What `audit` finds, with the scores; and sentences for the user. Arguments as there, and `truths` as for `Auditor`."""
    plan, bounds = as_shadow_models(shadow_models), epsilon_plan(epsilon, audit_set)
    refuse_few_shadow_models([] if attacks is None else named_attacks(attacks).values(), plan)
    auditor = Auditor(
        model,
        audit_set,
        attacks,
        loss=loss,
        batch_size=batch_size,
        seed=seed,
        with_shadows=plan is not None,
        output=output,
        blind_baseline=blind_baseline,
        slices=slices,
        in_fit=False,
        truths=truths,
    )
    headline = next(iter(auditor.attacks.values()))
    reader = None if bounds is None else LiveEpsilon(bounds, headline, audit_set, only=True)
    shadows, sentences = None, [*auditor.warnings, *auditor.remarks]
    if plan is not None:
        pool = pool_of(audit_set, plan.pool, plan.seed)
        requests = auditor.shadow_requests
        shadows, remarks = train_alone(
            plan, model, audit_set, pool, requests, loss, batch_size, output, verbose, auditor.relations
        )
        auditor.warnings += remarks
        sentences += remarks
    found = auditor.run(None, strict=True, shadows=shadows)
    return auditor, found if reader is None else reader.read(found, look=1), sentences


def audit_set_for(
    members: Any,
    nonmembers: Any,
    attacks: Sequence[Attack] | Attack | None,
    population: Any,
    audit_size: int,
    seed: int,
) -> AuditSet:
    """The given `AuditSet`, that of a `CanarySplit`, or one drawn from the two sides; a third of the non-members set aside if
    attacks need it.
    """
    if isinstance(members, CanarySplit):
        if nonmembers is not None:
            raise ValueError("members is a CanarySplit, which holds both sides; leave nonmembers to it.")
        return canary_audit_set(members, population, seed)
    if isinstance(members, AuditSet):
        if nonmembers is not None or population is not None:
            raise ValueError("members is an AuditSet already; leave nonmembers and population to it.")
        return members
    if nonmembers is None:
        raise ValueError("nonmembers is missing: an attack is judged by telling members from records never trained on.")
    if population is None:
        asking = attacks is not None and any(needs(attack).population for attack in named_attacks(attacks).values())
        population = 1 / 3 if asking else None
    return AuditSet(members, nonmembers, population, audit_size, seed=seed)

"""The range audit of a model that has been trained already: reports, and every range by itself."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from privacy_callbacks.attacks.attack import Attack
from privacy_callbacks.attacks.audit_warning import AuditWarning
from privacy_callbacks.attacks.membership_probability import membership_probabilities
from privacy_callbacks.attacks.report import LeakageReport
from privacy_callbacks.attacks.shadow_models import ShadowModels
from privacy_callbacks.range_queries.ramia import RaMIA

from .after_the_fact import audit_set_for, audited

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class RangeAudit:
    """What range attacks found.

    Attributes:
      reports: one an attack; then those on slices, attack by attack.
      ranges: a table with a row a range and attack, in the order of the audited records: `attack`, `id`, `member_centre`
        (is the record a member, around which the range lies or from which its centre was drawn?), `holds_training_record` (the
        truth; <NA> where it cannot be said), `centre_in_training`, `score` (higher = more member-like; NaN where the
        attack cannot score it) and `member_probability` (that the range holds one, at prior ½).
      warnings: sentences about the experiment.
    """

    reports: tuple[LeakageReport, ...]
    ranges: pd.DataFrame
    warnings: tuple[str, ...]


def audit_ranges(
    model: Any,
    members: Any,
    nonmembers: Any = None,
    attacks: Sequence[RaMIA] | RaMIA | None = None,
    audit_size: int = 2_000,
    seed: int = 0,
    *,
    population: Any = None,
    shadow_models: ShadowModels | int | None = None,
    **options: Any,
) -> RangeAudit:
    """Do ranges around these records hold what this model was trained on, as far as it gives that away?

    Args:
      model, members, nonmembers, audit_size, seed, population, shadow_models: as for `audit`.
      attacks: range attacks, and for comparison those at the ranges' centres (`RaMIA.at_centres`).
      options: further ones of `audit`.
    Raises:
      TypeError: if an attack is no `RaMIA`.
      ValueError: as `audit`.
    """
    asked = [attacks] if isinstance(attacks, Attack) else list(attacks or ())
    others = [attack for attack in asked if not isinstance(attack, RaMIA)]
    if others or not asked:
        raise TypeError(f"attacks is {others or attacks!r}; give range attacks such as RaMIA(RMIA(), LpBall(0.5)).")
    audit_set = audit_set_for(members, nonmembers, asked, population, audit_size, seed)
    auditor, found, sentences = audited(model, audit_set, asked, seed, shadow_models=shadow_models, **options)
    for sentence in sentences:
        warnings.warn(sentence, AuditWarning, stacklevel=2)
    tables = [_table(name, auditor.truth_of(name), scores, audit_set, seed) for name, scores in found.scores.items()]
    import pandas as pd

    return RangeAudit(found.reports, pd.concat(tables, ignore_index=True), tuple(sentences))


def _table(name: str, truth: Any, scores: NDArray[np.float64], audit_set: Any, seed: int) -> pd.DataFrame:
    import pandas as pd

    known = truth.known & ~np.isnan(scores)
    probability = np.full(len(scores), np.nan)
    if truth.is_member[known].any() and not truth.is_member[known].all():
        probability[known] = membership_probabilities(scores[known], truth.is_member[known], seed=seed)
    holds = pd.array(truth.is_member, dtype="boolean")
    holds[~truth.known] = pd.NA
    return pd.DataFrame(
        {
            "attack": name,
            "id": audit_set.ids,
            "member_centre": audit_set.is_member,
            "holds_training_record": holds,
            "centre_in_training": truth.exact,
            "score": scores,
            "member_probability": probability,
        }
    )

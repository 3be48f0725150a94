"""From an attack and a model's answers to reports: on all audited records, and on slices of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from privacy_callbacks.attacks.attack import Attack, AttackContext, Scores, Signals, needs
from privacy_callbacks.attacks.audit_set import AuditSet
from privacy_callbacks.attacks.by_slice import sliced_reports
from privacy_callbacks.attacks.cross_fitting import cross_fitted
from privacy_callbacks.attacks.report import LeakageReport
from privacy_callbacks.attacks.slices import Slice

from .experiment import owners

_TWO_HALVES = (
    "the attacker knows the membership of half of the records and is judged on the other half, and the other way round; "
    "numbers are the means of both."
)


class ScoredRecords(NamedTuple):
    """An attack's scores of the audited records.

    Attributes:
      values: float[n], NaN for records that it could not score.
      fold: int[n], which of two attackers scored a record; None if there was one.
    """

    values: NDArray[np.float64]
    fold: NDArray[np.int64] | None


def scored(attack: Attack, signals: Signals, audit_set: AuditSet, context: AttackContext) -> ScoredRecords:
    """Lets the attack learn and score; in two halves, if it learns from records of known membership.

    Raises:
      ValueError: whatever the attack raises, or if it does not give one score a record.
    """
    if needs(attack).examples:
        crossed = cross_fitted(attack, signals, audit_set.is_member, context.seed, owners(audit_set), context)
        return ScoredRecords(crossed.values, crossed.fold)
    found = np.asarray(attack.fit(context).score(signals), dtype=np.float64)
    if found.shape != audit_set.is_member.shape:
        raise ValueError(f"the attack gave scores of shape {found.shape} for {len(audit_set)} records.")
    return ScoredRecords(found, None)


def judged(
    name: str,
    attack: Attack,
    given: ScoredRecords,
    audit_set: AuditSet,
    slices: Sequence[Slice],
    seed: int,
    notes: tuple[str, ...],
    **described: Any,
) -> list[LeakageReport]:
    """The report on all records, then those on slices.

    Args:
      name: of the attack in this audit.
      attack, given: it, and what it found.
      audit_set: the records.
      slices: parts of them.
      seed: for halves and permutations.
      notes: sentences for the reports.
      described: what else `LeakageReport.from_scores` writes into them.
    """
    truth, values = audit_set.is_member, given.values
    # Only shadow models that failed leave records without the comparison that an attack needs.
    known = ~np.isnan(values) if needs(attack).shadows else np.ones(len(values), bool)
    if not known.all():
        left_out = int(np.count_nonzero(~known))
        notes = (f"{left_out:,} of {len(values):,} records lack the shadow models this attack compares with.", *notes)
    if given.fold is not None:
        notes = (_TWO_HALVES, *notes)
    described = {"notes": (*getattr(attack, "notes", ()), *notes), **described}
    scores = Scores(values[known], truth[known], audit_set.ids[known])
    folds = None if given.fold is None else given.fold[known]
    whole = LeakageReport.from_scores(scores.values, scores.is_member, name, seed, folds=folds, **described)
    return [whole, *sliced_reports(values, truth, slices, name, seed, folds=given.fold, **described)]

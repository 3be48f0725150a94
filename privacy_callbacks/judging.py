"""From an attack and a model's answers to reports: on all audited records, and on slices of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from privacy_callbacks.attacks.attack import Attack, AttackContext, Scores, Signals, needs
from privacy_callbacks.attacks.audit_set import AuditSet
from privacy_callbacks.attacks.by_slice import sliced_reports
from privacy_callbacks.attacks.cross_fitting import cross_fitted
from privacy_callbacks.attacks.given_scores import scores_given
from privacy_callbacks.attacks.report import LeakageReport
from privacy_callbacks.attacks.slices import Slice
from privacy_callbacks.attacks.true_membership import QueryTruth

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
      notes: sentences on how the attack went about it.
    """

    values: NDArray[np.float64]
    fold: NDArray[np.int64] | None
    notes: tuple[str, ...] = ()


def scored(
    attack: Attack,
    signals: Signals,
    audit_set: AuditSet,
    context: AttackContext,
    truth: QueryTruth | None = None,
) -> ScoredRecords:
    """Lets the attack learn and score; in two halves, if it learns from records of known membership.

    Args:
      attack, signals, audit_set, context: what they are.
      truth: about the attack's queries, if that is another than the records' membership.

    Raises:
      ValueError: whatever the attack raises, or if it does not give one real number a record.
    """
    if needs(attack).examples:
        return _cross_fitted(attack, signals, audit_set, context, truth)
    fitted = attack.fit(context)
    found = scores_given(fitted.score(signals), len(audit_set))
    return ScoredRecords(found, None, tuple(getattr(fitted, "notes", ())))


def _cross_fitted(
    attack: Attack, signals: Signals, audit_set: AuditSet, context: AttackContext, truth: QueryTruth | None
) -> ScoredRecords:
    groups = owners(audit_set)
    if truth is None:
        crossed = cross_fitted(attack, signals, audit_set.is_member, context.seed, groups, context)
        return ScoredRecords(crossed.values, crossed.fold)
    rows = np.flatnonzero(truth.known)
    groups = None if groups is None else np.asarray(groups)[rows]
    crossed = cross_fitted(attack, signals.of(rows), truth.is_member[rows], context.seed, groups, context)
    values, fold = np.full(len(audit_set), np.nan), np.zeros(len(audit_set), np.int64)
    values[rows], fold[rows] = crossed.values, crossed.fold
    return ScoredRecords(values, fold)


def judged(
    name: str,
    attack: Attack,
    given: ScoredRecords,
    audit_set: AuditSet,
    slices: Sequence[Slice],
    seed: int,
    notes: tuple[str, ...],
    truth: QueryTruth | None = None,
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
      truth: as for `scored`; records of which it is not known are left out, and where some queries are training records and
        others only hold one, there are reports on either.
      described: what else `LeakageReport.from_scores` writes into them.
    """
    is_member, values, asked = audit_set.is_member, given.values, np.ones(len(given.values), bool)
    notes = (*given.notes, *notes)
    if truth is not None:
        is_member, asked = truth.is_member, truth.known
        values = np.where(asked, values, np.nan)
        notes = (*truth.notes, *notes)
        slices = [*slices, *_by_kind(truth)]
    # Only shadow models that failed, or trained on all that a query holds, leave records without a comparison.
    known = ~np.isnan(values) if needs(attack).shadows else asked
    left_out = int(np.count_nonzero(asked & ~known))
    if left_out:
        what = "records" if truth is None else "ranges"
        notes = (f"{left_out:,} of {len(values):,} {what} lack the shadow models this attack compares with.", *notes)
    if given.fold is not None:
        notes = (_TWO_HALVES, *notes)
    described = {"notes": (*getattr(attack, "notes", ()), *notes), **described}
    scores = Scores(values[known], is_member[known], audit_set.ids[known])
    folds = None if given.fold is None else given.fold[known]
    unjudged = None if truth is None else truth.unjudged
    if unjudged is not None:
        described["warnings"] = (*described.get("warnings", ()), unjudged)
    whole = LeakageReport.from_scores(scores.values, scores.is_member, name, seed, folds=folds, **described)
    found = [whole, *sliced_reports(values, is_member, slices, name, seed, folds=given.fold, **described)]
    return found if unjudged is None else [_without_p_value(report, unjudged) for report in found]


def _without_p_value(report: LeakageReport, reason: str) -> LeakageReport:
    if report.failed:
        return report
    return replace(report, p_value=None, holm_p_value=None, refusals={**report.refusals, "p_value": reason})


def _by_kind(truth: QueryTruth) -> list[Slice]:
    inside = truth.is_member & truth.known
    if not (inside & truth.exact).any() or not (inside & ~truth.exact).any():
        return []
    outside = truth.known & ~truth.is_member
    return [
        Slice("centre in training", outside | (inside & truth.exact)),
        Slice("only a neighbour in training", outside | (inside & ~truth.exact)),
    ]

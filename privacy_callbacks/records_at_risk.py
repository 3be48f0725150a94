"""Which records, and how surely: the audited records as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from privacy_callbacks.attacks.audit_set import AuditSet
from privacy_callbacks.attacks.membership_probability import membership_probabilities
from privacy_callbacks.attacks.trajectory import loss_iqr

from .auditing import Auditor

# Quartiles of fewer audits than these say little about a record's course.
_AUDITS_FOR_A_COURSE = 4
_AUDITS_COMPARED = 20
_AT_RISK = 0.1  # the share of members whose risk is followed over audits


def records_table(
    audit_set: AuditSet,
    auditor: Auditor,
    scores: Mapping[str, NDArray[np.float64]],
    losses: Sequence[NDArray[Any]],
    headline: Sequence[NDArray[Any]],
    seed: int,
) -> pd.DataFrame:
    """One row an audited record, its index the record's row in the audit set; `MIACallback.records` describes the columns.

    Args:
      audit_set: the records.
      auditor: whose audits they are.
      scores: by attack, at the newest audit.
      losses, headline: minus its loss, and the first attack's score: float[n] an audited epoch, oldest first.
      seed: of the halves from which membership probabilities are learned.
    """
    table = pd.DataFrame({"id": audit_set.ids, "is_member": audit_set.is_member})
    labels = auditor.labels
    if labels is not None and np.prod(labels.shape[1:]) == 1:
        table["label"] = labels.reshape(-1)
    for attack, found in scores.items():
        table[attack] = found
    name, first = next(iter(scores.items()))
    truth = auditor.truth_of(name)
    known = ~np.isnan(first) if truth is None else truth.known & ~np.isnan(first)
    is_member = audit_set.is_member if truth is None else truth.is_member
    table["member_probability"] = np.nan
    if is_member[known].any() and not is_member[known].all():
        table.loc[known, "member_probability"] = membership_probabilities(first[known], is_member[known], seed=seed)
    if losses:
        table["loss_iqr"] = loss_iqr(np.stack(losses))
    by_course = auditor.has_classes and len(losses) >= _AUDITS_FOR_A_COURSE
    risk = table["loss_iqr"] if by_course else pd.Series(first)
    table["risk_rank"] = risk[audit_set.is_member].rank(ascending=False, method="first").astype("Int64")
    if losses:
        by_score = [score for score in headline if not np.isnan(score).all()]
        risks = _risks_by_course(losses) if by_course else _some(by_score)
        table["risk_stability"] = _stability(risks, audit_set.is_member)
    return table.sort_values("risk_rank", na_position="last", kind="stable")


def _risks_by_course(losses: Sequence[NDArray[Any]]) -> list[NDArray[Any]]:
    """LT-IQR as it was at each audit, from the fourth on."""
    course = np.stack(losses)
    return [loss_iqr(course[:until]) for until in _some(range(_AUDITS_FOR_A_COURSE, len(course) + 1))]


def _some(audits: Sequence[Any]) -> list[Any]:
    """At most twenty of them, evenly spread, the newest among them."""
    if not len(audits):
        return []
    chosen = np.unique(np.linspace(0, len(audits) - 1, min(len(audits), _AUDITS_COMPARED)).round().astype(int))
    return [audits[index] for index in chosen]


def _stability(risks: Sequence[NDArray[Any]], is_member: NDArray[np.bool_]) -> NDArray[np.float64]:
    """float[n]: the share of audits at which a member stood among the tenth most at risk; NaN for non-members."""
    members = np.flatnonzero(is_member)
    most = int(np.ceil(_AT_RISK * members.size))
    found = np.full(is_member.size, np.nan)
    found[members] = 0 if risks else np.nan
    for risk in risks:
        # A stable sort, as the rank's: of equal risks the first come first. NaN (not scored) comes last.
        order = np.argsort(-np.asarray(risk, np.float64)[members], kind="stable")
        found[members[order[:most]]] += 1 / len(risks)
    return found

"""Which records, and how surely: the audited records as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from privacy_callbacks.attacks.attack import Scores
from privacy_callbacks.attacks.audit_set import AuditSet
from privacy_callbacks.attacks.trajectory import loss_iqr

# Quartiles of fewer audits than these say little about a record's course.
_AUDITS_FOR_A_COURSE = 4


def records_table(
    audit_set: AuditSet,
    labels: NDArray[Any],
    scores: Mapping[str, Scores],
    losses: Sequence[NDArray[Any]],
) -> pd.DataFrame:
    """One row an audited record: members first, most at risk on top, then non-members by id order.

    Columns: `id`, `is_member`, `label` (where a label is one number or name), one a successful attack with its score
    (higher = more member-like), `loss_iqr` (the interquartile range of the record's loss over the audits), and
    `risk_rank`: 1 = the member most at risk, <NA> for non-members. From four audits on the rank follows `loss_iqr`, which
    finds the records that had to be memorised; before that it follows the first attack's score.

    Args:
      audit_set: the records.
      labels: [n, ...].
      scores: by attack, at the newest audit.
      losses: float[n] a successful audit, oldest first.
    """
    table = pd.DataFrame({"id": audit_set.ids, "is_member": audit_set.is_member})
    if np.prod(labels.shape[1:]) == 1:
        table["label"] = labels.reshape(-1)
    for attack, found in scores.items():
        table[attack] = found.values
    headline = next(iter(scores.values())).values
    if losses:
        table["loss_iqr"] = loss_iqr(np.stack(losses))
    by_course = len(losses) >= _AUDITS_FOR_A_COURSE
    risk = pd.Series(table["loss_iqr"] if by_course else headline)
    ranks = risk[audit_set.is_member].rank(ascending=False, method="first").astype("Int64")
    table["risk_rank"] = ranks
    table["risk_rank"] = table["risk_rank"].astype("Int64")
    return table.sort_values("risk_rank", na_position="last", kind="stable", ignore_index=True)

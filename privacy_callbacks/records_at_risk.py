"""Which records, and how surely: the audited records as a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from privacy_callbacks.attacks.audit_set import AuditSet
from privacy_callbacks.attacks.trajectory import loss_iqr

from .auditing import Auditor

# Quartiles of fewer audits than these say little about a record's course.
_AUDITS_FOR_A_COURSE = 4


def records_table(
    audit_set: AuditSet, auditor: Auditor, scores: Mapping[str, NDArray[np.float64]], losses: Sequence[NDArray[Any]]
) -> pd.DataFrame:
    """One row an audited record; `MIACallback.records` describes the columns.

    Args:
      audit_set: the records.
      auditor: whose audits they are.
      scores: by attack, at the newest audit.
      losses: float[n] an audited epoch, oldest first.
    """
    table = pd.DataFrame({"id": audit_set.ids, "is_member": audit_set.is_member})
    labels = auditor.labels
    if labels is not None and np.prod(labels.shape[1:]) == 1:
        table["label"] = labels.reshape(-1)
    for attack, found in scores.items():
        table[attack] = found
    risk = pd.Series(next(iter(scores.values())))
    if losses:
        table["loss_iqr"] = loss_iqr(np.stack(losses))
        if auditor.has_classes and len(losses) >= _AUDITS_FOR_A_COURSE:
            risk = table["loss_iqr"]
    table["risk_rank"] = risk[audit_set.is_member].rank(ascending=False, method="first")
    table["risk_rank"] = table["risk_rank"].astype("Int64")
    return table.sort_values("risk_rank", na_position="last", kind="stable", ignore_index=True)

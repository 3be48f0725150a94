"""The audited records themselves as numbers, for attacks that learn how hard a record is."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from privacy_callbacks.attacks.audit_set import AuditSet
from privacy_callbacks.attacks.record_arrays import as_arrays, plain_leaves
from privacy_callbacks.attacks.record_features import record_features, record_statistics, standardised


def audited_inputs(audit_set: AuditSet, seed: int) -> NDArray[np.float32]:
    """float32[n, d]: the audited records' standardised inputs, without labels; the seed decides projections of wide ones."""
    return record_features(plain_leaves(as_arrays(audit_set.x)), seed)


def audited_features(audit_set: AuditSet, seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32] | None]:
    """Inputs and labels as columns: of the audited records, and of the population (None if there is none).

    Args:
      audit_set: the records.
      seed: decides the projections of wide inputs.
    Returns:
      float32[n, d] and float32[z, d]: standardised inputs (see `record_features`), an indicator of each class or the targets.
    """
    sides: list[Any] = [(audit_set.x, audit_set.y)]
    if audit_set.population is not None:
        sides.append((audit_set.population.x, audit_set.population.y))
    inputs, labels = (
        [
            np.concatenate(leaves)
            for leaves in zip(*(plain_leaves(as_arrays(side[part])) for side in sides), strict=True)
        ]
        for part in (0, 1)
    )
    answers = list(record_statistics([], labels).values())
    columns = [record_features(inputs, seed)]
    if answers:
        columns.append(standardised(np.stack(answers, axis=1)))
    together = np.concatenate(columns, axis=1)
    count = len(audit_set)
    return together[:count], together[count:] if audit_set.population is not None else None

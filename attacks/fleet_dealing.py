"""Which shadow model trains on which record of the pool."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from .fleet_files import FleetFiles
from .fleet_identity import row_hashes
from .shadow_models import ShadowModels
from .shadow_pool import ShadowPool

# A training set that differs by less is called equal.
_SIZE_TOLERANCE = 0.02


def as_dealt(pool: ShadowPool, hashes: NDArray[np.uint64] | None) -> ShadowPool:
    """The pool in the order in which a fleet was dealt the same records; as it is if they are not the same."""
    own = row_hashes(pool)
    if hashes is None or not np.array_equal(np.sort(hashes), np.sort(own)):
        return pool
    order = np.empty(len(own), np.int64)
    order[np.argsort(hashes, kind="stable")] = np.argsort(own, kind="stable")
    row = np.empty(len(own), np.int64)
    row[order] = np.arange(len(own))
    return replace(
        pool,
        records=pool.records.take(order),
        groups=None if pool.groups is None else pd.factorize(pool.groups[order])[0].astype(np.int64),
        ids=None if pool.ids is None else pool.ids[order],
        audited=np.where(pool.audited >= 0, row[pool.audited], -1),
    )


def dealt(plan: ShadowModels, pool: ShadowPool, batch_size: int, cut_as: FleetFiles | None) -> NDArray[np.bool_]:
    """Which model trains on which record; no more models than the budget allowed when the fleet was begun."""
    assignment = plan.assignment(len(pool), pool.groups)
    if cut_as is not None and cut_as.manifest:
        assignment = assignment[: cut_as.manifest["num_models"]]
    smallest = int(assignment.sum(axis=1).min())
    if smallest < batch_size:
        raise ValueError(
            f"a shadow model would train on {smallest:,} records, fewer than one batch of {batch_size:,}: the pool holds "
            f"{len(pool):,}, and every model gets half of it; give more members and non-members, or a pool=."
        )
    return assignment


def size_warning(assignment: NDArray[np.bool_], pool: ShadowPool) -> list[str]:
    """A sentence if shadow models train on more or fewer records than the target."""
    own, target = float(assignment.sum(axis=1).mean()), pool.target_size
    if target is None or abs(own - target) <= _SIZE_TOLERANCE * target:
        return []
    remedy = (
        "give as many non-members as members, or a pool="
        if own < target
        else "audit fewer records at a time, all of which are in the pool"
    )
    return [
        f"each shadow model trains on {own:,.0f} records, half of the pool of {len(pool):,}, the target on {target:,}: the "
        f"attacks compare it with models that memorise otherwise; {remedy}."
    ]

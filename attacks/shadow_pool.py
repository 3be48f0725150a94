"""The records that shadow models train on, and where the audited ones stand among them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray

from .audit_set import AuditSet
from .duplicates import matching_rows, record_hashes
from .record_source import Records, RecordSource, open_source
from .sampling import untouched


@dataclass(frozen=True)
class ShadowPool:
    """Records to be dealt out to shadow models.

    Attributes:
      records: arrays [p, ...].
      groups: int[p], records of one group go to the same models; None = each by itself.
      audited: int[n], the row of each audited record; −1 for one that is not in the pool (every model is OUT for it).
      target_size: how many records the target trains on; None if unknown.
    """

    records: Records
    groups: NDArray[np.int64] | None
    audited: NDArray[np.int64]
    target_size: int | None

    def __len__(self) -> int:
        return len(self.records)


def pool_of(audit_set: AuditSet, given: Any = None, seed: int = 0) -> ShadowPool:
    """Members and non-members of an audit without its population, or the records given instead.

    Where there are more than twice as many as the target trains on, a random part of those that are not audited is left
    out, so that half of the pool is as large as the target's training set. Records with the same id (where ids were given),
    or equal records, form a group.

    Args:
      audit_set: the audit.
      given: (x, y) in any form that `AuditSet` takes; None = members and non-members.
      seed: decides what is left out.
    Raises:
      ValueError: if the audit's sources cannot be read again, or the records given have other shapes.
    """
    target_size = audit_set.available[0]
    if given is not None:
        records = _everything(open_source(given, "pool"))
        _refuse_other_shapes(records, audit_set)
        asked = Records(*tf.nest.map_structure(lambda leaf: leaf.numpy(), (audit_set.x, audit_set.y)))
        found = matching_rows(asked, records)
        keep = _as_large_as_twice(np.ones(len(records), bool), found[found >= 0], 2 * target_size, seed)
        kept = records.take(keep)
        row = np.where(found >= 0, (np.cumsum(keep) - 1)[found], -1)
        return ShadowPool(kept, _equal_records(kept), row, target_size)
    sides = [_everything(source) for source in audit_set.sources]
    sizes = tuple(len(side) for side in sides)
    if sizes != audit_set.available:
        raise ValueError(
            f"the sources held {audit_set.available} members and non-members at first and {sizes} now; give data that can be "
            "read twice."
        )
    audited = audit_set.positions + np.where(audit_set.is_member, 0, sizes[0])
    keep = np.ones(sum(sizes), bool)
    keep[sizes[0] + audit_set.population_positions] = False
    keep = _as_large_as_twice(keep, audited, 2 * target_size, seed)
    records = Records(
        *tf.nest.map_structure(lambda a, b: np.concatenate([a, b])[keep], tuple(sides[0]), tuple(sides[1]))
    )
    row = np.cumsum(keep) - 1
    groups = _equal_records(records)
    if audit_set.source_ids is not None:
        ids = np.concatenate([np.asarray(side, dtype=object) for side in audit_set.source_ids])
        groups = pd.factorize(ids[keep])[0].astype(np.int64)
    return ShadowPool(records, groups, row[audited], target_size)


def pool_from_records(x: Any, y: Any, groups: ArrayLike | None = None) -> ShadowPool:
    """All these records, each of them asked about.

    Raises:
      ValueError: on inputs without labels, or lengths that differ.
    """
    records = _everything(open_source((x, y), "records"))
    if groups is None:
        own = _equal_records(records)
    else:
        own = pd.factorize(np.asarray(groups))[0].astype(np.int64)
        if own.shape != (len(records),):
            raise ValueError(f"{own.shape} groups were given for {len(records)} records; give one a record.")
    return ShadowPool(records, own, np.arange(len(records)), None)


def _everything(source: RecordSource) -> Records:
    if source.arrays is not None:
        return source.arrays
    parts = [tuple(batch) for batch in untouched(source)]
    return Records(*tf.nest.map_structure(lambda *leaves: np.concatenate(leaves), *parts))


def _as_large_as_twice(keep: NDArray[np.bool_], audited: NDArray[np.int64], most: int, seed: int) -> NDArray[np.bool_]:
    surplus = int(keep.sum()) - most
    if surplus <= 0:
        return keep
    free = keep.copy()
    free[audited] = False
    candidates = np.flatnonzero(free)
    dropped = np.random.default_rng([seed, 1]).permutation(candidates)[:surplus]
    kept = keep.copy()
    kept[dropped] = False
    return kept


def _equal_records(records: Records) -> NDArray[np.int64] | None:
    """Groups of equal records; None if all differ. A copy IN would otherwise make its twin's OUT a lie."""
    groups = pd.factorize(record_hashes(tuple(records)))[0].astype(np.int64)
    return None if groups[-1:].size and groups.max() + 1 == len(groups) else groups


def _refuse_other_shapes(records: Records, audit_set: AuditSet) -> None:
    asked = audit_set.x, audit_set.y
    try:
        tf.nest.assert_same_structure(tuple(records), asked)
        same = all(
            tuple(ours.shape[1:]) == tuple(theirs.shape[1:])
            for ours, theirs in zip(tf.nest.flatten(tuple(records)), tf.nest.flatten(asked), strict=True)
        )
    except (TypeError, ValueError):
        same = False
    if not same:
        raise ValueError("the records of pool and the audited ones differ in structure or shape; give both alike.")

"""The records that shadow models train on, and where the audited ones stand among them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from .audit_set import AuditSet
from .duplicates import matching_rows, record_hashes
from .record_arrays import Records, as_arrays, is_ragged, joined
from .record_source import RecordSource, open_source
from .sampling import untouched
from .seeded_stream import seeded_stream

# Of the audited members and of the non-members, in a pool given by hand.
_SHARES_APART = 0.02


@dataclass(frozen=True)
class ShadowPool:
    """Records to be dealt out to shadow models.

    Attributes:
      records: arrays [p, ...].
      groups: int[p], records of one group go to the same models; None = each by itself.
      audited: int[n], the row of each audited record; −1 for one that is not in the pool (every model is OUT for it).
      target_size: how many records the target trains on; None if unknown.
      warnings: sentences about the pool that change what a number means.
      ids: [p], owners or other ids; None if none were given.
    """

    records: Records
    groups: NDArray[np.int64] | None
    audited: NDArray[np.int64]
    target_size: int | None
    warnings: tuple[str, ...]
    ids: NDArray[Any] | None = None

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
      ValueError: if the audit's sources give other records when they are read again; if the records given have other shapes,
        or hold the audited members but not the non-members (or the other way round).
    """
    asked = Records(*as_arrays((audit_set.x, audit_set.y)))
    if given is not None:
        return _given_pool(audit_set, asked, _everything(open_source(given, "pool")), seed)
    sides = [_everything(source) for source in audit_set.sources]
    sizes = tuple(len(side) for side in sides)
    records = Records(*joined(_alike_weighed(sides)))
    audited = audit_set.positions + np.where(audit_set.is_member, 0, sizes[0])
    same = sizes == audit_set.available
    if not same or (record_hashes(records.take(audited)[:2]) != record_hashes(asked[:2])).any():
        raise ValueError(
            "the sources of members and non-members gave other records, or in another order, than when the audit was drawn: who "
            "trained on what could not be told; give data that can be read twice alike (arrays, or without shuffling)."
        )
    keep = np.ones(len(records), bool)
    keep[sizes[0] + audit_set.population_positions] = False
    keep = _as_large_as_twice(keep, audited, 2 * sizes[0], seed)
    records = records.take(keep)
    groups, warnings, kept_ids = _equal_records(records), [], None
    if audit_set.source_ids is not None:
        ids = [np.asarray(side, dtype=object) for side in audit_set.source_ids]
        kept_ids = np.concatenate(ids)[keep]
        groups = _joined(pd.factorize(kept_ids)[0].astype(np.int64), groups)
        both = len(np.intersect1d(ids[0].astype(str), ids[1].astype(str)))
        if both:
            warnings.append(
                f"{both:,} ids stand on both sides; their members and non-members go to the same shadow models, as records of "
                "one owner should. If ids are numbers that merely start anew on each side, make them different."
            )
    return ShadowPool(records, groups, (np.cumsum(keep) - 1)[audited], sizes[0], tuple(warnings), kept_ids)


def _given_pool(audit_set: AuditSet, asked: Records, records: Records, seed: int) -> ShadowPool:
    _refuse_other_shapes(records, audit_set)
    found, target_size = matching_rows(asked, records), audit_set.available[0]
    shares = [float(np.mean(found[side] >= 0)) for side in (audit_set.is_member, ~audit_set.is_member)]
    if abs(shares[0] - shares[1]) > _SHARES_APART:
        raise ValueError(
            f"the pool holds {100 * shares[0]:.0f} % of the audited members and {100 * shares[1]:.0f} % of the non-members: how "
            "many shadow models trained on a record would tell on which side it is; give a pool with both sides, or with neither."
        )
    keep = np.ones(len(records), bool)
    if audit_set.population is not None:
        further = Records(*as_arrays(audit_set.population[:2]))
        keep[matching_rows(records, further) >= 0] = False
    keep[found[found >= 0]] = True
    keep = _as_large_as_twice(keep, found[found >= 0], 2 * target_size, seed)
    row = np.where(found >= 0, (np.cumsum(keep) - 1)[found], -1)
    kept = records.take(keep)
    return ShadowPool(kept, _equal_records(kept), row, target_size, ())


def _joined(first: NDArray[np.int64], second: NDArray[np.int64] | None) -> NDArray[np.int64]:
    """The finest groups that hold both the first and the second together."""
    if second is None:
        return first
    edges = coo_array((np.ones(len(first), np.int8), (first, second + first.max() + 1)))
    size = int(first.max() + second.max() + 2)
    _, component = connected_components(coo_array((edges.data, edges.coords), shape=(size, size)), directed=False)
    return component[first].astype(np.int64)


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
    return ShadowPool(records, own, np.arange(len(records)), None, ())


def _everything(source: RecordSource) -> Records:
    if source.arrays is not None:
        return source.arrays
    return Records(*joined([tuple(batch) for batch in untouched(source)]))


def _alike_weighed(sides: list[Records]) -> list[tuple[Any, ...]]:
    """The sides with their sample weights if both have them, and without otherwise."""
    weighed = [bool(tf.nest.flatten(side.weights)) for side in sides]
    return [tuple(side) if all(weighed) else tuple(side[:2]) for side in sides]


def _as_large_as_twice(keep: NDArray[np.bool_], audited: NDArray[np.int64], most: int, seed: int) -> NDArray[np.bool_]:
    surplus = int(keep.sum()) - most
    if surplus <= 0:
        return keep
    free = keep.copy()
    free[audited] = False
    candidates = np.flatnonzero(free)
    dropped = seeded_stream("records left out", seed).permutation(candidates)[:surplus]
    kept = keep.copy()
    kept[dropped] = False
    return kept


def _equal_records(records: Records) -> NDArray[np.int64] | None:
    """Groups of equal records; None if all differ. A copy IN would otherwise make its twin's OUT a lie."""
    groups = pd.factorize(record_hashes(records[:2]))[0].astype(np.int64)
    return None if groups[-1:].size and groups.max() + 1 == len(groups) else groups


def _refuse_other_shapes(records: Records, audit_set: AuditSet) -> None:
    asked = audit_set.x, audit_set.y
    try:
        tf.nest.assert_same_structure(records[:2], asked)
        same = all(
            is_ragged(ours) or tuple(ours.shape[1:]) == tuple(theirs.shape[1:])
            for ours, theirs in zip(tf.nest.flatten(records[:2]), tf.nest.flatten(asked), strict=True)
        )
    except (TypeError, ValueError):
        same = False
    if not same:
        raise ValueError("the records of pool and the audited ones differ in structure or shape; give both alike.")

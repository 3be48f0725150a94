"""What sample weights say to an audit: which records, and which positions of a record, `fit` learns nothing from."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from .record_arrays import Records


def weightless_members(members: Records) -> tuple[str, ...]:
    """A sentence if members have weight 0, for the reports; nothing otherwise."""
    if not isinstance(members.weights, np.ndarray) or members.weights.ndim != 1:
        return ()
    unused = int(np.count_nonzero(members.weights == 0))
    if not unused:
        return ()
    return (
        f"{unused:,} of {len(members):,} audited members have sample weight 0: fit learns nothing from them, so they are "
        "non-members in truth and pull every number towards «no leakage»; leave them out of members.",
    )


def positions_weighed(members: Records, nonmembers: Records) -> tuple[Records, Records]:
    """The two sides with their weights if those are one a position, and without them if they are one a record.

    Raises:
      ValueError: if one side alone has weights a position.
    """
    weighed = [_has_positions(side.weights) for side in (members, nonmembers)]
    if weighed[0] != weighed[1]:
        known, other = ("members", "nonmembers") if weighed[0] else ("nonmembers", "members")
        raise ValueError(
            f"{known} have a sample weight for each position and {other} have none, so what is padding is known on one side "
            "only; give both alike."
        )
    if not weighed[0]:
        return Records(members.x, members.y), Records(nonmembers.x, nonmembers.y)
    try:
        tf.nest.assert_same_structure(members.weights, nonmembers.weights)
    except (TypeError, ValueError):
        raise ValueError("sample weights of members and nonmembers differ in structure; give both alike.") from None
    for leaf in [*tf.nest.flatten(members.weights), *tf.nest.flatten(nonmembers.weights)]:
        if leaf.dtype.kind == "f" and not np.isfinite(leaf).all():
            raise ValueError("sample weights are NaN or infinite in places; clean them first.")
    return members, nonmembers


def partly_weighed(records: Records) -> tuple[str, ...]:
    """A note where positions have other weights than 0 and 1."""
    if all(np.isin(leaf, (0, 1)).all() for leaf in tf.nest.flatten(records.weights)):
        return ()
    return ("sample weights of positions say which ones count (not 0) and no more: each of those counts alike.",)


def _has_positions(weights: Any) -> bool:
    return any(leaf.ndim > 1 and int(np.prod(leaf.shape[1:])) != 1 for leaf in tf.nest.flatten(weights))

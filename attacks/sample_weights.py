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
    tf.nest.assert_same_structure(members.weights, nonmembers.weights)
    return members, nonmembers


def _has_positions(weights: Any) -> bool:
    return any(leaf.ndim > 1 and int(np.prod(leaf.shape[1:])) != 1 for leaf in tf.nest.flatten(weights))

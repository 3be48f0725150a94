"""An epoch of several shadow models, cut into stretches in which some of them make steps of one size together."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray


class Segment(NamedTuple):
    """Steps that some models of a group make together.

    Attributes:
      members: int32[k], their places in the group, ascending.
      rows: int32[steps, k, b], rows of the pool.
      first: int32[k], how many steps of the epoch each has behind it.
    """

    members: NDArray[np.int32]
    rows: NDArray[np.int32]
    first: NDArray[np.int32]

    @property
    def steps(self) -> int:
        """How many steps each of them makes."""
        return len(self.rows)


def epoch_segments(orders: Sequence[NDArray[np.int32]], batch_size: int) -> Iterator[Segment]:
    """Whole batches first, by all models that have one left; then the rests, by models whose rests are of one size.

    Each model makes the very steps that it would make alone: ⌊r / batch size⌋ of whole batches, and one of what is left.

    Args:
      orders: for each of the group int32[r], rows of the pool; r may differ.
      batch_size: b of a whole batch.
    """
    whole = np.array([len(order) // batch_size for order in orders])
    done = 0
    for step in sorted(set(whole.tolist())):
        if step > done:
            members = np.flatnonzero(whole >= step).astype(np.int32)
            own = [orders[int(one)][done * batch_size : step * batch_size].reshape(-1, batch_size) for one in members]
            yield Segment(members, np.stack(own, 1), np.full(len(members), done, np.int32))
            done = step
    rests = np.array([len(order) % batch_size for order in orders])
    for size in sorted(set(rests.tolist()) - {0}):
        members = np.flatnonzero(rests == size).astype(np.int32)
        own = [orders[int(one)][-size:] for one in members]
        yield Segment(members, np.stack(own)[None], whole[members].astype(np.int32))


def steps_of(order: NDArray[np.int32], batch_size: int) -> int:
    """⌈r / batch size⌉."""
    return -(-len(order) // batch_size)

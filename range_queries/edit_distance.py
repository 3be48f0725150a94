"""Which token sequences of two sides lie within so many edits of each other.

A lower bound of the distance, from a matrix product of counts, leaves few pairs; their distance is computed exactly.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

_QUERY_ROWS, _TRAINING_ROWS = 1024, 4096
_PAIR_CELLS = 2**22
_LEAST_BUCKETS, _MOST_BUCKETS = 256, 4096
_FAR = 2**30


class Sequences(NamedTuple):
    """Tokens without padding.

    Attributes:
      tokens: int64[n, width], from the left; what follows the last is 0.
      lengths: int64[n].
    """

    tokens: NDArray[np.int64]
    lengths: NDArray[np.int64]

    def take(self, rows: Any) -> Sequences:
        """These."""
        return Sequences(self.tokens[rows], self.lengths[rows])


def pairs_within_edits(
    left: Sequences, right: Sequences, edits: int, distance: str
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Rows of both sides at a distance of at most `edits`.

    Args:
      left, right: n and t sequences.
      distance: "levenshtein" (replace, drop, insert), or "hamming" (replace; other lengths are infinitely far).
    """
    width = max(left.tokens.shape[1], right.tokens.shape[1])
    left, right = _widened(left, width), _widened(right, width)
    buckets = int(np.clip(4 * width, _LEAST_BUCKETS, _MOST_BUCKETS))
    of = hamming_distances if distance == "hamming" else levenshtein_distances
    for start in range(0, len(right.lengths), _TRAINING_ROWS):
        some = right.take(slice(start, start + _TRAINING_ROWS))
        counts = _counts(some, distance, buckets)
        for first in range(0, len(left.lengths), _QUERY_ROWS):
            wanted = left.take(slice(first, first + _QUERY_ROWS))
            shared = _counts(wanted, distance, buckets) @ counts.T
            rows, hits = np.nonzero(_possible(shared, wanted.lengths, some.lengths, edits, distance))
            each = max(1, _PAIR_CELLS // max(width, 2 * edits + 1))
            for begin in range(0, len(rows), each):
                ours, theirs = rows[begin : begin + each], hits[begin : begin + each]
                near = of(wanted.take(ours), some.take(theirs), edits) <= edits
                yield ours[near] + first, theirs[near] + start


def hamming_distances(left: Sequences, right: Sequences, edits: int) -> NDArray[np.int64]:
    """int64[k], in how many places sequences of one length differ; other lengths are very far."""
    differing = (left.tokens != right.tokens).sum(axis=1)
    return np.where(left.lengths == right.lengths, differing, _FAR)


def levenshtein_distances(left: Sequences, right: Sequences, edits: int) -> NDArray[np.int64]:
    """int64[k], distances up to `edits`; what is further is only known to be so.

    Dynamic programming over the 2·edits + 1 diagonals that such a distance can use, all pairs at once.
    """
    count = len(left.lengths)
    offsets = np.arange(2 * edits + 1) - edits  # of the place in the right sequence to that in the left one
    padded = np.pad(right.tokens, ((0, 0), (edits, edits)))
    far = np.full((count, 1), _FAR, np.int64)
    costs = np.broadcast_to(np.where(offsets >= 0, offsets, _FAR), (count, len(offsets)))
    last = right.lengths - left.lengths + edits
    reachable = (last >= 0) & (last < len(offsets))
    last = np.where(reachable, last, 0)
    found = np.where(reachable & (left.lengths == 0), right.lengths, _FAR)
    for place in range(1, int(left.lengths.max(initial=0)) + 1):
        other = padded[:, place - 1 : place - 1 + len(offsets)]
        replaced = costs + (other != left.tokens[:, place - 1 : place])
        dropped = np.concatenate([costs[:, 1:], far], axis=1) + 1
        best = np.minimum(replaced, dropped)
        best[:, place + offsets == 0] = place
        best[:, place + offsets < 0] = _FAR
        # Insertions run along the row: the least of what stands to the left, and one more a step.
        costs = np.minimum.accumulate(best - offsets, axis=1) + offsets
        ends = np.flatnonzero(reachable & (left.lengths == place))
        found[ends] = costs[ends, last[ends]]
    return found


def _possible(shared: Any, ours: Any, theirs: Any, edits: int, distance: str) -> NDArray[np.bool_]:
    """bool[n, t]: pairs that the counts do not exclude.

    An edit removes at most one token from what either side has beyond the other, so a distance is at least the longer length
    less what both share. Tokens that meet in a bucket by chance make the product too large, never too small.
    """
    longer = np.maximum(ours[:, None], theirs[None, :])
    shorter = np.minimum(ours[:, None], theirs[None, :])
    allowed = 0 if distance == "hamming" else edits
    exact = 1 + 1e-4  # above 2^24 a product of whole numbers in 32 bits is rounded
    return (longer - shorter <= allowed) & (shared * exact + 0.5 >= longer - edits)


def _counts(side: Sequences, distance: str, buckets: int) -> NDArray[np.float32]:
    """float32[n, buckets], how many of a sequence's features fall into each.

    Features are (token, place) for Hamming distances; (token, how often it stood before) otherwise: of these two sequences share
    as many as they share tokens.
    """
    count, width = side.tokens.shape
    places = np.broadcast_to(np.arange(width), (count, width))
    filled = places < side.lengths[:, None]
    tokens, second = side.tokens, places
    if distance != "hamming":
        order = np.lexsort((tokens, ~filled), axis=1)
        tokens = np.take_along_axis(tokens, order, axis=1)
        filled = np.take_along_axis(filled, order, axis=1)
        starts = np.ones((count, width), bool)
        starts[:, 1:] = tokens[:, 1:] != tokens[:, :-1]
        second = places - np.maximum.accumulate(np.where(starts, places, 0), axis=1)
    mixed = tokens.astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed ^= second.astype(np.uint64) * np.uint64(0xC2B2AE3D27D4EB4F)
    mixed = (mixed ^ (mixed >> np.uint64(29))) * np.uint64(0xBF58476D1CE4E5B9)
    bucket = ((mixed >> np.uint64(32)) % np.uint64(buckets)).astype(np.int64)
    cells = (bucket + np.arange(count)[:, None] * buckets)[filled]
    return np.bincount(cells, minlength=count * buckets).reshape(count, buckets).astype(np.float32)


def _widened(side: Sequences, width: int) -> Sequences:
    missing = width - side.tokens.shape[1]
    return Sequences(np.pad(side.tokens, ((0, 0), (0, missing))), side.lengths) if missing else side

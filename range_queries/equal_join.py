"""Which entries of two arrays are equal: the join that ground truths share, in parts of bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

_PAIRS_AT_ONCE = 1 << 18


def equal_entries(
    ours: NDArray[Any], theirs: NDArray[Any], at_once: int = _PAIRS_AT_ONCE
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Indices (i, j) with ours[i] == theirs[j], each pair once; nothing is yielded where there are none.

    Args:
      ours: [k], in ascending order.
      theirs: [t], in any order.
      at_once: at most so many pairs a part.
    """
    if len(ours) == 1:
        hits = np.flatnonzero(theirs == ours[0])
        low, counts = np.zeros(len(hits), np.int64), np.ones(len(hits), np.int64)
    else:
        low = np.searchsorted(ours, theirs, "left")
        counts = np.searchsorted(ours, theirs, "right") - low
        hits = np.flatnonzero(counts)
        low, counts = low[hits], counts[hits]
    for which, rows in spans(low, counts, at_once):
        yield rows, hits[which].astype(np.int64)


def spans(
    starts: NDArray[np.int64], counts: NDArray[np.int64], at_once: int = _PAIRS_AT_ONCE
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """What spans hold, one after the other: the number of the span, and an index within it.

    Args:
      starts, counts: [s], span i holds starts[i] … starts[i] + counts[i] − 1.
      at_once: at most so many entries a part.
    """
    ends = np.cumsum(counts)
    begins = ends - counts
    total = int(ends[-1]) if len(ends) else 0
    for start in range(0, total, at_once):
        stop = min(start + at_once, total)
        first, last = np.searchsorted(ends, [start, stop - 1], "right")
        some = np.arange(first, last + 1)
        which = np.repeat(some, np.minimum(ends[some], stop) - np.maximum(begins[some], start))
        yield which, np.arange(start, stop) + (starts - begins)[which]

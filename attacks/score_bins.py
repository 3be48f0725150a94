"""Bins in which the scores of members and of non-members can be compared by eye."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .roc import RocCurve

# Scores beyond this count as infinite ones: their differences would overflow.
_LARGEST = 1e150
_MOST_BINS = 60


def score_edges(values: NDArray[np.float64], truth: NDArray[np.bool_]) -> NDArray[np.float64]:
    """float[k + 1], edges of equal bins, the lowest and the highest score shown in the middle of theirs.

    They span all scores, but of heavy tails only what lies near the middle 90 % of a side; infinite scores lie outside.

    Args:
      values: float[n], at least one a side; ±inf allowed.
      truth: bool[n].
    """
    low, high = _shown_range(values, truth)
    return _edges(values, low, high, fewest=int(min(truth.sum(), (~truth).sum())))


def score_counts(roc: RocCurve) -> dict[str, Any]:
    """How many members and non-members a bin holds, from the curve of their scores.

    Returns:
      `edges` [k + 1], `members` and `nonmembers` [k], and `below` and `above`: [members, non-members] outside of the edges.
    """
    thresholds = roc.thresholds[1:]
    members, nonmembers = roc.members_per_score, roc.nonmembers_per_score
    values = np.repeat(np.tile(thresholds, 2), np.concatenate([members, nonmembers]))
    truth = np.repeat([True, False], [roc.num_members, roc.num_nonmembers])
    edges = score_edges(values, truth)
    found: dict[str, Any] = {"edges": edges.tolist()}
    inside = (thresholds >= edges[0]) & (thresholds <= edges[-1])
    for side, counts in (("members", members), ("nonmembers", nonmembers)):
        weighted = np.histogram(thresholds[inside], edges, weights=counts[inside])[0]
        found[side] = weighted.astype(np.int64).tolist()
    for end, beyond in (("below", thresholds < edges[0]), ("above", thresholds > edges[-1])):
        found[end] = [int(members[beyond].sum()), int(nonmembers[beyond].sum())]
    return found


def _shown_range(values: NDArray[np.float64], truth: NDArray[np.bool_]) -> tuple[float, float]:
    """What the bins span."""
    ends = []
    for side in (values[truth], values[~truth]):
        side = side[np.abs(side) < _LARGEST]
        if side.size:
            # Where most scores tie, the middle 90 % have no width to measure tails by.
            cuts = (np.quantile(side, (tail, 1 - tail)) for tail in (0.05, 0.005, 0.0))
            low, high = next(((a, b) for a, b in cuts if b > a), (side[0], side[0]))
            ends.append((max(side.min(), low - 1.2 * (high - low)), min(side.max(), high + 1.2 * (high - low))))
    return (min(low for low, _ in ends), max(high for _, high in ends)) if ends else (0.0, 0.0)


def _edges(values: NDArray[np.float64], low: float, high: float, fewest: int) -> NDArray[np.float64]:
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        return (low + high) / 2 + max(1.0, abs(low)) * np.linspace(-0.5, 0.5, 6)
    bins = int(np.clip(2 * np.cbrt(fewest), 5, _MOST_BINS))
    shown = values[(values >= low) & (values <= high)]
    distinct = np.unique(shown)
    if 4 * distinct.size <= shown.size:  # a grid, such as 0 and 1: bins narrower than its steps would show a comb
        steps = (high - low) / np.diff(distinct).min()
        bins = int(np.rint(steps)) + 1 if steps < _MOST_BINS else bins
    half = (high - low) / (bins - 1) / 2
    return np.linspace(low - half, high + half, bins + 1)

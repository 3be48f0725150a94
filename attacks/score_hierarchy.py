"""A summary of many scores in little memory, whose error at any threshold is known for certain.

It is a hierarchy of levels; an item of level h stands for 2^h scores. A level that is full is sorted, and of each two
neighbours one goes to the level above, where it stands for both. Then, at any threshold, the count of scores at or above it
is off by at most 2^h: too large where the higher of two was kept, too small where the lower was. Nothing is random; each
hierarchy adds up what its own compactions may have done, in either direction.

Source: Manku, Rajagopalan & Lindsay 1998 (the hierarchy); Karnin, Lang & Liberty 2016, arXiv:1603.05346 (its form here, there
with random choices). Departures: the highest scores are never compacted, because a low false positive rate is read from
them; and the direction is chosen to balance the error so far.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray


@dataclass
class ScoreHierarchy:
    """The scores of one side. Its arrays are never written to, so sketches may share them.

    Attributes:
      levels: float[any] each, the items that stand for 2^h scores; level 0 holds fewer than 2·capacity, the others fewer
        than capacity.
      count: the scores taken in; the items stand for exactly as many.
      over, under: by how many the count at or above a threshold may be too large, too small.
      ceiling: the highest score ever compacted: counts at higher thresholds are exact.
    """

    capacity: int
    levels: list[NDArray[np.float64]] = field(default_factory=lambda: [np.empty(0)])
    count: int = 0
    over: int = 0
    under: int = 0
    ceiling: float = -np.inf

    def take_in(self, levels: list[NDArray[np.float64]]) -> None:
        """Adds items, by level, and compacts what is then too large."""
        for height, items in enumerate(levels):
            self._put(height, items)
            self.count += items.size << height
        height = 0
        while height < len(self.levels):
            if self.levels[height].size >= self.capacity * (2 if height == 0 else 1):
                self._compact(height)
            height += 1

    def _put(self, height: int, items: NDArray[np.float64]) -> None:
        if height == len(self.levels):
            self.levels.append(np.empty(0))
        self.levels[height] = np.concatenate([self.levels[height], items])

    def _compact(self, height: int) -> None:
        """Sends one of each two items up. However many they are, a threshold parts at most one pair: an error of 2^height."""
        items = np.sort(self.levels[height])
        stay = self.capacity if height == 0 else 0
        stay += (items.size - stay) % 2
        lower, higher = items[: items.size - stay : 2], items[1 : items.size - stay : 2]
        if height == 0:
            self.ceiling = max(self.ceiling, float(higher[-1]))
        keep_higher = self.over <= self.under
        if (lower != higher).any():
            self.over += keep_higher << height
            self.under += (not keep_higher) << height
        self.levels[height] = items[items.size - stay :].copy()
        self._put(height + 1, higher if keep_higher else lower)

    def items(self) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """All items, and how many scores each stands for."""
        each = np.repeat(1 << np.arange(len(self.levels), dtype=np.int64), [level.size for level in self.levels])
        return np.concatenate(self.levels), each

"""Near copies on the other side: non-members that some member resembles far more closely than records resemble each other.

An attack judged on them says too little: the model did train on something almost like them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from .record_features import FeatureMap

NEAR = 0.1  # of the typical distance between two records
MAX_PAIRS = 400_000_000  # of a wanted and a passing record to compare: 2,000 against 200,000 take about four seconds
_SKETCH = 64
_SLACK = 1.6  # on squared distances: a 64-dimensional sketch has them within 18 % (one standard deviation)
_CHUNK = 512
_PAIRS_AT_ONCE = 8_000_000  # whatever the number of wanted records: their distances take a hundred megabytes
_PAIRS_OF_VALUES = 4_000_000
_FLOOR = 0.25
_NATURAL_GROUP, _LEAST_GROUP = 0.1, 20
NOTABLE = 0.05  # of non-members; fewer near copies hardly move a number


class NearDuplicateWatch:
    """Watches one side go by and marks the wanted records that have a near, not an equal, record there.

    Near is less than a tenth of the median distance between two different wanted records: Euclidean over floats, booleans
    and images, each column in units of its spread; edits over token sequences and strings. Where records have both, both
    must be near. In few dimensions near records are natural; see `more_than_natural`.

    Found are, say, images with noise or brightness changed by a few percent, rows with a jitter of 2 % of each column's
    spread, and sequences with about one in a hundred entries replaced. Not found are shifted, flipped or cropped images,
    and a flip in a rarely set binary column, which is many of its spreads.

    Args:
      wanted: the records to look for, flattened input leaves, arrays [n, ...].
      seed: decides sketches.
      max_examined: so many passing records are looked at, and `capped` tells whether there were more; default: as many as
        make 400 million pairs.
    Attributes:
      found: bool[n], wanted records with a near record on the other side; whatever the order in which that passes.
      examined: how many passing records were looked at.
      max_examined, capped: see above.
    """

    def __init__(self, wanted: Sequence[NDArray], seed: int = 0, max_examined: int | None = None) -> None:
        most = MAX_PAIRS // max(1, len(wanted[0]))
        self.max_examined, self.examined, self.capped = most if max_examined is None else max_examined, 0, False
        rng = np.random.default_rng([seed, 0x0EA2])
        self._map = FeatureMap(wanted, seed, _FLOOR)
        self.found = np.zeros(len(wanted[0]), bool)
        self._wanted = self._features(wanted)
        self._limits = tuple(_typical(block, power, rng) for block, power in zip(self._wanted, (1, 2), strict=True))
        used = [limit for limit in self._limits if limit > 0]
        self._idle = not used
        self._centres = tuple(block.mean(axis=0) if len(block) else 0 for block in self._wanted)
        self._projections = tuple(
            rng.normal(size=(block.shape[1], _SKETCH)).astype(np.float32) / np.float32(np.sqrt(_SKETCH))
            if block.shape[1] > _SKETCH
            else None
            for block in self._wanted
        )
        self._most = len(used) * (_SLACK if any(part is not None for part in self._projections) else 1.001)
        self._wanted_sketch = self._sketch(self._wanted)

    def __call__(self, batch: Sequence[NDArray]) -> None:
        """Compares one batch of the other side, input leaves like the wanted ones."""
        left = self.max_examined - self.examined
        self.capped |= len(batch[0]) > left
        batch = [leaf[:left] for leaf in batch]
        self.examined += len(batch[0])
        step = max(1, min(_CHUNK, _PAIRS_AT_ONCE // max(1, len(self.found))))
        for start in range(0, 0 if self._idle else len(batch[0]), step):
            features = self._features([leaf[start : start + step] for leaf in batch])
            self.found[self._near(features)] = True

    def _features(self, leaves: Sequence[NDArray]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        return self._map.measured(leaves), self._map.counted(leaves)

    def _sketch(self, blocks: tuple[NDArray[np.float32], ...]) -> NDArray[np.float32]:
        """float32[b, ≤ 128]: near records are less than √(number of blocks) apart, as far as a sketch can tell."""
        parts: list[NDArray[np.float32]] = [np.zeros((len(blocks[0]), 0), np.float32)]
        for power, block, limit, centre, matrix in zip(
            (1, 2), blocks, self._limits, self._centres, self._projections, strict=True
        ):
            if limit > 0:
                scaled = ((block - centre) / limit ** (1 / power)).astype(np.float32)
                parts.append(scaled if matrix is None else scaled @ matrix)
        return np.concatenate(parts, axis=1)

    def pairs_with(self, batch: Sequence[NDArray]) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """(rows of the batch, wanted records) that are near, and not equal, to each other."""
        if self._idle or not len(batch[0]):
            return np.empty(0, np.intp), np.empty(0, np.intp)
        rows, hit, near, differs = self._compared(self._features(batch), np.arange(len(self.found)))
        return rows[near & differs], hit[near & differs]

    def _near(self, features: tuple[NDArray[np.float32], ...]) -> NDArray[np.intp]:
        """Wanted records, not found yet, that are near to one of these and not equal to it."""
        _, hit, near, differs = self._compared(features, np.flatnonzero(~self.found))
        return np.unique(hit[near & differs])

    def _compared(
        self, features: tuple[NDArray[np.float32], ...], open_: NDArray[np.intp]
    ) -> tuple[NDArray[np.intp], NDArray[np.intp], NDArray[np.bool_], NDArray[np.bool_]]:
        """(rows, wanted records, near?, different?) of pairs that a sketch takes for near, confirmed in all columns."""
        sketch = self._sketch(features)
        # Rows by their numbers would be a copy of all.
        theirs = self._wanted_sketch if len(open_) == len(self.found) else self._wanted_sketch[open_]
        squared = (sketch**2).sum(axis=1)[:, None] + (theirs**2).sum(axis=1) - 2 * (sketch @ theirs.T)
        rows, hit = np.nonzero(squared <= self._most + 1e-5 * (sketch**2).sum(axis=1)[:, None])
        most = _PAIRS_OF_VALUES // max(1, sum(block.shape[1] for block in features))
        if len(rows) > most:  # the closest ones only, so that time is bounded
            closest = np.argpartition(squared[rows, hit], most)[:most]
            rows, hit = rows[closest], hit[closest]
        hit = open_[hit]
        near, differs = np.ones(len(rows), bool), np.zeros(len(rows), bool)
        for power, block, target, limit in zip((1, 2), features, self._wanted, self._limits, strict=True):
            apart = _distance(block[rows], target[hit], power)
            near &= apart <= limit
            differs |= apart > 0
        return rows, hit, near, differs


def near_groups(leaves: Sequence[NDArray], seed: int = 0) -> NDArray[np.int64] | None:
    """int[n], equal for records that are near to each other, directly or through others; None if nearness is natural.

    It is natural, and says nothing, where one group would hold more than a tenth of the records. Equal records are no group by
    themselves: they may be values.

    Args:
      leaves: flattened input leaves, arrays [n, ...].
      seed: decides sketches.
    """
    watch = NearDuplicateWatch(leaves, seed)
    count = len(leaves[0])
    pairs = [watch.pairs_with([leaf[start : start + _CHUNK] for leaf in leaves]) for start in range(0, count, _CHUNK)]
    rows = np.concatenate([near[0] + _CHUNK * index for index, near in enumerate(pairs)])
    others = np.concatenate([near[1] for near in pairs])
    graph = coo_array((np.ones(len(rows), np.int8), (rows, others)), shape=(count, count))
    groups = connected_components(graph, directed=False)[1].astype(np.int64)
    return None if np.bincount(groups).max() > max(_NATURAL_GROUP * count, _LEAST_GROUP) else groups


def more_than_natural(found: int, natural: int, count: int) -> bool:
    """True if more non-members have a near record among the members than members have among themselves, and by how much matters.

    In a pool that was split at random a record is as likely to have a near one on the members' side whether it is a member
    or not. Both counts are sums of dependent events (near records come in pairs and clusters), so the difference must exceed
    three standard deviations of pairs, and one in twenty records.

    Args:
      found: of `count` non-members, those with a near member.
      natural: of as many members, those with a near other member.
      count: how many of each were looked for.
    """
    share = (found + natural) / (2 * count)
    deviation = np.sqrt(2 * share * (1 - share) * 2 / count)
    return (found - natural) / count > max(NOTABLE, 3 * deviation)


def _distance(left: NDArray[np.float32], right: NDArray[np.float32], power: int) -> NDArray[np.float64]:
    """float64[k], Euclidean (power 1) or its square, which counts edits (power 2)."""
    return np.sqrt(np.sum(np.square(left - right), axis=1, dtype=np.float64)) ** power


def _typical(block: NDArray[np.float32], power: int, rng: np.random.Generator) -> float:
    """The distance up to which two records are near: a tenth of the median over random pairs that differ; 0 if none does."""
    if len(block) < 2 or not block.shape[1]:
        return 0.0
    pairs = rng.integers(0, len(block), (2, 1_000))
    apart = _distance(block[pairs[0]], block[pairs[1]], power)
    apart = apart[apart > 0]
    return NEAR * float(np.median(apart)) if len(apart) else 0.0

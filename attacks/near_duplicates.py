"""Near copies on the other side: non-members that some member resembles far more closely than records resemble each other.

An attack judged on them says too little: the model did train on something almost like them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import special

from .record_features import FeatureMap

NEAR = 0.1  # of the typical distance between two records
MAX_EXAMINED = 200_000
_SKETCH = 64
_SLACK = 1.6  # on squared distances: a 64-dimensional sketch has them within 18 % (one standard deviation)
_CHUNK = 512
_PAIRS_OF_VALUES = 4_000_000
_FLOOR = 0.25


class NearDuplicateWatch:
    """Watches one side go by and marks the wanted records of the other that have a near, not an equal, record there.

    Near is less than a tenth of the median distance between two different wanted records: Euclidean over floats, booleans
    and images, each column in units of its spread; edits over token sequences and strings. Where records have both, both
    must be near.

    In few dimensions near records are natural. So the watch keeps a uniform sample of the passing side, as large as the
    wanted one, and looks for near records of those as well, over the same stretch of the stream: if both sides are of one
    distribution and nothing was copied, each of a pair is as likely to find one as the other (an exact sign test). Copies
    that stand on both sides because a pool with near copies was split at random are natural in this sense: `found`
    counts them, `excess` does not see them.

    Found are, say, images with noise or brightness changed by a few percent, rows with a jitter of 2 % of each column's
    spread, and sequences with about one in a hundred entries replaced. Not found are shifted, flipped or cropped images,
    and a flip in a rarely set binary column, which is many of its spreads. Among one or two columns everything has near
    neighbours, and copies do not show.

    Args:
      wanted: the records to look for, flattened input leaves, arrays [n, ...].
      seed: decides sketches and the sample.
      max_examined: so many passing records are looked at; `capped` tells whether there were more.
    Attributes:
      found: bool[n], wanted records with a near record on the other side.
      examined: how many passing records were looked at.
      max_examined, capped: see above.
    """

    def __init__(self, wanted: Sequence[NDArray], seed: int = 0, max_examined: int = MAX_EXAMINED) -> None:
        self.max_examined, self.examined, self.capped = max_examined, 0, False
        self._rng = np.random.default_rng([seed, 0x0EA2])
        self._map = FeatureMap(wanted, seed, _FLOOR)
        count = len(wanted[0])
        self.found = np.zeros(count, bool)
        # Slot s holds one passing record and stands beside one wanted record, in an order unrelated to the source's.
        self._partner = self._rng.permutation(count)
        self._partner_found, self._slot_found = np.zeros(count, bool), np.zeros(count, bool)
        self._wanted = self._features(wanted)
        self._slots = tuple(np.zeros_like(block) for block in self._wanted)
        self._limits = tuple(
            _typical(block, power, self._rng) for block, power in zip(self._wanted, (1, 2), strict=True)
        )
        used = [(block, limit) for block, limit in zip(self._wanted, self._limits, strict=True) if limit > 0]
        self._idle = not used
        self._centres = tuple(block.mean(axis=0) if count else 0 for block in self._wanted)
        self._projections = tuple(
            self._rng.normal(size=(block.shape[1], _SKETCH)).astype(np.float32) / np.float32(np.sqrt(_SKETCH))
            if block.shape[1] > _SKETCH
            else None
            for block in self._wanted
        )
        self._most = len(used) * (_SLACK if any(part is not None for part in self._projections) else 1.001)
        self._wanted_sketch = self._sketch(self._wanted)
        self._slot_sketch = np.zeros_like(self._wanted_sketch)

    def __call__(self, batch: Sequence[NDArray]) -> None:
        """Compares one batch of the other side, input leaves like the wanted ones."""
        left = self.max_examined - self.examined
        self.capped |= len(batch[0]) > left
        batch = [leaf[:left] for leaf in batch]
        if self._idle or not len(batch[0]):
            self.examined += len(batch[0])
            return
        start = 0
        while start < len(batch[0]):
            free = len(self.found) - self.examined
            # While slots are free every record so far is in one, so both directions of a pair are seen; then only one is.
            stop = start + (min(_CHUNK, free) if free > 0 else _CHUNK)
            features = self._features([leaf[start:stop] for leaf in batch])
            count = len(features[0])
            if free > 0:
                new = np.arange(self.examined, self.examined + count)
                self._fill(new, features, np.arange(count))
                self._compare(features, new)
            else:
                self._compare(features, None)
                drawn = self._rng.integers(0, self.examined + 1 + np.arange(count))
                slots, rows = np.unique(drawn, return_index=True)
                self._fill(slots[slots < len(self.found)], features, rows[slots < len(self.found)])
            self.examined += count
            start = stop

    @property
    def natural(self) -> float:
        """How many of the wanted records would have a near record by chance, as the passing side's own records do."""
        filled = min(self.examined, len(self.found))
        by_partners = int(self._partner_found[:filled].sum())
        if not filled:
            return 0.0
        # Sampled records have seen about half of a long stream; the wanted ones tell how the count grows from there.
        growth = 2.0 if filled < self.examined else 1.0
        if by_partners:
            growth = self.found[self._partner[:filled]].sum() / by_partners
        share = min(1.0, float(self._slot_found[:filled].sum()) * growth / filled)
        return share * len(self.found)

    def excess(self, level: float = 0.99) -> bool:
        """True if more wanted records have a near record than chance explains; wrongly so with probability ≤ 1 − level."""
        filled = min(self.examined, len(self.found))
        partner, slot = self._partner_found[:filled], self._slot_found[:filled]
        more, less = int(np.sum(partner & ~slot)), int(np.sum(slot & ~partner))
        return more > 0 and float(special.betainc(more, less + 1, 0.5)) <= 1 - level  # P[Bin(more + less, ½) ≥ more]

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

    def _fill(
        self, slots: NDArray[np.int64], features: tuple[NDArray[np.float32], ...], rows: NDArray[np.int64]
    ) -> None:
        for kept, block in zip(self._slots, features, strict=True):
            kept[slots] = block[rows]
        self._slot_sketch[slots] = self._sketch(tuple(block[rows] for block in features))
        self._slot_found[slots] = False
        if self.examined >= len(self.found):  # the wanted partner starts anew with it; before, both see everything
            self._partner_found[slots] = False

    def _compare(self, features: tuple[NDArray[np.float32], ...], own_slots: NDArray[np.int64] | None) -> None:
        sketch = self._sketch(features)
        partner_of = np.empty_like(self._partner)
        partner_of[self._partner] = np.arange(len(self._partner))
        _, hit = self._near(
            features, sketch, self._wanted, self._wanted_sketch, self.found & self._partner_found[partner_of]
        )
        self.found[hit] = True
        self._partner_found[partner_of[hit]] = True
        filled = min(len(self.found), self.examined + (0 if own_slots is None else len(own_slots)))
        slots = tuple(block[:filled] for block in self._slots)
        done = self._slot_found[:filled] if own_slots is None else np.zeros(filled, bool)
        rows, hit = self._near(features, sketch, slots, self._slot_sketch[:filled], done)
        self._slot_found[hit] = True
        if own_slots is not None:
            self._slot_found[own_slots[rows]] = True

    def _near(
        self,
        features: tuple[NDArray[np.float32], ...],
        sketch: NDArray[np.float32],
        targets: tuple[NDArray[np.float32], ...],
        target_sketch: NDArray[np.float32],
        done: NDArray[np.bool_],
    ) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
        """(rows, targets) of pairs that are near and not equal, confirmed in all columns; targets already done are skipped."""
        open_ = np.flatnonzero(~done)
        theirs = target_sketch[open_]
        squared = (sketch**2).sum(axis=1)[:, None] + (theirs**2).sum(axis=1) - 2 * (sketch @ theirs.T)
        rows, hit = np.nonzero(squared <= self._most + 1e-5 * (sketch**2).sum(axis=1)[:, None])
        most = _PAIRS_OF_VALUES // max(1, sum(block.shape[1] for block in features))
        if len(rows) > most:  # the closest ones only, so that time is bounded
            closest = np.argpartition(squared[rows, hit], most)[:most]
            rows, hit = rows[closest], hit[closest]
        hit = open_[hit]
        near, differs = np.ones(len(rows), bool), np.zeros(len(rows), bool)
        for power, block, target, limit in zip((1, 2), features, targets, self._limits, strict=True):
            apart = _distance(block[rows], target[hit], power)
            near &= apart <= limit
            differs |= apart > 0
        return rows[near & differs], hit[near & differs]


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

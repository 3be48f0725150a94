"""A ROC curve of scores that do not fit memory, with a bound on its error that holds for certain."""

from __future__ import annotations

import os
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from .auc import area_and_variance, auc, low_of_a_perfect_result, tied_share
from .estimate import LEVEL, Estimate, check_level
from .low_fpr import tpr_at_fpr
from .roc import RocCurve, check_records, check_sides
from .score_hierarchy import ScoreHierarchy

SCHEMA_VERSION = 1
# With fewer on each side, twice the number of pairs is still an int64.
_PAIRS_COUNTABLE = 2**31


class RocSketch:
    """A mergeable summary of members' and non-members' scores.

    Of n scores of a side it holds all below 2k, where k is the capacity, and fewer than k·(3 + log₂(n/k)) from there on. At
    every threshold the share of a side at or above it is off by at most `tpr_error` (members) or `fpr_error` (non-members),
    and not at all at thresholds above the k-th largest score of the side. Both are tracked figures, exactly 0 while nothing
    was compacted or only equal scores were joined. Beforehand it is known that they are at most L/k however sketches were
    merged, and at most (L + 1)/(2k) in one that was never merged, L = 1 + ⌊log₂(n/k)⌋: .00022 for a million scores a side
    and the default capacity.

    Usage:

      sketch = RocSketch()
      for scores, is_member in batches:
          sketch.add(scores, is_member)
      sketch.auc(), sketch.tpr_at_fpr(0.001)

    Args:
      capacity: how many scores a level holds, k; even, at least 2. Sketches merge with those of the same capacity.
    Raises:
      ValueError: if the capacity is not such a number.
    """

    def __init__(self, capacity: int = 2**14) -> None:
        if isinstance(capacity, bool) or not isinstance(capacity, (int, np.integer)) or capacity < 2 or capacity % 2:
            raise ValueError(
                f"capacity is {capacity!r}; give an even whole number of scores, at least 2, such as 2**14."
            )
        self._capacity = int(capacity)
        self._members, self._nonmembers = ScoreHierarchy(self._capacity), ScoreHierarchy(self._capacity)

    @property
    def capacity(self) -> int:
        return self._capacity

    @property
    def num_members(self) -> int:
        return self._members.count

    @property
    def num_nonmembers(self) -> int:
        return self._nonmembers.count

    @property
    def num_stored(self) -> int:
        """How many scores are held, both sides together."""
        return sum(level.size for side in (self._members, self._nonmembers) for level in side.levels)

    @property
    def tpr_error(self) -> float:
        """The largest error that the TPR may have at any threshold, in [0, 1]."""
        return max(self._members.over, self._members.under) / max(1, self.num_members)

    @property
    def fpr_error(self) -> float:
        """The largest error that the FPR may have at any threshold, in [0, 1]."""
        return max(self._nonmembers.over, self._nonmembers.under) / max(1, self.num_nonmembers)

    def __repr__(self) -> str:
        sides = f"{self.num_members} members, {self.num_nonmembers} non-members"
        return f"<RocSketch of {sides}: TPR within {self.tpr_error:.2g}, FPR within {self.fpr_error:.2g}>"

    def add(self, scores: ArrayLike, is_member: ArrayLike) -> None:
        """Takes in some more scores.

        Args:
          scores: float[n]; higher = more member-like; ±inf are ordinary extremes, NaN is refused; n may be 0.
          is_member: bool[n] (or 0 / 1); all may be on one side.
        Raises:
          ValueError: on shapes that differ, NaN, or flags that are not 0 / 1. The sketch is then as it was.
        """
        values, truth = check_records(scores, is_member)
        self._members.take_in([values[truth]])
        self._nonmembers.take_in([values[~truth]])

    def merge(self, other: RocSketch) -> RocSketch:
        """A new sketch of the scores of both; neither is changed.

        Raises:
          TypeError: if `other` is no sketch.
          ValueError: if its capacity is another.
        """
        if not isinstance(other, RocSketch):
            raise TypeError(f"a {type(other).__name__} was given; a RocSketch merges with a RocSketch.")
        if other.capacity != self.capacity:
            raise ValueError(
                f"a sketch of capacity {other.capacity} cannot be merged into one of capacity {self.capacity}; "
                "make all sketches with the same capacity."
            )
        merged = RocSketch(self.capacity)
        for side, parts in (
            (merged._members, (self._members, other._members)),
            (merged._nonmembers, (self._nonmembers, other._nonmembers)),
        ):
            side.over, side.under = sum(part.over for part in parts), sum(part.under for part in parts)
            side.ceiling = max(part.ceiling for part in parts)
            for part in parts:
                side.take_in(part.levels)
        return merged

    def roc(self) -> RocCurve:
        """The curve of the items, each counted as often as it stands for; the exact one while nothing was compacted.

        Raises:
          ValueError: if a side is still empty.
        """
        check_sides(self.num_members, self.num_nonmembers)
        (members, each_member), (nonmembers, each_nonmember) = self._members.items(), self._nonmembers.items()
        values = np.concatenate([members, nonmembers])
        order = np.argsort(-values, kind="stable")
        values = values[order]
        last = np.append(values[1:] != values[:-1], True)
        sides = np.concatenate([each_member, 0 * each_nonmember]), np.concatenate([0 * each_member, each_nonmember])
        counts = (np.concatenate([[0], np.cumsum(side[order])[last]]).astype(np.int64, copy=False) for side in sides)
        return RocCurve(np.concatenate([[np.inf], values[last]]), *counts)

    def auc(self, level: float = LEVEL) -> Estimate:
        """`auc` of the sketched curve, its interval widened until it contains that of the exact curve.

        Args:
          level: confidence level of the interval.
        Returns:
          An `Estimate` in [0, 1]; `details` holds `sketch_error`, which |value − exact value| does not exceed: at most
          `tpr_error` + `fpr_error`.
        Raises:
          ValueError: if a side is empty or has 2³¹ records, or the level lies outside (0, 1).
        """
        check_level(level)
        curve, n1, n0 = self.roc(), self.num_members, self.num_nonmembers
        if max(n1, n0) >= _PAIRS_COUNTABLE:
            raise ValueError(
                f"{n1:,} members and {n0:,} non-members make too many pairs to count; judge parts of them."
            )
        members, nonmembers = self._members, self._nonmembers
        if self.tpr_error == self.fpr_error == 0:
            exact = auc(curve, level)
            return Estimate(exact, exact.low, exact.high, exact.level, details={"sketch_error": 0.0})
        value, *parts = area_and_variance(curve)
        # With T and F the shares of members and non-members at or above a threshold, AUC = ∫ T dF (T halved at ties). First
        # only T, then only F is replaced; the second integral, by parts, is 1 − ∫ F dT. So AUC moves as T errs, against F.
        too_high = members.over / n1 + nonmembers.under / n0
        too_low = members.under / n1 + nonmembers.over / n0
        least, most = max(0.0, value - too_high), min(1.0, value + too_low)
        spread = largest_part(parts[0], n1, self.fpr_error, self.tpr_error)
        spread = np.sqrt(spread + largest_part(parts[1], n0, self.tpr_error, self.fpr_error))
        smaller = min(n1, n0)
        low, high = 0.0, 1.0
        if smaller > 1:
            quantile = float(special.stdtrit(smaller - 1, 0.5 + level / 2))  # Welch's are at least as many
            # 1 − V is at most n₁·(1 − AUC), so its mean square at most n₁·(1 − AUC)²; mirrored at 0; and the other side.
            steepest = np.sqrt(n1 / (n1 - 1) + n0 / (n0 - 1))
            perfect_low = low_of_a_perfect_result(smaller, level)
            # A tie's share of a side is a difference of two shares, each off by that side's error.
            tied = min(1.0, tied_share(curve) + 2 * (self.tpr_error + self.fpr_error))
            least_reach = (1 - perfect_low) * tied / 2
            low = min(_least_logit_end(least, most, spread, steepest, quantile), perfect_low, least - least_reach)
            high = 1 - _least_logit_end(1 - most, 1 - least, spread, steepest, quantile)
            high = max(high, 1 - perfect_low, most + least_reach)
        error = {"sketch_error": max(too_high, too_low)}
        return Estimate(value, max(0.0, low), min(1.0, high), level, details=error)

    def tpr_at_fpr(self, fpr: float, level: float = LEVEL) -> Estimate:
        """`tpr_at_fpr` of the sketched curve, its interval widened until it contains that of the exact curve.

        Args:
          fpr: the false positive rate allowed, in (0, 1).
          level: confidence level of the interval.
        Returns:
          An `Estimate` in [0, 1]; `details` holds `attained_fpr` and `false_positives` of the sketched curve, and
          `sketch_error`, which |value − exact value| does not exceed. Where fpr·n₀ is less than the capacity and no
          scores tie, it is at most `tpr_error`.
        Raises:
          ValueError: as the function `tpr_at_fpr`, or if a side is empty.
        """
        curve = self.roc()
        found = tpr_at_fpr(curve, fpr, level)
        # Value and interval's ends read the curve only as H(j), the most members accused at any threshold with at most j
        # false positives, and grow with it. A curve with no more members and no fewer false positives at each threshold
        # has an H that is nowhere larger; one with no fewer and no more, nowhere smaller.
        worst = tpr_at_fpr(self._bounding_curve(curve, favourable=False), fpr, level)
        best = tpr_at_fpr(self._bounding_curve(curve, favourable=True), fpr, level)
        details = {**found.details, "sketch_error": max(float(best) - found, found - float(worst))}
        return Estimate(found, worst.low, best.high, level, details=details)

    def _bounding_curve(self, curve: RocCurve, favourable: bool) -> RocCurve:
        """Members as many and false positives as few as they may be (or the reverse); for `tpr_at_fpr` alone."""
        # Point i stands for all thresholds from its own down to, but without, that of point i+1. A lower bound at its own
        # holds for all of them, and for all lower ones. An upper bound of the favourable curve must allow for the lowest; the
        # other curve need not look at more than point i's own, and "nobody" and "everybody" are known exactly.
        lowest = np.append(curve.thresholds[1:], -np.inf)
        counts = []
        for side, found, upwards in (
            (self._members, curve.true_positives, favourable),
            (self._nonmembers, curve.false_positives, not favourable),
        ):
            may_err = lowest < side.ceiling if upwards and favourable else curve.thresholds <= side.ceiling
            may_err[0] &= favourable
            bound = found + np.where(may_err, side.under if upwards else -side.over, 0)
            counts.append(np.append(np.maximum.accumulate(np.clip(bound, 0, side.count)), side.count))
        return RocCurve(np.append(curve.thresholds, -np.inf), *counts)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the sketch to one file, under a temporary name first: a file of that name is whole or not there."""
        unfinished = Path(f"{os.fspath(path)}.{os.getpid()}.unfinished")
        arrays: dict[str, Any] = {"header": np.array([SCHEMA_VERSION, self.capacity], np.int64)}
        for name, side in (("members", self._members), ("nonmembers", self._nonmembers)):
            sizes = [level.size for level in side.levels]
            arrays[f"{name}_counts"] = np.array([side.count, side.over, side.under, *sizes], np.int64)
            arrays[f"{name}_scores"] = np.concatenate([[side.ceiling], *side.levels])
        try:
            with unfinished.open("wb") as file:
                np.savez(file, **arrays)
            unfinished.replace(path)
        finally:
            unfinished.unlink(missing_ok=True)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> RocSketch:
        """The sketch that `save` wrote.

        Raises:
          OSError: if the file cannot be opened.
          ValueError: if it is damaged, holds something else, or comes from another schema version.
        """
        with Path(path).open("rb") as file:
            return cls._read(file, os.fspath(path))

    @classmethod
    def _read(cls, file: IO[bytes], place: str) -> RocSketch:
        try:
            with np.load(file, allow_pickle=False) as arrays:
                version, capacity = (int(number) for number in arrays["header"])
                if version != SCHEMA_VERSION:
                    raise ValueError(f"its schema version is {version}, this package reads {SCHEMA_VERSION}")
                sketch = cls(capacity)
                for name, side in (("members", sketch._members), ("nonmembers", sketch._nonmembers)):
                    count, over, under, *sizes = (int(number) for number in arrays[f"{name}_counts"])
                    ceiling, scores = float(arrays[f"{name}_scores"][0]), arrays[f"{name}_scores"][1:]
                    if scores.size != sum(sizes) or np.isnan(scores).any():
                        raise ValueError(
                            f"{sum(sizes)} scores of {name} were announced, {scores.size} found, or some are NaN"
                        )
                    levels = np.split(scores, np.cumsum(sizes)[:-1])
                    side.ceiling, side.over, side.under = ceiling, over, under
                    side.take_in(levels)
                    if side.count != count:
                        raise ValueError(f"its {name} stand for {side.count} records, not for {count}")
        except Exception as reason:  # a damaged archive fails in a dozen ways
            raise ValueError(f"{place} is no file that RocSketch.save wrote, or is damaged: {reason}.") from reason
        return sketch


def largest_part(part: float, count: int, placing: float, weighing: float) -> float:
    """A part of DeLong's variance as large as the exact curve's may be.

    A member's placement V, the share of non-members that it beats, is off by at most the FPR error, which moves the standard
    deviation over members by no more. To weigh the members otherwise moves the mean of a function of the score by at most
    the TPR error times the function's variation: 1 for V, ½ for (V − ½)². As V's variance is the mean of (V − ½)² minus
    (mean of V − ½)², that moves it by at most 3/2 of the TPR error. Non-members alike.

    Args:
      part: of the sketched curve, from sampling one side.
      count: the records of that side.
      placing: the other side's largest error, a share.
      weighing: the largest error of that side.
    """
    if count == 1:
        return 0.0
    return float((np.sqrt(part * (count - 1)) + placing) ** 2 + 1.5 * weighing) / (count - 1)


def _least_logit_end(least: float, most: float, spread: float, steepest: float, quantile: float) -> float:
    """The lowest low end expit(logit(v) − quantile·s/(v(1−v))) over all areas v in [least, most].

    s is the standard error, at most `spread` and at most steepest·(1 − v). Where the first bound is the smaller one, the end
    rises and then falls in v (the derivative's sign is that of v(1−v) + s(1−2v) times the quantile, concave with one root);
    beyond, it rises. So the lowest is at `least` or where the bounds meet.
    """
    if least <= 0:
        return 0.0
    ends = [1.0]
    for v in (least, min(most, max(least, 1 - spread / steepest))):
        if v < 1:
            reach = quantile * min(spread, steepest * (1 - v)) / (v * (1 - v))
            ends.append(float(special.expit(special.logit(v) - reach)))
    return min(ends)

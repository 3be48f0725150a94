"""The ROC curve of a membership score: the one thing that metrics read.

Convention, everywhere in this package: higher score = more member-like; a record is called a member iff its score is at
or above the threshold; records with equal scores are always called alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .number_arrays import as_flags, as_floats, as_numbers

# Points of a curve that a metric looks at together: its temporary arrays stay in the cache and do not grow with the curve.
_PIECE = 2**16


@dataclass(frozen=True)
class RocCurve:
    """Counts at every threshold that the scores can tell apart, from "nobody is a member" to "everybody is".

    Axis g: the distinct scores, descending, after one leading point that calls nobody a member (its threshold is +inf).

    Attributes:
      thresholds: float[1 + g].
      true_positives: int[1 + g], members with score >= threshold.
      false_positives: int[1 + g], non-members with score >= threshold.
    """

    thresholds: NDArray[np.float64]
    true_positives: NDArray[np.int64]
    false_positives: NDArray[np.int64]

    @classmethod
    def from_scores(cls, scores: ArrayLike, is_member: ArrayLike) -> RocCurve:
        """One sort of the scores.

        At its peak it holds about twice the memory that the sort alone does.

        Args:
          scores: float[n]; higher = more member-like; ±inf are ordinary extremes, NaN is refused.
          is_member: bool[n] (or 0 / 1).
        Raises:
          ValueError: on shapes that differ, NaN, labels that are not 0 / 1, or an empty side.
        """
        values, truth = check_scores(scores, is_member)
        order = np.argsort(-values)  # records with equal scores are counted together, in whatever order they come
        values, truth = values[order], truth[order]
        del order
        is_last_of_group = np.append(values[1:] != values[:-1], True)
        thresholds = np.concatenate([[np.inf], values[is_last_of_group]])
        del values
        true_positives = np.concatenate([[0], np.cumsum(truth)[is_last_of_group]]).astype(np.int64, copy=False)
        called = np.concatenate([[0], np.flatnonzero(is_last_of_group) + 1]).astype(np.int64, copy=False)
        called -= true_positives
        curve = cls(thresholds, true_positives, false_positives=called)
        for array in (curve.thresholds, curve.true_positives, curve.false_positives):
            array.flags.writeable = False
        return curve

    @property
    def num_members(self) -> int:
        return int(self.true_positives[-1])

    @property
    def num_nonmembers(self) -> int:
        return int(self.false_positives[-1])

    @property
    def tpr(self) -> NDArray[np.float64]:
        """float[1 + g], the share of members called members."""
        return self.true_positives / self.num_members

    @property
    def fpr(self) -> NDArray[np.float64]:
        """float[1 + g], the share of non-members called members."""
        return self.false_positives / self.num_nonmembers

    def pieces(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
        """(true_positives, false_positives) of consecutive runs of points, each run beginning with the last of the one before.

        So the differences within the runs are `members_per_score` and `nonmembers_per_score`, each score once.
        """
        for start in range(0, self.thresholds.size - 1, _PIECE):
            run = slice(start, start + _PIECE + 1)
            yield self.true_positives[run], self.false_positives[run]

    @property
    def members_per_score(self) -> NDArray[np.int64]:
        """int[g], how many members hold each distinct score, highest first."""
        return np.diff(self.true_positives)

    @property
    def nonmembers_per_score(self) -> NDArray[np.int64]:
        """int[g], how many non-members hold each distinct score, highest first."""
        return np.diff(self.false_positives)


def check_scores(scores: ArrayLike, is_member: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Scores and truth as float[n] and bool[n], or the reason why they cannot be judged.

    Raises:
      ValueError: see `RocCurve.from_scores`.
    """
    values, truth = check_records(scores, is_member)
    check_sides(int(truth.sum()), int(truth.size - truth.sum()))
    return values, truth


def check_sides(members: int, nonmembers: int) -> None:
    """Nothing, if there is at least one record on each side.

    Raises:
      ValueError: otherwise.
    """
    if min(members, nonmembers) == 0:
        raise ValueError(
            f"{members} members and {nonmembers} non-members were given; "
            "an attack can only be judged against both, at least one each."
        )


def check_records(scores: ArrayLike, is_member: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """As `check_scores`, but a side may be empty."""
    values = as_floats(scores, "scores", "give one real number a record")
    truth = as_numbers(is_member, "is_member", "give 0 / 1 or False / True")
    if values.ndim != 1 or truth.shape != values.shape:
        raise ValueError(
            f"scores has shape {values.shape} and is_member {truth.shape}; "
            "give one score and one 0/1 flag a record, both of shape (n,)."
        )
    truth = as_flags(truth, "is_member", "1 means the record was trained on.")
    bad = np.flatnonzero(np.isnan(values))
    if bad.size:
        raise ValueError(
            f"scores is NaN for {bad.size} of {values.size} records (first: position {bad[0]}); "
            "a record without a score cannot be ranked."
        )
    return values, truth

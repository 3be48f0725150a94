"""Attacks that learn from records of known membership, judged on records they did not learn from."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .attack import Attack, AttackContext, Examples, Signals
from .given_scores import scores_given
from .number_arrays import group_codes
from .roc import check_records

FOLDS = 2
_EQUAL, _MOST_COPIES = 1e-5, 10


@dataclass(frozen=True)
class CrossFitted:
    """Scores by attacks that never saw the records they score.

    Attributes:
      values: float[n], higher = more member-like.
      fold: int[n], 0 or 1: records of one fold were scored by the attack that was fitted to the other.
    """

    values: NDArray[np.float64]
    fold: NDArray[np.int64]


def cross_fitted(
    attack: Attack,
    signals: Signals,
    is_member: ArrayLike,
    seed: int = 0,
    groups: ArrayLike | None = None,
    context: AttackContext | None = None,
) -> CrossFitted:
    """Fits the attack to each half of the records and scores the other.

    Two halves, as the metrics of more folds, which share most of what they learned from, have no known error:
    judge with `LeakageReport.from_scores(values, is_member, folds=fold)`. Neither halves nor scores depend on the order of
    the records. Up to ten records with equal answers (to 10⁻⁵ of their spread) share a half: a record that stands several
    times among the members would else be known by its copies. More of them are a value that many share, and no copies.

    Args:
      attack: one that sets `needs_examples`.
      signals: n records.
      is_member: bool[n].
      seed: decides the halves; the attack gets it in its context.
      groups: [n], equal for records of one person, film, or original: they share a half. None = all are independent.
      context: what else the attack may learn from.
    Raises:
      ValueError: on lengths that differ, fewer than four records on a side (two to learn from, two to judge), or if the
        attack does not give one real number a record.
    """
    names = list(signals)
    rows = np.concatenate([signals[name] for name in names], axis=1) if names else np.zeros((0, 0))
    _, truth = check_records(np.zeros(len(rows)), is_member)
    members = int(truth.sum())
    if min(members, truth.size - members) < 2 * FOLDS:
        raise ValueError(
            f"{members} members and {truth.size - members} non-members are too few to learn from one half and judge the other; "
            f"give at least {2 * FOLDS} of each."
        )
    order = np.lexsort((*rows.T, truth))
    together = _copies(rows[order]) if groups is None else group_codes(groups, "groups")
    if together.shape != truth.shape:
        raise ValueError(f"groups has shape {together.shape}; give one group a record, {truth.shape}.")
    fold = np.empty(truth.size, np.int64)
    fold[order] = _halves(truth[order], together if groups is None else together[order], seed)
    for half in range(FOLDS):
        inside = truth[fold == half]
        if not 0 < np.count_nonzero(inside) < inside.size:
            raise ValueError(
                f"records of one group share a half, which leaves one with {np.count_nonzero(inside)} members and "
                f"{np.count_nonzero(~inside)} non-members; give records of more groups."
            )
    context = context or AttackContext(seed=seed)
    values = np.empty(truth.size)
    for half in range(FOLDS):
        learn, judge = order[fold[order] != half], order[fold[order] == half]
        known = Examples(signals.of(learn), truth[learn])
        values[judge] = scores_given(attack.fit(replace(context, examples=known)).score(signals.of(judge)), judge.size)
    return CrossFitted(values, fold)


def _copies(rows: NDArray[np.float64]) -> NDArray[np.int64]:
    """A number a record, the same for records with nearly equal answers if there are few of them."""
    # One number for each row: rows that differ hardly ever share it, and rows that are equal but for rounding differ little.
    weights = np.random.default_rng(0xC0B1).normal(size=rows.shape[1])
    place = _standardised(rows) @ weights
    order = np.argsort(place, kind="stable")
    runs = np.concatenate([[0], np.cumsum(np.diff(place[order]) > _EQUAL)])
    sizes = np.bincount(runs)
    found = np.empty(len(rows), np.int64)
    found[order] = np.where(sizes[runs] <= _MOST_COPIES, runs, len(rows) + np.arange(len(rows)))
    return found


def _standardised(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Columns by their spread; infinite values beyond all others."""
    finite = np.isfinite(rows)
    rows = rows / np.maximum(np.abs(rows).max(axis=0, where=finite, initial=0.0), 1.0)  # so that no square overflows
    count = np.maximum(1, np.count_nonzero(finite, axis=0))  # a column may have no finite value
    centre = np.sum(rows, axis=0, where=finite) / count
    spread = np.sqrt(np.sum((rows - centre) ** 2, axis=0, where=finite) / count)
    scaled = (rows - centre) / np.where(spread > 0, spread, 1)
    return np.clip(np.nan_to_num(scaled, nan=0.0), -1e3, 1e3)


def _halves(truth: NDArray[np.bool_], groups: NDArray, seed: int) -> NDArray[np.int64]:
    """0 or 1 a record: whole groups, those with members dealt out among themselves, so that both halves get some of either."""
    _, codes = np.unique(groups, return_inverse=True)
    count = int(codes.max()) + 1
    shuffled = np.random.default_rng([seed, 0xF01D]).permutation(count)
    with_members = np.bincount(codes, weights=truth, minlength=count) > 0
    dealt = np.empty(count, np.int64)
    for kind in (shuffled[with_members[shuffled]], shuffled[~with_members[shuffled]]):
        dealt[kind] = np.arange(kind.size) % FOLDS
    return dealt[codes]

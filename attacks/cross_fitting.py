"""Attacks that learn from records of known membership, judged on records they did not learn from."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .attack import Attack, AttackContext, Examples, Signals
from .roc import check_records

FOLDS = 2


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
    the records.

    Args:
      attack: one that sets `needs_examples`.
      signals: n records.
      is_member: bool[n].
      seed: decides the halves; the attack gets it in its context.
      groups: [n], equal for records of one person, film, or original: they share a half. None = records are independent.
      context: what else the attack may learn from.
    Raises:
      ValueError: on lengths that differ, or fewer than four records on a side (two to learn from, two to judge).
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
    fold = np.empty(truth.size, np.int64)
    fold[order] = _halves(truth[order], seed, None if groups is None else np.asarray(groups)[order])
    context = context or AttackContext(seed=seed)
    values = np.empty(truth.size)
    for half in range(FOLDS):
        learn, judge = order[fold[order] != half], np.flatnonzero(fold == half)
        known = Examples(signals.of(learn), truth[learn])
        values[judge] = attack.fit(replace(context, examples=known)).score(signals.of(judge))
    return CrossFitted(values, fold)


def _halves(truth: NDArray[np.bool_], seed: int, groups: NDArray | None) -> NDArray[np.int64]:
    """0 or 1 a record, each side cut in halves of equal size (of whole groups, as equal as chance makes them)."""
    rng = np.random.default_rng([seed, 0xF01D])
    half = np.empty(truth.size, np.int64)
    if groups is None:
        for side in (truth, ~truth):
            half[side] = rng.permutation(np.arange(side.sum()) % FOLDS)
        return half
    if groups.shape != truth.shape:
        raise ValueError(f"groups has shape {groups.shape}; give one group a record, {truth.shape}.")
    _, codes = np.unique(groups, return_inverse=True)
    shuffled = rng.permutation(codes.max() + 1)
    # Groups with members are dealt out among themselves, so that both halves get some of either kind.
    with_members = np.bincount(codes, weights=truth, minlength=codes.max() + 1) > 0
    dealt = np.empty(codes.max() + 1, np.int64)
    for kind in (shuffled[with_members[shuffled]], shuffled[~with_members[shuffled]]):
        dealt[kind] = np.arange(kind.size) % FOLDS
    return dealt[codes]

"""How likely an AUC as large comes about without leakage."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from .roc import RocCurve

_WAYS = 17  # doublings: 131,072 ways to draw are counted
_FEW_SCORES = 1_000


def p_value(roc: RocCurve) -> float:
    """The probability of an AUC at least this large if scores do not tell members from non-members (Mann–Whitney, one-sided).

    Members are dealt out over the scores at random. How many fall outside of the largest tie is counted exactly; the sum of
    their ranks there exactly too where it has few ways to come about, or one or two records bring it about, else by its normal
    approximation with half its smallest step for continuity. It supposes that records are independent draws.

    Source: Mann & Whitney 1947; Lehmann 1975 (ties).
    """
    members, total = roc.num_members, roc.num_members + roc.num_nonmembers
    found, squares, tie, tied_rank, step = 0, 0.0, 0, 0, total
    for tp, fp in roc.pieces():
        reached = tp + fp
        size, rank = np.diff(reached), total - reached[:-1] - reached[1:]
        found += int(np.sum(np.diff(tp) * rank))
        squares += float(np.sum(size * rank.astype(np.float64) ** 2))
        largest = int(np.argmax(size))
        if size[largest] > tie:
            tie, tied_rank = int(size[largest]), int(rank[largest])
        if len(rank) > 1:
            step = min(step, int(np.min(-np.diff(rank))))  # two records of neighbouring scores change places
    others = total - tie
    taken = _likely(others, total, members)
    chances = np.exp(
        _log_choose(others, taken) + _log_choose(total - others, members - taken) - _log_choose(total, members)
    )
    needed = found - tied_rank * (members - taken)  # by those outside of the tie
    few = None
    if roc.thresholds.size <= _FEW_SCORES:
        few = _ranks_outside(roc)
        if np.sum(np.log2(few[1] + 1.0)) <= _WAYS:
            return float(min(1.0, np.sum(chances * _by_all_ways(*few, taken, needed))))
        step = int(np.min(-np.diff(few[0]))) if len(few[0]) > 1 else 0
    mean = -tie * tied_rank / max(1, others)
    spread = max(0.0, (squares - tie * float(tied_rank) ** 2) / max(1, others) - mean**2)
    deviation = np.sqrt(taken * (others - taken) / max(1, others - 1) * spread)
    beyond = needed - taken * mean
    with np.errstate(divide="ignore", invalid="ignore"):
        likely = special.ndtr(-(beyond - step / 2) / deviation)
    exceeds = np.where(deviation > 0, likely, beyond <= 1e-9 * total)
    if few is not None:
        exceeds = _with_one_or_two(*few, taken, needed, exceeds)
    return float(min(1.0, np.sum(chances * exceeds)))


def _ranks_outside(roc: RocCurve) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Centred doubled middle ranks of the scores, and how many records hold each, without the largest tie."""
    reached = roc.true_positives + roc.false_positives
    size, rank = np.diff(reached), reached[-1] - reached[:-1] - reached[1:]
    largest = int(np.argmax(size))
    return np.delete(rank, largest), np.delete(size, largest)


def _likely(others: int, total: int, members: int) -> NDArray[np.int64]:
    """How many members may stand among the others, less than 1e-30 of all cases apart."""
    share = others / total
    reach = 12 * np.sqrt(members * share * (1 - share)) + 30
    low = max(0, members - (total - others), int(members * share - reach))
    return np.arange(low, min(others, members, int(members * share + reach) + 1) + 1)


def _by_all_ways(
    ranks: NDArray[np.int64], counts: NDArray[np.int64], taken: NDArray[np.int64], needed: NDArray[np.int64]
) -> NDArray[np.float64]:
    """P[the ranks of so many records drawn from these sum up to what is needed or more], by all numbers drawn of each score."""
    size, sums, ways = np.zeros(1, np.int64), np.zeros(1, np.int64), np.zeros(1)
    for rank, count in zip(ranks, counts, strict=True):
        here = np.arange(count + 1)
        size = (size[:, None] + here).ravel()
        sums = (sums[:, None] + rank * here).ravel()
        ways = (ways[:, None] + _log_choose(int(count), here)).ravel()
    total, share = int(counts.sum()), np.zeros(len(taken))
    for index, (drawn, least) in enumerate(zip(taken, needed, strict=True)):
        enough = (size == drawn) & (sums >= least)
        share[index] = np.exp(ways[enough] - _log_choose(total, drawn)).sum()
    return share


def _with_one_or_two(
    ranks: NDArray[np.int64],
    counts: NDArray[np.int64],
    taken: NDArray[np.int64],
    needed: NDArray[np.int64],
    exceeds: NDArray[np.float64],
) -> NDArray[np.float64]:
    """The same where one or two records are drawn, or all but one or two: their ranks are nothing like normal."""
    found, total, whole = exceeds.copy(), int(counts.sum()), int(np.sum(ranks * counts))
    for index, (drawn, least) in enumerate(zip(taken, needed, strict=True)):
        left_out = total - drawn
        if drawn in (1, 2):
            found[index] = _share_of_sums(ranks, counts, int(drawn), int(least), +1)
        elif left_out in (1, 2):
            found[index] = _share_of_sums(ranks, counts, int(left_out), whole - int(least), -1)
    return found


def _share_of_sums(ranks: NDArray[np.int64], counts: NDArray[np.int64], drawn: int, bound: int, sign: int) -> float:
    """P[sign · (sum of the ranks of one or two records) ≥ sign · bound]."""
    total = float(counts.sum())
    if drawn == 1:
        return float(counts[sign * ranks >= sign * bound].sum()) / total
    enough = sign * (ranks[:, None] + ranks) >= sign * bound
    pairs = counts[:, None] * counts - np.diag(counts)  # a record is not drawn twice
    return float(np.sum(pairs * enough)) / (total * (total - 1))


def _log_choose(among: int, taken: Any) -> Any:
    """The logarithm of a binomial coefficient; −inf where so many cannot be taken."""
    taken = np.asarray(taken)
    possible = (taken >= 0) & (taken <= among)
    inside = np.where(possible, taken, 0)
    logs = special.gammaln(among + 1) - special.gammaln(inside + 1) - special.gammaln(among - inside + 1)
    return np.where(possible, logs, -np.inf)

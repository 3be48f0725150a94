"""How likely an AUC as large comes about without leakage."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import special

from .roc import RocCurve

_ENUMERATED = 14  # records, in 16,384 ways
_FEW_SCORES = 1_000


def p_value(roc: RocCurve) -> float:
    """The probability of an AUC at least this large if scores do not tell members from non-members (Mann–Whitney, one-sided).

    Members are dealt out over the scores at random. How many fall outside of the largest tie is counted exactly; the sum of
    their ranks there exactly too for 14 records or fewer, else by its normal approximation, with half its smallest step for
    continuity. Simulated in leak-free audits of 10 to 2,000 records a side, with ties of every kind tried, it is at or below
    1 % in at most 1.3 % and at or below 0.1 % in at most 0.2 % of them.

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
    if roc.thresholds.size <= _FEW_SCORES:
        ranks = _ranks_outside(roc, tie)
        step = int(np.min(-np.diff(ranks[0]))) if len(ranks[0]) > 1 else 0
        if others <= _ENUMERATED:
            return float(min(1.0, np.sum(chances * _exact(*ranks, taken, needed))))
    mean = -tie * tied_rank / max(1, others)
    spread = max(0.0, (squares - tie * float(tied_rank) ** 2) / max(1, others) - mean**2)
    deviation = np.sqrt(taken * (others - taken) / max(1, others - 1) * spread)
    beyond = needed - taken * mean
    with np.errstate(divide="ignore", invalid="ignore"):
        likely = special.ndtr(-(beyond - step / 2) / deviation)
    exceeds = np.where(deviation > 0, likely, beyond <= 1e-9 * total)
    return float(min(1.0, np.sum(chances * exceeds)))


def _ranks_outside(roc: RocCurve, tie: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
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


def _exact(
    ranks: NDArray[np.int64], counts: NDArray[np.int64], taken: NDArray[np.int64], needed: NDArray[np.int64]
) -> NDArray[np.float64]:
    """P[the ranks of so many records drawn from these sum up to what is needed or more], by looking at every way to draw."""
    each = np.repeat(ranks, counts)
    chosen = (np.arange(2 ** len(each))[:, None] >> np.arange(len(each))) & 1
    size, sums = chosen.sum(axis=1), chosen @ each
    return np.array([np.mean(sums[size == k] >= least) for k, least in zip(taken, needed, strict=True)])


def _log_choose(among: int, taken: Any) -> Any:
    """The logarithm of a binomial coefficient; −inf where so many cannot be taken."""
    taken = np.asarray(taken)
    possible = (taken >= 0) & (taken <= among)
    inside = np.where(possible, taken, 0)
    logs = special.gammaln(among + 1) - special.gammaln(inside + 1) - special.gammaln(among - inside + 1)
    return np.where(possible, logs, -np.inf)

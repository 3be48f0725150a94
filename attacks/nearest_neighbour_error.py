"""How often the nearest other record stands on the wrong side, and what that says of the least error possible."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats
from scipy.spatial import cKDTree

_FIRST_LOOK = 8  # neighbours asked for at first; more only where these do not settle it
_NEGLIGIBLE = 1e-12


def nearest_neighbour_error(columns: ArrayLike, is_member: ArrayLike) -> float:
    """Error at prior ½ of the attacker who says what the nearest other record is: the mean of both sides' error rates.

    Exact expectations instead of chance: records at the same place are interchangeable, neighbours at the same distance are
    as likely to be asked, and the larger side (a record itself left out) is thinned at random to the size of the smaller.
    So the expected value without leakage is exactly ½, for any ties and sizes. Weighting the two error rates alone would not
    do: the larger side crowds the other out, and the result tends to ½ whatever leaks.

    Distances are Euclidean between the columns' ranks: no monotone transform of a column changes the result, ±inf are
    ordinary extremes, and a constant column adds nothing. Columns that rank alike are used once. Ranks know no gaps, so of
    sides that are separated in one column the two records at the border may each be taken for the other.

    Without leakage its standard error is at most .71/√n for n records, half of them members; .5/√n for one continuous column.

    Args:
      columns: float[n] or [n, d], without NaN.
      is_member: bool[n], at least two of each.
    Returns:
      In [0, 1]; above ½ by chance alone, save on records that avoid their like.
    Raises:
      ValueError: on fewer than two records on a side.
    """
    truth = np.asarray(is_member, dtype=bool)
    members = int(truth.sum())
    if min(members, truth.size - members) < 2:
        raise ValueError(
            f"{members} members and {truth.size - members} non-members were given; with one left out none is left on its "
            "side, so the nearest neighbour needs two a side."
        )
    places, place_of = np.unique(doubled_ranks(columns), axis=0, return_inverse=True)
    here, there = (np.bincount(place_of.ravel(), weights=side, minlength=len(places)) for side in (truth, ~truth))
    tree = cKDTree(np.unique(places, axis=1))
    errors = [
        np.average(_nearest_is_other(tree, own, other), weights=own) for own, other in ((here, there), (there, here))
    ]
    return float(np.mean(errors))


def cover_hart_bracket(error: float) -> tuple[float, float]:
    """(low, high) of the Bayes error, from the nearest neighbour's error e: (1 − √(1 − 2e)) / 2 and e, both at most ½.

    It holds for the error that is reached with ever more records; with few, e lies above that limit. The low end falls
    steeply below ½: e = .49 gives .43, e = .48 gives .40.

    Args:
      error: at prior ½.
    Source: Cover & Hart 1967, IEEE Transactions on Information Theory 13(1).
    """
    limited = min(0.5, error)
    return (1 - np.sqrt(1 - 2 * limited)) / 2, limited


def doubled_ranks(columns: ArrayLike) -> NDArray[np.float64]:
    """float[n, d]: twice the middle rank of each value in its column, whole numbers from 2 to 2n."""
    array = np.asarray(columns, dtype=np.float64)
    return 2 * stats.rankdata(array[:, None] if array.ndim == 1 else array, axis=0)


def _nearest_is_other(tree: cKDTree, own: NDArray[Any], other: NDArray[Any]) -> NDArray[np.float64]:
    """float[places]: the probability that a record of one side at each place has its nearest neighbour on the other.

    Args:
      tree: the places, all different.
      own, other: [places], how many records of either side stand there.
    """
    own_is_kept = own.sum() - 1 <= other.sum()
    none_of = _all_thinned_away(*sorted((int(own.sum()) - 1, int(other.sum()))))
    found = np.zeros(len(own))
    asked, width = np.flatnonzero(own), _FIRST_LOOK
    while asked.size:
        width = min(width, len(own))
        distance, near = tree.query(tree.data[asked], range(1, width + 1))
        sides = own[near] - (near == asked[:, None]), other[near]
        kept, thinned = sides if own_is_kept else sides[::-1]
        reach = np.take_along_axis(distance, np.argmax(kept > 0, axis=1)[:, None], axis=1)
        is_in_reach = (kept > 0).any(axis=1)
        # All neighbours at the distance that matters are among those that were looked at.
        settled = (is_in_reach & (distance[:, -1] > reach[:, 0])) | (width == len(own))
        hopeless = ~is_in_reach & (none_of[np.minimum(thinned.sum(axis=1).astype(int), none_of.size - 1)] == 0)
        nearest_is_kept = _kept_comes_first(
            np.sum(thinned, axis=1, where=distance < reach),
            np.sum(kept, axis=1, where=distance == reach),
            np.sum(thinned, axis=1, where=distance == reach),
            none_of,
        )
        nearest_is_kept[~is_in_reach] = 0.0
        found[asked] = 1 - nearest_is_kept if own_is_kept else nearest_is_kept
        asked, width = asked[~(settled | hopeless)], 4 * width
    return found


def _all_thinned_away(kept: int, crowd: int) -> NDArray[np.float64]:
    """The probability that none of the first i of a crowd is drawn when `kept` of it are, for i = 0, 1, … up to a zero."""
    gone = np.arange(crowd - kept + 1)
    chance = np.cumprod(np.append(1.0, (crowd - kept - gone) / (crowd - gone)))
    return np.append(chance[chance > _NEGLIGIBLE], 0.0)


def _kept_comes_first(
    nearer: NDArray[np.float64], kept: NDArray[np.float64], tied: NDArray[np.float64], none_of: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The probability that no drawn one of the crowd comes before the first of those kept.

    Args:
      nearer: how many of the crowd are nearer than the first of those kept.
      kept, tied: how many of those kept, and of the crowd, stand at its distance, in random order.
      none_of: see `_all_thinned_away`.
    """
    total = np.zeros(nearer.shape)
    # That exactly j of the crowd come before the first of those kept, within the tie.
    exactly = np.divide(kept, kept + tied, out=np.zeros(nearer.shape), where=kept > 0)
    for j in range(int(min(tied.max(), none_of.size - 1)) + 1):
        total += exactly * none_of[np.minimum(nearer.astype(int) + j, none_of.size - 1)]
        exactly = exactly * np.maximum(tied - j, 0) / np.maximum(tied + kept - j - 1, 1)
    return total

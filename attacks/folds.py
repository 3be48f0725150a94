"""Parts of the records that were scored by attackers of their own, so that scores are comparable within each only."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats


def rows_of_folds(folds: ArrayLike, is_member: NDArray[np.bool_]) -> list[NDArray[np.intp]]:
    """The rows of each fold.

    Raises:
      ValueError: if there is not one fold a record, or a fold lacks members or non-members.
    """
    known = np.asarray(folds)
    if known.shape != is_member.shape:
        raise ValueError(f"folds has shape {known.shape}; give one fold a record, {is_member.shape}.")
    found = [np.flatnonzero(known == fold) for fold in np.unique(known)]
    for rows in found:
        members = int(is_member[rows].sum())
        if not 0 < members < rows.size:
            raise ValueError(
                f"a fold has {members} members and {rows.size - members} non-members; each needs at least one of both."
            )
    return found


def ranks_in_folds(scores: NDArray[np.float64], folds: ArrayLike) -> NDArray[np.float64]:
    """float[n] in (0, 1): each score's middle rank among those of its fold, so that folds can share one curve."""
    ranks, known = np.empty(scores.size), np.asarray(folds)
    for fold in np.unique(known):
        rows = known == fold
        ranks[rows] = stats.rankdata(scores[rows]) / (int(rows.sum()) + 1)
    return ranks

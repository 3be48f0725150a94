"""Records drawn so that their labels come as often as those of others."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def matched_labels(wanted: NDArray, given: NDArray, seed: int = 0) -> NDArray[np.intp]:
    """Rows of `given` whose classes come in the proportions of `wanted`, as many as there can be.

    Args:
      wanted: [n], classes.
      given: [m], classes.
      seed: decides which records of a class are taken.
    Returns:
      int[k], sorted; empty if a class of `wanted` does not occur in `given`.
    """
    classes, counts = np.unique(wanted, return_counts=True)
    rows = [np.flatnonzero(given == label) for label in classes]
    shares = counts / counts.sum()
    most = min(len(found) / share for found, share in zip(rows, shares, strict=True))
    rng = np.random.default_rng([seed, 0x1ABE15])
    taken = [
        rng.permutation(found)[: int(np.floor(most * share + 1e-9))] for found, share in zip(rows, shares, strict=True)
    ]
    return np.sort(np.concatenate(taken)) if most else np.empty(0, np.intp)

"""Distances between records of two blocks in float64: of certain pairs, or of all."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from .coded_blocks import CodedBlock

_NAMES = {1: "cityblock", 2: "euclidean", np.inf: "chebyshev", "hamming": "hamming"}


def paired_distances(
    left: CodedBlock, right: CodedBlock, rows: NDArray[np.int64], hits: NDArray[np.int64]
) -> NDArray[np.float64]:
    """float64[k], between records `rows` of one block and `hits` of the other."""
    coding = left.coding
    found = np.empty(len(rows))
    size = max(1, coding.memory // (32 * left.records.shape[1]))
    for start in range(0, len(rows), size):
        part = slice(start, start + size)
        apart = left.records[rows[part]].astype(np.float64)
        with np.errstate(over="ignore"):
            apart -= right.records[hits[part]]
            found[part] = _length(apart, coding.norm, coding.scale)
    return found


def all_distances(
    left: CodedBlock, right: CodedBlock, rows: NDArray[np.int64]
) -> Iterator[tuple[NDArray[np.int64], int, NDArray[np.float64]]]:
    """(some of these rows, the first of some records of the other block, float64[k, l]): faster than pair by pair.

    The last digits may be others than in `paired_distances`.
    """
    from scipy.spatial.distance import cdist

    coding, d = left.coding, left.records.shape[1]
    size = max(1, min(1024, coding.memory // (16 * d)))
    factor = 1.0 if coding.norm == "hamming" else coding.scale
    for start in range(0, len(rows), size):
        some = rows[start : start + size]
        ours = left.records[some].astype(np.float64) * factor
        for begin in range(0, len(right), size):
            theirs = right.records[begin : begin + size].astype(np.float64) * factor
            distance = cdist(ours, theirs, _NAMES[coding.norm]) / factor
            yield some, begin, np.rint(distance * d) if coding.norm == "hamming" else distance


def _length(apart: NDArray[np.float64], norm: float | str, scale: float) -> NDArray[np.float64]:
    """float64[k], norms of [k, d], which is overwritten."""
    if norm == "hamming":
        return np.count_nonzero(apart, axis=1).astype(np.float64)
    if norm == 2:
        apart *= scale
        return np.sqrt(np.square(apart, out=apart).sum(axis=1)) / scale
    np.abs(apart, out=apart)
    return apart.sum(axis=1) if norm == 1 else apart.max(axis=1, initial=0.0)

"""Blocks of records brought into float32 for matrix products, all in the same way, and what rounding may falsify in these.

Half of a squared Euclidean distance is (|x|² + |z|²)/2 − x·z. Cancellation may falsify any digit of that in float32; centring
the records makes it less. With u = 2⁻²⁴, products over d columns err by at most γ|x||z| and norms by γ|x|², where
γ = du / (1 − du) for whatever order of summation, and rounding records and results adds less than 4u(|x|² + |z|²).

Source: Higham, Accuracy and Stability of Numerical Algorithms, 2002, chapter 3.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from .record_columns import Columns

UNIT_ROUNDOFF = 2.0**-24
_SUMMED_AT_ONCE = 4096  # columns of one product: longer sums would have wider error bounds
_CODED_AT_ONCE = 256  # records: so that they stay in the cache from one operation to the next
_MOST_VALUES = 32  # so many products cost as much as comparing column by column


@dataclass(frozen=True, eq=False)
class Coding:
    """How records are brought into float32.

    Attributes:
      norm: 1, 2, np.inf or "hamming".
      centre: [d], subtracted from each record; float32 only if that loses nothing that the bound does not cover.
      scale: by which they are multiplied then: a power of two, so that this is exact.
      values: that the queries have, if they are few; only for counting.
      kappa: (1 ± kappa) · (|x|² + |z|²)/2 − x·z is half of the squared distance, or beyond it.
      memory: bytes that a part of the work may take.
    """

    norm: float | str
    centre: NDArray[Any]
    scale: float
    values: NDArray[Any] | None
    kappa: float
    memory: int

    @classmethod
    def of(cls, queries: Columns, first: NDArray[Any], norm: float | str, rows: int, memory: int) -> Coding:
        """For these queries, read in blocks of `rows`, and a first block of training records."""
        with np.errstate(over="ignore", invalid="ignore"):
            mean = first.mean(axis=0, dtype=np.float64)
            mean[~np.isfinite(mean)] = 0
            centre: NDArray[Any] = mean.astype(np.result_type(first, queries[:1], np.float32))
            top = max(float(np.max(np.abs(part - centre), initial=0)) for part in chain([first], queries.blocks(rows)))
        if not 1e-30 < top < 1e30:
            centre = mean
        exponent = int(np.clip(np.frexp(top)[1], -1000, 1000)) if 0 < top < np.inf else 0
        columns = min(queries.d, _SUMMED_AT_ONCE) + -(-queries.d // _SUMMED_AT_ONCE)
        gamma = columns * UNIT_ROUNDOFF / (1 - columns * UNIT_ROUNDOFF)
        kappa = 2 * (gamma + 4 * UNIT_ROUNDOFF) / (1 - 2 * gamma - 8 * UNIT_ROUNDOFF)
        values = _few_values(queries, rows) if norm in (1, "hamming") else None
        return cls(norm, centre, 2.0**-exponent, values, kappa, memory)

    @property
    def binary(self) -> bool:
        """True if the queries hold zeros and ones only."""
        return self.values is not None and bool(np.isin(self.values, (0, 1)).all())


class CodedBlock:
    """A block of records [k, d] and what products need of it, as float32 tensors [k, ≤ 4096]."""

    def __init__(self, records: NDArray[Any], coding: Coding) -> None:
        self.records, self.coding = records, coding

    def __len__(self) -> int:
        return len(self.records)

    @property
    def parts(self) -> list[Any]:
        """The coded records."""
        return self._coded[0]

    @property
    def squares(self) -> NDArray[np.float64]:
        """float64[k], |x|² of the coded records."""
        return self._coded[1]

    @cached_property
    def _coded(self) -> tuple[list[Any], NDArray[np.float64]]:
        coded, squares = np.empty(self.records.shape, np.float32), np.zeros(len(self), np.float32)
        with np.errstate(over="ignore"):
            for start in range(0, len(coded), _CODED_AT_ONCE):
                rows = slice(start, start + _CODED_AT_ONCE)
                coded[rows] = (self.records[rows] - self.coding.centre) * self.coding.scale
                for part in _split(coded[rows]):
                    squares[rows] += np.einsum("ij,ij->i", part, part)
        return [tf.constant(part) for part in _split(coded)], squares.astype(np.float64)

    @cached_property
    def is_binary(self) -> bool:
        """True if it holds zeros and ones only."""
        return self.records.dtype == bool or bool(((self.records == 0) | (self.records == 1)).all())

    @cached_property
    def signs(self) -> list[Any]:
        """1 for one, −1 for zero; their product counts the columns that agree minus those that do not."""
        return [tf.constant(part) for part in _split(self.records.astype(np.float32) * 2 - 1)]

    def having(self, value: Any) -> list[Any]:
        """1 where a column holds the value."""
        return [tf.constant(part) for part in _split((self.records == value).astype(np.float32))]


def product(left: list[Any], right: list[Any]) -> Any:
    """float32[k, l], sums of products over all columns."""
    with tf.device("/CPU:0"):  # a GPU may multiply with fewer digits than float32 has
        return tf.add_n([tf.matmul(one, other, transpose_b=True) for one, other in zip(left, right, strict=True)])


def _split(columns: NDArray[np.float32]) -> list[NDArray[np.float32]]:
    return [columns[:, start : start + _SUMMED_AT_ONCE] for start in range(0, columns.shape[1], _SUMMED_AT_ONCE)]


def _few_values(queries: Columns, rows: int) -> NDArray[Any] | None:
    found: NDArray[Any] | None = None
    for block in queries.blocks(rows):
        if len(np.unique(block[:1])) > _MOST_VALUES:
            return None
        new = np.unique(block)
        found = new if found is None else np.union1d(found, new)
        if len(found) > _MOST_VALUES:
            return None
    return found

"""The range that holds the query alone."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from .base_range import Pairs, Range
from .equal_records import equal_pairs


@dataclass(frozen=True, eq=False)
class Point(Range):
    """The query itself: a range attack on it is the point attack, a training record lies in it if it is equal.

    Acts on no leaf, and takes records of any kind.
    """

    kind = "point"

    def draw(self, x: Any, q: int, index: Any, seed: int, first: Any = 0) -> Any:
        """x; see `Range.draw`."""
        return x

    def pairs(self, x: Any, training: Any) -> Iterator[Pairs]:
        """Equal records."""
        return equal_pairs(x, training)

    def sizes(self, x: Any, q: int) -> NDArray[np.int64]:
        """1 for each query."""
        return np.ones(len(tf.nest.flatten(x)[0]), np.int64)

"""Ranges of few lines, for tests of what is made of ranges."""

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from privacy_callbacks.range_queries import seeded_draws
from privacy_callbacks.range_queries.base_range import Pairs, Range


def chebyshev(x, training):
    """[n, t], the largest difference in any column."""
    return np.abs(x[:, None] - training[None]).reshape(len(x), len(training), -1).max(axis=2)


@dataclass(frozen=True, eq=False)
class Cube(Range):
    """Uniform in a cube; what lies up to `unsure` beyond it is uncertain."""

    half: float
    unsure: float = 0.0
    kind = "cube"

    def draw(self, x, q, index, seed, first=0):
        noise = 2 * seeded_draws.uniform(tuple(x.shape[1:]), seed, index, tf.shape(x)[0], first) - 1
        return x + tf.cast(self.half * noise, x.dtype)

    def pairs(self, x, training):
        apart = chebyshev(x, training)
        rows, hits = np.nonzero(apart <= self.half + self.unsure)
        yield Pairs(rows, hits, apart[rows, hits] <= self.half)


@dataclass(frozen=True, eq=False)
class Steps(Range):
    """x, x + 1, …; of these record i has 1 + i mod `most`."""

    most: int
    kind = "steps"

    def sizes(self, x, q):
        return 1 + np.arange(len(x)) % self.most

    def draw(self, x, q, index, seed, first=0):
        own = 1 + (first + tf.range(tf.shape(x)[0])) % self.most
        step = tf.cast(index % own, x.dtype)
        return x + tf.reshape(step, [-1] + [1] * (len(x.shape) - 1))

    def pairs(self, x, training):
        rows, hits = np.nonzero(chebyshev(x, training) == 0)
        yield Pairs(rows, hits, np.ones(len(rows), bool))

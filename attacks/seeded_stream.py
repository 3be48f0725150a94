"""Random numbers of one's own."""

from __future__ import annotations

import zlib

import numpy as np


def seeded_stream(purpose: str, *numbers: int) -> np.random.Generator:
    """A generator for one purpose, unlike any other's and unlike those that users make of the same small seeds.

    NumPy drops trailing zeros of a seed: `default_rng([seed, 0])` is `default_rng(seed)`. A user who splits the data with that
    very generator would otherwise get a shadow model trained on exactly the target's records.

    Args:
      purpose: what the numbers are for.
      numbers: seed, shadow model, epoch …, each at least 0.
    """
    return np.random.default_rng([*numbers, zlib.crc32(purpose.encode()), 0x5AD0])

"""Code of others that draws from global random states, without a trace in these."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator

import numpy as np


@contextlib.contextmanager
def own_random_state(*seed: int) -> Iterator[None]:
    """Lets code draw from Python's and NumPy's global generators as if seeded, and puts both back as they were.

    Keras draws the seed of an initializer that has none from Python's `random`; a user's model or classifier may draw from
    NumPy. The states belong to the training that is to be watched.
    """
    for_numpy, for_python = np.random.get_state(), random.getstate()  # noqa: NPY002
    own = np.random.SeedSequence(seed).generate_state(2)
    random.setstate(random.Random(int(own[0])).getstate())
    np.random.set_state(np.random.RandomState(own[1]).get_state())  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(for_numpy)  # noqa: NPY002
        random.setstate(for_python)

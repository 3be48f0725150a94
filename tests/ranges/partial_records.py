"""Partial records in tables and dicts of columns, with every kind of imputer."""

import numpy as np

from privacy_callbacks.range_queries.imputers import Nearest
from privacy_callbacks.range_queries.missing_features import MissingFeatures, Numeric

RNG = np.random.default_rng(0)
TABLE = RNG.integers(0, 2, (50, 8)).astype(np.float32)
MASKS = RNG.random((50, 8)) < 0.4
MASKS[:, 0] = False
MASKS[3] = False
REFERENCE = RNG.integers(0, 2, (30, 8)).astype(np.float32)
COLUMNS = {
    "age": RNG.integers(18, 90, 50),
    "town": RNG.choice(["a", "b", "c"], (50, 1)),
    "rent": RNG.random(50).astype(np.float32),
    "flag": RNG.random((50, 1)) < 0.5,
    "size": RNG.random(50).astype(np.float32),
}
COLUMN_MASKS = {"town": RNG.random(50) < 0.5, "rent": RNG.random(50) < 0.5, "age": RNG.random(50) < 0.5, "flag": True}
SCHEMA = {
    "age": Numeric(18, 89, integer=True),
    "town": ["a", "b", "c"],
    "rent": Numeric(0, 2),
    "flag": [False, True],
}
COLUMN_REFERENCE = {key: values[:20] for key, values in COLUMNS.items()}


def gaussian(x, mask, q, seed):
    drawn = np.random.default_rng(seed).random((len(x), q, x.shape[1]))
    return np.where(mask[:, None], drawn, x[:, None])


RANGES = {
    "uniform": (TABLE, MissingFeatures(MASKS, [0, 1])),
    "one mask": (TABLE, MissingFeatures(MASKS[1], [0, 1, 2])),
    "numeric": (TABLE, MissingFeatures(MASKS, Numeric(-1, 1))),
    "mixed": (
        TABLE,
        MissingFeatures(MASKS, columns=[None, [0, 1], Numeric(0, 1), Numeric(0, 9, integer=True), *[[0, 1]] * 4]),
    ),
    "marginal": (TABLE, MissingFeatures(MASKS, [0, 1], imputer="marginal", reference=REFERENCE)),
    "knn": (TABLE, MissingFeatures(MASKS, imputer="knn", reference=REFERENCE)),
    "conditional": (TABLE, MissingFeatures(MASKS, [0, 1], imputer=gaussian)),
    "label": (TABLE, MissingFeatures(MASKS, [0, 1], labels=[0, 1, 2])),
    "dict": (COLUMNS, MissingFeatures(COLUMN_MASKS, columns=SCHEMA)),
    "dict, one mask": (COLUMNS, MissingFeatures(["town", "rent"], columns=SCHEMA)),
    "dict, marginal": (COLUMNS, MissingFeatures(COLUMN_MASKS, imputer="marginal", reference=COLUMN_REFERENCE)),
    "dict, knn": (COLUMNS, MissingFeatures(COLUMN_MASKS, imputer=Nearest(20), reference=COLUMN_REFERENCE)),
    "none missing": (TABLE, MissingFeatures(np.zeros(8, bool))),
}


def masks_of(ranges, x):
    """Like x, True = missing."""
    if not isinstance(x, dict):
        return np.broadcast_to(ranges.mask, x.shape)
    false = np.zeros(50, bool)
    return {
        key: np.broadcast_to(ranges.mask.get(key, False) | false, 50).reshape(leaf.shape) for key, leaf in x.items()
    }

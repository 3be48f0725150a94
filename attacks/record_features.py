"""Records as numbers, whatever they are made of: bounded feature columns, and summary statistics that have a name.

Everything takes flattened leaves, arrays [n, ...] of floats, integers, booleans or strings, and is the same for the same
(leaves, seed). Nothing here reads a model.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

MAX_COLUMNS = 1_024  # a leaf with more is projected to so many
_MAX_COLUMNS_READ = 8_192  # of a leaf with more, so many are drawn first: time is bounded whatever the records' size
_ROWS_FOR_SCALES = 500
_VALUES_A_CHUNK = 4_000_000
_COUNT_BUCKETS = 128
_GRAM_BUCKETS = 512
_MAX_CLASSES = 32
_MAX_NAMED_COLUMNS = 64
_LARGEST = float(np.finfo(np.float32).max)  # what ±inf counts as: differences of such are finite in 64 bits
_POSITIONED = 16  # an integer leaf of so few columns is a table, whose columns differ; a longer one is a sequence


class FeatureMap:
    """A map from records to columns, fitted to some records and applied to any batch of the same kind.

    Floats, booleans and small unsigned integers (images) are *measured*: centred, divided by their column's spread,
    clipped to ±10 and, beyond `MAX_COLUMNS`, projected by random signs. Other integers and strings are *counted*: how
    often each token, or each run of two to four characters, occurs, by hashed buckets. Two measured records are
    `|a − b|` apart; two counted ones `|a − b|²`, which grows with the number of edits.

    Args:
      leaves: the records to fit to, arrays [n, ...].
      seed: decides projections and buckets.
      floor: the least spread by which a column is divided, as a share of the leaf's median one: near-constant columns
        are not blown up.
    """

    def __init__(self, leaves: Sequence[NDArray], seed: int = 0, floor: float = 0.0) -> None:
        self._kinds = [_kind(leaf) for leaf in leaves]
        self._seed = seed
        self._scalings = [
            _Measured(leaf, np.random.default_rng([seed, index, 0xFEA7]), floor) if kind == "measured" else None
            for index, (leaf, kind) in enumerate(zip(leaves, self._kinds, strict=True))
        ]

    def measured(self, leaves: Sequence[NDArray]) -> NDArray[np.float32]:
        """float32[n, d]: the measured columns; d = 0 if there are none."""
        return _side_by_side(leaves, [scale(leaf) for leaf, scale in zip(leaves, self._scalings, strict=True) if scale])

    def counted(self, leaves: Sequence[NDArray]) -> NDArray[np.float32]:
        """float32[n, d]: the counted columns; d = 0 if there are none."""
        blocks = []
        for index, (leaf, kind) in enumerate(zip(leaves, self._kinds, strict=True)):
            if kind == "tokens":
                blocks.append(_token_counts(leaf, self._seed + index))
            elif kind == "strings":
                blocks.append(_gram_counts(leaf))
        return _side_by_side(leaves, blocks)


def record_features(leaves: Sequence[NDArray], seed: int = 0) -> NDArray[np.float32]:
    """All columns of these records, each standardised over them; constant ones are left out.

    Integers stand there twice, counted and as the numbers they are: nobody can tell a token from a count.

    Args:
      leaves: arrays [n, ...].
      seed: decides projections and buckets.
    Returns:
      float32[n, d], finite; d ≤ (`MAX_COLUMNS` + a few hundred) a leaf.
    """
    fitted = FeatureMap(leaves, seed)
    as_numbers = [leaf.astype(np.float64) for leaf in leaves if _kind(leaf) == "tokens"]
    blocks = [fitted.measured(leaves), np.sqrt(fitted.counted(leaves))]
    if as_numbers:
        blocks.append(FeatureMap(as_numbers, seed).measured(as_numbers))
    return standardised(_side_by_side(leaves, blocks))


def standardised(columns: NDArray) -> NDArray[np.float32]:
    """float32[n, d]: mean 0 and variance 1 over the records, without the columns that do not vary.

    Values beyond 10 standard deviations are clipped, so that one record cannot stand for a column.
    """
    if not columns.size:
        return np.zeros((len(columns), 0), np.float32)
    peak = np.abs(columns).max(axis=0).astype(np.float64)
    scaled = columns / np.where(peak > 0, peak, 1.0).astype(columns.dtype)
    scaled -= scaled.mean(axis=0)
    spread = scaled.std(axis=0)
    varies = spread > 1e-6  # below the rounding of 32-bit floats, now that the largest value is 1
    return np.clip(scaled[:, varies] / spread[varies], -10, 10).astype(np.float32)


def record_statistics(inputs: Sequence[NDArray], labels: Sequence[NDArray]) -> dict[str, NDArray[np.float64]]:
    """What a human would look at first, one number a record, by name.

    Inputs give mean, spread, minimum, maximum and share of zeros; integers also their number of non-zero entries (what
    is not padding), strings their length in characters. Labels give one indicator a class, or their value.

    Args:
      inputs, labels: arrays [n, ...].
    Returns:
      float64[n] by name, e.g. "mean of the inputs", "class 3"; finite.
    """
    statistics: dict[str, NDArray[np.float64]] = {}
    for index, leaf in enumerate(inputs):
        where = "the inputs" if len(inputs) == 1 else f"input {index + 1}"
        statistics |= _input_statistics(leaf, where)
    for index, leaf in enumerate(labels):
        where = "" if len(labels) == 1 else f" of label {index + 1}"
        classes = label_classes(leaf)
        if classes is None:
            rows = _finite(_rows(leaf))
            if rows.shape[1] < 2:
                statistics |= {f"label value{where}": column for column in rows.T}
            else:
                statistics[f"mean of the labels{where}"] = _row_mean(rows)
                statistics |= {f"label column {j}{where}": rows[:, j] for j in range(min(8, rows.shape[1]))}
        else:
            names, codes = classes
            common = np.argsort(-np.bincount(codes, minlength=len(names)), kind="stable")[:_MAX_CLASSES]
            statistics |= {f"class {names[code]}{where}": (codes == code).astype(np.float64) for code in sorted(common)}
            if len(names) > _MAX_CLASSES and leaf.dtype.kind in "iu":  # as likely a count or an amount as a class
                statistics[f"label value{where}"] = leaf.reshape(len(leaf)).astype(np.float64)
    return statistics


def named_columns(inputs: Sequence[NDArray]) -> dict[str, NDArray[np.float64]]:
    """float64[n] by name: each single column of the inputs, where a leaf has few enough that a human may know them."""
    columns: dict[str, NDArray[np.float64]] = {}
    for index, leaf in enumerate(inputs):
        rows = leaf.reshape(len(leaf), -1)
        if 1 < rows.shape[1] <= _MAX_NAMED_COLUMNS and rows.dtype.kind not in "OSU":
            where = "the inputs" if len(inputs) == 1 else f"input {index + 1}"
            columns |= {f"column {j} of {where}": values for j, values in enumerate(_finite(rows).T)}
    return columns


def label_classes(leaf: NDArray) -> tuple[list[str], NDArray[np.int64]] | None:
    """(names, int[n] codes) if these labels are classes: integers, strings, booleans, one-hot rows, few whole numbers.

    None for regression targets and multi-hot rows.
    """
    rows = leaf.reshape(len(leaf), -1)
    if rows.dtype.kind in "OSU":
        rows = np.array([[_text(entry)] for entry in rows[:, 0]])
    elif rows.shape[1] > 1:
        if not (np.isin(rows, (0, 1)).all() and (rows.sum(axis=1) == 1).all()):
            return None
        rows = rows.argmax(axis=1)[:, None]
    if rows.shape[1] != 1:
        return None
    values, codes = np.unique(rows[:, 0], return_inverse=True)
    if values.dtype.kind == "f":
        if len(values) > _MAX_CLASSES or not np.array_equal(values, np.round(values)):
            return None
        return [f"{value:.0f}" for value in values], codes.astype(np.int64)
    return [str(value) for value in values], codes.astype(np.int64)


class _Measured:
    def __init__(self, leaf: NDArray, rng: np.random.Generator, floor: float) -> None:
        rows = leaf.reshape(len(leaf), -1)
        width = rows.shape[1]
        self._read: NDArray[np.int64] | None = None
        if width > _MAX_COLUMNS_READ:
            self._read = np.sort(rng.choice(width, _MAX_COLUMNS_READ, replace=False))
            width = _MAX_COLUMNS_READ
        self._signs = None
        if width > MAX_COLUMNS:
            from scipy import sparse

            places = np.arange(width), rng.permutation(width) % MAX_COLUMNS
            self._signs = sparse.csr_matrix((rng.choice(np.array([-1, 1], np.float32), width), places)).T.tocsr()
        some = rows[:: max(1, -(-len(rows) // _ROWS_FOR_SCALES))]
        some = _finite(some if self._read is None else some[:, self._read])
        low, middle, high = np.percentile(some, (10, 50, 90), axis=0) if len(some) else np.zeros((3, width))
        spread = (high - low) / 2.56
        with np.errstate(over="ignore"):
            spread = np.where(spread > 0, spread, some.std(axis=0) if len(some) else 0.0)
        spread = np.where(np.isfinite(spread), spread, np.finfo(np.float64).max)
        if floor and (spread > 0).any():
            spread = np.maximum(spread, floor * np.median(spread[spread > 0]))
        # A column that did not vary where the spread was taken may vary elsewhere: its own size is then the unit.
        unit = np.where(middle != 0, np.abs(middle), 1.0)
        self._centre, self._scale = middle, np.where(spread > 0, spread, unit)

    def __call__(self, leaf: NDArray) -> NDArray[np.float32]:
        rows = leaf.reshape(len(leaf), -1)
        step = max(1, _VALUES_A_CHUNK // max(1, rows.shape[1]))
        return np.concatenate([self._chunk(rows[start : start + step]) for start in range(0, max(1, len(rows)), step)])

    def _chunk(self, rows: NDArray) -> NDArray[np.float32]:
        some = _finite(rows if self._read is None else rows[:, self._read])
        with np.errstate(over="ignore"):
            scaled = np.clip((some - self._centre) / self._scale, -10, 10).astype(np.float32)
        return scaled if self._signs is None else np.ascontiguousarray((self._signs @ scaled.T).T)


def _kind(leaf: NDArray) -> str:
    if leaf.dtype.kind in "OSU":
        return "strings"
    return "tokens" if leaf.dtype.kind in "iu" and leaf.dtype != np.uint8 else "measured"


def _token_counts(leaf: NDArray, seed: int) -> NDArray[np.float32]:
    """float32[n, buckets]; zeros are padding and not counted where the leaf is a sequence."""
    rows = leaf.reshape(len(leaf), -1)
    tokens = rows.astype(np.uint64, copy=False)
    if rows.shape[1] <= _POSITIONED:
        tokens = tokens + np.arange(1, rows.shape[1] + 1, dtype=np.uint64) * np.uint64(2**32)
    multiplier = np.uint64(np.random.default_rng([seed, 0xC0]).integers(2**62) * 2 + 1)
    buckets = ((tokens * multiplier) >> np.uint64(57)).astype(np.int64)  # the 7 highest bits: 128 buckets
    record = np.repeat(np.arange(len(rows)), rows.shape[1])
    counts = (rows != 0) if rows.shape[1] > _POSITIONED else np.ones(rows.shape, bool)
    flat = np.bincount(
        record * _COUNT_BUCKETS + buckets.ravel(), weights=counts.ravel(), minlength=len(rows) * _COUNT_BUCKETS
    )
    return flat.reshape(len(rows), _COUNT_BUCKETS).astype(np.float32)


def _gram_counts(leaf: NDArray) -> NDArray[np.float32]:
    from sklearn.feature_extraction.text import HashingVectorizer

    rows = leaf.reshape(len(leaf), -1)
    if not rows.size:
        return np.zeros((len(rows), 0), np.float32)
    grams = HashingVectorizer(
        analyzer="char", ngram_range=(2, 4), n_features=_GRAM_BUCKETS, alternate_sign=False, norm=None, lowercase=False
    )
    return grams.transform([" ".join(map(_text, row)) for row in rows]).toarray().astype(np.float32)


def _input_statistics(leaf: NDArray, where: str) -> dict[str, NDArray[np.float64]]:
    rows = _rows(leaf)
    if rows.dtype.kind in "OSU":
        lengths = np.array([sum(len(_text(entry)) for entry in row) for row in rows], np.float64)
        return {f"length in characters of {where}": lengths}
    rows = _finite(rows)
    if rows.shape[1] < 2:
        return {f"value of {where}": column for column in rows.T}
    mean = _row_mean(rows)
    with np.errstate(over="ignore"):
        spread = np.nan_to_num(rows.std(axis=1), posinf=np.finfo(np.float64).max)
    statistics = {
        f"mean of {where}": mean,
        f"spread of {where}": spread,
        f"minimum of {where}": rows.min(axis=1),
        f"maximum of {where}": rows.max(axis=1),
    }
    nonzero = np.count_nonzero(rows, axis=1).astype(np.float64)
    if _kind(leaf) == "tokens":
        statistics[f"number of non-zero entries of {where}"] = nonzero
    else:
        statistics[f"share of zeros in {where}"] = 1 - nonzero / rows.shape[1]
    return statistics


def _rows(leaf: NDArray) -> NDArray:
    """[n, columns], columns thinned where there are very many."""
    rows = leaf.reshape(len(leaf), -1)
    return rows[:, :: max(1, -(-rows.shape[1] // _MAX_COLUMNS_READ))]


def _row_mean(rows: NDArray) -> NDArray[np.float64]:
    return (rows / rows.shape[1]).sum(axis=1)  # divided first: a sum of the largest floats would overflow


def _finite(rows: NDArray) -> NDArray[np.float64]:
    as_floats = rows.astype(np.float64, copy=False)
    if rows.dtype.kind != "f" or np.isfinite(rows).all():
        return as_floats
    return np.nan_to_num(as_floats, posinf=_LARGEST, neginf=-_LARGEST)


def _text(entry: object) -> str:
    return entry.decode("utf-8", "replace") if isinstance(entry, bytes) else str(entry)


def _side_by_side(leaves: Sequence[NDArray], blocks: Sequence[NDArray]) -> NDArray[np.float32]:
    return np.concatenate([np.zeros((len(leaves[0]), 0), np.float32), *blocks], axis=1)

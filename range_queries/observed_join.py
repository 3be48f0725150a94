"""Which training records agree with a query on every column that is observed of it.

Each cell becomes a number (a hash of its column and value), and a record the sum of those that are observed. All sums of a
block of training records, under all masks, are one matrix product in whole numbers that the float type holds exactly; where
two sums are equal the cells themselves are compared. So a thousand masks cost about what a matrix product costs, and
nothing depends on luck but the time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .base_range import Pairs
from .equal_join import equal_entries
from .tables import as_text, entries, keys_of, num_rows, slices, stacked, types_of

_CELLS_AT_ONCE = 1 << 22
_PAIRS_AT_ONCE = 1 << 18
_MASKS_AT_ONCE = 512
_WIDEST_IN_SINGLE = 4096  # columns: the sums of at least 12 bits a cell are exact in float32


class _Part(NamedTuple):
    """Columns of one type.

    Attributes:
      places: where they stand among all columns.
      ours: [n, m], of the queries.
      theirs: gives those of some training records, in the same form.
    """

    places: NDArray[np.intp]
    ours: NDArray[Any]
    theirs: Callable[[slice], NDArray[Any]]


def agreeing_pairs(x: Any, observed: NDArray[np.bool_], training: Any) -> Iterator[Pairs]:
    """Queries and training records with equal values in all observed columns; what others hold is not looked at.

    Floats are compared in the less precise of the two types. NaN is equal to nothing.

    Args:
      x, training: tables of the same columns, arrays [n, d] and [t, d] or dicts of columns.
      observed: bool[n, d], or [1, d] for all queries.
    """
    parts = _parts(x, training)
    width = observed.shape[1]
    dtype = np.float32 if width <= _WIDEST_IN_SINGLE else np.float64
    bits = min(32, (24 if dtype is np.float32 else 53) - int(np.ceil(np.log2(max(width, 2)))))
    masks, groups = _queries_by_mask(parts, observed, num_rows(x), bits, dtype)
    for block in slices(num_rows(training), _CELLS_AT_ONCE // width):
        cells = [part.theirs(block) for part in parts]
        hashes = _hashes(parts, cells, width, bits, dtype).T
        for rows, hits in _gathered(_candidates(masks, groups, hashes)):
            agree = _agree(parts, cells, observed, rows, hits)
            if agree.any():
                yield Pairs(rows[agree], block.start + hits[agree], np.ones(int(agree.sum()), bool))


def _parts(x: Any, training: Any) -> list[_Part]:
    order = {key: place for place, key in enumerate(keys_of(x))}
    # Split by the types of both sides, so that each part is compared in one type.
    kinds = {key: kind for kind, keys in types_of(training).items() for key in keys}
    parts = []
    for kind, keys in types_of(x).items():
        for other in dict.fromkeys(kinds[key] for key in keys):
            these = [key for key in keys if kinds[key] == other]
            ours = stacked(x, these)
            places = np.array([order[key] for key in these])
            form = _coded(ours) if kind == "string" else _common(kind, other)
            parts.append(_Part(places, form(ours), _reader(training, these, form)))
    return parts


def _reader(training: Any, keys: list[Any], form: Callable[[Any], Any]) -> Callable[[slice], NDArray[Any]]:
    return lambda rows: form(stacked(training, keys, rows))


def _common(kind: str, other: str) -> Callable[[Any], Any]:
    one, two = np.dtype(kind), np.dtype(other)
    both_floats = one.kind == two.kind == "f"
    shared = min(one, two, key=lambda dtype: dtype.itemsize) if both_floats else np.result_type(one, two)
    return lambda array: array.astype(shared, copy=False)


def _coded(ours: NDArray[Any]) -> Callable[[Any], Any]:
    """Strings as numbers: their place among those of the queries in the same column, −1 = not one of them."""
    known = [np.unique(as_text(strings)) for strings in ours.T]

    def code(array: NDArray[Any]) -> NDArray[np.int32]:
        codes = np.empty(array.shape, np.int32)
        for place, (values, strings) in enumerate(zip(known, as_text(array).T, strict=True)):
            found = np.minimum(np.searchsorted(values, strings), max(len(values) - 1, 0))
            codes[:, place] = np.where(values[found] == strings, found, -1) if len(values) else -1
        return codes

    return code


def _queries_by_mask(
    parts: list[_Part], observed: NDArray[np.bool_], count: int, bits: int, dtype: Any
) -> tuple[NDArray[Any], list[tuple[NDArray[np.int64], NDArray[Any]]]]:
    """The different masks, as factors [p, d], and for each the queries it belongs to with their sums, in ascending order."""
    width = observed.shape[1]
    sums = np.empty(count, dtype)
    for rows in slices(count, _CELLS_AT_ONCE // width):
        hashes = _hashes(parts, [part.ours[rows] for part in parts], width, bits, dtype)
        sums[rows] = np.where(entries(observed, rows), hashes, 0).sum(axis=1)
    if len(observed) == 1:
        masks, owner = observed, np.zeros(count, np.int64)
    else:
        _, one, owner = np.unique(np.packbits(observed, axis=1), axis=0, return_index=True, return_inverse=True)
        masks = observed[one]
    order = np.lexsort((sums, owner.reshape(-1))).astype(np.int64)
    ends = np.cumsum(np.bincount(owner.reshape(-1), minlength=len(masks)))
    rows_of = np.split(order, ends[:-1])
    return masks.astype(dtype), [(rows, sums[rows]) for rows in rows_of]


def _candidates(
    masks: NDArray[Any], groups: list[tuple[NDArray[np.int64], NDArray[Any]]], hashes: NDArray[Any]
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    for some in slices(len(masks), _MASKS_AT_ONCE):
        for (rows, ours), theirs in zip(groups[some], masks[some] @ hashes, strict=True):
            for own, hits in equal_entries(ours, theirs, _PAIRS_AT_ONCE) if len(rows) else ():
                yield rows[own], hits


def _gathered(
    found: Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]],
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """The same pairs in fewer, larger parts."""
    held: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
    count = 0
    for pair in found:
        held.append(pair)
        count += len(pair[0])
        if count >= _PAIRS_AT_ONCE:
            yield _joined(held)
            held, count = [], 0
    if held:
        yield _joined(held)


def _joined(held: list[tuple[NDArray[np.int64], NDArray[np.int64]]]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    return np.concatenate([rows for rows, _ in held]), np.concatenate([hits for _, hits in held])


def _agree(
    parts: list[_Part],
    cells: list[NDArray[Any]],
    observed: NDArray[np.bool_],
    rows: NDArray[np.int64],
    hits: NDArray[np.int64],
) -> NDArray[np.bool_]:
    agree = np.empty(len(rows), bool)
    for some in slices(len(rows), _CELLS_AT_ONCE // observed.shape[1]):
        own, theirs = rows[some], hits[some]
        seen = entries(observed, own)
        good = np.ones(len(own), bool)
        for part, block in zip(parts, cells, strict=True):
            good &= ((part.ours[own] == block[theirs]) | ~seen[:, part.places]).all(axis=1)
        agree[some] = good
    return agree


def _hashes(parts: list[_Part], cells: list[NDArray[Any]], width: int, bits: int, dtype: Any) -> NDArray[Any]:
    """[b, d], a number of so many bits for each cell: equal for equal values in the same column."""
    hashes = np.empty((len(cells[0]), width), dtype)
    for part, block in zip(parts, cells, strict=True):
        salted = _mixed(_words(block) + _salts(width)[part.places])
        salted >>= np.uint32(32 - bits)
        if len(part.places) == width:
            hashes[...] = salted
        else:
            hashes[:, part.places] = salted
    return hashes


def _salts(width: int) -> NDArray[np.uint32]:
    return _mixed(np.arange(1, width + 1, dtype=np.uint32) * np.uint32(0x9E3779B9))


def _words(cells: NDArray[Any]) -> NDArray[np.uint32]:
    """The bits of values, folded to 32; 0 and −0 are one value."""
    if cells.dtype.kind == "f":
        cells = (cells.astype(np.float32) if cells.dtype.itemsize == 2 else cells) + cells.dtype.type(0)
        words = np.ascontiguousarray(cells).view(f"u{cells.dtype.itemsize}")
    else:
        words = cells.astype(np.uint64 if cells.dtype.itemsize == 8 else np.uint32)
    if words.dtype == np.uint64:
        words = (words ^ words >> np.uint64(32)) * np.uint64(0x9E3779B97F4A7C15) >> np.uint64(32)
    return words.astype(np.uint32)


def _mixed(words: NDArray[np.uint32]) -> NDArray[np.uint32]:
    """Words of which every bit depends on every bit of the word before."""
    words ^= words >> np.uint32(16)
    words *= np.uint32(0x7FEB352D)
    words ^= words >> np.uint32(15)
    words *= np.uint32(0x846CA68B)
    words ^= words >> np.uint32(16)
    return words

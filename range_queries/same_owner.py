"""Same owner: was the model trained on anything of this owner, asked through other records of theirs?"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from privacy_callbacks.attacks.record_arrays import Records, records_from

from .base_range import Pairs, Range, RangeRecords, check_queries
from .equal_join import equal_entries
from .seeded_draws import whole_numbers
from .table_columns import as_text


@dataclass(frozen=True, eq=False)
class SameOwner(Range):
    """Records of the same owner, taken from those that were held out: neither trained on nor audited themselves.

    An owner with no more of them than are asked for has each asked in turn; of others a choice without repetition is drawn
    for each audited record anew, so that two records of one owner need not get the same.

    Truth: a training record lies in the range if it has the same owner, whatever its inputs and label.

    Args:
      x, y: the held-out records, as `fit` takes them; inputs may be ragged.
      owners: [m], whose they are: strings or whole numbers.
      weights: sample weights of theirs, if there are any.
    Raises:
      ValueError: on owners that are neither, or not one a record.
    Source: Tao and Shokri 2025, arXiv:2408.05131.
    """

    x: Any
    y: Any
    owners: Any
    weights: Any = ()
    kind = "same owner"
    asks_labels = False
    holds_centre = False
    others: Records = field(init=False, repr=False)
    _known: NDArray[Any] = field(init=False, repr=False)
    _rows: NDArray[np.int64] = field(init=False, repr=False)
    _starts: NDArray[np.int64] = field(init=False, repr=False)
    _centres: NDArray[np.int64] | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        weights = None if isinstance(self.weights, tuple) and not self.weights else self.weights
        others = records_from(self.x, self.y, weights, "SameOwner")
        owners = _ids(self.owners, "owners")
        if len(owners) != len(others):
            raise ValueError(f"there are {len(others)} held-out records and {len(owners)} owners; give one a record.")
        known, which = np.unique(owners, return_inverse=True)
        starts = np.concatenate([[0], np.cumsum(np.bincount(which, minlength=len(known)))])
        derived = {"x": others.x, "y": others.y, "weights": others.weights, "owners": owners, "others": others}
        derived |= {"_known": known, "_rows": np.argsort(which, kind="stable").astype(np.int64), "_starts": starts}
        for name, value in derived.items():
            object.__setattr__(self, name, value)

    def at(self, centres: RangeRecords) -> SameOwner:
        """The range with the owners of the audited records (`centres.ids`).

        Raises:
          ValueError: if there are none, or an owner has no held-out record.
        """
        bound = copy.copy(self)
        object.__setattr__(bound, "_centres", self._owner_of(_needed(centres, "audited records")))
        return bound

    def draw(self, x: Any, q: int, index: Any, seed: int, first: Any = 0) -> Any:
        """Never: points of this range are records of `others`, see `chosen`."""
        raise ValueError(
            "the points of SameOwner are held-out records, not made from x; take rows of `others` by `chosen`."
        )

    def chosen(self, centres: RangeRecords, q: int, seed: int) -> NDArray[np.int64]:
        """int64[n, q]: rows of `others` with the owner of each audited record."""
        check_queries(q)
        owner = self._owner_of(_needed(centres, "audited records"))
        counts = np.diff(self._starts)[owner]
        numbers = np.arange(q) % counts[:, None]
        many = np.flatnonzero(counts > q)
        if len(many):
            numbers[many] = _without_repetition(counts, q, seed)[many]
        return self._rows[self._starts[owner][:, None] + numbers]

    def sizes(self, x: Any, q: int) -> NDArray[np.int64]:
        """int64[n]: how many of q points differ; of the audited records that `at` was given, else of owners x."""
        owner = self._owner_of(_ids(x, "owners")) if self._centres is None else self._centres
        return np.minimum(np.diff(self._starts)[owner], q).astype(np.int64)

    def pairs(self, x: Any, training: Any) -> Iterator[Pairs]:
        """Audited and training records of the same owner.

        Args:
          x, training: their owners, [n] and [t].
        """
        ours, theirs = _ids(x, "owners of audited records"), _ids(training, "owners of training records")
        _check_one_kind(ours, theirs, "training records")
        order = np.argsort(ours, kind="stable").astype(np.int64)
        for rows, hits in equal_entries(ours[order], theirs):
            yield Pairs(order[rows], hits, np.ones(len(rows), bool))

    def related(self, centres: RangeRecords, training: RangeRecords) -> Iterator[Pairs]:
        """As `pairs`, by the ids of both; inputs and labels do not count."""
        yield from self.pairs(_needed(centres, "audited records"), _needed(training, "training records"))

    def sample(self, x: Any, q: int, seed: int = 0) -> Any:
        """Held-out records of owners.

        Args:
          x: the owners, [n].
          q: how many records an owner, at least 1.
          seed: decides which, for owners with more.
        Returns:
          Inputs [n, q, ...]; an owner with fewer has them repeated in turn.
        """
        if tf.is_tensor(x) and not hasattr(x, "numpy"):
            raise ValueError("owners are a tensor in a graph; give an array of them, and take the records before.")
        rows = self.chosen(RangeRecords((), ids=np.asarray(x)), q, seed)
        return tf.nest.map_structure(lambda leaf: leaf[rows], self.others.x)

    def contains(self, x: Any, training_records: Any) -> NDArray[np.bool_]:
        """bool[n]: is there a training record of each of these owners?

        Args:
          x: owners, [n].
          training_records: the owners of training records, [t].
        """
        ours, theirs = _ids(x, "owners"), _ids(training_records, "owners of training records")
        _check_one_kind(ours, theirs, "training records")
        return np.isin(ours, theirs)

    def _owner_of(self, ids: NDArray[Any]) -> NDArray[np.int64]:
        _check_one_kind(self._known, ids, "audited records")
        found = np.minimum(np.searchsorted(self._known, ids), len(self._known) - 1)
        if (unknown := self._known[found] != ids).any():
            names = np.unique(ids[unknown])
            told = ", ".join(repr(name) for name in names[:3].tolist()) + ", …" * (len(names) > 3)
            raise ValueError(
                f"{len(names)} owners of audited records have no held-out record ({told}); give some of theirs, or leave "
                "these owners out of the audit."
            )
        return found


def _without_repetition(counts: NDArray[np.int64], q: int, seed: int) -> NDArray[np.int64]:
    """int64[n, q], for each row q different numbers below its count, all sets of them equally likely; count > q."""
    # Floyd's method: the j-th number is drawn below count − q + j + 1; one that is there already becomes the largest.
    tops = np.maximum(counts[:, None] - q + np.arange(q), 0)
    drawn = whole_numbers(tf.constant(tops + 1), (q,), seed, 0, len(counts)).numpy()
    for step in range(1, q):
        taken = (drawn[:, :step] == drawn[:, step : step + 1]).any(axis=1)
        drawn[taken, step] = tops[taken, step]
    return drawn


def _needed(records: RangeRecords, what: str) -> NDArray[Any]:
    if records.ids is None:
        raise ValueError(f"SameOwner asks for owners, but {what} have no ids; give them, one a record.")
    return _ids(records.ids, f"ids of {what}")


def _ids(given: Any, what: str) -> NDArray[Any]:
    """Owners as an array of str or of whole numbers."""
    array = np.asarray(given)
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    if array.ndim != 1:
        raise ValueError(f"{what} have shape {array.shape}; give one a record, [n].")
    if array.dtype == object and all(isinstance(one, (int, np.integer)) for one in array) and len(array):
        array = array.astype(np.int64)
    if array.dtype.kind in "iu":
        return array
    if array.dtype.kind not in "SUO" or (
        array.dtype == object and not all(isinstance(one, (str, bytes)) for one in array)
    ):
        held = sorted({type(one).__name__ for one in array[:1_000].tolist()})
        raise ValueError(f"{what} are of type {', '.join(held)}; give strings or whole numbers.")
    return as_text(array)


def _check_one_kind(ours: NDArray[Any], theirs: NDArray[Any], what: str) -> None:
    if len(ours) and len(theirs) and (ours.dtype.kind == "U") != (theirs.dtype.kind == "U"):
        raise ValueError(
            f"owners of {what} are {'strings' if theirs.dtype.kind == 'U' else 'numbers'}, others "
            f"{'strings' if ours.dtype.kind == 'U' else 'numbers'}; give one kind, or none would be equal."
        )

"""Partial records: the range of all records that agree with what is known of one.

Truth: a training record lies in the range if it agrees on every observed column, whatever its other columns hold, even a
value that `values` does not list: the attacker's idea of what is possible decides what is asked, never what is true.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from .base_range import Pairs, Range, RangeRecords
from .column_laws import Law, LawTable, uniform_law
from .content_digest import content_digest
from .drawn_cells import CELLS, LABELS, PointPlace, counted_cells, guessed_cells, random_cells, with_cells
from .feature_mask import check_columns, check_observed, observed_in, read_mask
from .imputers import ColumnImputer, Nearest, RecordImputer, imputer_from
from .missing_slots import Query, Slots, chosen_slots, packed, place_values, slots_among
from .observed_join import agreeing_pairs
from .reference_records import check_given, check_like_queries, check_reference
from .table_columns import Categorical, Numeric, Schema, check_fits, schema_from
from .tables import check_alike, column, num_rows, type_of, types_of

__all__ = ["Categorical", "MissingFeatures", "Numeric"]

_LARGEST_STEP = 1 << 31
_BIND = (
    "{} needs to know all queries, here there is a batch of them; bind the range with arrays first: "
    "range.at(RangeRecords(x))."
)


@dataclass(frozen=True, eq=False)
class MissingFeatures(Range):
    """Queries of which some columns are unknown, in a table [n, d] or a dict of columns {name: [n] or [n, 1]}.

    What x holds in a missing column is never read. If all that a record may be is no more than q points it is enumerated,
    the last column fastest (a missing label faster still); otherwise points are drawn by the imputer, and a missing label is
    uniform. A record that misses nothing is a range of one point.

    Args:
      mask: True = missing; bool[d] for all records or bool[n, d], a row for each. For a dict of columns: names, or a dict of
        masks, True or bool[n]. Or a function of the queries that gives one of these, e.g. `MissingAtRandom(10)`: it need not be
        known beforehand which records an audit draws.
      values: what missing columns may hold: values for all of them ([0, 1]), or a list (dict) with those of each column.
      columns: or a schema: a list (dict) with a `Categorical`, a `Numeric` or a list of values for each column, None for one
        that never misses.
      imputer: "uniform" over the values, "marginal" (frequencies in the reference), "knn" (the values of one of the 5 nearest
        reference records; another number: `imputers.Nearest`), or a fitted model that samples, see `imputers.Conditional`.
      reference: records like x that the attacker holds, complete; never the training set, which would be to know the answer.
      labels: labels [k] or one-hot [k, c], if the label is missing, too.
    Raises:
      ValueError: on a mask, values, a reference or labels that do not fit each other.
    Source: Tao and Shokri 2025, arXiv:2408.05131 (there with a mask for all records and values of 0 and 1).
    """

    mask: Any
    values: Any = None
    columns: Any = None
    imputer: Any = "uniform"
    reference: Any = field(default=None, repr=False)
    labels: Any = None
    kind = "missing features"
    holds_centre = False
    asks_labels: bool = field(default=True, init=False)
    label_values: Any = field(default=None, init=False, repr=False)
    _schema: Schema = field(init=False, repr=False)
    _laws: dict[Any, Law] = field(init=False, repr=False)
    _missing: _Missing = field(init=False, repr=False)
    _bound: _Bound | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if callable(self.mask):
            labels = None if self.labels is None else _read_labels(self.labels)
            object.__setattr__(self, "label_values", labels)
            object.__setattr__(self, "asks_labels", labels is None)
            return
        mask, keys, missing = read_mask(self.mask)
        width = None if isinstance(mask, Mapping) else mask.shape[-1]
        schema = schema_from(self.values, self.columns, width)
        imputer = imputer_from(self.imputer)
        reference = None if self.reference is None else tf.nest.map_structure(np.asarray, self.reference)
        if reference is not None:
            check_reference(reference, keys, width, schema)
        if isinstance(imputer, Nearest):
            check_given(reference, "knn")
        laws = imputer.laws(keys, schema, reference) if isinstance(imputer, ColumnImputer) else {}
        labels = None if self.labels is None else _read_labels(self.labels)
        derived = {"mask": mask, "imputer": imputer, "reference": reference, "labels": labels, "label_values": labels}
        derived |= {"_schema": schema, "_laws": laws, "asks_labels": labels is None}
        derived["_missing"] = _Missing.of(keys, missing, schema, 1 if labels is None else len(labels))
        for name, value in derived.items():
            object.__setattr__(self, name, value)

    def check(self, x: Any) -> None:
        """Nothing, if mask, values and reference fit these queries, of which nothing observed is NaN."""
        if callable(self.mask):
            self._masked(x).check(x)
            return
        self._check_queries(x)
        if self.reference is not None:
            check_like_queries(self.reference, x, self._missing.keys)

    def _check_queries(self, x: Any) -> None:
        check_observed(x, self.mask, self._schema.named)
        for key in self._missing.keys:
            if (held := self._schema[key]) is not None:
                check_fits(held, key, type_of(column(x, key)))

    def at(self, centres: RangeRecords) -> MissingFeatures:
        """The range with what its imputer finds for these queries."""
        if callable(self.mask):
            return self._masked(centres.x).at(centres)
        self.check(centres.x)
        donors = None
        if isinstance(self.imputer, RecordImputer):
            query = Query(centres.x, observed_in(centres.x, self.mask))
            donors = self.imputer.donors(query, self._missing.by_type(centres.x), self._schema, self.reference)
        bound = copy.copy(self)
        object.__setattr__(bound, "_bound", _Bound(donors))
        return bound

    def draw(self, x: Any, q: int, index: Any, seed: int, first: Any = 0) -> Any:
        """One point of each range; see `Range.draw`."""
        if callable(self.mask):
            raise ValueError(_BIND.format("a mask that is a function"))
        per_record = len(self._missing.slots) > 1
        if self._bound is None and (per_record or isinstance(self.imputer, RecordImputer)):
            what = "a mask a record" if per_record else f"imputer {type(self.imputer).__name__}"
            raise ValueError(_BIND.format(what))
        check_columns(x, self.mask, self._schema.named)
        place = PointPlace(q, index, seed, first, tf.shape(tf.nest.flatten(x)[0])[0])
        groups = self._missing.by_type(x)
        if not isinstance(x, Mapping):
            return self._filled(x, 0, groups[0], groups[0].keys, place) if groups else tf.identity(x)
        points = dict(x)
        for number, slots in enumerate(groups):
            table = tf.concat([tf.reshape(x[key], [-1, 1]) for key in slots.keys], 1)
            table = self._filled(table, number, slots, range(len(slots.keys)), place)
            for key, leaf in zip(slots.keys, tf.unstack(table, num=len(slots.keys), axis=1), strict=True):
                points[key] = tf.reshape(leaf, tf.shape(x[key]))
                points[key].set_shape(x[key].shape)
        return points

    def pairs(self, x: Any, training: Any) -> Iterator[Pairs]:
        """Queries and training records that agree on all observed columns; floats are equal if they are stored as equal.

        Floats of two types are compared in the less precise one; a training record with NaN in an observed column agrees with
        no query.
        """
        if callable(self.mask):
            yield from self._masked(x).pairs(x, training)
            return
        self._check_queries(x)
        check_alike(x, training, "training records")
        yield from agreeing_pairs(x, observed_in(x, self.mask), training)

    def sizes(self, x: Any, q: int) -> NDArray[np.int64] | None:
        """See `Range.sizes`; with "knn", a record's range is what its neighbours hold, if these are no more than q."""
        if callable(self.mask):
            return self._masked(x).sizes(x, q)
        counted, guesses = self._missing.space <= q, self._asked_in_turn(q)
        if not counted.any() and not guesses:
            return None
        found = np.where(counted, self._missing.space, guesses or q).astype(np.int64)
        return np.broadcast_to(found, num_rows(x)).copy() if len(found) == 1 else found

    def label_index(self, q: int, index: Any, seed: int, rows: Any, first: Any = 0) -> Any:
        """int64[rows], which of `labels` a point has: in turn where the range is enumerated, else at random."""
        place = PointPlace(q, index, seed, first, rows)
        counted = (self._missing.space <= q) | (self._asked_in_turn(q) > 0)
        in_turn = place.in_turn(self._missing.labels)
        if counted.all():
            return in_turn
        return tf.where(place.of(counted), in_turn, place.drawn(self._missing.labels, (), LABELS))

    @property
    def digest(self) -> str:
        """Equal for ranges that are equal in content, in whichever form values were given."""
        told = {name: value for name, value in vars(self).items() if name not in ("values", "columns")}
        return content_digest(type(self).__qualname__, told)

    def _masked(self, x: Any) -> MissingFeatures:
        """The range with the mask that the function gives for these queries."""
        assert callable(self.mask)
        return replace(self, mask=self.mask(x))

    def _asked_in_turn(self, q: int) -> int:
        """How many points ask each guess of the imputer with each label, one after the other; 0 if q are fewer."""
        if not (isinstance(self.imputer, RecordImputer) and self.imputer.in_turn):
            return 0
        count = self.imputer.guesses * self._missing.labels
        return count if count <= q else 0

    def _filled(self, table: Any, number: int, slots: Slots, columns: Any, place: PointPlace) -> Any:
        cells = self._cells(number, slots, place, table.dtype)
        return with_cells(table, cells, slots, np.array(columns, np.int32), place)

    def _cells(self, number: int, slots: Slots, place: PointPlace, dtype: Any) -> Any:
        """[rows, k], what stands in the missing places of each record; `number` tells types of columns apart."""
        counted, in_order = self._missing.space <= place.q, None
        if counted.any():
            held = {key: self._schema[key] for key in slots.keys}
            alike = {key: None if one is None else uniform_law(one) for key, one in held.items()}
            in_order = counted_cells(LawTable.of(slots, alike), self._missing.steps(slots), place, dtype)
            if counted.all():
                return in_order
        if self._bound is not None and self._bound.donors is not None:
            guesses, labels = self._bound.donors[number], self._missing.labels
            drawn = guessed_cells(guesses, labels, self.imputer.in_turn, place, dtype)
        else:
            laws = LawTable.of(slots, self._laws)
            drawn = random_cells(laws, slots.chosen.shape[1], CELLS + number, place, dtype)
        return drawn if in_order is None else tf.where(place.of(counted)[:, None], in_order, drawn)


class _Bound(NamedTuple):
    """What `at` found: for each type of column the guesses [n, c, k], if the imputer gives any."""

    donors: list[NDArray[Any]] | None


class _Missing(NamedTuple):
    """Who misses what.

    Attributes:
      keys: the m columns that any record misses.
      slots: int32[n, k] or int32[1, k], as `Slots.chosen`.
      places: float64[n, k], what a step of each slot counts in the number of a point.
      space: float64[n], how many points a range has; infinite where that is unknown.
      labels: how many the label may be.
    """

    keys: list[Any]
    slots: NDArray[np.int32]
    places: NDArray[np.float64]
    space: NDArray[np.float64]
    labels: int

    @classmethod
    def of(cls, keys: list[Any], missing: NDArray[np.bool_], schema: Schema, labels: int) -> _Missing:
        """From bool[n, m]."""
        sizes = [np.inf if (held := schema[key]) is None else held.size for key in keys]
        slots = chosen_slots(missing)
        return cls(keys, slots, *place_values(slots, sizes, labels), labels)

    def by_type(self, x: Any) -> list[Slots]:
        """The slots of columns of each type, of arrays or tensors."""
        if not isinstance(x, Mapping):
            return [Slots(type_of(x), self.keys, self.slots)] if self.keys else []
        types = types_of({key: x[key] for key in self.keys})
        return [Slots(kind, keys, self._among(keys)[0]) for kind, keys in types.items()]

    def steps(self, slots: Slots) -> NDArray[np.int64]:
        """int64[n, k], the places of these slots; see `counted_cells`."""
        # Larger ones are of ranges that are not enumerated.
        small = np.where(self.places < _LARGEST_STEP, self.places, 1).astype(np.int64)
        return packed(small, self._among(slots.keys)[1], 1)

    def _among(self, keys: list[Any]) -> tuple[NDArray[np.int32], NDArray[np.bool_]]:
        return slots_among(self.slots, [self.keys.index(key) for key in keys], len(self.keys))


def _read_labels(given: Any) -> NDArray[Any]:
    labels = np.array(given)
    if labels.ndim not in (1, 2) or not len(labels):
        raise ValueError(f"labels have shape {labels.shape}; give the k values of a label, [k] or one-hot [k, c].")
    if len(np.unique(labels, axis=0)) < len(labels):
        raise ValueError("labels repeat; give each value that a label may have once.")
    return labels

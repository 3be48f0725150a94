"""The points of a range as queries of an audit, and the truth about them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from privacy_callbacks.attacks.record_arrays import Records, as_arrays, resident
from privacy_callbacks.attacks.seeded_stream import seeded_stream
from privacy_callbacks.attacks.true_membership import Pairs

from .base_range import Range, RangeRecords
from .content_digest import content_digest

# A range with more points is not enumerated for centres.
_MOST_VARIATIONS = 64


class RangePoints:
    """What is asked of a model: q points of each record's range, each by every query of the attack within.

    Point i and query j of k stand at i·k + j; see `PointQueries`.

    Args:
      bound: the range, told the centres.
      centres: of all ranges.
      q: points a range.
      seed: decides them.
      moved: True if the centres are not the audited records themselves.
      inner: queries of the attack within; none = the points as they are.
      alone: True to ask about the centres, not about points around them.
    """

    def __init__(
        self,
        bound: Range,
        centres: RangeRecords,
        q: int,
        seed: int,
        moved: bool = False,
        inner: tuple[Callable[[Any], Any], ...] = (),
        alone: bool = False,
    ) -> None:
        self._range, self._q, self._seed, self._inner, self._alone = bound, q, seed, inner, alone
        self._centres = centres.x if moved else None
        self._resident: Any = None
        self._each = max(1, len(inner))
        sizes = None if alone else bound.sizes(centres.x, q)
        most = q if sizes is None else min(q, int(np.max(sizes)))  # points that no range has need not be asked
        self.width = most * self._each
        self.counts = None if sizes is None else np.minimum(np.asarray(sizes, np.int64), q) * self._each
        self.others: Records | None = None if alone else bound.others
        rows = None if self.others is None else bound.chosen(centres, q, seed)
        self.chosen = None if rows is None else np.repeat(np.asarray(rows, np.int64)[:, :most], self._each, axis=1)
        self.label_values = bound.label_values
        self.digest = content_digest(bound.digest, q, seed, self._centres, self.chosen, inner, alone)

    def __call__(self, x: Any, index: Any, first: Any) -> Any:
        """One query of each record from row `first` on; of points that are `others`, these are given as x."""
        point, which = index // self._each, index % self._each
        if self._centres is not None:
            x = tf.nest.map_structure(partial(_rows, like=x, first=first), self._moved())
        given = self._alone or self.others is not None
        made = x if given else self._range.draw(x, self._q, point, self._seed, first)
        if not self._inner:
            return made
        if self._each == 1:
            return self._inner[0](made)
        return tf.switch_case(which, [lambda ask=ask: _tensors(ask(made)) for ask in self._inner])

    def _moved(self) -> Any:
        """The centres as tensors outside of any graph, which hold no more than two gigabytes."""
        if self._resident is None:
            with tf.init_scope():
                self._resident = resident(self._centres)
        return self._resident

    def label_index(self, index: Any, rows: Any, first: Any) -> Any:
        """int64[rows], which of `label_values` it asks."""
        return self._range.label_index(self._q, index // self._each, self._seed, rows, first)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RangePoints) and other.digest == self.digest

    def __hash__(self) -> int:
        return hash(self.digest)


class RangeRelation:
    """Which records lie within the ranges around certain centres; see `Relation`."""

    def __init__(self, bound: Range, centres: RangeRecords) -> None:
        self._range, self._centres = bound, centres
        self.centres = Records(centres.x, centres.y) if bound.holds_centre else None
        self.others = bound.others
        owners = centres.ids if bound.others is not None else None
        self.shared = owners is not None and len(np.unique(np.asarray(owners).astype(str))) < len(owners)
        self._digest = content_digest(bound.digest, centres.x, centres.y, centres.ids)

    def pairs(self, records: Records, ids: NDArray[Any] | None) -> Iterator[Pairs]:
        """Of these records; see `Range.related`."""
        return self._range.related(self._centres, RangeRecords(records.x, records.y, ids))

    def __eq__(self, other: object) -> bool:
        return isinstance(other, RangeRelation) and other._digest == self._digest

    def __hash__(self) -> int:
        return hash(self._digest)


def moved_centres(centres: RangeRecords, moving: Range, seed: int) -> RangeRecords:
    """One point of each record's range, as a centre of its own; labels and ids are the record's."""
    count = len(tf.nest.flatten(centres.x)[0])
    sizes = moving.sizes(centres.x, _MOST_VARIATIONS)
    # Of a range that is enumerated each record takes a place of its own: one draw may be the same for all.
    q = 1 if sizes is None else int(np.max(sizes))
    chosen = np.zeros(count, int) if sizes is None else seeded_stream("range centres", seed).integers(0, sizes)
    found = tf.nest.map_structure(np.array, centres.x)
    for index in np.unique(chosen):
        points = as_arrays(moving.draw(resident(centres.x), q, int(index), seed))
        rows = chosen == index
        for leaf, drawn in zip(tf.nest.flatten(found), tf.nest.flatten(points), strict=True):
            leaf[rows] = drawn[rows]
    return centres._replace(x=found)


def _rows(table: Any, like: Any, first: Any) -> Any:
    """As many rows of the table as a batch has, from `first` on; a batch that was filled up has more than there are."""
    rows = first + tf.range(tf.shape(tf.nest.flatten(like)[0])[0])
    return tf.gather(table, tf.minimum(rows, int(tf.nest.flatten(table)[0].shape[0]) - 1))


def _tensors(nest: Any) -> Any:
    return tf.nest.map_structure(tf.convert_to_tensor, nest)

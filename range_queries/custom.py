"""A range from a user's function."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import tensorflow as tf

from .base_range import Pairs, Range, RangeRecords
from .content_digest import content_digest
from .equal_records import KeyIndex, Keys, Leaves, alike, blocks, compared, equal_pairs, flat, keys_of

_QUERY_ROWS, _TRAINING_ROWS = 256, 2048
_ROUNDING = 1e-5


@dataclass(frozen=True, eq=False, init=False)
class Custom(Range):
    """The points that a function makes of a record.

    Args:
      sample: (x, index, seed) -> x', of TensorFlow operations: a nest of tensors [n, ...] to one of the same structure, shapes
        and types, the point number `index` (a number or a scalar tensor) of each record. It must treat each record by itself.
        One that draws for each record apart takes `first`, too, the row at which x begins: see `seeded_draws`.
      contains: (x, training) -> bool[n, t], of nests of arrays (parts of all), which training records lie in which range;
        "exact" = those equal to the query or to one of its first `points` points of `seed`; None = the truth is not known.
      name: what reports call such ranges.
      host: True if `sample` is (x, q, seed) -> x' [n, q, ...] of NumPy arrays. It is asked once about all queries, and all points
        are kept: memory n·q records. The range must be bound (`at`, or `sample` of arrays).
      points, seed: of "exact": those that the attack asks with.
    Raises:
      TypeError: if `sample` is no function.
      ValueError: on arguments out of range.
    """

    kind: str
    function: Callable[..., Any]
    truth: Any
    host: bool
    points: int
    seed: int

    def __init__(
        self,
        sample: Callable[..., Any],
        contains: Callable[[Any, Any], Any] | str | None = None,
        name: str = "custom",
        host: bool = False,
        points: int = 16,
        seed: int = 0,
    ) -> None:
        if not callable(sample):
            raise TypeError(f"sample is {sample!r}; give a function (x, index, seed) -> x'.")
        if not (contains is None or contains == "exact" or callable(contains)):
            raise ValueError(f"contains is {contains!r}; give a function (x, training) -> bool[n, t], 'exact' or None.")
        if not isinstance(name, str) or not name:
            raise ValueError(f"name is {name!r}; give what reports shall call such ranges.")
        if not all(isinstance(one, (int, np.integer)) for one in (points, seed)) or points < 1 or seed < 0:
            raise ValueError(f"points is {points!r} and seed {seed!r}; give whole numbers, at least 1 and 0.")
        settings = (name, sample, contains, bool(host), int(points), int(seed))
        for field, value in zip(fields(self), settings, strict=True):
            object.__setattr__(self, field.name, value)
        self._keep(None)

    @property
    def digest(self) -> str:
        """See `Range.digest`; of the settings alone."""
        return content_digest(type(self).__qualname__, {one.name: getattr(self, one.name) for one in fields(self)})

    def draw(self, x: Any, q: int, index: Any, seed: int, first: Any = 0) -> Any:
        """See `Range.draw`."""
        if not self.host:
            takes_first = "first" in inspect.signature(self.function).parameters
            made = self.function(x, index, seed, **({"first": first} if takes_first else {}))
            return _like(made, x)
        rows = tf.shape(tf.nest.flatten(x)[0])[0]

        def looked_up(table: Any) -> Any:
            own = tf.minimum(first + tf.range(rows), tf.shape(table)[0] - 1)
            return tf.gather_nd(table, tf.stack([own, tf.fill([rows], tf.cast(index, tf.int32))], axis=1))

        return _like(tf.nest.map_structure(looked_up, self._made(q, seed)), x)

    def check(self, x: Any) -> None:
        """Tries a function of TensorFlow operations on two records.

        Raises:
          ValueError: if it fails, changes structure, shape or type, gives something else when asked again, or depends on what
            stands beside a record.
        """
        if self.host:
            return
        few = tf.nest.map_structure(lambda leaf: tf.convert_to_tensor(leaf[:2]), x)
        try:
            made = self.draw(few, 1, 0, 0)
        except Exception as reason:
            said = " ".join(str(reason).split())[:300]
            raise ValueError(
                f"sample cannot be used on these inputs: {type(reason).__name__}: {said}; it is a function (x, index, seed) -> "
                "x' of TensorFlow operations (or NumPy's with host=True)."
            ) from reason
        if not _close(made, self.draw(few, 1, 0, 0), 0.0):
            raise ValueError("sample gives something else when it is asked again; draw from its seed and index.")
        last = tf.nest.map_structure(lambda leaf: leaf[-1:], (few, made))
        if not _close(last[1], self.draw(last[0], 1, 0, 0, first=len(tf.nest.flatten(few)[0]) - 1), _ROUNDING):
            raise ValueError(
                "sample gives a record another point when it stands beside others; draw by row with an argument first, see "
                "seeded_draws, or the same for all records."
            )

    def at(self, centres: RangeRecords) -> Custom:
        """A copy that knows the queries, for `host` and "exact"."""
        self.check(centres.x)
        bound = object.__new__(type(self))
        for one in fields(self):
            object.__setattr__(bound, one.name, getattr(self, one.name))
        bound._keep(centres.x)
        return bound

    def pairs(self, x: Any, training: Any) -> Iterator[Pairs]:
        """See the class.

        Raises:
          ValueError: if the truth is not known, or `contains` returns something else.
        """
        if self.truth is None:
            raise ValueError(
                f"which training records lie in a range of {self.kind!r} is not known; give Custom(contains=): a function "
                "(x, training) -> bool[n, t], or 'exact'."
            )
        return self._equal_to_points(x, training) if self.truth == "exact" else self._by_function(x, training)

    def _by_function(self, x: Any, training: Any) -> Iterator[Pairs]:
        for start in range(0, _count(training), _TRAINING_ROWS):
            some = _part(training, start, _TRAINING_ROWS)
            for first in range(0, _count(x), _QUERY_ROWS):
                few = _part(x, first, _QUERY_ROWS)
                inside = np.asarray(self.truth(few, some))
                wanted = (_count(few), _count(some))
                if inside.shape != wanted or inside.dtype != bool:
                    raise ValueError(
                        f"contains returned {inside.dtype}{list(inside.shape)} for {wanted[0]} queries and {wanted[1]} training "
                        f"records; return bool{list(wanted)}."
                    )
                rows, hits = np.nonzero(inside)
                yield Pairs(rows + first, hits + start, np.ones(len(rows), bool))

    def _equal_to_points(self, x: Any, training: Any) -> Iterator[Pairs]:
        """Pairs of equal records; one pair may come several times."""
        yield from equal_pairs(x, training)
        records = alike(training, x)
        exact = [0.0] * len(records)
        index = KeyIndex(keys_of(records, exact))
        for number, keys in enumerate(self._keys_of_points(x, exact)):
            for part in blocks(flat(x), _count(x)):
                wanted = keys.take(part)
                near = list(index.near(wanted))
                if not any(len(rows) for rows, _ in near):
                    continue
                points = self._points(x, part, number)
                for rows, hits in near:
                    for some in blocks(points, len(rows)):
                        left, right = (
                            [leaf[at[some]] for leaf in side] for side, at in ((points, rows), (records, hits))
                        )
                        within, _ = compared(left, right, exact)
                        yield Pairs(
                            rows[some][within] + part.start, hits[some][within], np.ones(int(within.sum()), bool)
                        )

    def _keys_of_points(self, x: Any, exact: list[float]) -> list[Keys]:
        centres, kept = vars(self)["_bound"]
        if x is centres and "keys" in kept:
            return kept["keys"]
        parts = list(blocks(flat(x), _count(x)))
        found = []
        for number in range(self.points):
            each = [keys_of(self._points(x, part, number), exact) for part in parts]
            found.append(
                Keys(np.concatenate([one.hashes for one in each]), np.concatenate([one.sums for one in each]), 0.0)
            )
        if x is centres:
            kept["keys"] = found
        return found

    def _points(self, x: Any, part: slice, number: int) -> Leaves:
        some = tf.nest.map_structure(lambda leaf: tf.convert_to_tensor(leaf[part]), x)
        made = self.draw(some, self.points, number, self.seed, first=part.start)
        return flat(tf.nest.map_structure(lambda leaf: leaf.numpy(), made))

    def _made(self, q: int, seed: int) -> Any:
        """All points of all queries, a nest of tensors [n, q, ...], outside of any graph."""
        centres, kept = vars(self)["_bound"]
        if centres is None:
            raise ValueError(
                "host=True makes points of all queries at once; bind the range: range.at(RangeRecords(x))."
            )
        if (q, seed) not in kept:
            with tf.init_scope():
                made = self.function(tf.nest.map_structure(np.copy, centres), q, seed)
                tf.nest.assert_same_structure(made, centres)
                for leaf, centre in zip(tf.nest.flatten(made), tf.nest.flatten(centres), strict=True):
                    wanted = (len(centre), q, *centre.shape[1:])
                    same = np.asarray(leaf).dtype == centre.dtype or centre.dtype.kind in "OSU"
                    if np.shape(leaf) != wanted or not same:
                        raise ValueError(
                            f"sample returned {np.asarray(leaf).dtype}{list(np.shape(leaf))} for {q} points of "
                            f"{centre.dtype}{list(centre.shape)}; return {centre.dtype}{list(wanted)}."
                        )
                kept[q, seed] = tf.nest.map_structure(tf.convert_to_tensor, made)
        return kept[q, seed]

    def _keep(self, centres: Any) -> None:
        object.__setattr__(self, "_bound", (centres, {}))


def _like(made: Any, x: Any) -> Any:
    """The nest, if it has the structure, shapes and types of x."""
    tf.nest.assert_same_structure(made, x)
    found = []
    for leaf, given in zip(tf.nest.flatten(made), tf.nest.flatten(x), strict=True):
        leaf = tf.convert_to_tensor(leaf)
        if leaf.dtype != given.dtype:
            raise ValueError(f"made {leaf.dtype.name} of {given.dtype.name}")
        found.append(tf.ensure_shape(leaf, given.shape))
    return tf.nest.pack_sequence_as(x, found)


def _close(left: Any, right: Any, share: float) -> bool:
    """Equal up to this share of the largest value: products of matrices are added up in another order in other batches."""
    for one, other in zip(tf.nest.flatten(left), tf.nest.flatten(right), strict=True):
        one, other = one.numpy(), other.numpy()
        if one.dtype.kind != "f":
            if not np.array_equal(one, other):
                return False
        elif not np.allclose(one, other, rtol=0, atol=share * float(np.abs(one).max(initial=0)), equal_nan=True):
            return False
    return True


def _count(x: Any) -> int:
    return len(tf.nest.flatten(x)[0])


def _part(x: Any, start: int, rows: int) -> Any:
    return tf.nest.map_structure(lambda leaf: leaf[start : start + rows], x)

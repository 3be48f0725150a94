"""Ranges of records that are close to a query: a ball around it, of the ℓ1, ℓ2 or ℓ∞ norm or of a number of changed columns.

Truth: a training record lies in the range if it is no further from the query than the radius, by the values as given, whatever
`domain` and `values` say; these decide what is asked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from .ball_draws import in_ball
from .base_range import Pairs, Range
from .column_values import check_held, checked_values, choices
from .domain_limits import checked_domain
from .equal_records import compared, flat
from .hamming_draws import drawn_record, listed_record, records_within
from .nearest_record import pairs_within
from .norm_and_radius import NORM_NAMES, checked_margin, checked_norm, checked_positive
from .numeric_leaves import NumericLeaves
from .record_columns import Columns

_MARGIN = 0.01


@dataclass(frozen=True, eq=False)
class LpBall(Range):
    """A ball around each query, in all its columns together; points are uniform in it.

    All numbers of a record count as columns, those of several inputs joined: the ball has their number as its dimension. Inputs
    that it does not act on stay as they are, and a training record lies in the ball only if it equals the query there.

    Points of whole numbers are those of float inputs, rounded: each stands for the points less than half a unit from it in each
    column, so it may lie further out than the radius (by ½√d at most for p = 2), and a small radius in many columns changes
    few of them. For p = np.inf they are uniform over the whole numbers within the radius, exactly.

    Points of "hamming" are uniform over all records that differ from the query in at most `radius` columns, itself among
    them; if there are no more than q, they are enumerated, itself first.

    Args:
      radius: above 0, in the inputs' unit; for "hamming" a number of columns.
      p: 1, 2, np.inf (or "inf"), or "hamming".
      domain: (low, high), numbers or arrays that broadcast to a record (for several inputs: numbers, or nests like x; None = no
        limit): the queries lie within, points beyond are clipped. Clipping gathers points on the limits. Inputs of whole numbers,
        and booleans, are clipped to what their type holds in any case (int64 only with a domain).
      margin: a training record at most radius · (1 + margin) away, but not within the radius, is uncertain; by default 0.01,
        for "hamming" 0.
      values: for "hamming", what columns may hold: a number c = 0 … c − 1 in each, or a list with the values of each column;
        None = 0 and 1. Those of the query belong to them.
      leaves: which inputs it acts on: keys of a dict, positions in a tuple or list; None = all, which must be numbers.
      include_centre: True makes the first point the query itself; the others remain as they were.
    Raises:
      ValueError: on a radius or margin out of range, or options that do not fit p.
    """

    radius: float
    p: float | str = 2
    domain: Any = None
    margin: float | None = None
    values: Any = None
    leaves: Sequence[str | int] | None = None
    include_centre: bool = False

    def __post_init__(self) -> None:
        norm = checked_norm(self.p)
        counting = norm == "hamming"
        radius = checked_positive("radius", self.radius)
        if counting and radius != int(radius):
            raise ValueError(f"radius is {self.radius!r}, a number of columns for p='hamming'; give a whole number.")
        if counting and self.domain is not None:
            raise ValueError("domain has no meaning for p='hamming'; say by values= what columns may hold.")
        if not counting and self.values is not None:
            raise ValueError(f"values are for p='hamming', and p is {self.p!r}; leave them out, or give domain=.")
        leaves = (self.leaves,) if isinstance(self.leaves, (str, int)) else self.leaves
        settled = {
            "p": norm,
            "radius": int(radius) if counting else radius,
            "domain": checked_domain(self.domain),
            "margin": checked_margin((0.0 if counting else _MARGIN) if self.margin is None else self.margin),
            "values": checked_values(self.values),
            "leaves": None if leaves is None else tuple(leaves),
        }
        for name, value in settled.items():
            object.__setattr__(self, name, value)

    @property
    def kind(self) -> str:  # type: ignore[override]
        """What reports call it: "l2 ball, radius 0.5"."""
        return f"{NORM_NAMES[self.p]} ball, radius {self.radius:g}"

    def check(self, x: Any) -> None:
        """Nothing, if these queries are finite numbers within `domain`, or hold `values`.

        Raises:
          ValueError: otherwise.
        """
        acted = NumericLeaves(x, self.leaves, self.domain)
        acted.check()
        if self.p == "hamming":
            self._choices(acted.d)
            check_held(Columns(acted.leaves, "x"), self.values)

    def draw(self, x: Any, q: int, index: Any, seed: int, first: Any = 0) -> Any:
        """See `Range.draw`; x may be tensors within a graph, where only types and shapes are checked."""
        acted = NumericLeaves(x, self.leaves, self.domain)
        if self.p == "hamming":
            made = acted.replaced(self._changed(acted.joined(), q, index, seed, first))
        else:
            offsets, length = in_ball(self.p, self.radius, acted.d, seed, index, acted.rows, first)
            made = acted.moved(offsets, length, whole=self.p == np.inf)
        if not self.include_centre:
            return made
        return tf.nest.map_structure(
            lambda here, there: here if there is here else tf.where(tf.equal(index, 0), here, there), x, made
        )

    def pairs(self, x: Any, training: Any) -> Iterator[Pairs]:
        """See `Range.pairs`; beyond the radius, but within the margin, it is uncertain."""
        ours, theirs = NumericLeaves(x, self.leaves, None), NumericLeaves(training, self.leaves, None)
        others = flat(ours.others), flat(theirs.others)
        for found in pairs_within(ours.leaves, theirs.leaves, self.radius, self.p, float(self.margin or 0)):
            if others[0]:
                left, right = [leaf[found.rows] for leaf in others[0]], [leaf[found.hits] for leaf in others[1]]
                equal, _ = compared(left, right, [0.0] * len(left))
                found = Pairs(found.rows[equal], found.hits[equal], found.certain[equal])
            yield found

    def sizes(self, x: Any, q: int) -> NDArray[np.int64] | None:
        """For "hamming", how many records lie in the ball, if they are no more than q; see `Range.sizes`."""
        if self.p != "hamming":
            return None
        acted = NumericLeaves(x, self.leaves, None)
        size = records_within(self._choices(acted.d), int(self.radius), q)
        return None if size is None else np.full(len(acted.leaves[0]), size, np.int64)

    def _choices(self, d: int) -> NDArray[np.int64]:
        """int64[d], how many values each column may hold."""
        if self.radius > d:
            raise ValueError(f"radius is {self.radius}, but a record has {d} columns to change; give at most so many.")
        return choices(self.values, d)

    def _changed(self, columns: Any, q: int, index: Any, seed: int, first: Any) -> Any:
        """[n, d], one of the records in each ball."""
        counts, radius = self._choices(columns.shape[1]), int(self.radius)
        if records_within(counts, radius, q) is not None:
            return listed_record(columns, radius, counts, self.values, index)
        return drawn_record(columns, radius, counts, self.values, seed, index, first)

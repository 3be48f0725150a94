"""Ranges by likeness: all records whose embedding is close to that of a query, for reconstructions and near-duplicates."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields, replace
from typing import Any, ClassVar, NamedTuple

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from .ball_draws import directions, shares
from .base_range import Pairs, Range, RangeRecords
from .content_digest import content_digest
from .domain_limits import checked_domain
from .embedded_records import check_embedding, embedded, embedded_batches, refuse_mixing
from .nearest_record import pairs_within
from .norm_and_radius import NORM_NAMES, checked_margin, checked_norm, checked_positive
from .numeric_leaves import NumericLeaves

_HALVINGS = 24
_TRIED = 256  # records from which a scale is chosen
_DOUBLINGS, _BISECTIONS = 60, 12


class _EmbeddedCentres(NamedTuple):
    """Queries that a range is bound to: their inputs, and float[n, k]."""

    leaves: list[Any]
    embeddings: NDArray[Any]


@dataclass(frozen=True, eq=False)
class Near(Range):
    """Records that are embedded close to the query: |embed(x) − embed(z)| ≤ radius.

    Points lie in random directions from the query, at a length that is uniform between 0 and `scale`, and halved until the point
    is in the range, up to 24 times; after that it is the query itself. So points are not uniform in the range, which has no shape
    in input space that could be known. Each point costs two calls of `embed` or more.

    They differ from the query in all inputs that hold numbers, whole numbers being rounded. Others are left alone.

    Args:
      radius: above 0, in units of the embedding.
      embed: a built Keras layer or model, asked in inference mode and left as it is, or a function of a batch (in TensorFlow
        operations, each record by itself); gives [n, ...], whose columns are compared. None = the inputs themselves.
      p: 1, 2 or np.inf, how embeddings are compared.
      scale: length of the first steps, in the inputs' unit; None = chosen from the queries (256 of them at most), such that half
        of the directions lead out of the range within it.
      domain: (low, high), the limits of values; see `LpBall`.
      margin: a training record at most radius · (1 + margin) away, but not within the radius, is uncertain.
    Raises:
      TypeError: if `embed` cannot be called.
      ValueError: on numbers out of range, or an embedding that is not built.
    """

    radius: float
    embed: Callable[[Any], Any] | None = None
    p: float | str = 2
    scale: float | None = None
    domain: Any = None
    margin: float = 0.01

    _centres: ClassVar[_EmbeddedCentres | None] = None

    def __post_init__(self) -> None:
        norm = checked_norm(self.p)
        if norm == "hamming":
            raise ValueError("p is 'hamming'; give 1, 2 or np.inf, or use LpBall(radius, 'hamming').")
        check_embedding(self.embed)
        settled = {
            "p": norm,
            "radius": checked_positive("radius", self.radius),
            "scale": None if self.scale is None else checked_positive("scale", self.scale),
            "domain": checked_domain(self.domain),
            "margin": checked_margin(self.margin),
        }
        for name, value in settled.items():
            object.__setattr__(self, name, value)

    @property
    def kind(self) -> str:  # type: ignore[override]
        """What reports call it: "near in an embedding, l2 radius 0.5"."""
        return (
            f"near{' in an embedding' if self.embed is not None else ''}, {NORM_NAMES[self.p]} radius {self.radius:g}"
        )

    @property
    def digest(self) -> str:
        """See `Range.digest`; of the settings alone."""
        return content_digest(type(self).__qualname__, {one.name: getattr(self, one.name) for one in fields(self)})

    def check(self, x: Any) -> None:
        """Nothing, if these queries are finite numbers within `domain`, and two of them can be embedded.

        Raises:
          ValueError: otherwise.
        """
        if self.embed is None or any(np.asarray(leaf).dtype.kind not in "OSU" for leaf in tf.nest.flatten(x)):
            self._acted(x).check()
        if self.embed is not None:
            list(embedded_batches(self.embed, tf.nest.map_structure(lambda leaf: leaf[:2], x)))
            refuse_mixing(self.embed, x)

    def at(self, centres: RangeRecords) -> Near:
        """The range with a scale and the embeddings of these queries, whose arrays must not change from then on.

        Raises:
          ValueError: if the queries do not fit, or no step leads out of the range, or none stays within.
        """
        self.check(centres.x)
        bound = replace(self, scale=self._chosen_scale(centres.x) if self.scale is None else self.scale)
        if self.embed is not None:
            known = _EmbeddedCentres(tf.nest.flatten(centres.x), bound._embeddings(centres.x))
            object.__setattr__(bound, "_centres", known)
        return bound

    def draw(self, x: Any, q: int, index: Any, seed: int, first: Any = 0) -> Any:
        """See `Range.draw`.

        Raises:
          ValueError: without a scale.
        """
        if self.scale is None:
            raise ValueError(
                "Near has no scale yet, which it takes from all queries; give scale=, or arrays, or bind it by "
                "at(RangeRecords(x))."
            )
        acted = self._acted(x)
        way = directions(acted.d, seed, index, acted.rows, first)
        centre = self._embedded(x)

        def tried(halvings: Any, length: Any, outside: Any) -> tuple[Any, Any, Any]:
            outside = ~(self._distance(self._embedded(acted.moved(way, length)), centre) <= self.radius)
            return halvings + 1, tf.where(outside[:, None], length / 2, length), outside

        _, length, outside = tf.while_loop(
            lambda halvings, _, outside: (halvings <= _HALVINGS) & tf.reduce_any(outside),
            tried,
            (tf.constant(0), shares(seed, index, acted.rows, first) * self.scale, tf.fill([acted.rows], True)),
            (tf.TensorShape([]), tf.TensorShape([None, 1]), tf.TensorShape([None])),
            parallel_iterations=1,
        )
        return acted.moved(way, tf.where(outside[:, None], tf.zeros_like(length), length))

    def pairs(self, x: Any, training: Any) -> Iterator[Pairs]:
        """See `Range.pairs`; beyond the radius, but within the margin, it is uncertain."""
        ours, theirs = tf.nest.flatten(x), tf.nest.flatten(training)
        if not len(ours[0]):
            return
        if self.embed is not None:
            ours, theirs = self._embeddings(x), embedded_batches(self.embed, training)
        yield from pairs_within(ours, theirs, self.radius, self.p, self.margin)

    def _acted(self, x: Any) -> NumericLeaves:
        return NumericLeaves(x, None, self.domain, skip=self.embed is not None)

    def _embeddings(self, x: Any) -> NDArray[Any]:
        """float[n, k], of a nest of arrays; those of the queries that it is bound to are known."""
        assert self.embed is not None
        known = self._centres
        if known is not None and [*map(id, tf.nest.flatten(x))] == [*map(id, known.leaves)]:
            return known.embeddings
        batches = list(embedded_batches(self.embed, x))
        return np.concatenate(batches) if batches else np.zeros((0, 1))

    def _embedded(self, x: Any) -> Any:
        """float[n, k], of a nest of tensors."""
        if self.embed is not None:
            return embedded(self.embed, x)
        columns = self._acted(x).joined()
        return columns if columns.dtype == tf.float64 else tf.cast(columns, tf.float32)

    def _distance(self, left: Any, right: Any) -> Any:
        """float[n]."""
        if self.p == 2:
            return tf.norm(left - right, axis=1)
        return (tf.reduce_sum if self.p == 1 else tf.reduce_max)(tf.abs(left - right), axis=1)

    def _chosen_scale(self, x: Any) -> float:
        """The length at which half of the steps in random directions lead out of the range."""
        count = len(tf.nest.flatten(x)[0])
        if not count:
            return self.radius
        rows = np.unique(np.linspace(0, count - 1, min(count, _TRIED)).astype(np.int64))
        some = tf.nest.map_structure(lambda leaf: tf.convert_to_tensor(leaf[rows]), x)
        acted, centre = self._acted(some), self._embedded(some)
        way = directions(acted.d, 0, 0, len(rows), 0)

        def stays(length: float) -> bool:
            apart = self._distance(self._embedded(acted.moved(way, length)), centre).numpy()
            return bool(np.mean(apart <= self.radius) >= 0.5)

        return _edge_of(stays, self.radius)


def _edge_of(stays: Callable[[float], bool], radius: float) -> float:
    """The longest length that stays, sought from the radius on."""
    staying = stays(radius)
    near = far = radius
    for _ in range(_DOUBLINGS):
        near, far = far, far * (2 if staying else 0.5)
        if stays(far) != staying:
            break
    else:
        done, change = (" leads out of", "smaller") if staying else (", however short, stays within", "larger")
        raise ValueError(
            f"no step from the records{done} the radius {radius}; give a {change} radius, or scale= for the length of first "
            "steps."
        )
    low, high = sorted((near, far))
    for _ in range(_BISECTIONS):
        middle = (low * high) ** 0.5
        low, high = (middle, high) if stays(middle) else (low, middle)
    return float(low)

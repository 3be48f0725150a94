"""RaMIA, the range membership inference attack: does a range around a query hold a training record?

Points are drawn from the range, scored by any membership inference attack, and reduced to one score a range. The truth is that
of the range, computed from the training records, never taken from where the range was made; see `QueryTruth`.

Done differently from the reference tool, on purpose: reports judge the reduced scores of ranges, not those of their points;
a shadow model is IN for a range if it trained on a record within it; points are drawn from ranges by a seed and known by
content, so that answers to other ranges are never taken for these.

Source: Tao & Shokri 2025, arXiv:2408.05131.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from privacy_callbacks.attacks.attack import (
    Attack,
    AttackContext,
    Examples,
    FittedAttack,
    Signals,
    check_name,
    needs,
)

from .aggregation import trimmed_mean
from .base_range import Range, RangeRecords, check_queries
from .keep_tuning import LEAST_MODELS, tuned_keep
from .points_and_ranges import Aggregate, PointsOfRanges, flat_shadows, reduced
from .range_points import RangePoints, RangeRelation, moved_centres
from .tried_points import notes_on_points, refuse_nonfinite

TUNED = "tuned"


@dataclass(frozen=True)
class RaMIA:
    """A membership inference attack on ranges around the audited records.

    Args:
      attack: scores points: Threshold, LiRA, RMIA or any other that reads answers to a query.
      range: what lies around a record, e.g. `LpBall(0.5)`.
      queries: points drawn from each range; a range that has fewer is enumerated.
      aggregate: float[n, q] -> float[n], e.g. `partial(trimmed_mean, keep=(0.5, 1.0))`, `largest`, `log_mean_exp`; or "tuned":
        the trimmed mean that tells best what shadow models trained on, each in turn the target of the others. The target's
        members have no part in it. It needs an attack with shadow models, at least four.
      centre: a range around each audited record from which the query is drawn that the attacker holds instead of it, so that
        queries are variations of members, not members. None = the audited records themselves.
      seed: decides points and centres.
      name: what to call the attack.
      alone: see `at_centres`.
    Raises:
      TypeError, ValueError: on what is no attack or range, an attack that cannot be asked about points, or q below 1.
    """

    attack: Attack
    range: Range
    queries: int = 16
    aggregate: Aggregate | str = trimmed_mean
    centre: Range | None = None
    seed: int = 0
    name: str = "ramia"
    alone: bool = False

    def __post_init__(self) -> None:
        check_queries(self.queries, "queries")
        check_name(self.name)
        if isinstance(self.attack, type) or not isinstance(self.attack, Attack):
            raise TypeError(f"attack is {self.attack!r}; give an instance such as RMIA() or Threshold('loss').")
        for what, given in (("range", self.range), ("centre", self.centre)):
            if not isinstance(given, Range) and not (what == "centre" and given is None):
                raise TypeError(f"{what} is {given!r}; give a range such as LpBall(0.5) or Transformations().")
        if self.centre is not None and not (self.centre.holds_centre and self.range.holds_centre):
            raise ValueError(
                "centre draws a whole record around each audited one, which this pair of ranges does not have; leave it out."
            )
        wish = needs(self.attack)
        if wish.relation is not None or hasattr(self.attack, "at"):
            raise ValueError(f"attack {self.attack.name!r} makes ranges itself; give the attack within.")
        if wish.course or wish.features:
            raise ValueError(
                f"attack {self.attack.name!r} reads {'the course of training' if wish.course else 'features'} of the audited "
                "records, not answers to queries; give Threshold, LiRA, RMIA or another that reads signals."
            )
        if wish.inputs:
            raise ValueError(
                f"attack {self.attack.name!r} reads the audited records themselves, and points of a range are others; give one "
                "that reads signals."
            )
        if not callable(self.aggregate) and self.aggregate != TUNED:
            raise ValueError(f"aggregate is {self.aggregate!r}; give a function float[n, q] -> float[n], or 'tuned'.")
        if self.aggregate == TUNED and not wish.shadows:
            raise ValueError(
                f"aggregate='tuned' learns from shadow models, and attack {self.attack.name!r} has none; give a function, e.g. "
                "trimmed_mean."
            )
        if isinstance(self.seed, bool) or not isinstance(self.seed, (int, np.integer)) or not 0 <= self.seed < 2**63:
            raise ValueError(f"seed is {self.seed!r}; give a whole number, at least 0 (and below 2^63).")
        object.__setattr__(self, "queries", int(self.queries))

    @property
    def signals(self) -> tuple[str, ...]:
        """The signals that the attack within reads."""
        return self.attack.signals

    @property
    def needs_shadows(self) -> bool:
        """As the attack within."""
        return needs(self.attack).shadows

    @property
    def least_shadow_models(self) -> int:
        """How many the tuning needs; 0 without."""
        return LEAST_MODELS if self.aggregate == TUNED else 0

    @property
    def needs_population(self) -> bool:
        """As the attack within; the population is asked as it is, without ranges."""
        return needs(self.attack).population

    @property
    def needs_examples(self) -> bool:
        """As the attack within."""
        return needs(self.attack).examples

    @property
    def population_queries(self) -> tuple[Any, ...]:
        """Those of the attack within."""
        return needs(self.attack).queries

    def at_centres(self, name: str | None = None) -> RaMIA:
        """The point attack beside it: asked about the centres alone, with the truth of their ranges.

        Where an attacker holds no whole record (`MissingFeatures`, `SameOwner`), about one point drawn from the range.

        Args:
          name: what to call it; None = `<name>_centre`.
        """
        return replace(self, alone=True, queries=1, aggregate=trimmed_mean, name=name or f"{self.name}_centre")

    def with_features_of(self, fitting: tuple[str, ...]) -> RaMIA:
        """The attack within told which signals there are, if it reads whatever there is."""
        complete = getattr(self.attack, "with_features_of", None)
        return self if complete is None else replace(self, attack=complete(fitting))

    def at(self, x: Any, y: Any, ids: NDArray[Any] | None = None) -> PlacedRaMIA:
        """The attack on ranges around these records.

        Args:
          x, y: inputs and labels, nests of arrays [n, ...].
          ids: [n], their owners; None = unknown.
        Raises:
          ValueError: if the range does not fit them.
        """
        centres = RangeRecords(x, y, ids)
        if self.centre is not None:
            seed = int(np.random.SeedSequence([self.seed, 0xCE]).generate_state(1)[0])
            centres = moved_centres(centres, self.centre.at(centres), seed)
        bound, moved = self.range.at(centres), self.centre is not None
        alone = self.alone and bound.holds_centre
        known = 0 if ids is None else len(ids)
        if ids is not None and known != len(tf.nest.flatten(x)[0]):
            raise ValueError(f"{known} ids were given for {len(tf.nest.flatten(x)[0])} records; give one id a record.")
        notes: tuple[str, ...] = ()
        if bound.others is not None:
            refuse_nonfinite(bound.others.x, "records that points are taken from")
        elif not alone:
            notes = notes_on_points(bound, centres, self.queries, self.seed)
        points = RangePoints(bound, centres, self.queries, self.seed, moved, self.population_queries, alone)
        return PlacedRaMIA(self, points, RangeRelation(bound, centres), notes)

    def fit(self, context: AttackContext) -> FittedRaMIA:
        """Fits the attack within to points instead of records, and tunes the reduction if that was asked for."""
        each = max(1, len(self.population_queries))
        own = self.range.others is None and self.range.label_values is None
        examples = context.examples
        if examples is not None:
            known = PointsOfRanges(examples.signals, each)
            examples = Examples(known.of(examples.signals, own), known.repeated(examples.is_member))
        shadows = context.shadows
        fitted = self.attack.fit(
            replace(context, shadows=None if shadows is None else flat_shadows(shadows, each), examples=examples)
        )
        reduce: Aggregate | str = self.aggregate
        notes: tuple[str, ...] = ()
        if reduce == TUNED:
            plain = replace(self, aggregate=trimmed_mean)
            keep = tuned_keep(lambda known, signals: plain.fit(known).point_scores(signals), context)
            reduce = partial(trimmed_mean, keep=keep)
            notes = (
                f"of each range's scores the trimmed mean keeps ({keep[0]:g}, {keep[1]:g}), chosen on shadow models as targets.",
            )
        assert callable(reduce)
        return FittedRaMIA(fitted, reduce, each, own, (*notes, *getattr(fitted, "notes", ())))


@dataclass(frozen=True)
class PlacedRaMIA:
    """RaMIA on ranges around certain records.

    Attributes:
      attack: the description.
      points: what is asked.
      relation: which records lie within the ranges.
      doubts: sentences on the points.
    """

    attack: RaMIA
    points: RangePoints
    relation: RangeRelation
    doubts: tuple[str, ...] = ()

    name = property(lambda self: self.attack.name)
    signals = property(lambda self: self.attack.signals)
    needs_shadows = property(lambda self: self.attack.needs_shadows)
    needs_population = property(lambda self: self.attack.needs_population)
    needs_examples = property(lambda self: self.attack.needs_examples)
    population_queries = property(lambda self: self.attack.population_queries)

    @property
    def queries(self) -> tuple[Any, ...]:
        """What is asked instead of the audited records."""
        return (self.points,)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was asked, for reports."""
        described, points = self.attack, self.points
        most = points.width // max(1, len(self.population_queries))
        fewer = points.counts is not None and int(points.counts.min()) < points.width
        what = f"{'up to ' if fewer else ''}{most} point{'s' if most > 1 else ''} a range"
        if described.alone and self.relation.centres is not None:
            what = "asked about the centres alone, on the truth of their ranges"
        return (f"ranges: {described.range.kind}; {what}; scored by {described.attack.name!r}.", *self.doubts)

    def with_features_of(self, fitting: tuple[str, ...]) -> PlacedRaMIA:
        """See `RaMIA.with_features_of`."""
        return replace(self, attack=self.attack.with_features_of(fitting))

    def fit(self, context: AttackContext) -> FittedRaMIA:
        """See `RaMIA.fit`."""
        return self.attack.fit(context)


@dataclass(frozen=True)
class FittedRaMIA:
    """RaMIA, its attack fitted."""

    within: FittedAttack
    reduce: Aggregate
    each: int
    own_labels: bool
    notes: tuple[str, ...] = ()

    def score(self, signals: Signals) -> NDArray[np.float64]:
        """float64[n], one a range; NaN where no point could be scored."""
        return reduced(self.point_scores(signals), self.reduce)

    def point_scores(self, signals: Signals) -> NDArray[np.float64]:
        """float64[n, q], one a point; NaN where a range has no such point, or the attack cannot score it."""
        points = PointsOfRanges(signals, self.each)
        return points.in_ranges(self.within.score(points.of(signals, self.own_labels)))

"""The records an audit asks about: drawn once, fixed over epochs so that curves are comparable."""

from __future__ import annotations

import sys
from functools import partial
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import ArrayLike, NDArray

from .duplicates import DuplicateWatch, record_hashes
from .near_duplicates import NOTABLE, NearDuplicateWatch, more_than_natural
from .record_arrays import Records, as_arrays, joined, plain_leaves, resident
from .record_checks import refuse_nonfinite, refuse_other_shapes
from .record_source import RecordSource, open_source
from .sample_weights import partly_weighed, positions_weighed, weightless_members
from .sampling import Sample, draw, untouched

_NATURAL_SHARE = 4
_NOTABLE_COPIES = 0.05


class AuditSet:
    """A seeded sample of members and non-members, balanced, resident as tensors, and the truth about them.

    Each side is sampled uniformly without replacement in one pass; arrays, `tf.data` and `PyDataset` give the same sample of
    the same records. Members are read a second time where one in twenty non-members has a near copy among them, to see
    whether that is natural. Memory is bounded by `size`, whatever the length of the sources.

    Axis n: the audited records, members first, each side in the order of its source.

    Args:
      members: records that the model trains on: (x, y) or (x, y, sample_weight) arrays or lists, a finite
        `tf.data.Dataset` (batched or not; not a reshuffling one) or a `keras.utils.PyDataset`; x may be a dict or tuple
        of inputs, ragged ones among them, y a dict or tuple of labels, one an output. Of sample weights one a record is
        not used (an audit asks every record alike); one a position says by 0 which positions are padding.
      nonmembers: records from the same distribution that it never sees, in any of these forms.
      population: further records that no model trains on, for attacks that need some; or a share in (0, 1) of the
        non-members to set aside for that (never judged); None = none.
      size: the most records to audit on each side; the smaller side decides. None = every record of both, however unequal:
        what is said of records that were dealt by coins holds for all of them, not for equally many of each kind.
      ids: (member ids, non-member ids), one id a record of each source; default: the position on its own side.
      seed: decides the sample.
    Attributes:
      x, y: inputs and labels as nests of tensors [n, ...].
      weights: sample weights where records have one a position (a token, a pixel), as such a nest; else ().
      is_member: bool[n].
      ids: [n].
      population: `Records` of tensors, or None.
      size: how many records were asked for on each side; None = all.
      num_members, num_nonmembers: how many there are (equal, unless all were asked for).
      available: (members, non-members) found in the sources.
      warnings: sentences about these records that change what a number means.
      notes: sentences about them that help to read a number.
      sources: (members, non-members) as they were opened, to be read again where all records are needed.
      source_ids: the ids given, one a record of each source, or None.
      positions: int[n], where each record stood in its source.
      population_positions: int[z], where the records set aside stood among the non-members; empty if none were.
      coin: the probability by which each of these records became a member, by a coin of its own; None = membership was not
        drawn so, or that is not known. See `canary_audit_set`.
    Raises:
      TypeError, ValueError: on an empty side, lengths or shapes that differ, missing labels, NaN or infinite inputs,
        endless, reshuffling or one-way sources, and arguments out of range; each says what to give instead.
    """

    def __init__(
        self,
        members: Any,
        nonmembers: Any,
        population: Any = None,
        size: int | None = 2_000,
        ids: tuple[ArrayLike, ArrayLike] | None = None,
        seed: int = 0,
    ) -> None:
        share = _population_share(population)
        self.size = _checked_size(size)
        self.coin: float | None = None
        most = sys.maxsize // 4 if self.size is None else self.size
        sides = open_source(members, "members"), open_source(nonmembers, "nonmembers")
        member_seed, nonmember_seed, population_seed = np.random.SeedSequence(seed).generate_state(3)

        reserve = most if share else 0
        drawn_nonmembers = draw(sides[1], most + reserve, int(nonmember_seed))
        set_aside = min(reserve, int(share * drawn_nonmembers.total))
        if share and not set_aside:
            raise ValueError(
                f"population is {share:g} of {drawn_nonmembers.total:,} non-members, which is none; give a larger share."
            )
        usable = len(drawn_nonmembers.positions) - set_aside
        if usable < 1:
            raise ValueError("nonmembers is empty once the population is set aside; give more non-members.")
        candidates = drawn_nonmembers.part(0, min(most, usable))
        watch = DuplicateWatch(candidates.records)
        near = NearDuplicateWatch(plain_leaves(candidates.records.x), seed)
        drawn_members = draw(sides[0], most, int(member_seed), _checked(candidates, watch, near))
        counts = len(drawn_members.positions), len(candidates.positions)
        self.num_members, self.num_nonmembers = counts if self.size is None else (min(counts), min(counts))

        nonmember_sample = drawn_nonmembers.part(0, self.num_nonmembers)
        member_sample = drawn_members.part(0, self.num_members)
        kept = np.isin(candidates.positions, nonmember_sample.positions)
        self.available = drawn_members.total, drawn_nonmembers.total
        self.sources, self.source_ids = sides, ids
        self.positions = np.concatenate([member_sample.positions, nonmember_sample.positions])
        self.population_positions = np.empty(0, np.int64)
        equal = int(watch.found[kept].sum()), _equal_among_themselves(nonmember_sample.records)
        self.warnings = (*_duplicate_warning(*equal, self.num_nonmembers),)
        self.notes: tuple[str, ...] = _copies_note(member_sample.records, self.num_members)
        self.is_member: NDArray[np.bool_] = np.arange(len(self.positions)) < self.num_members
        self.ids = _joined_ids(ids, member_sample, nonmember_sample)
        self.warnings += weightless_members(member_sample.records)
        copies = int((near.found & ~watch.found)[kept].sum())
        if copies >= NOTABLE * self.num_nonmembers:
            self._judge_near_copies(near, copies, sides[0], member_sample.records, seed)
        samples = positions_weighed(member_sample.records, nonmember_sample.records)
        both = Records(*joined([tuple(sample) for sample in samples]))
        self.notes += partly_weighed(both)
        refuse_nonfinite(both.x, partial(describe_records, is_member=self.is_member, positions=self.positions))
        self.x, self.y, self.weights = resident(tuple(both))
        self.population: Records | None = None
        if set_aside:
            rows = drawn_nonmembers.part(len(drawn_nonmembers.positions) - set_aside, len(drawn_nonmembers.positions))
            self.population = _as_weighed(rows.records, both)
            self.population_positions = rows.positions
        elif population is not None and not share:
            rows = draw(open_source(population, "population"), most, int(population_seed)).part(0, most)
            refuse_other_shapes(member_sample.records, rows.records, "population", "the non-members")
            self.population = _as_weighed(rows.records, both)
        if self.population is not None:
            _refuse_nonfinite_population(self.population)

    def _judge_near_copies(
        self, near: NearDuplicateWatch, found: int, source: RecordSource, members: Records, seed: int
    ) -> None:
        """A warning or a note, after a second look: how many members have a near copy among the members?"""
        among_themselves = NearDuplicateWatch(plain_leaves(members.x), seed)
        for batch in untouched(source):
            among_themselves(plain_leaves(batch.x))
        natural = round(among_themselves.found.mean() * self.num_nonmembers)  # of as many members
        examined = f" (among the first {near.examined:,})" if near.capped else ""
        if more_than_natural(found, natural, self.num_nonmembers):
            self.warnings += (_near_duplicate_warning(found, natural, self.num_nonmembers, examined),)
        else:
            self.notes += (_near_duplicate_note(found, natural, self.num_nonmembers, examined),)

    def __len__(self) -> int:
        return len(self.is_member)

    def describe(self, rows: NDArray[np.intp]) -> str:
        """Names some of the audited records in a sentence: by position, as ids may be nobody's business."""
        return describe_records(rows, self.is_member, self.positions)

    def __repr__(self) -> str:
        return (
            f"AuditSet({self.num_members:,} of {self.available[0]:,} members, "
            f"{self.num_nonmembers:,} of {self.available[1]:,} non-members)"
        )


def _refuse_nonfinite_population(population: Records) -> None:
    refuse_nonfinite(as_arrays(population.x), lambda bad: f"{len(bad):,} of {len(population):,} population records")


def _checked_size(size: Any) -> int | None:
    if size is None:
        return None
    if not isinstance(size, (int, np.integer)) or isinstance(size, bool) or size < 1:
        raise ValueError(f"the audit's size is {size!r}; give how many records to draw on each side, at least 1.")
    return int(size)


def _population_share(population: Any) -> float:
    if not isinstance(population, (int, float)):
        return 0.0
    if not 0 < population < 1:
        raise ValueError(f"population is {population!r}; give records (x, y), or a share of the non-members in (0, 1).")
    return float(population)


def _checked(nonmembers: Sample, watch: DuplicateWatch, near: NearDuplicateWatch) -> Any:
    """Looks for duplicates in every batch of members, after making sure that the two sides are comparable."""

    def look(batch: Records) -> None:
        refuse_other_shapes(nonmembers.records, batch, "members", "the non-members")
        watch(batch)
        near(plain_leaves(batch.x))

    return look


def _duplicate_warning(found: int, natural: int, count: int) -> tuple[str, ...]:
    # Where non-members equal each other about as often, records have few possible values, and equality is no copy.
    if not found or natural >= found / _NATURAL_SHARE:
        return ()
    return (
        f"{found:,} of {count:,} audited non-members equal some record in members, inputs and label. If they are copies, they "
        "are members in truth and pull every number towards «no leakage»: remove them from nonmembers. (Records of few "
        "possible values may be equal by chance.)",
    )


def _copies_note(members: Records, count: int) -> tuple[str, ...]:
    copies = _equal_among_themselves(members)
    if copies < _NOTABLE_COPIES * count:
        return ()
    return (
        f"{copies:,} of {count:,} audited members equal another of them, inputs and label: they are no independent draws, so "
        "intervals and p-values are too sure.",
    )


def _equal_among_themselves(records: Records) -> int:
    """How many of these records equal another one of them."""
    _, counts = np.unique(record_hashes(records[:2]), return_counts=True)
    return int(counts[counts > 1].sum())


def _near_duplicate_warning(found: int, natural: int, count: int, examined: str) -> str:
    return (
        f"{found:,} of {count:,} audited non-members nearly equal some record in members{examined}: they are closer than a tenth "
        f"of the usual distance, while {natural:,} of {count:,} members are as close to another member. The model was trained on "
        "something almost like them, which pulls every number towards «no leakage»: remove them, or split before making copies."
    )


def _near_duplicate_note(found: int, natural: int, count: int, examined: str) -> str:
    return (
        f"{found:,} of {count:,} audited non-members have a near copy in members{examined}, about as many as members have among "
        f"themselves ({natural:,}): the pool holds near copies and was split at random, so that much of what was never seen was "
        "almost seen."
    )


def _joined_ids(ids: tuple[ArrayLike, ArrayLike] | None, members: Sample, nonmembers: Sample) -> NDArray[Any]:
    if ids is None:
        return np.concatenate([members.positions, nonmembers.positions])
    if not isinstance(ids, (tuple, list)) or len(ids) != 2:
        raise ValueError("ids must be a pair (member ids, non-member ids), one id a record of each source.")
    chosen = []
    for name, side_ids, sample in (("member", ids[0], members), ("non-member", ids[1], nonmembers)):
        known = np.asarray(side_ids)
        if known.shape != (sample.total,):
            raise ValueError(f"{known.shape} {name} ids were given for {sample.total} records; give one id a record.")
        chosen.append(known[sample.positions])
    if chosen[0].dtype.kind != chosen[1].dtype.kind:
        chosen = [side_ids.astype(object) for side_ids in chosen]
    return np.concatenate(chosen)


def describe_records(rows: NDArray[np.intp], is_member: NDArray[np.bool_], positions: NDArray[np.int64]) -> str:
    """`3 of 400 audited records (member 7, member 12, non-member 3)`, the first few by their position in their source."""
    named = [f"{'member' if is_member[row] else 'non-member'} {positions[row]}" for row in rows[:3]]
    more = ", …" if len(rows) > 3 else ""
    return f"{len(rows):,} of {len(is_member):,} audited records ({', '.join(named)}{more})"


def _as_weighed(records: Records, audited: Records) -> Records:
    """Tensors, with weights a position if the audited records have them."""
    kept = positions_weighed(records, records)[0]
    if len(tf.nest.flatten(kept.weights)) != len(tf.nest.flatten(audited.weights)):
        raise ValueError("the population and the audited records differ in their sample weights; give them alike.")
    return Records(*resident(tuple(kept)))

"""The truth about queries that are more than a record: which training records they hold, and so who has trained on them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from .audit_set import AuditSet
from .cross_fitting import FOLDS
from .duplicates import record_hashes
from .record_arrays import Records, joined
from .record_source import RecordSource
from .report_in_words import TRUTH_BY_RANGE
from .sampling import untouched

_RECORDS_AT_ONCE = 4_096
# (query, pool record) pairs to keep for the shadow models: beyond it queries hold thousands of records each.
_MOST_PAIRS = 50_000_000
# So small a share of other truths moves no number that matters.
_FEW = 0.01


class Pairs(NamedTuple):
    """Queries and records that lie within them.

    Attributes:
      rows: int64[k], of queries.
      hits: int64[k], of records.
      certain: bool[k], False where it cannot be said whether the record lies within.
    """

    rows: NDArray[np.int64]
    hits: NDArray[np.int64]
    certain: NDArray[np.bool_]


class Relation(Protocol):
    """Which records lie within each of an audit's queries.

    Attributes:
      centres: (x, y) arrays of the records around which queries are made, as an attacker holds them; None = an attacker holds
        no whole record.
      shared: True if several of the queries are the same (those of one owner).
      others: records that points are taken from, or None.
    """

    centres: Records | None
    shared: bool
    others: Records | None

    def pairs(self, records: Records, ids: NDArray[Any] | None) -> Iterator[Pairs]:
        """Of these records, in parts of bounded memory."""


class Found(NamedTuple):
    """Which queries hold a record: bool[n] each.

    Attributes:
      inside: does it hold one?
      known: False where that cannot be said.
      exact: is the record around which it is made one itself?
      copies: how many of the records that points are taken from are among these records.
    """

    inside: NDArray[np.bool_]
    known: NDArray[np.bool_]
    exact: NDArray[np.bool_]
    copies: int = 0


class QueryTruth(NamedTuple):
    """What is true of an audit's queries.

    Attributes:
      is_member: bool[n], does the query hold a training record?
      known: bool[n], False where that cannot be said.
      exact: bool[n], is the record around which it is made a training record itself?
      otherwise: bool[n], True where that is another truth than the audited record's membership: a non-member whose range
        holds a training record, a member whose range holds none.
      shared: True if several of the records have ranges in common (an owner's, say).
      copies: how many of the records that points are taken from are training records themselves.
    """

    is_member: NDArray[np.bool_]
    known: NDArray[np.bool_]
    exact: NDArray[np.bool_]
    otherwise: NDArray[np.bool_]
    shared: bool = False
    copies: int = 0

    @property
    def unjudged(self) -> str | None:
        """Why no p-value can be told, or None: truth must be as likely for one record as for another without a leak."""
        known = int(self.known.sum())
        apart = int((self.otherwise & self.known).sum())
        if apart > _FEW * known:
            return (
                f"{apart:,} of {known:,} ranges hold a training record though their record is none, or the other way round. "
                "Which do depends on how many records lie near, and so do scores: part of every number may be that, without any "
                "leak, also for attacks that compare with shadow models; no p-value is given. Make ranges smaller, or centres "
                "nearer."
            )
        if self.copies:
            return (
                f"{self.copies:,} of the records that points are taken from are training records themselves, so that the model "
                "is asked about what it was trained on; no p-value is given. Give records that were never trained on."
            )
        if self.shared:
            return (
                "several audited records have the same range (an owner's): they are one observation, and intervals are too "
                "narrow; no p-value is given. Audit one record of each owner."
            )
        return None

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences for reports: what was counted, what was left out."""
        inside, total = self.is_member & self.known, len(self.known)
        said = [
            f"{TRUTH_BY_RANGE}: {int(inside.sum()):,} of {total:,} ranges hold a training record; "
            f"{int(self.exact.sum()):,} of the queries are training records themselves."
        ]
        if not self.known.all():
            said.append(
                f"{int((~self.known).sum()):,} ranges are left out: whether they hold a training record cannot be said (it lies "
                "at the edge, or has another label), or the query is one and its range holds none."
            )
        found = int((self.otherwise & inside).sum())
        if found:
            said.append(f"the ranges of {found:,} non-members hold a training record.")
        return tuple(said)


def truth_of(relation: Relation, audit_set: AuditSet) -> QueryTruth:
    """What is true of the queries about these records; the whole members' side is read once more.

    Raises:
      ValueError: if no query holds a training record, or every one does.
    """
    ids = None if audit_set.source_ids is None else np.asarray(audit_set.source_ids[0])
    inside, known, exact, copies = found_within(relation, audit_set.sources[0], ids, len(audit_set))
    known = known & (inside | ~exact)  # a query that is a training record, in a range without one, is neither
    if not (inside & known).any() or (inside | ~known).all():
        if not known.any():
            raise ValueError(
                "of no range can it be said whether it holds a training record; give another radius or a smaller margin."
            )
        kind, remedy = ("every range of known truth holds", "smaller") if inside.any() else ("no range holds", "larger")
        raise ValueError(f"{kind} a training record, so that there is nothing to tell apart; give {remedy} ranges.")
    return QueryTruth(inside, known, exact, known & (inside != audit_set.is_member), relation.shared, copies)


def refuse_too_few(truth: QueryTruth) -> None:
    """Nothing, if an attack that learns from half of the queries has four of each kind.

    Raises:
      ValueError: otherwise.
    """
    inside = int((truth.is_member & truth.known).sum())
    sides = inside, int(truth.known.sum()) - inside
    if min(sides) < 2 * FOLDS:
        raise ValueError(
            f"{sides[0]} ranges hold a training record and {sides[1]} do not: too few to learn from one half and judge the other."
        )


def found_within(relation: Relation, source: RecordSource, ids: NDArray[Any] | None, count: int) -> Found:
    """Which queries hold a record of this source; it is read once.

    Args:
      relation: of the queries.
      source: the records.
      ids: [t], theirs, or None.
      count: n, the number of queries.
    """
    inside, unsure, exact = (np.zeros(count, bool) for _ in range(3))
    centres = relation.centres
    wanted = None if centres is None else record_hashes(tuple(centres[:2]))
    taken = None if relation.others is None else record_hashes(tuple(relation.others[:2]))
    copied = np.zeros(0 if taken is None else len(taken), bool)
    start = 0
    for block in _blocks(source):
        theirs = None if ids is None else ids[start : start + len(block)]
        for pairs in relation.pairs(block, theirs):
            inside[pairs.rows[pairs.certain]] = True
            unsure[pairs.rows[~pairs.certain]] = True
        if wanted is not None:
            exact |= np.isin(wanted, record_hashes(tuple(block[:2])))
        if taken is not None:
            copied |= np.isin(taken, record_hashes(tuple(block[:2])))
        start += len(block)
    if ids is not None and len(ids) != start:
        raise ValueError(f"{len(ids)} ids were given for {start} records; give one id a record.")
    return Found(inside, inside | ~unsure, exact, int(copied.sum()))


def rows_within(relation: Relation, records: Records, ids: NDArray[Any] | None = None) -> tuple[Any, Any]:
    """(rows of queries, rows of the records that surely lie within them), int64[k] each, by query.

    Raises:
      ValueError: if there are more than 50 million.
    """
    found = [(np.empty(0, np.int64), np.empty(0, np.int64))]
    total = 0
    for start in range(0, len(records), _RECORDS_AT_ONCE):
        chosen = slice(start, start + _RECORDS_AT_ONCE)
        for pairs in relation.pairs(records.take(chosen), None if ids is None else ids[chosen]):
            found.append((pairs.rows[pairs.certain], start + pairs.hits[pairs.certain]))
            total += len(found[-1][0])
            if total > _MOST_PAIRS:
                raise ValueError(
                    f"together the ranges hold the {len(records):,} records that are dealt to shadow models more than "
                    f"{_MOST_PAIRS:,} times, so that hardly a range would be OUT for any; give smaller ranges."
                )
    rows, hits = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = np.argsort(rows, kind="stable")
    return rows[order], hits[order]


def trained_within(assignment: NDArray[np.bool_], within: tuple[Any, Any], count: int) -> NDArray[np.bool_]:
    """bool[m, n]: did a model train on a record within the query?

    Args:
      assignment: bool[m, p].
      within: of `rows_within`.
      count: n.
    """
    rows, hits = within
    found = np.zeros((len(assignment), count), bool)
    if len(rows):
        starts = np.flatnonzero(np.diff(rows, prepend=-1))
        for model, trained in enumerate(assignment):
            found[model, rows[starts]] = np.logical_or.reduceat(trained[hits], starts)
    return found


def _blocks(source: RecordSource) -> Iterator[Records]:
    held: list[Records] = []
    for batch in untouched(source):
        held.append(batch)
        if sum(map(len, held)) >= _RECORDS_AT_ONCE:
            yield _together(held)
            held = []
    if held:
        yield _together(held)


def _together(batches: list[Records]) -> Records:
    if len(batches) == 1:
        return batches[0]
    return Records(*joined([tuple(batch) for batch in batches]))

"""The records by which unlearning is judged: some that were kept, some to be forgotten, some never seen; none of them twice."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .duplicates import record_hashes
from .record_arrays import Records, joined
from .record_checks import refuse_nonfinite, refuse_other_shapes
from .record_source import open_source
from .sampling import Sample, draw, untouched
from .shadow_pool import ShadowPool, pool_from_records

SIDES = ("retain", "forget", "test")
# Whose copies would make whose records something else than they are called.
_APART = (("forget", "retain"), ("test", "retain"), ("test", "forget"))


@dataclass(frozen=True)
class UnlearningSets:
    """Records of the three kinds, one kind after the other: retain, forget, test.

    Attributes:
      records: arrays [n, ...].
      rows: by side, int[k], where its records stand among these.
      positions: by side, int[k], where they stood in their source.
      totals: by side, how many its source held.
      notes: sentences on what was left out.
    """

    records: Records
    rows: dict[str, NDArray[np.intp]]
    positions: dict[str, NDArray[np.int64]]
    totals: dict[str, int]
    notes: tuple[str, ...]


def unlearning_sets(
    retain: Any, forget: Any, test: Any, size: int, seed: int = 0, *, leave_out_copies: bool = False
) -> UnlearningSets:
    """Draws the records and makes sure that the sets are apart, by the contents of all their records.

    Args:
      retain, forget, test: (x, y) arrays, a finite `tf.data.Dataset` or a `keras.utils.PyDataset`; each is read once.
      size: the most records of each.
      seed: decides the draw.
      leave_out_copies: True to leave out records of the forget set that stand in the retain set, too, and those of the test set
        that stand in either, rather than to refuse them.
    Raises:
      TypeError, ValueError: on records that are none, an empty set, sets of different shapes, or sets that overlap.
    """
    seeds = np.random.SeedSequence(seed).generate_state(len(SIDES))
    drawn: dict[str, Sample] = {}
    hashes: dict[str, NDArray[np.uint64]] = {}
    for side, data, own_seed in zip(SIDES, (retain, forget, test), seeds, strict=True):
        drawn[side], hashes[side] = _drawn(data, side, size, int(own_seed))
        refuse_other_shapes(drawn["retain"].records, drawn[side].records, side, "retain")
    copies = {(side, other): np.isin(hashes[side], hashes[other]) for side, other in _APART}
    if not leave_out_copies:
        _refuse_copies(copies)
    kept = {side: np.ones(len(hashes[side]), bool) for side in SIDES}
    for (side, _), found in copies.items():
        kept[side] &= ~found
    notes = []
    for side in SIDES:
        left_out = int(np.count_nonzero(~kept[side]))
        if left_out == len(kept[side]):
            raise ValueError(f"every record of {side} stands in another set, too; give sets that are apart.")
        if left_out:
            notes.append(
                f"{left_out:,} of {len(kept[side]):,} records of {side} stand in another set, too, and are left out."
            )
    chosen = {side: np.flatnonzero(kept[side][drawn[side].positions]) for side in SIDES}
    for side, rows in chosen.items():
        if not rows.size:
            raise ValueError(f"all records of {side} that were drawn stand in another set, too; raise the size.")
    parts = [drawn[side].records.take(chosen[side]) for side in SIDES]
    counts = [len(part) for part in parts]
    starts = np.cumsum([0, *counts])
    return UnlearningSets(
        Records(*joined([tuple(part[:2]) for part in parts])),
        {side: np.arange(starts[place], starts[place + 1]) for place, side in enumerate(SIDES)},
        {side: drawn[side].positions[chosen[side]] for side in SIDES},
        {side: drawn[side].total for side in SIDES},
        tuple(notes),
    )


def shadow_pool_of(sources: Sequence[Any], sets: UnlearningSets) -> ShadowPool:
    """All records of the three sets, to be dealt out to shadow models, and where those that are asked about stand among them.

    Raises:
      ValueError: if the sources give other records when they are read again.
    """
    parts = []
    for side, data in zip(SIDES, sources, strict=True):
        source = open_source(data, side)
        batches = [source.arrays] if source.arrays is not None else list(untouched(source))
        parts.append(Records(*joined([tuple(batch[:2]) for batch in batches])))
    starts = np.cumsum([0, *map(len, parts)])
    together = Records(*joined([tuple(part[:2]) for part in parts]))
    asked = np.concatenate([starts[place] + sets.positions[side] for place, side in enumerate(SIDES)])
    same = [len(part) == sets.totals[side] for part, side in zip(parts, SIDES, strict=True)]
    if not all(same) or (record_hashes(together.take(asked)[:2]) != record_hashes(sets.records[:2])).any():
        raise ValueError(
            "the sets gave other records, or in another order, when they were read again: who trained on what could not be told; "
            "give data that can be read twice alike (arrays, or without shuffling)."
        )
    pool = pool_from_records(together.x, together.y)
    trained_on = sets.totals["retain"] + sets.totals["forget"]
    return ShadowPool(pool.records, pool.groups, asked, trained_on, ())


def _drawn(data: Any, side: str, size: int, seed: int) -> tuple[Sample, NDArray[np.uint64]]:
    """A side's sample, and what all of its records hash to."""
    seen: list[NDArray[np.uint64]] = []
    sample = draw(open_source(data, side), size, seed, lambda batch: seen.append(record_hashes(tuple(batch[:2]))))
    refuse_nonfinite(sample.records.x, lambda rows: f"{len(rows):,} records of {side}")
    return sample.part(0, size), np.concatenate(seen)


def _refuse_copies(copies: dict[tuple[str, str], NDArray[np.bool_]]) -> None:
    for (side, other), found in copies.items():
        count = int(np.count_nonzero(found))
        if count:
            why = "it cannot be forgotten while it is trained on" if side == "forget" else "it was trained on"
            raise ValueError(
                f"{count:,} of {len(found):,} records of {side} stand in {other}, too, inputs and label: {why}. Take them out, "
                "or give leave_out_copies=True (records of few possible values may be equal by chance)."
            )

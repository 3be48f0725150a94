"""Which slices of the audited records are judged by themselves: what the user names, resolved once, cut at each audit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from privacy_callbacks.attacks.attack import Signals
from privacy_callbacks.attacks.audit_set import AuditSet
from privacy_callbacks.attacks.slices import Column, Slice, by_class, by_column, by_correctness, by_percentile, crossed

_NAMED = ("class", "loss_percentile", "correct")
_ACCEPTED = (
    f"give {', '.join(map(repr, _NAMED))}, a Column(name, members, nonmembers), a tuple of these, or a list of several."
)
_Cut = Callable[[Signals], list[Slice]]


class SlicePlan:
    """What `slices=` of an audit says.

    Args:
      wanted: "class", "loss_percentile" (tenths of the loss), "correct", a `Column`, or a tuple of these for their crosses; or
        several in a list. None = no slices.
      audit_set: the records.
      labels: int[n], class numbers; None where a record has no single class.
      has_classes: True if the model's answers are right or wrong.
    Attributes:
      signals: the signals that cutting reads.
    Raises:
      TypeError: on anything else.
      ValueError: on slices that these records or this model cannot have.
    """

    def __init__(self, wanted: Any, audit_set: AuditSet, labels: NDArray[np.int64] | None, has_classes: bool) -> None:
        several = [] if wanted is None else list(wanted) if isinstance(wanted, list) else [wanted]
        self._audit_set, self._labels, self._has_classes = audit_set, labels, has_classes
        self._reads: dict[str, None] = {}
        self._cuts = [self._resolved(one) for one in several]
        self.signals = tuple(self._reads)

    def slices(self, signals: Signals) -> list[Slice]:
        """The slices at an audit with these answers.

        Raises:
          ValueError: if two have one name, or there are more than can be judged.
        """
        found = [slice for cut in self._cuts for slice in cut(signals)]
        names = [slice.name for slice in found]
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise ValueError(f"slice {twice!r} comes about twice; name what to slice by once, and columns differently.")
        return found

    def _resolved(self, one: Any) -> _Cut:
        if isinstance(one, tuple):
            parts = [self._resolved(part) for part in one]
            if len(parts) < 2:
                raise ValueError(f"slices has the cross {one!r}; cross two or more.")
            return lambda signals: crossed(*(part(signals) for part in parts))
        if isinstance(one, Column):
            fixed = by_column(one.name, self._audited_part(one))
            return lambda signals: fixed
        if not isinstance(one, str):
            raise TypeError(f"slices has {one!r}; {_ACCEPTED}")
        if one == "class":
            if self._labels is None:
                raise ValueError("slices has 'class', but a record of this audit has no single class; give a Column.")
            by_label = by_class(self._labels)
            return lambda signals: by_label
        if one == "loss_percentile":
            self._reads["loss"] = None
            return lambda signals: by_percentile(-signals["loss"][:, 0])
        if one == "correct":
            if not self._has_classes:
                raise ValueError(
                    "slices has 'correct', but this model's answers are neither right nor wrong; leave it out."
                )
            self._reads["correct"] = None
            # Of several labels or positions a record is right if all are.
            return lambda signals: by_correctness(signals["correct"][:, 0] == 1)
        raise TypeError(f"slices has {one!r}; {_ACCEPTED}")

    def _audited_part(self, column: Column) -> NDArray[Any]:
        """[n]: the column's values of the audited records."""
        audited = self._audit_set
        sides = np.asarray(column.members), np.asarray(column.nonmembers)
        for values, side, total in zip(sides, ("members", "nonmembers"), audited.available, strict=True):
            if values.shape != (total,):
                raise ValueError(
                    f"column {column.name!r} has shape {values.shape} for {total} {side}; give one value a record of each source."
                )
        rows = audited.positions[audited.is_member], audited.positions[~audited.is_member]
        chosen = [side[of] for side, of in zip(sides, rows, strict=True)]
        kinds = {side.dtype.kind for side in chosen}
        if kinds == {"f"}:  # .1 in 32 bits is another number than .1 in 64
            chosen = [
                side.astype(min((one.dtype for one in chosen), key=lambda dtype: dtype.itemsize)) for side in chosen
            ]
        elif len(kinds) > 1 and not kinds <= set("iuf"):
            chosen = [side.astype(object) for side in chosen]
        return np.concatenate(chosen)

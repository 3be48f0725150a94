"""Membership by coins: each record trains or stays out by an independent coin, so that a bound on ε from one run is a bound."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .seeded_stream import seeded_stream


@dataclass(frozen=True, eq=False, repr=False)
class CanarySplit:
    """Records that were dealt by coins, and what to train on.

    Axis n: the records that were dealt, in the order in which they were given.

    Attributes:
      training_set: (x, y), what to fit on: the records that always train, then those whose coin said so, each in their order.
        Nothing is shuffled here: fit does that, unless it is told not to.
      members: (x, y), the dealt records that train.
      nonmembers: (x, y), those that stay out.
      included: bool[n], the coins.
      p: the probability by which each came down «member».
      seed: decided the coins.
    """

    training_set: tuple[Any, Any]
    members: tuple[Any, Any]
    nonmembers: tuple[Any, Any]
    included: NDArray[np.bool_]
    p: float = 0.5
    seed: int = 0
    member_ids: NDArray[np.int64] = field(init=False)
    nonmember_ids: NDArray[np.int64] = field(init=False)

    def __post_init__(self) -> None:
        coins = np.array(self.included, bool)
        for name, rows in (
            ("included", coins),
            ("member_ids", np.flatnonzero(coins)),
            ("nonmember_ids", np.flatnonzero(~coins)),
        ):
            rows.flags.writeable = False
            object.__setattr__(self, name, rows)

    @property
    def is_fair(self) -> bool:
        """True if the coins were fair, as bounds on ε from one run need it."""
        return self.p == 0.5

    def __repr__(self) -> str:
        trained = count_records(self.training_set, "training_set")
        sides = f"{len(self.member_ids)} members, {len(self.nonmember_ids)} non-members, {trained} to train on"
        return f"CanarySplit({sides}, p={self.p:g}, seed={self.seed})"


def randomised_membership(
    x: Any, y: Any, p: float = 0.5, seed: int = 0, *, always: tuple[Any, Any] | None = None
) -> CanarySplit:
    """Deals records by coins: each is a member with probability p, whatever becomes of the others.

    The coins come from a stream of their own, so they are related neither to data that were made with the same seed nor to an
    audit's draws. A seed that one has looked at is no chance any more: take one, and keep it from whoever scores the records.

    Args:
      x: inputs of n records: an array, list or tensor, or a dict, tuple or list of these with the records on the first axis.
      y: their labels, in one of these forms.
      p: in (0, 1); 0.5 = fair coins, which the bounds from one run need.
      seed: decides the coins, at least 0.
      always: (x, y) of further records that train in any case, of the same structure, shapes and types.
    Returns:
      A `CanarySplit`; arrays and tensors stay what they are, of the type they have, and are copied; lists become arrays.
    Raises:
      ValueError: on p out of range, fewer than two records, lengths that differ, coins that leave a side empty, or records in
        `always` that do not fit.
      TypeError: on data sets, which have no rows to take.
    """
    if not 0 < p < 1:
        raise ValueError(
            f"p is {p!r}; give the probability with which each record trains, between 0 and 1, such as 0.5."
        )
    dealt = opened(x, y, "the records")
    count = count_records(dealt, "the records")
    if count < 2:
        raise ValueError(f"{count} records were given; coins deal two at least, and a bound needs hundreds.")
    further = None if always is None else _further(always, dealt)
    included = seeded_stream("coins of membership", seed).random(count) < p
    if included.all() or not included.any():
        side = "out" if included.all() else "in"
        raise ValueError(
            f"all {count} coins fell alike, so nobody is {side}; give more records"
            f"{'' if p == 0.5 else f', or p nearer to 0.5 than {p}'}. Do not look for a seed that suits: then it is no coin."
        )
    members, nonmembers = taken(dealt, np.flatnonzero(included)), taken(dealt, np.flatnonzero(~included))
    trained = members if further is None else mapped(_joined, further, members)
    return CanarySplit(trained, members, nonmembers, included, float(p), seed)


def opened(x: Any, y: Any, what: str) -> tuple[Any, Any]:
    """(x, y) as nests whose leaves are arrays or tensors with one row a record.

    A list of arrays is several inputs (or outputs) if they have the same number of rows, and there are not as many of them as
    records (where x and y both are such lists: fewer of them than rows); every other list is the records themselves.

    Args:
      x, y: see `randomised_membership`.
      what: what to call the records in messages.
    Raises:
      ValueError: on lengths that differ, or rows of uneven length.
      TypeError: on what has no rows, or sparse ones.
    """
    if y is None:
        raise TypeError(
            f"{what} have no labels (y is None); give x and y as arrays or tensors. Data sets have no rows to take."
        )
    nest = (_open(x, _is_several(x, y), what), _open(y, _is_several(y, x), what))
    count_records(nest, what)
    return nest


def mapped(function: Callable[..., Any], nest: Any, *others: Any) -> Any:
    """The nest of what `function` makes of each leaf (and of its counterparts in others of this structure)."""
    if isinstance(nest, dict):
        return {name: mapped(function, part, *(other[name] for other in others)) for name, part in nest.items()}
    if isinstance(nest, (tuple, list)):
        parts = [mapped(function, *together) for together in zip(nest, *others, strict=True)]
        return type(nest)(*parts) if hasattr(nest, "_fields") else type(nest)(parts)
    return function(nest, *others)


def leaves(nest: Any) -> list[Any]:
    """The arrays and tensors of a nest, in its order."""
    found: list[Any] = []
    mapped(found.append, nest)
    return found


def taken(nest: Any, rows: NDArray[np.int64]) -> Any:
    """The records at these rows, copied."""
    return mapped(lambda leaf: _tensorflow().gather(leaf, rows) if is_tensor(leaf) else leaf[rows], nest)


def count_records(nest: Any, what: str) -> int:
    """How many records a nest holds.

    Raises:
      ValueError: if its leaves differ in that, or there are none.
    """
    lengths = [_rows(leaf) for leaf in leaves(nest)]
    if len(set(lengths)) != 1:
        raise ValueError(
            f"{what} have leaves of {lengths} rows; give one row a record in each, inputs and labels alike."
        )
    return lengths[0]


def is_tensor(leaf: Any) -> bool:
    """True for TensorFlow's tensors, ragged ones among them."""
    kind = type(leaf)
    return (
        kind.__module__.partition(".")[0] == "tensorflow" and hasattr(leaf, "dtype") and kind.__name__ != "SparseTensor"
    )


def _rows(leaf: Any) -> int:
    return int(leaf.nrows()) if hasattr(leaf, "nrows") else len(leaf)


def _is_several(value: Any, other: Any) -> bool:
    if not isinstance(value, list) or not _are_arrays(value):
        return False
    if isinstance(other, list) and _are_arrays(other):
        return _rows(value[0]) > len(value)
    while isinstance(other, (dict, tuple)) and other:
        other = next(iter(other.values() if isinstance(other, dict) else other))
    return not (hasattr(other, "__len__") and len(other) == len(value))


def _are_arrays(values: Any) -> bool:
    return (
        all(len(getattr(entry, "shape", ())) > 0 for entry in values) and len({_rows(entry) for entry in values}) == 1
    )


def _open(value: Any, several: bool, what: str) -> Any:
    if isinstance(value, dict):
        return {name: _open(part, False, what) for name, part in value.items()}
    if several or isinstance(value, tuple):
        parts = [_open(part, False, what) for part in value]
        return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
    if not is_tensor(value):
        try:
            value = np.asarray(value)
        except ValueError as reason:
            raise ValueError(
                f"{what} have rows of uneven length ({reason}); pad them, or give a tf.RaggedTensor."
            ) from None
    if len(value.shape) == 0:
        raise TypeError(
            f"{what} hold something without rows ({value.dtype}, no axis); give arrays or tensors, records on the first axis, "
            "dense ones."
        )
    return value


def _further(always: Any, dealt: tuple[Any, Any]) -> tuple[Any, Any]:
    """The records that always train, if they can stand in one array with those that were dealt.

    Raises:
      TypeError, ValueError: if not.
    """
    if not isinstance(always, (tuple, list)) or len(always) != 2:
        raise TypeError(f"always is a {type(always).__name__}; give (x, y).")
    further = opened(always[0], always[1], "the records of always")
    ours, theirs = mapped(_kind, further), mapped(_kind, dealt)
    if ours != theirs:
        raise ValueError(
            f"always holds records of {ours}, those to deal are {theirs} (inputs, labels); give both alike."
        )
    return further


def _kind(leaf: Any) -> str:
    """The type and shape of one row."""
    name = (
        leaf.dtype.name
        if is_tensor(leaf) or leaf.dtype.kind not in "US"
        else {"U": "str", "S": "bytes"}[leaf.dtype.kind]
    )
    return f"{name}{list(leaf.shape[1:])}"


def _joined(first: Any, second: Any) -> Any:
    if is_tensor(first) or is_tensor(second):
        return _tensorflow().concat([first, second], axis=0)
    return np.concatenate([first, second])


def _tensorflow() -> Any:
    import tensorflow as tf

    return tf

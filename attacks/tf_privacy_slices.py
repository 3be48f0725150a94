"""Which slices users of TensorFlow Privacy ask for, by that library's names, and the records that belong to them."""

from __future__ import annotations

import enum
import itertools
import operator
import reprlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .slices import Slice, by_class, by_column, by_correctness, by_percentile
from .tf_privacy_data import AttackInputData

ENTIRE_DATASET_SLICE_STR = "Entire dataset"
_TENTHS = 10


class SlicingFeature(enum.Enum):
    """What records can be sliced by."""

    CLASS = "class"
    PERCENTILE = "percentile"
    CORRECTLY_CLASSIFIED = "correctly_classified"
    CUSTOM = "custom"


class CustomGroup(NamedTuple):
    """The value of a slice by custom indices.

    Attributes:
      column: which pair of index arrays, from 0.
      group: the value in it; what is no number or string (a date, bytes) by its name.
      name: from `custom_slices_names`, or None.
    """

    column: int
    group: Any
    name: str | None = None


@dataclass(frozen=True)
class SingleSliceSpec:
    """One slice: of a feature, the records that have this value.

    Attributes:
      feature: None = all records.
      value: a class number, (from, to) in percent of the losses, True / False for correctness, or a `CustomGroup`.
    """

    feature: SlicingFeature | None = None
    value: Any = None

    @property
    def entire_dataset(self) -> bool:
        """True for all records."""
        return self.feature is None

    def __str__(self) -> str:
        if self.feature is None:
            return ENTIRE_DATASET_SLICE_STR
        if self.feature == SlicingFeature.PERCENTILE:
            return f"Loss percentiles: {self.value[0]}-{self.value[1]}"
        if self.feature == SlicingFeature.CUSTOM:
            column = f", column = {self.value.column}" if self.value.column else ""
            if self.value.name is not None:
                return f"Custom indices: slice_name = {self.value.name}{column}"
            return f"Custom indices: group_value = {self.value.group}{column}"
        return f"{self.feature.name}={self.value}"


@dataclass(frozen=True)
class SlicingSpec:
    """Which slices to judge.

    Attributes:
      entire_dataset: all records.
      by_class: True = every class from 0 to the largest label; a class number, or several. Of multi-label records those
        that have the label.
      by_percentiles: ten slices by the records' loss, both sides together.
      by_classification_correctness: the records answered correctly, and the others.
      all_custom_train_indices, all_custom_test_indices: columns of groups (numbers, strings), one a record of that side in
        each; every group that stands on both sides of a column makes a slice.
      custom_slices_names: a name for each of these groups.
    Raises:
      TypeError: if classes are no whole numbers, or custom indices no list of arrays.
      ValueError: if no class is named, the two sides do not have the same number of columns, or a record has no group.
    """

    entire_dataset: bool = True
    by_class: bool | int | Iterable[int] = False
    by_percentiles: bool = False
    by_classification_correctness: bool = False
    all_custom_train_indices: Sequence[ArrayLike] | None = None
    all_custom_test_indices: Sequence[ArrayLike] | None = None
    custom_slices_names: Mapping[Any, str] | None = None

    def __post_init__(self) -> None:
        # Iterables are read once, so that a specification may serve several runs.
        object.__setattr__(self, "by_class", _classes(self.by_class))
        for name in ("all_custom_train_indices", "all_custom_test_indices"):
            object.__setattr__(self, name, _columns(getattr(self, name), name))
        if not (self.custom_slices_names is None or isinstance(self.custom_slices_names, Mapping)):
            raise TypeError(
                f"custom_slices_names is {self.custom_slices_names!r}; give a dictionary from group to name."
            )
        train, test = self.custom_columns
        if len(train) != len(test):
            raise ValueError(
                f"all_custom_train_indices has {len(train)} columns and all_custom_test_indices {len(test)}; "
                "give a pair for each way of slicing."
            )

    @property
    def custom_columns(self) -> tuple[Sequence[Any], Sequence[Any]]:
        """The custom indices of both sides, () where there are none."""
        return self.all_custom_train_indices or (), self.all_custom_test_indices or ()


def slices_of(data: AttackInputData, spec: SlicingSpec) -> list[tuple[SingleSliceSpec, Slice]]:
    """The slices asked for, of both sides, members first; some may be empty.

    Raises:
      ValueError: if a slicing needs what is not given.
    """
    found = []
    if spec.entire_dataset:
        found.append((SingleSliceSpec(), Slice("entire", np.ones(len(data.is_member()), np.bool_))))
    found += _class_slices(data, spec.by_class)
    if spec.by_percentiles:
        losses = data.losses()
        if losses is None:
            raise ValueError("slicing by percentiles reads the losses; give loss, or labels with logits or probs.")
        parts = by_percentile(losses if losses.ndim == 1 else losses.sum(axis=1), _TENTHS)
        edges = [100 * part // _TENTHS for part in range(_TENTHS + 1)]
        specs = [SingleSliceSpec(SlicingFeature.PERCENTILE, pair) for pair in itertools.pairwise(edges)]
        found += zip(specs, parts, strict=True)
    if spec.by_classification_correctness:
        signals = data.signals()
        if "correct" not in signals or data.is_multilabel_data():
            raise ValueError("slicing by correctness needs logits or probs, and labels of one class a record.")
        right, wrong = by_correctness(signals["correct"][:, 0])
        found += [
            (SingleSliceSpec(SlicingFeature.CORRECTLY_CLASSIFIED, answer), part)
            for answer, part in ((True, right), (False, wrong))
        ]
    return found + _custom_slices(data, spec)


def _class_slices(data: AttackInputData, wanted: bool | int | Iterable[int]) -> list[tuple[SingleSliceSpec, Slice]]:
    if wanted is False:
        return []
    answers = data.answers()
    labels = answers.labels
    if labels is None:
        raise ValueError("slicing by class needs class labels; give labels_train and labels_test.")
    classes = range(data.num_classes) if wanted is True else [wanted] if isinstance(wanted, int) else list(wanted)
    several = labels.ndim > 1
    if several or answers.logits is not None:
        known = labels.shape[1] if several else answers.class_logits().shape[1]
        if max(classes) >= known:
            raise ValueError(
                f"by_class names class {max(classes)}, but there are {known} classes, from 0; name one of them."
            )
    slices = [Slice(f"class {one}", labels[:, one] == 1) for one in classes] if several else by_class(labels, classes)
    return [(SingleSliceSpec(SlicingFeature.CLASS, one), slice) for one, slice in zip(classes, slices, strict=True)]


def _classes(wanted: Any) -> bool | int | tuple[int, ...]:
    """True, False, a class number, or several, none twice."""
    if isinstance(wanted, (bool, np.bool_)):
        return bool(wanted)
    several = not hasattr(wanted, "__index__") or np.ndim(wanted) > 0
    try:
        if isinstance(wanted, bytes):
            raise TypeError("letters of bytes are numbers, but no class numbers")
        classes = tuple(dict.fromkeys(_class(one) for one in (wanted if several else [wanted])))
    except TypeError:
        raise TypeError(
            f"by_class is {reprlib.repr(wanted)}; give True, False, a class number (a whole one), or a list of them."
        ) from None
    if not classes or min(classes) < 0:
        raise ValueError(f"by_class is {reprlib.repr(wanted)}; name at least one class, numbered from 0.")
    return classes if several else classes[0]


def _class(number: Any) -> int:
    if isinstance(number, bool):
        raise TypeError("a flag is no class number")
    return operator.index(number)


def _columns(given: Any, name: str) -> tuple[NDArray[Any], ...] | None:
    """Arrays of groups, [n] each; None where not given."""
    if given is None:
        return None
    if isinstance(given, (str, bytes, Mapping)) or not isinstance(given, Iterable):
        raise TypeError(f"{name} is {reprlib.repr(given)}; give a list of arrays, with one group a record in each.")
    return tuple(_groups(column, f"{name}[{index}]") for index, column in enumerate(given))


def _groups(column: ArrayLike, name: str) -> NDArray[Any]:
    """Groups [n]: numbers or strings as they are, of others their names, None where missing."""
    try:
        groups = np.asarray(column)
    except ValueError:
        raise ValueError(f"{name} has rows of different lengths; give one group a record.") from None
    groups = groups[:, 0] if groups.ndim == 2 and groups.shape[1] == 1 else groups
    if groups.ndim != 1:
        raise ValueError(
            f"{name} has shape {groups.shape}; give a list of arrays, one for each way of slicing, with a group a record in each."
        )
    if groups.dtype.kind not in "buifU":
        named = np.empty(len(groups), object)
        named[:] = [_group(group) for group in groups]
        groups = named
    missing = sum(group is None or group != group for group in groups.tolist())
    if missing:
        raise ValueError(f"{name} is missing (NaN, None) for {missing} records; give each a group.")
    return groups


def _group(value: Any) -> Any:
    if isinstance(value, np.generic) and value.dtype.kind in "buif":
        return value.item()
    if isinstance(value, (bool, int, float)):
        return value
    name = str(value)
    return None if value is None or name in ("NaT", "<NA>") else name  # as pandas shows what is missing


def _custom_slices(data: AttackInputData, spec: SlicingSpec) -> list[tuple[SingleSliceSpec, Slice]]:
    found = []
    names = spec.custom_slices_names
    known = None if names is None else {_group(group): str(name) for group, name in names.items()}
    for column, (train, test) in enumerate(zip(*spec.custom_columns, strict=True)):
        if (len(train), len(test)) != (data.get_train_size(), data.get_test_size()):
            raise ValueError(
                f"custom indices have {len(train)} and {len(test)} numbers for {data.get_train_size()} train and "
                f"{data.get_test_size()} test records; give one number a record."
            )
        alike = (train.dtype.kind == "U") == (test.dtype.kind == "U")
        values = np.concatenate([train, test] if alike else [train.astype(object), test.astype(object)])
        groups = sorted(set(train.tolist()) & set(test.tolist()), key=lambda group: (isinstance(group, str), group))
        if not groups:
            raise ValueError(
                f"all_custom_train_indices[{column}] and all_custom_test_indices[{column}] share no group; a slice needs records "
                "on both sides."
            )
        unnamed = [group for group in groups if known is not None and group not in known]
        if unnamed:
            raise ValueError(f"custom_slices_names has no name for group {unnamed[0]!r}; name every group, or none.")
        for group, slice in zip(groups, by_column("group", values, groups), strict=True):
            value = CustomGroup(column, group, None if known is None else known[group])
            found.append((SingleSliceSpec(SlicingFeature.CUSTOM, value), Slice(value.name or slice.name, slice.rows)))
    return found

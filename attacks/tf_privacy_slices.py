"""Which slices users of TensorFlow Privacy ask for, by that library's names, and the records that belong to them."""

from __future__ import annotations

import enum
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

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
      group: the value in it.
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
      all_custom_train_indices, all_custom_test_indices: columns of group numbers, one number a record of that side in each;
        every number that stands on both sides of a column makes a slice.
      custom_slices_names: a name for each of these numbers.
    Raises:
      ValueError: if the two sides do not have the same number of columns.
    """

    entire_dataset: bool = True
    by_class: bool | int | Iterable[int] = False
    by_percentiles: bool = False
    by_classification_correctness: bool = False
    all_custom_train_indices: Sequence[ArrayLike] | None = None
    all_custom_test_indices: Sequence[ArrayLike] | None = None
    custom_slices_names: Mapping[Any, str] | None = None

    def __post_init__(self) -> None:
        train, test = self.custom_columns
        if len(train) != len(test):
            raise ValueError(
                f"all_custom_train_indices has {len(train)} columns and all_custom_test_indices {len(test)}; "
                "give a pair for each way of slicing."
            )

    @property
    def custom_columns(self) -> tuple[Sequence[ArrayLike], Sequence[ArrayLike]]:
        """The custom indices of both sides, () where there are none."""
        sides = self.all_custom_train_indices, self.all_custom_test_indices
        return tuple(() if side is None else side for side in sides)  # type: ignore[return-value]


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
    if wanted is True:
        classes: list[int] = list(range(data.num_classes))
    else:
        classes = [int(wanted)] if isinstance(wanted, (int, np.integer)) else [int(one) for one in wanted]
    labels = data.answers().labels
    if labels is None:
        raise ValueError("slicing by class needs class labels; give labels_train and labels_test.")
    if labels.ndim == 1:
        slices = by_class(labels, classes)
    elif max(classes) >= labels.shape[1] or min(classes) < 0:
        raise ValueError(f"by_class names class {max(classes)}, but records have {labels.shape[1]} labels, from 0.")
    else:
        slices = [Slice(f"class {one}", labels[:, one] == 1) for one in classes]
    return [(SingleSliceSpec(SlicingFeature.CLASS, one), slice) for one, slice in zip(classes, slices, strict=True)]


def _custom_slices(data: AttackInputData, spec: SlicingSpec) -> list[tuple[SingleSliceSpec, Slice]]:
    found = []
    names = spec.custom_slices_names
    for column, sides in enumerate(zip(*spec.custom_columns, strict=True)):
        train, test = (np.asarray(side) for side in sides)
        if (len(train), len(test)) != (data.get_train_size(), data.get_test_size()):
            raise ValueError(
                f"custom indices have {len(train)} and {len(test)} numbers for {data.get_train_size()} train and "
                f"{data.get_test_size()} test records; give one number a record."
            )
        groups = [group.item() for group in np.intersect1d(train, test)]
        unnamed = [group for group in groups if names is not None and group not in names]
        if unnamed:
            raise ValueError(f"custom_slices_names has no name for group {unnamed[0]!r}; name every group, or none.")
        for group, slice in zip(groups, by_column("group", np.concatenate([train, test]), groups), strict=True):
            value = CustomGroup(column, group, None if names is None else names[group])
            found.append((SingleSliceSpec(SlicingFeature.CUSTOM, value), Slice(value.name or slice.name, slice.rows)))
    return found

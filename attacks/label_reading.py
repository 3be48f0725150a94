"""Labels as a loss takes them, read as class numbers, or refused in one sentence."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from .model_loss import ModelLoss

# Keras' own losses whose labels have another shape than the outputs.
_OTHER_SHAPES = ("ctc", "categorical_generalized_cross_entropy")


def class_labels(
    kind: str, loss: ModelLoss, y: NDArray[Any], shape: tuple[int | None, ...]
) -> tuple[NDArray[np.int64], bool]:
    """The class each record (or each of its positions) belongs to, and whether labels are distributions.

    Args:
      kind: "categorical", "binary" or "multi_label"; see `Head`.
      loss: the output's loss.
      y: labels [n, ...].
      shape: of one record's output: (positions..., classes).
    Returns:
      int[n, positions...], with a last axis of labels for "multi_label"; True if labels are soft.
    Raises:
      ValueError: if labels and output do not fit each other.
    """
    if y.dtype.kind not in "iubf":
        raise ValueError(f"labels have dtype {y.dtype}; give class numbers or one-hot rows.")
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        raise ValueError(f"labels are NaN or infinite in {int((~np.isfinite(y)).sum())} places; clean them first.")
    *positions, width = shape
    if kind == "categorical":
        if width is None or width < 2:
            raise ValueError(
                "the model has one output class, so every record gets it; use a sigmoid, or two classes or more."
            )
        return _categorical_labels(loss, y, tuple(positions), width)
    without_last = width == 1 and _fits(y.shape[1:], tuple(positions))
    if not without_last and not _fits(y.shape[1:], shape):
        raise ValueError(f"labels have shape {y.shape}, outputs {(len(y), *shape)}; give one 0/1 label an output.")
    if y.min() < 0 or y.max() > 1:
        raise ValueError(f"labels range from {y.min()} to {y.max()}, but {loss.name!r} wants them in [0, 1].")
    labels = np.rint(y).astype(np.int64)
    soft = bool((labels != y).any())
    return (labels if kind == "multi_label" or without_last else labels[..., 0]), soft


def check_targets(loss: ModelLoss, shape: Any, y: NDArray[Any]) -> None:
    """Refuses targets that a loss cannot compare with outputs of this shape.

    Raises:
      ValueError: saying why.
    """
    if y.dtype.kind not in "iubf":
        raise ValueError(f"targets have dtype {y.dtype}; give numbers.")
    if y.dtype.kind == "f" and not np.isfinite(y).all():
        raise ValueError(f"targets are NaN or infinite in {int((~np.isfinite(y)).sum())} places; clean them first.")
    ours, theirs = [tuple(axis for axis in axes if axis != 1) for axes in (y.shape[1:], tuple(shape)[1:])]
    # A loss of the user's may well compare targets with outputs of another shape (quantiles, a mean and a variance).
    if loss.keras_own and loss.family != "categorical" and loss.name not in _OTHER_SHAPES and not _fits(ours, theirs):
        raise ValueError(
            f"labels have shape {y.shape[1:]} a record, outputs {tuple(shape)[1:]}; give targets of the outputs' shape."
        )


def names_classes(y: NDArray[Any], width: int) -> bool:
    """True for one class number a record, or one row of `width` shares."""
    if y.shape == (len(y), width):
        return width > 1 and bool((y >= 0).all())
    return y.size == len(y) and bool(np.isin(y, np.arange(width)).all())


def _categorical_labels(
    loss: ModelLoss, y: NDArray[Any], positions: tuple[int | None, ...], width: int
) -> tuple[NDArray[np.int64], bool]:
    ours = y.shape[1:]
    one_number = _fits(ours, positions) or _fits(ours, (*positions, 1)) or (not positions and int(np.prod(ours)) == 1)
    if one_number and loss.sparse is not False:
        numbers = y.reshape(len(y), *ours[: len(positions)])
        ignored = np.zeros(numbers.shape, bool) if loss.ignore_class is None else numbers == loss.ignore_class
        classes = np.where(ignored, 0, numbers).astype(np.int64)
        wrong = ((classes != numbers) & ~ignored) | (classes < 0) | (classes >= width)
        if wrong.any():
            raise ValueError(
                f"labels out of range in {int(wrong.reshape(len(y), -1).any(axis=1).sum())} audited records (first: "
                f"{numbers[wrong][0]}); the model has {width} classes, so give whole numbers from 0 to {width - 1}."
            )
        return classes, False
    expected = (len(y), *positions)
    if not _fits(ours, (*positions, width)) or loss.sparse:
        wanted = f"class numbers of shape {expected}" if loss.sparse else f"one-hot rows of shape {(*expected, width)}"
        raise ValueError(f"labels have shape {y.shape}, but {loss.name!r} on {width} classes wants {wanted}.")
    if y.min() < 0:
        raise ValueError(f"labels go down to {y.min()}; one-hot rows hold no negative entries.")
    labels = y.argmax(axis=-1)
    one_hot = np.arange(width) == labels[..., None]
    return labels.astype(np.int64), not np.array_equal(y.astype(np.float64), one_hot.astype(np.float64))


def _fits(shape: tuple[int, ...], wanted: tuple[int | None, ...]) -> bool:
    """True for equal shapes; an axis of unknown length fits any."""
    return len(shape) == len(wanted) and all(theirs in (None, ours) for ours, theirs in zip(shape, wanted, strict=True))

"""What arrays of answers and labels mean: of which kind they are, as logits in float64, or why they cannot be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .number_arrays import as_numbers

LOSS_FUNCTIONS = ("cross_entropy", "squared")
_ROUNDING = 1e-2  # of sums of probabilities in half precision
_MOST_CLASSES = 2**53  # labels beyond are no class numbers, whatever they are


@dataclass(frozen=True, eq=False)
class Answers:
    """A model's answers and the labels beside them, checked.

    Attributes:
      kind: "categorical", "binary", "multi_label", "targets", or "unknown" without answers.
      logits: float[n, c] for "categorical", [n] for "binary", [n, labels] for "multi_label", [n, d] answers for "targets";
        None without answers.
      labels: int[n] class numbers, int[n, labels] for "multi_label"; None where unknown.
      targets: float[n, d] for "targets", else None.
    """

    kind: str
    logits: NDArray[np.float64] | None
    labels: NDArray[np.int64] | None
    targets: NDArray[np.float64] | None = None

    @classmethod
    def read(
        cls,
        labels: ArrayLike | None,
        *,
        logits: ArrayLike | None = None,
        probs: ArrayLike | None = None,
        loss_function: str = "cross_entropy",
        multi_label: bool | None = None,
    ) -> Answers:
        """See `signals_from_arrays`, which takes the same arguments.

        Raises:
          ValueError: see there.
        """
        if loss_function not in LOSS_FUNCTIONS:
            raise ValueError(f"loss_function is {loss_function!r}; give one of {', '.join(LOSS_FUNCTIONS)}.")
        if logits is not None and probs is not None:
            raise ValueError("logits and probs are both given; give one of them, logits where you have them.")
        name, given = ("logits", logits) if logits is not None else ("probs", probs)
        numbers = None if given is None else as_numbers(given, name)
        outputs = None if numbers is None else _outputs(numbers, name)
        known = None if labels is None else _labels(labels)
        if outputs is not None and known is not None and len(outputs) != len(known):
            raise ValueError(f"{len(known)} labels were given for {len(outputs)} answers; give one a record.")
        if loss_function == "squared" and outputs is not None:
            return _targets(outputs, known)
        classes = None if outputs is None else outputs.shape[1]
        kind, read = _kind(known, classes, multi_label)
        if outputs is None or numbers is None:
            return cls(kind, None, read)
        values = outputs if logits is not None else _as_logits(outputs, kind, numbers.dtype)
        return cls(kind, values[:, 0] if kind == "binary" else values, read)

    def class_logits(self) -> NDArray[np.float64]:
        """float[..., c]: a logit z of a binary or multi-label head as the two-class head (0, z) that it amounts to.

        Raises:
          ValueError: without answers.
        """
        if self.logits is None:
            raise ValueError("there are no answers; give logits or probs.")
        if self.kind == "categorical":
            return self.logits
        return np.stack([np.zeros_like(self.logits), self.logits], axis=-1)

    @property
    def records(self) -> int | None:
        """How many there are; None if neither answers nor labels are known."""
        return next((len(known) for known in (self.logits, self.labels) if known is not None), None)


def _outputs(numbers: NDArray[Any], name: str) -> NDArray[np.float64]:
    """float[n, c], checked; a single column stays one."""
    outputs = numbers.astype(np.float64, copy=False)
    if outputs.ndim not in (1, 2) or outputs.shape[-1:] == (0,):
        raise ValueError(f"{name} has shape {outputs.shape}; give (records, classes), or (records,) of a binary head.")
    outputs = outputs[:, None] if outputs.ndim == 1 else outputs
    unusable = np.isnan(outputs) | (outputs == np.inf)
    if unusable.any() or (len(outputs) and np.max(outputs, axis=1).min() == -np.inf):
        raise ValueError(
            f"{name} is NaN or infinite for {int((unusable | (outputs == -np.inf)).any(axis=1).sum())} records; "
            "every record needs a finite answer."
        )
    return outputs


def _labels(given: ArrayLike) -> NDArray[Any]:
    """Labels [n] or [n, k > 1] as numbers without NaN."""
    known = as_numbers(given, "labels", "give class numbers or 0/1 rows")
    if known.ndim not in (1, 2):
        raise ValueError(f"labels have shape {known.shape}; give (records,), (records, 1) or (records, classes).")
    if known.dtype.kind == "f" and not np.isfinite(known).all():
        raise ValueError(f"labels are NaN or infinite in {int((~np.isfinite(known)).sum())} places; clean them first.")
    return known[:, 0] if known.ndim == 2 and known.shape[1] == 1 else known


def _kind(
    labels: NDArray[Any] | None, classes: int | None, multi_label: bool | None
) -> tuple[str, NDArray[np.int64] | None]:
    """The kind, and the labels as class numbers [n] or, of independent labels, 0/1 [n, labels]."""
    unread = "unknown" if classes is None else "binary" if classes == 1 else "categorical"
    if labels is None:
        return ("multi_label" if multi_label and classes != 1 else unread), None
    whole = np.rint(np.clip(labels.astype(np.float64), -_MOST_CLASSES, _MOST_CLASSES)).astype(np.int64)
    if (whole != labels).any():
        raise ValueError(f"labels hold {labels[whole != labels][0]:g}; give whole class numbers, or 0/1 rows.")
    if labels.ndim == 2:
        if classes not in (None, labels.shape[1]):
            raise ValueError(
                f"labels have shape {labels.shape}, answers {classes} columns; give one 0/1 label a column."
            )
        if not np.isin(whole, (0, 1)).all():
            raise ValueError("rows of labels hold values other than 0 and 1; give one-hot or multi-hot rows.")
        one_hot = bool((whole.sum(axis=1) == 1).all())
        if multi_label or (multi_label is None and not one_hot):
            return "multi_label" if classes is not None else "unknown", whole
        if not one_hot:
            raise ValueError("rows of labels hold several 1s, or none, where one class a record was said to be.")
        return unread, whole.argmax(axis=1)
    if multi_label:
        raise ValueError(f"labels have shape {labels.shape}; a multi-label model needs 0/1 rows (records, labels).")
    highest = None if classes is None else max(classes, 2)
    wrong = (whole < 0) | (False if highest is None else whole >= highest)
    if np.any(wrong):
        limits = "0 up" if highest is None else f"0 to {highest - 1}"
        raise ValueError(
            f"labels out of range in {int(np.sum(wrong))} records (first: {whole[wrong][0]}); give class numbers from {limits}."
        )
    return unread, whole


def _targets(outputs: NDArray[np.float64], known: NDArray[Any] | None) -> Answers:
    if known is None:
        raise ValueError(
            "loss_function is 'squared', but there are no labels to compare the answers with; give labels."
        )
    targets = (known[:, None] if known.ndim == 1 else known).astype(np.float64)
    if targets.shape != outputs.shape:
        raise ValueError(
            f"labels have shape {known.shape}, answers {outputs.shape}; give targets of the answers' shape."
        )
    return Answers("targets", outputs, None, targets)


def _as_logits(probs: NDArray[np.float64], kind: str, given: Any) -> NDArray[np.float64]:
    """Logits that stand for these probabilities: log p, or log p − log(1 − p) where labels are independent."""
    if probs.size and (probs.min() < -_ROUNDING or probs.max() > 1 + _ROUNDING):
        raise ValueError(f"probs range from {probs.min():g} to {probs.max():g}; if they are logits, give them as such.")
    # What is exactly 0 underflowed in the type that it came in.
    wide = given.kind != "f" or given.itemsize > 4
    tiny = float(np.finfo(np.float64 if wide else np.float32).tiny)
    logs = np.log(np.maximum(probs, tiny))
    if kind != "categorical":
        return logs - np.log(np.maximum(1 - probs, tiny))
    sums = probs.sum(axis=1)
    if sums.size and np.abs(sums - 1).max() > _ROUNDING:
        raise ValueError(
            f"rows of probs sum to between {sums.min():.3g} and {sums.max():.3g}, not to 1; give softmax outputs, logits, "
            "or losses of your own."
        )
    return logs

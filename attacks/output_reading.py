"""A model's outputs, labels and losses brought together: what `SignalPass` knows of a model after one look."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from .gradient_norm import gradient_norm, last_layer_input
from .head import Head, activation_behind, read_head
from .model_call import ModelCall
from .model_loss import ModelLoss, read_loss
from .model_outputs import OutputPart, parts_of, picked
from .record_arrays import Records, as_arrays
from .said import said
from .summed_head import SummedHead

_RECORDS_TRIED = 16
FINE, NOT_FINITE, NO_POSITION, NO_PROBABILITIES = 1.0, 0.0, 2.0, 3.0
_COMPARES = (
    ": it compares the records of a batch with each other and has no meaning for one record; give the audit another with "
    "loss=."
)
_SLOW = "so it is asked about one record at a time, which is slow; loss= gives the audit another, every= fewer audits."


class NonFiniteOutputs(ValueError):
    """The model's outputs on the audited records are NaN or infinite."""


@dataclass(frozen=True)
class OutputReading:
    """How to get signals from what one model answers about certain records.

    Attributes:
      parts: the outputs that are read.
      head: of the one output, or of the sum of several.
      records: the records that it was made for, as tensors.
    """

    parts: tuple[OutputPart, ...]
    head: Head | SummedHead
    records: Records

    @classmethod
    def of(cls, model: Any, outputs: Any, records: Records, loss: Any, output: str | int | None) -> OutputReading:
        """Looks at symbolic outputs in the graph that made them.

        Raises:
          ValueError: if outputs, labels and losses do not fit each other.
        """
        y = as_arrays(records.y)
        if loss is None and output is None and _has_own_loss(model):
            parts, head = _head_of_own_loss(model, outputs, y)
            return cls(parts, head, records)
        if loss is None and not getattr(model, "compiled", False):
            raise ValueError("the model is not compiled with a loss; compile it, or give the audit one with loss=.")
        parts = tuple(parts_of(model, outputs, y, loss, output))
        heads = [_head(part, outputs, y) for part in parts]
        if len(heads) == 1:
            return cls(parts, heads[0], records)
        names, weights = tuple(part.name for part in parts), tuple(part.weight for part in parts)
        return cls(parts, SummedHead(names, tuple(heads), weights), records)

    @property
    def name(self) -> str:
        """Of the outputs that are read, for messages."""
        return " + ".join(part.name for part in self.parts) or "loss"

    @property
    def inputs(self) -> tuple[Any, ...]:
        """Tensors: x, y, the heads' labels, weights; what `compute` and `condition` take, rows of them."""
        count = len(self.records)
        known = self.head.label_arrays if isinstance(self.head, SummedHead) else (self.head.labels,)
        labels = [tf.zeros(count, tf.int64) if array is None else tf.convert_to_tensor(array) for array in known]
        return self.records.x, self.records.y, tuple(labels), self.records.weights

    def compute(self, name: str, outputs: Any, y: Any, labels: tuple[Any, ...], weights: Any) -> Any:
        """float64[n] in a graph: the named signal."""
        if name == "gradient_norm":
            assert isinstance(self.head, Head)
            loss = self.compute("loss", outputs, y, labels, weights)
            return gradient_norm(loss, self.head.layer_input(self._picked(outputs, y, weights)[0]))
        outputs, y, weights = self._picked(outputs, y, weights)
        valid = self.head.valid_positions(outputs, y, weights)
        return self.head.compute(name, outputs, y, labels if isinstance(self.head, SummedHead) else labels[0], valid)

    def last_layer_input(self, outputs: Any, count: int) -> Any:
        """[count, d] in a graph: what the last layer of a classifier reads of so many records, flattened.

        Raises:
          ValueError: if there are several outputs or positions, no classes, or no such layer.
        """
        head = self.head
        if not isinstance(head, Head) or head.kind not in ("categorical", "binary") or head.labels is None:
            raise ValueError(
                f"the features of a last layer are those of a classifier with one output, this model's head is of kind "
                f"{head.kind!r}; choose one output with output=, or leave out the attack that reads them."
            )
        if head.labels.ndim > 1:
            raise ValueError(
                "the features of a last layer are read where a record has one class, and here each position (token, pixel) "
                "has one; leave out the attack that reads them."
            )
        _, logits = activation_behind(picked(outputs, self.parts[0].place))
        found = last_layer_input(logits, "features='last_layer'", "features='inputs'")
        return tf.reshape(found, [count, -1])  # a layer on positions folds them into the first axis

    def condition(self, outputs: Any, y: Any, labels: tuple[Any, ...], weights: Any) -> Any:
        """float64[n] in a graph: one of `FINE`, `NOT_FINITE`, `NO_POSITION`, `NO_PROBABILITIES` a record."""
        if not self.parts:
            outputs = tf.nest.flatten(outputs)
            return _told(tf.reduce_all([_finite(one, None) for one in outputs], axis=0), NOT_FINITE)
        outputs, y, weights = self._picked(outputs, y, weights)
        valid = self.head.valid_positions(outputs, y, weights)
        if isinstance(self.head, SummedHead):
            each = [_finite(one, mask) for one, mask in zip(outputs, valid, strict=True)]
            read = [head.believable(one) for head, one in zip(self.head.heads, outputs, strict=True)]
            return _told(tf.reduce_all(each, axis=0), NOT_FINITE, tf.reduce_all(read, axis=0), NO_PROBABILITIES)
        fine = _told(_finite(outputs, valid), NOT_FINITE, self.head.believable(outputs), NO_PROBABILITIES)
        if valid is None:
            return fine
        some = tf.reduce_any(tf.reshape(valid, [tf.shape(valid)[0], -1]), axis=1)
        return tf.where(some, fine, NO_POSITION * tf.ones_like(fine))

    def tried(self, call: ModelCall) -> tuple[list[str], list[str]]:
        """Tries losses that Keras does not know, on a few records: does each record have a value of its own?

        Returns:
          Remarks for the user (what takes long), notes for the reports.
        Raises:
          ValueError: if a loss fails, or compares records with each other.
        """
        heads = self.head.heads if isinstance(self.head, SummedHead) else (self.head,)
        pairs = [] if self.head.by_model else zip(self.parts, heads, strict=True)
        unknown = [(part, head.loss) for part, head in pairs if not _known(head)]
        if not self.head.by_model and not unknown:
            return [], []
        count = call.fixed_batch_size or min(_RECORDS_TRIED, len(self.records))
        rows = np.arange(count) % len(self.records)
        x, y, weights = tf.nest.map_structure(lambda leaf: tf.gather(leaf, rows), tuple(self.records))
        if self.head.by_model:

            def together_and_alone() -> Any:
                return call.own_loss(x, y, weights), call.own_losses(x, y, weights)

            whole, alone = tf.function(together_and_alone, autograph=False)()
            return [f"compute_loss gives one number a batch, {_SLOW}"], _notes_on(
                "compute_loss", float(whole), alone.numpy()
            )
        outputs, remarks, notes = call(x), [], []
        for part, loss in unknown:
            labels, output = picked(y, part.label_place), picked(outputs, part.place)
            notes += _try(loss, labels, tf.cast(output, tf.float32) if output.dtype.size < 4 else output)
            if loss.reduces:
                remarks.append(f"loss {loss.name!r} gives one number a batch, {_SLOW}")
        return remarks, notes

    def _picked(self, outputs: Any, y: Any, weights: Any) -> tuple[Any, Any, Any]:
        def each(nest: Any, places: list[Any]) -> Any:
            found = tuple(picked(nest, place) for place in places)
            return found if isinstance(self.head, SummedHead) else found[0]

        places, label_places = [part.place for part in self.parts], [part.label_place for part in self.parts]
        return each(outputs, places), each(y, label_places), each(weights, label_places)


def _told(fine: Any, otherwise: float, further: Any = None, then: float = 0.0) -> Any:
    """float64[n]: `FINE` where all is, else the first code that applies."""
    codes = tf.where(fine, tf.constant(FINE, tf.float64), tf.constant(otherwise, tf.float64))
    return codes if further is None else tf.where(fine & ~further, tf.constant(then, tf.float64), codes)


def _has_own_loss(model: Any) -> bool:
    """True if only `compute_loss` knows what training minimises."""
    overrides = type(model).compute_loss is not keras.Model.compute_loss
    return overrides or (getattr(model, "compiled", False) and model.loss is None)


def _head_of_own_loss(model: Any, outputs: Any, y: Any) -> tuple[tuple[OutputPart, ...], Head]:
    """The signals of the compiled loss, where there is one for the only output; the loss signal is the model's."""
    note = "loss is what compute_loss gives for each record alone, with whatever it adds (regularisers, say)."
    parts: tuple[OutputPart, ...] = ()
    try:
        (part,) = parts_of(model, outputs, y)
        parts, head = (part,), _head(part, outputs, y)
    except ValueError:
        nothing = ModelLoss("compute_loss", "other", False, False, None, False, None, lambda y, outputs: outputs)
        head = Head("loss_only", "logits", nothing, None, False, False, ())
    return parts, replace(head, by_model=True, notes=(note, *head.notes))


def _head(part: OutputPart, outputs: Any, y: Any) -> Head:
    output, labels = picked(outputs, part.place), picked(y, part.label_place)
    return read_head(output, read_loss(part.loss, labels.shape, tuple(output.shape)), labels)


def _finite(outputs: Any, valid: Any) -> Any:
    """bool[n]: are a record's outputs finite, where they count?"""
    finite = tf.math.is_finite(outputs) if outputs.dtype.is_floating else tf.ones_like(outputs, tf.bool)
    if valid is not None:
        for _ in range(finite.shape.rank - valid.shape.rank):
            valid = valid[..., None]
        finite = finite | ~valid
    return tf.reduce_all(tf.reshape(finite, [tf.shape(finite)[0], -1]), axis=1)


def _known(head: Head) -> bool:
    """True for Keras' own losses that have a value for each record."""
    return head.stable or (head.loss.keras_own and not head.loss.reduces)


def _try(loss: ModelLoss, y: Any, outputs: Any) -> list[str]:
    """Notes on a loss of which little is known.

    Raises:
      ValueError: if it fails, or compares records with each other.
    """
    try:
        whole = loss.of_batch(y, outputs)
        together = loss.per_record(y, outputs).numpy()
        each = [loss.per_record(y[row : row + 1], outputs[row : row + 1]).numpy() for row in range(len(together))]
    except Exception as reason:
        raise ValueError(f"loss {loss.name!r} fails on the audited records: {said(reason)}") from reason
    alone = np.concatenate(each)
    if loss.reduces:
        return _notes_on(f"loss {loss.name!r}", whole, alone)
    if not np.isfinite(together).any():
        raise ValueError(
            f"loss {loss.name!r} is NaN or infinite on the audited records; look at inputs, labels and the loss."
        )
    if not np.allclose(together, alone, rtol=1e-3, atol=1e-5, equal_nan=True):
        raise ValueError(
            f"loss {loss.name!r} gives a record another value when other records stand beside it{_COMPARES}"
        )
    return []


def _notes_on(name: str, whole: float, alone: NDArray[np.float64]) -> list[str]:
    """A note where a number a batch is not the mean over its records.

    Raises:
      ValueError: if it says nothing about a record alone.
    """
    if not np.isfinite(whole) and not np.isfinite(alone).all():
        raise ValueError(f"{name} is NaN or infinite on the audited records; look at inputs, labels and the loss.")
    if not np.isfinite(alone).all():
        raise ValueError(f"{name} is NaN or infinite for one record alone{_COMPARES}")
    if np.isclose(whole, alone.mean(), rtol=1e-3, atol=1e-6):
        return []
    if len(alone) > 1 and np.ptp(alone) <= 1e-6 * max(1.0, abs(whole)):
        raise ValueError(f"{name} gives {alone[0]:.4g} for every record alone{_COMPARES}")
    return [f"{name} of several records is not the mean of theirs: what it says of records together is not audited."]

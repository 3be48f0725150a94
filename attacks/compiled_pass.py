"""From resident records to signals: one model, one graph, traced once, whatever the number of audits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from .attack import Signals
from .graph_loop import stacked
from .graph_reading import largest_tensor_bytes, written_variables
from .head import Head, read_head
from .model_loss import loss_of
from .record_source import Records

# From about a thousand records a chunk on a forward pass gets no faster (CPU); larger chunks only cost memory.
_RECORDS_PER_CHUNK = 1_000
_CHUNK_BYTES = 512 * 2**20
_TENSORS_AT_ONCE = 3  # of the largest in the graph, alive at the same time


class AskedRecords(Protocol):
    """The records a pass asks about; an `AuditSet` is one.

    Attributes:
      x, y: inputs and labels as a nest of tensors [n, ...].
      population: further records that no model trains on, or None.
    """

    @property
    def x(self) -> Any: ...

    @property
    def y(self) -> Any: ...

    @property
    def population(self) -> Records | None: ...

    def describe(self, rows: NDArray[np.intp]) -> str:
        """Names some of them in a sentence."""


class NonFiniteOutputs(ValueError):
    """The model's outputs on the audited records are NaN or infinite."""


Queries = tuple[Callable[[Any], Any], ...]


class SignalPass:
    """A model's signals on the records of an audit, with the weights of the moment it is asked.

    The model is called in inference mode inside a `keras.StatelessScope`, so that nothing the call would assign (batch
    statistics, seeds of random layers, metrics) reaches the model. `Model.stateless_call` opens the same scope but skips
    `Layer.__call__`, and with it mixed-precision casts and models whose `call` takes no `training` argument.

    Args:
      model: a built Keras model with one output.
      records: what to ask about, an `AuditSet` for instance.
      loss: anything `compile(loss=)` takes; None = the model's own.
      batch_size: the most records in one forward pass; None = about a thousand, fewer where activations would need much memory.
    Attributes:
      head: how the model's outputs are read.
      traces: how often the model's Python code ran: once to look at its head, once for the pass (and as
        often again for a population, if an attack needs one).
    Raises:
      TypeError: if the model is not a Keras 3 model on the TensorFlow backend.
      ValueError: if it has no weights yet, does not take the records, has several outputs or no loss, or if its head and
        the labels do not fit each other.
    """

    def __init__(self, model: Any, records: AskedRecords, loss: Any = None, batch_size: int | None = None) -> None:
        check_model(model)
        if not model.built:
            raise ValueError("the model has no weights yet; call it on one batch first, or fit it.")
        self.model = model
        self.traces = 0
        self._asked = records
        self._loss = loss
        self._graphs: dict[Any, Callable[..., Any]] = {}
        self.head, memory = self._look_at_head(records.x, records.y)
        self._batch_size = batch_size or max(1, _CHUNK_BYTES // (_TENSORS_AT_ONCE * memory))
        self._audited = _with_labels(Records(records.x, records.y), self.head)
        self._population: tuple[Any, Any, Any] | None = None

    def signals(self, names: tuple[str, ...], queries: Queries = ()) -> Signals:
        """The named signals of the audited records, float64[n, q] each.

        Args:
          names: of signals.
          queries: functions of a batch of inputs, each asked instead of the records themselves; none = the records, q = 1.
        Raises:
          NonFiniteOutputs: if outputs are NaN or infinite.
          ValueError: if a name does not fit the head, or a query cannot be asked.
        """
        return self._run(names, queries, self._audited, lambda rows: f"for {self._asked.describe(rows)}")

    def population_signals(self, names: tuple[str, ...], queries: Queries = ()) -> Signals:
        """The named signals of the population, float64[z, q] each.

        Raises:
          ValueError: if there is none, or as `signals`.
        """
        records = self._asked.population
        if records is None:
            raise ValueError("the attack needs records that no model trained on; give some with population=.")
        if self._population is None:
            head, _ = self._look_at_head(records.x, records.y)
            self._population = _with_labels(records, head)
        return self._run(names, queries, self._population, lambda rows: f"for {len(rows)} population records")

    def _look_at_head(self, x: Any, y: Any) -> tuple[Head, int]:
        """Traces the model once, without running it: how to read its outputs, and the bytes a record takes."""
        found: list[Head] = []
        labels = y.numpy()

        def look(inputs: Any) -> Any:
            outputs = self._outputs(inputs)
            loss = loss_of(self.model, self._loss, labels.shape, tuple(outputs.shape))
            found.append(read_head(outputs, loss, labels))
            return outputs

        specs = tf.nest.map_structure(lambda leaf: tf.TensorSpec((None, *leaf.shape[1:]), leaf.dtype), x)
        traced = tf.function(look, autograph=False).get_concrete_function(specs)
        written = written_variables(traced)
        if written:
            raise ValueError(
                f"the model writes tf.Variables when it is called ({', '.join(written[:3])}), so asking it would change it; "
                "keep such state in Keras variables (self.add_weight), or give the audit a model without."
            )
        return found[-1], largest_tensor_bytes(traced)

    def _run(
        self, names: tuple[str, ...], queries: Queries, records: Any, describe: Callable[[NDArray[np.intp]], str]
    ) -> Signals:
        unfit = [name for name in names if name not in self.head.signals]
        if unfit:
            raise ValueError(
                f"signal {unfit[0]!r} does not fit this model's head ({self.head.kind}); it has {', '.join(self.head.signals)}."
            )
        count = int(records[2].shape[0])
        key = names, queries, count
        if key not in self._graphs:
            self._graphs[key] = self._graph(names, queries, count, records)
        try:
            chunks = self._graphs[key](*records).numpy()
        except tf.errors.OpError as reason:
            raise ValueError(f"the model fails on the audited records: {reason.message}") from reason
        # The last chunk holds the last rows of the set: drop what the chunk before it has already answered.
        overlap = chunks.shape[0] * chunks.shape[3] - count
        rows = np.concatenate([*chunks[:-1], chunks[-1][:, :, overlap:]], axis=2)
        bad = np.flatnonzero((rows[-1] == 0).any(axis=0))
        if bad.size:
            output = _output_name(self.model)
            raise NonFiniteOutputs(f"the model's output {output!r} is NaN or infinite {describe(bad)}.")
        return Signals({name: row.T for name, row in zip(names, rows, strict=False)})

    def _graph(self, names: tuple[str, ...], queries: Queries, count: int, records: Any) -> Callable[..., Any]:
        """float64[chunks, names + 1, queries, records in a chunk]; the last row is 1 for finite outputs."""
        chunk = _chunk_size(count, self._batch_size)
        starts = [*range(0, count - chunk, chunk), count - chunk]

        width = max(1, len(queries))

        def answer(x: Any, y: Any, labels: Any) -> Any:
            outputs = self._outputs(x)
            rows = [self.head.compute(name, outputs, y, labels) for name in names]
            finite = tf.reshape(tf.math.is_finite(outputs), [chunk, -1])
            rows.append(tf.cast(tf.reduce_all(finite, axis=1), tf.float64))
            return tf.ensure_shape(tf.stack(rows), (len(names) + 1, chunk))

        def answers(x: Any, y: Any, labels: Any) -> Any:
            if not queries:
                return answer(x, y, labels)[:, None]
            found: list[Any] = []
            for query in queries:
                with tf.control_dependencies(found[-1:]):  # one after the other: memory holds one
                    found.append(answer(_altered(query, x), y, labels))
            return tf.stack(found, axis=1)

        def run(x: Any, y: Any, labels: Any) -> Any:
            if len(starts) == 1:
                return answers(x, y, labels)[None]
            first_rows = tf.constant(starts)

            def one_chunk(index: Any) -> Any:
                return answers(
                    *tf.nest.map_structure(lambda leaf: _rows(leaf, first_rows[index], chunk), (x, y, labels))
                )

            return stacked(one_chunk, len(starts), (len(names) + 1, width, chunk))

        # A concrete function stays a graph even under tf.config.run_functions_eagerly. Keras 3 calls layers without
        # autograph, so a model that can be fitted needs none here.
        return tf.function(run, autograph=False).get_concrete_function(*records)

    def _outputs(self, x: Any) -> Any:
        self.traces += 1
        try:
            with keras.StatelessScope():
                outputs = tf.nest.flatten(self.model(x, training=False))
        except Exception as reason:
            raise ValueError(
                f"the model cannot be called on the audited records in a graph: {type(reason).__name__}: {reason}"
            ) from reason
        if len(outputs) != 1:
            raise ValueError(
                f"the model has {len(outputs)} outputs; an audit reads one. Give it a model with that output alone."
            )
        return outputs[0]


def _altered(query: Callable[[Any], Any], x: Any) -> Any:
    """The inputs as this query wants them asked."""
    try:
        altered = tf.nest.map_structure(tf.convert_to_tensor, query(x))
        tf.nest.assert_same_structure(altered, x)
    except Exception as reason:
        raise ValueError(f"a query cannot be asked: {type(reason).__name__}: {reason}") from reason
    for given, wanted in zip(tf.nest.flatten(altered), tf.nest.flatten(x), strict=True):
        if not given.shape.is_compatible_with(wanted.shape):
            raise ValueError(
                f"a query makes inputs of shape {wanted.shape} into {given.shape}; it must keep records and their shape."
            )
    return altered


def check_model(model: Any) -> None:
    """Refuses what is not a Keras 3 model on TensorFlow.

    Raises:
      TypeError: saying what came and what to do.
    """
    if not isinstance(model, keras.Model):
        raise TypeError(
            f"the model is a {type(model).__module__}.{type(model).__name__}; "
            "audits need a keras.Model of Keras 3 (not tf_keras)."
        )
    if keras.config.backend() != "tensorflow":
        raise TypeError(f"Keras runs on {keras.config.backend()!r}; audits need the backend 'tensorflow'.")


def _output_name(model: Any) -> str:
    if isinstance(model, keras.Sequential):
        return model.layers[-1].name
    return (getattr(model, "output_names", None) or [model.name])[0]


def build_model(model: Any, x: Any) -> None:
    """Gives a model that has not been called yet its weights, the very ones that its first call in `fit` would make.

    The call is symbolic: nothing runs, and no random layer advances its seed.

    Args:
      model: a Keras model.
      x: a nest of tensors [n, ...] such as it takes.
    Raises:
      ValueError: if it cannot be called on them.
    """
    if model.built:
        return
    try:
        model(tf.nest.map_structure(lambda leaf: keras.KerasTensor((None, *leaf.shape[1:]), leaf.dtype.name), x))
    except Exception as reason:
        raise ValueError(
            f"the model has no weights yet and cannot be called on the audited records: {type(reason).__name__}: {reason}"
        ) from reason


def _with_labels(records: Records, head: Head) -> tuple[Any, Any, Any]:
    labels = np.zeros(len(records), np.int64) if head.labels is None else head.labels
    return records.x, records.y, tf.convert_to_tensor(labels)


def _rows(leaf: Any, start: Any, count: int) -> Any:
    rest = leaf.shape[1:]
    return tf.slice(leaf, tf.concat([[start], tf.zeros(len(rest), tf.int32)], 0), [count, *rest])


def _chunk_size(count: int, most: int) -> int:
    """Records in a chunk: as equal as can be, at least a thousand where memory and the number of records allow."""
    chunks = max(1, count // _RECORDS_PER_CHUNK)
    chunks = max(chunks, -(-count // most))
    return -(-count // chunks)

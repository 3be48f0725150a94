"""From resident records to signals: one model, one graph, traced once, whatever the number of audits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from .asked_queries import Further, PointQueries, Queries, answers_to, has_points, missing, width_of
from .attack import Signals
from .compressed_size import compressed_sizes
from .gradient_norm import weights_gradient_norm
from .graph_loop import stacked
from .graph_reading import largest_tensor_bytes, written_variables
from .head import fits, signals_listed
from .last_layer_inputs import LastLayerInputs
from .model_call import ModelCall
from .model_checks import check_model
from .output_reading import FINE, NO_POSITION, NO_PROBABILITIES, NonFiniteOutputs, OutputReading
from .over_replicas import replicas_of, share_size, spread
from .record_arrays import Records, resident, rows_of, spec_of
from .said import said

# From about a thousand records a chunk on a forward pass gets no faster (CPU); larger chunks only cost memory.
_RECORDS_PER_CHUNK = 1_000
_CHUNK_BYTES = 512 * 2**20
_ADDED = "losses that layers add (add_loss, activity regularisers) are left out of the loss signal."
_TENSORS_AT_ONCE = 3  # of the largest in the graph, alive at the same time


class AskedRecords(Protocol):
    """The records a pass asks about; an `AuditSet` is one.

    Attributes:
      x, y: inputs and labels as nests of tensors [n, ...].
      weights: of each position (token, pixel) of a record, as such a nest; () = none.
      population: further records that no model trains on, or None.
    """

    @property
    def x(self) -> Any: ...

    @property
    def y(self) -> Any: ...

    @property
    def weights(self) -> Any: ...

    @property
    def population(self) -> Records | None: ...

    def describe(self, rows: NDArray[np.intp]) -> str:
        """Names some of them in a sentence."""


class SignalPass:
    """A model's signals on the records of an audit, with the weights of the moment it is asked.

    The model is called in inference mode and whatever the call would assign is dropped; see `ModelCall`.

    Args:
      model: a built Keras model.
      records: what to ask about, an `AuditSet` for instance.
      loss: anything `compile(loss=)` takes; None = the model's own.
      batch_size: the most records in one forward pass; None = about a thousand, fewer where activations would need much
        memory. A model whose inputs have a fixed batch size is asked in batches of that.
      output: the name or number of the output to read; None = the only one, or the sum of losses over all.
    Attributes:
      head: how the model's outputs are read.
      output_shapes: of one record's outputs, None where that is open: a nest as the model's outputs are.
      notes: sentences on how the signals are made.
      remarks: sentences for the user, on what takes long.
    Raises:
      TypeError: if the model is not a Keras 3 model on the TensorFlow backend.
      ValueError: if it has no weights yet, does not take the records, or has no loss, or if its head and the labels do not
        fit each other.
    """

    def __init__(
        self,
        model: Any,
        records: AskedRecords,
        loss: Any = None,
        batch_size: int | None = None,
        output: str | int | None = None,
    ) -> None:
        check_model(model)
        if not model.built:
            raise ValueError("the model has no weights yet; call it on one batch first, or fit it.")
        self.model = model
        self._call = ModelCall(model)
        self._asked = records
        self._loss, self._output = loss, output
        self._graphs: dict[Any, Callable[..., Any]] = {}
        self._further: Further = {}
        self._fixed = self._call.fixed_batch_size
        self.output_shapes: Any = None
        reading, memory = self._look(Records(records.x, records.y, records.weights))
        self._reading = reading
        self.head = reading.head
        if self.head.by_model and self._fixed not in (None, 1):
            raise ValueError(
                f"the model takes batches of {self._fixed} only, and its compute_loss must be asked one record at a time; give "
                "the audit a loss with loss=."
            )
        self._batch_size = self._fixed or batch_size or max(1, _CHUNK_BYTES // (_TENSORS_AT_ONCE * memory))
        self._audited = reading.inputs
        adds = self._call.adds_losses and not self.head.by_model
        self.remarks, notes = reading.tried(self._call)
        self.notes = (*self.head.notes, *notes, *([_ADDED] if adds else []))
        self._last_layer: LastLayerInputs | None = None
        self._population: tuple[Any, ...] | None = None
        self._population_head_labels: NDArray[np.int64] | None = None

    @property
    def traces(self) -> int:
        """How often the model's Python code ran: once to look at its head, once for the pass (and as often again for a
        population, if an attack needs one; once more for a loss of the user's, which is tried, and three times more for a
        compute_loss of the model's own)."""
        return self._call.traces

    def signals(self, names: tuple[str, ...], queries: Queries = ()) -> Signals:
        """The named signals of the audited records, float64[n, q] each.

        Args:
          names: of signals.
          queries: functions of a batch of inputs, or `PointQueries`, asked instead of the records themselves, one after the
            other on the query axis; none = the records, q = 1.
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
        return self._run(names, queries, self._population_inputs(), lambda rows: f"for {len(rows)} population records")

    def last_layer_inputs(self) -> NDArray[np.float32]:
        """float32[n, d]: what the model's last layer reads of the audited records.

        It costs one more forward pass, and 4·n·d bytes.

        Raises:
          ValueError: as `LastLayerInputs`.
        """
        if self._last_layer is None:
            count = _count(self._audited)
            chunk = self._fixed or _chunk_size(count, self._batch_size)
            self._last_layer = LastLayerInputs(self._call, self._reading, self._audited[0], count, chunk)
        return self._last_layer()

    @property
    def population_labels(self) -> NDArray[np.int64] | None:
        """The population's labels as `head.labels` are the audited records'; None without classes."""
        self._population_inputs()
        return self._population_head_labels

    def _population_inputs(self) -> tuple[Any, ...]:
        records = self._asked.population
        if records is None:
            raise ValueError("the attack needs records that no model trained on; give some with population=.")
        if self._population is None:
            reading = self._look(records)[0]
            self._population, self._population_head_labels = reading.inputs, reading.head.labels
        return self._population

    def _look(self, records: Records) -> tuple[OutputReading, int]:
        """Traces the model once, without running it: how to read its outputs, and the bytes a record takes."""
        found: list[OutputReading] = []

        def look(inputs: Any) -> Any:
            outputs = self._call(inputs)
            self.output_shapes = tf.nest.map_structure(lambda leaf: tuple(leaf.shape[1:]), outputs)
            found.append(OutputReading.of(self.model, outputs, records, self._loss, self._output))
            return outputs

        specs = tf.nest.map_structure(lambda leaf: spec_of(leaf, self._fixed), records.x)
        traced = tf.function(look, autograph=False).get_concrete_function(specs)
        written = written_variables(traced)
        if written:
            raise ValueError(
                f"the model writes tf.Variables when it is called ({', '.join(written[:3])}), so asking it would change it; "
                "keep such state in Keras variables (self.add_weight), or give the audit a model without."
            )
        return found[-1], max(1, largest_tensor_bytes(traced))

    def _run(
        self,
        names: tuple[str, ...],
        queries: Queries,
        records: tuple[Any, ...],
        describe: Callable[[NDArray[np.intp]], str],
    ) -> Signals:
        unfit = [name for name in names if not fits(self.head, name)]
        if unfit:
            raise ValueError(
                f"signal {unfit[0]!r} does not fit this model's head ({self.head.kind}); it has {signals_listed(self.head)}."
            )
        if "zlib" in names and has_points(queries):
            raise ValueError(
                "signal 'zlib' weighs a record by its own size, not by that of points of a range; take 'min_k'."
            )
        self._refuse_gradients_of_weights(names)
        count, whose = _count(records), records is self._audited
        if self._fixed is not None and count < self._fixed:
            records = tf.nest.map_structure(lambda leaf: tf.gather(leaf, np.arange(self._fixed) % count), records)
        key = names, queries, whose  # a graph is made for its records
        if key not in self._graphs:
            self._graphs[key] = self._graph(names, queries, records)
        try:
            answers = [chunks.numpy() for chunks in self._graphs[key]()]
        except tf.errors.OpError as reason:
            raise ValueError(f"the model fails on the audited records: {said(reason)}") from reason
        size = share_size(count, len(answers))
        rows = _in_a_row(np.stack([_in_a_row(chunks, size) for chunks in answers]), count)
        unread = np.flatnonzero((rows[-1] == NO_PROBABILITIES).any(axis=0))
        if unread.size:
            raise ValueError(
                f"the model's output {self._reading.name!r} is read as probabilities but lies outside of [0, 1] "
                f"{describe(unread)}; compile the loss with from_logits=True, or end the model in a softmax or sigmoid."
            )
        empty = np.flatnonzero((rows[-1] == NO_POSITION).any(axis=0))
        if empty.size:
            raise ValueError(
                f"no position counts {describe(empty)}: a mask, a class to ignore or weights of 0 leave out all of them, so "
                "training learns nothing from such a record; leave it out of the audit."
            )
        bad = np.flatnonzero((rows[-1] != FINE).any(axis=0))
        if bad.size:
            raise NonFiniteOutputs(f"the model's output {self._reading.name!r} is NaN or infinite {describe(bad)}.")
        for name, row in zip(names, rows, strict=False):
            undefined = np.flatnonzero(np.isnan(row).any(axis=0))
            if undefined.size:
                raise ValueError(
                    f"signal {name!r} is NaN {describe(undefined)}, though the outputs are finite: look at the loss."
                )
        found = {name: row.T for name, row in zip(names, rows, strict=False)}
        nothing = missing(queries, count) if whose else None
        if nothing is not None:
            found = {name: np.where(nothing, np.nan, values) for name, values in found.items()}
        if "zlib" in found:
            found["zlib"] = found["zlib"] / compressed_sizes(records[0], records[2][0].numpy())[:count, None]
        return Signals(found)

    def _graph(self, names: tuple[str, ...], queries: Queries, records: tuple[Any, ...]) -> Callable[[], list[Any]]:
        """Asks for float64[chunks, names + 1, queries, records in a chunk], one such tensor a replica.

        The last of the names' rows tells whether an answer is fine. The last chunk holds the last rows of the records, so it
        overlaps with the one before where chunks do not divide them.
        """
        count = count_in_all = _count(records)
        # Keras scales what compute_loss gives by the number of replicas.
        strategy = None if self.head.by_model else replicas_of(self.model, count)
        if strategy is not None:
            count = share_size(count, strategy.num_replicas_in_sync)
        chunk = self._fixed or _chunk_size(count, self._batch_size)
        starts = [*range(0, count - chunk, chunk), count - chunk]
        width = width_of(queries)
        further: Further = {query: self._further_inputs(query) for query in queries if isinstance(query, PointQueries)}
        if has_points(queries):
            records = (*records, tf.range(count_in_all))

        def answer(x: Any, *truth: Any) -> Any:
            outputs = self._call(x)
            rows = [self._signal(name, outputs, x, *truth) for name in names]
            rows.append(self._reading.condition(outputs, *truth))
            return tf.ensure_shape(tf.stack(rows), (len(names) + 1, chunk))

        def answers(*given: Any) -> Any:
            rows = None
            if has_points(queries):
                *given, rows = given  # type: ignore[assignment]
            return answers_to(queries, answer, (len(names) + 1, chunk), given, rows, further)

        def run(*given: Any) -> Any:
            if len(starts) == 1:
                return answers(*given)[None]
            first_rows = tf.constant(starts)

            def one_chunk(index: Any) -> Any:
                return answers(*tf.nest.map_structure(lambda leaf: rows_of(leaf, first_rows[index], chunk), given))

            return stacked(one_chunk, len(starts), (len(names) + 1, width, chunk))

        # A concrete function stays a graph even under tf.config.run_functions_eagerly. Keras 3 calls layers without
        # autograph, so a model that can be fitted needs none here.
        if strategy is not None:
            return spread(strategy, self._call, run, records, count_in_all)
        traced = tf.function(run, autograph=False).get_concrete_function(*records)
        return lambda: [traced(*records)]

    def _further_inputs(self, query: PointQueries) -> tuple[Any, ...]:
        """What the head reads of the records or labels that these queries bring along; () if they bring none."""
        if query.others is None and query.label_values is None:
            return ()
        if query not in self._further:
            brought = query.others
            if brought is None:
                known = len(tf.nest.flatten(query.label_values)[0])
                x, weights = tf.nest.map_structure(
                    lambda leaf: tf.gather(leaf, np.arange(known) % _count(self._audited)),
                    (self._asked.x, self._asked.weights),
                )
                brought = Records(x, query.label_values, weights)
            brought = Records(*tf.nest.map_structure(_tensor, tuple(brought)))
            self._further[query] = self._look(brought)[0].inputs
        return self._further[query]

    def _signal(self, name: str, outputs: Any, x: Any, *truth: Any) -> Any:
        if name == "loss" and self.head.by_model:
            return -self._call.own_losses(x, truth[0], truth[2])
        if name == "weight_gradient_norm":
            return self._weight_gradients(x, *truth)
        return self._reading.compute(name, outputs, *truth)

    def _refuse_gradients_of_weights(self, names: tuple[str, ...]) -> None:
        if "weight_gradient_norm" not in names:
            return
        if not self.model.trainable_variables:
            raise ValueError(
                "weight_gradient_norm asks for the model's trainable weights, and it has none; leave it out."
            )
        if self._fixed not in (None, 1):
            raise ValueError(
                f"the model takes batches of {self._fixed} only, and weight_gradient_norm asks about one record at a time; take "
                "gradient_norm instead."
            )

    def _weight_gradients(self, x: Any, *truth: Any) -> Any:
        """float64[n]: see `weights_gradient_norm`; one record at a time."""

        def of_one(index: Any) -> Any:
            one, *labels = tf.nest.map_structure(lambda leaf: rows_of(leaf, index, 1), (x, *truth))
            with tf.GradientTape() as tape:
                loss = self._reading.compute("loss", self._call(one), *labels)
            return weights_gradient_norm(loss, tape, self.model.trainable_variables)

        return stacked(of_one, tf.shape(tf.nest.flatten(truth)[0])[0], ())


def _tensor(leaf: Any) -> Any:
    return leaf if isinstance(leaf, (tf.Tensor, tf.RaggedTensor)) else resident(leaf)


def _in_a_row(parts: NDArray[np.float64], count: int) -> NDArray[np.float64]:
    """float64[names, queries, records] from [parts, names, queries, records of one]; the last part ends with the last record."""
    size = parts.shape[-1]
    overlap = len(parts) * size - max(count, size)
    return np.concatenate([*parts[:-1], parts[-1][..., overlap:]], axis=-1)[..., :count]


def _count(records: tuple[Any, ...]) -> int:
    return int(tf.nest.flatten(records[1])[0].shape[0])


def _chunk_size(count: int, most: int) -> int:
    """Records in a chunk: as equal as can be, at least a thousand where memory and the number of records allow."""
    chunks = max(1, count // _RECORDS_PER_CHUNK)
    chunks = max(chunks, -(-count // most))
    return -(-count // chunks)

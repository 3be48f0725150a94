"""What a model's last layer reads of the audited records."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from .frozen_feature_heads import MAX_COLUMNS
from .model_call import ModelCall
from .output_reading import NonFiniteOutputs, OutputReading
from .record_arrays import rows_of


class LastLayerInputs:
    """A graph of its own beside that of a `SignalPass`, traced when it is called first.

    Args:
      call: the model.
      reading: how its outputs are read.
      x: the records, a nest of tensors [n, ...].
      count: n.
      chunk: records in one forward pass.
    """

    def __init__(self, call: ModelCall, reading: OutputReading, x: Any, count: int, chunk: int) -> None:
        self._call, self._reading, self._count, self._chunk = call, reading, count, chunk
        if count < chunk:
            x = tf.nest.map_structure(lambda leaf: tf.gather(leaf, np.arange(chunk) % count), x)
        self._x, self._rows = x, max(count, chunk)
        self._graph: Any = None

    def __call__(self) -> NDArray[np.float32]:
        """float32[n, d], with the weights of the moment.

        Raises:
          NonFiniteOutputs: if it is NaN or infinite.
          ValueError: if there is no such layer, d exceeds `MAX_COLUMNS`, or the model is none that classifies single records.
        """
        if self._graph is None:
            traced = tf.function(self._read, autograph=False)
            self._graph = traced.get_concrete_function(tf.TensorSpec((), tf.int32), self._x)
        width = self._graph.structured_outputs.shape[1]
        if width is not None and width > MAX_COLUMNS:
            raise ValueError(
                f"the model's last layer reads {width:,} numbers a record; features='last_layer' takes {MAX_COLUMNS:,} at most, "
                "features='inputs' any number."
            )
        starts = [*range(0, self._rows - self._chunk, self._chunk), self._rows - self._chunk]
        parts = [self._graph(tf.constant(start), self._x).numpy() for start in starts]
        overlap = len(parts) * self._chunk - self._rows
        found = np.concatenate([*parts[:-1], parts[-1][overlap:]])[: self._count]
        if not np.isfinite(found).all():
            raise NonFiniteOutputs("what the model's last layer reads is NaN or infinite on the audited records.")
        return found

    def _read(self, start: Any, x: Any) -> Any:
        outputs = self._call(tf.nest.map_structure(lambda leaf: rows_of(leaf, start, self._chunk), x))
        return tf.cast(self._reading.last_layer_input(outputs, self._chunk), tf.float32)

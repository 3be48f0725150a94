"""Calling a model without leaving a trace in it."""

from __future__ import annotations

import contextlib
import inspect
from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

from .graph_loop import stacked
from .record_arrays import rows_of
from .said import said

_NO_LOSS = "the model is not compiled with a loss and adds none; compile it, or give the audit one with loss=."


class ModelCall:
    """A model in inference mode, inside a `keras.StatelessScope`: nothing that the call would assign (batch statistics,
    seeds of random layers, metrics) reaches the model.

    `Model.stateless_call` opens the same scope but skips `Layer.__call__`, and with it mixed-precision casts and models
    whose `call` takes no `training` argument. Recurrent layers that carry their state from batch to batch
    (`stateful=True`) start from zero, as after `reset_state`: what the last training batch left there belongs to other
    records.

    Args:
      model: a built Keras model.
    Attributes:
      model: as given.
      traces: how often the model's Python code ran.
      fixed_batch_size: the only batch size that its inputs take, or None.
      adds_losses: True if layers added losses in the newest call (`add_loss`, activity regularisers).
    """

    def __init__(self, model: Any) -> None:
        self.model = model
        self._held: list[tuple[Any, Any]] = []
        self.traces, self.adds_losses = 0, False
        sizes = {tensor.shape[0] for tensor in tf.nest.flatten(getattr(model, "inputs", None) or []) if tensor.shape}
        self.fixed_batch_size = sizes.pop() if len(sizes) == 1 else None

    def __call__(self, x: Any) -> Any:
        """The outputs on a batch.

        Raises:
          ValueError: if the model cannot be called on it.
        """
        self.traces += 1
        try:
            with self._scope() as scope:
                outputs = self.model(x, training=False)
                self.adds_losses = bool(scope.losses)
                return outputs
        except Exception as reason:
            raise ValueError(
                f"the model cannot be called on the audited records in a graph: {said(reason)}"
            ) from reason

    @contextlib.contextmanager
    def holding(self, values: list[tuple[Any, Any]]) -> Iterator[None]:
        """Within this context variables have these values instead of their own: pairs of a Keras variable and a tensor."""
        self._held = values
        try:
            yield
        finally:
            self._held = []

    def own_losses(self, x: Any, y: Any, weights: Any = ()) -> Any:
        """float64[n], what the model's own `compute_loss` gives for each record alone, in a graph.

        Args:
          x, y: nests of tensors [n, ...].
          weights: of each position of a record, likewise; () = none.
        """

        def of_one(index: Any) -> Any:
            return self.own_loss(*tf.nest.map_structure(lambda leaf: rows_of(leaf, index, 1), (x, y, weights)))

        return stacked(of_one, tf.shape(tf.nest.flatten(y)[0])[0], ())

    def own_loss(self, x: Any, y: Any, weights: Any = ()) -> Any:
        """float64, what the model's own `compute_loss` gives for a batch.

        Raises:
          ValueError: if it cannot be asked.
        """
        compute = self.model.compute_loss
        extra = {"training": False} if "training" in inspect.signature(compute).parameters else {}
        weights = weights if tf.nest.flatten(weights) else None
        self.traces += 1
        try:
            with self._scope(*_regularized(self.model)):
                outputs = self.model(x, training=False)
                loss = compute(x=x, y=y, y_pred=outputs, sample_weight=weights, **extra)
        except Exception as reason:
            if "No loss to compute" in str(reason):
                raise ValueError(_NO_LOSS) from reason
            raise ValueError(
                f"{type(self.model).__name__}.compute_loss cannot be asked about one record: {said(reason)}; give the audit a "
                "loss with loss=."
            ) from reason
        if loss is None:
            raise ValueError(_NO_LOSS)
        return tf.reduce_mean(tf.cast(loss, tf.float64))

    def _scope(self, *further: Any) -> Any:
        states = [(state, tf.zeros(state.shape, state.dtype)) for state in _carried_states(self.model)]
        return keras.StatelessScope(state_mapping=[*self._held, *states, *further], collect_losses=True)


def _carried_states(model: Any) -> list[Any]:
    """The variables in which stateful recurrent layers keep their state between batches; no list of Keras' holds them."""
    layers = [layer for layer in model._flatten_layers() if isinstance(layer, keras.layers.RNN) and layer.stateful]
    return [state for layer in layers for state in tf.nest.flatten(layer.states) if state is not None]


def _regularized(model: Any) -> list[tuple[Any, Any]]:
    """Variables with a regulariser and their values: `Model.losses` asks a stateless scope for them."""
    return [(variable, variable.value) for variable in model.trainable_variables if variable.regularizer is not None]

"""Functions, losses and layers on their way to another process: by what they are made of, never by a model's weights."""

from __future__ import annotations

import io
import sys
from typing import Any

import keras
import tensorflow as tf

from .model_description import layer_description, made_layer


def packed_code(value: Any, what: str) -> bytes:
    """Something that holds functions, classes and Keras objects, as bytes.

    Functions and classes of `__main__` (a script, a notebook) go as code, those of modules by name.

    Args:
      value: what to send.
      what: what to call it in a sentence.
    Raises:
      ValueError: if it cannot be sent.
    """
    from ray import cloudpickle

    class Pickler(cloudpickle.CloudPickler):
        def reducer_override(self, found: Any) -> Any:
            own = _reduced(found)
            return super().reducer_override(found) if own is None else own

    content = io.BytesIO()
    try:
        Pickler(content).dump(value)
    except Exception as reason:
        said = " ".join(str(reason).split())[:300]
        raise ValueError(
            f"{what} cannot be sent to Ray's workers: {type(reason).__name__}: {said}; give ShadowModels(model_fn=...) and "
            "functions that make what they need themselves, or train in this process (another engine)."
        ) from reason
    return content.getvalue()


def unpacked_code(content: bytes) -> Any:
    """The way back.

    Raises:
      ValueError: if it is of a module that this process cannot import.
    """
    from ray import cloudpickle

    try:
        return cloudpickle.loads(content)
    except (ImportError, AttributeError) as reason:
        raise ValueError(
            f"a worker of Ray cannot import what the model, its loss or a function is made of: {reason} (workers search "
            f"{len(sys.path)} paths); put the module where every machine's Python finds it, write it into the script or notebook "
            "itself, or call ray.cloudpickle.register_pickle_by_value(module) before."
        ) from reason


def _reduced(found: Any) -> Any:
    """How a Keras object is sent, (a function, its arguments); None for what is none."""
    if isinstance(found, (keras.Variable, tf.Variable)):
        raise ValueError(
            f"a function or an object holds a variable ({found.name}), whose value workers would not share"
        )
    if isinstance(found, keras.Layer):
        if found.weights:
            raise ValueError(f"a function or an object holds a layer or model with weights ({found.name})")
        return made_layer, (layer_description(found),)
    if isinstance(found, (keras.optimizers.Optimizer, keras.metrics.Metric, keras.random.SeedGenerator)):
        return type(found).from_config, (found.get_config(),)
    if isinstance(found, keras.losses.Loss):
        # A loss of one's own need not have a configuration to be trained with.
        return _with_state, (type(found), dict(vars(found)))
    return None


def _with_state(cls: Any, state: dict[str, Any]) -> Any:
    made = cls.__new__(cls)
    vars(made).update(state)
    return made

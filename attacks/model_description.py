"""What makes fresh copies of a compiled model elsewhere: architecture, optimizer, loss, what `adapt` learned; no weights."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from .fresh_model import loss_weights_of, normalizations, undecayed
from .model_checks import build_model


@dataclass(frozen=True, eq=False)
class LayerDescription:
    """One layer, or a model of layers.

    Attributes:
      kind: "layer", "lambda", "sequential" or "functional".
      made_by: its class.
      config: what it is made from: its configuration; of a functional model the graph, of a sequential one the inputs, of a
        Lambda the arguments.
      parts: layers within; a name → layer for a functional model.
      words: the vocabulary that `adapt` learned.
      trainable: False for a model that is frozen as a whole.
    """

    kind: str
    made_by: Any
    config: dict[str, Any]
    parts: Any = ()
    words: list[Any] | None = None
    trainable: bool = True


@dataclass(frozen=True)
class ModelDescription:
    """A compiled model without its weights; see `described`.

    Attributes:
      layer: its architecture; None where `model_fn` makes it.
      model_fn: makes a new model, or None.
      named: registered classes and functions, and those of modules, by the names that configurations call them by.
      statistics: for each Normalization layer its statistics, none for one without.
      optimizer: its class and configuration, or None.
      undecayed: numbers of the trainable variables that weight decay leaves out.
      loss, loss_weights, run_eagerly: as compiled.
    """

    layer: LayerDescription | None
    model_fn: Callable[[], Any] | None
    named: dict[str, Any]
    statistics: list[list[NDArray[Any]]]
    optimizer: tuple[Any, dict[str, Any]] | None
    undecayed: list[int]
    loss: Any
    loss_weights: Any
    run_eagerly: bool


def described(model: Any, model_fn: Callable[[], Any] | None) -> ModelDescription:
    """The description of a built and compiled model.

    Args:
      model: the target; its weights are not read.
      model_fn: see `ShadowModels`.
    Raises:
      ValueError: if its architecture cannot be told.
    """
    try:
        layer = layer_description(model) if model_fn is None else None
        optimizer = None if model.optimizer is None else (type(model.optimizer), model.optimizer.get_config())
        named = dict(_named_in((optimizer, *([] if layer is None else _configs(layer)))))
    except Exception as reason:
        said = " ".join(str(reason).split())[:200]
        raise ValueError(
            f"the model ({type(model).__name__}) cannot be described to Ray's workers: {type(reason).__name__}: {said}; give "
            "ShadowModels(model_fn=...), a function of no arguments that returns a new compiled model."
        ) from reason
    statistics = [one.get_weights() if one.built else [] for one in normalizations(model)]
    return ModelDescription(
        layer,
        model_fn,
        named,
        statistics,
        optimizer,
        undecayed(model),
        model.loss,
        loss_weights_of(model),
        bool(model.run_eagerly),
    )


def stand_in(description: ModelDescription, x: Any) -> Any:
    """A model that fresh copies can be made of as of the target: built, compiled, with weights of no meaning.

    Args:
      description: of the target.
      x: a nest of tensors [n, ...] such as it takes.
    """
    keras.saving.get_custom_objects().update(description.named)
    if description.model_fn is not None:
        made = description.model_fn()
    else:
        assert description.layer is not None
        made = made_layer(description.layer)
    build_model(made, x)
    for layer, values in zip(normalizations(made), description.statistics, strict=True):
        if values:
            layer.set_weights(values)
            layer.finalize_state()
    optimizer: Any = None
    if description.optimizer is not None:
        cls, config = description.optimizer
        optimizer = cls.from_config(config)
    if description.undecayed:
        optimizer.exclude_from_weight_decay(var_list=[made.trainable_variables[one] for one in description.undecayed])
    made.compile(
        optimizer=optimizer,
        loss=description.loss,
        loss_weights=description.loss_weights,
        run_eagerly=description.run_eagerly,
        jit_compile=False,
        auto_scale_loss=False,
    )
    return made


def layer_description(layer: Any, known: dict[int, LayerDescription] | None = None) -> LayerDescription:
    """What a layer is made of, layer by layer as `FreshModels` copies it; a layer that stands there twice is described once."""
    known = {} if known is None else known
    if id(layer) not in known:
        known[id(layer)] = _described(layer, known)
    return known[id(layer)]


def made_layer(description: LayerDescription, known: dict[int, Any] | None = None) -> Any:
    """A new layer, or model of layers."""
    known = {} if known is None else known
    if id(description) not in known:
        known[id(description)] = _made(description, known)
    return known[id(description)]


def _described(layer: Any, known: dict[int, LayerDescription]) -> LayerDescription:
    cls = type(layer)
    if cls is keras.Sequential:
        inputs = [(tuple(one.shape), str(one.dtype)) for one in layer.inputs] if layer.built else []
        parts = [layer_description(one, known) for one in layer.layers]
        return LayerDescription(
            "sequential", cls, {"name": layer.name, "inputs": inputs}, parts, None, bool(layer.trainable)
        )
    if cls.__name__ == "Functional":  # which has no public name
        graph = keras.Model(layer.input, layer.output, name=layer.name).get_config()
        inner = {one.name: one for one in layer.layers if not isinstance(one, keras.layers.InputLayer)}
        for entry in graph["layers"]:
            if entry["name"] in inner:
                kept = {name: entry[name] for name in ("name", "inbound_nodes")}
                entry.clear()
                entry.update(kept)
        named = {name: layer_description(one, known) for name, one in inner.items()}
        return LayerDescription("functional", keras.Model, graph, named, None, bool(layer.trainable))
    if cls is keras.layers.Lambda:
        arguments = {
            "function": layer.function,  # its configuration holds bytecode without the names that it refers to
            "output_shape": getattr(layer, "_output_shape", None),
            "mask": layer.mask,
            "arguments": layer.arguments,
            "name": layer.name,
            "dtype": keras.saving.serialize_keras_object(layer.dtype_policy),
        }
        return LayerDescription("lambda", cls, arguments)
    words = layer.get_vocabulary(include_special_tokens=False) if hasattr(layer, "get_vocabulary") else None
    return LayerDescription("layer", cls, layer.get_config(), words=words)


def _made(description: LayerDescription, known: dict[int, Any]) -> Any:
    config = description.config
    if description.kind == "sequential":
        inputs = [keras.Input(batch_shape=shape, dtype=dtype) for shape, dtype in config["inputs"]]
        parts = [made_layer(one, known) for one in description.parts]
        made = keras.Sequential([*inputs, *parts], name=config["name"])
    elif description.kind == "functional":
        made = _functional(description, known)
    elif description.kind == "lambda":
        dtype = keras.saving.deserialize_keras_object(config["dtype"])
        made = keras.layers.Lambda(**{**config, "dtype": dtype})
    else:
        made = description.made_by.from_config(config)
        words = description.words
        if words and hasattr(made, "set_vocabulary") and not made.get_vocabulary(include_special_tokens=False):
            made.set_vocabulary(words)
    if not description.trainable:
        made.trainable = False
    return made


class _Ready:
    """A layer that is made already, in the place of the class that its configuration would name."""

    def __init__(self, layer: Any) -> None:
        self._layer = layer

    def from_config(self, config: Any) -> Any:
        return self._layer


def _functional(description: LayerDescription, known: dict[int, Any]) -> Any:
    parts = {name: made_layer(one, known) for name, one in description.parts.items()}
    ready = {f"ready>{name}": _Ready(layer) for name, layer in parts.items()}
    graph = dict(description.config)
    graph["layers"] = [
        {**entry, "module": None, "class_name": "Ready", "config": {}, "registered_name": f"ready>{entry['name']}"}
        if entry["name"] in parts
        else entry
        for entry in graph["layers"]
    ]
    return keras.Model.from_config(graph, custom_objects=ready)


def _configs(description: LayerDescription) -> Iterator[Any]:
    yield description.config
    parts = description.parts
    for part in parts.values() if isinstance(parts, Mapping) else parts:
        yield from _configs(part)


def _named_in(config: Any) -> Iterator[tuple[str, Any]]:
    """(a name in a configuration, the class or function that it means), for those that are not Keras' own."""
    if isinstance(config, str):
        found = keras.saving.get_registered_object(config)
        if found is not None:
            yield config, found
            yield found.__name__, found
    elif isinstance(config, dict):
        module, name = config.get("module"), config.get("class_name")
        if isinstance(module, str) and isinstance(name, str) and module.split(".")[0] not in ("keras", "builtins"):
            found = getattr(sys.modules.get(module), name, None)
            if found is not None:
                yield name, found
                yield str(config.get("registered_name") or name), found
        for value in config.values():
            yield from _named_in(value)
    elif isinstance(config, (list, tuple)):
        for value in config:
            yield from _named_in(value)


def weights_digest(model: Any) -> str:
    """SHA-256 of all that a model starts from."""
    found = hashlib.sha256()
    for variable in model.variables:
        found.update(np.ascontiguousarray(np.asarray(variable)).tobytes())
    return found.hexdigest()

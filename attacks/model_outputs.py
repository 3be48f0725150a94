"""Which output of a model goes with which labels, which loss and which weight in the sum that training minimises."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any, NamedTuple

import keras
import tensorflow as tf

from .said import said


class OutputPart(NamedTuple):
    """One output that an audit reads.

    Attributes:
      name: as the model calls it, or its number.
      place: where it stands in the nest of outputs; None = the only one.
      label_place: where its labels stand in the nest of labels; None = they are no nest.
      loss: as `compile(loss=)` takes it for one output.
      weight: of its loss in the sum.
    """

    name: str
    place: str | int | None
    label_place: str | int | None
    loss: Any
    weight: float


def picked(nest: Any, place: str | int | None) -> Any:
    """One leaf of a nest of outputs, labels or weights; of one that is no nest, that."""
    several = isinstance(nest, (dict, list, tuple)) and len(nest) > 0
    if isinstance(nest, dict) and place not in nest and place is not None:
        return ()  # weights may be given for some outputs only
    return nest if place is None or not several else nest[place]


def parts_of(model: Any, outputs: Any, y: Any, loss: Any = None, output: str | int | None = None) -> list[OutputPart]:
    """The outputs an audit reads: the one asked for, or all that training has a loss for.

    Args:
      model: a Keras model.
      outputs: what calling it gives: a tensor, or a flat dict, list or tuple of them.
      y: labels, a nest likewise.
      loss: instead of the compiled one: for one output, or nested as `compile` takes it.
      output: the name or number of one output; None = all.
    Raises:
      ValueError: if outputs, labels and losses cannot be matched, or there is no such output.
    """
    places = _places(model, outputs)
    names = list(places)
    if output is not None:
        names = [_chosen(output, names)]
    given = loss if loss is not None else getattr(model, "loss", None)
    by_name = _by_name(given, list(places), "losses")
    weights = _loss_weights(model, given, list(places), outputs) if loss is None and len(names) > 1 else {}
    parts = []
    for name in names:
        if by_name.get(name) is None:
            continue
        label_place = _label_place(y, name, list(places))
        parts.append(OutputPart(name, places[name], label_place, by_name[name], float(weights.get(name, 1.0))))
    if not parts:
        which = f"output {names[0]!r}" if output is not None else "the model"
        raise ValueError(f"{which} is not compiled with a loss; compile it, or give the audit one with loss=.")
    if len(parts) > 1 and any(part.label_place is None for part in parts):
        raise ValueError(
            f"the model has {len(places)} outputs ({', '.join(places)}) and one array of labels; give labels for each, as a "
            "dict or tuple, or choose one output with output=."
        )
    return parts


def _places(model: Any, outputs: Any) -> dict[str, str | int | None]:
    """Where each output stands, by name, in Keras' order."""
    if isinstance(outputs, dict):
        nested, places = list(outputs.values()), {str(name): name for name in sorted(outputs)}
    elif isinstance(outputs, (list, tuple)):
        known = getattr(model, "output_names", None) or []
        nested = list(outputs)
        unique = len(known) == len(outputs) == len(set(known))
        places = {known[index] if unique else str(index): index for index in range(len(outputs))}
    else:
        return {output_name(model): None}
    if any(isinstance(leaf, (dict, list, tuple)) for leaf in nested):
        raise ValueError(
            "the model's outputs are nests within a nest; give the audit a model whose outputs are one dict or list."
        )
    return places


def output_name(model: Any) -> str:
    """What to call a model's only (or first) output."""
    if isinstance(model, keras.Sequential):
        return str(model.layers[-1].name)
    return str((getattr(model, "output_names", None) or [model.name])[0])


def _chosen(output: str | int, names: list[str]) -> str:
    if isinstance(output, int) and not isinstance(output, bool) and 0 <= output < len(names):
        return names[output]
    if output in names:
        return str(output)
    raise ValueError(f"output is {output!r}; the model has {', '.join(names)} (or 0 to {len(names) - 1}).")


def _by_name(given: Any, names: list[str], what: str) -> dict[str, Any]:
    """Something that `compile` takes for one output or for each, by output."""
    if isinstance(given, Mapping) and "class_name" not in given:
        if len(names) == len(given) == 1:
            return dict(zip(names, given.values(), strict=True))
        unknown = [str(name) for name in given if str(name) not in names]
        if unknown:
            raise ValueError(f"there are {what} for {', '.join(unknown)}; the model has {', '.join(names)}.")
        return {str(name): value for name, value in given.items()}
    if isinstance(given, (list, tuple)):
        if len(given) != len(names):
            raise ValueError(f"there are {len(given)} {what} for {len(names)} outputs ({', '.join(names)}).")
        return dict(zip(names, given, strict=True))
    return dict.fromkeys(names, given)


def _loss_weights(model: Any, loss: Any, names: list[str], outputs: Any) -> dict[str, Any]:
    try:
        with warnings.catch_warnings(), tf.init_scope():  # outside of the graph that is being traced
            warnings.simplefilter("ignore")  # it writes down the losses, too, and warns of lambdas
            weights = (model.get_compile_config() or {}).get("loss_weights")
    except Exception as reason:
        raise ValueError(
            f"the weights of the model's losses cannot be read, as it cannot write down how it was compiled: {said(reason)}; "
            "choose one output with output=, or give the loss a get_config."
        ) from reason
    if weights is None:
        return {}
    if isinstance(weights, (list, tuple)) and isinstance(loss, Mapping) and isinstance(outputs, dict):
        return dict(zip(sorted(loss), weights, strict=True))  # as Keras flattens a dict
    return _by_name(weights, names, "loss weights")


def _label_place(y: Any, name: str, names: list[str]) -> str | int | None:
    if isinstance(y, dict):
        if name not in y:
            raise ValueError(f"there are labels for {', '.join(map(str, y))}, none for output {name!r}.")
        return name
    if isinstance(y, tuple):
        if len(y) != len(names):
            raise ValueError(f"there are labels for {len(y)} outputs; the model has {len(names)} ({', '.join(names)}).")
        return names.index(name)
    return None

"""What a traced function computes, as a number: equal for equal computations, whatever its layers are called."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

# A token names a Python function by a number of its process.
_NAMES = ("shared_name", "container", "debug_name", "token")


def graph_digest(traced: Any, known: Sequence[Any] = ()) -> str:
    """SHA-256 of a concrete function's operations, their attributes and inputs, and of the functions that it calls.

    Names of operations, layers and functions do not count, so that the same model made a second time has the same digest.
    Captured tensors count by value, variables by shape and type; Python functions (`tf.numpy_function`) and gradients of one's
    own (`tf.custom_gradient`) not at all.

    Args:
      traced: a `tf.types.experimental.ConcreteFunction`.
      known: tensors whose values do not count.
    """
    graph = traced.graph.as_graph_def()
    found = hashlib.sha256()
    left_out = {id(tensor) for tensor in known}
    for outside, _ in traced.graph.captures:
        if hasattr(outside, "numpy") and outside.dtype != tf.resource and id(outside) not in left_out:
            found.update(repr(outside.dtype).encode() + np.asarray(outside.numpy()).tobytes())
    _add_nodes(found, graph.node, _functions_of(graph))
    return found.hexdigest()


def _functions_of(graph: Any) -> dict[str, Any]:
    return {function.signature.name: function for function in graph.library.function}


def _add_nodes(
    found: Any,
    nodes: Any,
    functions: dict[str, Any],
    within: tuple[str, ...] = (),
    arguments: tuple[str, ...] = (),
    results: tuple[str, ...] = (),
) -> None:
    # An argument of an inner function is no node of it; it is called after a layer, or a counter.
    places = {name: f"argument {place}" for place, name in enumerate(arguments)}
    places |= {node.name: str(place) for place, node in enumerate(nodes)}

    def add_source(given: str) -> None:
        name, _, port = given.partition(":")
        found.update(f"{places[name]}:{port},".encode())

    for given in results:
        add_source(given)
    for node in nodes:
        found.update(node.op.encode())
        for given in node.input:
            if not given.startswith("^"):
                add_source(given)
        # TensorFlow collects those that only wait for each other in a set.
        waits = sorted(places[given[1:].partition(":")[0]] for given in node.input if given.startswith("^"))
        found.update(f"after {waits}".encode())
        for key in sorted(node.attr):
            if key.startswith("_") or key in _NAMES:
                continue
            found.update(key.encode())
            _add_value(found, node.attr[key], functions, within)


def _add_value(found: Any, value: Any, functions: dict[str, Any], within: tuple[str, ...]) -> None:
    called = [value.func] if value.HasField("func") else list(value.list.func)
    if not called:
        found.update(value.SerializeToString(deterministic=True))
    for function in called:
        if function.name in functions and function.name not in within:
            body = functions[function.name]
            arguments = tuple(one.name for one in body.signature.input_arg)
            results = tuple(body.ret[one.name] for one in body.signature.output_arg)
            _add_nodes(found, body.node_def, functions, (*within, function.name), arguments, results)

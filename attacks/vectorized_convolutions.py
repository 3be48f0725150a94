"""Convolutions within `tf.vectorized_map` whose kernels differ between models: one grouped convolution for all of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf


def vectorize_convolutions() -> None:
    """Tells `tf.vectorized_map` how to convert two-dimensional convolutions with stacked kernels, and their gradients.

    The axis of models is folded into the channels. What TensorFlow converts by itself (one kernel for all) it goes on converting
    its own way. Nothing is done where it keeps its conversions elsewhere: the map then refuses.
    """
    try:
        from tensorflow.python.ops.parallel_for import pfor  # there is no public way to add a conversion

        known = pfor._pfor_converter_registry
    except (ImportError, AttributeError):
        return
    for kind, (stacked, own) in _CONVERSIONS.items():
        if kind in known and not getattr(known[kind], "knows_stacked_kernels", False):
            known[kind] = _either(known[kind], stacked, own)


def _either(known: Callable[[Any], Any], stacked: tuple[int, ...], own: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Our conversion where all these inputs differ between models and channels come last, else TensorFlow's."""

    def convert(operation: Any) -> Any:
        differ = all(operation.inputs[index].is_stacked for index in stacked)
        return own(operation) if differ and operation.get_attr("data_format") == b"NHWC" else known(operation)

    convert.knows_stacked_kernels = True  # type: ignore[attr-defined]
    return convert


def _forward(operation: Any) -> list[Any]:
    operation.stack_inputs(stack_indices=[0])
    x, kernels = operation.stacked_input(0), operation.stacked_input(1)
    found = tf.raw_ops.Conv2D(input=_folded(x), filter=_folded(kernels), **_fixed(operation))
    return _unfolded(found, x)


def _gradient_of_input(operation: Any) -> list[Any]:
    operation.stack_inputs(stack_indices=[2])
    sizes, kernels, upstream = operation.unstacked_input(0), operation.stacked_input(1), operation.stacked_input(2)
    found = tf.raw_ops.Conv2DBackpropInput(
        input_sizes=_wider(sizes, kernels),
        filter=_folded(kernels),
        out_backprop=_folded(upstream),
        **_fixed(operation),
    )
    return _unfolded(found, kernels)


def _gradient_of_kernels(operation: Any) -> list[Any]:
    x, sizes, upstream = operation.stacked_input(0), operation.unstacked_input(1), operation.stacked_input(2)
    found = tf.raw_ops.Conv2DBackpropFilter(
        input=_folded(x), filter_sizes=_wider(sizes, x), out_backprop=_folded(upstream), **_fixed(operation)
    )
    return _unfolded(found, x)


# Which inputs must differ between models, and the conversion.
_CONVERSIONS: dict[str, tuple[tuple[int, ...], Callable[[Any], Any]]] = {
    "Conv2D": ((1,), _forward),
    "Conv2DBackpropInput": ((1,), _gradient_of_input),
    "Conv2DBackpropFilter": ((0, 2), _gradient_of_kernels),
}


def _fixed(operation: Any) -> dict[str, Any]:
    names = ("strides", "padding", "explicit_paddings", "dilations")
    found = {name: operation.get_attr(name) for name in names}
    return {**found, "padding": found["padding"].decode()}


def _folded(stack: Any) -> Any:
    """[k, a, b, c, d] → [a, b, c, k·d]."""
    moved = tf.transpose(stack, [1, 2, 3, 0, 4])
    return tf.reshape(moved, [*_sizes(moved)[:3], _sizes(stack)[0] * _sizes(stack)[4]])


def _unfolded(folded: Any, stack: Any) -> list[Any]:
    """[a, b, c, k·d] → [k, a, b, c, d], with k as in `stack`."""
    from tensorflow.python.ops.parallel_for.pfor import wrap

    models = _sizes(stack)[0]
    parts = tf.reshape(folded, [*_sizes(folded)[:3], models, _sizes(folded)[3] // models])
    return [wrap(tf.transpose(parts, [3, 0, 1, 2, 4]), True)]


def _wider(sizes: Any, stack: Any) -> Any:
    """The sizes of what is folded, of the sizes of one."""
    return sizes * tf.stack([1, 1, 1, _sizes(stack)[0]])


def _sizes(tensor: Any) -> list[Any]:
    """Numbers where they are known when the graph is made."""
    dynamic = tf.shape(tensor)
    return [dynamic[axis] if size is None else size for axis, size in enumerate(tensor.shape)]

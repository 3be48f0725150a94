"""Random layers within `tf.vectorized_map`: each model draws from its own seed, as it would alone."""

from __future__ import annotations

import inspect
from typing import Any

import tensorflow as tf

# What keras.random and tf.random.stateless_* come down to. TensorFlow 2.21 knows how to vectorize only their predecessors.
_DRAWS = (
    "StatelessRandomGetKeyCounter",
    "StatelessRandomUniformV2",
    "StatelessRandomUniformIntV2",
    "StatelessRandomUniformFullIntV2",
    "StatelessRandomNormalV2",
    "StatelessTruncatedNormalV2",
    "StatelessRandomGammaV3",
)


def vectorize_draws() -> None:
    """Tells `tf.vectorized_map` how to vectorize draws with a seed that differs between iterations: one by one.

    It does nothing where TensorFlow knows already, or keeps its list of conversions elsewhere: the map then refuses.
    """
    try:
        from tensorflow.python.ops.parallel_for import pfor  # there is no public way to add a conversion

        known, register = pfor._pfor_converter_registry, pfor.RegisterPFor
    except (ImportError, AttributeError):
        return
    for kind in _DRAWS:
        if kind not in known and hasattr(tf.raw_ops, kind):
            register(kind)(_one_by_one)


def _one_by_one(draw: Any) -> list[Any]:
    """The conversion of an operation, in the terms of `tensorflow.python.ops.parallel_for.pfor`."""
    from tensorflow.python.ops.parallel_for.pfor import wrap

    operation = draw.op
    run = getattr(tf.raw_ops, operation.type)
    names = [argument.name for argument in operation.op_def.input_arg]
    taken = inspect.signature(run).parameters
    fixed = {one.name: operation.get_attr(one.name) for one in operation.op_def.attr if one.name in taken}
    stacked = {name: value for name, (value, is_stacked, _) in zip(names, draw.inputs, strict=True) if is_stacked}
    shared = {name: value for name, (value, is_stacked, _) in zip(names, draw.inputs, strict=True) if not is_stacked}

    def one(own: Any) -> tuple[Any, ...]:
        return tuple(tf.nest.flatten(run(**own, **shared, **fixed)))

    kinds = tuple(output.dtype for output in operation.outputs)
    drawn = tf.map_fn(one, stacked, fn_output_signature=kinds)
    for values, output in zip(drawn, operation.outputs, strict=True):
        values.set_shape([None, *output.shape] if output.shape.rank is not None else None)
    return [wrap(values, True) for values in drawn]

"""What a traced graph tells about the model or function in it: does it write variables, how much does a record take."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np


def written_variables(concrete_function: Any) -> list[str]:
    """Names of operations that change a variable when the function runs, nested functions included."""
    return sorted({node.name for node in _nodes(concrete_function) if _writes(node.op)})


def random_draws(concrete_function: Any) -> list[str]:
    """Names of operations that draw other numbers at each run, nested functions included."""
    return sorted({node.name for node in _nodes(concrete_function) if _draws(node.op)})


def largest_tensor_bytes(concrete_function: Any) -> int:
    """Bytes a record of the largest tensor in the graph whose leading axis is left open (the records)."""
    largest = 0
    for operation in concrete_function.graph.get_operations():
        for output in operation.outputs:
            shape = output.shape
            if shape.rank and shape[0] is None:
                elements = int(np.prod([axis or 1 for axis in shape.as_list()[1:]], dtype=np.int64))
                largest = max(largest, elements * max(1, output.dtype.size))
    return largest


def _nodes(concrete_function: Any) -> Iterator[Any]:
    graph = concrete_function.graph.as_graph_def()
    yield from graph.node
    for function in graph.library.function:
        yield from function.node_def


def _draws(kind: str) -> bool:
    return kind.startswith(("Random", "ParameterizedTruncated")) or kind in ("TruncatedNormal", "Multinomial")


def _writes(kind: str) -> bool:
    return kind.startswith(("Assign", "ResourceScatter", "ResourceApply")) or kind in ("RngReadAndSkip", "RngSkip")

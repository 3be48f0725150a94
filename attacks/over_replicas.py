"""One large audit spread over the replicas of a distribution strategy."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

from .model_call import ModelCall
from .record_arrays import rows_of

# Fewer records are asked on one device: the plain call has less to set up, and its order of arithmetic is that of one device.
WORTH_SPREADING = 20_000


def replicas_of(model: Any, count: int) -> Any | None:
    """The model's strategy, if so many records are worth spreading over its replicas."""
    strategy = getattr(model, "distribute_strategy", None)
    replicas = 1 if strategy is None else strategy.num_replicas_in_sync
    return strategy if replicas > 1 and count >= max(WORTH_SPREADING, replicas) else None


def spread(
    strategy: Any, call: ModelCall, run: Callable[..., Any], records: Any, count: int
) -> Callable[[], list[Any]]:
    """A function that runs `run` on each replica with an equal share of the records, in order.

    Batch norm's moving statistics differ from replica to replica until they are read from outside; all replicas answer with
    the ones that a plain call reads. The last shares overlap where the replicas do not divide the records.

    Args:
      strategy: of the model.
      call: how the model is called within `run`.
      run: (records' tensors of a share) -> what is wanted of them.
      records: a nest of tensors [n, ...].
      count: n.
    Returns:
      A function without arguments that gives one result a replica.
    """
    size = share_size(count, strategy.num_replicas_in_sync)

    def share(context: Any) -> Any:
        start = min(context.replica_id_in_sync_group * size, count - size)
        return tf.nest.map_structure(lambda leaf: rows_of(leaf, start, size), records)

    shares = strategy.experimental_distribute_values_from_function(share)

    @tf.function(autograph=False)
    def everywhere(shares: Any) -> Any:
        seen = [(variable, tf.convert_to_tensor(variable.value)) for variable in call.model.non_trainable_variables]

        def here(values: Any, own: Any) -> Any:
            with call.holding([(variable, value) for (variable, _), value in zip(seen, values, strict=True)]):
                return run(*own)

        return strategy.experimental_local_results(strategy.run(here, args=([value for _, value in seen], shares)))

    return lambda: list(everywhere(shares))


def share_size(count: int, replicas: int) -> int:
    """Records a replica is asked about."""
    return -(-count // replicas)

"""Which fleet this is: digests of everything that decides what its shadow models become."""

from __future__ import annotations

import hashlib
import inspect
import json
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from .asked_queries import PointQueries, Queries
from .compiled_pass import AskedRecords, SignalPass
from .duplicates import record_hashes
from .fresh_model import undecayed, untrained_variables
from .graph_digest import graph_digest
from .model_layers import layers_of
from .output_reading import NonFiniteOutputs
from .record_arrays import as_arrays, spec_of
from .shadow_engine import learning_rate_variable
from .shadow_models import ShadowModels
from .shadow_pool import ShadowPool
from .training_data import Augmentation, TrainingData

# Records of which points are compared, beside the digest of what draws them.
_POINTS_OF = 16


def identity_of(
    plan: ShadowModels,
    made: Any,
    step: Any,
    pool: ShadowPool,
    data: TrainingData,
    assignment: NDArray[np.bool_],
    share: float,
    alone: bool,
) -> dict[str, Any]:
    """What a later run must have alike for going on with the same shadow models, in the words of a refusal.

    Args:
      plan: what the user wants.
      made: shadow model 0, compiled, fresh.
      step: its traced training step.
      pool: the records, in the order of the assignment.
      data: the same, as they are trained on.
      assignment: bool[m, p].
      share: see `Fleet`.
      alone: True if the optimizer's own learning rate counts, because no target's is followed.
    """
    return {
        "the records of the pool": _sha(row_hashes(pool).tobytes()),
        "which shadow model trains on which record": _sha(np.packbits(assignment).tobytes()),
        "the number of shadow models": len(assignment),
        "the batch size": int(data.batch_size),
        "the length of an epoch": float(share),
        "class weights": sorted([int(key), float(weight)] for key, weight in (plan.class_weight or {}).items()),
        "the seed": int(plan.seed),
        "the initial weights that the model's initializers (or model_fn) draw": _weights(made),
        "the model's training step": _sha((graph_digest(step, _leaves(data)) + _own_step(made)).encode()),
        "the vocabularies of its layers": _sha(repr(_vocabularies(made)).encode()),
        "the optimizer": _optimizer(made, alone),
        "the augmentation": _augmentation(data),
    }


def row_hashes(pool: ShadowPool) -> NDArray[np.uint64]:
    """uint64[p], of inputs, label and weights of each record of the pool."""
    return record_hashes(tuple(pool.records))


def question_digest(asked: AskedRecords, queries: Queries, final: bool, reading: str) -> str:
    """Of what shadow models are asked: the records, the queries (by what they make of these) and how; see `reading_digest`."""
    found = hashlib.sha256(repr((final, reading)).encode())
    held = [(asked.x, asked.y, asked.weights)]
    if asked.population is not None:
        held.append(tuple(asked.population))
    for nest in held:
        found.update(record_hashes(as_arrays(nest)).tobytes())
    for query in queries:
        if isinstance(query, PointQueries):
            found.update(query.digest.encode() + _some_points(query, asked))
            continue
        for leaf in tf.nest.flatten(as_arrays(query(asked.x))):
            found.update(record_hashes((leaf,)).tobytes())
    return found.hexdigest()[:16]


def _some_points(query: PointQueries, asked: AskedRecords) -> bytes:
    """What is asked of the first records, whatever the digest says."""
    if query.others is not None:
        hashes = record_hashes((query.others.x, query.others.y))
        return hashes.tobytes() + np.asarray(query.chosen, np.int64).tobytes()
    some = tf.nest.map_structure(lambda leaf: leaf[:_POINTS_OF], asked.x)
    points = [as_arrays(query(some, tf.constant(index), tf.constant(0))) for index in range(query.width)]
    return b"".join(record_hashes((leaf,)).tobytes() for point in points for leaf in tf.nest.flatten(point))


def reading_digest(asking: SignalPass, loss: Any, output: Any) -> str:
    """Of how answers are read: which output, and what a loss of the user's says of the fresh model that is asked."""
    if loss is None:
        return repr(output)
    try:
        said = asking.signals(("loss",))["loss"]
    except NonFiniteOutputs:
        said = np.zeros(0)
    # Few digits: another number of threads rounds otherwise.
    return f"{output!r}: {' '.join(f'{value:.4g}' for value in np.ravel(said))}"


def _weights(made: Any) -> str:
    """Of initial values, and of which of them are trained within which bounds."""
    found = hashlib.sha256()
    for variables in (made.trainable_variables, untrained_variables(made)):
        for variable in variables:
            constraint = getattr(variable, "constraint", None)
            said = [] if constraint is None else [type(constraint).__qualname__, constraint.get_config()]
            value = np.asarray(variable)
            found.update(repr((value.shape, str(value.dtype), said)).encode() + value.tobytes())
        found.update(b"and untrained")
    return found.hexdigest()


def _vocabularies(made: Any) -> list[Any]:
    return [
        [str(word) for word in layer.get_vocabulary()] for layer in layers_of(made) if hasattr(layer, "get_vocabulary")
    ]


def _leaves(data: TrainingData) -> list[Any]:
    return tf.nest.flatten((data.x, data.y, () if data.weights is None else data.weights))


def _optimizer(made: Any, alone: bool) -> str:
    optimizer = made.optimizer
    if optimizer is None:
        return "none"
    own = "" if type(optimizer).__module__.startswith("keras.") else _source(type(optimizer))
    # The target's learning rate is followed, step by step; a schedule stands there as a dictionary.
    followed = not alone and learning_rate_variable(optimizer) is not None
    text = json.dumps(_nameless(optimizer.get_config(), followed), sort_keys=True, default=repr)
    return f"{type(optimizer).__module__}.{type(optimizer).__qualname__}: {_sha((text + own + repr(undecayed(made))).encode())}"


def _nameless(config: Any, without_rate: bool) -> Any:
    """A configuration, that of an inner optimizer included, without names that count how many were made before."""
    if isinstance(config, (list, tuple)):
        return [_nameless(value, without_rate) for value in config]
    if not isinstance(config, dict):
        return config
    left_out = {"name", "learning_rate"} if without_rate else {"name"}
    return {key: _nameless(value, without_rate) for key, value in config.items() if key not in left_out}


def _augmentation(data: TrainingData) -> str:
    if data.augment is None:
        return "none"
    own = Augmentation(data.augment, data.x, 0)
    specs = tf.nest.map_structure(lambda leaf: spec_of(leaf, 2), data.x)
    traced = tf.function(own, autograph=False).get_concrete_function(specs, tf.TensorSpec([2], tf.int32))
    return graph_digest(traced, _leaves(data))


def _own_step(model: Any) -> str:
    """Of a train_step of the model's own: its source, and the numbers and optimizers that the model holds for it."""
    own = type(model).train_step
    if own is keras.Model.train_step:
        return ""
    held = {}
    for name, value in sorted(vars(model).items()):
        if isinstance(value, keras.optimizers.Optimizer):
            held[name] = _nameless(value.get_config(), False)
        elif isinstance(value, (bool, int, float)) and not name.startswith("_"):
            held[name] = value
    return f"{_source(own)}{json.dumps(held, sort_keys=True, default=repr)}"


def _source(function: Any) -> str:
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        code = getattr(function, "__code__", None)
        if code is None:
            return str(getattr(function, "__qualname__", type(function).__qualname__))
        return f"{code.co_code!r}{code.co_names}{code.co_consts!r}"


def _sha(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()

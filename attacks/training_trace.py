"""A look at a shadow model's training step before it is run: does it keep to itself?"""

from __future__ import annotations

from typing import Any

import keras
import tensorflow as tf

from .graph_reading import random_draws
from .training_data import TrainingData


def refuse_what_reaches_outside(made: Any, target: Any, data: TrainingData) -> Any:
    """Traces forward pass and loss of a shadow model in training mode, without running them.

    Args:
      made: the shadow model, compiled.
      target: the model that is audited.
      data: what it will be trained on.
    Returns:
      The traced step, a concrete function.
    Raises:
      ValueError: if a step cannot be traced, or reads or writes variables of the target, or of nobody (a global random
        generator): training shadow models would depend on the target's weights, or change its training.
    """
    shared = {id(variable) for variable in made.variables} & {id(variable) for variable in target.variables}
    if shared:
        names = [variable.path for variable in made.variables if id(variable) in shared]
        raise ValueError(
            f"a copy of the model shares variables with it ({', '.join(names[:3])}): a layer's get_config hands out a live "
            "layer; serialize it (keras.saving.serialize_keras_object), or give ShadowModels(model_fn=...)."
        )

    def step(rows: Any) -> Any:
        x, y, weights = data.batch(rows)
        outputs = made(x, training=True)
        if type(made).train_step is not keras.Model.train_step:
            return outputs  # its loss is its own business
        return made.compute_loss(x=x, y=y, y_pred=outputs, sample_weight=weights)

    try:
        rows = tf.TensorSpec([min(data.batch_size, data.count)], tf.int32)
        traced = tf.function(step, autograph=False).get_concrete_function(rows)
    except Exception as reason:
        said = " ".join(str(reason).split())
        raise ValueError(
            f"a shadow model's training step cannot be made: {type(reason).__name__}: {said[:300]}; if the model itself can be "
            "fitted, give ShadowModels(model_fn=...)."
        ) from reason
    own = {id(variable.value) for variable in [*made.variables, *made.metrics_variables]}
    foreign = [variable for variable in traced.graph.variables if id(variable) not in own]
    of_target = {id(variable.value) for variable in target.variables}
    if any(id(variable) in of_target for variable in foreign):
        raise ValueError(
            f"a shadow model's training reads weights of the audited model ({foreign[0].name}), by a closure of a layer or of "
            "the loss; give ShadowModels(model_fn=...), a function that makes model and loss anew."
        )
    if any("rnn_state" in variable.name for variable in foreign):
        raise ValueError(
            "the model has stateful recurrent layers, whose state shadow models cannot take turns in; audit it by attacks that "
            "need no shadow models."
        )
    if foreign:
        raise ValueError(
            f"the model's training uses variables that are not its own ({foreign[0].name}), such as Keras' global seed generator "
            "when keras.random is called without a seed: shadow models would change the training that is watched. Give each "
            "layer a keras.random.SeedGenerator of its own."
        )
    if made.run_eagerly and random_draws(traced):
        raise ValueError(
            "the model runs eagerly and draws from TensorFlow's global random state, which shadow models would change; use "
            "keras.random with a keras.random.SeedGenerator."
        )
    return traced

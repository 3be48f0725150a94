"""What can be audited at all: a Keras 3 model on TensorFlow that has its weights."""

from __future__ import annotations

import os
from typing import Any

import keras

from .record_arrays import symbolic
from .said import said


def check_model(model: Any) -> None:
    """Refuses what is not a Keras 3 model on TensorFlow.

    Raises:
      TypeError: saying what came and what to do.
    """
    if isinstance(model, (str, os.PathLike)):
        raise TypeError(f"the model is a path, {os.fspath(model)!r}; give what keras.models.load_model reads from it.")
    if not isinstance(model, keras.Model):
        raise TypeError(
            f"the model is a {type(model).__module__}.{type(model).__name__}; "
            "audits need a keras.Model of Keras 3 (not tf_keras)."
        )
    if keras.config.backend() != "tensorflow":
        raise TypeError(f"Keras runs on {keras.config.backend()!r}; audits need the backend 'tensorflow'.")


def build_model(model: Any, x: Any) -> None:
    """Gives a model that has not been called yet its weights, the very ones that its first call in `fit` would make.

    The call is symbolic: nothing runs, and no random layer advances its seed.

    Args:
      model: a Keras model.
      x: a nest of tensors [n, ...] such as it takes.
    Raises:
      ValueError: if it cannot be called on them.
    """
    if model.built:
        return
    try:
        model(symbolic(x))
    except Exception as reason:
        raise ValueError(
            f"the model has no weights yet and cannot be called on the audited records: {said(reason)}"
        ) from reason

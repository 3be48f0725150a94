"""The target that a configuration names: loaded from a file, or trained and kept to be found again."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import inspect
import json
import os
import uuid
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from . import __version__
from .config_sections import Model, Train
from .config_values import function_named
from .configured_data import ConfiguredData, digest_of
from .located_yaml import ConfigError

_UNFINISHED = ".unfinished.keras"  # Keras tells formats by the ending


class Target(NamedTuple):
    """What is audited.

    Attributes:
      model: compiled.
      path: of its file.
      history: Keras' epoch logs if it was trained now; else None.
    """

    model: Any
    path: str
    history: dict[str, list[float]] | None = None


def configured_target(
    model: Model, data: ConfiguredData, seed: int, folder: Path, say: Any, callbacks: Sequence[Any] = ()
) -> Target:
    """The target, as it is in a file or trained now.

    A trained one is kept in `folder` under a name made of all that decides it: section, seed, architecture, training records and
    the version of Keras. One of another training is never taken.

    Args:
      model: the section.
      data: to train on.
      seed: decides weights and the order of training.
      folder: where trained ones are kept.
      say: is told what happens, a sentence at a time.
      callbacks: watch the training; with any, the target is trained anew whatever is kept.
    Raises:
      ConfigError: if a file holds no compiled model, or the data do not fit the architecture.
    """
    if model.target is not None:
        return Target(loaded_model(model.target), model.target)
    assert model.train is not None
    fresh = _built(model.train, data, seed)
    path = folder / f"target-{_identity(model.train, fresh, data, seed)[:16]}.keras"
    if path.exists() and not callbacks:
        with contextlib.suppress(ConfigError):  # a damaged one is made again
            found = Target(loaded_model(str(path)), str(path))
            say(f"target: found {path}")
            return found
    x, y = data.part("members")
    say(f"target: training {model.train.architecture} on {len(x):,} records for {model.train.epochs} epochs")
    batches = tf.data.Dataset.from_tensor_slices((x, y)).shuffle(len(x), seed).batch(model.train.batch_size)
    course = fresh.fit(batches, epochs=model.train.epochs, shuffle=False, verbose=0, callbacks=list(callbacks))
    folder.mkdir(parents=True, exist_ok=True)
    for stray in folder.glob(f"*{_UNFINISHED}"):  # of runs that were killed: models that know their records
        stray.unlink(missing_ok=True)
    unfinished = folder / f"{uuid.uuid4().hex}{_UNFINISHED}"
    try:
        fresh.save(unfinished)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    return Target(fresh, str(path), course.history)


def accuracies(target: Any, data: ConfiguredData) -> dict[str, float]:
    """The share of members and of non-members whose class the target finds; empty if it is no such classifier."""
    found = {}
    for side in ("members", "nonmembers"):
        x, y = data.part(side)
        if y.ndim != 1 or y.dtype.kind not in "iu":
            return {}
        outputs = target.predict(x, batch_size=1_024, verbose=0)
        if isinstance(outputs, (dict, list)) or outputs.ndim != 2 or outputs.shape[1] < 2:
            return {}
        found[side] = float(np.mean(outputs.argmax(axis=1) == y))
    return found


def loaded_model(path: str, field: str = "model.target") -> Any:
    """The compiled model in a `.keras` file.

    Raises:
      ConfigError: if it cannot be loaded, or is not compiled; `field` names it in the message.
    """
    try:
        model = keras.saving.load_model(path)
    except Exception as reason:  # of a damaged file, or of layers that are not known here
        raise ConfigError(
            f"{field}: {path} cannot be loaded ({reason}); give a .keras file that Keras saved."
        ) from None
    if getattr(model, "loss", None) is None:
        raise ConfigError(f"{field}: {path} is not compiled; compile the model as it was trained, and save it again.")
    return model


def _built(train: Train, data: ConfiguredData, seed: int) -> Any:
    if ":" in train.architecture:
        made = function_named(train.architecture, "model.train.architecture")()
        if not isinstance(made, keras.Model) or getattr(made, "loss", None) is None:
            raise ConfigError(
                f"model.train.architecture: {train.architecture} gave {made!r:.80}; it must return a compiled model."
            )
        return made
    x, y = data.x, data.y
    if y.ndim != 1 or y.dtype.kind not in "iu" or y.min() < 0:
        raise ConfigError(
            f"model.train.architecture: {train.architecture} tells classes apart, and y is {y.dtype}{list(y.shape)}; give class "
            "numbers [n] from 0 on, or a function that makes the model."
        )
    if x.dtype.kind not in "fiub":
        raise ConfigError(
            f"model.train.architecture: x has type {x.dtype}; give numbers, or a function that makes the model."
        )
    seeds = iter(np.random.SeedSequence([seed, 0x3A]).generate_state(len(train.hidden) + 3).tolist())

    def weights() -> Any:
        return keras.initializers.GlorotUniform(next(seeds))

    layers: list[Any] = [keras.Input(x.shape[1:])]
    if train.architecture == "cnn":
        if x.ndim != 4:
            raise ConfigError(
                f"model.train.architecture: cnn reads images [n, height, width, channels], and x has shape {list(x.shape)}; take "
                "mlp."
            )
        for filters in (16, 32):
            layers.append(
                keras.layers.Conv2D(filters, 3, padding="same", activation="relu", kernel_initializer=weights())
            )
            layers.append(keras.layers.MaxPooling2D())
    if x.ndim > 2:
        layers.append(keras.layers.Flatten())
    for width in train.hidden:
        layers.append(keras.layers.Dense(width, activation="relu", kernel_initializer=weights()))
    layers.append(keras.layers.Dense(int(y.max()) + 1, kernel_initializer=weights()))
    model = keras.Sequential(layers, name="target")
    model.compile(
        optimizer=keras.optimizers.Adam(train.learning_rate),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    )
    return model


def _identity(train: Train, model: Any, data: ConfiguredData, seed: int) -> str:
    """All that decides a training, but for the machine."""
    code = ""
    if ":" in train.architecture:
        module = importlib.import_module(train.architecture.partition(":")[0])
        code = hashlib.sha256(inspect.getsource(module).encode()).hexdigest()
    # Not the model's own description: in it layers are counted up from model to model.
    shapes = str((model.input_shape, model.output_shape))
    held = digest_of(*data.part("members"))
    parts = [train.model_dump(mode="json"), code, shapes, seed, held, keras.__version__, __version__]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()

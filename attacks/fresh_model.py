"""Copies of a model that know nothing of it but its architecture: initialised afresh, each with a seed of its own."""

from __future__ import annotations

import contextlib
import random
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from .compiled_pass import build_model

_REMEDY = (
    "give ShadowModels(model_fn=...), a function of no arguments that returns a new model with weights drawn afresh"
)
_LONGEST_REASON = 200


class FreshModels:
    """Makes shadow models out of a target model without reading any of its weights.

    Args:
      model: the target, built; compiled if its copies are to be.
      x: a nest of tensors [n, ...] such as it takes.
      model_fn: makes a new model; None = clone the target's architecture, every seed in its configuration replaced.
      seed: with the shadow's number it decides initial weights and the seeds of random layers.
    """

    def __init__(self, model: Any, x: Any, model_fn: Callable[[], Any] | None = None, seed: int = 0) -> None:
        self._model, self._x, self._model_fn, self._seed = model, x, model_fn, seed

    def make(self, shadow: int) -> Any:
        """A built, uncompiled shadow model (one that `model_fn` compiled stays as it is).

        Raises:
          ValueError: if the model cannot be made, or has other weights than the target.
        """
        with own_random_state(self._seed, shadow):
            try:
                made = self._cloned(shadow) if self._model_fn is None else self._model_fn()
            except Exception as reason:
                what = f"the model ({type(self._model).__name__}) cannot be cloned"
                what = what if self._model_fn is None else "model_fn fails"
                said = " ".join(str(reason).split())
                said = said if len(said) <= _LONGEST_REASON else f"{said[:_LONGEST_REASON]}…"
                raise ValueError(f"{what}: {type(reason).__name__}: {said}; {_REMEDY}.") from reason
            if not isinstance(made, keras.Model):
                raise ValueError(f"model_fn returned a {type(made).__name__}; {_REMEDY}.")
            if made is self._model:
                raise ValueError(f"model_fn returned the model that is being audited; {_REMEDY}.")
            build_model(made, self._x)
        _refuse_other_architecture(made, self._model)
        return made

    def make_compiled(self, shadow: int) -> Any:
        """The same, compiled as the target is, with an optimizer of its own."""
        made, target = self.make(shadow), self._model
        if not getattr(made, "compiled", False) or self._model_fn is None:
            made.compile(
                optimizer=_copy_of(target.optimizer),
                loss=target.loss,
                loss_weights=_loss_weights(target),
                run_eagerly=target.run_eagerly,
                jit_compile=False,
            )
        if made.optimizer is target.optimizer:
            raise ValueError("model_fn compiles with the audited model's own optimizer; give each model a new one.")
        made.optimizer.build(made.trainable_variables)
        return made

    def augmentation_seed(self, shadow: int) -> int:
        """Below 2³¹, another for each shadow model."""
        return int(np.random.default_rng([self._seed, shadow, 1]).integers(2**31 - 1))

    def _cloned(self, shadow: int) -> Any:
        seeds = np.random.default_rng([self._seed, shadow])

        def anew(layer: Any) -> Any:
            return _anew(layer, seeds)

        return _copied(self._model, anew)


def fresh_layer(layer: Any, x: Any, seed: int) -> Any:
    """A built copy of a layer (or model) whose random numbers start from `seed`."""
    seeds = np.random.default_rng([seed])
    with own_random_state(seed):
        made = _copied(layer, lambda inner: _anew(inner, seeds))
        made(tf.nest.map_structure(lambda leaf: keras.KerasTensor((None, *leaf.shape[1:]), leaf.dtype.name), x))
    return made


@contextlib.contextmanager
def own_random_state(*seed: int) -> Iterator[None]:
    """Lets Keras draw default seeds from Python's and NumPy's global generators, and puts both back as they were.

    Keras draws the seed of an initializer that has none from Python's `random`; user code may draw from NumPy. The states
    belong to the training that is to be watched.
    """
    for_numpy, for_python = np.random.get_state(), random.getstate()  # noqa: NPY002
    own = np.random.SeedSequence(seed).generate_state(2)
    random.setstate(random.Random(int(own[0])).getstate())
    np.random.set_state(np.random.RandomState(own[1]).get_state())  # noqa: NPY002
    try:
        yield
    finally:
        np.random.set_state(for_numpy)  # noqa: NPY002
        random.setstate(for_python)


def state_variables(model: Any) -> list[Any]:
    """Every Keras variable that training changes: weights, statistics, seeds of random layers, the optimizer's."""
    return [*model.trainable_variables, *untrained_variables(model), *model.optimizer.variables]


def untrained_variables(model: Any) -> list[Any]:
    """Variables that no gradient changes: statistics, seeds, frozen weights."""
    trained = {id(variable) for variable in model.trainable_variables}
    return [variable for variable in model.variables if id(variable) not in trained]


def differing_statistics(model: Any, fresh: Any) -> list[str]:
    """Names of untrained variables, random seeds apart, whose values in `model` are not those of a fresh copy."""
    pairs = zip(untrained_variables(model), untrained_variables(fresh), strict=True)
    return [
        str(ours.path)
        for ours, theirs in pairs
        if "seed_generator_state" not in ours.path and not np.array_equal(np.asarray(ours), np.asarray(theirs))
    ]


def _copied(layer: Any, anew: Callable[[Any], Any]) -> Any:
    """A layer or a model of layers, each made anew; without what a model was compiled with, which need not be cloneable."""
    if type(layer) is keras.Sequential:
        made: dict[int, Any] = {}  # a layer may stand there twice
        return keras.Sequential(
            [made.setdefault(id(inner), _copied(inner, anew)) for inner in layer.layers], name=layer.name
        )
    if type(layer).__name__ == "Functional":  # which has no public name
        uncompiled = keras.Model(layer.input, layer.output, name=layer.name)
        return keras.models.clone_model(uncompiled, clone_function=lambda inner: _copied(inner, anew))
    return anew(layer)


def _anew(layer: Any, seeds: np.random.Generator) -> Any:
    config = _reseeded(layer.get_config(), seeds)
    if isinstance(layer, keras.layers.Lambda):  # its code is in this process already
        return type(layer).from_config(config, safe_mode=False)
    return type(layer).from_config(config)


def _reseeded(config: Any, seeds: np.random.Generator) -> Any:
    """The configuration with a new number wherever it holds a seed (of an initializer or a random layer)."""
    if isinstance(config, dict):
        return {
            key: int(seeds.integers(2**31 - 1))
            if key == "seed" and (value is None or isinstance(value, int))
            else _reseeded(value, seeds)
            for key, value in config.items()
        }
    if isinstance(config, (list, tuple)):
        return type(config)(_reseeded(value, seeds) for value in config)
    return config


def _copy_of(optimizer: Any) -> Any:
    if optimizer is None:
        return None
    try:
        return type(optimizer).from_config(optimizer.get_config())
    except Exception as reason:
        raise ValueError(
            f"the optimizer ({type(optimizer).__name__}) cannot be copied: {type(reason).__name__}: {reason}; "
            "give ShadowModels(model_fn=...) and let it compile the model."
        ) from reason


def _loss_weights(model: Any) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it writes down the loss, too, and warns of lambdas
            return (model.get_compile_config() or {}).get("loss_weights")
    except (TypeError, ValueError, NotImplementedError):  # a loss that cannot be written down
        return None


def _refuse_other_architecture(made: Any, model: Any) -> None:
    ours, theirs = ([tuple(v.shape) for v in m.trainable_variables] for m in (made, model))
    same_step = type(made).train_step is type(model).train_step
    if ours != theirs or not same_step or len(untrained_variables(made)) != len(untrained_variables(model)):
        raise ValueError(
            f"a copy of the model ({type(model).__name__}) has {len(ours)} trainable weights where the model has {len(theirs)}, "
            f"or of other shapes, or another train_step; {_REMEDY}."
        )

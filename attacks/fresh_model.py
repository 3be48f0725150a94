"""Copies of a model that know nothing of it but its architecture: initialised afresh, each with a seed of its own."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import keras
import numpy as np

from .model_checks import build_model
from .random_state import own_random_state
from .record_arrays import symbolic
from .seeded_stream import seeded_stream

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
        _take_over_statistics(made, self._model)
        return made

    def make_compiled(self, shadow: int) -> Any:
        """The same, compiled as the target is, with an optimizer of its own."""
        made, target = self.make(shadow), self._model
        if not getattr(made, "compiled", False) or self._model_fn is None:
            made.compile(
                optimizer=_copy_of(target.optimizer),
                loss=target.loss,
                loss_weights=loss_weights_of(target),
                run_eagerly=target.run_eagerly,
                jit_compile=False,
                auto_scale_loss=False,  # the copied optimizer scales where the target's does
            )
            _exclude_from_decay(made, target)
        if made.optimizer is target.optimizer:
            raise ValueError("model_fn compiles with the audited model's own optimizer; give each model a new one.")
        made.optimizer.build(made.trainable_variables)
        return made

    def augmentation_seed(self, shadow: int) -> int:
        """Below 2³¹, another for each shadow model."""
        return int(seeded_stream("augmentation", self._seed, shadow).integers(2**31 - 1))

    def _cloned(self, shadow: int) -> Any:
        seeds = seeded_stream("initial weights", self._seed, shadow)

        def anew(layer: Any) -> Any:
            return _anew(layer, seeds)

        return _copied(self._model, anew)


def fresh_layer(layer: Any, x: Any, seed: int) -> Any:
    """A built copy of a layer (or model) whose random numbers start from `seed`."""
    seeds = seeded_stream("augmentation layer", seed)
    with own_random_state(seed):
        made = _copied(layer, lambda inner: _anew(inner, seeds))
        made(symbolic(x))
    return made


def state_variables(model: Any) -> list[Any]:
    """Every Keras variable that training changes: weights, statistics, seeds of random layers, the optimizer's."""
    return [*model.trainable_variables, *untrained_variables(model), *model.optimizer.variables]


def untrained_variables(model: Any) -> list[Any]:
    """Variables that no gradient changes: statistics, seeds, frozen weights."""
    trained = {id(variable) for variable in model.trainable_variables}
    return [variable for variable in model.variables if id(variable) not in trained]


def not_as_made(model: Any, first: Any, second: Any) -> list[str]:
    """Names of variables, random seeds apart, that two fresh copies of a model agree on and the model does not.

    Moving statistics and frozen weights are compared with one copy. After training these differ, as do biases.
    """
    untrained = zip(*map(untrained_variables, (model, first, first)), strict=True)
    trained = zip(*(one.trainable_variables for one in (model, first, second)), strict=True)
    found = []
    for ours, one, other in (*untrained, *trained):
        fresh = np.asarray(one)
        fixed = "seed_generator_state" not in ours.path and np.array_equal(fresh, np.asarray(other))
        if fixed and not np.array_equal(np.asarray(ours), fresh):
            found.append(str(ours.path))
    return found


def _copied(layer: Any, anew: Callable[[Any], Any]) -> Any:
    """A layer or a model of layers, each made anew; without what a model was compiled with, which need not be cloneable."""
    if type(layer) is keras.Sequential:
        inner = [keras.Input(batch_shape=one.shape, dtype=one.dtype) for one in layer.inputs] if layer.built else []
        made: dict[int, Any] = {}  # a layer may stand there twice
        for one in layer.layers:
            if id(one) not in made:
                made[id(one)] = _copied(one, anew)
            inner.append(made[id(one)])
        copy = keras.Sequential(inner, name=layer.name)
    elif type(layer).__name__ == "Functional":  # which has no public name
        uncompiled = keras.Model(layer.input, layer.output, name=layer.name)
        copy = keras.models.clone_model(uncompiled, clone_function=lambda one: _copied(one, anew))
    else:
        return anew(layer)
    if not layer.trainable:
        copy.trainable = False
    return copy


def _anew(layer: Any, seeds: np.random.Generator) -> Any:
    if type(layer) is keras.layers.Lambda:
        # Its configuration holds bytecode without the names that it refers to; the function itself is at hand.
        shape, dtype = getattr(layer, "_output_shape", None), layer.dtype_policy
        return keras.layers.Lambda(layer.function, shape, layer.mask, layer.arguments, name=layer.name, dtype=dtype)
    made = type(layer).from_config(_reseeded(layer.get_config(), seeds))
    if hasattr(layer, "get_vocabulary") and hasattr(made, "set_vocabulary"):
        words = layer.get_vocabulary(include_special_tokens=False)
        if words and not made.get_vocabulary(include_special_tokens=False):
            made.set_vocabulary(words)  # what `adapt` learned of the inputs is no part of the configuration
    return made


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


def undecayed(model: Any) -> list[int]:
    """The numbers of the trainable variables that weight decay leaves out: a call on the optimizer, not in its configuration."""
    decays = getattr(model.optimizer, "_use_weight_decay", None)  # there is no public way to ask
    if decays is None or not getattr(model.optimizer, "weight_decay", None):
        return []
    return [number for number, variable in enumerate(model.trainable_variables) if not decays(variable)]


def _exclude_from_decay(made: Any, target: Any) -> None:
    excluded = [made.trainable_variables[number] for number in undecayed(target)]
    if excluded:
        made.optimizer.exclude_from_weight_decay(var_list=excluded)


def _take_over_statistics(made: Any, target: Any) -> None:
    """What `Normalization.adapt` learned of the inputs is preprocessing, not training."""
    for theirs, own in zip(normalizations(target), normalizations(made), strict=True):
        if theirs.built and own.built and theirs.weights:
            own.set_weights(theirs.get_weights())
            own.finalize_state()


def normalizations(model: Any) -> list[Any]:
    """The Normalization layers of a model, wherever they stand."""
    found = []
    for layer in getattr(model, "layers", []):
        found += [layer] if isinstance(layer, keras.layers.Normalization) else normalizations(layer)
    return found


def loss_weights_of(model: Any) -> Any:
    """What the model was compiled with."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it writes down the loss, too, and warns of lambdas
            return (model.get_compile_config() or {}).get("loss_weights")
    except Exception as reason:  # without its weights the loss would be another
        raise ValueError(
            f"what the model was compiled with cannot be read: {type(reason).__name__}: {reason}; give "
            "ShadowModels(model_fn=...) and let it compile the model."
        ) from reason


def _refuse_other_architecture(made: Any, model: Any) -> None:
    ours, theirs = ([tuple(v.shape) for v in m.trainable_variables] for m in (made, model))
    what = ""
    if ours != theirs:
        what = f"trainable weights of shapes {_some(ours)} where the model has {_some(theirs)}"
    elif len(untrained_variables(made)) != len(untrained_variables(model)):
        what = f"{len(untrained_variables(made))} other variables where the model has {len(untrained_variables(model))}"
    elif type(made).train_step is not type(model).train_step:
        what = "another train_step"
    if what:
        raise ValueError(f"a copy of the model ({type(model).__name__}) has {what}; {_REMEDY}.")


def _some(shapes: list[tuple[int, ...]]) -> str:
    return ", ".join(map(str, shapes[:4])) + (", …" if len(shapes) > 4 else "") if shapes else "none"

"""A Keras optimizer as a function: state in, state out."""

from __future__ import annotations

from typing import Any

import keras

from .fresh_model import undecayed

_ALL = keras.optimizers
# Not ScheduleFreeAdamW: on TensorFlow it keeps a variable for its value of before, and so trains otherwise than it says.
_KNOWN = (
    *(_ALL.SGD, _ALL.Adam, _ALL.AdamW, _ALL.Adamax, _ALL.Nadam, _ALL.RMSprop, _ALL.Adagrad, _ALL.Adadelta),
    *(_ALL.Ftrl, _ALL.Lion, _ALL.Adafactor, _ALL.Lamb, _ALL.Muon),
)


def why_not_stateless(optimizer: Any) -> str:
    """Why an optimizer cannot be run on values instead of variables; "" if it can, as far as can be told beforehand."""
    if isinstance(optimizer, keras.optimizers.LossScaleOptimizer):
        return "the optimizer scales the loss"
    if type(optimizer) not in _KNOWN:
        return f"the optimizer {type(optimizer).__name__} is none of those whose updates are known to be the same on values"
    if getattr(optimizer, "gradient_accumulation_steps", None):
        return "the optimizer accumulates gradients over steps"
    if getattr(optimizer, "use_ema", False) and getattr(optimizer, "ema_overwrite_frequency", None):
        return "the optimizer puts averages in the place of weights during training"
    return ""


class StatelessOptimizer:
    """The update that a compiled model's optimizer makes, within a `keras.StatelessScope`.

    On TensorFlow Keras' optimizers write to TensorFlow's variables, past any scope, for the sake of training over replicas. Their
    base class, from which the other backends inherit, writes to Keras' variables, which a scope redirects. So a copy of the
    optimizer is made that has the base class' methods wherever TensorFlow's were put before them.

    Args:
      model: compiled, its optimizer built.
    Attributes:
      variables: those of the copy, in the order of `model.optimizer.variables`.
    """

    def __init__(self, model: Any) -> None:
        given = model.optimizer
        self._copy = _without_replicas(type(given)).from_config(given.get_config())
        excluded = [model.trainable_variables[number] for number in undecayed(model)]
        if excluded:
            self._copy.exclude_from_weight_decay(var_list=excluded)
        self._weights = model.trainable_variables
        self._copy.build(self._weights)
        self.variables = list(self._copy.variables)
        ours, theirs = ([tuple(one.shape) for one in some] for some in (self.variables, given.variables))
        if ours != theirs:
            raise ValueError(f"a copy of the optimizer ({type(given).__name__}) keeps other variables than it.")

    @property
    def rate(self) -> Any:
        """The learning rate in the present scope: the variable's value, or what the schedule says of `iterations`."""
        rate = self._copy.learning_rate
        return rate.value if isinstance(rate, keras.Variable) else rate

    @property
    def rate_index(self) -> int | None:
        """Where among `variables` the learning rate stands; None if a schedule (or nothing) decides it."""
        return _index_of(getattr(self._copy, "_learning_rate", None), self.variables)

    @property
    def iterations_index(self) -> int:
        """Where among `variables` the number of steps stands."""
        index = _index_of(self._copy.iterations, self.variables)
        assert index is not None
        return index

    def apply(self, gradients: list[Any]) -> None:
        """One update of the weights, in the present scope."""
        self._copy.apply(gradients, self._weights)


def _without_replicas(optimizer: type[Any]) -> type[Any]:
    """A class like this one, with the methods of Keras' base optimizer in the place of TensorFlow's."""
    lineage = keras.optimizers.Optimizer.__mro__
    base = next(one for one in lineage if one.__name__ == "BaseOptimizer")
    between = lineage[1 : lineage.index(base)]
    own = optimizer.__mro__[: optimizer.__mro__.index(keras.optimizers.Optimizer)]
    # Norms are clipped by TensorFlow's own operation: it knows sparse gradients, and rounds as training does.
    names = {name for one in between for name in vars(one)} & set(vars(base)) - {"_clip_by_norm"}
    given_back = {
        name: vars(base)[name]
        for name in names
        if not name.startswith("__") and not any(name in vars(one) for one in own)
    }
    # Those that extend a method of TensorFlow's (as Nadam does) get to its parts.
    parts = {"_all_reduce_sum_gradients": _with_variables, "_distributed_tf_update_step": _update_each}
    return type(f"Stateless{optimizer.__name__}", (optimizer,), {**given_back, **parts})


def _with_variables(optimizer: Any, gradients_and_values: Any) -> list[tuple[Any, Any]]:
    variables = {id(variable.value): variable for variable in optimizer._trainable_variables}
    return [(gradient, variables[id(value)]) for gradient, value in gradients_and_values]


def _update_each(optimizer: Any, strategy: Any, gradients_and_variables: Any, rate: Any) -> None:
    for gradient, variable in gradients_and_variables:
        optimizer.update_step(gradient, variable, rate)


def _index_of(variable: Any, variables: list[Any]) -> int | None:
    return next((index for index, one in enumerate(variables) if one is variable), None)

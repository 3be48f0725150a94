"""A model described without its weights makes the same shadow models elsewhere as it does here."""

import sys
import types

import keras
import numpy as np
import pytest
import tensorflow as tf

from privacy_callbacks.attacks.fresh_model import FreshModels, state_variables
from privacy_callbacks.attacks.model_description import described, stand_in, weights_digest

pytest.importorskip("ray")

from privacy_callbacks.attacks.sent_code import packed_code, unpacked_code

layers = keras.layers
X = np.random.default_rng(0).normal(size=(40, 6)).astype("float32")
Y = np.random.default_rng(1).integers(0, 3, 40)


@keras.saving.register_keras_serializable("tests")
def softer(x):
    return x * keras.ops.sigmoid(x / 2)


class Scaled(layers.Layer):
    """A layer of one's own, with another within."""

    def __init__(self, units, **options):
        super().__init__(**options)
        self.units, self.inner = units, layers.Dense(units, activation=softer)

    def build(self, shape):
        self.inner.build(shape)

    def call(self, x):
        return factor() * self.inner(x)

    def get_config(self):
        return {**super().get_config(), "units": self.units}


def factor():
    return 1.5


class Scored(keras.losses.Loss):
    """A loss without a configuration."""

    def __init__(self, weight):
        super().__init__()
        self.weight = weight

    def call(self, y, p):
        return self.weight * keras.losses.sparse_categorical_crossentropy(y, p)


class OwnModel(keras.Model):
    def __init__(self, width=4):
        super().__init__()
        self.width = width
        self.inner, self.head = layers.Dense(width), layers.Dense(3, activation="softmax")

    def get_config(self):
        return {"width": self.width}

    def call(self, x):
        return self.head(self.inner(x))


def classifier(*more, optimizer="adam", loss="sparse_categorical_crossentropy", **options):
    model = keras.Sequential([keras.Input((6,)), *more, layers.Dense(3, activation="softmax")])
    model.compile(optimizer=optimizer, loss=loss, **options)
    return model


def graph():
    """Functional: a layer used twice, operations, a Lambda with a name from outside, models within, adapted statistics."""
    given, normal = keras.Input((6,)), layers.Normalization()
    normal.adapt(3 * X + 1)
    shared = layers.Dense(6, activation="tanh")
    hidden = shared(shared(normal(given)))
    hidden = layers.Lambda(lambda x: x * factor())(keras.ops.add(hidden, 1.0) * 2)
    hidden = keras.Sequential([layers.Dense(5), layers.Dropout(0.1)], name="inner")(hidden)
    inner_given = keras.Input((5,))
    frozen = keras.Model(inner_given, layers.Dense(4)(inner_given), name="frozen")
    frozen.trainable = False
    model = keras.Model(given, layers.Dense(3, activation="softmax")(frozen(hidden)))
    optimizer = keras.optimizers.AdamW(0.01)
    optimizer.exclude_from_weight_decay(var_names=["bias"])
    model.compile(optimizer, Scored(2.0))
    return model


def several_outputs():
    given = keras.Input((6,))
    one, two = (layers.Dense(3, activation="softmax", name=name)(given) for name in ("one", "two"))
    model = keras.Model(given, {"one": one, "two": two})
    crossentropy = "sparse_categorical_crossentropy"
    model.compile("sgd", {"one": crossentropy, "two": Scored(0.5)}, loss_weights={"one": 1.0, "two": 0.3})
    return model


def own_model():
    model = OwnModel(7)
    model.compile("adam", "sparse_categorical_crossentropy")
    model(X[:1])
    return model


SCHEDULE = keras.optimizers.schedules.ExponentialDecay(0.1, 2, 0.5)
MODELS = {
    "dense": lambda: classifier(layers.Dense(8), layers.BatchNormalization(), layers.Dropout(0.3)),
    "fixed seeds": lambda: classifier(layers.Dense(4, kernel_initializer=keras.initializers.HeNormal(7))),
    "a layer of one's own": lambda: classifier(Scaled(5), layers.Activation(softer)),
    "a schedule and clipping": lambda: classifier(optimizer=keras.optimizers.SGD(SCHEDULE, 0.9, global_clipnorm=1.0)),
    "scaled loss": lambda: classifier(optimizer=keras.optimizers.LossScaleOptimizer(keras.optimizers.Adam())),
    "half precision": lambda: classifier(layers.Dense(4, dtype="mixed_bfloat16")),
    "a loss by function": lambda: classifier(loss=lambda y, p: -factor() * keras.ops.log(p[:, 0])),
    "functional": graph,
    "several outputs": several_outputs,
    "subclassed": own_model,
}


def elsewhere(model, model_fn=None):
    """The stand-in that a worker makes of what it is sent."""
    return stand_in(unpacked_code(packed_code(described(model, model_fn), "the model")), tf.constant(X))


@pytest.mark.parametrize("kind", MODELS)
def test_shadow_models_made_elsewhere_start_alike(kind):
    model = MODELS[kind]()
    model.set_weights([np.full_like(values, 0.25) for values in model.get_weights()])  # not what is sent
    there = elsewhere(model)
    here, there = (FreshModels(one, tf.constant(X), None, 3) for one in (model, there))
    for shadow in (0, 1):
        ours, theirs = here.make_compiled(shadow), there.make_compiled(shadow)
        assert weights_digest(ours) == weights_digest(theirs)
        for one, other in zip(state_variables(ours), state_variables(theirs), strict=True):
            np.testing.assert_array_equal(one.numpy(), other.numpy())


@pytest.mark.parametrize("kind", [kind for kind in MODELS if kind not in ("several outputs", "a layer of one's own")])
def test_and_learn_alike(kind):
    model = MODELS[kind]()
    here, there = (FreshModels(one, tf.constant(X), None, 3).make_compiled(0) for one in (model, elsewhere(model)))
    for one in (here, there):
        for _ in range(3):
            one.train_on_batch(X, Y)
    for one, other in zip(state_variables(here), state_variables(there), strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


def test_no_weight_of_the_model_is_sent():
    model = classifier(layers.Dense(8))
    mark = np.random.default_rng(5).normal(size=(6, 8)).astype("float32")
    model.layers[0].set_weights([mark, mark[0]])
    assert mark[0].tobytes() not in packed_code(described(model, None), "the model")


def test_a_vocabulary_goes_along():
    words = layers.TextVectorization(output_mode="multi_hot")
    words.adapt(["a dog", "a cat", "no dog"])
    model = keras.Sequential([keras.Input((), dtype="string"), words, layers.Dense(3, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    sent = unpacked_code(packed_code(described(model, None), "the model"))
    made = stand_in(sent, tf.constant(["a dog"]))
    assert made.layers[0].get_vocabulary() == words.get_vocabulary()


def test_model_fn_is_sent_instead_of_a_configuration():
    class Unconfigured(keras.Model):
        def __init__(self, inner):
            super().__init__()
            self.inner = inner

        def call(self, x):
            return self.inner(x)

    def make():
        model = Unconfigured(layers.Dense(3, activation="softmax"))
        model.compile("adam", "sparse_categorical_crossentropy")
        return model

    model = make()
    model(X[:1])
    assert [tuple(one.shape) for one in elsewhere(model, make).weights] == [(6, 3), (3,)]
    with pytest.raises(
        ValueError, match=r"the model \(Unconfigured\) cannot be described.*give ShadowModels\(model_fn"
    ):
        described(model, None)


@pytest.mark.parametrize(
    ("held", "message"),
    [
        (keras.Variable(1.0, name="mine"), r"a query cannot be sent to Ray's workers: .*holds a variable \(mine\)"),
        (tf.Variable(1.0, name="mine"), "holds a variable"),
        (classifier(), "holds a layer or model with weights"),
        ((_ for _ in ()), "cannot pickle 'generator' object"),
    ],
    ids=["variable", "tf.Variable", "model", "generator"],
)
def test_functions_that_hold_what_workers_would_not_share_are_refused(held, message):
    # Made by value, as a notebook's functions are.
    function = types.FunctionType((lambda x: held).__code__, {"held": held}, "query", None, (types.CellType(held),))
    function.__module__ = "__main__"
    with pytest.raises(ValueError, match=message):
        packed_code((function,), "a query")


def test_what_a_worker_cannot_import_is_named():
    module = types.ModuleType("nowhere_else")
    exec("def function(x):\n    return x", vars(module))
    sys.modules["nowhere_else"] = module
    try:
        content = packed_code(module.function, "a query")
    finally:
        del sys.modules["nowhere_else"]
    with pytest.raises(ValueError, match=r"No module named 'nowhere_else'.*register_pickle_by_value\(module\)"):
        unpacked_code(content)

"""One row a head: the signals equal a NumPy computation from what the model predicts, whatever the label shape."""

import functools
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf

from privacy_callbacks.attacks import AuditSet
from privacy_callbacks.attacks.attack import SIGNAL_NAMES
from privacy_callbacks.attacks.compiled_pass import SignalPass

N, CLASSES = 40, 4
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 5)).astype("float32")
CLASS = RNG.integers(0, CLASSES, N)
ONE_HOT = np.eye(CLASSES)[CLASS]
COIN = RNG.integers(0, 2, N)
MULTI_HOT = RNG.integers(0, 2, (N, CLASSES))
TARGET = RNG.normal(size=N)


def model(width, activation=None, loss="mse", **dense):
    layers = [keras.Input((5,)), keras.layers.Dense(width, activation=activation, **dense)]
    built = keras.Sequential(layers)
    built.compile(loss=loss)
    return built


def cast_softmax():
    inputs = keras.Input((5,))
    soft = keras.layers.Dense(CLASSES, activation="softmax")(inputs)
    built = keras.Model(inputs, keras.layers.Lambda(lambda p: tf.cast(p, "float64"), dtype="float64")(soft))
    built.compile(loss="sparse_categorical_crossentropy")
    return built


def signals_of(built, y, names=None, **arguments):
    audit_set = AuditSet((X[: N // 2], y[: N // 2]), (X[N // 2 :], y[N // 2 :]))
    signal_pass = SignalPass(built, audit_set, **arguments)
    return signal_pass.head, signal_pass.signals(names or signal_pass.head.signals)


def assert_close(found, expected):
    """Equal to float32's rounding; where a small value is the difference of larger ones, to the rounding of those."""
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def predicted(built):
    return built.predict(X, verbose=0).astype("float64")


def categorical(logits, label=CLASS):
    """The signals of a softmax head, the plain way, in float64."""
    p = np.exp(logits - logits.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    own = np.arange(logits.shape[1]) == label[:, None]
    confidence = np.log(p[own])
    other = np.where(own, 0, p * np.log1p(-p)).sum(1)
    return {
        "loss": confidence,
        "confidence": confidence,
        "scaled_logit": confidence - np.log1p(-p[own]),
        "margin": logits[own] - np.where(own, -np.inf, logits).max(1),
        "entropy": (p * np.log(p)).sum(1),
        "modified_entropy": (1 - p[own]) * confidence + other,
        "correct": (logits.argmax(1) == label).astype(float),
    }


def binary(logit, label):
    return categorical(np.stack([np.zeros_like(logit), logit], 1), label)


def multi_label(logits):
    each = [binary(logits[:, k], MULTI_HOT[:, k]) for k in range(CLASSES)]
    joined = {name: np.sum([signals[name] for signals in each], axis=0) for name in each[0]}
    for averaged in ("loss", "correct"):
        joined[averaged] = joined[averaged] / CLASSES
    return joined


log = np.log
CCE, SCCE = keras.losses.CategoricalCrossentropy, keras.losses.SparseCategoricalCrossentropy
BCE = keras.losses.BinaryCrossentropy
SPARSE = "sparse_categorical_crossentropy"
HEADS = {
    "softmax": (model(CLASSES, "softmax", SPARSE), CLASS, lambda p: categorical(log(p))),
    "softmax, labels (n, 1)": (model(CLASSES, "softmax", SPARSE), CLASS[:, None], lambda p: categorical(log(p))),
    "softmax, float labels": (model(CLASSES, "softmax", SPARSE), CLASS.astype(float), lambda p: categorical(log(p))),
    "softmax, uint8 labels": (model(CLASSES, "softmax", SPARSE), CLASS.astype("uint8"), lambda p: categorical(log(p))),
    "softmax, one-hot": (model(CLASSES, "softmax", "categorical_crossentropy"), ONE_HOT, lambda p: categorical(log(p))),
    "logits": (model(CLASSES, None, SCCE(from_logits=True)), CLASS, categorical),
    "logits, sum reduction": (model(CLASSES, None, SCCE(from_logits=True, reduction="sum")), CLASS, categorical),
    "logits, one-hot, smoothed": (
        model(CLASSES, None, CCE(from_logits=True, label_smoothing=0.2)),
        ONE_HOT,
        categorical,
    ),
    "logits, partial": (
        model(CLASSES, None, functools.partial(keras.losses.sparse_categorical_crossentropy, from_logits=True)),
        CLASS,
        categorical,
    ),
    "logits, one-hot, smoothed partial": (
        model(
            CLASSES,
            None,
            functools.partial(keras.losses.categorical_crossentropy, from_logits=True, label_smoothing=0.3),
        ),
        ONE_HOT,
        categorical,
    ),
    "softmax behind a cast": (cast_softmax(), CLASS, lambda p: categorical(log(p))),
    "crossentropy by shape": (model(CLASSES, "softmax", "crossentropy"), CLASS, lambda p: categorical(log(p))),
    "one sigmoid": (model(1, "sigmoid", "binary_crossentropy"), COIN, lambda p: binary(log(p / (1 - p))[:, 0], COIN)),
    "one sigmoid, (n, 1)": (
        model(1, "sigmoid", "binary_crossentropy"),
        COIN[:, None],
        lambda p: binary(log(p / (1 - p))[:, 0], COIN),
    ),
    "one sigmoid, bool": (
        model(1, "sigmoid", "binary_crossentropy"),
        COIN.astype(bool),
        lambda p: binary(log(p / (1 - p))[:, 0], COIN),
    ),
    "one logit": (model(1, None, BCE(from_logits=True)), COIN, lambda z: binary(z[:, 0], COIN)),
    "multi-label": (
        model(CLASSES, "sigmoid", BCE(label_smoothing=0.1)),
        MULTI_HOT,
        lambda p: multi_label(log(p / (1 - p))),
    ),
    "multi-label logits": (model(CLASSES, None, BCE(from_logits=True)), MULTI_HOT, multi_label),
}


@pytest.mark.parametrize("row", HEADS)
def test_every_signal_of_a_classifier_is_the_plain_computation(row):
    built, y, reference = HEADS[row]
    head, signals = signals_of(built, y)
    assert set(signals) == set(SIGNAL_NAMES)
    assert head.signals[0] == "loss"
    for name, expected in reference(predicted(built)).items():
        assert signals[name].shape == (N, 1)
        np.testing.assert_allclose(signals[name][:, 0], expected, rtol=2e-4, atol=2e-5, err_msg=name)


TARGETS = np.stack([TARGET, TARGET**2], 1)
REGRESSIONS = {
    "mse": (model(1, None, "mse"), TARGET, lambda z: -((z[:, 0] - TARGET) ** 2)),
    "mse, (n, 1)": (model(1, None, "mse"), TARGET[:, None], lambda z: -((z[:, 0] - TARGET) ** 2)),
    "mae, two targets": (
        model(2, None, keras.losses.MeanAbsoluteError("sum")),
        TARGETS,
        lambda z: -np.abs(z - TARGETS).mean(1),
    ),
    "function (n,)": (
        model(1, None, lambda y, z: tf.square(y - z)[:, 0]),
        TARGET,
        lambda z: -((z[:, 0] - TARGET) ** 2),
    ),
    "function (n, k)": (model(2, None, lambda y, z: tf.abs(y - z)), TARGETS, lambda z: -np.abs(z - TARGETS).mean(1)),
    "function to a scalar": (
        model(1, None, lambda y, z: tf.reduce_mean(tf.square(y - z))),
        TARGET,
        lambda z: -((z[:, 0] - TARGET) ** 2),
    ),
    "list of one": (model(1, None, ["mse"]), TARGET, lambda z: -((z[:, 0] - TARGET) ** 2)),
    "autoencoder": (model(5, "sigmoid", "mse"), X, lambda z: -((z - X) ** 2).mean(1)),
}


@pytest.mark.parametrize("row", REGRESSIONS)
def test_a_regression_has_its_loss_alone(row):
    built, y, expected = REGRESSIONS[row]
    head, signals = signals_of(built, y)
    assert head.signals == ("loss",)
    assert_close(signals["loss"][:, 0], expected(predicted(built)))


def test_a_sigmoid_under_a_categorical_loss_gets_the_loss_that_keras_trains_on():
    """Keras computes it on what goes into the sigmoid."""
    built = model(CLASSES, "sigmoid", SPARSE)
    head, signals = signals_of(built, CLASS)
    assert head.signals == ("loss",)
    assert "only signal" in head.notes[0]
    kept = [-built.test_on_batch(X[i : i + 1], CLASS[i : i + 1]) for i in range(N)]
    assert_close(signals["loss"][:, 0], kept)


@pytest.mark.parametrize("outputs", [CLASSES, 3])
def test_outputs_that_may_or_may_not_be_logits_get_the_loss_alone(outputs):
    """Whole-number targets of a loss of the user's: classes, counts, levels of a quantile regression?"""
    built = model(outputs, None, lambda y, z: tf.reduce_mean(tf.abs(z - tf.cast(tf.expand_dims(y, -1), z.dtype)), -1))
    head, signals = signals_of(built, CLASS)
    assert head.signals == ("loss",)
    assert "give the audit a Keras cross-entropy with loss=" in head.notes[0]
    assert_close(signals["loss"][:, 0], -np.abs(predicted(built) - CLASS[:, None]).mean(1))


def test_a_loss_that_keeps_no_record_apart_is_asked_one_at_a_time():
    built = model(2, None, lambda y, z: tf.reduce_mean(tf.square(y - z), axis=0))
    _, signals = signals_of(built, TARGETS)
    assert_close(signals["loss"][:, 0], -((predicted(built) - TARGETS) ** 2).mean(1))


class OwnSquares(keras.losses.Loss):
    def call(self, y, z):
        return tf.reduce_mean(tf.square(y - z), axis=-1)


def test_a_loss_of_the_users_is_not_broadcast_over_other_records():
    built = model(1, None, OwnSquares())
    _, signals = signals_of(built, TARGET)
    assert_close(signals["loss"][:, 0], -((predicted(built)[:, 0] - TARGET) ** 2))


def test_other_losses_on_a_classifier_keep_keras_value_and_get_the_other_signals():
    built = model(CLASSES, "softmax", keras.losses.CategoricalFocalCrossentropy(label_smoothing=0.1))
    head, signals = signals_of(built, ONE_HOT)
    assert (head.kind, head.stable) == ("categorical", False)
    p = predicted(built)
    plain = keras.losses.CategoricalFocalCrossentropy(reduction="none")(ONE_HOT, p).numpy()
    assert_close(signals["loss"][:, 0], -plain)
    assert_close(signals["confidence"][:, 0], log(p[ONE_HOT == 1]))


def test_soft_labels_get_their_cross_entropy_and_a_note():
    built = model(CLASSES, "softmax", "categorical_crossentropy")
    soft = 0.7 * ONE_HOT + 0.3 / CLASSES
    head, signals = signals_of(built, soft)
    assert_close(signals["loss"][:, 0], (soft * log(predicted(built))).sum(1))
    assert any("soft" in note for note in head.notes)


def test_saturated_probabilities_are_read_through_the_softmax():
    """exp(-200) is 0 in float32: from probabilities alone all three records would tie at a loss of 0."""
    built = keras.Sequential([keras.Input((5,)), keras.layers.Activation("softmax")])
    built.compile(loss=SPARSE)
    x = np.zeros((4, 5), "float32")
    x[:, 0] = [50, 100, 200, 0]
    audit_set = AuditSet((x[:2], np.zeros(2, int)), (x[2:], np.zeros(2, int)))
    signals = SignalPass(built, audit_set).signals(("scaled_logit", "loss"))
    np.testing.assert_allclose(signals["scaled_logit"][:, 0], x[:, 0] - log(4), rtol=1e-6)
    assert len(set(signals["loss"][:, 0])) == 4


def test_probabilities_whose_logits_are_out_of_reach_are_used_with_a_note():
    inputs = keras.Input((5,))
    soft = keras.layers.Dense(CLASSES, activation="softmax")(inputs)
    built = keras.Model(
        inputs, keras.layers.Average()([soft, keras.layers.Dense(CLASSES, activation="softmax")(inputs)])
    )
    built.compile(loss=SPARSE)
    head, signals = signals_of(built, CLASS)
    assert head.read_as == "probabilities"
    assert "cannot be reached" in head.notes[-1]
    expected = categorical(log(predicted(built)))
    for name in ("loss", "scaled_logit", "margin", "modified_entropy"):
        assert_close(signals[name][:, 0], expected[name])


def test_an_activation_is_found_behind_a_cast():
    assert signals_of(HEADS["softmax behind a cast"][0], CLASS)[0].read_as == "softmax"


@pytest.mark.parametrize("batch_size", [1, 7, 13, 39, 40, 1_000])
def test_signals_do_not_depend_on_the_size_of_the_chunks(batch_size):
    built, y, reference = HEADS["softmax"]
    _, signals = signals_of(built, y, batch_size=batch_size)
    assert_close(signals["margin"][:, 0], reference(predicted(built))["margin"])


def test_losses_of_half_precision_outputs_are_computed_in_single():
    built = model(1, None, "mse", dtype="float16")
    _, signals = signals_of(built, TARGET + 300)  # squares beyond float16's 65,504
    expected = -((predicted(built)[:, 0] - TARGET - 300) ** 2)
    np.testing.assert_allclose(signals["loss"][:, 0], expected, rtol=1e-3)


@pytest.mark.parametrize("policy", ["mixed_float16", "mixed_bfloat16"])
def test_mixed_precision_signals_are_computed_in_more_than_half(policy):
    built = model(CLASSES, "softmax", SPARSE, dtype=policy)
    _, signals = signals_of(built, CLASS)
    logits = keras.Model(built.inputs, built.layers[-1].output)
    expected = categorical(log(logits.predict(X, verbose=0).astype("float64")))
    np.testing.assert_allclose(signals["loss"][:, 0], expected["loss"], rtol=0.05, atol=0.02)
    assert len(np.unique(signals["loss"])) > N / 2


class NoTraining(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(CLASSES, activation="softmax")

    def call(self, x):
        return self.dense(x)


class NamedOutput(NoTraining):
    def call(self, x, training=None):
        assert training is False
        return {"classes": self.dense(x)}


@pytest.mark.parametrize("kind", [NoTraining, NamedOutput])
def test_subclassed_models_with_or_without_training_argument(kind):
    built = kind()
    built(X[:1], training=False)
    built.compile(loss=SPARSE if kind is NoTraining else {"classes": SPARSE})
    _, signals = signals_of(built, CLASS)
    p = keras.ops.convert_to_numpy(tf.nest.flatten(built(X, training=False))[0]).astype("float64")
    assert_close(signals["loss"][:, 0], log(p[np.arange(N), CLASS]))


class Overriding(NoTraining):
    def compute_loss(self, *args, **kwargs):
        return super().compute_loss(*args, **kwargs) * 2


def overriding():
    built = Overriding()
    built(X[:1])
    built.compile(loss=SPARSE)
    return built


def two_outputs():
    inputs = keras.Input((5,))
    built = keras.Model(inputs, [keras.layers.Dense(1)(inputs), keras.layers.Dense(1)(inputs)])
    built.compile(loss=["mse", "mse"])
    return built


REFUSALS = {
    "not compiled": (
        lambda: keras.Sequential([keras.Input((5,)), keras.layers.Dense(1)]),
        TARGET,
        "not compiled with a loss",
    ),
    "no model": (lambda: object(), TARGET, "need a keras.Model"),
    "a path": (lambda: "model.keras", TARGET, "a path, 'model.keras'; give what keras.models.load_model reads"),
    "tf_keras": (lambda: _old_keras(), TARGET, r"is a tf_keras\..*Sequential; audits need a keras.Model of Keras 3"),
    "no weights": (lambda: keras.Sequential([keras.layers.Dense(1)]), TARGET, "no weights yet"),
    "own variables": (lambda: _counting(), TARGET, r"writes tf.Variables when it is called \(.*AssignAdd"),
    "own __call__": (lambda: model(1, None, Calling()), TARGET, "overrides __call__ and not call"),
    "label too large": (lambda: model(3, "softmax", SPARSE), CLASS, r"first: 3.*from 0 to 2"),
    "label negative": (lambda: model(4, "softmax", SPARSE), CLASS - 1, r"first: -1"),
    "label fraction": (lambda: model(4, "softmax", SPARSE), CLASS + 0.5, "whole numbers"),
    "label NaN": (lambda: model(4, "softmax", SPARSE), np.where(CLASS == 1, np.nan, CLASS), "labels are NaN"),
    "one-hot for sparse": (lambda: model(4, "softmax", SPARSE), ONE_HOT, r"wants class numbers of shape"),
    "sparse for one-hot": (lambda: model(4, "softmax", "categorical_crossentropy"), CLASS, r"wants one-hot rows"),
    "one class": (lambda: model(1, None, SCCE(from_logits=True)), COIN * 0, "one output class"),
    "-1 and 1": (lambda: model(1, "sigmoid", "binary_crossentropy"), 2 * COIN - 1, r"range from -1 to 1"),
    "one label, many outputs": (lambda: model(4, "sigmoid", "binary_crossentropy"), COIN, "one 0/1 label an output"),
    "target shape": (lambda: model(2, None, "mse"), TARGET, "targets of the outputs' shape"),
    "target NaN": (lambda: model(1, None, "mse"), np.where(COIN, TARGET, np.nan), "targets are NaN"),
    "other inputs": (lambda: _six_inputs(), TARGET, "cannot be called on the audited records"),
    "two outputs": (two_outputs, TARGET, r"has 2 outputs \(dense_\d+, dense_\d+\) and one array of labels"),
    "classes for mse": (lambda: model(4, "softmax", "mse"), CLASS, "targets of the outputs' shape"),
    "a loss that fails": (
        lambda: model(4, "softmax", lambda y, z: y - z),
        CLASS,
        "fails on the audited records: InvalidArgumentError",
    ),
    "ignore_class": (lambda: model(4, "softmax", SCCE(ignore_class=0)), CLASS, "no position counts"),
}


class Calling(keras.losses.Loss):
    def __call__(self, y, z, sample_weight=None):
        return tf.reduce_mean(tf.square(y - z))


class Counting(keras.Model):
    def __init__(self):
        super().__init__()
        self.dense = keras.layers.Dense(1)
        self.calls = tf.Variable(0.0)

    def call(self, x):
        self.calls.assign_add(1.0)
        return self.dense(x)


def _counting():
    built = Counting()
    built(X[:1])
    built.compile(loss="mse")
    return built


def _old_keras():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import tf_keras
    return tf_keras.Sequential([tf_keras.layers.Dense(1)])


def _six_inputs():
    built = keras.Sequential([keras.Input((6,)), keras.layers.Dense(1)])
    built.compile(loss="mse")
    return built


@pytest.mark.parametrize("row", REFUSALS)
def test_what_cannot_be_audited_is_refused_in_a_sentence(row):
    make, y, message = REFUSALS[row]
    with pytest.raises((TypeError, ValueError), match=message):
        signals_of(make(), y)


def test_an_overridden_or_missing_loss_can_be_given():
    built = overriding()
    p = keras.ops.convert_to_numpy(built(X)).astype("float64")
    loss = signals_of(built, CLASS, loss=SPARSE)[1]["loss"]
    assert_close(loss[:, 0], categorical(log(p))["loss"])


def test_a_signal_that_does_not_fit_the_head_is_refused():
    with pytest.raises(ValueError, match=r"'margin' does not fit this model's head \(loss_only\); it has loss"):
        signals_of(model(1, None, "mse"), TARGET, names=("margin",))


def test_large_activations_make_small_chunks():
    """A record's attention scores (2 heads × 300 × 300 floats, 720 kB) count although no layer shows them."""
    inputs = keras.Input((300, 8))
    attended = keras.layers.MultiHeadAttention(2, 4)(inputs, inputs)
    built = keras.Model(inputs, keras.layers.Dense(1)(keras.layers.GlobalAveragePooling1D()(attended)))
    built.compile(loss="mse")
    x, y = np.zeros((4, 300, 8), "float32"), np.zeros(4)
    signal_pass = SignalPass(built, AuditSet((x, y), (x + 1, y)))
    assert signal_pass._batch_size == 512 * 2**20 // (3 * 2 * 300 * 300 * 4)

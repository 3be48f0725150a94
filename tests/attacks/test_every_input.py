"""One row an architecture: sequences, several outputs, ragged and string inputs, losses of the model's own.

The signal equals a NumPy computation from what the model predicts (or what Keras' own `evaluate` says of one record), and the
AUC is scikit-learn's on that signal.
"""

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import roc_auc_score

from privacy_callbacks import AuditSet, audit
from privacy_callbacks.attacks import ShadowModels, signals_of
from privacy_callbacks.attacks.compiled_pass import SignalPass

layers = keras.layers
SPARSE = "sparse_categorical_crossentropy"
SCCE = keras.losses.SparseCategoricalCrossentropy
N, LENGTH, WORDS = 40, 7, 9
RNG = np.random.default_rng(0)
TOKENS = RNG.integers(1, WORDS, (N, LENGTH))
TOKENS[np.arange(LENGTH) >= RNG.integers(2, LENGTH + 1, N)[:, None]] = 0
VALID = TOKENS != 0
X = RNG.normal(size=(N, 5)).astype("float32")
CLASS = RNG.integers(0, 3, N)
TARGETS = RNG.normal(size=(N, 2)).astype("float32")
IMAGES = RNG.normal(size=(N, 4, 4, 1)).astype("float32")
PIXELS = RNG.integers(0, 3, (N, 4, 4))
RAGGED = tf.ragged.constant([list(RNG.integers(1, WORDS, size)) for size in RNG.integers(1, 6, N)], dtype=tf.int32)
STRINGS = np.array([f"{a} {b}" for a, b in RNG.choice(["cat", "dog", "owl", "fox"], (N, 2))])[:, None]


def halves(*parts):
    """(members, nonmembers) of the first and second half of each nest."""

    def half(rows):
        return tuple(tf.nest.map_structure(lambda leaf: leaf[rows], part) for part in parts)

    return half(slice(0, N // 2)), half(slice(N // 2, N))


def row_of(nest, row):
    return tf.nest.map_structure(lambda leaf: leaf[row : row + 1], nest)


def compiled(model, loss, **arguments):
    model.compile(loss=loss, **arguments)
    return model


def tagger(mask, *top):
    words = layers.Embedding(WORDS, 4, mask_zero=mask)
    return keras.Sequential([keras.Input((LENGTH,), dtype="int32"), words, layers.LSTM(6, return_sequences=True), *top])


def tokens_softmax(mask=True, loss=SPARSE):
    return compiled(tagger(mask, layers.Dense(WORDS, "softmax")), loss)


def mean_over(values, valid):
    return (values * valid).sum(1) / valid.sum(1)


def log_p(predicted, labels):
    return np.log(np.take_along_axis(predicted, labels[..., None], -1)[..., 0])


def log_softmax(logits):
    return logits - np.log(np.exp(logits).sum(-1, keepdims=True))


def masked_tokens(p):
    return mean_over(log_p(p, TOKENS), VALID)


def logit_tokens():
    return compiled(tagger(False, layers.Dense(WORDS)), SCCE(from_logits=True, ignore_class=-1))


def segmenter(width, activation, loss):
    return compiled(
        keras.Sequential([keras.Input((4, 4, 1)), layers.Conv2D(width, 3, padding="same", activation=activation)]), loss
    )


def binary_pixels(p):
    q, y = p[..., 0], PIXELS > 0
    return np.where(y, np.log(q), np.log(1 - q)).mean((1, 2))


def several_labels(p):
    truth = np.stack([TOKENS > 4, TOKENS > 2], -1)
    return np.where(truth, np.log(p), np.log(1 - p)).mean(-1)


MASK = VALID.astype("float32")
# model, x, y (and weights), the loss signal from the predictions
POSITIONS = {
    "tokens, Keras' mask": (tokens_softmax, (TOKENS, TOKENS), masked_tokens),
    "tokens, labels (n, T, 1)": (tokens_softmax, (TOKENS, TOKENS[..., None]), masked_tokens),
    "tokens, one-hot": (
        lambda: tokens_softmax(loss="categorical_crossentropy"),
        (TOKENS, np.eye(WORDS)[TOKENS]),
        masked_tokens,
    ),
    "tokens, weights": (lambda: tokens_softmax(mask=False), (TOKENS, TOKENS, MASK), masked_tokens),
    "tokens, weights (n, T, 1)": (lambda: tokens_softmax(mask=False), (TOKENS, TOKENS, MASK[..., None]), masked_tokens),
    "tokens, no mask": (
        lambda: tokens_softmax(mask=False),
        (TOKENS, TOKENS),
        lambda p: mean_over(log_p(p, TOKENS), np.ones_like(TOKENS)),
    ),
    "tokens, a class to ignore": (
        logit_tokens,
        (TOKENS, np.where(VALID, TOKENS, -1)),
        lambda z: mean_over(np.take_along_axis(log_softmax(z), TOKENS[..., None], -1)[..., 0], VALID),
    ),
    "tokens, mask and ignored class": (
        lambda: compiled(tagger(True, layers.Dense(WORDS)), SCCE(from_logits=True, ignore_class=3)),
        (TOKENS, TOKENS),
        lambda z: mean_over(np.take_along_axis(log_softmax(z), TOKENS[..., None], -1)[..., 0], VALID & (TOKENS != 3)),
    ),
    "tokens, boolean weights": (lambda: tokens_softmax(mask=False), (TOKENS, TOKENS, VALID), masked_tokens),
    "tokens, a class to ignore beside a mask that leaves less": (
        lambda: compiled(tagger(True, layers.Dense(WORDS, "sigmoid")), SCCE(ignore_class=3)),
        (TOKENS, TOKENS),
        lambda p: mean_over(log_p(p / p.sum(-1, keepdims=True), TOKENS), VALID & (TOKENS != 3)),
    ),
    "several labels a token, masked": (
        lambda: compiled(tagger(True, layers.Dense(2, "sigmoid")), "binary_crossentropy"),
        (TOKENS, np.stack([TOKENS > 4, TOKENS > 2], -1).astype(int)),
        lambda p: mean_over(several_labels(p), VALID),
    ),
    "focal tokens, masked": (
        lambda: tokens_softmax(loss=keras.losses.CategoricalFocalCrossentropy()),
        (TOKENS, np.eye(WORDS)[TOKENS]),
        lambda p: mean_over(0.25 * (1 - np.exp(log_p(p, TOKENS))) ** 2 * log_p(p, TOKENS), VALID),
    ),
    "token targets, masked": (
        lambda: compiled(tagger(True, layers.Dense(2)), "mse"),
        (TOKENS, np.repeat(TARGETS[:, None], LENGTH, 1)),
        lambda p: -mean_over(((p - TARGETS[:, None]) ** 2).mean(-1), VALID),
    ),
    "token yes or no, masked": (
        lambda: compiled(tagger(True, layers.Dense(1, "sigmoid")), "binary_crossentropy"),
        (TOKENS, (TOKENS > 4)[..., None].astype(int)),
        lambda p: mean_over(np.where(TOKENS > 4, np.log(p[..., 0]), np.log(1 - p[..., 0])), VALID),
    ),
    "pixels": (lambda: segmenter(3, "softmax", SPARSE), (IMAGES, PIXELS), lambda p: log_p(p, PIXELS).mean((1, 2))),
    "pixels, yes or no": (
        lambda: segmenter(1, "sigmoid", "binary_crossentropy"),
        (IMAGES, (PIXELS > 0)[..., None].astype(int)),
        binary_pixels,
    ),
}


@pytest.mark.parametrize("row", POSITIONS)
def test_a_record_of_many_positions_has_the_mean_over_those_that_count(row):
    make, parts, expected = POSITIONS[row]
    model = make()
    signal_pass = SignalPass(model, AuditSet(*halves(*parts)))
    found = signal_pass.signals(signal_pass.head.signals)
    # Prediction and audit differ in the size of their batches, so in float32's last digits.
    np.testing.assert_allclose(
        found["loss"][:, 0], expected(model.predict(parts[0], verbose=0).astype("float64")), atol=1e-5
    )
    assert signal_pass.traces == 2
    truth = np.arange(N) < N // 2
    (report,) = [r for r in quiet_audit(model, *halves(*parts)) if r.attack == "loss"]
    assert float(report.auc) == pytest.approx(roc_auc_score(truth, found["loss"][:, 0]), abs=1e-12)


def quiet_audit(model, members, nonmembers, **arguments):
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return audit(model, members, nonmembers, verbose=0, **arguments)


def test_every_signal_of_tokens_is_the_mean_of_the_signals_of_its_tokens():
    """Each token asked as a record of its own, by the same head."""
    model = compiled(tagger(True, layers.Dense(WORDS)), SCCE(from_logits=True))
    found = signals_of(model, TOKENS, TOKENS)
    logits = keras.layers.Input((WORDS,))
    alone = compiled(keras.Model(logits, layers.Identity()(logits)), SCCE(from_logits=True))
    z = model.predict(TOKENS, verbose=0)
    each = signals_of(alone, z.reshape(-1, WORDS), TOKENS.reshape(-1))
    assert set(found) == set(each)
    assert len(found) == 7
    for name in found:
        expected = mean_over(each[name].reshape(N, LENGTH), VALID)
        np.testing.assert_allclose(found[name][:, 0], expected, atol=3e-5, err_msg=name)


def test_what_stands_in_padding_does_not_matter():
    model = tokens_softmax(mask=False)
    other_labels = np.where(VALID, TOKENS, 5)
    found, other = (
        SignalPass(model, AuditSet(*halves(TOKENS, y, MASK))).signals(("loss", "entropy", "correct"))
        for y in (TOKENS, other_labels)
    )
    for name in found:
        np.testing.assert_array_equal(found[name], other[name])


def test_a_record_without_any_position_is_named():
    tokens = TOKENS.copy()
    tokens[3] = 0
    with pytest.raises(ValueError, match=r"no position counts for 1 of 40 audited records \(member 3\).*leave it out"):
        SignalPass(tokens_softmax(), AuditSet(*halves(tokens, TOKENS))).signals(("loss",))


def test_weights_a_position_on_one_side_only_are_refused():
    members, nonmembers = halves(TOKENS, TOKENS, MASK)
    with pytest.raises(ValueError, match="members have a sample weight for each position and nonmembers have none"):
        AuditSet(members, nonmembers[:2])


def test_members_without_weight_are_told_and_weights_a_record_change_nothing_else():
    weights = np.arange(N) % 4
    plain, weighed = AuditSet(*halves(X, CLASS)), AuditSet(*halves(X, CLASS, weights))
    np.testing.assert_array_equal(plain.x, weighed.x)
    assert weighed.weights == ()
    assert plain.warnings == ()
    assert weighed.warnings[0].startswith("5 of 20 audited members have sample weight 0")


# Several outputs.


def two_outputs(form, loss, loss_weights=None):
    inputs = keras.Input((5,))
    a, b = layers.Dense(2, name="a")(inputs), layers.Dense(3, "softmax", name="b")(inputs)
    outputs = {"b": b, "a": a} if form is dict else [a, b]
    return compiled(keras.Model(inputs, outputs), loss, loss_weights=loss_weights)


class Tuple(keras.Model):
    """Two outputs without names."""

    def __init__(self):
        super().__init__()
        self.a, self.b = layers.Dense(2), layers.Dense(3, "softmax")

    def call(self, x):
        return self.a(x), self.b(x)


def subclassed_outputs():
    model = compiled(Tuple(), ["mse", SPARSE])
    model(X[:1])
    return model


def unsorted(loss, loss_weights):
    """A list of outputs whose names are not in alphabetical order."""
    inputs = keras.Input((5,))
    outputs = [layers.Dense(2, name="zz")(inputs), layers.Dense(3, "softmax", name="aa")(inputs)]
    return compiled(keras.Model(inputs, outputs), loss, loss_weights=loss_weights)


UNSORTED = {"zz": TARGETS, "aa": CLASS}
NAMED = {"a": TARGETS, "b": CLASS}
OUTPUTS = {
    "dict": (lambda: two_outputs(dict, {"a": "mse", "b": SPARSE}, {"a": 2.0, "b": 0.5}), NAMED),
    "dict of losses, list of weights": (lambda: two_outputs(dict, {"b": SPARSE, "a": "mse"}, [2.0, 0.5]), NAMED),
    "list": (lambda: two_outputs(list, ["mse", SPARSE], [2.0, 0.5]), (TARGETS, CLASS)),
    "list, losses and labels by name": (lambda: two_outputs(list, {"a": "mse", "b": SPARSE}), NAMED),
    "list, losses by name, weights in a list": (lambda: unsorted({"zz": "mse", "aa": SPARSE}, [2.0, 0.5]), UNSORTED),
    "list, losses and weights by name": (
        lambda: unsorted({"aa": SPARSE, "zz": "mse"}, {"aa": 3.0, "zz": 0.5}),
        UNSORTED,
    ),
    "one loss for all": (lambda: two_outputs(list, "mse"), (TARGETS, np.eye(3, dtype="float32")[CLASS])),
    "one output not trained": (lambda: two_outputs(list, ["mse", None]), (TARGETS, CLASS)),
    "a loss for one, labels for one": (lambda: two_outputs(dict, {"a": "mse"}), {"a": TARGETS}),
    "subclassed tuple": (subclassed_outputs, (TARGETS, CLASS)),
}


@pytest.mark.parametrize("row", OUTPUTS)
def test_several_outputs_are_audited_by_the_sum_that_training_minimises(row):
    make, y = OUTPUTS[row]
    model = make()
    signal_pass = SignalPass(model, AuditSet(*halves(X, y)))
    assert signal_pass.head.signals == ("loss",)
    found = signal_pass.signals(("loss",))["loss"][:, 0]
    for row in (0, 7, 33):
        labels = list(row_of(y, row)) if isinstance(y, tuple) else row_of(y, row)
        evaluated = model.evaluate(X[row : row + 1], labels, verbose=0, return_dict=True)["loss"]
        assert -found[row] == pytest.approx(evaluated, rel=1e-5, abs=1e-6)


@pytest.mark.parametrize("output", ["b", 1])
def test_one_output_can_be_chosen_and_has_all_its_signals(output):
    model = two_outputs(list, ["mse", SPARSE])
    alone = compiled(keras.Model(model.inputs, model.outputs[1]), SPARSE)
    chosen = signals_of(model, X, {"a": TARGETS, "b": CLASS}, output=output)
    expected = signals_of(alone, X, CLASS)
    assert set(chosen) == set(expected)
    assert len(chosen) == 7
    for name in chosen:
        np.testing.assert_allclose(chosen[name], expected[name], rtol=1e-5, atol=1e-6)


REFUSED_OUTPUTS = {
    "no such output": (lambda: two_outputs(list, "mse"), (TARGETS, TARGETS), {"output": "c"}, "the model has a, b"),
    "one array": (lambda: two_outputs(list, "mse"), TARGETS, {}, r"2 outputs \(a, b\) and one array of labels"),
    "labels missing": (lambda: two_outputs(dict, "mse"), {"a": TARGETS, "c": CLASS}, {}, "none for output 'b'"),
    "three labels": (lambda: two_outputs(list, "mse"), (TARGETS,) * 3, {}, "labels for 3 outputs; the model has 2"),
    "no loss": (
        lambda: two_outputs(list, ["mse", None]),
        (TARGETS, CLASS),
        {"output": "b"},
        "output 'b' is not compiled with a loss",
    ),
    "unknown loss": (lambda: two_outputs(dict, {"c": "mse"}), NAMED, {}, "losses for c; the model has a, b"),
    "three losses": (lambda: two_outputs(list, ["mse"] * 3), (TARGETS, CLASS), {}, "3 losses for 2 outputs"),
}


@pytest.mark.parametrize("row", REFUSED_OUTPUTS)
def test_outputs_that_cannot_be_matched_are_refused_in_a_sentence(row):
    make, y, arguments, message = REFUSED_OUTPUTS[row]
    with pytest.raises(ValueError, match=message):
        SignalPass(make(), AuditSet(*halves(X, y)), **arguments)


# Losses that only the model knows, losses that reduce, losses that compare.


class Penalised(keras.Model):
    def __init__(self, regularizer=None):
        super().__init__()
        self.dense = layers.Dense(3, "softmax", kernel_regularizer=regularizer)

    def call(self, x):
        return self.dense(x)

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        compiled_loss = super().compute_loss(x, y, y_pred, sample_weight, training)
        return compiled_loss + keras.ops.mean(y_pred**2) * keras.ops.mean(x)


class Old(Penalised):
    def compute_loss(self, x, y, y_pred, sample_weight):
        return keras.ops.mean((y_pred - keras.ops.one_hot(y, 3)) ** 2)


class Louder(Penalised):
    """Another loss in training than at inference."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return super().compute_loss(x, y, y_pred, sample_weight, training) * (100.0 if training else 1.0)


class Adds(layers.Layer):
    def call(self, x):
        self.add_loss(keras.ops.mean(x**2))
        return x


def penalised(kind, **compile_arguments):
    model = kind()
    model(X[:1])
    model.compile(**compile_arguments)
    return model


def adding():
    return compiled(keras.Sequential([keras.Input((5,)), layers.Dense(3), Adds()]), None)


OWN = {
    "compute_loss": lambda: penalised(Penalised, loss=SPARSE, metrics=["accuracy"]),
    "compute_loss, regularised": lambda: penalised(lambda: Penalised("l2"), loss=SPARSE),
    "compute_loss, louder in training": lambda: penalised(Louder, loss=SPARSE),
    "compute_loss without training argument": lambda: penalised(Old, optimizer="sgd"),
    "add_loss alone": adding,
}


@pytest.mark.parametrize("row", OWN)
def test_a_loss_of_the_models_own_is_asked_one_record_at_a_time(row):
    model = OWN[row]()
    signal_pass = SignalPass(model, AuditSet(*halves(X, CLASS)))
    found = signal_pass.signals(("loss",))["loss"][:, 0]
    evaluated = [
        model.evaluate(X[r : r + 1], CLASS[r : r + 1], verbose=0, return_dict=True)["loss"] for r in (0, 7, 33)
    ]
    np.testing.assert_allclose(-found[[0, 7, 33]], evaluated, rtol=1e-5)
    assert "one record at a time, which is slow" in signal_pass.remarks[0]
    assert signal_pass.traces == 5


def test_the_other_signals_of_a_model_with_its_own_loss_are_those_of_its_head():
    model = penalised(Penalised, loss=SPARSE)
    signal_pass = SignalPass(model, AuditSet(*halves(X, CLASS)))
    found = signal_pass.signals(("confidence",))["confidence"][:, 0]
    np.testing.assert_allclose(found, log_p(model.predict(X, verbose=0), CLASS), atol=1e-5)


@pytest.mark.filterwarnings("ignore:.*cannot resolve a false positive rate")
def test_a_user_is_told_once_that_a_loss_is_slow():
    with pytest.warns(UserWarning, match="compute_loss gives one number a batch.*slow"):
        audit(penalised(Penalised, loss=SPARSE), *halves(X, CLASS))


def mean_error(y, p):
    return keras.ops.mean(keras.ops.abs(y - p))


def centred(y, p):
    return keras.ops.mean((y - keras.ops.mean(y, axis=0)) * (p - keras.ops.mean(p, axis=0)))


def correlated(y, p):
    y, p = (v - keras.ops.mean(v, axis=0) for v in (y, p))
    return -keras.ops.sum(y * p) / keras.ops.sqrt(keras.ops.sum(y * y) * keras.ops.sum(p * p))


def beside(y, p):
    return keras.ops.mean((y - p) ** 2, axis=-1) - keras.ops.mean(p)


@pytest.mark.parametrize("loss", [mean_error, keras.losses.Dice()])
def test_a_loss_that_reduces_over_the_batch_is_asked_one_record_at_a_time(loss):
    model = compiled(keras.Sequential([keras.Input((5,)), layers.Dense(2, "sigmoid")]), loss)
    y = (TARGETS > 0).astype("float32")
    signal_pass = SignalPass(model, AuditSet(*halves(X, y)))
    found, p = signal_pass.signals(("loss",))["loss"][:, 0], model.predict(X, verbose=0)
    expected = [-float(loss(y[r : r + 1], p[r : r + 1])) for r in range(N)]
    np.testing.assert_allclose(found, expected, atol=1e-5)
    assert "one number a batch" in signal_pass.remarks[0]


@pytest.mark.parametrize(
    ("loss", "message"),
    [
        (centred, "'centred' gives (-)?0 for every record alone: it compares the records"),
        (correlated, "'correlated' is NaN or infinite for one record alone"),
        (beside, "'beside' gives a record another value when other records stand beside it"),
        (lambda y, p: (y - p) * np.nan, "is NaN or infinite on the audited records; look at"),
        (keras.losses.Circle(), "Circle compares the records of a batch"),
    ],
)
def test_a_loss_without_a_meaning_for_one_record_is_refused(loss, message):
    model = compiled(keras.Sequential([keras.Input((5,)), layers.Dense(2)]), loss)
    y = CLASS if isinstance(loss, keras.losses.Circle) else TARGETS
    with pytest.raises(ValueError, match=message):
        SignalPass(model, AuditSet(*halves(X, y)))


# Inputs.


def ragged_model():
    inputs = keras.Input((None,), dtype="int32", ragged=True)
    mean = layers.Lambda(lambda words: tf.reduce_mean(words, axis=1), output_shape=(4,))
    return compiled(keras.Model(inputs, layers.Dense(3, "softmax")(mean(layers.Embedding(WORDS, 4)(inputs)))), SPARSE)


@pytest.mark.parametrize("form", ["tensors", "data set", "batched data set"])
def test_ragged_inputs(form):
    model, parts = ragged_model(), halves(RAGGED, CLASS)
    if form != "tensors":
        parts = [tf.data.Dataset.from_tensor_slices(part) for part in parts]
    if form == "batched data set":
        parts = [part.batch(8) for part in parts]
    audit_set = AuditSet(*parts, size=15)
    found = SignalPass(model, audit_set).signals(("loss",))["loss"][:, 0]
    rows = audit_set.positions + np.where(audit_set.is_member, 0, N // 2)
    for at in (0, 11, 29):
        one = tf.data.Dataset.from_tensors((row_of(RAGGED, rows[at]), CLASS[rows[at]][None]))
        assert -found[at] == pytest.approx(model.evaluate(one, verbose=0), rel=1e-5)


def test_ragged_duplicates_are_found_whatever_stands_beside_them():
    members = tf.ragged.constant([[1, 2], [3], [4, 5, 6]])
    nonmembers = tf.ragged.constant([[3], [1, 2, 0], [7]])
    audit_set = AuditSet((members, [0, 1, 2]), (nonmembers, [1, 0, 2]))
    assert audit_set.warnings[0].startswith("1 of 3 audited non-members equal some record")


def test_ragged_inputs_in_two_axes_are_refused():
    deep = tf.ragged.constant([[[1], [2, 3]], [[4]]])
    with pytest.raises(TypeError, match="ragged in 2 axes"):
        AuditSet((deep, [0, 1]), (deep, [0, 1]))


def test_ragged_inputs_train_shadow_models():
    shadows = ShadowModels(4, epochs=1, batch_size=8, engine="compiled").fit(ragged_model(), RAGGED, CLASS, verbose=0)
    assert shadows["loss"].shape == (4, N, 1)


def test_strings_through_a_text_vectorization_in_the_model():
    words = layers.TextVectorization(output_sequence_length=3)
    words.adapt(STRINGS)
    model = keras.Sequential(
        [
            keras.Input((1,), dtype="string"),
            words,
            layers.Embedding(WORDS, 4, mask_zero=True),
            layers.GlobalAveragePooling1D(),
            layers.Dense(3, "softmax"),
        ]
    )
    found = signals_of(compiled(model, SPARSE), STRINGS, CLASS)
    expected = log_p(model.predict(tf.constant(STRINGS), verbose=0), CLASS)
    np.testing.assert_allclose(found["loss"][:, 0], expected, atol=1e-5)


def test_preprocessing_within_the_model_is_asked_as_at_inference():
    normalize = layers.Normalization()
    normalize.adapt(X)
    model = keras.Sequential([keras.Input((5,)), normalize, layers.GaussianNoise(1.0), layers.Dense(3, "softmax")])
    found = signals_of(compiled(model, SPARSE), X, CLASS)
    np.testing.assert_allclose(found["loss"][:, 0], log_p(model.predict(X, verbose=0), CLASS), atol=1e-5)


@pytest.mark.parametrize("batch", [4, 64])
def test_stateful_layers_start_from_zero_and_keep_their_state(batch):
    model = keras.Sequential(
        [keras.Input(batch_shape=(batch, 5, 1)), layers.Bidirectional(layers.LSTM(3, stateful=True)), layers.Dense(1)]
    )
    compiled(model, "mse")
    x, y = np.resize(X, (64, 5))[..., None], np.ones(64, "float32")
    model.fit(x, y, batch_size=batch, epochs=1, verbose=0, shuffle=False)
    wrapped = model.layers[0]
    kept = [np.array(state) for lstm in (wrapped.forward_layer, wrapped.backward_layer) for state in lstm.states]
    assert all(np.any(state) for state in kept)
    found = SignalPass(model, AuditSet(*halves(X[..., None], np.ones(N)))).signals(("loss",))["loss"][:, 0]
    after = [np.array(state) for lstm in (wrapped.forward_layer, wrapped.backward_layer) for state in lstm.states]
    for before, now in zip(kept, after, strict=True):
        np.testing.assert_array_equal(before, now)
    fresh = keras.Sequential([keras.Input((5, 1)), layers.Bidirectional(layers.LSTM(3)), layers.Dense(1)])
    fresh.set_weights([np.array(variable) for variable in model.trainable_variables])
    np.testing.assert_allclose(found, -((fresh.predict(X[..., None], verbose=0)[:, 0] - 1) ** 2), atol=1e-5)


@pytest.mark.parametrize("form", ["records", "batches", "batches taken apart"])
def test_a_sequence_of_tokens_with_a_label_each_is_no_batch(form):
    sides = []
    for tokens in (TOKENS[: N // 2], TOKENS[N // 2 :]):
        data = tf.data.Dataset.from_tensor_slices((tokens, tokens, (tokens != 0).astype("float32")))
        if form != "records":
            data = data.batch(8)
        sides.append(data.unbatch().prefetch(1) if form == "batches taken apart" else data)
    audit_set = AuditSet(*sides)
    assert audit_set.available == (N // 2, N // 2)
    np.testing.assert_array_equal(audit_set.x, TOKENS)


class Contrastive(Penalised):
    """Tells the records of a batch from each other: 0 for every record alone."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        z = keras.ops.normalize(y_pred, axis=-1)
        alike = keras.ops.matmul(z, keras.ops.transpose(z)) / 0.1
        own = keras.ops.arange(keras.ops.shape(z)[0])
        return keras.ops.mean(keras.losses.sparse_categorical_crossentropy(own, alike, from_logits=True))


class Spreading(Penalised):
    """A loss of each record, and one of how they lie together."""

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        centred = y_pred - keras.ops.mean(y_pred, axis=0)
        return keras.ops.mean((y_pred - keras.ops.one_hot(y, 3)) ** 2) - keras.ops.mean(centred**2)


def test_a_compute_loss_that_compares_records_is_refused_or_said():
    audit_set = AuditSet(*halves(X, CLASS))
    with pytest.raises(ValueError, match="compute_loss gives 0 for every record alone: it compares the records"):
        SignalPass(penalised(Contrastive, loss=SPARSE), audit_set)
    notes = SignalPass(penalised(Spreading, loss=SPARSE), audit_set).notes
    assert any(note.startswith("compute_loss of several records is not the mean of theirs") for note in notes)
    assert not any("is not the mean" in note for note in SignalPass(adding(), audit_set).notes)


class Weighing(keras.Sequential):
    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        return super().compute_loss(x, y, y_pred, sample_weight, training) + 0.0


def test_a_compute_loss_is_given_the_weights_of_positions():
    plain = tokens_softmax(mask=False)
    own = compiled(Weighing([keras.Input((LENGTH,), dtype="int32"), *plain.layers]), SPARSE)
    found = SignalPass(own, AuditSet(*halves(TOKENS, TOKENS, MASK))).signals(("loss",))["loss"][:, 0]
    own_way = [
        own.evaluate(TOKENS[r : r + 1], TOKENS[r : r + 1], sample_weight=MASK[r : r + 1], verbose=0) for r in (0, 9, 30)
    ]
    np.testing.assert_allclose(-found[[0, 9, 30]], own_way, rtol=1e-5)


def test_losses_that_layers_add_beside_a_compiled_one_are_said():
    model = compiled(keras.Sequential([keras.Input((5,)), layers.Dense(2), Adds()]), "mse")
    signal_pass = SignalPass(model, AuditSet(*halves(X, TARGETS)))
    assert any("losses that layers add" in note for note in signal_pass.notes)
    p = model.predict(X, verbose=0)
    np.testing.assert_allclose(signal_pass.signals(("loss",))["loss"][:, 0], -((p - TARGETS) ** 2).mean(1), rtol=1e-5)


# Where Keras brings labels and outputs to one rank, so do we.


def root(y, p):
    return keras.ops.sqrt(keras.ops.mean((y - p) ** 2, axis=-1))


@pytest.mark.parametrize("loss", [root, "cosine_similarity", keras.losses.CosineSimilarity(), "mse"])
@pytest.mark.parametrize(("labels", "outputs"), [((6,), (6, 1)), ((6, 1), (6,)), ((), (1,)), ((1,), ())])
def test_labels_and_outputs_of_another_rank_are_compared_as_keras_does(loss, labels, outputs):
    inputs = keras.Input((5,))
    width = int(np.prod(outputs)) if outputs else 1
    model = keras.Model(inputs, layers.Reshape(outputs)(layers.Dense(width)(inputs)))
    if outputs == ():
        model = keras.Model(inputs, layers.Lambda(lambda v: v[:, 0])(layers.Dense(1)(inputs)))
    compiled(model, loss)
    y = RNG.normal(size=(N, *labels)).astype("float32")
    found = SignalPass(model, AuditSet(*halves(X, y))).signals(("loss",))["loss"][:, 0]
    for row in (0, 9, 33):
        assert -found[row] == pytest.approx(
            model.evaluate(X[row : row + 1], y[row : row + 1], verbose=0), rel=1e-4, abs=1e-6
        )


def by_column(y, p):
    return keras.ops.mean((y - p) ** 2, axis=0)


@pytest.mark.parametrize("side", [N // 2, 10])
def test_a_loss_a_column_is_no_loss_a_record_even_with_as_many_columns_as_records(side):
    model = compiled(keras.Sequential([keras.Input((5,)), layers.Dense(2 * side)]), by_column)
    y = RNG.normal(size=(N, 2 * side)).astype("float32")
    members, nonmembers = (X[:side], y[:side]), (X[side : 2 * side], y[side : 2 * side])
    found = SignalPass(model, AuditSet(members, nonmembers)).signals(("loss",))["loss"][:, 0]
    expected = -((model.predict(X[: 2 * side], verbose=0) - y[: 2 * side]) ** 2).mean(1)
    np.testing.assert_allclose(found, expected, rtol=1e-4)


# Probabilities that are none.


@pytest.mark.parametrize(
    ("loss", "y"),
    [("categorical_crossentropy", np.eye(3)[CLASS]), (SPARSE, CLASS), ("binary_crossentropy", np.eye(3)[CLASS])],
)
def test_outputs_that_are_no_probabilities_are_refused(loss, y):
    model = compiled(keras.Sequential([keras.Input((5,)), layers.Dense(3)]), loss)
    with pytest.raises(ValueError, match=r"lies outside of \[0, 1\].*compile the loss with from_logits=True"):
        SignalPass(model, AuditSet(*halves(X, y))).signals(("loss",))


def test_a_softmax_over_another_axis_is_refused():
    model = keras.Sequential([keras.Input((LENGTH, 3)), layers.Dense(4), layers.Softmax(axis=1)])
    x, y = RNG.normal(size=(N, LENGTH, 3)), RNG.integers(0, 4, (N, LENGTH))
    with pytest.raises(ValueError, match="activation does not run over the last axis"):
        SignalPass(compiled(model, SPARSE), AuditSet(*halves(x, y)))


@pytest.mark.filterwarnings("ignore:.*does not represent logits:UserWarning")
@pytest.mark.parametrize("policy", ["float32", "mixed_bfloat16"])
def test_probabilities_taken_for_logits_are_read_as_keras_reads_them(policy):
    """`from_logits=True` behind a softmax: Keras sees through it in 32 bits, and takes a softmax of it in 16."""
    model = compiled(
        keras.Sequential([keras.Input((5,)), layers.Dense(3, "softmax", dtype=policy)]), SCCE(from_logits=True)
    )
    found = signals_of(model, X, CLASS)["loss"][:, 0]
    for row in (0, 9, 33):
        evaluated = model.evaluate(X[row : row + 1], CLASS[row : row + 1], verbose=0)
        assert -found[row] == pytest.approx(evaluated, rel=2e-2 if policy != "float32" else 1e-5)


# Shapes that look like others.


class Twins(keras.utils.PyDataset):
    """Labels of two outputs in a list; the last batch holds as many records as there are outputs."""

    def __init__(self, x, labels):
        super().__init__()
        self.x, self.labels = x, labels

    def __len__(self):
        return -(-len(self.x) // 6)

    def __getitem__(self, index):
        rows = slice(6 * index, 6 * index + 6)
        return self.x[rows], [labels[rows] for labels in self.labels]


def test_a_list_of_labels_is_one_an_output_also_in_a_batch_of_two():
    sides = [Twins(X[rows], [TARGETS[rows], TARGETS[rows] + 1]) for rows in (slice(0, 20), slice(20, 40))]
    audit_set = AuditSet(*sides)
    assert [leaf.shape for leaf in audit_set.y] == [(40, 2), (40, 2)]
    np.testing.assert_array_equal(audit_set.y[1], TARGETS + 1)
    lists = AuditSet(*[(X[rows], (list(CLASS[rows]), list(CLASS[rows]))) for rows in (slice(0, 20), slice(20, 40))])
    assert [leaf.shape for leaf in lists.y] == [(40,), (40,)]


def test_weights_of_one_output_alone_leave_the_other_whole():
    inputs = keras.Input((LENGTH,), dtype="int32")
    tokens = layers.Embedding(WORDS, 4)(inputs)
    outputs = {
        "a": layers.Dense(WORDS, "softmax", name="a")(tokens),
        "b": layers.Dense(WORDS, "softmax", name="b")(tokens),
    }
    model = compiled(keras.Model(inputs, outputs), SPARSE)
    labels = {"a": TOKENS, "b": TOKENS}
    found = SignalPass(model, AuditSet(*halves(TOKENS, labels, {"a": MASK}))).signals(("loss",))["loss"][:, 0]
    p = model.predict(TOKENS, verbose=0)
    expected = masked_tokens(p["a"]) + mean_over(log_p(p["b"], TOKENS), np.ones_like(TOKENS))
    np.testing.assert_allclose(found, expected, atol=1e-5)


UNCLEAR = {
    "weights of another length": (
        tokens_softmax,
        (TOKENS, TOKENS, MASK[:, :4]),
        r"of shape \(None, 4\)|of shape \(40, 4\)",
    ),
    "weights NaN": (tokens_softmax, (TOKENS, TOKENS, MASK * np.nan), "sample weights are NaN"),
    "nested labels": (tokens_softmax, (TOKENS, {"a": {"b": TOKENS}, "c": TOKENS}), "labels are nests within a nest"),
    "unknown loss": (lambda: compiled(tagger(True, layers.Dense(2)), "mse"), (TOKENS, TOKENS), "nonsense"),
}


@pytest.mark.parametrize("row", UNCLEAR)
def test_what_does_not_fit_is_refused_in_one_sentence(row):
    make, parts, message = UNCLEAR[row]
    arguments = {"loss": "nonsense"} if row == "unknown loss" else {}
    with pytest.raises(ValueError, match=message) as raised:
        SignalPass(make(), AuditSet(*halves(*parts)), **arguments).signals(("loss",))
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("batch_size", [7, 40])
def test_chunks_of_ragged_records_are_those_of_their_rows(batch_size):
    model, audit_set = ragged_model(), AuditSet(*halves(RAGGED, CLASS))
    found, whole = (
        SignalPass(model, audit_set, batch_size=size).signals(("loss",))["loss"] for size in (batch_size, None)
    )
    np.testing.assert_allclose(found, whole, rtol=1e-5)


def test_nan_in_padding_is_no_failure():
    inputs = keras.Input((LENGTH, 3))
    model = compiled(keras.Model(inputs, layers.Dense(WORDS)(inputs)), SCCE(from_logits=True))
    x = RNG.normal(size=(N, LENGTH, 3)).astype("float32")
    kept = layers.Lambda(lambda v: tf.where(v[..., :1] > 50, v * np.nan, v))
    broken = compiled(keras.Model(inputs, layers.Dense(WORDS)(kept(inputs))), SCCE(from_logits=True))
    broken.set_weights(model.get_weights())
    x[~VALID] = 99
    found, clean = (
        SignalPass(one, AuditSet(*halves(x, TOKENS, MASK))).signals(("loss",))["loss"] for one in (broken, model)
    )
    np.testing.assert_allclose(found, clean, rtol=1e-5)


def test_smoothing_is_left_out_of_nested_partials_with_the_outermost_arguments():
    from functools import partial

    smooth = partial(
        partial(keras.losses.categorical_crossentropy, label_smoothing=0.3), from_logits=True, label_smoothing=0.1
    )
    model = compiled(keras.Sequential([keras.Input((5,)), layers.Dense(3)]), smooth)
    found = signals_of(model, X, np.eye(3)[CLASS])["loss"][:, 0]
    expected = np.take_along_axis(log_softmax(model.predict(X, verbose=0)), CLASS[:, None], 1)[:, 0]
    np.testing.assert_allclose(found, expected, atol=1e-5)

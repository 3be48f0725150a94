"""Signals that an audit computes where an attack asks for them: against NumPy, against a tape, and where they do not fit."""

import zlib

import keras
import numpy as np
import pytest
import tensorflow as tf

from privacy_callbacks.attacks import signals_of

CLASSES = 5
RNG = np.random.default_rng(0)


def records(count=60, width=7):
    return RNG.normal(size=(count, width)).astype(np.float32), RNG.integers(0, CLASSES, count)


def dense_model(softmax, seed=1):
    model = keras.Sequential(
        [
            keras.layers.Input((7,)),
            keras.layers.Dense(6, activation="tanh", kernel_initializer=keras.initializers.GlorotUniform(seed)),
            keras.layers.Dense(
                CLASSES,
                activation="softmax" if softmax else None,
                kernel_initializer=keras.initializers.RandomNormal(stddev=2.0, seed=seed),
            ),
        ]
    )
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=not softmax))
    return model


def log_softmax(logits):
    logits = np.asarray(logits, np.float64)
    return logits - np.logaddexp.reduce(logits, axis=-1, keepdims=True)


def logits_of(model, x):
    hidden = np.tanh(x @ model.layers[0].kernel.numpy() + model.layers[0].bias.numpy())
    return hidden @ model.layers[1].kernel.numpy() + model.layers[1].bias.numpy()


@pytest.mark.parametrize("softmax", [False, True])
def test_the_three_largest_log_probabilities(softmax):
    (x, y), model = records(), dense_model(softmax)
    found = signals_of(model, x, y, signals=("top_1", "top_2", "top_3"))
    expected = np.sort(log_softmax(logits_of(model, x)), axis=1)[:, ::-1]
    for place in range(3):
        np.testing.assert_allclose(found[f"top_{place + 1}"][:, 0], expected[:, place], rtol=1e-4, atol=1e-5)


def test_of_two_classes_the_third_is_the_second():
    x, y = records()
    model = keras.Sequential([keras.layers.Input((7,)), keras.layers.Dense(1)])
    model.compile("sgd", keras.losses.BinaryCrossentropy(from_logits=True))
    found = signals_of(model, x, y % 2, signals=("top_1", "top_2", "top_3"))
    np.testing.assert_array_equal(found["top_2"], found["top_3"])
    np.testing.assert_allclose(np.exp(found["top_1"]) + np.exp(found["top_2"]), 1)


@pytest.mark.parametrize("softmax", [False, True])
@pytest.mark.parametrize("count", [60, 2_300])
def test_the_gradient_at_the_last_layers_input_is_the_kernel_times_the_error(softmax, count):
    (x, y), model = records(count), dense_model(softmax)
    found = signals_of(model, x, y, signals=("gradient_norm",))["gradient_norm"][:, 0]
    error = np.exp(log_softmax(logits_of(model, x))) - np.eye(CLASSES)[y]
    np.testing.assert_allclose(
        found, -np.linalg.norm(error @ model.layers[1].kernel.numpy().T, axis=1), rtol=1e-3, atol=1e-6
    )


@pytest.mark.parametrize("count", [30, 1_100])
def test_the_gradient_by_all_weights_is_that_of_a_tape(count):
    (x, y), model = records(count), dense_model(softmax=False)
    found = signals_of(model, x, y, signals=("weight_gradient_norm",))["weight_gradient_norm"][:, 0]
    for row in (0, 7, count - 1):
        with tf.GradientTape() as tape:
            loss = model.loss(y[row : row + 1], model(x[row : row + 1]))
        gradients = tape.gradient(loss, [variable.value for variable in model.trainable_variables])
        assert found[row] == pytest.approx(-np.sqrt(sum(np.sum(g.numpy() ** 2) for g in gradients)), rel=1e-4)


def test_regressions_and_convolutions_have_gradients_too():
    x = RNG.normal(size=(20, 6, 6, 1)).astype(np.float32)
    y = RNG.normal(size=(20, 6, 6, 2)).astype(np.float32)
    model = keras.Sequential(
        [keras.layers.Input((6, 6, 1)), keras.layers.Conv2D(3, 3, padding="same"), keras.layers.Conv2D(2, 1)]
    )
    model.compile("sgd", "mse")
    found = signals_of(model, x, y, signals=("gradient_norm",))["gradient_norm"][:, 0]
    error = model(x).numpy() - y
    kernel = model.layers[-1].kernel.numpy()[0, 0]
    expected = 2 * error @ kernel.T / error[0].size
    np.testing.assert_allclose(found, -np.linalg.norm(expected.reshape(20, -1), axis=1), rtol=1e-4)


def test_a_model_without_a_last_dense_layer_is_refused_its_gradient():
    x, y = records()
    model = keras.Sequential([keras.layers.Input((7,)), keras.layers.Dense(CLASSES), keras.layers.LayerNormalization()])
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    with pytest.raises(ValueError, match="gradient_norm looks for the input of a last dense or convolutional layer"):
        signals_of(model, x, y, signals=("gradient_norm",))
    assert np.isfinite(signals_of(model, x, y, signals=("weight_gradient_norm",))["weight_gradient_norm"]).all()


def token_model(mask):
    model = keras.Sequential(
        [
            keras.layers.Input((12,), dtype="int32"),
            keras.layers.Embedding(
                9, 4, mask_zero=mask, embeddings_initializer=keras.initializers.RandomNormal(stddev=1.0, seed=1)
            ),
            keras.layers.Dense(9, kernel_initializer=keras.initializers.RandomNormal(stddev=1.0, seed=2)),
        ]
    )
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


@pytest.mark.parametrize("mask", [False, True])
def test_sequences_have_their_least_likely_tokens_and_their_compressed_size(mask):
    x = RNG.integers(1, 9, (40, 12))
    for row, length in enumerate(RNG.integers(1, 13, 40)):
        x[row, length:] = 0
    y = np.roll(x, -1, axis=1)
    model = token_model(mask)
    found = signals_of(model, x, y, signals=("min_k", "zlib", "gradient_norm"))
    likelihood = np.take_along_axis(log_softmax(model(x).numpy()), y[..., None], axis=-1)[..., 0]
    for row in range(40):
        kept = np.sort(likelihood[row][x[row] > 0] if mask else likelihood[row])
        lowest = kept[: int(np.ceil(0.2 * len(kept)))]
        assert found["min_k"][row, 0] == pytest.approx(lowest.mean(), rel=1e-4)
        size = len(zlib.compress(y[row].astype("<i4").tobytes()))
        assert found["zlib"][row, 0] == pytest.approx(kept.sum() / size, rel=1e-4)
    assert (found["gradient_norm"] < 0).all()


def test_signals_that_do_not_fit_say_what_does():
    (x, y), model = records(), dense_model(softmax=True)
    with pytest.raises(
        ValueError, match=r"signal 'min_k' does not fit this model's head \(categorical\); it has loss, .*top_1"
    ):
        signals_of(model, x, y, signals=("min_k",))

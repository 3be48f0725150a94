"""A fit with the callback ends with the same bits as the fit without it."""

import random

import keras
import numpy as np
import pytest
import tensorflow as tf
from slow_params import slow_unless

from privacy_callbacks import MIACallback

pytestmark = pytest.mark.filterwarnings("ignore:.*cannot resolve a false positive rate:UserWarning")
layers = keras.layers


class AlwaysNoisy(layers.Layer):
    """Draws from its own seed generator even at inference: an audit must not advance it."""

    def __init__(self):
        super().__init__()
        self.seed_generator = keras.random.SeedGenerator(3)

    def call(self, x):
        return x + 0.1 * keras.random.normal(keras.ops.shape(x), seed=self.seed_generator)


class GloballyNoisy(layers.Layer):
    """Draws from Keras' global seed generator even at inference."""

    def call(self, x):
        return x + 0.1 * keras.random.normal(keras.ops.shape(x))


class Subclassed(keras.Model):
    """Makes its weights when it is first called."""

    def __init__(self, stack):
        super().__init__()
        self.stack = stack

    def call(self, x, training=False):
        for layer in self.stack:
            x = layer(x, training=training) if isinstance(layer, layers.Dropout) else layer(x)
        return x


def dense():
    return [keras.Input((6,)), layers.Dense(12, "relu"), layers.Dropout(0.5), layers.BatchNormalization()]


def convolutional():
    image = [
        keras.Input((6,)),
        layers.Reshape((6, 1, 1)),
        layers.RandomFlip(),
        layers.Conv2D(4, (3, 1), activation="relu"),
    ]
    return [*image, layers.Flatten(), layers.GaussianNoise(0.1)]


MODELS = {
    "dropout and batch norm": dense,
    "convolution and augmentation": convolutional,
    "noise at inference": lambda: [*dense(), AlwaysNoisy()],
    "unbuilt": lambda: [*dense()[1:], AlwaysNoisy()],
    "subclassed, unbuilt": lambda: [*dense()[1:], AlwaysNoisy()],
    "noise at inference, global seed": lambda: [*dense(), GloballyNoisy()],
}
FAST = {"dropout and batch norm", "noise at inference, global seed"}
OPTIMIZERS = {"adam": lambda: keras.optimizers.Adam(0.01), "ema": lambda: keras.optimizers.SGD(0.1, use_ema=True)}


def run(blobs, kind, optimizer, seed, with_callback, tmp_path, as_dataset):
    (x, y), nonmembers, build = *blobs, MODELS[kind]
    keras.utils.set_random_seed(seed)
    stack = [*build(), layers.Dense(3, "softmax")]
    model = Subclassed(stack) if kind == "subclassed, unbuilt" else keras.Sequential(stack)
    model.compile(optimizer=OPTIMIZERS[optimizer](), loss="sparse_categorical_crossentropy", metrics=["accuracy"])
    data = tf.data.Dataset.from_tensor_slices((x, y))
    fitted = {"x": data.shuffle(120).batch(16)} if as_dataset else {"x": x, "y": y, "batch_size": 16, "shuffle": True}
    callbacks = []
    if with_callback:
        callbacks = [MIACallback(data if as_dataset else (x, y), nonmembers, log_dir=tmp_path / f"{seed}")]
    history = model.fit(**fitted, validation_data=nonmembers, epochs=3, verbose=0, callbacks=callbacks)
    if with_callback:
        callbacks[0].records()
        assert callbacks[0].report.step == 2
    state = [v.numpy() for v in [*model.variables, *model.optimizer.variables]]
    ours = {key: values for key, values in history.history.items() if not key.startswith("mia_")}
    return (
        state,
        ours,
        (random.random(), np.random.random(), tf.random.normal(()).numpy(), keras.random.normal(()).numpy()),
    )


@pytest.mark.parametrize("optimizer", ["adam", pytest.param("ema", marks=pytest.mark.slow)])
@pytest.mark.parametrize("kind", slow_unless(FAST, MODELS))
@pytest.mark.filterwarnings("ignore:`shuffle=True` was passed")
def test_weights_optimizer_history_and_random_states_are_the_same_bits(blobs, kind, optimizer, tmp_path):
    for seed, as_dataset in ((0, False), (1, True)):
        plain, watched = (
            run(blobs, kind, optimizer, seed, with_callback, tmp_path, as_dataset) for with_callback in (False, True)
        )
        assert len(plain[0]) == len(watched[0]) > 10
        for ours, theirs in zip(plain[0], watched[0], strict=True):
            np.testing.assert_array_equal(ours, theirs)
        assert plain[1] == watched[1]
        assert plain[2] == watched[2]

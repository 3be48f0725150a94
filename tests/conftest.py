"""Shared by all tests: quiet TensorFlow, and a few tiny models."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "")
os.environ.setdefault("MPLBACKEND", "Agg")

import hypothesis
import keras
import numpy as np
import pytest
import tensorflow as tf

# Two devices for distribution strategies; TensorFlow takes this only before its first computation.
_CPU = tf.config.list_physical_devices("CPU")[0]
tf.config.set_logical_device_configuration(_CPU, [tf.config.LogicalDeviceConfiguration()] * 2)

# The same examples on every machine, and no clock.
hypothesis.settings.register_profile("steady", deadline=None, derandomize=True)
hypothesis.settings.load_profile("steady")


# And the same initial weights, whichever tests ran before: a test that holds in one run holds in the next.
def pytest_collectstart(collector):
    if isinstance(collector, pytest.Module):
        keras.utils.set_random_seed(0)


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.get_closest_marker("long") is None)  # stable: all others keep their order


@pytest.fixture(autouse=True)
def _same_initial_weights():
    keras.utils.set_random_seed(0)


@pytest.fixture
def blobs():
    """(members, nonmembers) of one distribution: 120 + 90 records of 6 features in 3 overlapping classes, noisy labels."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 210)
    x = (rng.normal(size=(210, 6)) + y[:, None] * 0.5).astype("float32")
    return (x[:120], y[:120]), (x[120:], y[120:])


@pytest.fixture
def make_model():
    """A compiled softmax MLP on six features, always with the same initial weights."""

    def build(loss="sparse_categorical_crossentropy", **compile_arguments):
        init = [keras.initializers.GlorotUniform(seed) for seed in (1, 2)]
        model = keras.Sequential(
            [
                keras.Input((6,)),
                keras.layers.Dense(16, activation="relu", kernel_initializer=init[0]),
                keras.layers.Dense(3, activation="softmax", kernel_initializer=init[1]),
            ]
        )
        model.compile(**{"optimizer": keras.optimizers.Adam(0.01), "loss": loss, **compile_arguments})
        return model

    return build

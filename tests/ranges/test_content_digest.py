"""What something is made of, as a number."""

from dataclasses import dataclass
from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.linear_model import LogisticRegression

from privacy_callbacks.range_queries.content_digest import content_digest


@dataclass(frozen=True)
class Thing:
    size: float
    table: np.ndarray


def shifted(by):
    return lambda x: x + by


def layer(units=3, seed=0):
    made = keras.layers.Dense(units, kernel_initializer=keras.initializers.GlorotUniform(seed))
    made.build((None, 2))
    return made


def fitted(seed=0):
    rng = np.random.default_rng(seed)
    return LogisticRegression().fit(rng.normal(size=(20, 2)), np.arange(20) % 2)


MAKERS = [
    lambda: 1,
    lambda: "text",
    lambda: (1, 2.5, None, True, b"x"),
    lambda: {"b": 1, "a": [2, 3]},
    lambda: {3, 1, 2},
    lambda: np.arange(6).reshape(2, 3),
    lambda: np.array(["a", "bc"], object),
    lambda: np.array(["a", "bc"]),
    lambda: tf.constant([1.0, 2.0]),
    lambda: Thing(0.5, np.arange(3)),
    lambda: shifted(3),
    lambda: partial(np.clip, a_min=0, a_max=1),
    lambda: layer(),
    lambda: fitted(),
    lambda: np.float32(2),
    lambda: tf.nn.relu,
]


@pytest.mark.parametrize("make", MAKERS)
def test_equal_contents_are_equal(make):
    assert content_digest(make()) == content_digest(make())


def test_other_contents_are_different():
    digests = [content_digest(make()) for make in MAKERS]
    assert len(set(digests)) == len(digests)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (0.1, 0.1 + 1e-16 * 2),
        (1, 1.0),
        ("1", 1),
        ([1, 2], (1, 2)),
        ([[1], [2]], [[1, 2], []]),
        (["ab", "c"], ["a", "bc"]),
        (np.arange(6), np.arange(6).reshape(2, 3)),
        (np.zeros(2, np.float32), np.zeros(2, np.int32)),
        (np.array([0.0]), np.array([-0.0])),
        (shifted(3), shifted(4)),
        (lambda x: x + 1, lambda x: x - 1),
        (lambda x, by=1: x + by, lambda x, by=2: x + by),
        (partial(np.clip, a_min=0, a_max=1), partial(np.clip, a_min=0, a_max=2)),
        (Thing(0.5, np.arange(3)), Thing(0.5, np.arange(3) + 1)),
        (layer(3), layer(4)),
        (layer(seed=0), layer(seed=1)),
        (fitted(0), fitted(1)),
        (np.array(["ab", "c"], object), np.array(["a", "bc"], object)),
    ],
)
def test_a_small_difference_shows(one, other):
    assert content_digest(one) != content_digest(other)


def test_a_function_that_calls_another_of_its_own_is_told_from_one_that_calls_a_third():
    def through(within):
        def call(x):
            return within(x)

        return call

    assert content_digest(through(shifted(1))) != content_digest(through(shifted(2)))


@pytest.mark.parametrize("code", ["lambda x: x + BY", "lambda x: (lambda: x + BY)()", "lambda x: add(x)"])
def test_a_function_that_reads_another_global_is_another(code):
    def made(by):
        known = {"BY": by}
        exec("def add(x): return x + BY", known)
        return eval(code, known)

    assert content_digest(made(1)) != content_digest(made(2))
    assert content_digest(made(1)) == content_digest(made(1))


def test_an_object_that_holds_itself_ends():
    loop: list = []
    loop.append(loop)
    assert content_digest(loop) == content_digest(loop)

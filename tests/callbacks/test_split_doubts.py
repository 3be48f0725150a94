"""An ε is called a bound only if fit trains on what the coins said, as far as that can be seen."""

import numpy as np
import pytest
import tensorflow as tf

from privacy_callbacks.attacks import randomised_membership
from privacy_callbacks.fit_doubts import FitCall
from privacy_callbacks.split_doubts import doubt_about_split

X = np.random.default_rng(0).normal(size=(600, 4)).astype("float32")
Y = np.arange(600) % 2
SPLIT = randomised_membership(X, Y, seed=1)
WITH_OTHERS = randomised_membership(X[:300], Y[:300], seed=1, always=(X[300:], Y[300:]))
COUNT = len(SPLIT.training_set[0])


def doubt(split, x, y=None, steps=None, **arguments):
    return doubt_about_split(split, steps, FitCall((), {"x": x, "y": y, **arguments}))


def batched(records, size=32, times=1):
    return tf.data.Dataset.from_tensor_slices(records).repeat(times).shuffle(1_000, seed=1).batch(size)


@pytest.mark.parametrize("split", [SPLIT, WITH_OTHERS])
def test_the_training_set_raises_no_doubt_in_whatever_order_and_type(split):
    x, y = split.training_set
    order = np.random.default_rng(2).permutation(len(x))
    for given in (
        (x, y),
        (x[order], y[order]),
        (tf.constant(x), tf.constant(y)),
        (x.astype("float64"), y.astype("int32")),
    ):
        assert doubt(split, *given) is None


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ((X, Y), f"fit is given 600 records, and the split's training set has {COUNT}"),
        (SPLIT.nonmembers, f"fit is given {600 - COUNT} records"),
        ((X[:COUNT], Y[:COUNT]), "are none of the split's training set"),
        (tuple(part[:200] for part in SPLIT.training_set), "fit is given 200 records"),
    ],
)
def test_other_arrays_do_and_the_sentence_says_what_to_do(given, said):
    found = doubt(SPLIT, *given)
    assert said in found
    assert found.endswith("fit on split.training_set, all of it")


def test_of_a_data_set_the_steps_are_compared():
    steps = -(-COUNT // 32)
    assert doubt(SPLIT, batched(SPLIT.training_set), steps=steps) is None
    assert doubt(SPLIT, batched(SPLIT.training_set), steps=steps - 1) is None  # drop_remainder
    assert f"has {COUNT}" in doubt(SPLIT, batched((X, Y)), steps=19)
    assert doubt(SPLIT, batched(SPLIT.training_set, times=3), steps=-(-3 * COUNT // 32)) is None
    assert doubt(SPLIT, batched(SPLIT.training_set), steps=None) is None


def test_steps_that_the_user_chose_are_no_pass_over_the_data():
    assert doubt(SPLIT, batched((X, Y)), steps=5, steps_per_epoch=5) is None


def test_hooks_driven_by_hand_and_other_forms_raise_none():
    assert doubt_about_split(SPLIT, 5, FitCall((), {})) is None
    assert doubt(SPLIT, {"a": X}, Y) is not None  # as many records as the split has in all
    assert doubt(SPLIT, [["ragged"], [1, 2]], Y) is None

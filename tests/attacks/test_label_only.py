import numpy as np
import pytest
import tensorflow as tf

from privacy_callbacks.attacks import AttackContext, LabelOnly, Signals
from privacy_callbacks.attacks.perturbations import Mirrored, Noisy, Shifted, Unaltered

IMAGES = np.random.default_rng(0).integers(0, 256, (3, 5, 4, 2)).astype(np.uint8)


@pytest.mark.parametrize(("down", "right"), [(0, 0), (1, 0), (-2, 0), (0, 1), (0, -1), (2, -1)])
@pytest.mark.parametrize("images", [IMAGES, IMAGES[..., 0], IMAGES.astype(np.float32)])
def test_shifted_images_are_padded_by_their_mirror(images, down, right):
    rest = [(0, 0)] * (images.ndim - 3)
    wide = np.pad(images, [(0, 0), (2, 2), (2, 2), *rest], mode="symmetric")
    expected = wide[:, 2 - down : 7 - down, 2 - right : 6 - right]
    np.testing.assert_array_equal(Shifted(down, right)(tf.constant(images)), expected)


def test_mirrored_images():
    np.testing.assert_array_equal(Mirrored()(tf.constant(IMAGES)), IMAGES[:, :, ::-1])


def test_noise_is_the_same_for_every_record_and_call():
    x = np.zeros((4, 6), np.float32)
    first, second = (Noisy(0.5, seed=3)(tf.constant(x)).numpy() for _ in range(2))
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(first, first[:1].repeat(4, axis=0))
    assert (Noisy(0.5, seed=4)(tf.constant(x)).numpy() != first).any()
    wide = Noisy(0.5, seed=3)(tf.zeros((1, 100_000))).numpy()
    assert wide.std() == pytest.approx(0.5, rel=0.02)


def test_noisy_bytes_stay_bytes():
    found = Noisy(100.0, seed=1)(tf.constant(IMAGES))
    assert found.dtype == tf.uint8
    assert (found.numpy() != IMAGES).any()
    assert {0, 255} <= set(found.numpy().ravel())


def test_inputs_of_several_parts_are_perturbed_where_they_can_be():
    x = {"image": tf.constant(IMAGES), "age": tf.constant([[1.0]] * 3), "name": tf.constant(["a"] * 3)}
    shifted, noisy = Shifted(1, 0)(x), Noisy(1.0, 0)(x)
    assert (shifted["image"].numpy() != IMAGES).any()
    np.testing.assert_array_equal(shifted["age"], x["age"])
    assert (noisy["age"].numpy() != 1).all()
    assert noisy["name"] is x["name"]


def test_the_record_itself_is_asked_first_and_then_its_neighbours():
    queries = LabelOnly().queries
    assert queries[0] == Unaltered()
    assert set(queries[1:]) == {Shifted(-1, 0), Shifted(1, 0), Shifted(0, -1), Shifted(0, 1)}
    assert len(LabelOnly(shifts=3).queries) == 13
    assert LabelOnly(noise=0.1, draws=4, mirror=True).queries[-5:] == (Mirrored(), *(Noisy(0.1, d) for d in range(4)))
    assert not set(LabelOnly(0, noise=0.1, seed=1).queries[1:]) & set(LabelOnly(0, noise=0.1, seed=2).queries[1:])
    own = (Unaltered(), Mirrored())
    assert LabelOnly(queries=own).queries == own


def test_attacks_that_ask_alike_share_their_queries():
    assert LabelOnly().queries == LabelOnly(decision="votes", name="votes").queries
    assert hash(LabelOnly().queries) == hash(LabelOnly().queries)


def test_the_share_of_right_answers_and_the_vote():
    signals = Signals({"correct": [[1, 1, 1, 0], [1, 1, 0, 0], [0, 0, 0, 1.0]]})
    np.testing.assert_array_equal(LabelOnly().fit(AttackContext()).score(signals), [0.75, 0.5, 0.25])
    np.testing.assert_array_equal(LabelOnly(decision="votes").fit(AttackContext()).score(signals), [1, 0, 0])


@pytest.mark.parametrize(
    ("query", "x", "message"),
    [
        (Shifted(1, 0), np.zeros((2, 30)), "have no height and width to shift along; perturb them by noise="),
        (Noisy(1.0, 0), np.array([["a"], ["b"]]), "inputs of type .*string.* take no noise"),
        (Noisy(1.0, 0), np.zeros((2, 3), np.int64), "take no noise; give functions of yours with queries="),
    ],
)
def test_what_cannot_be_perturbed_says_so(query, x, message):
    with pytest.raises(ValueError, match=message):
        query(tf.constant(x))

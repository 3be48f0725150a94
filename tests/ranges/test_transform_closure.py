"""Which training records lie in ranges of variations, against brute force."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from privacy_callbacks.attacks.perturbations import Mirrored, Shifted
from privacy_callbacks.range_queries import transform_closure
from privacy_callbacks.range_queries.base_range import RangeRecords
from privacy_callbacks.range_queries.image_transforms import Brightened, Composed
from privacy_callbacks.range_queries.transformations import Transformations

RNG = np.random.default_rng(0)
IMAGES = RNG.random((41, 8, 8, 3)).astype(np.float32)


def brute_force(transformations, x, training, tolerance=0.0):
    """bool[n, t]: either side transformed equals the other."""
    inside = np.zeros((len(x), len(training)), bool)
    for one in transformations:
        ours, theirs = one(tf.constant(x)).numpy(), one(tf.constant(training)).numpy()
        for left, right in ((ours, training), (x, theirs)):
            apart = np.abs(left[:, None].astype(float) - right[None]).reshape(len(x), len(training), -1).max(axis=2)
            inside |= apart <= tolerance
    return inside


def inside_by_pairs(given, x, training):
    found = np.zeros((len(tf.nest.flatten(x)[0]), len(tf.nest.flatten(training)[0])), bool)
    for part in given.at(RangeRecords(x)).pairs(x, training):
        assert not found[part.rows, part.hits].any()
        found[part.rows[part.certain], part.hits[part.certain]] = True
    return found


@pytest.mark.parametrize("levels", [2, 3])
def test_it_is_that_of_brute_force_on_images_of_few_pixels(levels):
    rng = np.random.default_rng(levels)
    x, training = (rng.integers(0, levels, (n, 3, 3)).astype(np.uint8) for n in (60, 90))
    given = Transformations("up-down", "rotated-90", flips=True, shifts=2, brightness=(2.0,))
    expected = brute_force(given.transformations, x, training)
    assert 0 < expected.sum() < expected.size
    np.testing.assert_array_equal(inside_by_pairs(given, x, training), expected)
    np.testing.assert_array_equal(given.contains(x, training), expected.any(axis=1))


@pytest.mark.parametrize("transformed", ["query", "record"])
def test_either_side_may_be_the_variation(transformed):
    given = Transformations(shifts=1)
    moved = Shifted(1, 0)(tf.constant(IMAGES)).numpy()
    assert not (Shifted(-1, 0)(tf.constant(moved)).numpy() == IMAGES).all()  # no inverse: an edge is lost
    sides = (moved, IMAGES) if transformed == "query" else (IMAGES, moved)
    np.testing.assert_array_equal(inside_by_pairs(given, *sides), np.eye(41, dtype=bool))


def test_arithmetic_that_rounds_otherwise_does_not_matter():
    given = Transformations()
    points = given.sample(IMAGES, 10).reshape(-1, 8, 8, 3)
    noise = RNG.uniform(-3e-7, 3e-7, points.shape)
    found = inside_by_pairs(given, IMAGES, (points + noise).astype(np.float32))
    assert (found.sum(axis=0) == 1).all()
    np.testing.assert_array_equal(np.argmax(found, axis=0), np.arange(410) // 10)


def test_between_tolerance_and_ten_times_it_lies_what_is_uncertain():
    x = RNG.random((6, 4, 4)).astype(np.float64)
    training = x + np.array([0, 0.9, 1.1, 9.9, 10.1, 30])[:, None, None] * 1e-3 * np.sign(RNG.normal(size=(6, 4, 4)))
    (part,) = Transformations("unaltered", tolerance=1e-3).pairs(x, training)
    assert part.rows.tolist() == part.hits.tolist() == [0, 1, 2, 3]
    assert part.certain.tolist() == [True, True, False, False]
    (exact,) = Transformations("unaltered", tolerance=0.0).pairs(x, training)
    assert exact.rows.tolist() == [0]


def test_bytes_may_have_a_tolerance_too():
    x = np.full((1, 4, 4), 100, np.uint8)
    (part,) = Transformations("unaltered", tolerance=1.0).pairs(x, np.stack([x[0] + 1, x[0] + 5, x[0] + 11]))
    assert part.hits.tolist() == [0, 1]
    assert part.certain.tolist() == [True, False]


def test_other_leaves_must_be_equal():
    x = {"a": IMAGES[:3], "b": np.array(["u", "v", "w"])}
    training = {"a": IMAGES[:3, :, ::-1], "b": np.array([b"u", b"x", b"w"], object)}
    assert Transformations(flips=True).contains(x, training).tolist() == [True, False, True]


def test_draws_of_layers_are_known_again():
    layers = keras.Sequential([keras.layers.RandomFlip(seed=3), keras.layers.RandomRotation(0.1, seed=4)])
    given = Transformations(layers, draws=3)
    training = given.sample(IMAGES, 4)[np.arange(20), np.arange(20) % 4]
    np.testing.assert_array_equal(given.contains(IMAGES, training), np.arange(41) < 20)


def test_batches_of_training_records_find_what_all_together_find(monkeypatch):
    monkeypatch.setattr(transform_closure, "_QUERY_ROWS", 7)
    monkeypatch.setattr(transform_closure, "_TRAINING_ROWS", 11)
    x, training = (RNG.integers(0, 2, (n, 2, 3)).astype(np.float32) for n in (30, 50))
    given = Transformations(flips=True, shifts=1, noise=None)
    bound = given.at(RangeRecords(x))
    whole = inside_by_pairs(given, x, training)
    np.testing.assert_array_equal(whole, brute_force(given.transformations, x, training, 1e-6))
    for start in range(0, 50, 20):
        part = np.zeros_like(whole[:, start : start + 20])
        for found in bound.pairs(x, training[start : start + 20]):
            part[found.rows, found.hits] = True
        np.testing.assert_array_equal(part, whole[:, start : start + 20])


def test_no_records_have_no_pairs():
    assert not Transformations().contains(IMAGES, IMAGES[:0]).any()


def test_combined_transformations_are_among_those_compared():
    given = Transformations(flips=True, brightness=(0.5,), combine=True)
    training = Composed((Mirrored(), Brightened(0.5)))(tf.constant(IMAGES)).numpy()
    np.testing.assert_array_equal(inside_by_pairs(given, IMAGES, training), np.eye(41, dtype=bool))

"""Ranges of variations: how they are drawn, and on what."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from privacy_callbacks.range_queries.base_range import RangeRecords
from privacy_callbacks.range_queries.transformations import Transformations

RNG = np.random.default_rng(0)
IMAGES = RNG.random((41, 8, 8, 3)).astype(np.float32)


def layers():
    return keras.Sequential([keras.layers.RandomFlip(seed=3), keras.layers.RandomRotation(0.1, seed=4)])


class TestDrawing:
    def test_few_are_asked_in_turn_and_again(self):
        given = Transformations(flips=("left-right", "up-down"))
        points = given.sample(IMAGES, 7)
        assert points.shape == (41, 7, 8, 8, 3)
        for index in range(7):
            np.testing.assert_array_equal(points[:, index], given.transformations[index % 3](tf.constant(IMAGES)))
        assert given.sizes(IMAGES, 7).tolist() == [3] * 41
        assert given.sizes(IMAGES, 3).tolist() == [3] * 41
        assert given.sizes(IMAGES, 2) is None

    def test_of_many_some_are_drawn_without_replacement(self):
        given = Transformations(shifts=3)
        count = len(given.transformations)
        asked = [given.asked(6, seed) for seed in range(200)]
        assert all(len(set(one)) == 6 for one in asked)
        times = [sum(one in chosen for chosen in asked) for one in given.transformations]
        assert min(times) > 200 * 6 / count / 2  # 48 expected; half as many is 4 standard deviations away
        assert given.asked(6, 5) == given.asked(6, 5)
        assert set(given.asked(count, 0)) == set(given.transformations)

    def test_unaltered_alone_is_the_point(self):
        points = Transformations("unaltered").sample(IMAGES, 3)
        np.testing.assert_array_equal(points, np.repeat(IMAGES[:, None], 3, axis=1))
        assert Transformations("unaltered").sizes(IMAGES, 1).tolist() == [1] * 41

    @pytest.mark.parametrize("layer", [(), (layers(),)], ids=["functions", "layers"])
    def test_points_are_the_same_in_a_graph_in_whatever_chunk(self, layer):
        given = Transformations(*layer, flips=True, shifts=1, contrast=(0.7,), rotations=(9,), noise=0.1, draws=2)
        bound = given.at(RangeRecords(IMAGES))
        traced = []

        @tf.function
        def drawn(x, index, first):
            traced.append(1)
            return bound.draw(x, 6, index, 5, first)

        @tf.function
        def looped(x):
            found = tf.TensorArray(tf.float32, 6)
            for index in tf.range(6):
                found = found.write(index, bound.draw(x, 6, index, 5, 0))
            return tf.transpose(found.stack(), [1, 0, 2, 3, 4])

        spec = tf.TensorSpec([None, 8, 8, 3])
        ask = drawn.get_concrete_function(spec, tf.TensorSpec([], tf.int32), tf.TensorSpec([], tf.int32))
        whole = looped(tf.constant(IMAGES)).numpy()
        for index in range(6):
            part = ask(tf.constant(IMAGES[30:40]), tf.constant(index), tf.constant(30))
            np.testing.assert_array_equal(part, whole[30:40, index])
        assert len(traced) == 1
        np.testing.assert_allclose(
            whole, given.sample(IMAGES, 6, 5), atol=1e-6
        )  # traced apart, they may round otherwise

    def test_they_serve_a_data_set(self):
        given = Transformations()
        data = tf.data.Dataset.from_tensor_slices(IMAGES).batch(20).map(lambda x: given.sample(x, 4, seed=1))
        found = np.concatenate(list(data.as_numpy_iterator()))
        np.testing.assert_allclose(found, given.sample(IMAGES, 4, seed=1), atol=1e-6)

    @pytest.mark.parametrize("dtype", ["uint8", "float16", "float64"])
    def test_types_are_kept(self, dtype):
        images = (IMAGES * 200).astype(dtype)
        given = Transformations(layers(), shifts=1, rotations=(5,), brightness=(1.2,), noise=None, draws=1)
        assert given.sample(images, 8).dtype == dtype
        assert given.sample(images[..., 0], 8).shape == (41, 8, 8, 8)

    def test_of_a_nest_images_alone_are_transformed(self):
        nest = {"a": IMAGES, "b": np.arange(41, dtype=np.float32)[:, None], "c": np.array(["x"] * 41)}
        given = Transformations(layers(), flips=True, noise=0.5, draws=1, domain=(0, 1))
        points = given.sample(nest, 4)
        np.testing.assert_array_equal(points["b"][:, 3], nest["b"])
        assert points["a"].shape == (41, 4, 8, 8, 3)
        assert (points["a"][:, 3] != IMAGES).any()

    def test_noise_serves_inputs_that_are_no_images(self):
        points = Transformations(noise=0.5, draws=3).sample(np.zeros((5, 4), np.float32), 4)
        assert len(np.unique(points[0], axis=0)) == 4
        np.testing.assert_array_equal(points[0], points[4])

    def test_what_leaves_the_domain_is_clipped(self):
        points = Transformations(brightness=(1.5,), noise=1.0, domain=(0, 1)).sample(IMAGES, 6)
        assert points.min() == 0
        assert points.max() == 1
        assert Transformations(brightness=(1.5,)).sample(IMAGES, 2).max() > 1


class TestLayers:
    def test_a_draw_is_the_same_for_each_record_and_fixed(self):
        given = Transformations(layers(), draws=5, unaltered=False)
        same = np.repeat(IMAGES[:1], 9, axis=0)
        points = given.sample(same, 5)
        np.testing.assert_array_equal(points, np.repeat(points[:1], 9, axis=0))
        assert len(np.unique(points[0].reshape(5, -1), axis=0)) == 5
        np.testing.assert_array_equal(given.sample(same, 5), points)

    def test_neither_the_layer_nor_any_global_state_moves(self):
        import random

        layer = layers()
        states = [np.asarray(variable) for variable in layer.variables]
        numpy_state, python_state = np.random.get_state()[1].copy(), random.getstate()
        tf.random.set_seed(7)
        expected = tf.random.uniform([3]).numpy()
        tf.random.set_seed(7)
        given = Transformations(layer, noise=0.1)
        given.sample(IMAGES, 9)
        given.contains(IMAGES[:3], IMAGES)
        tf.data.Dataset.from_tensors(IMAGES).map(lambda x: given.sample(x, 2)).get_single_element()
        np.testing.assert_array_equal(tf.random.uniform([3]), expected)
        assert (np.random.get_state()[1] == numpy_state).all()
        assert random.getstate() == python_state
        assert all((np.asarray(now) == was).all() for now, was in zip(layer.variables, states, strict=True))

    def test_a_layer_that_draws_nothing_is_asked_once(self):
        given = Transformations(keras.layers.Rescaling(0.5), draws=5, unaltered=False)
        np.testing.assert_array_equal(given.sample(IMAGES, 1)[:, 0], IMAGES / 2)

    def test_a_layer_is_asked_in_training_mode(self):
        points = Transformations(keras.layers.GaussianNoise(0.3, seed=1), draws=1).sample(
            np.zeros((4, 6), np.float32), 2
        )
        assert (points[:, 1] != 0).all()


class TestRefusals:
    @pytest.mark.parametrize(
        ("given", "x", "said"),
        [
            (Transformations("rotated-90"), IMAGES[:, :6], "rotated-90 cannot be used on these inputs"),
            (Transformations(keras.layers.Resizing(4, 4)), IMAGES, "Resizing cannot be used"),
            (Transformations(lambda x: tf.cast(x, tf.float64)), IMAGES, "made float64 of float32"),
            (Transformations(lambda x: x[:, :4]), IMAGES, "keeps structure, shape and type"),
            (Transformations(lambda x: (x, x)), IMAGES, "keeps structure, shape and type"),
            (Transformations(lambda x: x + tf.random.normal([1])), IMAGES, "something else when it is asked again"),
            (Transformations(flips=True), IMAGES[:, 0, 0], "left-right takes images"),
            (Transformations(domain=(0, 0.5)), IMAGES, "41 of 41 records .* outside of the domain"),
            (Transformations(shifts=9), IMAGES, "cannot be shifted by"),
        ],
    )
    def test_what_does_not_fit_is_refused_by_name(self, given, x, said):
        with pytest.raises(ValueError, match=said):
            given.sample(x, 4)

    def test_a_record_that_is_not_a_number_is_outside_of_a_domain(self):
        images = IMAGES.copy()
        images[4, 0, 0, 0] = np.nan
        with pytest.raises(ValueError, match=r"1 of 41 records \(the first: 4\)"):
            Transformations(domain=(0, 1)).check(images)

    def test_training_records_of_another_kind_are_refused(self):
        with pytest.raises(ValueError, match="records must have one shape"):
            Transformations().contains(IMAGES, IMAGES[:, :4])
        with pytest.raises(ValueError, match="different structure"):
            Transformations().contains(IMAGES, {"x": IMAGES})


def test_the_digest_says_what_they_are():
    def twice(x):
        return 2 * x

    given = [
        Transformations(),
        Transformations(shifts=1),
        Transformations(shifts=2),
        Transformations(domain=(0, 1)),
        Transformations(tolerance=0.0),
        Transformations(twice),
        Transformations(keras.layers.RandomRotation(0.1, seed=1)),
        Transformations(keras.layers.RandomRotation(0.2, seed=1)),
        Transformations(keras.layers.RandomRotation(0.1, seed=1), seed=1),
    ]
    assert len({one.digest for one in given}) == len(given)
    assert Transformations(shifts=1) == given[1]
    bound = given[1].at(RangeRecords(IMAGES))
    list(bound.pairs(IMAGES, IMAGES))
    assert bound.digest == given[1].digest

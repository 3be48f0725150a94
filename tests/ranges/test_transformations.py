"""Ranges of variations: which, how drawn, and which training records lie in them."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from privacy_callbacks.attacks.perturbations import Mirrored, Noisy, Shifted, Unaltered
from privacy_callbacks.range_queries.base_range import RangeRecords
from privacy_callbacks.range_queries.image_transforms import Brightened, Composed, Cropped, Rotated, UpsideDown
from privacy_callbacks.range_queries.transformations import Transformations, name_of

RNG = np.random.default_rng(0)
IMAGES = RNG.random((41, 8, 8, 3)).astype(np.float32)


def layers():
    return keras.Sequential([keras.layers.RandomFlip(seed=3), keras.layers.RandomRotation(0.1, seed=4)])


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


class TestWhichTheyAre:
    def test_without_arguments_they_are_small_variations_after_the_record_itself(self):
        names = Transformations().names
        assert names == (
            *("unaltered", "left-right", "rotated -5°", "rotated 5°", "shifted (-1, 0)", "shifted (0, -1)"),
            *("shifted (0, 1)", "shifted (1, 0)", "brightness 0.9", "brightness 1.1"),
        )

    def test_what_is_given_is_what_there_is(self):
        assert Transformations("unaltered").transformations == (Unaltered(),)
        assert Transformations("up-down", flips=True).transformations == (Unaltered(), UpsideDown(), Mirrored())
        given = Transformations(crops=0.9, noise=0.1, draws=2, seed=3, unaltered=False)
        assert given.transformations == (Cropped(0.9), Noisy(0.1, 6), Noisy(0.1, 7))

    def test_combined_they_are_all_products(self):
        given = Transformations(flips=True, rotations=(-5, 5), shifts=1, combine=True)
        assert len(given.transformations) == 2 * 3 * 5
        assert given.transformations[0] == Unaltered()
        assert Composed((Mirrored(), Rotated(5.0), Shifted(1, 0))) in given.transformations
        assert given.names[-1] == "left-right, rotated 5°, shifted (1, 0)"

    def test_names_are_readable(self):
        def my_blur(x):
            return x

        assert name_of(my_blur).endswith("my_blur")
        assert name_of(Cropped(0.5, 1, 0)) == "cropped 0.5 at (1, 0)"
        given = Transformations(keras.layers.RandomFlip(), keras.layers.Rescaling(0.5), draws=2, unaltered=False)
        assert given.names == ("RandomFlip, draw 0", "RandomFlip, draw 1", "Rescaling")

    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ({"rotations": (360,)}, "degrees other than whole turns"),
            ({"rotations": float("nan")}, "rotations is nan"),
            ({"crops": (1.0,)}, "shares between 0 and 1"),
            ({"brightness": (0.0,)}, "positive factors other than 1"),
            ({"contrast": ("much",)}, "contrast is"),
            ({"flips": "diagonal"}, "'left-right', 'up-down'"),
            ({"noise": 0.0}, "noise is 0.0"),
            ({"shifts": -1}, "shifts is -1"),
            ({"draws": 0}, "draws 0"),
            ({"domain": (1, 0)}, "domain is"),
            ({"domain": (0, float("nan"))}, "domain is"),
            ({"tolerance": -1.0}, "tolerance is -1.0"),
            ({"rotations": range(1, 180), "shifts": 3, "combine": True}, "combine=True makes 4500 transformations"),
        ],
    )
    def test_arguments_out_of_range_are_refused(self, arguments, said):
        with pytest.raises(ValueError, match=said):
            Transformations(**arguments)

    def test_what_is_no_transformation_is_refused(self):
        with pytest.raises(ValueError, match="no transformation 'sideways'; give one of unaltered"):
            Transformations("sideways")
        with pytest.raises(TypeError, match="3 is no transformation"):
            Transformations(3)
        with pytest.raises(TypeError, match="is no transformation"):
            Transformations(keras.layers.RandomFlip)

    def test_the_digest_says_what_they_are(self):
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
        np.testing.assert_allclose(whole, given.sample(IMAGES, 6, 5), atol=1e-6)  # without a graph rounding may differ

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


class TestTruth:
    @pytest.mark.parametrize("levels", [2, 3])
    def test_it_is_that_of_brute_force_on_images_of_few_pixels(self, levels):
        rng = np.random.default_rng(levels)
        x, training = (rng.integers(0, levels, (n, 3, 3)).astype(np.uint8) for n in (60, 90))
        given = Transformations("up-down", "rotated-90", flips=True, shifts=2, brightness=(2.0,))
        expected = brute_force(given.transformations, x, training)
        assert 0 < expected.sum() < expected.size
        np.testing.assert_array_equal(inside_by_pairs(given, x, training), expected)
        np.testing.assert_array_equal(given.contains(x, training), expected.any(axis=1))

    @pytest.mark.parametrize("transformed", ["query", "record"])
    def test_either_side_may_be_the_variation(self, transformed):
        given = Transformations(shifts=1)
        moved = Shifted(1, 0)(tf.constant(IMAGES)).numpy()
        assert not (Shifted(-1, 0)(tf.constant(moved)).numpy() == IMAGES).all()  # no inverse: an edge is lost
        sides = (moved, IMAGES) if transformed == "query" else (IMAGES, moved)
        np.testing.assert_array_equal(inside_by_pairs(given, *sides), np.eye(41, dtype=bool))

    def test_arithmetic_that_rounds_otherwise_does_not_matter(self):
        given = Transformations()
        points = given.sample(IMAGES, 10).reshape(-1, 8, 8, 3)
        noise = RNG.uniform(-3e-7, 3e-7, points.shape)
        found = inside_by_pairs(given, IMAGES, (points + noise).astype(np.float32))
        assert (found.sum(axis=0) == 1).all()
        np.testing.assert_array_equal(np.argmax(found, axis=0), np.arange(410) // 10)

    def test_between_tolerance_and_ten_times_it_lies_what_is_uncertain(self):
        x = RNG.random((6, 4, 4)).astype(np.float64)
        training = x + np.array([0, 0.9, 1.1, 9.9, 10.1, 30])[:, None, None] * 1e-3 * np.sign(
            RNG.normal(size=(6, 4, 4))
        )
        (part,) = Transformations("unaltered", tolerance=1e-3).pairs(x, training)
        assert part.rows.tolist() == part.hits.tolist() == [0, 1, 2, 3]
        assert part.certain.tolist() == [True, True, False, False]
        (exact,) = Transformations("unaltered", tolerance=0.0).pairs(x, training)
        assert exact.rows.tolist() == [0]

    def test_bytes_may_have_a_tolerance_too(self):
        x = np.full((1, 4, 4), 100, np.uint8)
        (part,) = Transformations("unaltered", tolerance=1.0).pairs(x, np.stack([x[0] + 1, x[0] + 5, x[0] + 11]))
        assert part.hits.tolist() == [0, 1]
        assert part.certain.tolist() == [True, False]

    def test_other_leaves_must_be_equal(self):
        x = {"a": IMAGES[:3], "b": np.array(["u", "v", "w"])}
        training = {"a": IMAGES[:3, :, ::-1], "b": np.array([b"u", b"x", b"w"], object)}
        assert Transformations(flips=True).contains(x, training).tolist() == [True, False, True]

    def test_draws_of_layers_are_known_again(self):
        given = Transformations(layers(), draws=3)
        training = given.sample(IMAGES, 4)[np.arange(20), np.arange(20) % 4]
        np.testing.assert_array_equal(given.contains(IMAGES, training), np.arange(41) < 20)

    def test_batches_of_training_records_find_what_all_together_find(self, monkeypatch):
        from privacy_callbacks.range_queries import transform_closure

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

    def test_no_records_have_no_pairs(self):
        assert not Transformations().contains(IMAGES, IMAGES[:0]).any()

    def test_combined_transformations_are_among_those_compared(self):
        given = Transformations(flips=True, brightness=(0.5,), combine=True)
        training = Composed((Mirrored(), Brightened(0.5)))(tf.constant(IMAGES)).numpy()
        np.testing.assert_array_equal(inside_by_pairs(given, IMAGES, training), np.eye(41, dtype=bool))

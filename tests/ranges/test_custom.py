"""Ranges from a user's function, and the range that is the query alone."""

import numpy as np
import pytest
import tensorflow as tf

from privacy_callbacks.range_queries import seeded_draws
from privacy_callbacks.range_queries.base_range import RangeRecords
from privacy_callbacks.range_queries.custom import Custom
from privacy_callbacks.range_queries.point import Point

X = 100 * np.arange(60, dtype=np.float32).reshape(20, 3)


def plus_index(x, index, seed):
    return x + tf.cast(index, x.dtype) + seed


def with_noise(x, index, seed, first):
    return x + seeded_draws.uniform((3,), seed, index, tf.shape(x)[0], first)


def on_host(x, q, seed):
    return x[:, None] + np.random.default_rng(seed).random((len(x), q, 3)).astype(x.dtype)


def within_one(x, training):
    return np.abs(x[:, None] - training[None]).max(axis=2) <= 1


class TestPoints:
    def test_a_function_makes_them_by_number_and_seed(self):
        points = Custom(plus_index).sample(X, 4, seed=7)
        np.testing.assert_array_equal(points, X[:, None] + 7 + np.arange(4)[:, None])
        assert Custom(plus_index, name="steps").kind == "steps"

    @pytest.mark.parametrize("given", [Custom(plus_index), Custom(with_noise), Custom(on_host, host=True)])
    def test_they_are_the_same_in_a_graph_in_whatever_chunk(self, given):
        bound = given.at(RangeRecords(X))
        traced = []

        @tf.function
        def drawn(x, index, first):
            traced.append(1)
            return bound.draw(x, 5, index, 2, first)

        whole = given.sample(X, 5, 2)
        spec = tf.TensorSpec([None, 3])
        ask = drawn.get_concrete_function(spec, tf.TensorSpec([], tf.int32), tf.TensorSpec([], tf.int32))
        for index in range(5):
            part = ask(tf.constant(X[10:15]), tf.constant(index), tf.constant(10))
            np.testing.assert_array_equal(part, whole[10:15, index])
        assert len(traced) == 1
        ask(tf.constant(X[:8]), tf.constant(0), tf.constant(17))  # rows beyond the last are clamped

    def test_they_serve_a_data_set(self):
        data = tf.data.Dataset.from_tensors(X).map(lambda x: Custom(with_noise).sample(x, 3, seed=1))
        np.testing.assert_array_equal(data.get_single_element(), Custom(with_noise).sample(X, 3, seed=1))

    def test_a_function_of_arrays_is_asked_once(self):
        asked = []

        def counted(x, q, seed):
            asked.append((len(x), q, seed))
            return on_host(x, q, seed)

        bound = Custom(counted, host=True).at(RangeRecords(X))
        for index in range(4):
            bound.draw(tf.constant(X), 4, index, 3)
        assert asked == [(20, 4, 3)]

    def test_nests_keep_their_structure(self):
        def second(x, index, seed):
            return {"a": x["a"], "b": tf.strings.join([x["b"], "!"])}

        points = Custom(second).sample({"a": X, "b": np.array(["u"] * 20)}, 2)
        assert set(points["b"].ravel()) == {b"u!"}

    @pytest.mark.parametrize(
        ("given", "said"),
        [
            (Custom(lambda x, index, seed: x[:, :2]), "sample cannot be used on these inputs"),
            (Custom(lambda x, index, seed: tf.cast(x, tf.float64)), "made float64 of float32"),
            (Custom(lambda x, index, seed: x + tf.random.normal([3])), "something else when it is asked again"),
            (
                Custom(lambda x, index, seed: x + tf.random.stateless_normal(tf.shape(x), [seed, index])),
                "another point when it stands beside others",
            ),
            (Custom(lambda x, q, seed: x, host=True), r"sample returned float32\[20, 3\] for 2 points"),
        ],
    )
    def test_functions_that_do_not_fit_are_refused(self, given, said):
        with pytest.raises(ValueError, match=said):
            given.sample(X, 2)

    def test_arguments_are_checked(self):
        with pytest.raises(TypeError, match="give a function"):
            Custom("noise")
        with pytest.raises(ValueError, match="contains is 'near'"):
            Custom(plus_index, contains="near")
        with pytest.raises(ValueError, match="name is ''"):
            Custom(plus_index, name="")
        with pytest.raises(ValueError, match="points is 0"):
            Custom(plus_index, points=0)

    def test_tensors_alone_cannot_be_made_on_the_host(self):
        with pytest.raises(ValueError, match="bind the range"):
            Custom(on_host, host=True).sample(tf.constant(X), 2)

    def test_the_digest_says_what_it_is(self):
        given = [Custom(plus_index), Custom(with_noise), Custom(plus_index, "exact"), Custom(plus_index, within_one)]
        assert len({one.digest for one in given}) == 4
        assert given[0].at(RangeRecords(X)) == Custom(plus_index)


class TestTruth:
    def test_a_function_says_it_in_blocks(self, monkeypatch):
        from privacy_callbacks.range_queries import custom

        monkeypatch.setattr(custom, "_QUERY_ROWS", 3)
        monkeypatch.setattr(custom, "_TRAINING_ROWS", 4)
        training = X[::2] + 0.5
        found = np.zeros((20, 10), bool)
        for part in Custom(plus_index, within_one).pairs(X, training):
            found[part.rows, part.hits] = True
        np.testing.assert_array_equal(found, within_one(X, training))
        np.testing.assert_array_equal(Custom(plus_index, within_one).contains(X, training), np.arange(20) % 2 == 0)

    @pytest.mark.parametrize("function", [plus_index, with_noise, on_host])
    def test_exact_is_the_query_or_one_of_its_points(self, function):
        given = Custom(function, "exact", host=function is on_host, points=4, seed=6)
        training = np.concatenate([given.sample(X, 4, 6)[3:5].reshape(-1, 3), X[7:8], X[8:9] + 0.25])
        expected = np.isin(np.arange(20), (3, 4, 7))
        np.testing.assert_array_equal(given.contains(X, training), expected)

    def test_points_of_another_seed_or_number_are_not_exact(self):
        given = Custom(with_noise, "exact", points=4, seed=6)
        assert not given.contains(X, given.sample(X, 4, 5).reshape(-1, 3)).any()
        assert not given.contains(X, given.sample(X, 5, 6)[:, 4]).any()

    def test_without_it_the_truth_is_not_known(self):
        with pytest.raises(ValueError, match=r"give Custom\(contains=\)"):
            Custom(plus_index).contains(X, X)

    def test_another_answer_than_one_a_pair_is_refused(self):
        with pytest.raises(ValueError, match=r"return bool\[20, 5\]"):
            Custom(plus_index, lambda x, training: np.ones(len(x), bool)).contains(X, X[:5])


class TestPoint:
    def test_it_is_the_query(self):
        np.testing.assert_array_equal(Point().sample(X, 3), np.repeat(X[:, None], 3, axis=1))
        assert Point().sizes(X, 5).tolist() == [1] * 20
        assert Point() == Point()

    @pytest.mark.parametrize(
        ("x", "training"),
        [
            (X, X[5:7]),
            (X.astype(np.float64), X[5:7]),
            (X.astype(np.int64), X[5:7].astype(np.int16)),
            ({"a": X, "b": np.arange(20).astype(str)}, {"a": X[4:7], "b": np.array([b"x", b"5", b"6"], object)}),
        ],
        ids=["floats", "wide floats", "whole numbers", "nest"],
    )
    def test_equal_records_lie_in_it(self, x, training):
        assert np.flatnonzero(Point().contains(x, training)).tolist() == [5, 6]

    def test_each_pair_of_equal_records_is_found(self):
        x, training = (np.random.default_rng(n).integers(0, 2, (n, 4)) for n in (40, 50))
        found = np.zeros((40, 50), bool)
        for part in Point().pairs(x, training):
            assert part.certain.all()
            found[part.rows, part.hits] = True
        np.testing.assert_array_equal(found, (x[:, None] == training[None]).all(axis=2))

    def test_zero_is_zero_and_what_is_not_a_number_equals_nothing(self):
        assert Point().contains(np.array([[-0.0], [np.nan]]), np.array([[0.0], [np.nan]])).tolist() == [True, False]

    def test_values_that_the_other_type_cannot_hold_are_refused(self):
        with pytest.raises(ValueError, match="give both in one type"):
            Point().contains(X.astype(np.uint8), np.full((2, 3), 300))

"""What stands in the place of missing values: all there is in turn, draws, or an imputer's guesses; and missing labels."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from privacy_callbacks.range_queries.base_range import RangeRecords
from privacy_callbacks.range_queries.imputers import Conditional, Nearest
from privacy_callbacks.range_queries.missing_features import MissingFeatures, Numeric


def test_all_of_a_small_space_is_asked_the_last_column_fastest():
    ranges = MissingFeatures([True, False, True], [[0, 1], None, [5, 6, 7]])
    points = ranges.sample(np.full((1, 3), 9), 8)
    assert points[0].tolist() == [[a, 9, b] for a, b in [*itertools.product([0, 1], [5, 6, 7]), (0, 5), (0, 6)]]
    assert ranges.sizes(np.zeros((4, 3)), 8).tolist() == [6] * 4
    assert ranges.sizes(np.zeros((4, 3)), 5) is None


def test_a_dict_is_enumerated_across_types():
    columns = {"b": ["u", "v"], "a": Numeric(3, 5, integer=True), "c": [False, True]}
    ranges = MissingFeatures({"a": True, "b": [True, False], "c": True}, columns=columns)
    x = {"a": np.array([0, 0]), "b": np.array(["", "w"]), "c": np.array([False, False]), "d": np.zeros(2)}
    assert ranges.sizes(x, 12).tolist() == [12, 6]
    points = ranges.sample(x, 12)
    each = [list(zip(*(points[key][row].tolist() for key in "abc"), strict=True)) for row in (0, 1)]
    assert each[0] == list(itertools.product([3, 4, 5], [b"u", b"v"], [False, True]))
    assert each[1] == [*itertools.product([3, 4, 5], [b"w"], [False, True])] * 2


def test_a_range_smaller_than_q_ends_at_once():
    ranges = MissingFeatures([True, False], [0, 1])
    assert ranges.sample(np.zeros((2, 2)), 1000).shape == (2, 1000, 2)


def test_a_record_that_misses_nothing_is_a_range_of_one_point():
    mask = np.array([[False, False], [True, False]])
    x = np.array([[4.0, 5], [6, 7]])
    ranges = MissingFeatures(mask, Numeric(0, 1))
    assert ranges.sizes(x, 8).tolist() == [1, 8]
    np.testing.assert_array_equal(ranges.sample(x, 8)[0], np.tile(x[0], (8, 1)))


def test_values_are_uniform_and_independent():
    ranges = MissingFeatures([True, True, False], [[0, 1, 2], [5, 6], None])
    points = ranges.sample(np.zeros((3000, 3)), 2).reshape(-1, 3)
    _, counts = np.unique(points, axis=0, return_counts=True)
    assert len(counts) == 6
    assert stats.chisquare(counts).pvalue > 1e-3


def test_numbers_are_uniform_between_their_ends():
    ranges = MissingFeatures([True, True, False], [Numeric(-3, 5), Numeric(10, 14, integer=True), None])
    points = ranges.sample(np.zeros((2000, 3)), 2).reshape(-1, 3)
    assert stats.kstest(points[:, 0], stats.uniform(-3, 8).cdf).pvalue > 1e-3
    values, counts = np.unique(points[:, 1], return_counts=True)
    assert values.tolist() == [10, 11, 12, 13, 14]
    assert stats.chisquare(counts).pvalue > 1e-3


def test_marginals_are_those_of_the_reference():
    rng = np.random.default_rng(0)
    reference = {
        "few": rng.choice([0, 3, 9], 500, p=[0.7, 0.2, 0.1]),
        "many": rng.normal(size=30_000)[:500],
        "text": rng.choice(["u", "v"], 500, p=[0.9, 0.1]),
        "seen": np.zeros(500),
    }
    x = {key: np.zeros(5000, values.dtype) for key, values in reference.items()}
    ranges = MissingFeatures(["few", "many", "text"], imputer="marginal", reference=reference)
    points = ranges.sample(x, 2)
    for key in ("few", "text"):
        values, counts = np.unique(points[key].astype(str), return_counts=True)
        known, shares = np.unique(reference[key].astype(str), return_counts=True)
        known = np.char.decode(known.astype("S"))
        assert [value.removeprefix("b'").removesuffix("'") for value in values] == known.tolist()
        assert stats.chisquare(counts, shares / 500 * 10_000).pvalue > 1e-3
    assert stats.ks_2samp(points["many"].ravel(), reference["many"]).pvalue > 1e-3
    assert np.isin(points["many"], reference["many"]).all()
    together = np.corrcoef(points["few"].ravel(), points["many"].ravel())[0, 1]
    assert abs(together) < 4 / np.sqrt(10_000)


def test_a_marginal_of_values_that_are_listed_is_enumerated_where_it_can_be():
    reference = np.array([[0.0, 1], [0, 1], [1, 1]])
    ranges = MissingFeatures([True, False], [0, 1, 2], imputer="marginal", reference=reference)
    assert ranges.sample(np.zeros((1, 2)), 3)[0, :, 0].tolist() == [0, 1, 2]
    assert set(ranges.sample(np.zeros((200, 2)), 2)[:, :, 0].ravel()) == {0, 1}  # no reference record holds 2


def test_neighbours_are_asked_in_turn_or_chosen_at_random():
    reference = np.array([[0.0, 7, 70], [1, 8, 80], [2, 9, 90], [50, 1, 10]])
    ranges = MissingFeatures([False, True, True], imputer=Nearest(3), reference=reference)
    points = ranges.sample(np.zeros((4000, 3)), 7)
    assert points[0, :, 1].tolist() == [7, 8, 9, 7, 8, 9, 7]
    assert ranges.sizes(np.zeros((2, 3)), 7).tolist() == [3, 3]
    points = ranges.sample(np.zeros((4000, 3)), 2)
    values, counts = np.unique(points[:, :, 1], return_counts=True)
    assert values.tolist() == [7, 8, 9]
    assert stats.chisquare(counts).pvalue > 1e-3
    np.testing.assert_array_equal(points[..., 2], 10 * points[..., 1])  # jointly
    assert ranges.sizes(np.zeros((2, 3)), 2) is None


def test_records_that_miss_nothing_stand_beside_those_that_neighbours_fill():
    x = {"a": np.array(["u", "v"]), "b": np.zeros(2), "c": np.zeros(2)}
    reference = {"a": np.array(["w"] * 3), "b": np.ones(3), "c": np.zeros(3)}
    ranges = MissingFeatures({"a": [True, False], "b": [True, False]}, imputer=Nearest(3), reference=reference)
    assert ranges.sizes(x, 2).tolist() == [2, 1]
    points = ranges.sample(x, 2)
    assert points["a"].tolist() == [[b"w", b"w"], [b"v", b"v"]]
    assert points["b"].tolist() == [[1, 1], [0, 0]]


def test_guesses_of_a_model_are_each_asked_once_from_somewhere_on():
    def count(x, mask, q, seed):
        return np.broadcast_to(np.arange(q, dtype=float)[None, :, None], (len(x), q, x.shape[1]))

    ranges = MissingFeatures([False, True], imputer=Conditional(count, draws=9))
    points = ranges.sample(np.zeros((30, 2)), 9)[:, :, 1]
    assert all(sorted(row) == list(range(9)) for row in points.tolist())
    assert len(set(points[:, 0])) > 5
    with pytest.raises(ValueError, match=r"q is 10, but the imputer drew 9 guesses a record; .* draws=10"):
        ranges.sample(np.zeros((30, 2)), 10)


def test_a_missing_label_is_one_more_value():
    ranges = MissingFeatures([True, False], [0, 1], labels=np.eye(3))
    assert not ranges.asks_labels
    np.testing.assert_array_equal(ranges.label_values, np.eye(3))
    assert ranges.sizes(np.zeros((2, 2)), 6).tolist() == [6, 6]
    points = ranges.sample(np.zeros((1, 2)), 6)[0, :, 0].tolist()
    labels = [int(ranges.label_index(6, index, 0, 1)[0]) for index in range(6)]
    assert list(zip(points, labels, strict=True)) == list(itertools.product([0, 1], [0, 1, 2]))


def test_a_missing_label_is_uniform_where_there_are_too_many_points():
    ranges = MissingFeatures([True, False], Numeric(0, 1), labels=["cat", "dog"])
    index = tf.function(lambda i, first: ranges.label_index(4, i, 0, 500, first))
    found = index(tf.constant(2), tf.constant(0)).numpy()
    assert found.dtype == np.int64
    assert stats.binomtest(int(found.sum()), 500).pvalue > 1e-3
    np.testing.assert_array_equal(index(tf.constant(2), tf.constant(100))[:400], found[100:])


def test_labels_of_neighbours_in_turn_are_asked_in_turn():
    reference = np.array([[0.0, 7], [1, 8]])
    ranges = MissingFeatures([False, True], imputer=Nearest(2), reference=reference, labels=[0, 1])
    assert ranges.sizes(np.zeros((1, 2)), 4).tolist() == [4]
    points = ranges.sample(np.zeros((1, 2)), 4)[0, :, 1].tolist()
    labels = [int(ranges.at(RangeRecords(np.zeros((1, 2)))).label_index(4, index, 0, 1)[0]) for index in range(4)]
    assert list(zip(points, labels, strict=True)) == [(7, 0), (7, 1), (8, 0), (8, 1)]


def test_only_a_label_missing_asks_the_record_with_each():
    ranges = MissingFeatures([False, False], labels=[0, 1, 2])
    assert ranges.sizes(np.zeros((2, 2)), 8).tolist() == [3, 3]
    assert [int(ranges.label_index(8, index, 0, 1)[0]) for index in range(4)] == [0, 1, 2, 0]

"""Partial records of every kind: their points, and which training records agree with what is known."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
from ranges.partial_records import MASKS, RANGES, REFERENCE, TABLE, masks_of

from privacy_callbacks.range_queries.base_range import RangeRecords
from privacy_callbacks.range_queries.feature_mask import MissingAtRandom
from privacy_callbacks.range_queries.imputers import Nearest
from privacy_callbacks.range_queries.missing_features import Categorical, MissingFeatures

every_range = pytest.mark.parametrize(("x", "ranges"), RANGES.values(), ids=RANGES)


def bound(ranges, x):
    return ranges.at(RangeRecords(x))


def rows_of(x, rows):
    return tf.nest.map_structure(lambda leaf: tf.constant(leaf[rows]), x)


def leaves(*nests):
    return zip(*(tf.nest.flatten(nest) for nest in nests), strict=True)


@every_range
def test_points_keep_type_form_and_everything_observed(x, ranges):
    points = ranges.sample(x, 6, seed=1)
    for leaf, point, missing in leaves(x, points, masks_of(ranges, x)):
        assert point.shape == (50, 6, *leaf.shape[1:])
        assert leaf.dtype.kind in "US" or point.dtype == leaf.dtype
        kept = np.broadcast_to(leaf[:, None], point.shape)
        same = (np.vectorize(bytes.decode)(point) if point.dtype == object else point) == kept
        assert same[np.broadcast_to(~missing[:, None], point.shape)].all()


@every_range
def test_missing_values_are_never_read(x, ranges):
    def changed(leaf, missing):
        other = {"U": "gone", "b": False, "i": -7, "f": np.nan}[leaf.dtype.kind]
        return np.where(missing, np.array(other).astype(leaf.dtype if leaf.dtype.kind != "U" else "U4"), leaf)

    other = tf.nest.map_structure(changed, x, masks_of(ranges, x))
    for one, two in leaves(ranges.sample(x, 6), ranges.sample(other, 6)):
        np.testing.assert_array_equal(one, two)
    np.testing.assert_array_equal(ranges.contains(x, x), ranges.contains(other, x))
    assert ranges.contains(other, x).all()


@every_range
@pytest.mark.parametrize("q", [4, 40])
def test_a_record_gets_the_same_points_whatever_chunk_it_stands_in(x, ranges, q):
    held = bound(ranges, x)
    graph = tf.function(lambda part, index, first: held.draw(part, q, index, 5, first))
    for index in (0, 3):
        whole = held.draw(rows_of(x, slice(None)), q, index, 5)
        part = graph(rows_of(x, slice(30, 40)), tf.constant(index), tf.constant(30))
        for one, two in leaves(whole, part):
            np.testing.assert_array_equal(one[30:40], two)
            assert one.shape[1:] == two.shape[1:]


@every_range
def test_it_is_drawn_in_a_loop_over_points(x, ranges):
    held = bound(ranges, x)

    @tf.function
    def looped(part):
        total = tf.constant(0)
        for index in tf.range(5):
            made = tf.nest.flatten(held.draw(part, 5, index, 0, tf.constant(0)))
            total += sum(tf.shape(leaf)[0] for leaf in made)
        return total

    assert looped(rows_of(x, slice(0, 9))) == 5 * 9 * len(tf.nest.flatten(x))


@every_range
def test_another_seed_draws_others_unless_all_are_asked(x, ranges):
    sizes = ranges.sizes(x, 6)
    some = np.arange(50) if sizes is None else np.flatnonzero(sizes == 6)
    moved = [one != two for one, two in leaves(ranges.sample(x, 6, 0), ranges.sample(x, 6, 1))]
    assert not len(some) or any(leaf[some].any() for leaf in moved)
    all_asked = np.setdiff1d(np.arange(50), some)
    if ranges.labels is None:
        assert not any(leaf[all_asked].any() for leaf in moved)


@every_range
def test_the_size_is_the_number_of_different_points(x, ranges):
    q = 40
    sizes = ranges.sizes(x, q)
    sizes = np.full(50, q) if sizes is None else sizes
    points = [leaf.reshape(50, q, -1) for leaf in tf.nest.flatten(ranges.sample(x, q))]
    held = bound(ranges, x)
    if ranges.labels is not None:
        points.append(np.stack([held.label_index(q, index, 0, 50) for index in range(q)], axis=1)[..., None])
    for row in np.flatnonzero(sizes < q):
        each = [tuple(itertools.chain(*(leaf[row, i].tolist() for leaf in points))) for i in range(q)]
        size = sizes[row]
        assert each == [each[i % size] for i in range(q)]
        if "Nearest" not in type(ranges.imputer).__name__:  # two neighbours may hold the same
            assert len(set(each[:size])) == size


@every_range
def test_truth_is_agreement_on_what_is_observed(x, ranges):
    rng = np.random.default_rng(1)
    order = rng.permutation(50)[:30]
    missing = masks_of(ranges, x)
    training = tf.nest.map_structure(lambda leaf: leaf[order].copy(), x)
    for leaf in tf.nest.flatten(training):
        leaf[:10] = leaf[10:20]  # nothing like the record it was
    agree = np.ones((50, 30), bool)
    for one, other, gone in leaves(x, training, missing):
        equal = one[:, None] == other[None]
        agree &= (equal | gone[:, None]).reshape(50, 30, -1).all(axis=2)
    found = {
        (i, j)
        for part in bound(ranges, x).pairs(x, training)
        for i, j in zip(part.rows.tolist(), part.hits.tolist(), strict=True)
    }
    assert found == set(zip(*(side.tolist() for side in np.nonzero(agree)), strict=True))
    np.testing.assert_array_equal(ranges.contains(x, training), agree.any(axis=1))


def test_what_missing_columns_hold_does_not_count_even_if_it_is_thought_impossible():
    ranges = MissingFeatures([False, True], [0, 1])
    assert ranges.contains(np.array([[1.0, 0]]), np.array([[1.0, 77]])).tolist() == [True]


def test_a_record_with_another_label_is_uncertain_unless_the_label_is_missing():
    x, training = (
        RangeRecords(np.array([[1.0, 0]]), np.array([3])),
        RangeRecords(np.array([[1.0, 5], [1, 6]]), np.array([3, 4])),
    )
    (pairs,) = MissingFeatures([False, True], [0, 1]).related(x, training)
    assert dict(zip(pairs.hits.tolist(), pairs.certain.tolist(), strict=True)) == {0: True, 1: False}
    (pairs,) = MissingFeatures([False, True], [0, 1], labels=[3, 4]).related(x, training)
    assert pairs.certain.all()


def test_it_runs_within_a_data_set_where_one_mask_is_for_all():
    ranges = MissingFeatures([False, True, True], [0, 1, 2])
    x = np.full((8, 3), 7, np.float32)
    data = tf.data.Dataset.from_tensor_slices(x).batch(8).map(lambda part: ranges.sample(part, 4, seed=2))
    (points,) = data
    assert points.shape == (8, 4, 3)
    np.testing.assert_array_equal(points, ranges.sample(x, 4, seed=2))


def test_ranges_are_equal_if_they_are_in_content():
    def made(**changed):
        return MissingFeatures(
            **{"mask": MASKS.copy(), "values": [0, 1], "imputer": "marginal", "reference": REFERENCE.copy()} | changed
        )

    assert made() == made()
    assert made().digest == made(values=np.array([0, 1])).digest
    changes = [
        {"mask": MASKS[::-1]},
        {"values": [0, 1, 2]},
        {"imputer": "knn"},
        {"imputer": Nearest(3)},
        {"reference": REFERENCE[::-1]},
        {"labels": [0, 1]},
    ]
    found = {made(**changed).digest for changed in changes} | {made().digest}
    assert len(found) == len(changes) + 1
    assert MissingFeatures(["b", "a"], [0, 1]) == MissingFeatures({"a": True, "b": True}, Categorical([0, 1]))


def test_arguments_stay_as_they_are():
    mask = MASKS.copy()
    ranges = MissingFeatures(mask, [0, 1])
    mask[:] = False
    np.testing.assert_array_equal(ranges.mask, MASKS)
    x = TABLE.copy()
    ranges.sample(x, 3)
    np.testing.assert_array_equal(x, TABLE)


def test_a_mask_may_be_a_function_of_the_queries():
    x = (np.random.default_rng(0).random((30, 12)) < 0.5).astype(np.float32)
    masked = MissingFeatures(MissingAtRandom(3, seed=4), [0.0, 1.0])
    mask = MissingAtRandom(3, seed=4)(x)
    assert (mask.sum(axis=1) == 3).all()
    assert len(np.unique(mask, axis=0)) > 20
    plain = MissingFeatures(mask, [0.0, 1.0])
    np.testing.assert_array_equal(masked.sample(x, 5, seed=1), plain.sample(x, 5, seed=1))
    np.testing.assert_array_equal(masked.sizes(x, 8), plain.sizes(x, 8))
    altered = np.where(mask, 1 - x, x)
    assert masked.contains(x, altered).all()
    assert not masked.contains(x, np.where(mask, x, 1 - x)).any()
    assert masked.digest != MissingFeatures(MissingAtRandom(3, seed=5), [0.0, 1.0]).digest
    with pytest.raises(ValueError, match="bind the range with arrays"):
        tf.function(lambda x: masked.sample(x, 2))(tf.constant(x))


@pytest.mark.parametrize(
    ("arguments", "message"), [((0,), "count is 0"), ((1.5,), "count is"), ((1, -1), "seed is -1")]
)
def test_missing_at_random_counts_columns(arguments, message):
    with pytest.raises(ValueError, match=message):
        MissingAtRandom(*arguments)


@pytest.mark.parametrize("x", [np.zeros((3, 2)), np.zeros(3), {"a": np.zeros(3)}])
def test_missing_at_random_needs_a_table_with_more_columns(x):
    with pytest.raises(ValueError, match="need a table"):
        MissingFeatures(MissingAtRandom(2), [0.0, 1.0]).sample(x, 2)

"""Distances to training records: exact, whatever the blocks, the scale and the type of the data."""

import tracemalloc

import numpy as np
import pytest
import tensorflow as tf

from privacy_callbacks.range_queries.nearest_record import nearest_training_distance, pairs_within
from privacy_callbacks.range_queries.record_columns import Columns

NORMS = (1, 2, np.inf, "hamming")


def brute_force(x, training, p):
    """float64[n, t], the definition, record by record."""
    apart = [np.abs(training.astype(np.float64) - row) for row in x.astype(np.float64)]
    norm = {
        1: lambda one: one.sum(axis=1),
        2: lambda one: np.sqrt((one**2).sum(axis=1)),
        np.inf: lambda one: one.max(axis=1),
        "hamming": lambda one: np.count_nonzero(one, axis=1).astype(float),
    }[p]
    return np.stack([norm(one) for one in apart])


def as_table(parts, n, t):
    """int[n, t]: 2 = certain, 1 = uncertain, 0 = not found; every pair at most once."""
    found = np.zeros((n, t), int)
    for rows, hits, certain in parts:
        assert not found[rows, hits].any()
        found[rows, hits] = 1 + certain
    return found


def normal(rng, n, d):
    return rng.normal(size=(n, d))


def far_from_zero(rng, n, d):
    return 1e4 + rng.normal(size=(n, d))


def close_together(rng, n, d):
    return 5 + 1e-6 * rng.normal(size=(n, d))


def tiny(rng, n, d):
    return 1e-30 * rng.normal(size=(n, d))


def huge(rng, n, d):
    return 1e30 * rng.normal(size=(n, d))


def some_very_long(rng, n, d):
    return rng.normal(size=(n, d)) * np.where(rng.random((n, 1)) < 0.05, 1e25, 1)


def all_alike(rng, n, d):
    return np.full((n, d), 3.0)


def bits(rng, n, d):
    return rng.integers(0, 2, (n, d)).astype(float)


def few_values(rng, n, d):
    return rng.integers(0, 5, (n, d)).astype(float)


KINDS = (normal, far_from_zero, close_together, tiny, huge, some_very_long, all_alike, bits, few_values)


@pytest.mark.parametrize("p", NORMS)
@pytest.mark.parametrize("make", KINDS)
def test_the_nearest_record_is_that_of_the_definition(make, p):
    rng = np.random.default_rng(0)
    x, training = make(rng, 30, 40), make(rng, 500, 40)
    training[[7, 300]], training[8] = x[3], training[9]
    expected = brute_force(x, training, p)
    for block_bytes in (64_000_000, 30_000):
        found = nearest_training_distance(x, training, p, block_bytes=block_bytes)
        np.testing.assert_allclose(found.distance, expected.min(axis=1), rtol=1e-13)
        np.testing.assert_array_equal(found.row, expected.argmin(axis=1))
        assert found.distance[3] == 0
        assert found.distance.dtype == np.float64
        assert found.row.dtype == np.int64


@pytest.mark.parametrize("p", NORMS)
@pytest.mark.parametrize("make", KINDS)
def test_pairs_within_a_radius_are_those_of_the_definition(make, p):
    rng = np.random.default_rng(1)
    x, training = make(rng, 30, 40), make(rng, 300, 40)
    training[17] = x[5]
    distances = brute_force(x, training, p)
    for radius in {*np.quantile(distances, (0.02, 0.5, 0.999)).tolist()} - {0.0}:
        expected = np.where(distances <= radius, 2, distances <= radius * 1.01)
        for block_bytes in (64_000_000, 30_000):
            parts = pairs_within(x, training, radius, p, 0.01, block_bytes=block_bytes)
            found = as_table(parts, *distances.shape)
            differs = found != expected
            assert not differs.any(), (radius, distances[differs])


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int16", "int64", "float16", "float32", "float64"])
@pytest.mark.parametrize("p", NORMS)
def test_every_type_is_taken_for_the_numbers_it_holds(p, dtype):
    rng = np.random.default_rng(2)
    high = 2 if dtype == "bool" else 120
    x, training = (rng.integers(0, high, (size, 3, 5)).astype(dtype) for size in (9, 80))
    training[11] = x[2]
    expected = brute_force(x.reshape(9, 15), training.reshape(80, 15), p)
    found = nearest_training_distance(x, training, p)
    np.testing.assert_allclose(found.distance, expected.min(axis=1), rtol=1e-14)
    np.testing.assert_array_equal(found.row, expected.argmin(axis=1))


def test_unsigned_numbers_do_not_wrap_around():
    x, training = np.array([[0]], np.uint8), np.array([[255], [254]], np.uint8)
    assert nearest_training_distance(x, training).distance.tolist() == [254.0]


@pytest.mark.parametrize("p", [1, 2, np.inf])
@pytest.mark.parametrize("offset", [0.0, 1e5])
def test_a_ten_millionth_decides_at_the_edge(p, offset):
    """Records placed at radius · (1 ± 1e-7) are told apart, where float32 products err by far more."""
    rng = np.random.default_rng(3)
    x = offset + rng.normal(size=(20, 60))
    step = rng.normal(size=(20, 60))
    step /= np.linalg.norm(step, ord=p, axis=1, keepdims=True)
    radius = 2.0
    training = np.concatenate([x + radius * (1 - 1e-7) * step, x + radius * (1 + 1e-7) * step])
    certain = as_table(pairs_within(x, training, radius, p, 0.0), 20, 40)
    np.testing.assert_array_equal(np.diag(certain[:, :20]), 2)
    np.testing.assert_array_equal(np.diag(certain[:, 20:]), 0)
    with_margin = as_table(pairs_within(x, training, radius, p, 0.01), 20, 40)
    np.testing.assert_array_equal(np.diag(with_margin[:, 20:]), 1)


def test_the_radius_itself_lies_within():
    x, training = np.zeros((1, 2)), np.array([[3.0, 4.0], [5.0, 1e-6]])
    assert as_table(pairs_within(x, training, 5.0, 2, 0.0), 1, 2).tolist() == [[2, 0]]
    distance = nearest_training_distance(x, np.array([[0.1, 0.7]])).distance[0]
    assert as_table(pairs_within(x, np.array([[0.1, 0.7]]), distance, 2, 0.0), 1, 1).tolist() == [[2]]


@pytest.mark.parametrize("p", NORMS)
def test_batches_read_once_give_what_the_whole_gives(p):
    rng = np.random.default_rng(4)
    x, training = rng.normal(size=(8, 6)).astype("float32"), rng.normal(size=(400, 6)).astype("float32")
    whole = nearest_training_distance(x, training, p)
    for batches in (
        iter(np.array_split(training, 23)),
        (part for part in np.array_split(training, 2)),
        tf.data.Dataset.from_tensor_slices(training).batch(32),
    ):
        found = nearest_training_distance(x, batches, p)
        np.testing.assert_array_equal(found.distance, whole.distance)
        np.testing.assert_array_equal(found.row, whole.row)


def test_inputs_of_several_leaves_are_joined_as_columns():
    rng = np.random.default_rng(5)
    parts = [rng.normal(size=(size, 4)) for size in (6, 50)]
    nests = [{"b": side[:, 2:].reshape(-1, 2, 1), "a": (side[:, 0], side[:, 1].astype("float64"))} for side in parts]
    expected = nearest_training_distance(*parts)
    for training in (nests[1], iter([nests[1]])):
        found = nearest_training_distance(nests[0], training)
        np.testing.assert_allclose(found.distance, expected.distance, rtol=1e-14)
        np.testing.assert_array_equal(found.row, expected.row)


def test_many_columns_are_compared_in_parts():
    rng = np.random.default_rng(6)
    for make in (normal, bits):
        x, training = make(rng, 5, 9000), make(rng, 20, 9000)
        for p in (2, "hamming"):
            expected = brute_force(x, training, p).min(axis=1)
            np.testing.assert_allclose(nearest_training_distance(x, training, p).distance, expected, rtol=1e-13)


@pytest.mark.parametrize("p", NORMS)
def test_memory_does_not_grow_with_the_number_of_records(p):
    rng = np.random.default_rng(7)
    x, block_bytes = rng.integers(0, 3, (600, 20)).astype("float32"), 2_000_000
    batches = (rng.integers(0, 3, (1000, 20)).astype("float32") for _ in range(30))
    tracemalloc.start()
    nearest_training_distance(x, batches, p, block_bytes=block_bytes)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 2 * block_bytes  # all distances would be 144 MB, all records 2.4 MB


def test_no_queries_have_no_distances_and_no_training_records_no_pairs():
    some, none = np.zeros((3, 2)), np.zeros((0, 2))
    assert nearest_training_distance(none, some).distance.shape == (0,)
    assert list(pairs_within(some, none, 1.0, 2, 0.0)) == []
    with pytest.raises(ValueError, match="training holds no record"):
        nearest_training_distance(some, none)


def test_what_cannot_be_compared_is_refused():
    x = np.zeros((3, 2))
    for p in (3, 0, True, "l2", None, np.nan):
        with pytest.raises(ValueError, match=r"give 1, 2, np\.inf or 'hamming'"):
            nearest_training_distance(x, x, p)
    with pytest.raises(ValueError, match="ragged or of strings"):
        nearest_training_distance(np.array(["a", "b"]), np.array(["a"]))
    with pytest.raises(ValueError, match="ragged or of strings"):
        Columns(np.array([np.zeros(2), np.zeros(3)], object), "x")
    with pytest.raises(ValueError, match="of type complex128"):
        Columns(x.astype(complex), "x")
    with pytest.raises(ValueError, match=r"training records have shape \[\(3,\)\], x has \[\(2,\)\]"):
        nearest_training_distance(x, np.zeros((4, 3)))
    with pytest.raises(ValueError, match="x has inputs of lengths"):
        nearest_training_distance((x, np.zeros(4)), (x, np.zeros(3)))
    with pytest.raises(ValueError, match="built otherwise than x"):
        nearest_training_distance({"a": x}, iter([x]))
    with pytest.raises(ValueError, match="training is int"):
        nearest_training_distance(x, 3)
    with pytest.raises(ValueError, match="no column"):
        nearest_training_distance(np.zeros((3, 0)), np.zeros((3, 0)))


@pytest.mark.parametrize("p", NORMS)
@pytest.mark.parametrize("odd", [np.nan, np.inf])
def test_missing_and_infinite_values_are_refused_on_either_side(p, odd):
    fine = np.ones((4, 3), np.float32)
    broken = fine.copy()
    broken[2, 1] = odd
    for sides, name in (((broken, fine), "x"), ((fine, broken), "training")):
        with pytest.raises(ValueError, match=f"{name} has values that are missing or infinite"):
            nearest_training_distance(*sides, p)


def test_inputs_are_left_as_they_are():
    rng = np.random.default_rng(8)
    x, training = rng.normal(size=(5, 3)), rng.normal(size=(30, 3))
    copies = x.copy(), training.copy()
    for p in NORMS:
        nearest_training_distance(x, training, p)
        list(pairs_within(x, training, 1.0, p, 0.1))
    np.testing.assert_array_equal(x, copies[0])
    np.testing.assert_array_equal(training, copies[1])


@pytest.mark.slow
@pytest.mark.parametrize("width", [1, 3, 200, 5000])
@pytest.mark.parametrize("make", KINDS)
def test_float32_never_decides_whatever_the_width(make, width):
    rng = np.random.default_rng(width)
    x, training = make(rng, 12, width), make(rng, 300, width)
    training[4], training[5] = x[0], x[1] * (1 + 1e-9)
    for p in NORMS:
        distances = brute_force(x, training, p)
        found = nearest_training_distance(x, training, p)
        np.testing.assert_allclose(found.distance, distances.min(axis=1), rtol=1e-12)
        for radius in {*np.quantile(distances, (0.01, 0.3)).tolist(), *distances.min(axis=1).tolist()} - {0.0}:
            ends = np.abs(distances / radius - 1)
            found_pairs = as_table(pairs_within(x, training, radius, p, 0.0), *distances.shape)
            assert ((found_pairs == np.where(distances <= radius, 2, 0)) | (ends < 1e-12)).all()

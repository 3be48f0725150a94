"""What any range must satisfy. Each exported range stands in `RANGES`; the last test makes sure."""

import inspect
from typing import NamedTuple

import numpy as np
import pytest
import tensorflow as tf

import privacy_callbacks.range_queries as package
from privacy_callbacks.range_queries import (
    Custom,
    LpBall,
    MissingAtRandom,
    MissingFeatures,
    Near,
    Point,
    Range,
    RangeRecords,
    SameOwner,
    Tokens,
    Transformations,
    seeded_draws,
)

COUNT = 12
RNG = np.random.default_rng(0)
TABLE = RNG.normal(size=(COUNT, 5)).astype(np.float32)
BITS = (RNG.random((COUNT, 20)) < 0.4).astype(np.float32)
IMAGES = RNG.random((COUNT, 6, 6, 1)).astype(np.float32)
BYTES = RNG.integers(0, 256, (COUNT, 6, 6, 3)).astype(np.uint8)
TOKENS = RNG.integers(1, 30, (COUNT, 8)).astype(np.int32)
TEXTS = np.array([" ".join(RNG.choice(["red", "green", "blue", "grey", "pink"], 5)) for _ in range(COUNT)])
HELD_OUT = RNG.normal(size=(3 * COUNT, 5)).astype(np.float32)


def near(x, index, seed, first):
    return x + 0.1 * (2 * seeded_draws.uniform(tuple(x.shape[1:]), seed, index, tf.shape(x)[0], first) - 1)


class Row(NamedTuple):
    range: Range
    x: np.ndarray


RANGES = {
    "point": Row(Point(), TABLE),
    "l1": Row(LpBall(0.5, 1), TABLE),
    "l2": Row(LpBall(0.5), TABLE),
    "linf": Row(LpBall(0.5, np.inf), TABLE),
    "l2 of bytes": Row(LpBall(300.0), BYTES),
    "l2 in a domain": Row(LpBall(0.5, domain=(0, 1)), IMAGES),
    "hamming": Row(LpBall(3, "hamming"), BITS),
    "transformations": Row(Transformations(), IMAGES),
    "transformations of bytes": Row(Transformations(noise=5.0), BYTES),
    "missing, enumerated": Row(MissingFeatures(np.arange(20) < 2, [0.0, 1.0]), BITS),
    "missing, drawn": Row(MissingFeatures(RNG.random((COUNT, 20)) < 0.5, [0.0, 1.0]), BITS),
    "missing at random": Row(MissingFeatures(MissingAtRandom(3), [0.0, 1.0]), BITS),
    "missing, nearest": Row(
        MissingFeatures(np.arange(20) < 9, [0.0, 1.0], imputer="knn", reference=1 - BITS[:9]), BITS
    ),
    "tokens": Row(Tokens(2, 30), TOKENS),
    "tokens dropped": Row(Tokens(1, edit="drop"), TOKENS),
    "words": Row(Tokens(2, ["red", "green", "black"]), TEXTS),
    "near": Row(Near(0.5), TABLE),
    "near in an embedding": Row(Near(0.5, lambda x: x[:, :2]), TABLE),
    "custom": Row(Custom(near, "exact", points=4), TABLE),
    "same owner": Row(SameOwner(HELD_OUT, np.zeros(3 * COUNT, int), np.arange(3 * COUNT) % COUNT), np.arange(COUNT)),
}
every_range = pytest.mark.parametrize("row", RANGES.values(), ids=RANGES)
# Owners are no records: their points are others' inputs, and nothing is drawn in a graph.
every_drawn_range = pytest.mark.parametrize(
    "row", [row for row in RANGES.values() if row.range.others is None], ids=[k for k in RANGES if k != "same owner"]
)


@every_range
def test_points_have_the_shape_and_type_of_records(row):
    points = row.range.sample(row.x, 4, seed=1)
    records = HELD_OUT if row.range.others is not None else row.x
    assert points.shape == (COUNT, 4, *records.shape[1:])
    kind = records.dtype.kind
    assert points.dtype == records.dtype or (kind == "U" and points.dtype == object)


@every_range
def test_a_seed_gives_the_same_points_and_inputs_stay(row):
    before = row.x.copy()
    np.testing.assert_array_equal(row.range.sample(row.x, 4, seed=1), row.range.sample(row.x, 4, seed=1))
    np.testing.assert_array_equal(row.x, before)


@every_range
def test_global_random_state_is_left_alone(row):
    state = np.random.get_state()[1].copy()
    generator = tf.random.get_global_generator().state.numpy()
    row.range.sample(row.x, 4, seed=1)
    row.range.contains(row.x, row.x)
    np.testing.assert_array_equal(np.random.get_state()[1], state)
    np.testing.assert_array_equal(tf.random.get_global_generator().state.numpy(), generator)


@every_drawn_range
def test_a_record_gets_its_points_whatever_batch_it_stands_in_and_in_graphs(row):
    bound = row.range.at(RangeRecords(row.x))
    whole = row.range.sample(row.x, 5, seed=3)
    graph = tf.function(lambda x, index, first: bound.draw(x, 5, index, 3, first), autograph=False)
    for first, last in ((0, 12), (4, 9), (11, 12)):
        for index in (0, 4):
            given = tf.convert_to_tensor(row.x[first:last])
            part = graph(given, tf.constant(index), tf.constant(first)).numpy()
            if part.dtype.kind == "f":
                np.testing.assert_allclose(part, whole[first:last, index], atol=1e-5)
            else:
                np.testing.assert_array_equal(part, whole[first:last, index])


@every_drawn_range
def test_every_point_lies_in_the_range(row):
    """Draws and truth are written apart, and must agree: the point, as a training record, is in the range of its query."""
    points = row.range.sample(row.x, 4, seed=0)
    for record in range(COUNT):
        if "custom" in row.range.kind:
            inside = row.range.contains(row.x, points[record])[record]  # an owner of all of them
        else:
            inside = all(row.range.contains(row.x, points[record, k : k + 1])[record] for k in range(4))
        assert inside


@every_drawn_range
def test_a_record_lies_in_its_own_range_and_others_do_not(row):
    order = np.random.default_rng(1).permutation(COUNT)
    assert row.range.contains(row.x, row.x[order]).all()
    far = {"f": lambda x: 100 + 10 * x, "u": lambda x: 255 - x, "i": lambda x: x + 100}.get(row.x.dtype.kind)
    far = np.array(["nothing of that kind"]) if far is None else far(row.x)
    assert not row.range.contains(row.x, far).any()


@every_range
def test_truth_does_not_depend_on_batches(row):
    training = row.x[np.random.default_rng(2).integers(0, COUNT, 7)]
    whole = row.range.contains(row.x, training)
    parts = [row.range.contains(row.x, training[start : start + 2]) for start in range(0, 7, 2)]
    np.testing.assert_array_equal(np.any(parts, axis=0), whole)
    assert whole.any()


@every_drawn_range
def test_a_range_that_is_enumerated_comes_round_again(row):
    sizes = row.range.at(RangeRecords(row.x)).sizes(row.x, 16)
    if sizes is None:
        return
    assert ((sizes >= 1) & (sizes <= 16)).all()
    points = row.range.sample(row.x, 16, seed=0)
    for record, size in enumerate(sizes):
        for place in range(16):
            np.testing.assert_array_equal(points[record, place], points[record, place % size])


@every_range
@pytest.mark.parametrize("q", [0, -3, 2.0, True, None])
def test_at_least_one_point_is_asked(row, q):
    with pytest.raises(ValueError, match=r"q is .*at least 1"):
        row.range.sample(row.x, q)


@every_range
def test_ranges_are_values(row):
    others = [other.range for other in RANGES.values() if other.range is not row.range]
    assert row.range == row.range
    assert hash(row.range) == hash(row.range)
    assert row.range not in others
    assert isinstance(row.range.kind, str)


def test_no_range_is_missing_from_the_table():
    exported = {
        value
        for name in package.__all__
        if inspect.isclass(value := getattr(package, name)) and issubclass(value, Range) and value is not Range
    }
    assert exported == {type(row.range) for row in RANGES.values()}

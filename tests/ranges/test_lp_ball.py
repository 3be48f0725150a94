"""Balls: uniform by their law, the same in whatever batch, within the domain; and the truth about them."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from privacy_callbacks.range_queries.base_range import RangeRecords
from privacy_callbacks.range_queries.lp_ball import LpBall

LENGTH = {
    1: lambda offsets: np.abs(offsets).sum(axis=-1),
    2: lambda offsets: np.sqrt((offsets**2).sum(axis=-1)),
    np.inf: lambda offsets: np.abs(offsets).max(axis=-1),
}
ALL = [(0.7, 1), (0.7, 2), (0.7, np.inf), (2, "hamming")]


def bits(n, d, dtype="float32", seed=0):
    return np.random.default_rng(seed).integers(0, 2, (n, d)).astype(dtype)


@pytest.mark.parametrize("d", [1, 2, 9, 300])
@pytest.mark.parametrize("p", [1, 2, np.inf])
def test_radii_follow_the_law_of_the_uniform_ball(p, d):
    """The share of a d-dimensional ball within r is (r / R)^d, whatever the norm."""
    x = np.random.default_rng(0).normal(size=(40, d))
    points = LpBall(3.0, p).sample(x, 50, seed=1)
    radii = LENGTH[p](points - x[:, None]).ravel() / 3.0
    assert radii.max() <= 1 + 1e-6
    assert stats.kstest(radii**d, "uniform").pvalue > 0.01


@pytest.mark.parametrize("p", [1, 2, np.inf])
def test_points_are_uniform_in_the_plane(p):
    """Against points of the square around it that lie in the ball: in eight sectors and two rings of equal shares."""
    x = np.zeros((4000, 2))
    points = LpBall(1.0, p).sample(x, 5, seed=2).reshape(-1, 2)
    square = np.random.default_rng(3).uniform(-1, 1, (40_000, 2))
    expected = square[LENGTH[p](square) <= 1]

    def cells(of):
        sector = np.floor((np.arctan2(of[:, 1], of[:, 0]) + np.pi) / (np.pi / 4) - 1e-9).clip(0, 7).astype(int)
        return np.bincount(2 * sector + (LENGTH[p](of) ** 2 > 0.5), minlength=16)

    assert stats.chi2_contingency([cells(points), cells(expected)]).pvalue > 0.01


@pytest.mark.parametrize("p", [1, 2, np.inf])
def test_columns_are_alike_and_centred(p):
    x = np.zeros((2000, 5))
    points = LpBall(1.0, p).sample(x, 4, seed=4).reshape(-1, 5)
    assert np.abs(points.mean(axis=0)).max() < 0.03
    assert stats.kruskal(*np.abs(points).T).pvalue > 0.01


@pytest.mark.parametrize("width", [2, 7, 300])
@pytest.mark.parametrize(("radius", "p"), ALL)
def test_a_record_gets_the_same_points_in_whatever_batch(radius, p, width):
    x = bits(60, width)
    ball = LpBall(radius, p).at(RangeRecords(x))
    draw = tf.function(lambda part, index, first: ball.draw(part, 16, index, 3, first), reduce_retracing=True)
    draw.get_concrete_function(tf.TensorSpec([None, x.shape[1]]), *[tf.TensorSpec([], tf.int32)] * 2)
    for index in (0, 5):
        whole = ball.draw(tf.constant(x), 16, index, 3)
        for rows in (slice(30, 40), slice(59, 60), slice(3, 60)):
            part = ball.draw(tf.constant(x[rows]), 16, index, 3, rows.start)
            np.testing.assert_array_equal(part, whole[rows])
            graph = draw(tf.constant(x[rows]), tf.constant(index), tf.constant(rows.start))
            np.testing.assert_array_equal(graph, part)


@pytest.mark.parametrize(("radius", "p"), ALL)
def test_points_are_the_same_in_a_data_set_and_for_arrays(radius, p):
    x = bits(20, 7)
    ball = LpBall(radius, p)
    batches = tf.data.Dataset.from_tensors(x).map(lambda part: ball.sample(part, 6, seed=1))
    np.testing.assert_array_equal(next(iter(batches)), ball.sample(x, 6, seed=1))


@pytest.mark.parametrize(("radius", "p"), ALL)
def test_seeds_and_indices_give_other_points(radius, p):
    x = bits(50, 40)
    points = LpBall(radius, p).sample(x, 3, seed=0)
    assert (points[:, 0] != points[:, 1]).any(axis=1).mean() > 0.9
    assert (points != LpBall(radius, p).sample(x, 3, seed=1)).any(axis=(1, 2)).mean() > 0.9


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int32", "int64", "float16", "float32", "float64"])
@pytest.mark.parametrize(("radius", "p"), ALL)
def test_points_have_the_type_and_shape_of_the_records(radius, p, dtype):
    x = bits(10, 12, dtype).reshape(10, 3, 4)
    before = x.copy()
    points = LpBall(radius, p).sample(x, 5)
    assert points.dtype == x.dtype
    assert points.shape == (10, 5, 3, 4)
    np.testing.assert_array_equal(x, before)


def test_bytes_stay_within_their_limits_and_do_not_wrap_around():
    x = np.array([[0, 255, 128]] * 200, np.uint8)
    points = LpBall(60.0, np.inf).sample(x, 4).astype(int)
    assert points[..., 0].max() <= 60
    assert points[..., 1].min() >= 195
    assert (points[..., 0] == 0).mean() > 0.4  # half of all offsets point beyond


def test_whole_numbers_in_a_cube_are_uniform_over_those_within_the_radius():
    points = LpBall(2.5, np.inf).sample(np.zeros((3000, 2), np.int32), 2).reshape(-1)
    counts = np.bincount(points + 2, minlength=5)
    assert counts.sum() == 12_000
    assert len(counts) == 5
    assert stats.chisquare(counts).pvalue > 0.01


@pytest.mark.parametrize("p", [1, 2, np.inf])
def test_points_beyond_the_domain_are_clipped_to_it(p):
    x = np.full((50, 3), 0.9, np.float32)
    free, clipped = (LpBall(0.5, p, domain=domain).sample(x, 8) for domain in (None, (0, 1)))
    np.testing.assert_array_equal(clipped, np.clip(free, 0, 1))
    low = np.array([0.8, -np.inf, 0])
    by_column = LpBall(0.5, p, domain=(low, None)).sample(x, 8)
    np.testing.assert_array_equal(by_column, np.maximum(free, low.astype("float32")))


def test_a_domain_is_compared_in_the_type_of_the_records():
    x = np.full((2, 2), 0.1, np.float32)  # a little more than 0.1 itself
    assert LpBall(1.0, domain=(0, 0.1)).sample(x, 4).max() <= np.float32(0.1)


def test_the_centre_is_the_first_point_only_if_asked_for():
    x = bits(20, 5)
    for radius, p in ALL:
        plain, with_centre = (LpBall(radius, p, include_centre=choice).sample(x, 4) for choice in (False, True))
        np.testing.assert_array_equal(with_centre[:, 0], x)
        np.testing.assert_array_equal(with_centre[:, 1:], plain[:, 1:])
        assert (plain[:, 0] != x).any()


def test_several_inputs_form_one_ball():
    x = {"image": np.zeros((300, 2, 2), np.float32), "rest": (np.zeros((300, 3)), np.zeros(300, np.float16))}
    points = LpBall(1.0, domain=({"image": None, "rest": (-0.1, None)}, 0.5)).sample(x, 1)
    assert points["rest"][0].min() >= -0.1
    points = LpBall(1.0).sample(x, 3)
    parts = [leaf.reshape(900, -1).astype(float) for leaf in tf.nest.flatten(points)]
    radii = np.linalg.norm(np.concatenate(parts, axis=1), axis=1)
    assert stats.kstest(radii**8, "uniform").pvalue > 0.01
    assert [leaf.dtype.name for leaf in tf.nest.flatten(points)] == ["float32", "float64", "float16"]


def test_it_acts_on_the_inputs_named_and_truth_asks_the_others_to_be_equal():
    x = {"a": np.zeros((3, 2)), "text": np.array(["one", "two", "three"])}
    ball = LpBall(1.0, leaves="a", include_centre=True)
    points = ball.sample(x, 4)
    assert (points["a"][:, 1:] != 0).all()
    assert points["text"].tolist() == [[text.encode()] * 4 for text in x["text"]]
    training = {"a": np.full((2, 2), 0.5), "text": np.array(["two", "none"])}
    assert ball.contains(x, training).tolist() == [False, True, False]
    as_bytes = {"a": training["a"], "text": np.array([b"two", b"none"], object)}
    assert ball.contains(x, as_bytes).tolist() == [False, True, False]
    both = (np.zeros((2, 2)), np.ones((2, 2)))
    moved = LpBall(1.0, leaves=[1]).sample(both, 3)
    assert (moved[0] == 0).all()
    assert (moved[1] != 1).all()


@pytest.mark.parametrize(("radius", "p"), [(1.2, 1), (0.9, 2), (0.5, np.inf), (2, "hamming")])
def test_truth_is_that_of_the_definition(radius, p):
    rng = np.random.default_rng(7)
    x, training = (
        rng.integers(0, 2, (size, 6)) + (p != "hamming") * rng.normal(size=(size, 6)) / 4 for size in (40, 90)
    )
    apart = training[None] - x[:, None]
    distance = np.count_nonzero(apart, axis=-1) if p == "hamming" else LENGTH[p](apart)
    ball = LpBall(radius, p)
    np.testing.assert_array_equal(ball.contains(x, training), (distance <= radius).any(axis=1))
    found = np.zeros(distance.shape, int)
    for pairs in ball.pairs(x, training):
        found[pairs.rows, pairs.hits] = 1 + pairs.certain
    wide = distance <= radius * (1.0 if p == "hamming" else 1.01)
    np.testing.assert_array_equal(found, np.where(distance <= radius, 2, wide))


@pytest.mark.parametrize(("radius", "p"), ALL)
def test_every_point_lies_in_the_range_of_its_record_or_in_the_margin(radius, p):
    x = bits(30, 8)
    ball = LpBall(radius, p)
    for row, points in enumerate(ball.sample(x, 6)):
        pairs = list(ball.pairs(x[row : row + 1], points))
        assert sum(len(part.rows) for part in pairs) == 6


@pytest.mark.parametrize(
    ("ball", "kind"),
    [
        (LpBall(3, 1), "l1 ball, radius 3"),
        (LpBall(0.5), "l2 ball, radius 0.5"),
        (LpBall(8 / 255, "inf"), "linf ball, radius 0.0313725"),
        (LpBall(10, "hamming"), "Hamming ball, radius 10"),
    ],
)
def test_reports_say_which_ball_it_is(ball, kind):
    assert ball.kind == kind


def test_equal_balls_are_equal_and_others_are_not():
    assert LpBall(1.0, "inf") == LpBall(1, np.inf)
    assert LpBall(2, "hamming", values=[[0, 1], [3, 2]]) == LpBall(2.0, "hamming", values=(np.arange(2), [2, 3]))
    assert len({LpBall(1.0), LpBall(1.0, 1), LpBall(1.1), LpBall(1.0, domain=(0, 1)), LpBall(1.0, margin=0)}) == 5


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ({"radius": 0}, "radius is 0; give a positive, finite number"),
        ({"radius": -1.0}, "radius is -1.0"),
        ({"radius": np.nan}, "radius is nan"),
        ({"radius": np.inf}, "radius is inf"),
        ({"radius": "1"}, "radius is '1'"),
        ({"radius": True}, "radius is True"),
        ({"radius": 1, "p": 3}, r"p is 3; give 1, 2, np\.inf or 'hamming'"),
        ({"radius": 1.5, "p": "hamming"}, r"radius is 1\.5, a number of columns"),
        ({"radius": 1, "p": "hamming", "domain": (0, 1)}, "domain has no meaning"),
        ({"radius": 1, "values": 3}, "values are for p='hamming'"),
        ({"radius": 1, "p": "hamming", "values": 1}, "values is 1; give at least 2"),
        ({"radius": 1, "p": "hamming", "values": [0, 1]}, "give a list of lists"),
        ({"radius": 1, "p": "hamming", "values": [["a"]]}, "a list with the numbers"),
        ({"radius": 1, "p": "hamming", "values": [[1], [2]]}, "nothing can change"),
        ({"radius": 1, "domain": 3}, r"domain is 3; give \(low, high\)"),
        ({"radius": 1, "domain": (1, 0)}, "low is above high"),
        ({"radius": 1, "domain": (np.nan, 0)}, "or None for no limit"),
        ({"radius": 1, "domain": ("a", 0)}, "or None for no limit"),
        ({"radius": 1, "margin": -0.1}, "margin is -0.1"),
        ({"radius": 1, "margin": np.nan}, "margin is nan"),
    ],
)
def test_balls_that_make_no_sense_are_refused(arguments, text):
    with pytest.raises(ValueError, match=text):
        LpBall(**arguments)


@pytest.mark.parametrize(
    ("ball", "x", "text"),
    [
        (LpBall(1.0, domain=(0, 1)), np.array([[0.5], [1.5]]), r"record 1 holds 1\.5, outside of the domain"),
        (LpBall(1.0, domain=(0, 10)), np.array([[5], [200]], np.uint8), "record 1 holds 200, outside of the domain"),
        (LpBall(1.0, domain=([0, 1], [1, 0])), np.zeros((2, 2)), "low is above high"),
        (LpBall(1.0, domain=(np.zeros(3), 1)), np.zeros((2, 2)), r"domain has shape \(3,\), but a record has \(2,\)"),
        (LpBall(1.0, domain=(np.zeros(2), 1)), (np.zeros((2, 2)),), "for several inputs give a number"),
        (LpBall(1.0), np.array([[np.nan]]), "missing or infinite"),
        (LpBall(1.0), np.array([[np.inf]], np.float16), "missing or infinite"),
        (LpBall(1.0), np.array(["a", "b"]), "no neighbourhood in numbers"),
        (LpBall(1.0), np.zeros((2, 2), np.uint64), "uint64"),
        (LpBall(1.0), np.zeros((2, 2), complex), "of type complex128"),
        (LpBall(1.0, leaves=["b"]), {"a": np.zeros((2, 2))}, r"leaves is \('b',\), but x has \['a'\]"),
        (LpBall(1.0, leaves=[]), {"a": np.zeros((2, 2))}, "give some of these"),
        (LpBall(1.0, leaves=[0]), np.zeros((2, 2)), "x is a single input"),
        (LpBall(3, "hamming"), np.zeros((2, 2)), "radius is 3, but a record has 2 columns"),
        (LpBall(1, "hamming"), np.full((2, 2), 2), "other values than 0 and 1; say by values="),
        (LpBall(1, "hamming", values=3), np.full((2, 2), 0.5), "other values than 0 … 2"),
        (LpBall(1, "hamming", values=[[0, 1]]), np.zeros((2, 2)), "values has 1 lists, but a record has 2 columns"),
        (LpBall(1, "hamming", values=[[0, 1], [2, 3]]), np.zeros((2, 2)), "column 1 of x holds 0.0, which values"),
    ],
)
def test_records_that_do_not_fit_the_ball_are_refused(ball, x, text):
    with pytest.raises(ValueError, match=text):
        ball.sample(x, 4)
    with pytest.raises(ValueError, match=text):
        ball.at(RangeRecords(x))


def test_a_record_of_unknown_shape_is_refused_in_a_graph():
    ball = LpBall(1.0)
    draw = tf.function(
        lambda x: ball.draw(x, 4, 0, 0), input_signature=[tf.TensorSpec([None, None], tf.float32)], autograph=False
    )
    with pytest.raises(ValueError, match="needs to know a record's shape"):
        draw(tf.zeros([2, 2]))


def test_fewer_than_one_point_is_refused():
    with pytest.raises(ValueError, match="q is 0"):
        LpBall(1.0).sample(np.zeros((2, 2)), 0)

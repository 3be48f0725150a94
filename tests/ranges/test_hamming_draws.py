"""Hamming balls: uniform over all records that differ in few columns, and enumerated where they are few."""

import itertools
from collections import Counter

import numpy as np
import pytest
from scipy import stats

from privacy_callbacks.range_queries.lp_ball import LpBall


def bits(n, d, dtype="float32", seed=0):
    return np.random.default_rng(seed).integers(0, 2, (n, d)).astype(dtype)


@pytest.mark.parametrize(
    ("d", "radius", "values"), [(4, 2, None), (3, 2, 3), (3, 3, [[0, 1], [5, 7, 9], [2, 4, 6, 8]])]
)
def test_hamming_points_are_uniform_over_all_records_within_the_radius(d, radius, values):
    lists = [[0, 1] if values is None else range(values)] * d if not isinstance(values, list) else values
    centre = np.array([one[-1] for one in lists])
    inside = [record for record in itertools.product(*lists) if np.sum(np.array(record) != centre) <= radius]
    x = np.tile(centre, (6000, 1))
    # A point each: were all asked for, they would be enumerated.
    points = LpBall(radius, "hamming", values=values).sample(x, 1, seed=5)[:, 0]
    counts = Counter(map(tuple, points.tolist()))
    assert set(counts) <= set(inside)
    assert stats.chisquare([counts[record] for record in inside]).pvalue > 0.01


def test_hamming_changes_as_many_columns_as_there_are_records_for():
    """Number of changed columns: binomial coefficients; which: all alike."""
    d, radius = 12, 4
    points = LpBall(radius, "hamming").sample(bits(4000, d), 2, seed=6)
    changed = points != bits(4000, d)[:, None]
    ways = np.array([len(list(itertools.combinations(range(d), k))) for k in range(radius + 1)])
    counts = np.bincount(changed.sum(axis=-1).ravel(), minlength=radius + 1)
    assert stats.chisquare(counts, ways / ways.sum() * counts.sum()).pvalue > 0.01
    by_column = changed.sum(axis=(0, 1))
    assert stats.chisquare(by_column).pvalue > 0.01


def test_a_wide_hamming_ball_changes_nearly_always_all_columns_it_may():
    x = bits(200, 784)
    changed = (LpBall(10, "hamming").sample(x, 2) != x[:, None]).sum(axis=-1)
    assert changed.max() == 10
    assert changed.mean() > 9.9  # 10 / 775 of the records change fewer


def test_a_small_hamming_ball_is_enumerated_and_repeated_in_turn():
    x, ball = bits(6, 3), LpBall(1, "hamming")
    points = ball.sample(x, 9)
    assert ball.sizes(x, 9).tolist() == [4] * 6
    assert ball.sizes(x, 3) is None
    for record, around in zip(x, points, strict=True):
        assert len(np.unique(around[:4], axis=0)) == 4
        np.testing.assert_array_equal(around[0], record)
        np.testing.assert_array_equal(around[4:8], around[:4])
        np.testing.assert_array_equal(around[8], around[0])


def test_a_ball_over_lists_of_values_is_enumerated_too():
    lists = [[0.5, 1.5], [7.0], [2.0, 3.0, 4.0]]
    ball, x = LpBall(2, "hamming", values=lists), np.array([[1.5, 7.0, 3.0]])
    assert ball.sizes(x, 6).tolist() == [6]
    assert sorted(ball.sample(x, 6)[0].tolist()) == sorted(map(list, itertools.product(*lists)))


def test_mixed_whole_numbers_and_floats_change_by_hamming():
    x = (bits(20, 3, bool), bits(20, 4, "float32"), bits(20, 2, "int64"))
    points = LpBall(3, "hamming").sample(x, 2)
    changed = [(point != one[:, None]).sum(axis=-1) for point, one in zip(points, x, strict=True)]
    assert np.sum(changed, axis=0).max() == 3
    assert [point.dtype.name for point in points] == ["bool", "float32", "int64"]

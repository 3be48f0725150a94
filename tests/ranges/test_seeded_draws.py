"""Random numbers of a record's own."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from privacy_callbacks.range_queries import seeded_draws

KINDS = {
    "uniform": seeded_draws.uniform,
    "standard_normal": seeded_draws.standard_normal,
    "whole_numbers": lambda *arguments, **named: seeded_draws.whole_numbers(7, *arguments, **named),
}
every_kind = pytest.mark.parametrize("draw", KINDS.values(), ids=KINDS)


@every_kind
@pytest.mark.parametrize("shape", [(), (1,), (5,), (3, 4, 2)])
def test_a_record_draws_the_same_whatever_stands_beside_it(draw, shape):
    whole = draw(shape, 3, 2, 100).numpy()
    assert whole.shape == (100, *shape)
    for first, rows in ((0, 10), (37, 5), (99, 1), (50, 50)):
        np.testing.assert_array_equal(draw(shape, 3, 2, rows, first).numpy(), whole[first : first + rows])


@every_kind
def test_it_is_the_same_in_a_graph(draw):
    graph = tf.function(lambda index, rows, first: draw((4,), 3, index, rows, first))
    found = graph(*(tf.constant(value) for value in (2, 10, 40)))
    np.testing.assert_array_equal(found, draw((4,), 3, 2, 10, 40))


@every_kind
def test_seed_point_and_purpose_decide(draw):
    found = [
        draw((50,), seed, index, 4, stream=stream).numpy()
        for seed, index, stream in ((0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (2**40, 0, 0), (0, 2**20, 0))
    ]
    for place, one in enumerate(found):
        assert all((one != other).any() for other in found[place + 1 :])


@every_kind
def test_global_random_state_is_left_alone(draw):
    tf.random.set_seed(1)
    before = np.random.get_state()[1].copy(), tf.random.get_global_generator().state.numpy()
    draw((3,), 0, 0, 5)
    np.testing.assert_array_equal(np.random.get_state()[1], before[0])
    np.testing.assert_array_equal(tf.random.get_global_generator().state.numpy(), before[1])


def test_they_follow_their_laws():
    assert stats.kstest(seeded_draws.uniform((40,), 5, 0, 500).numpy().ravel(), "uniform").pvalue > 0.001
    assert stats.kstest(seeded_draws.standard_normal((40,), 5, 0, 500).numpy().ravel(), "norm").pvalue > 0.001
    counts = np.bincount(seeded_draws.whole_numbers(7, (40,), 5, 0, 500).numpy().ravel(), minlength=7)
    assert stats.chisquare(counts).pvalue > 0.001
    assert len(counts) == 7


def test_neighbouring_records_and_points_are_uncorrelated():
    values = np.stack([seeded_draws.standard_normal((2_000,), 9, index, 4).numpy() for index in range(4)])
    correlations = np.corrcoef(values.reshape(16, -1))[np.triu_indices(16, 1)]
    assert np.abs(correlations).max() < 5 / np.sqrt(2_000)


def test_bounds_may_differ_by_column():
    found = seeded_draws.whole_numbers(tf.constant([1, 2, 1_000_000]), (3,), 0, 0, 1_000).numpy()
    assert (found[:, 0] == 0).all()
    assert set(found[:, 1]) == {0, 1}
    assert len(set(found[:, 2])) > 990

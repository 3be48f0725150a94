"""Histograms from a curve hold every record once, wherever its score lies."""

import numpy as np
import pytest

from privacy_callbacks.attacks.roc import RocCurve
from privacy_callbacks.attacks.score_bins import score_counts, score_edges

RNG = np.random.default_rng(0)
CASES = {
    "gaussian": (RNG.normal(1, 1, 400), RNG.normal(0, 1, 300)),
    "heavy tails": (RNG.standard_cauchy(400), RNG.standard_cauchy(300)),
    "zeros and ones": (RNG.integers(0, 2, 50) * 1.0, RNG.integers(0, 2, 40) * 1.0),
    "all alike": (np.zeros(5), np.zeros(7)),
    "one each": (np.ones(1), np.zeros(1)),
    "infinite only": (np.full(3, np.inf), np.full(2, -np.inf)),
    "some infinite": (np.array([np.inf, 1.0, 2.0]), np.array([-np.inf, 0.5, np.inf])),
    "huge": (np.array([1e300, 1.0]), np.array([-1e300, 0.0])),
}


@pytest.mark.parametrize("case", CASES)
def test_every_record_is_counted_once_where_its_score_lies(case):
    members, nonmembers = CASES[case]
    values = np.concatenate([members, nonmembers])
    truth = np.repeat([True, False], [len(members), len(nonmembers)])
    found = score_counts(RocCurve.from_scores(values, truth))
    edges = np.array(found["edges"])
    assert np.isfinite(edges).all()
    assert (np.diff(edges) > 0).all()
    np.testing.assert_array_equal(edges, score_edges(values, truth))
    for side, scores, place in (("members", members, 0), ("nonmembers", nonmembers, 1)):
        inside = scores[(scores >= edges[0]) & (scores <= edges[-1])]
        np.testing.assert_array_equal(found[side], np.histogram(inside, edges)[0])
        assert found["below"][place] == np.sum(scores < edges[0])
        assert found["above"][place] == np.sum(scores > edges[-1])
        assert sum(found[side]) + found["below"][place] + found["above"][place] == len(scores)


def test_swapping_the_sides_swaps_the_counts():
    members, nonmembers = CASES["gaussian"]
    truth = np.repeat([True, False], [len(members), len(nonmembers)])
    values = np.concatenate([members, nonmembers])
    one = score_counts(RocCurve.from_scores(values, truth))
    other = score_counts(RocCurve.from_scores(values, ~truth))
    assert one["members"] == other["nonmembers"]
    assert one["edges"] == other["edges"]

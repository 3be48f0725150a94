"""Classes in given proportions, as many records as these allow."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from privacy_callbacks.attacks.matched_labels import matched_labels

CLASSES = st.lists(st.integers(0, 3), min_size=1, max_size=40).map(np.array)


def test_one_class_takes_all_records_of_it():
    found = matched_labels(np.full(5, 2), np.arange(30) % 3)
    assert found.tolist() == list(range(2, 30, 3))


def test_proportions_decide_and_the_scarcest_class_bounds_the_number():
    wanted = np.array([0, 0, 0, 1])
    labels = np.array([0] * 30 + [1] * 4 + [2] * 10)
    found = matched_labels(wanted, labels)
    assert np.bincount(labels[found]).tolist() == [12, 4]


def test_a_class_that_does_not_occur_leaves_nothing():
    assert matched_labels(np.array([0, 7]), np.array([0, 0, 1])).size == 0


@given(CLASSES, CLASSES, st.integers(0, 5))
def test_no_record_is_taken_twice_and_no_class_more_often_than_wanted(wanted, labels, seed):
    found = matched_labels(wanted, labels, seed)
    assert len(np.unique(found)) == len(found)
    assert np.array_equal(found, matched_labels(wanted, labels, seed))
    shares = np.bincount(wanted, minlength=4) / len(wanted)
    counts = np.bincount(labels[found], minlength=4)
    if len(found):
        most = np.max(counts / np.where(shares > 0, shares, np.inf))
        assert (counts >= np.floor(most * shares) - 1).all()
        assert (counts[shares == 0] == 0).all()

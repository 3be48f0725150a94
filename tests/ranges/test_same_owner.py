"""Ranges of an owner's held-out records."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from privacy_callbacks.range_queries.base_range import RangeRecords
from privacy_callbacks.range_queries.same_owner import SameOwner

OWNERS = np.array(["ann", "bob", "ann", "cy", "bob", "ann"])
X = np.arange(12, dtype=np.float32).reshape(6, 2)
Y = np.array([0, 1, 0, 1, 1, 0])


def of(*ids):
    return RangeRecords(np.zeros((len(ids), 2), np.float32), (), np.array(ids))


def test_an_owner_with_few_records_has_all_of_them_asked_in_turn():
    held = SameOwner(X, Y, OWNERS)
    rows = held.chosen(of("cy", "bob", "ann"), 5, seed=0)
    assert rows.tolist() == [[3, 3, 3, 3, 3], [1, 4, 1, 4, 1], [0, 2, 5, 0, 2]]
    assert held.at(of("cy", "bob", "ann")).sizes(None, 5).tolist() == [1, 2, 3]
    assert held.at(of("cy", "bob", "ann")).sizes(None, 2).tolist() == [1, 2, 2]


def test_an_owner_with_many_has_a_choice_without_repetition():
    owners = np.repeat([7, 8], [50, 3])
    held = SameOwner(np.zeros((53, 1)), np.zeros(53, int), owners)
    rows = held.chosen(of(*[7] * 400), 9, seed=3)
    assert all(len(set(row)) == 9 for row in rows.tolist())
    assert rows.max() < 50
    assert (held.chosen(of(*[7] * 400), 9, seed=3) == rows).all()
    assert not (held.chosen(of(*[7] * 400), 9, seed=4) == rows).all(axis=1).any()
    assert len(np.unique(np.sort(rows), axis=0)) > 390  # two records of one owner need not get the same


def test_all_choices_are_equally_likely():
    held = SameOwner(np.zeros((5, 1)), np.zeros(5, int), [1] * 5)
    rows = np.sort(held.chosen(of(*[1] * 5_000), 3, seed=0))
    _, counts = np.unique(rows, axis=0, return_counts=True)
    assert len(counts) == 10  # 5 over 3
    assert stats.chisquare(counts).pvalue > 1e-3


def test_samples_are_held_out_records_of_the_owner():
    held = SameOwner(X, Y, OWNERS)
    points = held.sample(["bob", "ann"], 2)
    assert points.shape == (2, 2, 2)
    assert points.dtype == X.dtype
    np.testing.assert_array_equal(points[0], X[[1, 4]])
    assert {tuple(row) for row in points[1].tolist()} <= {tuple(row) for row in X[[0, 2, 5]].tolist()}


def test_inputs_may_be_nests_and_ragged():
    words = tf.ragged.constant([[1], [2, 3], [4, 5, 6], [7], [8], []], dtype=tf.int64)
    held = SameOwner({"words": words, "size": X}, Y, OWNERS, weights=np.arange(6.0))
    points = held.sample(["bob", "cy"], 2)
    assert points["size"].shape == (2, 2, 2)
    assert [one.tolist() for one in points["words"][0]] == [[2, 3], [8]]
    assert [one.tolist() for one in points["words"][1]] == [[7], [7]]
    assert held.others.y.tolist() == Y.tolist()
    assert held.others.weights.tolist() == list(range(6))


@pytest.mark.parametrize("kind", [str, bytes, object])
def test_a_range_holds_the_training_records_of_its_owner(kind):
    held = SameOwner(X, Y, OWNERS.astype(kind) if kind is not bytes else np.char.encode(OWNERS))
    training = np.array(["dan", "ann", "dan", "ann"])
    assert held.contains(np.array(["ann", "bob", "ann"]), training).tolist() == [True, False, True]
    (pairs,) = held.related(of("bob", "ann", "ann"), of(*training))
    assert sorted(zip(pairs.rows.tolist(), pairs.hits.tolist(), strict=True)) == [(1, 1), (1, 3), (2, 1), (2, 3)]
    assert pairs.certain.all()


def test_truth_is_that_of_brute_force():
    rng = np.random.default_rng(0)
    ours, theirs = rng.integers(0, 30, 40), rng.integers(10, 60, 300)
    held = SameOwner(np.zeros((30, 1)), np.zeros(30), np.arange(30))
    found = {
        (i, j)
        for part in held.related(of(*ours), of(*theirs))
        for i, j in zip(part.rows.tolist(), part.hits.tolist(), strict=True)
    }
    assert found == {(i, j) for i in range(40) for j in range(300) if ours[i] == theirs[j]}
    np.testing.assert_array_equal(held.contains(ours, theirs), np.isin(ours, theirs))


def test_labels_and_inputs_do_not_count():
    held = SameOwner(X, Y, OWNERS)
    left, right = of("ann")._replace(y=np.array([0])), of("ann")._replace(y=np.array([1]))
    (pairs,) = held.related(left, right)
    assert pairs.certain.tolist() == [True]
    assert not held.asks_labels
    assert not held.holds_centre


def test_owners_without_a_held_out_record_are_named():
    held = SameOwner(X, Y, OWNERS)
    with pytest.raises(ValueError, match=r"4 owners .* no held-out record \('dan', 'eve', 'fay', …\); give some"):
        held.at(of("ann", "eve", "dan", "fay", "gus", "dan"))
    with pytest.raises(ValueError, match=r"1 owners .* \('zoe'\)"):
        held.chosen(of("zoe"), 2, 0)
    with pytest.raises(ValueError, match=r"1 owners .* \(5\)"):
        SameOwner(X, Y, [1, 2, 3, 1, 2, 3]).sample([5], 2)


@pytest.mark.parametrize(
    ("owners", "said"),
    [
        (OWNERS[:5], "6 held-out records and 5 owners"),
        (np.zeros(6), "of type float"),
        (np.array(["a", None] * 3, object), "NoneType, str"),
        (np.zeros((6, 2), int), "shape \\(6, 2\\)"),
    ],
)
def test_owners_that_are_none_are_refused(owners, said):
    with pytest.raises(ValueError, match=said):
        SameOwner(X, Y, owners)


def test_what_cannot_be_asked_is_refused():
    held = SameOwner(X, Y, OWNERS)
    with pytest.raises(ValueError, match="audited records have no ids"):
        held.at(RangeRecords(X))
    with pytest.raises(ValueError, match="training records have no ids"):
        list(held.related(of("ann"), RangeRecords(X)))
    with pytest.raises(ValueError, match="owners of audited records are numbers, others strings"):
        held.at(of(1, 2))
    with pytest.raises(ValueError, match="owners of training records are numbers, others strings"):
        held.contains(["ann"], [1])
    with pytest.raises(ValueError, match="q is 0"):
        held.sample(["ann"], 0)
    with pytest.raises(ValueError, match="take rows of `others`"):
        held.draw(X, 2, 0, 0)
    with pytest.raises(ValueError, match="a tensor in a graph"):
        tf.function(lambda ids: held.sample(ids, 2))(tf.constant(["ann"]))


def test_ranges_of_equal_content_are_equal():
    assert SameOwner(X, Y, OWNERS) == SameOwner(X.copy(), Y.tolist(), OWNERS.tolist())
    assert SameOwner(X, Y, OWNERS) != SameOwner(X + 1, Y, OWNERS)
    assert SameOwner(X, Y, OWNERS) != SameOwner(X, Y, OWNERS[::-1])
    assert SameOwner(X, Y, [1] * 6) == SameOwner(X, Y, np.array([[1]] * 6))

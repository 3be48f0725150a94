import subprocess
import sys
from collections import namedtuple

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from privacy_callbacks.attacks.canary_split import CanarySplit, randomised_membership

N = 40


def records(count=N, start=0):
    x = np.arange(start, start + 3 * count, dtype=np.uint8).reshape(count, 3)
    return x, np.arange(start, start + count) % 5


def test_the_sides_are_the_records_whose_coin_fell_so():
    x, y = records()
    split = randomised_membership(x, y, seed=3)
    assert isinstance(split, CanarySplit)
    assert split.included.shape == (N,)
    np.testing.assert_array_equal(split.member_ids, np.flatnonzero(split.included))
    np.testing.assert_array_equal(split.nonmember_ids, np.flatnonzero(~split.included))
    for (inputs, labels), rows in ((split.members, split.member_ids), (split.nonmembers, split.nonmember_ids)):
        np.testing.assert_array_equal(inputs, x[rows])
        np.testing.assert_array_equal(labels, y[rows])
        assert (inputs.dtype, labels.dtype) == (x.dtype, y.dtype)
    for given, trained in zip(split.members, split.training_set, strict=True):
        np.testing.assert_array_equal(given, trained)


def test_what_always_trains_comes_first_and_is_on_no_side():
    x, y = records()
    more_x, more_y = records(7, start=100)
    split = randomised_membership(x, y, always=(more_x, more_y))
    np.testing.assert_array_equal(split.training_set[0], np.concatenate([more_x, split.members[0]]))
    np.testing.assert_array_equal(split.training_set[1], np.concatenate([more_y, split.members[1]]))
    assert len(split.members[0]) + len(split.nonmembers[0]) == N == len(split.included)
    sides = f"{len(split.member_ids)} members, {len(split.nonmember_ids)} non-members"
    assert repr(split) == f"CanarySplit({sides}, {7 + len(split.member_ids)} to train on, p=0.5, seed=0)"


def test_a_seed_decides_the_coins_and_nothing_else_does():
    x, y = records()
    state = np.random.get_state()[1].copy()
    first, again = randomised_membership(x, y, seed=1), randomised_membership(list(x), y * 0, seed=1)
    np.testing.assert_array_equal(first.included, again.included)
    assert (first.included != randomised_membership(x, y, seed=2).included).any()
    np.testing.assert_array_equal(np.random.get_state()[1], state)


def test_coins_of_the_first_records_do_not_depend_on_how_many_follow():
    many, few = (randomised_membership(*records(count), seed=4).included for count in (80, 20))
    np.testing.assert_array_equal(many[:20], few)


@pytest.mark.parametrize("p", [0.5, 0.2, 0.9])
def test_coins_are_independent_and_fall_in_with_probability_p(p):
    """Fixed seeds; each statement would fail for an honest coin in one of 10,000 seeds."""
    count = 20_000
    coins = randomised_membership(np.zeros(count), np.zeros(count), p, seed=5).included
    assert stats.binomtest(int(coins.sum()), count, p).pvalue > 1e-4
    both = int((coins[1:] & coins[:-1]).sum())
    assert stats.binomtest(both, count - 1, p * p).pvalue > 1e-4
    others = randomised_membership(np.zeros(count), np.zeros(count), p, seed=6).included
    assert stats.binomtest(int((coins & others).sum()), count, p * p).pvalue > 1e-4


def test_coins_are_not_told_by_data_made_from_the_same_seed():
    """Otherwise x[:, 0] < p would be a perfect attack on a user's data from `default_rng(seed)`."""
    for seed in range(5):
        x = np.random.default_rng(seed).random((2_000, 1))
        included = randomised_membership(x, x[:, 0], seed=seed).included
        assert abs(np.mean(included == (x[:, 0] < 0.5)) - 0.5) < 0.06


def test_a_coin_of_one_half_is_fair():
    x, y = records()
    assert randomised_membership(x, y).is_fair
    assert not randomised_membership(x, y, p=0.4).is_fair


def test_a_split_is_read_only_and_copies_its_records():
    x, y = records()
    before = x.copy()
    split = randomised_membership(x, y)
    for rows in (split.included, split.member_ids, split.nonmember_ids):
        with pytest.raises(ValueError, match="read-only"):
            rows[0] = 0
    split.members[0][:] = 7
    np.testing.assert_array_equal(x, before)
    with pytest.raises(AttributeError):
        split.p = 0.4


Pair = namedtuple("Pair", "left right")


@pytest.mark.parametrize("form", ["dict", "tuple", "list", "nest", "named", "strings", "objects", "ragged", "tensors"])
def test_every_form_of_records_keeps_its_structure_and_types(form):
    x, y = records()
    floats, text = np.linspace(0, 1, N), np.array([f"word {row}" for row in range(N)])
    ragged = tf.ragged.constant([[row] * (row % 4) for row in range(N)], dtype=tf.int32)
    inputs, labels = {
        "dict": ({"b": x, "a": floats}, {"first": y, "second": floats}),
        "tuple": ((x, floats), (y, floats)),
        "list": ([x, floats.astype("float16")], [y, floats]),
        "nest": ({"a": (x, floats), "b": text}, y.astype(bool)),
        "named": (Pair(x, floats), np.eye(5, dtype=np.float32)[y]),
        "strings": (text, text),
        "objects": (text.astype(object), y.astype(np.int8)[:, None]),
        "ragged": (ragged, tf.constant(y, tf.int16)),
        "tensors": ((tf.constant(text), tf.constant(x), tf.cast(floats, tf.bfloat16)), tf.constant(y, tf.int16)),
    }[form]
    split = randomised_membership(inputs, labels, seed=2, always=(inputs, labels))
    for given, member, trained in zip((inputs, labels), split.members, split.training_set, strict=True):
        tf.nest.assert_same_structure(given, member)
        tf.nest.assert_same_structure(given, trained)
        leaves = zip(tf.nest.flatten(given), tf.nest.flatten(member), tf.nest.flatten(trained), strict=True)
        for before, dealt, all_of_them in leaves:
            assert type(dealt) is type(before)
            assert dealt.dtype == before.dtype == all_of_them.dtype
            wanted = tf.gather(before, split.member_ids) if isinstance(before, tf.RaggedTensor) else None
            if wanted is not None:
                assert dealt.to_list() == wanted.to_list()
                assert all_of_them.to_list() == before.to_list() + wanted.to_list()
            else:
                np.testing.assert_array_equal(np.asarray(dealt), np.asarray(before)[split.member_ids])
                np.testing.assert_array_equal(np.asarray(all_of_them)[:N], np.asarray(before))


def test_lists_of_records_become_arrays():
    split = randomised_membership([[row, 1.5] for row in range(N)], list(range(N)))
    assert split.members[0].shape == (len(split.member_ids), 2)
    np.testing.assert_array_equal(split.members[1], split.member_ids)
    rows = randomised_membership([np.full(2, row) for row in range(N)], [np.eye(2)[row % 2] for row in range(N)])
    assert rows.nonmembers[0].shape == rows.nonmembers[1].shape == (len(rows.nonmember_ids), 2)


def test_a_model_can_be_fitted_on_the_training_set(make_model, blobs):
    (x, y), (more_x, more_y) = blobs
    split = randomised_membership(x, y, always=(more_x, more_y))
    history = make_model().fit(*split.training_set, epochs=1, verbose=0)
    assert np.isfinite(history.history["loss"][0])


def test_importing_it_does_not_import_tensorflow():
    code = "import sys, privacy_callbacks.attacks.canary_split; sys.exit('tensorflow' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("p", [0, 1, -0.1, 1.5, float("nan"), float("inf")])
def test_a_p_that_deals_nothing_is_refused(p):
    with pytest.raises(ValueError, match=r"p is .*; give the probability with which each record trains"):
        randomised_membership(*records(), p=p)


def test_records_that_cannot_be_dealt_are_refused():
    x, y = records()
    with pytest.raises(ValueError, match=r"leaves of \[40, 39\] rows; give one row a record"):
        randomised_membership(x, y[1:])
    with pytest.raises(ValueError, match=r"leaves of \[40, 3, 40\] rows"):
        randomised_membership({"a": x, "b": x[:3]}, y)
    with pytest.raises(ValueError, match="1 records were given; coins deal two at least"):
        randomised_membership(x[:1], y[:1])
    with pytest.raises(ValueError, match="0 records were given"):
        randomised_membership(x[:0], y[:0])
    with pytest.raises(ValueError, match=r"leaves of \[\] rows"):
        randomised_membership({}, ())
    with pytest.raises(ValueError, match=r"uneven length.*pad them, or give a tf\.RaggedTensor"):
        randomised_membership([[1, 2], [3]], [0, 1])
    with pytest.raises(TypeError, match=r"no labels.*Data sets have no rows to take"):
        randomised_membership(tf.data.Dataset.from_tensor_slices((x, y)), None)
    for odd in (tf.data.Dataset.range(3), 3.0, tf.constant(1), tf.sparse.eye(N)):
        with pytest.raises(TypeError, match=r"something without rows.*give arrays or tensors"):
            randomised_membership(odd, y)
    with pytest.raises(ValueError, match="non-negative"):
        randomised_membership(x, y, seed=-1)


@pytest.mark.parametrize(("p", "side"), [(1e-9, "in"), (0.999999999, "out")])
def test_coins_that_all_fall_alike_are_refused_with_what_helps(p, side):
    with pytest.raises(
        ValueError, match=f"all 40 coins fell alike, so nobody is {side}; give more records, or p nearer to 0.5"
    ):
        randomised_membership(*records(), p=p)


def test_a_seed_that_suits_is_not_what_helps():
    """P[two fair coins fall alike] = ½, so among ten seeds there is one."""
    alike = [seed for seed in range(10) if len(set(randomised_membership(*records(80), seed=seed).included[:2])) == 1]
    with pytest.raises(
        ValueError, match=r"all 2 coins fell alike.*give more records\. Do not look for a seed that suits"
    ):
        randomised_membership(*records(2), seed=alike[0])


@pytest.mark.parametrize(
    "always",
    [
        lambda x, y: ({"a": x}, y),
        lambda x, y: ((x,), y),
        lambda x, y: (x[:, :2], y),
        lambda x, y: (x.astype("float32"), y),
        lambda x, y: (x, y.astype("int8")),
        lambda x, y: (x, y[:, None]),
    ],
)
def test_records_that_always_train_must_fit_the_others(always):
    x, y = records()
    with pytest.raises(ValueError, match=r"always holds records of .*those to deal are .*give both alike"):
        randomised_membership(x, y, always=always(x, y))


def test_records_that_always_train_are_checked_like_the_others():
    x, y = records()
    with pytest.raises(TypeError, match=r"always is a ndarray; give \(x, y\)"):
        randomised_membership(x, y, always=x)
    with pytest.raises(ValueError, match=r"the records of always have leaves of \[40, 30\] rows"):
        randomised_membership(x, y, always=(x, y[:30]))

"""Three sets of records: drawn, apart, and in their places."""

import numpy as np
import pytest
import tensorflow as tf

from privacy_callbacks.attacks.unlearning_sets import shadow_pool_of, unlearning_sets


def records(count, seed):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, 3)).astype(np.float32), rng.integers(0, 3, count)


RETAIN, FORGET, TEST = records(60, 0), records(20, 1), records(40, 2)


def joined(*sides):
    return tuple(np.concatenate([side[part] for side in sides]) for part in (0, 1))


def first(count, side):
    return tuple(part[:count] for part in side)


def as_dataset(side):
    return tf.data.Dataset.from_tensor_slices(side).batch(7)


@pytest.mark.parametrize("form", [lambda side: side, as_dataset])
def test_each_record_stands_where_it_is_said_to_stand(form):
    found = unlearning_sets(form(RETAIN), form(FORGET), form(TEST), 30, seed=4)
    assert {side: len(rows) for side, rows in found.rows.items()} == {"retain": 30, "forget": 20, "test": 30}
    assert found.totals == {"retain": 60, "forget": 20, "test": 40}
    for side, given in (("retain", RETAIN), ("forget", FORGET), ("test", TEST)):
        np.testing.assert_array_equal(found.records.x[found.rows[side]], given[0][found.positions[side]])
        np.testing.assert_array_equal(found.records.y[found.rows[side]], given[1][found.positions[side]])
    assert found.notes == ()


def test_the_seed_decides_the_draw():
    one, again, other = (unlearning_sets(RETAIN, FORGET, TEST, 10, seed) for seed in (0, 0, 1))
    assert one.positions["retain"].tolist() == again.positions["retain"].tolist()
    assert one.positions["retain"].tolist() != other.positions["retain"].tolist()


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        ((joined(RETAIN, first(5, FORGET)), FORGET, TEST), "5 of 20 records of forget stand in retain, too"),
        ((RETAIN, FORGET, joined(TEST, first(3, RETAIN))), "3 of 43 records of test stand in retain, too"),
        ((RETAIN, FORGET, joined(TEST, first(2, FORGET))), "2 of 42 records of test stand in forget, too"),
    ],
)
def test_sets_that_overlap_are_refused_even_where_the_copies_are_not_drawn(sets, said):
    with pytest.raises(ValueError, match=said):
        unlearning_sets(*sets, size=2)


def test_copies_can_be_left_out():
    sets = joined(RETAIN, first(5, FORGET)), FORGET, joined(TEST, first(3, RETAIN))
    found = unlearning_sets(*sets, size=100, leave_out_copies=True)
    assert {side: len(rows) for side, rows in found.rows.items()} == {"retain": 65, "forget": 15, "test": 40}
    assert found.positions["forget"].tolist() == list(range(5, 20))
    assert found.notes == (
        "5 of 20 records of forget stand in another set, too, and are left out.",
        "3 of 43 records of test stand in another set, too, and are left out.",
    )
    with pytest.raises(ValueError, match="every record of forget stands in another set, too"):
        unlearning_sets(joined(RETAIN, FORGET), FORGET, TEST, 100, leave_out_copies=True)


@pytest.mark.parametrize(
    ("sets", "said"),
    [
        ((RETAIN, (FORGET[0][:, :2], FORGET[1]), TEST), "a record of forget has shape .2,., one of retain .3,."),
        ((RETAIN, (FORGET[0], FORGET[1][:, None]), TEST), "a label of forget has shape .1,., one of retain ..;"),
        ((RETAIN, FORGET, ({"a": TEST[0]}, TEST[1])), "test and retain have inputs or labels of different structure"),
        ((RETAIN, (FORGET[0][:0], FORGET[1][:0]), TEST), "forget is empty"),
        ((RETAIN, FORGET, (TEST[0] * np.inf, TEST[1])), "inputs are NaN or infinite in 10 records of test"),
        ((RETAIN, (FORGET[0], FORGET[1][:3]), TEST), "forget has 20 inputs but 3 labels"),
    ],
)
def test_what_is_no_such_set_is_refused_in_words(sets, said):
    with pytest.raises(ValueError, match=said):
        unlearning_sets(*sets, size=10)


def test_shadow_models_may_be_dealt_all_records():
    found = unlearning_sets(RETAIN, FORGET, TEST, 10)
    pool = shadow_pool_of((as_dataset(RETAIN), FORGET, TEST), found)
    assert (len(pool), pool.target_size) == (120, 80)
    np.testing.assert_array_equal(pool.records.x[pool.audited], found.records.x)


def test_a_source_that_gives_other_records_when_read_again_is_noticed():
    found = unlearning_sets(RETAIN, FORGET, TEST, 10)
    with pytest.raises(ValueError, match="the sets gave other records, or in another order"):
        shadow_pool_of((tuple(part[::-1] for part in RETAIN), FORGET, TEST), found)

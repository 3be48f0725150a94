import random

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from privacy_callbacks.attacks import AuditSet, duplicates, record_source

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(50, 4)).astype("float32"), RNG.integers(0, 3, 50)
X2, Y2 = RNG.normal(size=(80, 4)).astype("float32"), RNG.integers(0, 3, 80)
MEMBERS, NONMEMBERS = (X, Y), (X2, Y2)
Dataset = tf.data.Dataset


class Sequence(keras.utils.PyDataset):
    def __init__(self, x, y, batch=7, extra=()):
        super().__init__()
        self.x, self.y, self.batch, self.extra = x, y, batch, extra

    def __len__(self):
        return -(-len(self.x) // self.batch)

    def __getitem__(self, index):
        rows = slice(index * self.batch, (index + 1) * self.batch)
        return (self.x[rows], self.y[rows], *[e[rows] for e in self.extra])


def unknown_length(x, y):
    return Dataset.from_tensor_slices((x, y)).filter(lambda a, b: True)


FORMS = {
    "arrays with weights": lambda x, y: (x, y, np.ones(len(y))),
    "a list of two": lambda x, y: [x, y],
    "lists": lambda x, y: (x.tolist(), y.tolist()),
    "float64": lambda x, y: (x.astype("float64"), y),
    "tensors": lambda x, y: (tf.constant(x), tf.constant(y)),
    "pandas": lambda x, y: (pd.DataFrame(x), pd.Series(y)),
    "tf.data, one by one": lambda x, y: Dataset.from_tensor_slices((x, y)),
    "tf.data, batched": lambda x, y: Dataset.from_tensor_slices((x, y)).batch(16).prefetch(2),
    "tf.data, with weights": lambda x, y: Dataset.from_tensor_slices((x, y, np.ones(len(y)))).batch(16),
    "tf.data, length unknown": unknown_length,
    "tf.data, length unknown, batched": lambda x, y: unknown_length(x, y).batch(9),
    "tf.data, shuffled once": lambda x, y: Dataset.from_tensor_slices((x, y)).shuffle(
        1, reshuffle_each_iteration=False
    ),
    "PyDataset": Sequence,
    "PyDataset with weights": lambda x, y: Sequence(x, y, extra=[np.ones(len(y))]),
}


@pytest.mark.parametrize("form", FORMS)
def test_the_same_records_in_any_form_give_the_same_sample(form):
    plain = AuditSet(MEMBERS, NONMEMBERS, size=30, seed=5)
    other = AuditSet(FORMS[form](X, Y), FORMS[form](X2, Y2), size=30, seed=5)
    np.testing.assert_array_equal(other.ids, plain.ids)
    np.testing.assert_array_equal(other.x, plain.x)
    np.testing.assert_array_equal(other.y, plain.y)
    assert other.available == (50, 80)


def test_the_audit_is_balanced_aligned_and_without_repetition():
    audit_set = AuditSet(MEMBERS, NONMEMBERS, size=40)
    assert (audit_set.num_members, audit_set.num_nonmembers, len(audit_set)) == (40, 40, 80)
    assert audit_set.is_member.tolist() == [True] * 40 + [False] * 40
    np.testing.assert_array_equal(audit_set.x, np.concatenate([X[audit_set.ids[:40]], X2[audit_set.ids[40:]]]))
    np.testing.assert_array_equal(audit_set.y, np.concatenate([Y[audit_set.ids[:40]], Y2[audit_set.ids[40:]]]))
    assert len(set(audit_set.ids[:40])) == len(set(audit_set.ids[40:])) == 40


def test_the_smaller_side_decides():
    audit_set = AuditSet(MEMBERS, NONMEMBERS)
    assert (audit_set.num_members, audit_set.num_nonmembers) == (50, 50)
    assert sorted(audit_set.ids[:50]) == list(range(50))


def test_the_seed_decides_the_sample():
    first, same, other = (AuditSet(MEMBERS, NONMEMBERS, size=10, seed=seed).ids.tolist() for seed in (0, 0, 1))
    assert first == same != other


def batches(x, y):
    return Dataset.from_tensor_slices((x, y)).batch(3)


@pytest.mark.parametrize("form", [lambda x, y: (x, y), pytest.param(batches, marks=pytest.mark.slow)])
def test_every_record_is_drawn_equally_often(form):
    counts = np.zeros(50)
    for seed in range(200):
        counts[AuditSet(form(X, Y), NONMEMBERS, size=10, seed=seed).ids[:10]] += 1
    # Binomial(200, 1/5): mean 40, standard deviation 5.7; the chi-square over 50 records has 49 degrees of freedom.
    assert ((counts - 40) ** 2 / 32).sum() < 85.4  # its 99.9 % point
    assert counts.min() > 0


def test_the_two_sides_are_drawn_independently():
    ids = [AuditSet(MEMBERS, (X2[:50], Y2[:50]), size=10, seed=seed).ids for seed in range(100)]
    same = np.mean([len(set(i[:10]) & set(i[10:])) for i in ids])
    assert same == pytest.approx(2, abs=0.6)  # hypergeometric: 10·10/50


def test_memory_stays_bounded_by_the_sample_however_long_the_source():
    largest = 0

    class Counting(Sequence):
        def __getitem__(self, index):
            nonlocal largest
            largest = max(largest, index)
            return np.full((1_000, 3), index, "float32"), np.arange(1_000)

        def __len__(self):
            return 2_000

    audit_set = AuditSet(Counting(X, Y), (np.zeros((5, 3)) - 1, np.arange(5)), size=5)
    assert largest == 1_999
    assert audit_set.available == (2_000_000, 5)


def test_ids_follow_their_records():
    audit_set = AuditSet(MEMBERS, NONMEMBERS, size=10, ids=([f"m{i}" for i in range(50)], np.arange(80)))
    by_position = AuditSet(MEMBERS, NONMEMBERS, size=10)
    assert audit_set.ids[:10].tolist() == [f"m{i}" for i in by_position.ids[:10]]
    assert audit_set.ids[10:].tolist() == by_position.ids[10:].tolist()


def test_a_share_of_the_nonmembers_is_set_aside_and_never_judged():
    audit_set = AuditSet(MEMBERS, NONMEMBERS, population=0.5)
    assert len(audit_set.population) == 40
    assert audit_set.num_nonmembers == 40
    judged = {row.tobytes() for row in np.asarray(audit_set.x)[~audit_set.is_member]}
    assert not judged & {row.tobytes() for row in np.asarray(audit_set.population.x)}


def test_a_population_of_its_own_is_read():
    audit_set = AuditSet(MEMBERS, NONMEMBERS, population=(X2[:7], Y2[:7]))
    np.testing.assert_array_equal(audit_set.population.x, X2[:7])
    assert audit_set.num_nonmembers == 50


@pytest.mark.parametrize("nest", [lambda x: {"a": x, "b": x[:, :2]}, lambda x: (x, x[:, :2]), lambda x: [x, x[:, :2]]])
def test_several_inputs_stay_together(nest):
    audit_set = AuditSet(
        (nest(X), Y),
        Dataset.from_tensor_slices((nest(X2), Y2)).batch(4) if not isinstance(nest(X), list) else (nest(X2), Y2),
        size=10,
    )
    leaves = tf.nest.flatten(audit_set.x)
    np.testing.assert_array_equal(leaves[0][:, :2], leaves[1])
    np.testing.assert_array_equal(leaves[0][:10], X[audit_set.ids[:10]])


def test_strings_are_records_too():
    words = np.array(["a", "bb", "ccc", "d"])
    audit_set = AuditSet((words, np.arange(4)), (np.array(["e", "bb"]), np.arange(2)))
    assert audit_set.x.dtype == tf.string
    assert "1 of 2 audited non-members" in audit_set.warnings[0]


@pytest.mark.parametrize("form", ["arrays with weights", "tf.data, batched", "float64"])
def test_copies_of_members_among_the_nonmembers_are_found(form):
    x2, y2 = X2.copy(), Y2.copy()
    x2[:3], y2[:3] = X[10:13], Y[10:13]
    x2[3], y2[3] = X[10] + 1e-3, Y[10]
    x2[4], y2[4] = X[11], Y[11] + 1
    audit_set = AuditSet(FORMS[form](X, Y), (x2, y2), size=80)
    found = audit_set.ids[50:]
    expected = np.isin(found, [0, 1, 2]).sum()
    assert expected
    assert f"{expected} of 50 audited non-members equal some record in members" in audit_set.warnings[0]
    assert AuditSet(MEMBERS, NONMEMBERS).warnings == ()


def test_records_that_only_hash_alike_are_no_copies(monkeypatch):
    monkeypatch.setattr(duplicates, "record_hashes", lambda records: np.zeros(len(records[1]), np.uint64))
    assert AuditSet(MEMBERS, NONMEMBERS).warnings == ()


def test_permuted_features_are_no_copies():
    assert AuditSet((X, Y), (X[:, ::-1].copy(), Y)).warnings == ()


def nan(x):
    x = x.copy()
    x[4] = np.nan
    return x


REFUSALS = {
    "no labels": (lambda: AuditSet(X, NONMEMBERS), ValueError, "members holds inputs without labels"),
    "no labels, tf.data": (lambda: AuditSet(MEMBERS, Dataset.from_tensor_slices(X2)), ValueError, "without labels"),
    "no labels, PyDataset": (lambda: AuditSet(MEMBERS, Unlabelled(X2, Y2)), ValueError, "batches without labels"),
    "lengths": (lambda: AuditSet((X, Y[:9]), NONMEMBERS), ValueError, "50 inputs but 9 labels"),
    "labels None": (lambda: AuditSet((X, None), NONMEMBERS), ValueError, "without labels"),
    "labels of two outputs": (
        lambda: AuditSet((X, {"a": Y, "b": Y}), NONMEMBERS),
        ValueError,
        "labels of different structure",
    ),
    "shapes from batch to batch": (
        lambda: AuditSet(MEMBERS, Uneven(X, Y)),
        ValueError,
        "differ in shape from batch to batch",
    ),
    "shapes from record to record": (
        lambda: AuditSet(uneven_records(), NONMEMBERS),
        ValueError,
        "cannot be read in batches",
    ),
    "mixed columns": (
        lambda: AuditSet((pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}), [0, 1]), NONMEMBERS),
        TypeError,
        r"Python objects \(int, str\)",
    ),
    "random layer in a map": (
        lambda: AuditSet(augmented(), NONMEMBERS),
        ValueError,
        "random or stateful map .*before that",
    ),
    "random flips in a map": (
        lambda: AuditSet(
            Dataset.from_tensor_slices(MEMBERS).map(lambda x, y: (x + tf.random.normal([4]), y)), NONMEMBERS
        ),
        ValueError,
        "random or stateful map",
    ),
    "shuffling PyDataset": (
        lambda: AuditSet(Shuffling(X, Y), NONMEMBERS),
        ValueError,
        "shuffles, so record ids mean nothing",
    ),
    "empty side": (lambda: AuditSet((X[:0], Y[:0]), NONMEMBERS), ValueError, "members is empty"),
    "empty data set": (
        lambda: AuditSet(MEMBERS, Dataset.from_tensor_slices((X2, Y2)).take(0)),
        ValueError,
        "nonmembers is empty",
    ),
    "other shape": (lambda: AuditSet((X[:, :3], Y), NONMEMBERS), ValueError, r"of members has shape \(3,\)"),
    "other nest": (lambda: AuditSet(({"a": X}, Y), NONMEMBERS), ValueError, "different structure"),
    "generator": (
        lambda: AuditSet(((x, y) for x, y in zip(X, Y, strict=True)), NONMEMBERS),
        TypeError,
        "generator or iterator",
    ),
    "iterator": (
        lambda: AuditSet(iter(Dataset.from_tensor_slices(MEMBERS)), NONMEMBERS),
        TypeError,
        "generator or iterator",
    ),
    "endless": (lambda: AuditSet(Dataset.from_tensor_slices(MEMBERS).repeat(), NONMEMBERS), ValueError, "endless"),
    "endless PyDataset": (lambda: AuditSet(Endless(X, Y), NONMEMBERS), ValueError, "endless PyDataset"),
    "reshuffling": (
        lambda: AuditSet(Dataset.from_tensor_slices(MEMBERS).shuffle(9).batch(3).prefetch(1), NONMEMBERS),
        ValueError,
        "reshuffles at each pass.*before .shuffle",
    ),
    "ragged": (
        lambda: AuditSet(Dataset.from_tensor_slices((tf.ragged.constant([[1], [2, 3]]), [0, 1])), NONMEMBERS),
        ValueError,
        r"shape \(\), one of the non-members \(4,\)",
    ),
    "uneven lists": (lambda: AuditSet(([[1, 2], [3]], [0, 1]), NONMEMBERS), ValueError, "uneven length"),
    "objects": (lambda: AuditSet((np.array([{}, {}]), [0, 1]), NONMEMBERS), TypeError, "Python objects"),
    "dates": (lambda: AuditSet((np.array(["2020-01-01"], "M8[D]"), [0]), NONMEMBERS), TypeError, "dtype datetime64"),
    "NaN": (lambda: AuditSet((nan(X), Y), NONMEMBERS), ValueError, r"NaN or infinite in 1 of 100 .*\(member 4\)"),
    "inf": (lambda: AuditSet(MEMBERS, (X2 / 0.0, Y2)), ValueError, "NaN or infinite"),
    "one label": (lambda: AuditSet((X, 3), NONMEMBERS), ValueError, "single number for labels"),
    "a string": (lambda: AuditSet("train.csv", NONMEMBERS), TypeError, "members is a str"),
    "size 0": (lambda: AuditSet(MEMBERS, NONMEMBERS, size=0), ValueError, "at least 1"),
    "size 0.5": (lambda: AuditSet(MEMBERS, NONMEMBERS, size=0.5), ValueError, "at least 1"),
    "share 1": (lambda: AuditSet(MEMBERS, NONMEMBERS, population=1.0), ValueError, r"in \(0, 1\)"),
    "ids": (lambda: AuditSet(MEMBERS, NONMEMBERS, ids=(range(50), range(50))), ValueError, "for 80 records"),
    "ids not a pair": (lambda: AuditSet(MEMBERS, NONMEMBERS, ids=np.arange(130)), ValueError, "must be a pair"),
}


class Uneven(Sequence):
    def __getitem__(self, index):
        x, y = super().__getitem__(index)
        return x[:, : 4 - index % 2], y


class Shuffling(Sequence):
    shuffle = True


def uneven_records():
    spec = (tf.TensorSpec((None,)), tf.TensorSpec((), tf.int32))
    return Dataset.from_generator(lambda: (([0.0] * (i + 1), i) for i in range(4)), output_signature=spec)


def augmented():
    layer = keras.layers.GaussianNoise(1.0, seed=0)
    return Dataset.from_tensor_slices(MEMBERS).batch(10).map(lambda x, y: (layer(x, training=True), y)).prefetch(1)


class Unlabelled(Sequence):
    def __getitem__(self, index):
        return super().__getitem__(index)[0]


class Endless(Sequence):
    def __len__(self):
        raise NotImplementedError

    @property
    def num_batches(self):
        return None


@pytest.mark.filterwarnings("ignore:divide by zero:RuntimeWarning")
@pytest.mark.parametrize("row", REFUSALS)
def test_what_cannot_be_drawn_from_is_refused_in_a_sentence(row):
    make, error, message = REFUSALS[row]
    with pytest.raises(error, match=message):
        make()


def test_a_data_set_that_never_ends_is_noticed(monkeypatch):
    monkeypatch.setattr(record_source, "MAX_RECORDS_OF_UNKNOWN_LENGTH", 100)
    with pytest.raises(ValueError, match="may be endless"):
        AuditSet(Dataset.from_tensor_slices(MEMBERS).repeat().filter(lambda a, b: True), NONMEMBERS)


def test_a_map_without_state_is_fine():
    table = keras.layers.IntegerLookup(vocabulary=[0, 1, 2])
    data = Dataset.from_tensor_slices(MEMBERS).map(lambda x, y: (x * 2, table(y)))
    np.testing.assert_array_equal(AuditSet(data, NONMEMBERS).x[:50], X * 2)


def test_a_reader_that_draws_from_global_random_state_leaves_it_as_it_was():
    class Drawing(Sequence):
        def __getitem__(self, index):
            np.random.random(), random.random()
            return super().__getitem__(index)

    before = np.random.get_state()[1].copy(), random.getstate()
    AuditSet(Drawing(X, Y), NONMEMBERS)
    np.testing.assert_array_equal(np.random.get_state()[1], before[0])
    assert random.getstate() == before[1]


def test_labels_by_the_name_of_the_one_output_are_taken():
    np.testing.assert_array_equal(AuditSet((X, {"out": Y}), NONMEMBERS).y, AuditSet(MEMBERS, NONMEMBERS).y)


def test_reading_changes_neither_arrays_nor_global_random_state():
    x, state = X.copy(), np.random.get_state()[1].copy()
    AuditSet((x, Y), NONMEMBERS, size=10)
    np.testing.assert_array_equal(x, X)
    np.testing.assert_array_equal(np.random.get_state()[1], state)


@pytest.mark.parametrize(
    "records",
    [
        np.random.default_rng(0).integers(0, 2, (2_000, 16)),
        np.eye(10, dtype="float32")[np.random.default_rng(1).integers(0, 10, (2_000, 6))],
    ],
    ids=["bits", "one-hot"],
)
def test_records_of_few_distinct_values_have_hashes_of_their_own(records):
    from privacy_callbacks.attacks.duplicates import record_hashes

    distinct = len(np.unique(records.reshape(len(records), -1), axis=0))
    assert len(np.unique(record_hashes((records,)))) == distinct


@pytest.mark.parametrize(("times", "noted"), [(1, False), (2, True)])
def test_members_that_stand_several_times_are_noted(times, noted):
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 3)), rng.integers(0, 2, 60)
    members = np.tile(x[:30], (times, 1)), np.tile(y[:30], times)
    found = AuditSet(members, (rng.normal(size=(60, 3)), y))
    assert noted == any("equal another of them" in note for note in found.notes)


@pytest.mark.parametrize("form", ["lists", "tf.data, batched", "PyDataset"])
def test_all_records_of_both_sides_can_be_asked_for_however_unequal(form):
    audit_set = AuditSet(FORMS[form](X, Y), FORMS[form](X2, Y2), size=None, ids=(np.arange(50), np.arange(50, 130)))
    assert (audit_set.num_members, audit_set.num_nonmembers, len(audit_set), audit_set.size) == (50, 80, 130, None)
    assert audit_set.is_member.tolist() == [True] * 50 + [False] * 80
    np.testing.assert_array_equal(audit_set.x, np.concatenate([X, X2]))
    np.testing.assert_array_equal(audit_set.ids, np.arange(130))
    assert audit_set.coin is None


def test_of_all_records_a_share_can_still_be_set_aside():
    audit_set = AuditSet(MEMBERS, NONMEMBERS, 0.25, size=None)
    assert (audit_set.num_members, audit_set.num_nonmembers, len(audit_set.population)) == (50, 60, 20)


@pytest.mark.parametrize("size", [0, 1.5, True, "all"])
def test_other_sizes_are_refused(size):
    with pytest.raises(ValueError, match="give how many records to draw on each side, at least 1"):
        AuditSet(MEMBERS, NONMEMBERS, size=size)

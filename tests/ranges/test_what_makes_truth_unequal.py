"""Where a range's truth depends on more than membership no p-value is told, and other doubts about ranges and points."""

import warnings
from dataclasses import dataclass

import keras
import numpy as np
import pytest
import tensorflow as tf
from ranges.small_ranges import Cube

from privacy_callbacks import AuditSet, AuditWarning, audit, audit_ranges, range_curve
from privacy_callbacks.attacks import RMIA, ShadowModels, Threshold, Trained, leak_verdict, signals_of
from privacy_callbacks.range_queries import (
    Custom,
    LpBall,
    Near,
    Point,
    RaMIA,
    RangeScorer,
    SameOwner,
    Tokens,
    Transformations,
    evaluate_reconstruction,
    forgotten_neighbours,
)
from privacy_callbacks.range_queries.content_digest import content_digest


def records(count=60, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, 6)).astype(np.float32), rng.integers(0, 3, count)


def linear(units=3):
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(units)])
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def audited(members, nonmembers, attacks, model=None, **options):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AuditWarning)
        return audit(model or linear(), members, nonmembers, attacks, **{"blind_baseline": False, **options})


def test_dense_places_give_no_p_value_and_no_verdict():
    """Non-members beside training records: their ranges hold one for where they lie, not for what the model saw."""
    members, (x, y) = records(), records(seed=1)
    x[:20], y[:20] = members[0][:20] + 0.01, members[1][:20]
    (report,) = [one for one in audited(members, (x, y), RaMIA(Threshold("loss"), Cube(0.1))) if one.slice == "entire"]
    assert report.p_value is None
    assert "20 of 120 ranges hold a training record though their record is none" in report.refusals["p_value"]
    assert report.refusals["p_value"] in report.warnings
    assert not leak_verdict([report]).detected


def test_one_exception_in_a_hundred_is_let_pass():
    members, (x, y) = records(), records(seed=1)
    x[:1], y[:1] = members[0][:1] + 0.01, members[1][:1]
    whole = audited(members, (x, y), RaMIA(Threshold("loss"), Cube(0.1)))[0]
    assert whole.p_value is not None
    assert not any("no p-value" in warning for warning in whole.warnings)


def test_centres_that_leave_their_record_behind_give_no_p_value():
    whole = audited(records(), records(seed=1), RaMIA(Threshold("loss"), Cube(0.5), centre=Cube(0.7)))[0]
    assert whole.p_value is None


def test_several_records_of_an_owner_are_one_observation():
    members, nonmembers = records(), records(seed=1)
    owners = np.arange(60) // 2, 100 + np.arange(60) // 2
    x, y = records(120, seed=2)
    held = SameOwner(x, y, np.concatenate(owners))
    whole = audited(AuditSet(members, nonmembers, ids=owners), None, RaMIA(Threshold("loss"), held))[0]
    assert whole.p_value is None
    assert "one observation" in whole.refusals["p_value"]
    alone = np.arange(60), 100 + np.arange(60)
    held = SameOwner(x, y, np.concatenate(alone))
    assert (
        audited(AuditSet(members, nonmembers, ids=alone), None, RaMIA(Threshold("loss"), held))[0].p_value is not None
    )


def test_a_training_record_whose_range_holds_none_is_neither():
    images = np.random.default_rng(0).random((60, 5, 5, 1)).astype(np.float32)
    images[1] = images[0, :, ::-1]  # one member is the mirror image of another
    model = keras.Sequential([keras.Input((5, 5, 1)), keras.layers.Flatten(), keras.layers.Dense(2)])
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    labels = np.zeros(30, int)
    mirrored = RaMIA(Threshold("loss"), Transformations(flips=True, unaltered=False))
    report = audited((images[:30], labels), (images[30:], labels), mirrored, model)[0]
    assert (report.num_members, report.num_nonmembers) == (2, 30)
    assert any("30 of the queries are training records themselves" in note for note in report.notes)


def test_targets_of_a_regression_are_no_classes():
    x, _ = records()
    y = np.random.default_rng(3).normal(size=60).astype(np.float32)
    near = x + 0.01
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(1)])
    model.compile(loss="mse")
    far, _ = records(seed=1)
    found = audited((x, y), (np.concatenate([near[:30], far[:30]]), -y), RaMIA(Threshold("loss"), Cube(0.1)), model)[0]
    assert (found.num_members, found.num_nonmembers) == (90, 30)


# Points.


def test_points_that_are_their_query_are_said_or_refused():
    whole_numbers = (np.random.default_rng(0).integers(0, 255, (40, 6)).astype(np.uint8), np.arange(40) % 3)
    others = (np.random.default_rng(1).integers(0, 255, (40, 6)).astype(np.uint8), np.arange(40) % 3)
    with pytest.raises(ValueError, match=r"every point is the query itself \(rounded"):
        audited(whole_numbers, others, RaMIA(Threshold("loss"), LpBall(0.4)))
    found = audited(whole_numbers, others, RaMIA(Threshold("loss"), LpBall(0.65)))[0]
    assert any("% of the points are the query itself" in note for note in found.notes)
    found = audited(whole_numbers, others, RaMIA(Threshold("loss"), Point()))[0]
    assert not any("are the query itself" in note for note in found.notes)


def test_points_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="points are NaN or infinite"):
        RaMIA(Threshold("loss"), Endless()).at(*records())
    x, y = records(5)
    x[0, 0] = np.nan
    held = SameOwner(x, y, np.arange(5))
    with pytest.raises(ValueError, match="hold 1 values that are NaN"):
        RaMIA(Threshold("loss"), held).at(*records(5), np.arange(5))


@dataclass(frozen=True, eq=False)
class Endless(Cube):
    half: float = 0.1

    def draw(self, x, q, index, seed, first=0):
        return x * np.inf


def test_functions_that_mix_records_are_refused():
    x, y = records()
    mixing = Transformations(lambda x: x - tf.reduce_mean(x))
    with pytest.raises(ValueError, match="when it stands beside others"):
        RaMIA(Threshold("loss"), mixing).at(x, y)
    with pytest.raises(ValueError, match="or beside other records"):
        Near(1.0, lambda x: x - tf.reduce_mean(x, axis=0)).contains(x, x)


def test_layers_take_images_of_whole_numbers():
    images = np.random.default_rng(0).integers(0, 255, (6, 8, 8, 3)).astype(np.uint8)
    made = Transformations(keras.layers.RandomContrast(0.5, seed=1), keras.layers.Dropout(0.5, seed=2), draws=2)
    points = made.sample(images, 5)
    assert points.dtype == np.uint8
    assert (points != images[:, None]).any()


def test_tokens_fit_the_type_of_the_inputs():
    tokens = np.ones((4, 5), np.uint8)
    with pytest.raises(ValueError, match="does not fit the inputs' type uint8"):
        Tokens(2, 1000).sample(tokens, 2)
    with pytest.raises(ValueError, match="mask_token and padding are both 0"):
        Tokens(2, edit="mask", mask_token=0)


# Refused before costly work.


def test_too_few_shadow_models_to_tune_on_are_refused_at_once():
    attack = RaMIA(RMIA(), Cube(0.1), aggregate="tuned")
    plan = ShadowModels(2, epochs=10**9, batch_size=10)
    with pytest.raises(ValueError, match="at least 4 shadow models to tune on"):
        audited(records(), records(seed=1), attack, shadow_models=plan)
    with pytest.raises(ValueError, match="at least 4 are needed"):
        RangeScorer(linear(), *records(), attack, shadow_models=plan, pool=records())


def test_ids_are_one_a_record():
    x, y = records(6)
    held = SameOwner(x, y, np.arange(6))
    attack = RaMIA(Threshold("loss"), held)
    for count in (5, 9):
        with pytest.raises(ValueError, match="give one id"):
            RangeScorer(linear(), x, y, attack, ids=np.arange(count) % 6)
    scores = RangeScorer(linear(), x, y, attack, ids=np.arange(6))(linear())
    with pytest.raises(ValueError, match="give one id a record"):
        scores.found_in("ramia", (x, y), ids=np.arange(4))
    with pytest.raises(ValueError, match="there is no attack 'x'"):
        scores.found_in("x", (x, y))


def test_owners_of_the_pool_are_dealt_out_together():
    x, y = records(40)
    owners = np.arange(40) // 2
    attack = RaMIA(RMIA(), SameOwner(*records(20, seed=3), np.arange(20)), 2)
    plan = ShadowModels(4, epochs=1, batch_size=10, engine="stacked")
    scorer = RangeScorer(
        linear(), x[:20], y[:20], attack, ids=owners[:20], shadow_models=plan, pool=(x, y), pool_ids=owners, verbose=0
    )
    assert np.isfinite(scorer(linear()).scores["ramia"]).all()


def test_a_curve_marks_a_size_at_which_an_attack_cannot_learn():
    members, (x, y) = records(), records(seed=1)
    x[2:], y[2:] = members[0][2:] + 0.3, members[1][2:]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AuditWarning)
        curve = range_curve(
            linear(), members, (x, y), make_range=Cube, sizes=[0.1, 0.5], attack=Trained("knn"), blind_baseline=False
        )
    assert [report.failed for report in curve.ranges] == [False, True]
    assert "too few to learn" in curve.ranges[1].warnings[0]


# Identity.


def two_of_one_name(by):
    @dataclass(frozen=True, eq=False)
    class Own(Cube):
        def draw(self, x, q, index, seed, first=0):
            return x + by

    class Asked:
        def __call__(self, x):
            return x + by

    return Own(0.1), Asked()


def test_ranges_and_functions_of_one_name_are_told_apart_by_what_they_do():
    (one, ask), (other, also) = two_of_one_name(1), two_of_one_name(2)
    assert one != other
    assert content_digest(ask) != content_digest(also)
    assert two_of_one_name(1)[0] == one
    found = audit_both(one, other)
    assert found[0] != found[1]


def audit_both(*ranges):
    attacks = [RaMIA(Threshold("loss"), each, 2) for each in ranges]
    return [float(report.auc) for report in audited(records(), records(seed=1), attacks)]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (np.negative, np.square),
        ({1: 2}.get, {1: 3}.get),
        (np.arange(3).take, np.arange(1, 4).take),
        (np.ma.array([1, 2], mask=[0, 1]), np.ma.array([1, 2], mask=[1, 0])),
        (np.zeros(1, [("a", "f4")]), np.zeros(1, [("b", "f4")])),
        (type("A", (), {"f": lambda self: 1}), type("A", (), {"f": lambda self: 2})),
        (type("A", (), {"f": lambda self: 1})(), type("A", (), {"f": lambda self: 2})()),
        (
            type("A", (keras.layers.Layer,), {"call": lambda s, x: x})(name="a"),
            type("A", (keras.layers.Layer,), {"call": lambda s, x: -x})(name="a"),
        ),
    ],
)
def test_contents_that_look_alike_are_told_apart(one, other):
    assert content_digest(one) != content_digest(other)


def test_what_cannot_be_told_is_refused():
    keys = tf.lookup.KeyValueTensorInitializer([1], [2])
    table = tf.lookup.StaticHashTable(keys, 0)
    with pytest.raises(ValueError, match="holds cannot be told"):
        content_digest(table)


def test_an_audit_of_ranges_has_the_probability_of_what_they_hold():
    members, (x, y) = records(), records(seed=1)
    x[:30], y[:30] = members[0][:30] + 0.01, members[1][:30]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AuditWarning)
        found = audit_ranges(linear(), members, (x, y), RaMIA(Threshold("loss"), Cube(0.1)), blind_baseline=False)
    assert found.ranges.holds_training_record.sum() == 90
    assert signals_of(linear(), x, y)["loss"].shape == (60, 1)
    assert Custom(lambda x, index, seed: x, "exact").kind


def test_records_of_owners_that_were_trained_on_are_no_others():
    members, nonmembers = records(), records(seed=1)
    owners = np.arange(60), 100 + np.arange(60)
    x, y = (np.concatenate([one, other]) for one, other in zip(members, nonmembers, strict=True))
    held = SameOwner(x, y, np.concatenate(owners))
    report = audited(AuditSet(members, nonmembers, ids=owners), None, RaMIA(Threshold("loss"), held))[0]
    assert report.p_value is None
    assert "60 of the records that points are taken from are training records" in report.refusals["p_value"]


# What users mistype.


@pytest.mark.parametrize("seed", [-1, 1.5, True, None, "a", 2**64])
def test_seeds_are_whole_numbers(seed):
    with pytest.raises(ValueError, match="seed is"):
        Cube(0.1).sample(records()[0], 2, seed)


def test_lists_are_arrays():
    x = [[0.0, 1.0], [2.0, 3.0]]
    np.testing.assert_array_equal(Cube(0.1).sample(x, 2), Cube(0.1).sample(np.array(x), 2))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"candidates": records()[0][:0]}, TypeError, "candidates is a ndarray; give"),
        ({"candidates": (records()[0][:0], records()[1][:0])}, ValueError, "candidates is empty"),
        ({"training": tf.data.Dataset.range(3)}, TypeError, "training is a"),
        ({"epsilons": 0.5}, ValueError, "epsilons is 0.5"),
        ({"epsilons": "a"}, ValueError, "epsilons is 'a'"),
    ],
)
def test_a_reconstruction_says_what_it_wants(changes, error, message):
    given = {"candidates": records(), "training": records(), "reference": records(seed=1), "epsilons": [0.5]}
    with pytest.raises(error, match=message):
        evaluate_reconstruction(linear(), **{**given, **changes}, attack=Threshold("loss"))


@pytest.mark.parametrize(
    ("sizes", "make_range", "error", "message"),
    [
        (0.5, Cube, ValueError, "give numbers"),
        ("a", Cube, ValueError, "give numbers"),
        ([1.0], None, TypeError, "a function of a size"),
    ],
)
def test_a_curve_says_what_it_wants(sizes, make_range, error, message):
    with pytest.raises(error, match=message):
        range_curve(linear(), records(), records(seed=1), make_range=make_range, sizes=sizes, attack=Threshold("loss"))


def test_models_come_by_name():
    with pytest.raises(TypeError, match="give them by name"):
        forgotten_neighbours([linear()], records(), records(), records(), Cube(0.1), Threshold("loss"))

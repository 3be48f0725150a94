"""RaMIA: any attack about points of ranges, judged on the truth of ranges."""

import warnings
from dataclasses import replace
from functools import partial

import keras
import numpy as np
import pytest
import tensorflow as tf
from ranges.small_ranges import Cube, Steps

from privacy_callbacks import AuditSet, AuditWarning, MIACallback, audit
from privacy_callbacks.attacks import (
    RMIA,
    AttackContext,
    AttackP,
    DifficultyCalibration,
    LabelOnly,
    LiRA,
    QuantileRegression,
    ShadowHeads,
    ShadowModels,
    ShadowSignals,
    Signals,
    Threshold,
    Trained,
    Trajectory,
    signals_of,
)
from privacy_callbacks.attacks.perturbations import Mirrored, Unaltered
from privacy_callbacks.range_queries import (
    RaMIA,
    RangeRecords,
    SameOwner,
    Transformations,
    largest,
    log_mean_exp,
    trimmed_mean,
)
from privacy_callbacks.range_queries.keep_tuning import KEEPS, tuned_keep
from privacy_callbacks.range_queries.point import Point
from privacy_callbacks.range_queries.ramia import PlacedRaMIA

MODELS = 8


def records(count=60, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, 6)).astype(np.float32), rng.integers(0, 3, count)


@pytest.fixture(scope="module")
def trained():
    """A model that has memorised 60 records, and as many that it never saw."""
    init = [keras.initializers.GlorotUniform(seed) for seed in (1, 2)]
    model = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(32, activation="relu", kernel_initializer=init[0]),
            keras.layers.Dense(3, kernel_initializer=init[1]),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(0.02), loss)
    model.fit(*records(), epochs=60, batch_size=20, shuffle=False, verbose=0)
    return model, records(), records(seed=1)


def audited(trained, attacks, **options):
    model, members, nonmembers = trained
    options = {"blind_baseline": False, "verbose": 0, **options}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AuditWarning)  # few records
        return audit(model, members, nonmembers, attacks, **options)


SHADOWS = ShadowModels(MODELS, epochs=2, batch_size=20, engine="stacked")


@pytest.mark.parametrize(
    "attack", [Threshold("loss"), Threshold("scaled_logit"), Threshold("loss", per_class=True), Trained("knn")]
)
def test_a_range_of_one_point_is_the_point_attack(trained, attack):
    point, ranged = audited(trained, [attack, RaMIA(attack, Point())])
    assert float(ranged.auc) == float(point.auc)
    assert ranged.auc.low == point.auc.low
    assert ranged.tpr_at_fpr == point.tpr_at_fpr


@pytest.mark.parametrize(
    "attack",
    [
        LiRA(),
        RMIA(),
        RMIA("online"),
        RMIA(form="percentile"),
        DifficultyCalibration(),
        LiRA("offline", queries=(Unaltered(), tf.negative)),
    ],
)
@pytest.mark.parametrize("aggregate", [trimmed_mean, largest, log_mean_exp])
def test_a_range_of_one_point_is_the_point_attack_with_shadow_models(trained, attack, aggregate):
    model, members, nonmembers = trained
    audit_set = AuditSet(members, nonmembers, 1 / 3 if attack == RMIA(form="percentile") else None)
    with pytest.warns(match=r"cannot resolve|half of the pool"):
        point, ranged = audit(
            model,
            audit_set,
            attacks=[attack, RaMIA(attack, Point(), aggregate=aggregate)],
            shadow_models=SHADOWS,
            blind_baseline=False,
            verbose=0,
        )
    assert float(ranged.auc) == pytest.approx(float(point.auc), abs=1e-12)
    assert ranged.num_members == point.num_members


def test_scores_are_those_of_the_points_reduced(trained):
    model, members, nonmembers = trained
    cube = Cube(0.3)
    x, y = (np.concatenate([one, other]) for one, other in zip(members, nonmembers, strict=True))
    points = cube.sample(x, 5, seed=3)
    each = np.stack([signals_of(model, points[:, place], y)["loss"][:, 0] for place in range(5)], axis=1)
    expected = trimmed_mean(each, (0.5, 1.0))
    attack = RaMIA(Threshold("loss"), cube, 5, partial(trimmed_mean, keep=(0.5, 1.0)), seed=3)
    with pytest.warns(match="cannot resolve"):
        report = audit(model, members, nonmembers, attack, blind_baseline=False)[0]
    truth = np.arange(120) < 60
    assert float(report.auc) == pytest.approx(np.mean(expected[truth][:, None] > expected[~truth]))


def test_points_do_not_depend_on_the_size_of_chunks(trained):
    model, members, _ = trained
    placed = RaMIA(Threshold("loss"), Cube(0.3), 4).at(*members)
    whole = signals_of(model, *members, signals="loss", queries=placed.queries)["loss"]
    parts = signals_of(model, *members, signals="loss", queries=placed.queries, batch_size=7)["loss"]
    np.testing.assert_allclose(parts, whole, atol=1e-6)
    assert whole.shape == (60, 4)
    assert np.ptp(whole, axis=1).min() > 0


def test_queries_of_the_attack_within_are_asked_of_each_point(trained):
    model, members, _ = trained
    inner = LiRA(queries=(Unaltered(), tf.negative))
    placed = RaMIA(inner, Cube(0.3), 3, seed=1).at(*members)
    found = signals_of(model, *members, signals="scaled_logit", queries=placed.queries)["scaled_logit"]
    points = Cube(0.3).sample(members[0], 3, seed=1)
    for point in range(3):
        for place, sign in ((0, 1), (1, -1)):
            alone = signals_of(model, sign * points[:, point], members[1], signals="scaled_logit")["scaled_logit"]
            np.testing.assert_allclose(found[:, 2 * point + place], alone[:, 0], atol=1e-5)


def test_points_that_a_range_does_not_have_do_not_count(trained):
    model, members, _ = trained
    placed = RaMIA(Threshold("loss"), Steps(3), 5).at(*members)
    (points,) = placed.queries
    assert points.width == 3
    found = signals_of(model, *members, signals="loss", queries=placed.queries)
    assert (np.isnan(found["loss"]).sum(axis=1) == [2, 1, 0] * 20).all()
    scores = placed.fit(AttackContext()).score(found)
    for row in range(6):
        asked = np.stack([members[0][row] + step for step in range(1 + row % 3)])
        each = signals_of(model, asked, np.repeat(members[1][row], len(asked)), signals="loss")["loss"]
        assert scores[row] == pytest.approx(each.mean(), abs=1e-5)


def test_adding_the_training_record_never_lowers_the_largest_score():
    rng = np.random.default_rng(0)
    signals = rng.normal(size=(50, 6))
    fitted = RaMIA(Threshold("loss"), Point(), aggregate=largest).fit(AttackContext())
    fewer = fitted.score(Signals({"loss": signals[:, :5]}))
    assert (fitted.score(Signals({"loss": signals})) >= fewer).all()


# Truth.


def test_truth_is_that_of_ranges_not_of_centres(trained):
    model, members, nonmembers = trained
    twisted = nonmembers[0].copy()
    twisted[:10] = members[0][:10] + 0.05  # non-members beside training records
    labels = nonmembers[1].copy()
    labels[:10] = members[1][:10]
    whole, *parts = audited((model, members, (twisted, labels)), RaMIA(Threshold("loss"), Cube(0.1)))
    assert (whole.num_members, whole.num_nonmembers) == (70, 50)
    assert any("the ranges of 10 non-members hold a training record" in note for note in whole.notes)
    assert any("70 of 120 ranges hold a training record; 60 of the queries" in note for note in whole.notes)
    assert [report.slice for report in parts] == ["centre in training", "only a neighbour in training"]
    assert [report.num_members for report in parts] == [60, 10]
    assert [report.num_nonmembers for report in parts] == [50, 50]


def test_ranges_of_which_the_truth_cannot_be_said_are_left_out_and_counted(trained):
    model, members, nonmembers = trained
    edge, labels = nonmembers[0].copy(), nonmembers[1].copy()
    edge[:10], labels[:10] = members[0][:10] + 0.15, members[1][:10]
    edge[10:15], labels[10:15] = members[0][10:15] + 0.05, (members[1][10:15] + 1) % 3  # near, with another label
    report = audited((model, members, (edge, labels)), RaMIA(Threshold("loss"), Cube(0.1, 0.1)))[0]
    assert (report.num_members, report.num_nonmembers) == (60, 45)
    assert any(note.startswith("15 ranges are left out") for note in report.notes)


def test_all_training_records_count_not_only_the_audited_ones(trained):
    model, members, nonmembers = trained
    beside = nonmembers[0].copy()
    beside[:] = members[0] + 0.05
    beside[:5] += 10
    some = AuditSet(members, (beside, members[1]), size=20, seed=1)
    with pytest.warns(match="cannot resolve|nearly equal"):
        report = audit(model, some, attacks=RaMIA(Threshold("loss"), Cube(0.1)), blind_baseline=False)[0]
    outside = int(np.sum(some.x.numpy()[20:, 0] > 5))
    assert outside > 0
    assert (report.num_members, report.num_nonmembers) == (40 - outside, outside)


@pytest.mark.parametrize(("half", "message"), [(1e3, "every range of known truth holds"), (0.01, "no range holds")])
def test_nothing_to_tell_apart_is_refused_before_anything_is_trained(trained, half, message):
    model, members, nonmembers = trained
    attack = RaMIA(Threshold("loss"), Cube(half), centre=Cube(0.5))
    with pytest.raises(ValueError, match=message):
        audit(model, members, nonmembers, attack)


def test_queries_may_be_variations_of_members(trained):
    attack = RaMIA(Threshold("loss"), Cube(0.2), centre=Cube(0.19), seed=4)
    ranged, point = audited(trained, [attack, attack.at_centres()])
    assert point.attack == "ramia_centre"
    for report in (ranged, point):
        assert (report.num_members, report.num_nonmembers) == (60, 60)
        assert any("0 of the queries are training records themselves" in note for note in report.notes)
    model, members, _ = trained
    placed = attack.at_centres().at(*members)
    centres = placed.relation.centres.x
    assert 0 < np.abs(centres - members[0]).max() <= 0.19
    found = signals_of(model, *members, signals="loss", queries=placed.queries)["loss"]
    np.testing.assert_allclose(found, signals_of(model, centres, members[1])["loss"], atol=1e-5)


def test_swapping_members_and_nonmembers_mirrors_the_auc(trained):
    model, members, nonmembers = trained
    attack = RaMIA(Threshold("loss"), Cube(0.2))
    forth = audited((model, members, nonmembers), attack)[0]
    back = audited((model, nonmembers, members), attack)[0]
    assert float(forth.auc) == pytest.approx(1 - float(back.auc), abs=0.02)  # other rows draw other points


# Shadow models.


def test_a_shadow_model_is_in_for_a_range_if_it_trained_on_a_record_within():
    """Against the assignment itself, with ranges that hold none, one and several records of the pool."""
    from privacy_callbacks.attacks.shadow_pool import pool_of
    from privacy_callbacks.attacks.true_membership import rows_within, trained_within

    x = np.arange(40, dtype=np.float32)[:, None]
    audit_set = AuditSet((x[::2], np.zeros(20, int)), (x[1::2], np.zeros(20, int)))
    pool = pool_of(audit_set)
    assignment = ShadowModels(4).assignment(len(pool))
    placed = RaMIA(RMIA(), Cube(1.5)).at(audit_set.x.numpy(), audit_set.y.numpy())
    found = trained_within(assignment, rows_within(placed.relation, pool.records), len(audit_set))
    for row, centre in enumerate(audit_set.x.numpy()[:, 0]):
        near = np.abs(pool.records.x[:, 0] - centre) <= 1.5
        np.testing.assert_array_equal(found[:, row], assignment[:, near].any(axis=1))
    assert found.any(axis=0).all()
    assert not found.all()


def test_a_query_that_no_record_lies_in_is_out_for_all():
    from privacy_callbacks.attacks.true_membership import trained_within

    empty = np.empty(0, np.int64)
    assert not trained_within(np.ones((2, 3), bool), (empty, empty), 4).any()
    found = trained_within(np.eye(2, 3, dtype=bool), (np.array([1, 1, 3]), np.array([0, 2, 1])), 5)
    np.testing.assert_array_equal(found, [[0, 1, 0, 0, 0], [0, 0, 0, 1, 0]])


@pytest.mark.slow
def test_without_a_leak_the_interval_covers_one_half_and_with_one_it_lies_above(trained):
    model, _, nonmembers = trained
    attacks = [RaMIA(RMIA(), Cube(0.1), 4), RaMIA(LiRA(), Cube(0.1), 4, "tuned", name="tuned")]
    plan = ShadowModels(MODELS, epochs=60, batch_size=20, engine="stacked")
    leak = audited(trained, attacks, shadow_models=plan)
    assert all(report.auc.low > 0.5 for report in leak)
    assert any(note.startswith("of each range's scores the trimmed mean keeps") for note in leak[1].notes)
    fresh = records(seed=7)
    nothing = audited((model, fresh, nonmembers), attacks, shadow_models=plan)
    assert all(report.auc.low < 0.5 < report.auc.high for report in nothing)


def test_live_beside_a_point_attack(make_model):
    members, nonmembers = records(), records(seed=1)
    attacks = [Threshold("loss"), RaMIA(RMIA(), Cube(0.2), 4), RaMIA(Threshold("loss"), Cube(0.2), 4)]
    mia = MIACallback(members, nonmembers, attacks=attacks, shadow_models=ShadowModels(4, engine="stacked"))
    with pytest.warns(match="cannot resolve"):
        history = make_model().fit(*members, epochs=2, batch_size=20, verbose=0, callbacks=[mia])
    assert np.isfinite(history.history["mia_ramia_auc"]).all()
    assert np.isfinite(history.history["mia_ramia_2_auc"]).all()
    assert not any(report.failed for report in mia.reports)
    assert {"loss", "ramia", "ramia_2"} <= set(mia.records().columns)
    assert type(mia._auditor.attacks["ramia"]) is PlacedRaMIA


def test_weights_are_those_of_a_fit_without_it(make_model):
    members, nonmembers = records(), records(seed=1)
    plain, watched = make_model(), make_model()
    plain.fit(*members, epochs=2, batch_size=20, verbose=0, shuffle=False)
    mia = MIACallback(members, nonmembers, attacks=RaMIA(Threshold("loss"), Cube(0.2), 4))
    with pytest.warns(match="cannot resolve"):
        watched.fit(*members, epochs=2, batch_size=20, verbose=0, shuffle=False, callbacks=[mia])
    for one, other in zip(plain.get_weights(), watched.get_weights(), strict=True):
        np.testing.assert_array_equal(one, other)


# Tuning.


def shadows_where_only_the_largest_tells(models=8, ranges=80, points=6, seed=0):
    rng = np.random.default_rng(seed)
    halves = rng.random((models // 2, ranges)) < 0.5
    trained_on = np.stack([halves, ~halves], axis=1).reshape(models, ranges)
    values = -rng.exponential(20.0, size=(models, ranges, points))  # hard points drown the mean
    values[:, :, 0] = np.where(trained_on, -0.01, -1.0) * rng.uniform(0.5, 1.5, (models, ranges))
    return ShadowSignals({"confidence": values}, trained_on)


def test_tuning_finds_the_points_that_tell():
    shadows = shadows_where_only_the_largest_tells()
    attack = RaMIA(RMIA(a=0.3), Point(), 6, "tuned")
    fitted = attack.fit(AttackContext(shadows=shadows))
    assert fitted.notes[0].startswith("of each range's scores the trimmed mean keeps (1, 1)")


def test_tuning_asks_about_no_target():
    """It learns from shadow models alone: it is called without any signals of the target, and with other ones for each."""
    seen = []

    def score(known, signals):
        seen.append(known.shadows.num_models)
        return signals["confidence"]

    assert tuned_keep(score, AttackContext(shadows=shadows_where_only_the_largest_tells())) in KEEPS
    assert seen == [6, 6, 6, 6]  # without the surrogate and its complement


def test_tuning_in_a_world_without_leak_chooses_without_looking_at_the_target():
    rng = np.random.default_rng(0)
    halves = rng.random((4, 60)) < 0.5
    trained_on = np.stack([halves, ~halves], axis=1).reshape(8, 60)
    shadows = ShadowSignals({"confidence": -rng.exponential(size=(8, 60, 4))}, trained_on)
    fitted = RaMIA(RMIA(a=0.3), Point(), 4, "tuned").fit(AttackContext(shadows=shadows))
    scores = fitted.score(Signals({"confidence": -rng.exponential(size=(60, 4))}))
    truth = rng.random(60) < 0.5
    auc = np.mean(scores[truth][:, None] > scores[~truth])
    assert abs(auc - 0.5) < 0.2


def test_tuning_needs_shadow_models_that_differ():
    shadows = shadows_where_only_the_largest_tells(models=2)
    with pytest.raises(ValueError, match="2 shadow models are too few"):
        RaMIA(RMIA(), Point(), 4, "tuned").fit(AttackContext(shadows=shadows))
    same = ShadowSignals({"confidence": -np.ones((4, 10, 2))}, np.zeros((4, 10), bool))
    with pytest.raises(ValueError, match="nothing can be tuned"):
        RaMIA(RMIA(), Point(), 2, "tuned").fit(AttackContext(shadows=same))


# Identity: answers to other ranges are never taken for these.


def test_equal_ranges_ask_alike_and_others_do_not():
    x, y = records()

    def points(**changes):
        return RaMIA(**{"attack": RMIA(), "range": Cube(0.2), "queries": 4, **changes}).at(x, y).queries[0]

    assert points() == points()
    assert hash(points()) == hash(points())
    others = [
        points(range=Cube(0.3)),
        points(range=Cube(0.2, 0.1)),
        points(queries=5),
        points(seed=1),
        points(centre=Cube(0.1)),
        points(centre=Cube(0.2)),
        points(attack=RMIA(queries=(tf.negative,))),
        RaMIA(RMIA(), Cube(0.2), 4).at_centres().at(x, y).queries[0],
    ]
    assert len({points(), *others}) == len(others) + 1


@pytest.mark.slow
def test_a_kept_fleet_answers_other_radii_afresh(trained, tmp_path):
    plan = ShadowModels(4, epochs=2, batch_size=20, engine="stacked", checkpoint_dir=tmp_path / "fleet")
    alone = [
        float(audited(trained, RaMIA(RMIA(), Cube(half), 4), shadow_models=SHADOWS4)[0].auc) for half in (0.1, 2.0)
    ]
    kept = [float(audited(trained, RaMIA(RMIA(), Cube(half), 4), shadow_models=plan)[0].auc) for half in (0.1, 2.0)]
    assert kept == pytest.approx(alone, abs=1e-3)
    assert kept[0] != kept[1]
    again = [float(audited(trained, RaMIA(RMIA(), Cube(half), 4), shadow_models=plan)[0].auc) for half in (0.1, 2.0)]
    assert again == kept


SHADOWS4 = ShadowModels(4, epochs=2, batch_size=20, engine="stacked")


@pytest.mark.slow
def test_a_kept_fleet_answers_other_records_of_owners_afresh(trained, tmp_path):
    """Their points are records; others of the same count must not be taken for the same."""
    model, members, nonmembers = trained
    audit_set = AuditSet(members, nonmembers, ids=(np.arange(60) // 2, 30 + np.arange(60) // 2))

    def aucs(folder):
        plan = replace(SHADOWS4, checkpoint_dir=folder)
        for seed in (3, 4):
            held = SameOwner(*records(120, seed), np.arange(120) // 2)
            found = audited((model, audit_set, None), RaMIA(RMIA(), held, 2), shadow_models=plan)
            yield float(found[0].auc)

    alone, kept, again = list(aucs(None)), list(aucs(tmp_path / "fleet")), list(aucs(tmp_path / "fleet"))
    assert kept == pytest.approx(alone, abs=1e-3)
    assert kept[0] != kept[1]
    assert again == kept


# Refusals.


@pytest.mark.parametrize("queries", [0, -1, 1.5, True, None, "16"])
def test_points_are_counted(queries):
    with pytest.raises(ValueError, match=r"queries is .*at least 1"):
        RaMIA(RMIA(), Point(), queries)


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        ({"attack": RMIA}, TypeError, "give an instance"),
        ({"attack": "rmia"}, TypeError, "attack is 'rmia'"),
        ({"range": 0.5}, TypeError, "range is 0.5; give a range"),
        ({"range": Cube}, TypeError, "give a range"),
        ({"centre": 0.1}, TypeError, "centre is 0.1; give a range"),
        ({"aggregate": "mean"}, ValueError, "aggregate is 'mean'"),
        ({"aggregate": "tuned"}, ValueError, "learns from shadow models"),
        ({"seed": -1}, ValueError, "seed is -1"),
        ({"name": "a/b"}, ValueError, "name is"),
        ({"attack": Trajectory()}, ValueError, "the course of training"),
        ({"attack": ShadowHeads()}, ValueError, "features"),
        ({"attack": QuantileRegression()}, ValueError, "the audited records themselves"),
        ({"attack": RaMIA(Threshold("loss"), Point())}, ValueError, "makes ranges itself"),
    ],
)
def test_what_does_not_fit_is_refused(changes, error, message):
    with pytest.raises(error, match=message):
        RaMIA(**{"attack": Threshold("loss"), "range": Point(), **changes})


def test_an_aggregate_that_gives_something_else_is_refused(trained):
    attack = RaMIA(Threshold("loss"), Point(), aggregate=lambda scores: scores)
    with pytest.raises(ValueError, match="must give one number a range"):
        audited(trained, attack)


def test_a_range_that_changes_the_shape_is_refused(trained):
    class Wider(Cube):
        def draw(self, x, q, index, seed, first=0):
            return tf.concat([x, x], axis=1)

    with pytest.raises(ValueError, match="it must keep records and their shape"):
        audited(trained, RaMIA(Threshold("loss"), Wider(0.1)))


@pytest.mark.parametrize("within", [AttackP(), LabelOnly(shifts=0, noise=0.1, draws=2), Threshold("correct")])
def test_other_attacks_work_within(trained, within):
    report = audited(trained, RaMIA(within, Cube(0.1), 3), audit_size=30)[0]
    assert not report.failed
    assert float(report.auc) > 0.5


def test_images_can_be_mirrored_within():
    """Queries of an attack within see points that have the records' shape."""
    images = np.random.default_rng(0).random((20, 4, 4, 1)).astype(np.float32)
    model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Flatten(), keras.layers.Dense(2)])
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    placed = RaMIA(LiRA(queries=(Unaltered(), Mirrored())), Cube(0.1), 2).at(images, np.arange(20) % 2)
    found = signals_of(model, images, np.arange(20) % 2, signals="loss", queries=placed.queries)
    assert found["loss"].shape == (20, 4)


def test_of_an_enumerated_range_each_query_is_a_variation_of_its_own():
    images = np.random.default_rng(0).random((60, 5, 5, 1)).astype(np.float32)
    around = Transformations(flips=True, shifts=1, unaltered=False)
    placed = RaMIA(Threshold("loss"), around, centre=around, seed=2).at(images, np.zeros(60, int))
    variations = around.sample(images, 5)
    equal = (variations == placed.relation.centres.x[:, None]).all(axis=(2, 3, 4))
    assert equal.any(axis=1).all()
    assert (equal.sum(axis=0) >= 4).all()  # five variations, twelve of sixty each


def test_records_that_fill_up_a_fixed_batch_are_harmless():
    """A model of fixed batches of 32 is asked about 20 records: twelve rows beyond the last centre."""
    model = keras.Sequential([keras.Input(batch_shape=(32, 6)), keras.layers.Dense(3)])
    model.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    x, y = records(20)
    placed = RaMIA(Threshold("loss"), Cube(0.3), 3, centre=Cube(0.1)).at(x, y)
    found = signals_of(model, x, y, signals="loss", queries=placed.queries)["loss"]
    free = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3)])
    free.set_weights(model.get_weights())
    free.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    np.testing.assert_allclose(found, signals_of(free, x, y, signals="loss", queries=placed.queries)["loss"], atol=1e-5)


def test_queries_of_the_attack_within_are_asked_of_others_records_too(trained):
    model, members, _ = trained
    x, y = records(40, seed=3)
    held = SameOwner(x, y, np.arange(40) % 20)
    inner = LiRA(queries=(Unaltered(), tf.negative))
    some = members[0][:20], members[1][:20]
    placed = RaMIA(inner, held, 2).at(*some, np.arange(20))
    found = signals_of(model, *some, signals="scaled_logit", queries=placed.queries)["scaled_logit"]
    rows = held.at(RangeRecords(*some, np.arange(20))).chosen(RangeRecords(*some, np.arange(20)), 2, 0)
    for point in range(2):
        for place, sign in ((0, 1), (1, -1)):
            chosen = rows[:, point]
            alone = signals_of(model, sign * x[chosen], y[chosen], signals="scaled_logit")["scaled_logit"]
            np.testing.assert_allclose(found[:, 2 * point + place], alone[:, 0], atol=1e-5)

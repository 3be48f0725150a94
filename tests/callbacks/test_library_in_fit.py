"""Every attack, slices, records and pictures while `fit` runs."""

import random
from dataclasses import replace

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, KFold, StratifiedKFold
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from privacy_callbacks import AuditSet, AuditWarning, MIACallback, audit
from privacy_callbacks.attack_choice import RECORD_COLUMNS
from privacy_callbacks.attacks import (
    AttackContext,
    AttackP,
    Column,
    LabelOnly,
    LeakageReport,
    LiRA,
    QuantileRegression,
    Signals,
    Threshold,
    Trained,
    Trajectory,
    attack_p_scores,
    information_view,
    membership_probabilities,
)
from privacy_callbacks.attacks.trajectory import loss_iqr
from privacy_callbacks.judging import scored
from privacy_callbacks.null_check import null_check

pytestmark = pytest.mark.filterwarnings("ignore:.*cannot resolve a false positive rate:UserWarning")
layers = keras.layers
CLASSES = 3


def world(count=150, seed=0, shape=(6,)):
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, CLASSES, 2 * count)
    x = rng.normal(size=(2 * count, *shape)).astype(np.float32) + labels.reshape(-1, *[1] * len(shape)) / 2
    return (x[:count], labels[:count]), (x[count:], labels[count:])


def made(shape=(6,), units=32):
    keras.utils.set_random_seed(3)
    model = keras.Sequential([keras.Input(shape), layers.Flatten(), layers.Dense(units, "relu"), layers.Dense(CLASSES)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    return model


def fitted(attacks, sides, epochs=4, model=None, **arguments):
    mia = MIACallback(*sides, attacks=attacks, blind_baseline=False, **arguments)
    model = model or made(sides[0][0].shape[1:] if isinstance(sides[0], tuple) else (6,))
    history = model.fit(
        *world(shape=model.input_shape[1:])[0], epochs=epochs, verbose=0, batch_size=16, callbacks=[mia]
    )
    return mia, history.history


EVERY_KIND = [
    Threshold(),
    Threshold("loss", per_class=True),
    Threshold("gradient_norm"),
    Threshold("weight_gradient_norm"),
    Trained(),
    Trained("random_forest"),
    AttackP(),
    QuantileRegression(),
    LabelOnly(shifts=0, noise=0.3, draws=3),
    Trajectory(),
    Trajectory("iqr"),
    LiRA(),
]


@pytest.mark.filterwarnings("ignore:.*each shadow model trains on 125 records:UserWarning")
def test_a_fit_with_every_kind_of_attack_ends_with_the_same_bits():
    members, nonmembers = world()
    mia = MIACallback(members, nonmembers, attacks=EVERY_KIND, shadow_models=4, slices=["class", "loss_percentile"])
    ends = []
    for callbacks in ([], [mia]):
        model = made()  # seeds everything
        history = model.fit(*members, epochs=3, verbose=0, callbacks=callbacks).history
        draws = random.random(), np.random.random(), tf.random.normal(()).numpy(), keras.random.normal(()).numpy()
        ends.append([*model.get_weights(), history["loss"], draws])
    for ours, theirs in zip(*ends, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert not [report for report in mia.reports if report.failed and report.slice == "entire"]
    names = [attack.name for attack in EVERY_KIND]
    assert [key for key in history if key.startswith("mia_")][4:] == [f"mia_{name}_auc" for name in names[1:]]
    assert list(mia.records().columns[3 : 3 + len(names)]) == names


def test_a_trained_attacker_sees_the_heads_signals_and_is_judged_in_halves():
    mia, _ = fitted([Trained(), Trained(features=("entropy", "top_2"), name="two")], world())
    assert mia.report.folds == 2
    assert "knows the membership of half of the records" in mia.report.notes[0]
    first, second = mia._auditor.attacks.values()
    assert first.features == (
        *("loss", "scaled_logit", "margin", "entropy", "modified_entropy", "correct"),
        *("top_1", "top_2", "top_3"),
    )
    assert second.features == ("entropy", "top_2")


def test_owners_share_a_half():
    members, nonmembers = world()
    owners = np.arange(150) // 5
    audit_set = AuditSet(members, nonmembers, ids=(owners, 1_000 + owners))
    mia, _ = fitted([Trained("knn")], [audit_set], epochs=1)
    assert "several records share an id" in " ".join(mia.report.notes)
    signals = Signals({"loss": np.random.default_rng(0).normal(size=(300, 1))})
    fold = scored(Trained(), signals, audit_set, AttackContext()).fold
    assert all(len(set(fold[audit_set.ids == owner])) == 1 for owner in audit_set.ids)
    assert 0.4 < fold.mean() < 0.6


def test_the_trajectory_is_the_mean_over_the_epochs_so_far():
    class Losses(keras.callbacks.Callback):
        def __init__(self, x, y):
            super().__init__()
            self.data, self.found = (x, y), []

        def on_epoch_end(self, epoch, logs=None):
            logits = self.model(self.data[0], training=False)
            self.found.append(keras.losses.sparse_categorical_crossentropy(self.data[1], logits, from_logits=True))

    members, nonmembers = world()
    mia = MIACallback(members, nonmembers, attacks=[Trajectory(), Trajectory("iqr")], blind_baseline=False)
    losses = Losses(*members)
    made().fit(*members, epochs=5, verbose=0, callbacks=[mia, losses])
    table = mia.records()
    table = table[table.is_member].sort_values("id")
    course = -np.stack(losses.found)
    np.testing.assert_allclose(table["trajectory"], course.mean(axis=0), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(table["trajectory_iqr"], loss_iqr(course), rtol=1e-3, atol=1e-5)
    assert any("no membership score" in note for note in mia.reports[-1].notes)


def test_outside_of_a_fit_there_is_no_trajectory():
    with pytest.raises(ValueError, match="give the attack to MIACallback"):
        audit(made(), *world(), attacks=[Trajectory()], blind_baseline=False)


def test_the_population_attack_ranks_among_records_that_are_never_judged():
    mia, _ = fitted([AttackP(), Threshold()], world())
    assert mia.report.num_nonmembers == 100
    table, population = mia.records(), mia._auditor._pass.population_signals(("loss",))["loss"][:, 0]
    assert len(population) == 50
    np.testing.assert_allclose(table["attack_p"], attack_p_scores(table["loss"], population))


def test_label_only_asks_neighbours_of_images():
    sides = world(shape=(5, 5))
    mia, _ = fitted([LabelOnly(), Threshold("correct")], sides)
    shares = mia.records()["label_only"]
    assert set(np.round(5 * shares)) <= set(range(6))
    assert shares.nunique() > 2


def test_label_only_of_tables_wants_to_be_told_the_noise():
    with pytest.raises(ValueError, match=r"a query cannot be asked: .*perturb them by noise="):
        fitted([LabelOnly()], world())


# Slices.


def test_slices_follow_the_reports_on_all_records():
    mia, history = fitted([Threshold(), Trained()], world(), slices=["class", "correct"], epochs=2)
    audits = [report for report in mia.reports if report.step == 1]
    assert [(report.attack, report.slice) for report in audits] == [
        ("loss", "entire"),
        ("logistic_regression", "entire"),
        *[("loss", name) for name in ("class 0", "class 1", "class 2", "correct", "wrong")],
        *[("logistic_regression", name) for name in ("class 0", "class 1", "class 2", "correct", "wrong")],
    ]
    assert mia.report.slice == "entire"
    assert [key for key in history if "class" in key] == []
    assert all(report.auc.level == pytest.approx(0.99) for report in audits[2:7])
    assert audits[2].roc is not None
    assert all(report.roc is None for report in mia.reports if report.step == 0 and report.slice != "entire")
    table = mia.records()
    for report in audits[2:5]:
        rows = table["label"] == int(report.slice[-1])
        again = LeakageReport.from_scores(table["loss"][rows], table["is_member"][rows])
        assert float(report.auc) == float(again.auc)


def test_columns_follow_their_records_and_cross():
    members, nonmembers = world(200)
    ages = [np.array(["young", "old"])[(side[0][:, 0] > 0).astype(int)] for side in (members, nonmembers)]
    mia = MIACallback(
        members,
        nonmembers,
        attacks=Threshold(),
        audit_size=90,
        slices=[Column("age", *ages), ("correct", Column("age", *ages))],
    )
    made().fit(*members, epochs=1, verbose=0, callbacks=[mia])
    old, young = [report for report in mia.reports if report.step == 0][1:3]
    x, is_member = mia.audit_set.x.numpy(), mia.audit_set.is_member
    assert (old.slice, young.slice) == ("age old", "age young")
    assert old.num_members == np.count_nonzero(x[is_member, 0] > 0)
    assert young.num_nonmembers == np.count_nonzero(x[~is_member, 0] <= 0)
    names = [report.slice for report in mia.reports if report.step == 0][3:]
    assert names == [f"{answer} & age {age}" for answer in ("correct", "wrong") for age in ("old", "young")]


def test_audits_after_the_fact_have_slices_too():
    reports = audit(made(), *world(), attacks=Threshold(), slices="loss_percentile", blind_baseline=False)
    assert [report.slice for report in reports][:2] == ["entire", "loss 0–10 %"]
    assert len(reports) == 11


def test_tensorboard_shows_the_auc_of_slices(tmp_path):
    fitted([Threshold()], world(), slices=["correct", "loss_percentile"], log_dir=tmp_path)
    run = EventAccumulator(str(tmp_path / "mia" / "loss"), size_guidance={"tensors": 0}).Reload()
    tags = {tag for tag in run.Tags()["tensors"] if "slices" in tag}
    assert {"mia_slices/correct/auc", "mia_slices/loss_0-10/auc_low", "mia_slices/loss_90-100/auc_high"} <= tags
    assert len(run.Tensors("mia_slices/correct/auc")) == 4


@pytest.mark.parametrize(
    ("slices", "error", "message"),
    [
        ("klass", TypeError, "slices has 'klass'; give 'class', 'loss_percentile', 'correct', a Column"),
        ([Column("age", [1], [2])], ValueError, r"column 'age' has shape \(1,\) for 150 members"),
        ([("class",)], ValueError, "cross two or more"),
    ],
)
def test_slices_that_cannot_be_cut_are_refused_before_training(slices, error, message):
    with pytest.raises(error, match=message):
        fitted([Threshold()], world(), slices=slices)


@pytest.mark.parametrize("slices", ["class", "correct"])
def test_regressions_have_no_classes_to_slice_by(slices):
    model = keras.Sequential([keras.Input((6,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=f"slices has '{slices}', but"):
        audit(model, *world(), slices=slices, blind_baseline=False)


# Records.


def test_the_table_tells_how_surely_and_how_stably():
    mia, _ = fitted([Threshold("entropy"), Threshold()], world(), epochs=7)
    table = mia.records()
    audited = mia._ranked().sort_index()  # in the order of the audit, by which the halves are drawn
    expected = membership_probabilities(audited["entropy"], audited["is_member"])
    np.testing.assert_array_equal(audited["member_probability"], expected)
    stability = table["risk_stability"]
    assert stability[~table["is_member"]].isna().all()
    # At each of four audits (the fourth to the seventh) 15 of 150 members are the tenth most at risk.
    assert stability.sum() == pytest.approx(15)
    assert set(np.round(4 * stability.dropna(), 6)) <= {0, 1, 2, 3, 4}
    assert stability[:15].min() >= 0.25  # those most at risk now were so at least now


def test_the_information_of_all_signals_is_one_table():
    mia, _ = fitted([Threshold(), Threshold("entropy")], world())
    found = mia.information()
    assert list(found.rows) == ["loss", "entropy", "together"]
    table = mia.records()
    alone = information_view({"loss": table["loss"]}, table["is_member"])
    assert float(found["loss"].mutual_information) == pytest.approx(float(alone["loss"].mutual_information), abs=0.01)
    assert isinstance(found.to_frame(), pd.DataFrame)


@pytest.mark.parametrize("shape", [(8, 9), (8, 9, 1), (8, 9, 3)])
def test_the_members_most_at_risk_can_be_seen(tmp_path, shape):
    sides = world(shape=shape)
    mia, _ = fitted([Threshold()], sides, log_dir=tmp_path, log_records=13, log_pictures=True)
    run = EventAccumulator(str(tmp_path / "mia" / "loss"), size_guidance={"tensors": 0}).Reload()
    (picture,) = run.Tensors("mia/pictures_at_risk")
    pixels = tf.io.decode_png(tf.make_ndarray(picture.tensor_proto)[2]).numpy()
    times = 7  # 9 pixels are enlarged to at least 56
    assert pixels.shape == (2 * (8 * times + 4), 10 * (9 * times + 4), 3 if shape[-1] == 3 else 1)
    worst = sides[0][0][int(mia.records()["id"][0])].reshape(8, 9, -1)
    shown = pixels[2 : 2 + 8 * times : times, 2 : 2 + 9 * times : times].astype(float)
    assert np.corrcoef(shown.ravel(), worst.ravel())[0, 1] > 0.999


def test_pictures_are_drawn_on_request_and_of_images_only():
    with pytest.raises(ValueError, match="say how many with log_records="):
        MIACallback(*world(), log_pictures=True)
    with pytest.raises(ValueError, match=r"records of shape \(6,\) and type float32 are no images"):
        fitted([Threshold()], world(), log_records=3, log_pictures=True)


def test_a_check_of_the_untrained_model_reads_a_trained_attackers_p_value():
    members, (x, y) = world(400)
    with pytest.warns(
        AuditWarning, match="before any training the attack 'logistic_regression' already has AUC .* \\(p = "
    ):
        fitted([Trained()], (members, (x + 3, y)), epochs=1)


# Found by trying to break it.


def test_a_population_of_as_many_records_as_are_audited_has_answers_of_its_own():
    members, (x, y) = world(120)
    population = x[:60] + 1, y[:60]
    audited = AuditSet((members[0][:30], members[1][:30]), (x[60:90], y[60:90]), population)
    assert len(audited) == len(audited.population) == 60
    reports = audit(made(), audited, attacks=[AttackP(), Threshold()], blind_baseline=False)
    mia = MIACallback(audited, attacks=[AttackP(), Threshold()], blind_baseline=False)
    made().fit(*members, epochs=1, verbose=0, callbacks=[mia])
    own = mia._auditor._pass.population_signals(("loss",))["loss"]
    assert not np.isin(own, mia._auditor._pass.signals(("loss",))["loss"]).any()
    assert len(reports) == 2


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_a_population_must_be_finite(bad):
    members, (x, y) = world(60)
    strange = x.copy()
    strange[3, 2] = bad
    with pytest.raises(ValueError, match=r"NaN or infinite in 1 of 60 population records"):
        AuditSet(members, (x, y), (strange, y))


def test_a_share_that_sets_nobody_aside_is_refused():
    with pytest.raises(ValueError, match=r"population is 0.001 of 60 non-members, which is none"):
        AuditSet(*world(60), population=0.001)


def test_columns_of_objects_are_cut_by_value():
    members, nonmembers = world(60)
    mixed = np.array([1, "a", 2.5], object)[np.arange(60) % 3]
    (_, *parts) = audit(
        made(), members, nonmembers, attacks=Threshold(), slices=Column("g", mixed, mixed), blind_baseline=False
    )
    assert [report.slice for report in parts] == ["g 2.5", "g 1", "g a"]
    assert sum(report.num_members for report in parts) == 60
    halves = Column("h", np.float32([0.1, 0.7])[np.arange(60) % 2], np.array([0.1, 0.7])[np.arange(60) % 2])
    (_, *parts) = audit(made(), members, nonmembers, attacks=Threshold(), slices=halves, blind_baseline=False)
    assert [(report.num_members, report.num_nonmembers) for report in parts] == [(30, 30), (30, 30)]


@pytest.mark.parametrize("gap", [None, np.nan, pd.NA, pd.NaT])
def test_columns_with_gaps_are_refused(gap):
    gappy = np.array([1, gap], object)[np.arange(60) % 2]
    with pytest.raises(ValueError, match=r"column 'g' is missing \(NaN, None\) for 60 records"):
        audit(made(), *world(60), attacks=Threshold(), slices=Column("g", gappy, gappy), blind_baseline=False)


@pytest.mark.parametrize(
    ("slices", "message"),
    [
        (["class", "class"], "slice 'class 0' comes about twice"),
        ([("class", "loss_percentile", Column("g", np.arange(150), np.arange(150)))], "more than 1,000 slices"),
    ],
)
def test_slices_that_cannot_be_judged_are_refused_before_training(slices, message):
    model = made()
    before = model.get_weights()
    with pytest.raises(ValueError, match=message):
        fitted([Threshold()], world(), slices=slices, model=model)
    for ours, theirs in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_every_slice_has_a_tag_of_its_own(tmp_path):
    ages = np.array(["<30", ">30", "=30", "ä", "ö", "年", "/", "%", "a b", "a_b", "x" * 300])[np.arange(150) % 11]
    fitted([Threshold()], world(), epochs=1, slices=Column("age", ages, ages), log_dir=tmp_path)
    run = EventAccumulator(str(tmp_path / "mia" / "loss"), size_guidance={"tensors": 0}).Reload()
    tags = [tag for tag in run.Tags()["tensors"] if "slices" in tag and tag.endswith("/auc")]
    assert len(tags) == 11
    assert all(len(run.Tensors(tag)) == 1 and len(tag) < 150 for tag in tags)


def test_an_attack_may_not_be_called_like_a_column_of_the_table():
    with pytest.raises(ValueError, match="'is_member' is called like a column of records"):
        fitted([Threshold(name="is_member")], world())
    mia, _ = fitted([Threshold()], world())
    assert set(mia.records().columns) == {*RECORD_COLUMNS, "loss"}


def test_a_headline_that_fails_ranks_nobody_by_position():
    class Failing:
        name, signals = "failing", ("loss",)

        def fit(self, context):
            raise RuntimeError("no")

    model = keras.Sequential([keras.Input((6,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.warns(AuditWarning, match="failing: audit failed: no"):
        mia, _ = fitted([Failing(), Threshold()], world(), model=model)
    table = mia.records()
    assert table["risk_stability"].isna().all()
    assert table["loss"][:150].is_monotonic_decreasing


def test_weights_that_do_not_train_have_no_gradient():
    model = made()
    model.trainable = False
    with pytest.raises(ValueError, match="asks for the model's trainable weights, and it has none"):
        audit(model, *world(), attacks=Threshold("weight_gradient_norm"), blind_baseline=False)


@pytest.mark.parametrize(
    ("attack", "count", "message"),
    [
        (Trained(), 15, "attack 'logistic_regression': .* too few to learn from"),
        (QuantileRegression(), 90, "attack 'quantile_regression': the population has 30 records"),
    ],
)
def test_what_cannot_learn_is_refused_before_shadow_models_are_trained(attack, count, message):
    with pytest.raises(ValueError, match=message):
        fitted([LiRA(), attack], world(count), shadow_models=4)


def test_classes_are_asked_for_before_training():
    model = keras.Sequential([keras.Input((6,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match="attack 'loss_per_class': the records have no single class each"):
        fitted([Threshold(per_class=True)], world(), model=model)


@pytest.mark.slow
def test_a_classifier_that_draws_from_global_states_leaves_no_trace():
    grid = GridSearchCV(LogisticRegression(), {"C": [0.01, 1.0]}, cv=StratifiedKFold(3, shuffle=True))
    ends, scores = [], []
    for attacks in (None, [Trained(grid)], [Trained(grid)]):
        model, callbacks = made(), []
        if attacks:
            callbacks = [MIACallback(*world(), attacks=attacks, blind_baseline=False)]
        model.fit(*world()[0], epochs=2, verbose=0, callbacks=callbacks)
        ends.append((random.random(), np.random.random()))
        scores += [callback.records()["trained"] for callback in callbacks]
    assert len(set(ends)) == 1
    np.testing.assert_array_equal(*scores)


def test_unshuffled_parts_of_the_rows_are_representative():
    """Rows come sorted by their answers; a search whose folds are runs of rows must see both sides in each."""
    grid = GridSearchCV(LogisticRegression(), {"C": [0.01, 1.0]}, cv=KFold(2))
    mia, _ = fitted([Trained(grid)], world())
    assert not mia.report.failed


def test_the_check_of_the_untrained_model_divides_its_error_among_attacks():
    scores, is_member = np.arange(80.0), np.arange(80) % 2 == 0
    report = LeakageReport.from_scores(scores, is_member, folds=np.arange(80) // 2 % 2)
    for p, alarms in ((0.0019, True), (0.0021, False), (1.0, False)):
        five = [replace(report, p_value=1.0)] * 4 + [replace(report, p_value=p)]
        assert (null_check(five) is not None) == alarms

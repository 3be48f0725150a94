import copy
import csv
import json
import re
import warnings

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from privacy_callbacks import AuditSet, AuditWarning, LeakageReport, MIACallback
from privacy_callbacks.attacks import Threshold

# The tiny audits of these tests cannot resolve an FPR of 1 %, and say so.
pytestmark = pytest.mark.filterwarnings("ignore:.*cannot resolve a false positive rate:UserWarning")

HEADLINE_KEYS = ["mia_auc", "mia_advantage", "mia_youden_j", "mia_tpr_at_fpr_1e-2"]


def fit(model, blobs, *callbacks, epochs=3, **arguments):
    x, y = blobs[0]
    arguments = {"batch_size": 30, "verbose": 0, **arguments}
    return model.fit(x, y, epochs=epochs, callbacks=list(callbacks), **arguments)


def events(folder):
    """{tag: [(step, value), …]} of a TensorBoard run."""
    run = EventAccumulator(str(folder), size_guidance={"tensors": 0}).Reload()
    tags = run.Tags()["tensors"]
    return {tag: [(e.step, tf.make_ndarray(e.tensor_proto)) for e in run.Tensors(tag)] for tag in tags}


def test_one_line_puts_leakage_into_history(make_model, blobs):
    mia = MIACallback(*blobs)
    history = fit(make_model(), blobs, mia).history
    others = ["confidence", "scaled_logit", "margin", "entropy", "modified_entropy", "correct"]
    assert list(history) == ["loss", *HEADLINE_KEYS, *(f"mia_{name}_auc" for name in others)]
    assert {type(value) for key in history for value in history[key]} == {float}
    assert {len(values) for values in history.values()} == {3}
    assert np.isnan(history["mia_tpr_at_fpr_1e-2"]).all()  # refused: 90 non-members


def test_reports_are_one_per_audit_and_attack_and_agree_with_the_logs(make_model, blobs):
    mia = MIACallback(*blobs, attacks=[Threshold("entropy"), Threshold("loss")])
    history = fit(make_model(), blobs, mia).history
    assert [(r.step, r.attack) for r in mia.reports] == [(s, a) for s in (-1, 0, 1, 2) for a in ("entropy", "loss")]
    assert [float(r.auc) for r in mia.reports[2::2]] == history["mia_auc"]
    assert [float(r.auc) for r in mia.reports[3::2]] == history["mia_loss_auc"]
    assert mia.report is mia.reports[-2]
    assert all(isinstance(report, LeakageReport) for report in mia.reports)
    assert mia.report.num_members == mia.report.num_nonmembers == 90


def test_the_auc_is_scikit_learns_on_the_models_own_loss(make_model, blobs):
    from sklearn.metrics import roc_auc_score

    model = make_model()
    mia = MIACallback(*blobs)
    fit(model, blobs, mia)
    audited = mia.audit_set
    p = model.predict(audited.x, verbose=0)[np.arange(180), audited.y]
    assert float(mia.report.auc) == pytest.approx(roc_auc_score(audited.is_member, p), abs=1e-4)


def test_swapping_members_and_nonmembers_mirrors_every_auc(make_model, blobs):
    members, nonmembers = (blobs[0][0][:90], blobs[0][1][:90]), blobs[1]
    there, back = MIACallback(members, nonmembers), MIACallback(nonmembers, members, name="swapped")
    make_model().fit(*members, epochs=3, verbose=0, callbacks=[there, back])
    for ours, theirs in zip(there.reports, back.reports, strict=True):
        assert float(ours.auc) == pytest.approx(1 - theirs.auc)
        assert (ours.auc.low, ours.auc.high) == pytest.approx((1 - theirs.auc.high, 1 - theirs.auc.low))
        assert float(ours.advantage) == pytest.approx(theirs.advantage)


def test_overfitting_shows_as_a_rising_auc(make_model, blobs):
    rng = np.random.default_rng(0)
    members = blobs[0][0][:60], rng.integers(0, 3, 60)  # labels that can only be memorised
    nonmembers = blobs[1][0], rng.integers(0, 3, 90)
    mia = MIACallback(members, nonmembers)
    model = make_model(optimizer=keras.optimizers.Adam(0.05))
    model.fit(*members, epochs=60, batch_size=20, verbose=0, callbacks=[mia])
    first, last = mia.reports[0].auc, mia.report.auc
    assert first.low <= 0.5 <= first.high
    assert last.low > 0.6


def test_the_untrained_model_is_audited_but_not_logged(make_model, blobs):
    mia = MIACallback(*blobs)
    history = fit(make_model(), blobs, mia, epochs=1).history
    assert [report.step for report in mia.reports[:8:7]] == [-1, 0]
    assert len(history["mia_auc"]) == 1


def test_every_k_th_epoch_is_audited_and_the_last_value_carried(make_model, blobs, tmp_path):
    mia = MIACallback(*blobs, every=2, attacks=Threshold("loss"))
    logger = keras.callbacks.CSVLogger(tmp_path / "log.csv")
    history = fit(make_model(), blobs, mia, logger, epochs=5).history
    assert [report.step for report in mia.reports] == [-1, 1, 3, 4]  # 4: the weights the user holds now
    values = history["mia_auc"]
    assert np.isnan(values[0])
    assert values[1] == values[2]
    assert values[3] == values[4]
    with open(tmp_path / "log.csv") as file:
        rows = list(csv.DictReader(file))
    assert [float(row["mia_auc"]) for row in rows[1:]] == values[1:]


def test_train_end_audits_once_and_leaves_the_logs_alone(make_model, blobs, tmp_path):
    mia = MIACallback(*blobs, every="train_end", log_dir=tmp_path)
    history = fit(make_model(), blobs, mia).history
    assert list(history) == ["loss"]
    assert [report.step for report in mia.reports if report.attack == "loss"] == [-1, 2]
    assert [step for step, _ in events(tmp_path / "mia" / "loss")["mia/auc"]] == [2]


def test_tensorboard_gets_one_run_an_attack_with_intervals(make_model, blobs, tmp_path):
    mia = MIACallback(*blobs, log_dir=tmp_path, attacks=[Threshold("loss"), Threshold("entropy")])
    board = keras.callbacks.TensorBoard(tmp_path, update_freq="epoch")
    fit(make_model(), blobs, mia, board)
    assert sorted(path.name for path in (tmp_path / "mia").iterdir() if path.is_dir()) == ["entropy", "loss"]
    for attack, reports in (("loss", mia.reports[2::2]), ("entropy", mia.reports[3::2])):
        run = events(tmp_path / "mia" / attack)
        for tag, part in (("auc", None), ("auc_low", "low"), ("auc_high", "high")):
            expected = [(r.step, float(r.auc if part is None else getattr(r.auc, part))) for r in reports]
            np.testing.assert_allclose(run[f"mia/{tag}"], expected, rtol=1e-6)
        assert {"mia/advantage", "mia/advantage_null_level", "mia/youden_j", "mia/mutual_information"} <= set(run)
    assert b"before training" in events(tmp_path / "mia" / "loss")["mia/before_training"][0][1].item()
    assert "epoch_mia_auc" in events(tmp_path / "train")


def test_what_is_written_can_be_seen_while_training_goes_on(make_model, blobs, tmp_path):
    """Even where another callback has switched recording off, as Keras' own does between its batches."""
    mia = MIACallback(*blobs, log_dir=tmp_path, attacks=Threshold("loss"))
    mia.set_model(make_model())
    mia.set_params({"epochs": 9, "steps": None})
    with tf.summary.record_if(False):
        mia.on_train_begin()
        mia.on_epoch_begin(0)
        assert "mia/before_training" in events(tmp_path / "mia" / "loss")
        mia.on_epoch_end(0, {})
        assert [step for step, _ in events(tmp_path / "mia" / "loss")["mia/auc"]] == [0]
        mia.on_train_end()
    assert "mia/after_training" in events(tmp_path / "mia" / "loss")


def first_output(y, outputs):
    """A loss that nobody would train on, to see that it is the one the audit uses."""
    return outputs[:, 0]


def test_its_arguments_reach_the_audit_and_its_copies(make_model, blobs):
    x, y = blobs[1]
    attack = Population()
    mia = MIACallback(
        *blobs, attacks=attack, population=(x[:7], y[:7]), audit_size=33, seed=5, loss=first_output, batch_size=9
    )
    for callback in (mia, copy.deepcopy(mia)):
        attack.seen = None
        model = make_model()
        fit(model, blobs, callback, epochs=1)
        assert attack.seen["loss"].shape == (7, 1)
        drawn = AuditSet(*blobs, size=33, seed=5)
        np.testing.assert_array_equal(callback.audit_set.ids, drawn.ids)
        assert callback._auditor._pass._batch_size == 9
        table = callback.records().set_index(["is_member", "id"])["loss_iqr"]
        assert len(table) == 66
        np.testing.assert_allclose(callback._course.last.loss, -model.predict(drawn.x, verbose=0)[:, 0], rtol=1e-4)


def test_a_model_fitted_before_gets_no_null_check(make_model, blobs):
    """By its optimizer's steps: no callback of ours has seen the first fit."""
    rng = np.random.default_rng(0)
    members, nonmembers = (blobs[0][0][:60], rng.integers(0, 3, 60)), (blobs[1][0], rng.integers(0, 3, 90))
    model = make_model(optimizer=keras.optimizers.Adam(0.05))
    model.fit(*members, epochs=60, batch_size=20, verbose=0)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", category=AuditWarning, message=".*before any training.*")
        model.fit(*members, epochs=1, verbose=0, callbacks=[second := MIACallback(members, nonmembers)])
    assert second.reports[0].auc.low > 0.55


def test_before_four_audits_the_rank_follows_the_headline_score(make_model, blobs):
    mia = MIACallback(*blobs, attacks=[Threshold("entropy"), Threshold("loss")])
    fit(make_model(), blobs, mia, epochs=3)
    assert mia.records()["entropy"][:90].is_monotonic_decreasing


def test_looking_at_other_weights_changes_neither_reports_nor_ranks(make_model, blobs):
    mia, model = MIACallback(*blobs), make_model()
    fit(model, blobs, mia, epochs=5)
    before, count, held = mia.records(), len(mia.reports), model.get_weights()
    for factor in (0.1, 3.0, -1.0):
        model.set_weights([factor * w for w in held])
        assert mia.report.step is None
        assert "on the weights the model holds now" in mia.report.notes[0]
    model.set_weights(held)
    pd.testing.assert_frame_equal(mia.records(), before)
    assert len(mia.reports) == count
    assert mia.report.step == 4


def test_regressions_are_ranked_by_score(blobs):
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    mia = MIACallback(*blobs)
    fit(model, blobs, mia, epochs=5)
    assert mia.records()["loss"][:90].is_monotonic_decreasing


def test_only_weights_held_after_training_are_called_so(make_model, blobs):
    mia = MIACallback(*blobs, every=2, attacks=Threshold("loss"))
    fit(make_model(), blobs, mia, epochs=3)
    assert [report.step for report in mia.reports] == [-1, 1, 2]
    assert not any("the model holds now" in note for report in mia.reports for note in report.notes)


def test_the_remedy_for_a_small_audit_fits_its_cause(make_model, blobs):
    rng = np.random.default_rng(0)
    many = rng.normal(size=(1_500, 6)), rng.integers(0, 3, 1_500)
    remedies = {
        "give more members and nonmembers": blobs,
        "raise audit_size": (many, many),
        "give more nonmembers": (many, blobs[1]),
    }
    for remedy, sides in remedies.items():
        with pytest.warns(AuditWarning) as caught:
            fit(make_model(), blobs, MIACallback(*sides, audit_size=60), epochs=1)
        assert any(remedy in str(w.message) for w in caught)


def test_writers_are_closed_at_the_end_and_a_second_fit_adds_to_the_run(make_model, blobs, tmp_path):
    mia = MIACallback(*blobs, log_dir=tmp_path, attacks=Threshold("loss"))
    model = make_model()
    fit(model, blobs, mia, epochs=2)
    first = mia.audit_set
    fit(model, blobs, mia, epochs=4, initial_epoch=2)
    assert mia.audit_set is first
    assert [report.step for report in mia.reports] == [2, 3]
    assert [step for step, _ in events(tmp_path / "mia" / "loss")["mia/auc"]] == [0, 1, 2, 3]


def test_one_instance_can_be_fitted_twice_on_new_models(make_model, blobs):
    mia = MIACallback(*blobs)
    histories = [fit(make_model(), blobs, mia, shuffle=False).history for _ in range(2)]
    np.testing.assert_equal(histories[0], histories[1])
    assert len(mia.reports) == 4 * 7


def test_two_callbacks_with_two_names_live_side_by_side(make_model, blobs, tmp_path):
    both = [
        MIACallback(*blobs, name=name, seed=seed, audit_size=40, log_dir=tmp_path)
        for name, seed in (("a", 0), ("b", 1))
    ]
    history = fit(make_model(), blobs, *both).history
    assert {"a_auc", "b_auc", "a_entropy_auc", "b_entropy_auc"} <= set(history)
    assert history["a_auc"] != history["b_auc"]
    assert "b/auc" in events(tmp_path / "b" / "loss")


def test_the_report_speaks_of_the_weights_the_user_holds_now(make_model, blobs):
    mia = MIACallback(*blobs, attacks=Threshold("loss"))
    stopping = keras.callbacks.EarlyStopping("mia_auc", mode="min", patience=2, restore_best_weights=True)
    model = make_model(optimizer=keras.optimizers.Adam(0.05))
    fit(model, blobs, mia, stopping, epochs=12)
    last_epoch = mia.reports[-1]
    assert stopping.best_epoch < last_epoch.step
    assert float(mia.report.auc) == pytest.approx(stopping.best)
    assert mia.report is mia.report  # audited afresh once, not at every look


def test_averaged_weights_are_audited_at_the_end(make_model, blobs):
    mia = MIACallback(*blobs, attacks=Threshold("loss"))
    model = make_model(optimizer=keras.optimizers.Adam(0.05, use_ema=True, ema_momentum=0.9))
    fit(model, blobs, mia)
    live, averaged = mia.reports[-2:]
    assert live.step == averaged.step == 2
    assert float(live.auc) != float(averaged.auc)
    assert mia.report is averaged
    assert "on the weights the model holds now" in averaged.notes[0]


@pytest.mark.parametrize("as_dataset", [False, True])
def test_models_of_several_inputs_are_audited(blobs, as_dataset):
    inputs = {"left": keras.Input((4,), name="left"), "right": keras.Input((2,), name="right")}
    joined = keras.layers.Concatenate()([inputs["left"], inputs["right"]])
    model = keras.Model(inputs, keras.layers.Dense(3, "softmax")(joined))
    model.compile("adam", "sparse_categorical_crossentropy")
    (x, y), (x2, y2) = (({"left": a[:, :4], "right": a[:, 4:]}, b) for a, b in blobs)
    data = tf.data.Dataset.from_tensor_slices((x, y)).batch(16) if as_dataset else None
    mia = MIACallback(data or (x, y), (x2, y2), audit_size=50)
    fitted = {"x": data} if as_dataset else {"x": x, "y": y}
    model.fit(**fitted, verbose=0, shuffle=False, callbacks=[mia])
    p = model.predict({name: np.asarray(leaf) for name, leaf in mia.audit_set.x.items()}, verbose=0)
    table = mia.records().set_index(["is_member", "id"])["loss"]
    keys = list(zip(mia.audit_set.is_member, mia.audit_set.ids, strict=True))
    np.testing.assert_allclose(table.loc[keys], np.log(p[np.arange(100), mia.audit_set.y]), rtol=1e-4)


@pytest.mark.parametrize("where", ["on_train_batch_end", "on_epoch_end"])
def test_a_look_in_the_middle_of_training_disturbs_nothing(make_model, blobs, where, tmp_path):
    class Looking(keras.callbacks.Callback):
        seen = ()

        def look(self, *args, **kwargs):
            self.seen = (*self.seen, float(mia.report.auc))

    setattr(Looking, where, Looking.look)
    looking, mia = Looking(), MIACallback(*blobs, attacks=Threshold("loss"), log_dir=tmp_path)
    fit(make_model(), blobs, looking, mia)
    assert [report.step for report in mia.reports] == [-1, 0, 1, 2]
    assert [step for step, _ in events(tmp_path / "mia" / "loss")["mia/auc"]] == [0, 1, 2]
    assert len(set(looking.seen)) > 1


def test_records_speak_of_the_same_weights_as_the_report(make_model, blobs):
    mia = MIACallback(*blobs, attacks=Threshold("loss"))
    stopping = keras.callbacks.EarlyStopping("mia_auc", mode="min", patience=2, restore_best_weights=True)
    fit(make_model(optimizer=keras.optimizers.Adam(0.05)), blobs, mia, stopping, epochs=12)
    first, report, again = mia.records(), mia.report, mia.records()
    np.testing.assert_array_equal(first["loss"], again["loss"])
    assert report.notes[0] == f"the model holds the weights of epoch {report.step + 1} again."


def test_curves_are_kept_for_the_headline_and_the_newest_audit(make_model, blobs):
    mia = MIACallback(*blobs, attacks=[Threshold("loss"), Threshold("entropy")])
    fit(make_model(), blobs, mia)
    assert [(r.step, r.attack) for r in mia.reports if r.roc is None] == [(step, "entropy") for step in (-1, 0, 1)]
    assert not any(report.failed for report in mia.reports)


def test_a_fitted_callback_is_copied_as_a_new_one(make_model, blobs):
    data = tf.data.Dataset.from_tensor_slices(blobs[0]).batch(8)
    mia = MIACallback(data, blobs[1], every=2, name="copied", audit_size=50)
    fit(make_model(), blobs, mia)
    twin = copy.deepcopy(mia)
    assert twin.reports == []
    fit(make_model(), blobs, twin)
    np.testing.assert_array_equal(twin.audit_set.ids, mia.audit_set.ids)
    assert [report.step for report in twin.reports[::7]] == [-1, 1, 2]


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.inner = keras.Sequential(
            [keras.layers.Dense(8, "relu"), keras.layers.Dropout(0.5), keras.layers.Dense(3, "softmax")]
        )

    def call(self, x):
        return self.inner(x)


@pytest.mark.parametrize("build", [Subclassed, lambda: Subclassed().inner])
def test_models_that_have_no_weights_before_their_first_batch_are_audited_from_the_start(blobs, build):
    model = build()
    model.compile("adam", "sparse_categorical_crossentropy")
    mia = MIACallback(*blobs)
    fit(model, blobs, mia)
    assert [report.step for report in mia.reports[::7]] == [-1, 0, 1, 2]


class OwnTraining(keras.Sequential):
    def train_step(self, data):
        return super().train_step(data)


def test_an_overridden_train_step_is_called_out(blobs):
    model = OwnTraining([keras.Input((6,)), keras.layers.Dense(3, "softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    with pytest.warns(AuditWarning, match="OwnTraining overrides train_step; it is audited as model"):
        fit(model, blobs, MIACallback(*blobs), epochs=1)


@pytest.mark.slow
def test_a_second_phase_of_training_is_no_null_check(make_model, blobs):
    rng = np.random.default_rng(0)
    members, nonmembers = (blobs[0][0][:60], rng.integers(0, 3, 60)), (blobs[1][0], rng.integers(0, 3, 90))
    model = make_model(optimizer=keras.optimizers.Adam(0.05))
    first = MIACallback(members, nonmembers, every=20)
    model.fit(*members, epochs=100, batch_size=20, verbose=0, callbacks=[first])
    model.compile("sgd", "sparse_categorical_crossentropy")
    with warnings.catch_warnings():
        warnings.filterwarnings("error", category=AuditWarning, message=".*before any training.*")
        model.fit(*members, epochs=1, verbose=0, callbacks=[second := MIACallback(members, nonmembers)])
    assert second.reports[0].auc.low > 0.55


def test_a_strategy_of_one_device_is_audited(blobs):
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3, "softmax")])
        model.compile("adam", "sparse_categorical_crossentropy")
    mia = MIACallback(*blobs, on_error="raise")
    fit(model, blobs, mia, epochs=1)
    p = keras.ops.convert_to_numpy(model(mia.audit_set.x))[np.arange(180), mia.audit_set.y]
    table = mia.records().set_index(["is_member", "id"])
    audited = table.loc[list(zip(mia.audit_set.is_member, mia.audit_set.ids, strict=True)), "loss"]
    np.testing.assert_allclose(audited, np.log(p), rtol=1e-4)


def test_records_rank_the_members_by_the_course_of_their_loss(make_model, blobs):
    mia = MIACallback(AuditSet(*blobs, ids=([f"m{i}" for i in range(120)], [f"n{i}" for i in range(90)])))
    fit(make_model(), blobs, mia, epochs=5)
    table = mia.records()
    assert list(table.columns[:4]) == ["id", "is_member", "label", "loss"]
    assert len(table) == 180
    assert table["is_member"].tolist() == [True] * 90 + [False] * 90
    assert table["risk_rank"][:90].tolist() == list(range(1, 91))
    assert table["risk_rank"][90:].isna().all()
    assert table["loss_iqr"][:90].is_monotonic_decreasing
    position = int(table["id"][0][1:])
    assert table["label"][0] == blobs[0][1][position]
    losses = np.stack(mia._course.losses)[:, mia.audit_set.ids == table["id"][0]]
    assert table["loss_iqr"][0] == pytest.approx(np.subtract(*np.quantile(losses, (0.75, 0.25))), rel=1e-5)
    assert isinstance(table, pd.DataFrame)


def test_the_models_code_runs_at_most_twice_however_long_the_fit(make_model, blobs):
    mia = MIACallback(*blobs)
    model = make_model()
    fit(model, blobs, mia, epochs=6)
    model.layers[0].trainable = False
    model.set_weights([w * 0.5 for w in model.get_weights()])
    assert mia.report.step is None  # other weights than those of the last epoch
    assert mia._auditor.traces == 2


def test_hooks_can_be_driven_by_hand(make_model, blobs):
    mia = MIACallback(*blobs)
    mia.set_model(make_model())
    mia.set_params({"epochs": 1, "steps": 4})
    mia.on_train_begin()
    mia.on_epoch_begin(0)
    logs = {"loss": 1.0}
    mia.on_epoch_end(0, logs)
    mia.on_train_end()
    assert set(HEADLINE_KEYS) < set(logs)
    json.dumps(logs)


# Honesty at the door


def test_sides_that_differ_before_training_are_called_out(make_model, blobs):
    shifted = (blobs[1][0] * 3 + 2, blobs[1][1])
    mia = MIACallback(blobs[0], shifted)
    with pytest.warns(AuditWarning) as caught:
        fit(make_model(), blobs, mia, epochs=2)
    assert any(re.search("before any training the attack .* already has AUC", str(w.message)) for w in caught)
    assert all(any("before any training" in w for w in report.warnings) for report in mia.reports)


def test_copies_and_small_audits_are_called_out_once_and_in_every_report(make_model, blobs):
    x, y = (np.concatenate([a[:80], b[:10]]) for a, b in zip(blobs[1], blobs[0], strict=True))
    mia = MIACallback(blobs[0], (x, y))
    with pytest.warns(AuditWarning) as caught:
        fit(make_model(), blobs, mia)
    sentences = [str(w.message) for w in caught]
    assert sum("equal some record in members" in s for s in sentences) == 1
    assert sum("cannot resolve a false positive rate of 1 %" in s for s in sentences) == 1
    assert all(len(report.warnings) == 2 for report in mia.reports)


def test_members_that_are_a_part_of_what_fit_sees_are_called_out(make_model, blobs):
    (x, y), nonmembers = blobs
    with pytest.warns(AuditWarning, match="60 steps, which no batch size makes of the 100 records"):
        fit(make_model(), blobs, MIACallback((x[:100], y[:100]), nonmembers), batch_size=2, epochs=1)


@pytest.mark.parametrize("batch_size", [1, 2, 7, 32, 60, 119, 120, 500])
def test_any_batch_size_of_the_whole_training_set_is_silent(make_model, blobs, batch_size):
    for drop_remainder in (False, True):
        data = tf.data.Dataset.from_tensor_slices(blobs[0]).batch(min(batch_size, 120), drop_remainder)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            make_model().fit(data, epochs=1, verbose=0, shuffle=False, callbacks=[mia := MIACallback(*blobs)])
        assert mia.audit_set.available[0] == 120
        assert not [w for w in caught if "steps" in str(w.message)]


def test_members_that_validation_split_takes_away_are_called_out(make_model, blobs):
    with pytest.warns(AuditWarning, match=r"validation_split=0.25 leaves at most 90 of them to train on"):
        fit(make_model(), blobs, mia := MIACallback(*blobs), validation_split=0.25, epochs=1)
    assert any("validation_split=0.25" in warning for warning in mia.report.warnings)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", category=AuditWarning, message=".*validation_split.*")
        trained = blobs[0][0][:90], blobs[0][1][:90]
        fit(make_model(), blobs, MIACallback(trained, blobs[1]), validation_split=0.25, epochs=1)


def test_keys_that_stand_in_the_logs_already_are_called_out(make_model, blobs):
    class Mean(keras.metrics.SparseCategoricalAccuracy):
        pass

    model = make_model(metrics=[Mean(name="mia_auc")])
    with pytest.warns(AuditWarning) as caught:
        fit(model, blobs, MIACallback(*blobs))
    assert sum("the logs hold mia_auc already" in str(w.message) for w in caught) == 1


def test_two_callbacks_of_one_name_are_refused(make_model, blobs):
    with pytest.raises(ValueError, match="two callbacks in this fit are called 'mia'"):
        fit(make_model(), blobs, MIACallback(*blobs), MIACallback(*blobs))


@pytest.mark.parametrize(
    "reader",
    [
        lambda path: keras.callbacks.EarlyStopping("mia_auc", mode="min"),
        lambda path: keras.callbacks.CSVLogger(path / "log.csv"),
        lambda path: keras.callbacks.ModelCheckpoint(path / "{mia_auc:.2f}.keras", monitor="loss", save_best_only=True),
    ],
)
def test_a_reader_placed_too_early_is_called_out(make_model, blobs, reader, tmp_path):
    mia = MIACallback(*blobs)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            fit(make_model(), blobs, reader(tmp_path), mia, epochs=1)
        except KeyError:  # what ModelCheckpoint makes of it
            pass
    assert any("stands before it in the list; place it after" in str(w.message) for w in caught)


def test_a_reader_placed_after_is_served(make_model, blobs, tmp_path):
    keeper = keras.callbacks.ModelCheckpoint(tmp_path / "{epoch}-{mia_auc:.2f}.weights.h5", save_weights_only=True)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", category=AuditWarning, message=".*place it after.*")
        history = fit(make_model(), blobs, MIACallback(*blobs), keeper, epochs=2).history
    expected = {f"{epoch + 1}-{value:.2f}.weights.h5" for epoch, value in enumerate(history["mia_auc"])}
    assert {path.name for path in tmp_path.iterdir()} == expected


# Bad input


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda m, n, path: MIACallback(m, n, every=0), "every is 0"),
        (lambda m, n, path: MIACallback(m, n, every="epoch"), "'train_end'"),
        (lambda m, n, path: MIACallback(m, n, on_error="ignore"), "'warn' or 'raise'"),
        (lambda m, n, path: MIACallback(m, n, every=2.5), "every is 2.5; give a whole number"),
        (lambda m, n, path: MIACallback(m, n, seed=-1), "seed is -1; give a whole number"),
        (lambda m, n, path: MIACallback(m, n, seed=None), "seed is None"),
        (lambda m, n, path: MIACallback(m, n, batch_size=0), "batch_size is 0"),
        (lambda m, n, path: MIACallback(m, n, log_dir=3), "str, bytes or os.PathLike"),
        (lambda m, n, path: MIACallback(m, n, log_dir="nowhere://bucket/run"), "log_dir, .* cannot be written"),
        (lambda m, n, path: MIACallback(m, n, name="file", log_dir=path), "log_dir, .* cannot be written"),
        (lambda m, n, path: MIACallback(m, n, name="val"), "Keras' own validation keys"),
        (lambda m, n, path: MIACallback(m, n, name="a/b"), "folder and a log key"),
        (lambda m, n, path: MIACallback(m, n, attacks=Elsewhere()), "folder and a log key"),
        (lambda m, n, path: MIACallback(m), "nonmembers is missing"),
        (lambda m, n, path: MIACallback(m, n, audit_size=0), "at least 1"),
        (lambda m, n, path: MIACallback((m[0][:0], m[1][:0]), n), "members is empty"),
        (lambda m, n, path: MIACallback(m, (n[0], n[1] + 1)), "labels out of range"),
        (lambda m, n, path: MIACallback(m, (n[0] + np.nan, n[1])), "NaN or infinite"),
        (lambda m, n, path: MIACallback(m, n, attacks=[]), "attacks is empty"),
        (lambda m, n, path: MIACallback(m, n, attacks="loss"), "give instances such as"),
        (lambda m, n, path: MIACallback(AuditSet(m, n), n), "an AuditSet already"),
        (lambda m, n, path: MIACallback(m, n, log_dir=path / "file" / "logs"), "cannot be written"),
    ],
)
def test_bad_input_is_refused_before_anything_is_trained_or_written(make_model, blobs, tmp_path, make, message):
    (tmp_path / "file").write_text("not a directory")
    model = make_model()
    before = [w.copy() for w in model.get_weights()]
    with pytest.raises((TypeError, ValueError), match=message):
        fit(model, blobs, make(*blobs, tmp_path))
    for ours, theirs in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_outputs_that_are_not_finite_are_named_before_training(make_model, blobs):
    model = make_model()
    model.set_weights([np.full_like(w, np.nan) for w in model.get_weights()])
    with pytest.raises(
        ValueError, match=r"output 'dense.*' is NaN or infinite for 180 of 180 audited records \(member 0"
    ):
        fit(model, blobs, MIACallback(*blobs))


class Elsewhere:
    name, signals, needs_population = "../../elsewhere", ("loss",), False

    def fit(self, context):
        return self


class Poison(keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
        if epoch == 0:
            self.model.set_weights([np.full_like(w, np.nan) for w in self.model.get_weights()])


def test_a_model_that_diverges_ends_in_marked_reports_and_a_warning(make_model, blobs, tmp_path):
    mia = MIACallback(*blobs, attacks=Threshold("loss"), log_dir=tmp_path)
    with pytest.warns(AuditWarning, match="after epoch 2, loss: audit failed: .* NaN or infinite"):
        history = fit(make_model(), blobs, mia, Poison()).history
    assert [report.failed for report in mia.reports] == [False, False, True, True]
    assert np.isfinite(history["mia_auc"][0])
    assert np.isnan(history["mia_auc"][1:]).all()
    assert mia.report.failed
    with pytest.raises(RuntimeError, match="the newest audit gave no scores: audit failed"):
        mia.records()
    assert [step for step, _ in events(tmp_path / "mia" / "loss")["mia/auc"]] == [0]


def test_on_error_raise_ends_the_run(make_model, blobs):
    with pytest.raises(ValueError, match="NaN or infinite"):
        fit(make_model(), blobs, MIACallback(*blobs, on_error="raise"), Poison())


class Failing:
    name, signals, needs_population = "failing", ("loss",), False

    def fit(self, context):
        raise ZeroDivisionError("by nought")


def test_an_attack_that_fails_spoils_neither_the_others_nor_the_training(make_model, blobs):
    mia = MIACallback(*blobs, attacks=[Threshold("loss"), Failing()])
    with pytest.warns(AuditWarning, match="failing: audit failed: by nought"):
        history = fit(make_model(), blobs, mia).history
    assert np.isfinite(history["mia_auc"]).all()
    assert np.isnan(history["mia_failing_auc"]).all()
    assert mia.records().shape[0] == 180


def test_a_log_directory_that_disappears_does_not_end_the_run(make_model, blobs, tmp_path):
    mia = MIACallback(*blobs, log_dir=tmp_path / "logs", attacks=Threshold("loss"))
    obstacle = keras.callbacks.LambdaCallback(on_train_begin=lambda logs: (tmp_path / "logs").write_text("in the way"))
    with pytest.warns(AuditWarning, match="training goes on"):
        history = fit(make_model(), blobs, mia, obstacle).history
    assert len(history["loss"]) == 3


class Population:
    name, signals, needs_population = "population", ("loss",), True

    def fit(self, context):
        self.seen = context.population
        return self

    def score(self, signals):
        return np.searchsorted(np.sort(self.seen["loss"][:, 0]), signals["loss"][:, 0]).astype(float)


def test_an_attack_that_needs_a_population_gets_a_third_of_the_nonmembers(make_model, blobs):
    attack = Population()
    mia = MIACallback(*blobs, attacks=attack)
    fit(make_model(), blobs, mia)
    assert attack.seen["loss"].shape == (30, 1)
    assert mia._auditor.traces == 4
    assert mia.report.num_nonmembers == 60


def test_questions_before_the_first_fit_are_answered_in_a_sentence(blobs):
    mia = MIACallback(*blobs)
    with pytest.raises(RuntimeError, match=r"pass the callback to model\.fit first"):
        mia.report  # noqa: B018
    with pytest.raises(RuntimeError, match="no report yet"):
        mia.records()

import warnings

import keras
import numpy as np
import pytest

from privacy_callbacks import AuditWarning, LeakageLimit, MIACallback, PrivateCheckpoint
from privacy_callbacks.attacks import Estimate
from privacy_callbacks.published import publish, published, retract, was_audited

pytestmark = pytest.mark.filterwarnings("ignore:.*cannot resolve a false positive rate:UserWarning")


def drive(callback, epochs):
    """Feeds a callback one (utility, Estimate of leakage) an epoch until it stops; returns the model."""
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.stop_training = False
    callback.set_model(model)
    callback.on_train_begin()
    for epoch, (utility, leakage) in enumerate(epochs):
        model.set_weights([np.full((1, 1), epoch, "float32"), np.zeros(1, "float32")])
        publish(model, {"mia_auc": leakage}, epoch)
        callback.on_epoch_end(epoch, {"val_accuracy": utility, "mia_auc": float(leakage)})
        if model.stop_training:
            break
    callback.on_train_end()
    return model


def test_training_stops_when_the_lower_bound_passes_the_limit(capsys):
    limit = LeakageLimit("mia_auc", maximum=0.6)
    drive(
        limit, [(0, Estimate(0.55, 0.5, 0.6)), (0, Estimate(0.65, 0.6, 0.7)), (0, Estimate(0.66, 0.61, 0.7)), (0, None)]
    )
    assert limit.stopped_epoch == 2
    assert "after epoch 3 mia_auc is 0.660 [0.610, 0.700], surely above 0.6; training stops" in capsys.readouterr().out


def test_a_single_lucky_epoch_does_not_stop():
    limit = LeakageLimit("mia_auc", maximum=0.6)
    assert not drive(limit, [(0, Estimate(0.7, 0.59, 0.8))] * 3).stop_training
    assert limit.stopped_epoch is None


def test_a_number_that_is_not_there_does_not_stop_and_is_called_out_once(make_model, blobs):
    limit = LeakageLimit("mia_tpr_at_fpr_1e-2", maximum=0.1)  # refused: 90 non-members
    with pytest.warns(AuditWarning) as caught:
        make_model().fit(*blobs[0], epochs=3, verbose=0, callbacks=[MIACallback(*blobs), limit])
    assert sum("cannot decide by 'mia_tpr_at_fpr_1e-2': it is NaN" in str(w.message) for w in caught) == 1
    assert limit.stopped_epoch is None


def test_the_number_of_another_fit_or_epoch_decides_nothing(make_model, blobs, tmp_path):
    """A memorising fit, then a fresh start that is audited for the first time after its third epoch."""
    rng = np.random.default_rng(0)
    members = blobs[0][0][:60], rng.integers(0, 3, 60)
    sides = members, (blobs[1][0], rng.integers(0, 3, 90))
    model = make_model(optimizer=keras.optimizers.Adam(0.05))
    fresh = [w.copy() for w in model.get_weights()]
    first = MIACallback(*sides, every=20)
    model.fit(*members, epochs=80, batch_size=20, verbose=0, callbacks=[first])
    assert first.report.auc.low > 0.55
    model.set_weights(fresh)
    model.compile("sgd", "sparse_categorical_crossentropy")
    limit, checkpoint = LeakageLimit("mia_auc", 0.55), PrivateCheckpoint(tmp_path / "best.keras", "loss", maximum=0.9)
    model.fit(*members, epochs=4, verbose=0, callbacks=[MIACallback(*sides, every=3), limit, checkpoint])
    assert limit.stopped_epoch is None
    assert checkpoint.best_epoch == 2  # epoch 3 has a lower loss, but nobody audited it


def test_a_real_fit_is_stopped(make_model, blobs):
    rng = np.random.default_rng(0)
    members = blobs[0][0][:60], rng.integers(0, 3, 60)
    model = make_model(optimizer=keras.optimizers.Adam(0.05))
    limit = LeakageLimit("mia_auc", maximum=0.55)
    mia = MIACallback(members, (blobs[1][0], rng.integers(0, 3, 90)))
    history = model.fit(*members, epochs=80, batch_size=20, verbose=0, callbacks=[mia, limit]).history
    assert len(history["loss"]) == limit.stopped_epoch + 1 < 80
    assert mia.report.auc.low > 0.55
    assert all(
        report.auc.low <= 0.55
        for report in mia.reports
        if report.attack == "loss" and report.step < limit.stopped_epoch
    )


def test_a_number_left_over_from_an_earlier_fit_decides_nothing(make_model, blobs):
    model = make_model()
    publish(model, {"mia_auc": Estimate(0.9, 0.85, 0.95)}, epoch=0)
    limit = LeakageLimit("mia_auc", maximum=0.6)
    model.fit(*blobs[0], epochs=2, verbose=0, callbacks=[MIACallback(*blobs, every=2), limit])
    assert limit.stopped_epoch is None


def test_both_start_afresh_in_a_second_fit(tmp_path):
    limit = LeakageLimit("mia_auc", maximum=0.6)
    drive(limit, [(0, Estimate(0.7, 0.65, 0.75))])
    drive(limit, [(0, Estimate(0.5, 0.45, 0.55))])
    assert limit.stopped_epoch is None
    checkpoint = PrivateCheckpoint(tmp_path / "best.keras", "val_accuracy")
    drive(checkpoint, [(0.9, Estimate(0.5, 0.45, 0.55))])
    drive(checkpoint, [(0.0, Estimate(0.5, 0.45, 0.55)), (0.3, Estimate(0.5, 0.45, 0.55))])
    assert (checkpoint.best, checkpoint.best_epoch) == (0.3, 1)


def test_the_most_useful_model_surely_within_the_limit_is_kept(tmp_path):
    checkpoint = PrivateCheckpoint(tmp_path / "deep" / "best.keras", "val_accuracy", maximum=0.6)
    drive(
        checkpoint,
        [
            (0.70, Estimate(0.50, 0.45, 0.55)),
            (0.80, Estimate(0.55, 0.50, 0.60)),  # the best within
            (0.75, Estimate(0.55, 0.50, 0.60)),
            (0.90, Estimate(0.58, 0.55, 0.61)),  # better, but not surely within
            (float("nan"), Estimate(0.5, 0.45, 0.55)),
        ],
    )
    assert (checkpoint.best, checkpoint.best_epoch) == (0.8, 1)
    kept = keras.models.load_model(checkpoint.filepath)
    assert kept.get_weights()[0].item() == 1
    assert [path.name for path in checkpoint.filepath.parent.iterdir()] == ["best.keras"]


def test_losses_are_minimised_and_weights_alone_can_be_kept(tmp_path):
    checkpoint = PrivateCheckpoint(tmp_path / "best.weights.h5", "val_loss", leakage="mia_auc")
    assert checkpoint.mode == "min"
    checkpoint.monitor = "val_accuracy"
    drive(checkpoint, [(0.3, Estimate(0.5, 0.4, 0.6)), (0.2, Estimate(0.5, 0.4, 0.6)), (0.4, Estimate(0.5, 0.4, 0.6))])
    assert checkpoint.best_epoch == 1
    assert [path.name for path in tmp_path.iterdir()] == ["best.weights.h5"]


def test_no_epoch_within_the_limit_leaves_no_file_and_says_so(tmp_path):
    with pytest.warns(AuditWarning, match="mia_auc: no epoch kept it surely within 0.6"):
        drive(PrivateCheckpoint(tmp_path / "best.keras", "val_accuracy"), [(0.9, Estimate(0.7, 0.65, 0.75))])
    assert not list(tmp_path.iterdir())


def test_an_interrupted_save_leaves_the_file_before_it_whole(tmp_path, monkeypatch):
    checkpoint = PrivateCheckpoint(tmp_path / "best.keras", "val_accuracy")
    drive(checkpoint, [(0.5, Estimate(0.5, 0.4, 0.6))])
    whole = checkpoint.filepath.read_bytes()

    def torn(self, path, **arguments):
        path.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr(keras.Sequential, "save", torn)
    with pytest.raises(OSError, match="disk full"):
        checkpoint._save()
    assert checkpoint.filepath.read_bytes() == whole
    assert len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    "make", [lambda path: LeakageLimit(), lambda path: PrivateCheckpoint(path / "a.keras", "loss")]
)
def test_standing_before_the_mia_callback_is_called_out_once(make_model, blobs, make, tmp_path):
    x, y = blobs[0]
    with pytest.warns(AuditWarning) as caught:
        make_model().fit(x, y, epochs=3, verbose=0, callbacks=[make(tmp_path), MIACallback(*blobs)])
    assert sum("finds no 'mia_auc' in the logs" in str(w.message) for w in caught) == 1


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: LeakageLimit("mia_auc", float("nan")), "highest leakage to accept"),
        (lambda: LeakageLimit("mia_auc", "0.6"), "highest leakage to accept"),
        (lambda: LeakageLimit("mia_advantage", 0.1), "no confidence interval to decide by"),
        (lambda: PrivateCheckpoint("best.h5"), "ends in .keras or .weights.h5"),
        (lambda: PrivateCheckpoint("best.keras", mode="most"), "'min', 'max' or 'auto'"),
        (lambda: PrivateCheckpoint("best.keras", "val_true_positives"), "give mode='max' or mode='min'"),
    ],
)
def test_bad_arguments_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("monitor", "mode"),
    [
        ("val_accuracy", "max"),
        ("val_auc", "max"),
        ("val_r2_score", "max"),
        ("val_loss", "min"),
        ("val_mae", "min"),
        ("val_accident_loss", "min"),
        ("val_mean_absolute_error", "min"),
    ],
)
def test_the_mode_follows_from_the_utilitys_name(monitor, mode):
    assert PrivateCheckpoint("best.keras", monitor).mode == mode


def test_published_estimates_belong_to_their_epoch():
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    publish(model, {"mia_auc": Estimate(0.5, 0.4, 0.6)}, epoch=3)
    assert published(model, "mia_auc", epoch=3).high == 0.6
    assert published(model, "mia_auc", epoch=4) is None
    assert was_audited(model, "mia_auc")
    publish(model, {"mia_auc": None}, epoch=4)
    assert published(model, "mia_auc", epoch=4) is None
    assert was_audited(model, "mia_auc", epoch=4)
    retract(model, ["mia_auc"])
    assert not was_audited(model, "mia_auc")


@pytest.mark.parametrize(
    ("monitor", "message"), [("loss", "no MIACallback writes it"), ("val_loss", "give fit validation_data")]
)
def test_a_key_that_is_not_an_audits_is_called_out(make_model, blobs, monitor, message):
    with pytest.warns(AuditWarning) as caught:
        make_model().fit(*blobs[0], epochs=2, verbose=0, callbacks=[MIACallback(*blobs), LeakageLimit(monitor, 0.1)])
    assert sum(message in str(w.message) for w in caught) == 1


def test_epochs_that_are_not_audited_are_passed_over_in_silence(make_model, blobs):
    limit = LeakageLimit(maximum=0.9)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        history = (
            make_model().fit(*blobs[0], epochs=4, verbose=0, callbacks=[MIACallback(*blobs, every=3), limit]).history
        )
    assert np.isnan(history["mia_auc"]).tolist() == [True, True, False, False]
    assert not [w for w in caught if "LeakageLimit" in str(w.message)]


def test_a_file_that_cannot_be_written_is_refused_before_training(make_model, blobs, tmp_path):
    (tmp_path / "file").write_text("not a directory")
    checkpoint = PrivateCheckpoint(tmp_path / "file" / "best.keras", "loss")
    with pytest.raises(ValueError, match=r"the folder of filepath, .* cannot be written"):
        make_model().fit(*blobs[0], verbose=0, callbacks=[MIACallback(*blobs), checkpoint])

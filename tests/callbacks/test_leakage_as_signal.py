"""Keras' own callbacks and KerasTuner decide by leakage: keys that are always there, and a NaN that never wins."""

import math

import keras
import keras_tuner
import numpy as np
import pytest

from privacy_callbacks import AuditWarning, LeakageLimit, MIACallback, PrivateCheckpoint
from privacy_callbacks.attacks import Threshold

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*cannot resolve a false positive rate:UserWarning"),
    # KerasTuner, on keys that are NaN throughout.
    pytest.mark.filterwarnings("ignore:All-NaN axis encountered:RuntimeWarning"),
]
HEADLINE = ["mia_auc", "mia_advantage", "mia_youden_j", "mia_tpr_at_fpr_1e-2"]
LOSS = Threshold("loss")


@pytest.fixture
def sides(blobs):
    """60 members and 90 non-members whose labels only memory can tell."""
    rng = np.random.default_rng(0)
    return (blobs[0][0][:60], rng.integers(0, 3, 60)), (blobs[1][0], rng.integers(0, 3, 90))


@pytest.fixture
def validation(blobs):
    return blobs[0][0][60:], blobs[0][1][60:]


@pytest.fixture
def memoriser(make_model):
    def build(rate=0.05):
        return make_model(optimizer=keras.optimizers.Adam(rate), metrics=["accuracy"])

    return build


@pytest.fixture
def fitted(memoriser, sides, validation):
    """Fits a memorising model with `MIACallback` first; returns the history."""

    def fit(*callbacks, epochs=12, **audits):
        mia = MIACallback(*sides, **{"attacks": LOSS, "blind_baseline": False, **audits})
        arguments = {"epochs": epochs, "batch_size": 20, "shuffle": False, "verbose": 0}
        return memoriser().fit(*sides[0], **arguments, validation_data=validation, callbacks=[mia, *callbacks]).history

    return fit


@pytest.mark.parametrize("every", [1, 2])
def test_every_key_is_there_from_the_first_epoch_on(fitted, every):
    history = fitted(epochs=3, every=every, attacks=[LOSS, Threshold("entropy")])
    for key in [*HEADLINE, "mia_entropy_auc"]:
        assert len(history[key]) == 3
    assert np.isnan(history["mia_auc"]).tolist() == [every == 2, False, False]
    assert np.isnan(history["mia_tpr_at_fpr_1e-2"]).all()  # refused: 90 non-members


def test_early_stopping_on_leakage_keeps_the_least_trained_model(fitted):
    stopping = keras.callbacks.EarlyStopping("mia_auc", mode="min", patience=4, restore_best_weights=True)
    history = fitted(stopping, epochs=20)
    assert len(history["loss"]) < 12
    assert stopping.best_epoch < 5
    assert history["loss"][stopping.best_epoch] > 1.2 * history["loss"][-1]


def test_utility_and_leakage_each_may_end_a_run(fitted):
    limit = LeakageLimit("mia_auc", maximum=0.55)
    patient = keras.callbacks.EarlyStopping("loss", patience=60, restore_best_weights=True)
    history = fitted(limit, patient, epochs=80)
    assert len(history["loss"]) == limit.stopped_epoch + 1 < 80
    impatient = keras.callbacks.EarlyStopping("val_loss", patience=2)
    lenient = LeakageLimit("mia_auc", maximum=0.99)
    history = fitted(lenient, impatient, epochs=80)
    assert lenient.stopped_epoch is None
    assert len(history["loss"]) == impatient.stopped_epoch + 1 < 80


def test_a_checkpoint_can_carry_its_leakage_in_its_name(fitted, tmp_path):
    history = fitted(keras.callbacks.ModelCheckpoint(tmp_path / "{epoch:02d}-{mia_auc:.3f}.keras"), epochs=3)
    expected = [f"{epoch:02d}-{auc:.3f}.keras" for epoch, auc in enumerate(history["mia_auc"], start=1)]
    assert sorted(path.name for path in tmp_path.iterdir()) == expected


def test_a_nan_that_comes_first_wins_unless_a_threshold_stands_there(fitted, tmp_path):
    """Of Keras itself: what the documentation warns of, and the remedy."""
    trapped, safe = (
        keras.callbacks.ModelCheckpoint(tmp_path / f"{name}.keras", "mia_auc", mode="min", save_best_only=True, **given)
        for name, given in (("trapped", {}), ("safe", {"initial_value_threshold": 1.0}))
    )
    history = fitted(trapped, safe, epochs=4, every=2)
    assert math.isnan(trapped.best)
    assert safe.best == np.nanmin(history["mia_auc"])


def test_private_checkpoint_keeps_no_epoch_of_unknown_leakage(fitted, tmp_path):
    kept = PrivateCheckpoint(tmp_path / "best.keras", "loss", leakage="mia_tpr_at_fpr_1e-2", maximum=1.0)
    with pytest.warns(AuditWarning, match="no audited epoch gave it an interval"):
        fitted(kept, epochs=2)
    assert not list(tmp_path.iterdir())


class Priced(keras.callbacks.Callback):
    """As in docs/training_signal.md."""

    def on_epoch_end(self, epoch, logs=None):
        excess = logs["mia_auc"] - 0.55
        logs["priced"] = -math.inf if math.isnan(excess) else logs["val_accuracy"] - 2 * max(0.0, excess)


@pytest.mark.slow
class TestKerasTuner:
    @pytest.fixture
    def search(self, memoriser, sides, validation, tmp_path):
        """Searches learning rates; returns the tuner and the history of each trial's objective, by rate."""

        def search(rates, objective, *callbacks, hypermodel=None, **audits):
            def build(hp):
                return memoriser(hp.Choice("rate", rates))

            objective = keras_tuner.Objective(*objective)
            tuner = keras_tuner.GridSearch(hypermodel or build, objective, directory=tmp_path, overwrite=True)
            mia = MIACallback(*sides, **{"attacks": LOSS, "blind_baseline": False, **audits})
            arguments = {"epochs": 3, "batch_size": 20, "shuffle": False, "verbose": 0}
            tuner.search(*sides[0], **arguments, validation_data=validation, callbacks=[mia, *callbacks])
            return tuner

        return search

    def test_leakage_can_be_an_objective(self, search):
        tuner = search([1e-4, 0.1], ("mia_auc", "min"))
        slow, fast = (trial.score for trial in sorted(tuner.oracle.trials.values(), key=rate_of))
        assert tuner.get_best_hyperparameters()[0].values["rate"] == (1e-4 if slow < fast else 0.1)
        assert all(math.isfinite(score) for score in (slow, fast))

    def test_a_price_of_leakage_can_be_one(self, search):
        tuner = search([1e-4, 0.1], ("priced", "max"), Priced())
        for trial in tuner.oracle.trials.values():
            auc, accuracy = (trial.metrics.get_best_value(name) for name in ("mia_auc", "val_accuracy"))
            assert trial.score == pytest.approx(accuracy - 2 * max(0.0, auc - 0.55))

    @pytest.mark.filterwarnings("ignore::privacy_callbacks.AuditWarning")
    def test_a_training_that_diverged_does_not_win(self, search):
        """Its answers are no numbers, so nothing leaks that an attack could see; and every comparison with NaN is false."""
        tuner = search([1e30, 0.01], ("mia_auc", "min"))
        assert tuner.get_best_hyperparameters()[0].values["rate"] == 0.01
        (lost,) = [trial for trial in tuner.oracle.trials.values() if rate_of(trial) == 1e30]
        assert lost.status == "FAILED"
        tuner = search([1e30, 0.01], ("priced", "max"), Priced())
        assert tuner.get_best_hyperparameters()[0].values["rate"] == 0.01

    def test_an_objective_that_is_refused_throughout_ends_the_search(self, search):
        with pytest.raises(RuntimeError, match="consecutive failures"):
            search([1e-4, 1e-3, 1e-2], ("mia_tpr_at_fpr_1e-2", "min"))

    def test_an_epoch_without_an_audit_costs_a_leakage_objective_the_trial_and_a_price_nothing(self, search):
        tuner = search([0.01], ("mia_auc", "min"), every=2)
        assert [trial.status for trial in tuner.oracle.trials.values()] == ["FAILED"]
        (trial,) = search([0.01], ("priced", "max"), Priced(), every=2).oracle.trials.values()
        assert math.isfinite(trial.score)
        assert trial.best_step >= 1

    @pytest.mark.filterwarnings("ignore::privacy_callbacks.AuditWarning")
    def test_a_trial_can_be_worth_what_private_checkpoint_kept(self, search, memoriser, sides, tmp_path):
        class WithinLimit(keras_tuner.HyperModel):
            def build(self, hp):
                return memoriser(hp.Choice("rate", [1e-3, 0.2]))

            def fit(self, hp, model, *args, callbacks, **named):
                kept = PrivateCheckpoint(tmp_path / f"{hp.get('rate')}.keras", "val_accuracy", maximum=0.75)
                model.fit(*args, callbacks=[*callbacks[:1], kept, *callbacks[1:]], **named)
                return {"private_accuracy": -1.0 if kept.best is None else kept.best}

        tuner = search([], ("private_accuracy", "max"), hypermodel=WithinLimit())
        best = tuner.oracle.get_best_trials()[0]
        assert best.score > 0
        assert (tmp_path / f"{rate_of(best)}.keras").is_file()


def rate_of(trial):
    return trial.hyperparameters.values["rate"]

"""Whatever goes wrong in an audit: training ends with the same bits, the logs hold NaN, and one warning says what and why."""

import re
import shutil
import threading

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from interrupted_runs import plan, world
from watched_fits import EPOCHS, trained

from privacy_callbacks import MIACallback
from privacy_callbacks import slicing as slicing_module
from privacy_callbacks.attacks import Threshold, Trained, compiled_pass
from privacy_callbacks.attacks.attack import Signals
from privacy_callbacks.attacks.cross_fitting import cross_fitted
from privacy_callbacks.time_limit import TookTooLong


class Odd:
    """An attack that makes of the losses whatever a function makes of them."""

    signals, needs_population = ("loss",), False

    def __init__(self, name, made):
        self.name, self.made = name, made

    def fit(self, context):
        return self

    def score(self, signals):
        return self.made(signals["loss"][:, 0])


class OddLearner(Odd):
    """The same of one that learns from records of known membership."""

    needs_examples = True


def raising(error):
    def made(losses):
        raise error

    return made


def without_one(value):
    return lambda losses: np.where(np.arange(len(losses)) == 5, value, losses)


REFUSED = {
    "an error": (raising(ZeroDivisionError("by nought")), r"by nought \(ZeroDivisionError\)"),
    "an error without words": (raising(MemoryError()), "MemoryError"),
    "an error whose words say nothing": (raising(KeyError("x")), r"'x' \(KeyError\)"),
    "the end of an iterator": (raising(StopIteration()), "StopIteration"),
    "NaN": (lambda losses: np.full(len(losses), np.nan), "NaN for 120 of 120 records"),
    "a NaN": (without_one(np.nan), r"NaN for 1 of 120 records \(first: position 5\)"),
    "too few": (lambda losses: losses[:-1], r"shape \(119,\) for 120 records"),
    "too many": (lambda losses: np.append(losses, 0), r"shape \(121,\) for 120 records"),
    "one for all": (lambda losses: losses[0], r"shape \(\) for 120 records"),
    "one for all in a list": (lambda losses: losses[:1], r"shape \(1,\) for 120 records"),
    "a column": (lambda losses: losses[:, None], r"shape \(120, 1\) for 120 records"),
    "nothing": (lambda losses: None, r"a NoneType\) for 120 records"),
    "a generator": (lambda losses: (float(loss) for loss in losses), r"a generator\) for 120 records"),
    "complex numbers": (lambda losses: losses + 1j, "type complex128; give one real number a record"),
    "text": (lambda losses: [f"{loss}" for loss in losses], "type <U.*; give one real number a record"),
    "dates": (lambda losses: np.arange(len(losses)).astype("M8[s]"), "datetime64"),
    "objects": (lambda losses: np.array([object()] * len(losses)), "no real numbers"),
    "a column with gaps": (
        lambda losses: pd.Series(losses).astype("Float64").where(losses > np.median(losses)),
        "NaN for",
    ),
    "what it was given, changed": (lambda losses: losses.__setitem__(0, 0), "read-only"),
}

TAKEN = {
    "an array": lambda losses: losses,
    "a list": list,
    "a tensor": tf.constant,
    "a variable": tf.Variable,
    "a pandas column": pd.Series,
    "objects that are numbers": lambda losses: losses.astype(object),
    "the best one is infinite": lambda losses: np.where(losses == losses.max(), np.inf, losses),
    "the worst one is infinite": lambda losses: np.where(losses == losses.min(), -np.inf, losses),
}


@pytest.fixture(scope="module")
def unwatched():
    return trained()


@pytest.fixture(scope="module")
def watched(unwatched):
    """Fits with an audit, which ends with the same bits as the fit without; returns callback, logs and warnings."""

    def fit(*further, **options):
        mia = MIACallback(*world(), blind_baseline=False, **options)
        logs, weights, said = trained(mia, *further)
        assert logs["loss"] == unwatched[0]["loss"]
        for ours, theirs in zip(weights, unwatched[1], strict=True):
            np.testing.assert_array_equal(ours, theirs)
        return mia, logs, said

    return fit


@pytest.fixture(scope="module")
def together(watched):
    """One fit with every odd attack; nobody's fault is another's."""
    odd = [
        kind(f"{kind.__name__}_{i}", made) for kind in (Odd, OddLearner) for i, (made, _) in enumerate(REFUSED.values())
    ]
    taken = [Odd(f"Taken_{i}", made) for i, made in enumerate(TAKEN.values())]
    return watched(attacks=[Threshold("loss"), *odd, *taken])


@pytest.mark.parametrize("kind", [Odd, OddLearner])
@pytest.mark.parametrize("fault", REFUSED)
def test_an_attack_that_fails_costs_its_own_numbers_alone_and_is_named_once(fault, kind, together):
    mia, logs, said = together
    name, reason = f"{kind.__name__}_{list(REFUSED).index(fault)}", REFUSED[fault][1]
    (sentence,) = [sentence for sentence in said if re.search(rf"\b{name}\b", sentence)]
    assert sentence.startswith("MIACallback 'mia': after epoch 1, ")
    assert re.search(reason if kind is Odd else re.sub(r"\d+", r"\\d+", reason), sentence)
    assert np.isnan(logs[f"mia_{name}_auc"]).all()
    assert len(logs[f"mia_{name}_auc"]) == EPOCHS
    assert [report.failed for report in mia.reports if report.attack == name] == [True] * (1 + EPOCHS)


@pytest.mark.parametrize("form", TAKEN)
def test_scores_in_other_forms_are_those_scores(form, together):
    _, logs, said = together
    assert logs[f"mia_Taken_{list(TAKEN).index(form)}_auc"] == logs["mia_auc"]
    assert np.isfinite(logs["mia_auc"]).all()
    assert "Taken" not in " ".join(said)


def test_a_headline_that_fails_now_and_then_has_its_keys_and_its_number_at_the_other_epochs(watched):
    calls = []

    def every_other(losses):
        calls.append(None)
        if len(calls) % 2 == 0:
            raise OSError(5, "no luck")
        return losses

    mia, logs, said = watched(attacks=[Odd("odd", every_other), Threshold("loss")], log_records=3)
    assert len(said) == 1
    for key in ("mia_auc", "mia_advantage", "mia_youden_j"):
        assert np.isnan(logs[key]).tolist() == [True, False, True]
    assert np.isfinite(logs["mia_loss_auc"]).all()
    assert len(mia.records()) == 120


@pytest.fixture
def never():
    """Waits until the test is over."""
    over = threading.Event()

    def wait(losses):
        over.wait()
        return losses

    yield wait
    over.set()


def test_an_attack_that_hangs_is_given_up_once_and_training_goes_on(watched, never):
    calls = []

    def counted(losses):
        calls.append(None)
        return never(losses)

    mia, logs, said = watched(attacks=[Odd("odd", counted), Threshold("loss")], attack_timeout=3)
    reason = "audit failed: it took longer than 3 s (attack_timeout), and is not asked again in this fit"
    assert said == [f"MIACallback 'mia': after epoch 1, odd: {reason}"]
    assert len(calls) == 1
    assert np.isnan(logs["mia_auc"]).all()
    assert np.isfinite(logs["mia_loss_auc"]).all()
    assert [report.failed for report in mia.reports if report.attack == "odd"] == [True] * (1 + EPOCHS)


@pytest.mark.slow
def test_so_is_one_that_hangs_over_shadow_models(watched, never):
    class Comparing(Odd):
        needs_shadows = True

    shadows = plan(None, "compiled", seed=1)
    _, logs, said = watched(
        attacks=[Threshold("loss"), Comparing("odd", never)], shadow_models=shadows, attack_timeout=3
    )
    assert "odd: audit failed: it took longer than 3 s" in " ".join(said)
    assert np.isfinite(logs["mia_auc"]).all()
    assert np.isnan(logs["mia_odd_auc"]).all()


def test_a_limit_that_is_kept_changes_no_number(watched):
    def divided(losses):
        with np.errstate(divide="raise"):
            return losses / np.where(losses == losses.max(), 1, 2)

    attacks = [
        Threshold("loss"),
        Odd("odd", divided),
        Trained("logistic_regression"),
        Odd("no", raising(OSError("no"))),
    ]
    found = [watched(attacks=attacks, attack_timeout=limit) for limit in (None, 600)]
    (first, logs, said), (other, other_logs, other_said) = found
    assert [report.to_dict() for report in first.reports] == [report.to_dict() for report in other.reports]
    assert str(logs) == str(other_logs)
    assert said == other_said


def test_a_fit_with_no_patience_may_raise(watched, never):
    mia = MIACallback(*world(), blind_baseline=False, attacks=Odd("odd", never), attack_timeout=0.5, on_error="raise")
    with pytest.raises(TookTooLong, match=r"it took longer than 0\.5 s"):
        trained(mia)


@pytest.mark.parametrize("seconds", [0, -1, float("nan"), float("inf"), "5", True])
def test_a_limit_is_a_number_of_seconds(seconds):
    with pytest.raises(ValueError, match=r"attack_timeout is .*; give a positive number of seconds, or None"):
        MIACallback(*world(), attack_timeout=seconds)


@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit])
def test_who_wants_to_stop_the_program_is_not_held_up(error):
    mia = MIACallback(*world(), blind_baseline=False, attacks=Odd("odd", raising(error())))
    with pytest.raises(error):
        trained(mia)


def test_one_score_for_a_whole_half_is_no_score_for_each():
    """NumPy would hand it out to all."""
    losses = Signals({"loss": np.random.default_rng(0).normal(size=(40, 1))})
    with pytest.raises(ValueError, match=r"scores of shape \(\) for 20 records"):
        cross_fitted(OddLearner("odd", lambda losses: 0.5), losses, np.arange(40) < 20)


# --------------------------------------------------------------------------------------------------- parts of an audit


def from_the(count, error, given):
    """A function that fails from its `count`-th call on."""
    calls = []

    def function(*arguments, **options):
        calls.append(None)
        if len(calls) >= count:
            raise error
        return given(*arguments, **options)

    return function


def test_slices_that_cannot_be_cut_are_named_once_and_the_whole_is_judged(watched, monkeypatch):
    cut = from_the(3, RuntimeError("no tenths"), slicing_module.by_percentile)
    monkeypatch.setattr(slicing_module, "by_percentile", cut)
    mia, logs, said = watched(attacks=Threshold("loss"), slices=["loss_percentile", "class"])
    assert said == ["MIACallback 'mia': after epoch 1, no slices: no tenths; reports are on all records alone."]
    assert np.isfinite(logs["mia_auc"]).all()
    assert {report.slice for report in mia.reports if report.step != -1} == {"entire"}
    assert "no slices: no tenths" in mia.report.notes


def test_signals_that_cannot_be_computed_cost_all_attacks_and_one_warning(watched, monkeypatch):
    signals = from_the(2, tf.errors.ResourceExhaustedError(None, None, "no memory"), compiled_pass.SignalPass.signals)
    monkeypatch.setattr(compiled_pass.SignalPass, "signals", signals)
    _, logs, said = watched(attacks=[Threshold("loss"), Trained("logistic_regression")])
    assert len(said) == 1
    assert "after epoch 1, loss, logistic_regression: audit failed: no memory" in said[0]
    assert np.isnan(logs["mia_auc"]).all()
    assert np.isnan(logs["mia_logistic_regression_auc"]).all()


# -------------------------------------------------------------------------------------------------------- TensorBoard


class Before(keras.callbacks.Callback):
    """Does something before an epoch."""

    def __init__(self, epoch, does):
        super().__init__()
        self.epoch, self.does = epoch, does

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == self.epoch:
            self.does()


def steps_in(folder):
    from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

    return {event.step for file in folder.glob("events*") for event in EventFileLoader(str(file)).Load()}


def test_a_log_directory_that_is_removed_in_the_middle_is_said_once_and_made_anew(watched, tmp_path):
    """Nor does it keep from being said that an attack fails."""
    removing = Before(0, lambda: shutil.rmtree(tmp_path / "logs"))
    attacks = [Threshold("loss"), Odd("odd", REFUSED["an error"][0])]
    _, logs, said = watched(removing, attacks=attacks, log_dir=tmp_path / "logs")
    assert "odd: audit failed: by nought" in said[0]
    assert "mia/loss has been removed, and what was logged there so far is lost); training goes on." in said[1]
    assert len(said) == 2
    assert np.isfinite(logs["mia_auc"]).all()
    assert max(steps_in(tmp_path / "logs" / "mia" / "loss"), default=None) == EPOCHS - 1


def test_where_a_file_took_the_place_of_the_directory_logs_end_and_training_goes_on(watched, tmp_path):
    def replaced():
        shutil.rmtree(tmp_path / "logs")
        (tmp_path / "logs").write_text("mine")

    _, logs, said = watched(Before(1, replaced), attacks=Threshold("loss"), log_dir=tmp_path / "logs")
    assert len(said) == 2
    assert "is not a directory" in said[1]
    assert np.isfinite(logs["mia_auc"]).all()
    assert (tmp_path / "logs").read_text() == "mine"

"""Unlearning watched live: the floor is reached, training stops, and nobody's weights are touched."""

import json

import keras
import numpy as np
import pytest
import tensorflow as tf

from privacy_callbacks import LeakageLimit, MIACallback, UnlearningCallback
from privacy_callbacks.attacks import AuditWarning, evaluate_unlearning
from privacy_callbacks.attacks.looks import error_at_look
from privacy_callbacks.attacks.unlearning_judge import UnlearningJudge

FEATURES, CLASSES = 24, 3


def records(count, seed):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, FEATURES)).astype(np.float32), rng.integers(0, CLASSES, count)


RETAIN, FORGET, TEST = records(300, 0), records(600, 1), records(1_200, 2)
pytestmark = pytest.mark.filterwarnings("ignore:.*cannot resolve a false positive rate:UserWarning")


def new_model():
    init = [keras.initializers.GlorotUniform(seed=seed) for seed in (1, 2)]
    model = keras.Sequential(
        [
            keras.Input((FEATURES,)),
            keras.layers.Dense(48, activation="relu", kernel_initializer=init[0]),
            keras.layers.Dense(CLASSES, kernel_initializer=init[1]),
        ]
    )
    model.compile(keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


@pytest.fixture(scope="module")
def memory():
    """The weights of a model that knows both sets."""
    model = new_model()
    both = [np.concatenate(parts) for parts in zip(RETAIN, FORGET, strict=True)]
    model.fit(*both, epochs=25, batch_size=50, shuffle=False, verbose=0)
    return model.get_weights()


@pytest.fixture
def original(memory):
    model = new_model()
    model.set_weights(memory)
    return model


def unlearn(model, watch, epochs=3, data=RETAIN, others=(), **options):
    history = model.fit(
        *data, epochs=epochs, batch_size=50, shuffle=False, verbose=0, callbacks=[watch, *others], **options
    )
    return history.history


def test_each_epoch_is_judged_as_it_would_be_afterwards(original):
    watch = UnlearningCallback(RETAIN, FORGET, TEST)
    before = evaluate_unlearning(original, RETAIN, FORGET, TEST)
    history = unlearn(original, watch)
    after = evaluate_unlearning(original, RETAIN, FORGET, TEST)
    assert sorted(watch.evaluations) == [-1, 0, 1, 2]
    assert float(watch.evaluations[-1].forget_auc) == float(before.forget_auc)
    assert float(watch.evaluation.forget_auc) == float(after.forget_auc)
    for metric in ("forget_auc", "mia_efficacy", "psi", "forgetting"):
        found = [float(getattr(watch.evaluations[epoch], metric)) for epoch in range(3)]
        assert history[f"unlearning_{metric}"] == found
    assert history["unlearning_forgotten"] == [0, 0, 0]
    assert watch.forgotten_epoch is None
    assert watch.evaluation.models["original"].verdict == "residual"


def test_training_stops_once_the_set_is_forgotten():
    """A model that never saw the set has forgotten it from the first epoch on in which the attacker sees anything."""
    watch = UnlearningCallback(RETAIN, FORGET, TEST, stop_when_forgotten=True)
    history = unlearn(new_model(), watch, epochs=40)
    assert watch.forgotten_epoch is not None
    assert len(history["loss"]) == watch.forgotten_epoch + 1 < 40
    assert history["unlearning_forgotten"][-1] == 1
    assert set(history["unlearning_forgotten"][:-1]) <= {0}
    assert watch.evaluation.verdict == "forgotten"


def test_without_being_asked_to_it_does_not_stop(capsys):
    watch = UnlearningCallback(RETAIN, FORGET, TEST)
    history = unlearn(new_model(), watch, epochs=30)
    assert len(history["loss"]) == 30
    assert watch.forgotten_epoch is not None
    assert "Training stops" not in capsys.readouterr().out


def test_of_many_looks_each_asks_for_more(original, monkeypatch):
    levels = []
    watch = UnlearningCallback(RETAIN, FORGET, TEST, every=2)
    unlearn(original, watch, epochs=1)
    judge = type(watch._judge)
    real = judge.evaluation
    monkeypatch.setattr(
        judge, "evaluation", lambda self, found, level: levels.append(level) or real(self, found, level)
    )
    unlearn(original, watch, epochs=4)
    strict = [1 - error_at_look(look, 0.05) for look in (1, 2)]
    assert levels == pytest.approx([0.95, 0.95, strict[0], 0.95, strict[1]])
    assert sorted(watch.evaluations) == [-1, 1, 3]


def test_training_is_the_same_with_and_without(memory):
    models = []
    for callbacks in ([], [UnlearningCallback(RETAIN, FORGET, TEST)]):
        model = new_model()
        model.set_weights(memory)
        model.fit(*RETAIN, epochs=3, batch_size=50, verbose=0, shuffle=False, callbacks=callbacks)
        models.append(model.get_weights())
    for ours, theirs in zip(*models, strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.filterwarnings("ignore:.*before any training:UserWarning")
def test_tensorboard_shows_it_beside_other_callbacks(original, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    watch = UnlearningCallback(RETAIN, FORGET, TEST, log_dir=tmp_path)
    unlearn(original, watch, others=[MIACallback(RETAIN, TEST, log_dir=tmp_path, blind_baseline=False)])
    events = EventAccumulator(str(tmp_path / "unlearning" / "loss"), size_guidance={"tensors": 0})
    events.Reload()
    tags = set(events.Tags()["tensors"])
    figures = {
        "forget_auc",
        "forget_auc_low",
        "mia_efficacy",
        "efficacy_floor",
        "psi",
        "psi_floor",
        "forgetting",
        "retain_auc",
    }
    assert {f"unlearning/{name}" for name in figures} <= tags
    assert {"unlearning/privacy_audit", "unlearning/before_training", "unlearning/verdict"} <= tags
    found = [float(tf.make_ndarray(event.tensor_proto)) for event in events.Tensors("unlearning/forget_auc")]
    assert found == pytest.approx([float(watch.evaluations[epoch].forget_auc) for epoch in range(3)], rel=1e-6)
    assert (tmp_path / "unlearning" / "loss_on_retain").is_dir()
    assert (tmp_path / "mia").is_dir()


def test_other_callbacks_can_decide_by_it(original):
    limit = LeakageLimit("unlearning_forget_auc", maximum=0.6)
    unlearn(original, UnlearningCallback(RETAIN, FORGET, TEST), others=[limit])
    assert limit.stopped_epoch == 0


def test_one_callback_can_watch_two_fits(original):
    watch = UnlearningCallback(RETAIN, FORGET, TEST, every=2)
    unlearn(original, watch, epochs=4)
    first = dict(watch.evaluations)
    history = unlearn(original, watch, epochs=2)
    assert sorted(watch.evaluations) == [-1, 1]
    assert float(watch.evaluations[-1].forget_auc) == float(first[3].forget_auc)
    assert np.isnan(history["unlearning_forget_auc"][0])
    assert not np.isnan(history["unlearning_forget_auc"][1])


def test_a_failing_audit_does_not_end_training_unless_asked_to(original, monkeypatch):
    judged = UnlearningJudge.scored
    for on_error in ("warn", "raise"):
        watch = UnlearningCallback(RETAIN, FORGET, TEST, on_error=on_error)
        calls = iter(range(100))

        def scored(self, model, calls=calls):
            """The first audit, that of the original, is sound."""
            if next(calls):
                raise RuntimeError("no luck")
            return judged(self, model)

        monkeypatch.setattr(UnlearningJudge, "scored", scored)
        if on_error == "raise":
            with pytest.raises(RuntimeError, match="no luck"):
                unlearn(original, watch)
        else:
            with pytest.warns(AuditWarning, match=r"auditing failed \(RuntimeError: no luck\); training goes on"):
                history = unlearn(original, watch)
            assert np.isnan(history["unlearning_psi"]).all()


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"every": 0}, "every is 0; give a whole number"),
        ({"on_error": "stop"}, "give 'warn' or 'raise'"),
        ({"level": 2}, "level is 2"),
        ({"name": "a/b"}, "becomes a folder and a log key"),
    ],
)
def test_what_cannot_be_watched_is_refused_at_once(changed, said):
    with pytest.raises(ValueError, match=said):
        UnlearningCallback(RETAIN, FORGET, TEST, **changed)


def test_sets_that_overlap_are_refused_before_training(original):
    watch = UnlearningCallback(RETAIN, tuple(part[:50] for part in RETAIN), TEST)
    with pytest.raises(ValueError, match="50 of 50 records of forget stand in retain, too"):
        unlearn(original, watch)
    with pytest.raises(ValueError, match="nothing has been audited yet"):
        _ = watch.evaluation


def test_the_evaluations_are_strict_json(original):
    watch = UnlearningCallback(RETAIN, FORGET, TEST)
    unlearn(original, watch, epochs=1)
    json.dumps(watch.evaluation.to_dict(), allow_nan=False)


def test_the_model_is_traced_once_however_many_epochs_there_are(memory):
    class Counting(keras.Model):
        def __init__(self, inner):
            super().__init__()
            self.inner, self.calls = inner, 0

        def call(self, x):
            self.calls += 1
            return self.inner(x)

    counts = []
    for epochs in (1, 4):
        inner = new_model()
        inner.set_weights(memory)
        model = Counting(inner)
        model.compile(keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
        model(RETAIN[0][:1])
        unlearn(model, UnlearningCallback(RETAIN, FORGET, TEST), epochs)
        counts.append(model.calls)
    assert counts[0] == counts[1]


def test_the_evaluation_is_that_of_the_weights_held_now(original):
    watch = UnlearningCallback(RETAIN, FORGET, TEST, every=7)
    unlearn(original, watch, epochs=2)
    assert sorted(watch.evaluations) == [-1, 1]  # the last epoch is audited, whatever every says
    after = evaluate_unlearning(original, RETAIN, FORGET, TEST)
    assert float(watch.evaluation.forget_auc) == float(after.forget_auc)
    original.set_weights([0.5 * weights for weights in original.get_weights()])
    moved = evaluate_unlearning(original, RETAIN, FORGET, TEST)
    assert float(watch.evaluation.forget_auc) == float(moved.forget_auc) != float(after.forget_auc)


def test_figures_outlast_looks_for_which_there_are_too_few_records(original):
    few = FORGET[0][:12], FORGET[1][:12]
    watch = UnlearningCallback(RETAIN, few, TEST, on_error="raise")
    history = unlearn(original, watch, epochs=9)
    assert not np.isnan(history["unlearning_forget_auc"]).any()
    assert history["unlearning_forgotten"] == [0.0] * 9


def test_a_full_disk_leaves_figures_and_decisions(original, tmp_path, monkeypatch):
    def full(*arguments):
        raise OSError("no space left on device")

    monkeypatch.setattr("privacy_callbacks.tensorboard_log.TensorBoardLog.figures", full)
    watch = UnlearningCallback(RETAIN, FORGET, TEST, log_dir=tmp_path)
    with pytest.warns(AuditWarning, match="no space left"):
        history = unlearn(original, watch, epochs=2)
    assert not np.isnan(history["unlearning_forget_auc"]).any()
    assert sorted(watch.evaluations) == [-1, 0, 1]


def test_two_of_one_name_are_told(original):
    both = [UnlearningCallback(RETAIN, FORGET, TEST) for _ in range(2)]
    with pytest.warns(AuditWarning, match="the logs hold unlearning_forget_auc, .* already, which is overwritten"):
        unlearn(original, both[0], epochs=1, others=both[1:])


def test_the_tab_tells_what_holds_over_all_looks(original, tmp_path, monkeypatch):
    """A single look may seem forgotten where all looks together do not show it."""
    told = []
    monkeypatch.setattr(
        "privacy_callbacks.privacy_log.PrivacyLog.judgement", lambda self, text, *rest: told.append(text)
    )
    watch = UnlearningCallback(RETAIN, FORGET, TEST, log_dir=tmp_path)
    history = unlearn(original, watch, epochs=4)
    over_all = [text.startswith("forgotten") for text in told[1:]]
    assert over_all == [value == 1.0 for value in history["unlearning_forgotten"]]


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"margin": 0.9}, "margin is 0.9"),
        ({"margin": "0.1"}, "margin is '0.1'"),
        ({"name": "val"}, "Keras' own validation"),
    ],
)
def test_what_no_audit_could_use_is_refused_by_the_constructor(changed, said):
    with pytest.raises(ValueError, match=said):
        UnlearningCallback(RETAIN, FORGET, TEST, **changed)


def test_a_forget_set_of_eight_is_refused_before_training(original):
    eight = FORGET[0][:8], FORGET[1][:8]
    with pytest.raises(ValueError, match="forget has 8 records; give at least 10"):
        unlearn(original, UnlearningCallback(RETAIN, eight, TEST))

"""ε while fit runs: from coins a bound, else an estimate; a claim below it raises an alarm, and no weight changes."""

import keras
import numpy as np
import pytest
from slow_params import study_unless

from privacy_callbacks import AuditSet, EpsilonAudit, LeakageLimit, MIACallback, audit
from privacy_callbacks.attacks import AuditWarning, ShadowModels, Threshold, Trained, randomised_membership
from privacy_callbacks.attacks.looks import error_at_look

EPOCHS = 4
pytestmark = pytest.mark.filterwarnings("ignore:.*cannot resolve a false positive rate:UserWarning")


def pool(count=400, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, 6)).astype("float32"), rng.integers(0, 3, count)


@pytest.fixture(scope="module")
def split():
    return randomised_membership(*pool(), seed=1)


def wide_model():
    init = [keras.initializers.GlorotUniform(seed) for seed in (1, 2)]
    model = keras.Sequential(
        [
            keras.Input((6,)),
            keras.layers.Dense(256, activation="relu", kernel_initializer=init[0]),
            keras.layers.Dense(3, activation="softmax", kernel_initializer=init[1]),
        ]
    )
    model.compile(keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy")
    return model


def fitted(members, nonmembers=None, train=None, epochs=EPOCHS, others=(), model=None, **options):
    mia = MIACallback(members, nonmembers, attacks=Threshold("loss"), blind_baseline=False, **options)
    train = members.training_set if train is None else train
    model = wide_model() if model is None else model
    history = model.fit(*train, epochs=epochs, batch_size=20, shuffle=False, verbose=0, callbacks=[mia, *others])
    return mia, history.history, model


def test_of_records_dealt_by_coins_the_bound_is_logged_live(split):
    mia, history, _ = fitted(split, epochs=12)
    bounds = history["mia_epsilon_lower_bound"]
    assert bounds == sorted(bounds)
    assert bounds[-1] > 0.2
    assert (mia.audit_set.num_members, mia.audit_set.num_nonmembers) == (
        len(split.member_ids),
        len(split.nonmember_ids),
    )
    assert mia.audit_set.coin == 0.5
    headlines = [report for report in mia.reports if report.step >= 0]
    assert [float(report.epsilon.best) for report in headlines] == bounds
    assert headlines[0].epsilon.doubt is None
    assert headlines[-1].epsilon.exposure.low > headlines[-1].epsilon.exposure.null_level
    assert next(report for report in mia.reports if report.step == -1).epsilon is None


def shares(*looks):
    """Levels: half of the error over these looks, the other half for the last epoch that was planned."""
    return [1 - (0.025 if look == "last" else error_at_look(look, 0.025)) for look in looks]


def test_each_look_has_its_share_of_the_error_and_the_last_epoch_half_of_it(split):
    for every, steps in ((1, [0, 1, 2, 3]), (2, [1, 3])):
        mia, _, _ = fitted(split, every=every)
        found = {report.step: report.epsilon.newest.level for report in mia.reports if report.step >= 0}
        assert list(found) == steps
        assert list(found.values()) == pytest.approx(shares(*range(1, len(steps)), "last"))


def test_a_fit_that_goes_on_spends_no_share_twice(split):
    mia, _, model = fitted(split, epochs=2)
    model.fit(*split.training_set, epochs=4, initial_epoch=2, verbose=0, callbacks=[mia])
    levels = [report.epsilon.newest.level for report in mia.reports if report.step >= 0]
    assert levels == pytest.approx(shares(3, "last"))


def test_an_audit_after_training_is_one_more_look(split):
    mia, _, _ = fitted(split, every=3)
    levels = [report.epsilon.newest.level for report in mia.reports if report.step >= 0]
    assert levels == pytest.approx(shares(1, "last"))
    mia, _, _ = fitted(split, every="train_end")
    assert mia.report.epsilon.newest.level == pytest.approx(0.95)  # the only one
    (report,) = audit(wide_model(), split, attacks=Threshold("loss"), blind_baseline=False)
    assert report.epsilon.newest.level == pytest.approx(0.95)


def test_a_training_that_ends_early_has_no_last_look(split):
    """When it ends may depend on what was seen: no epoch but the one that was planned may spend what was kept."""
    stop = keras.callbacks.EarlyStopping("loss", mode="max", patience=1)
    mia, history, _ = fitted(split, epochs=9, others=[stop])
    assert len(history["loss"]) < 9
    levels = [report.epsilon.newest.level for report in mia.reports if report.step >= 0]
    assert levels == pytest.approx(shares(*range(1, len(levels) + 1)))


def test_sides_that_were_chosen_give_an_estimate_and_only_if_asked():
    members, nonmembers = pool(), pool(seed=1)
    mia, history, _ = fitted(members, nonmembers, train=members)
    assert not any("epsilon" in key for key in history)
    assert mia.report.epsilon is None
    assert "exposure" not in mia.report.scalars()
    mia, history, _ = fitted(members, nonmembers, train=members, epsilon=EpsilonAudit(claimed=0.01))
    assert "mia_epsilon_lower_bound" not in history
    assert history["mia_epsilon_estimate"][-1] > 0
    assert "membership was not dealt by coins" in mia.report.epsilon.doubt
    assert not any("claimed" in warning for warning in mia.report.warnings)
    assert any("it is no bound" in note for note in mia.report.notes)


def test_a_claim_below_the_bound_is_an_alarm_in_the_report(split):
    mia, _, _ = fitted(split, epochs=12, epsilon=EpsilonAudit(claimed=0.1))
    assert any("more than the claimed 0.1" in warning for warning in mia.report.warnings)
    mia, _, _ = fitted(split, epochs=2, epsilon=EpsilonAudit(claimed=50.0))
    assert not any("claimed" in warning for warning in mia.report.warnings)


def test_callbacks_can_decide_by_the_bound(split):
    limit = LeakageLimit("mia_epsilon_lower_bound", maximum=0.15)
    _, history, _ = fitted(split, epochs=20, others=[limit])
    assert limit.stopped_epoch is not None
    assert len(history["loss"]) == limit.stopped_epoch + 1 < 20


def test_scalars_stand_beside_the_claim(split, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    fitted(split, log_dir=tmp_path, epsilon=EpsilonAudit(claimed=2.0))
    events = EventAccumulator(str(tmp_path / "mia" / "loss"))
    events.Reload()
    tags = events.Tags()["tensors"]
    assert {"mia/epsilon_lower_bound", "mia/epsilon_claimed"} <= set(tags)
    assert "mia/epsilon_estimate" not in tags
    assert {"mia/exposure", "mia/exposure_low", "mia/exposure_null_level"} <= set(tags)
    assert len(events.Tensors("mia/epsilon_claimed")) == EPOCHS


def test_training_is_the_same_with_and_without(split):
    _, _, watched = fitted(split)
    plain = wide_model()
    plain.fit(*split.training_set, epochs=EPOCHS, batch_size=20, shuffle=False, verbose=0)
    for ours, theirs in zip(watched.get_weights(), plain.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_after_the_fact_one_look_spends_its_share(split):
    _, _, model = fitted(split)
    (report,) = audit(model, split, attacks=Threshold("loss"), blind_baseline=False, epsilon=EpsilonAudit(delta=0.0))
    assert (report.epsilon.best.delta, report.epsilon.doubt) == (0.0, None)
    (report,) = audit(model, split, attacks=Threshold("loss"), blind_baseline=False)
    assert report.epsilon.best.delta == 1e-5
    with pytest.raises(ValueError, match="members is a CanarySplit, which holds both sides"):
        audit(model, split, pool(seed=5))
    with pytest.raises(ValueError, match="all records that were dealt by coins must be judged"):
        audit(model, split, population=0.3)


def test_attacks_that_see_coins_give_estimates_and_shadow_models_bounds(split):
    mia = MIACallback(split, attacks=Trained("logistic_regression"), blind_baseline=False, every="train_end")
    wide_model().fit(*split.training_set, epochs=1, verbose=0, callbacks=[mia])
    assert "learned from the coins" in mia.report.epsilon.doubt
    plan = ShadowModels(4, engine="stacked")
    mia = MIACallback(split, shadow_models=plan, population=pool(60, 9), blind_baseline=False)
    wide_model().fit(*split.training_set, epochs=2, verbose=0, callbacks=[mia])
    assert {report.attack for report in mia.reports if report.epsilon is not None} == {mia.report.attack}
    assert mia.report.epsilon.doubt is None


def test_a_copied_callback_audits_alike(split):
    from copy import deepcopy

    mia = deepcopy(MIACallback(split, epsilon=EpsilonAudit(claimed=0.5), blind_baseline=False))
    wide_model().fit(*split.training_set, epochs=1, verbose=0, callbacks=[mia])
    assert mia.report.epsilon.claim.epsilon == 0.5
    with pytest.raises(TypeError, match="give EpsilonAudit"):
        MIACallback(split, epsilon=1.0)


def test_an_audit_set_of_ones_own_with_all_records_can_be_given(split):
    audit_set = AuditSet(split.members, split.nonmembers, size=None)
    mia, _, _ = fitted(audit_set, train=split.training_set, epsilon=EpsilonAudit())
    assert mia.report.epsilon.doubt is not None  # who dealt them is not known


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*the mix of classes differs:UserWarning")  # in one of 200 splits, as it should
@pytest.mark.parametrize("method", study_unless(["one_run"], ["one_run", "split"]))
def test_a_model_that_saw_none_of_the_records_shows_more_than_0_in_at_most_5_percent_of_300_splits(method):
    model = wide_model()
    model.fit(*pool(seed=7), epochs=10, verbose=0)
    x, y = pool(300, seed=8)
    alarms = 0
    for seed in range(300):
        dealt = randomised_membership(x, y, seed=seed)
        plan = EpsilonAudit(delta=0.0, method=method, seed=seed)
        (report,) = audit(model, dealt, attacks=Threshold("loss"), blind_baseline=False, epsilon=plan)
        alarms += float(report.epsilon.best) > 0
    assert alarms <= 15 + 2 * np.sqrt(300 * 0.05 * 0.95)


@pytest.mark.slow
def test_a_model_that_answers_alike_to_all_shows_nothing_in_all_but_few_draws_of_the_coins():
    """Nothing but ties: members stand first in an audit, and whoever is guessed must not depend on that."""
    model = wide_model()
    model.set_weights([0 * weights for weights in model.get_weights()])
    x, _ = pool(268)
    shown = 0
    for seed in range(40):
        dealt = randomised_membership(x, np.zeros(len(x), int), seed=seed)
        (report,) = audit(model, dealt, attacks=Threshold("correct"), blind_baseline=False, epsilon=EpsilonAudit())
        shown += report.epsilon.best > 0
    assert shown <= 6  # 2 are allowed; so many come about once in 70 such tests


def test_weights_that_were_restored_keep_what_was_shown_of_the_training(split):
    """Whoever prints the report after EarlyStopping must find the ε, and the alarm."""
    stop = keras.callbacks.EarlyStopping("loss", patience=1, mode="max", restore_best_weights=True)
    mia, history, model = fitted(split, epochs=12, others=[stop], epsilon=EpsilonAudit(claimed=1e-3))
    for weights in (None, [0 * one for one in model.get_weights()]):
        if weights is not None:
            model.set_weights(weights)
        assert float(mia.report.epsilon.best) == history["mia_epsilon_lower_bound"][-1]
        alarm = mia.report.epsilon.alarm
        assert (alarm is None) == (history["mia_epsilon_lower_bound"][-1] <= 1e-3)
        assert alarm is None or alarm in mia.report.warnings


def test_a_fit_on_other_records_is_told_and_gives_an_estimate(split):
    with pytest.warns(AuditWarning, match="fit is given 400 records, and the split's training set has"):
        mia, history, _ = fitted(split, train=pool(), epochs=1)
    assert "mia_epsilon_estimate" in history
    assert "fit on split.training_set" in mia.report.epsilon.doubt


def test_an_estimate_above_the_claim_accuses_nobody():
    members, nonmembers = pool(seed=1), pool(seed=2)
    mia, _, _ = fitted(members, nonmembers, train=members, epochs=12, epsilon=EpsilonAudit(claimed=1e-3))
    alarm = mia.report.epsilon.alarm
    assert alarm.startswith("ε is estimated as")
    assert "refutes nothing" in alarm
    assert "wrong" not in alarm


def test_more_guesses_than_records_are_refused_before_training(split):
    with pytest.raises(ValueError, match="there are 400 records"):
        fitted(split, epsilon=EpsilonAudit(guesses=300))
    with pytest.raises(TypeError, match=r"epsilon is 3\.0; give EpsilonAudit"):
        audit(wide_model(), split, epsilon=3.0)

"""Shadow models beside a fit: epochs matched, learning rates followed, failures survived, the same bits."""

import copy

import keras
import numpy as np
import pytest
import tensorflow as tf

from privacy_callbacks import AuditSet, LeakageLimit, LeakageReport, MIACallback, PrivateCheckpoint, audit
from privacy_callbacks.attack_choice import pointing_at_the_strongest
from privacy_callbacks.attacks import (
    RMIA,
    AttackR,
    AuditWarning,
    DifficultyCalibration,
    LiRA,
    ShadowClassifier,
    ShadowModels,
    Threshold,
)
from privacy_callbacks.attacks.auc import auc
from privacy_callbacks.trained_as_fit import inferred_batch_size

pytestmark = pytest.mark.filterwarnings(
    "ignore:.*cannot resolve a false positive rate:UserWarning",
    "ignore:.*each shadow model trains on:UserWarning",
    "ignore:`shuffle=True` was passed, but will be ignored:UserWarning",
)
layers = keras.layers


def plan(models=4, **options):
    return ShadowModels(models, engine=options.pop("engine", "compiled"), **options)


@pytest.fixture
def noise():
    """(members, nonmembers), 100 each: labels are noise, so whatever is known of them is memory."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(200, 6)).astype("float32"), rng.integers(0, 3, 200)
    return (x[:100], y[:100]), (x[100:], y[100:])


def memoriser(seed=1, optimizer=None, more=()):
    keras.utils.set_random_seed(seed)
    stack = [keras.Input((6,)), layers.Dense(64, "relu"), *more, layers.Dense(3, "softmax")]
    model = keras.Sequential(stack)
    model.compile(optimizer or keras.optimizers.Adam(0.02), "sparse_categorical_crossentropy")
    return model


def fit(model, data, mia, epochs=3, **options):
    (x, y), *_ = data
    return model.fit(
        x, y, batch_size=options.pop("batch_size", 20), epochs=epochs, verbose=0, callbacks=[mia], **options
    )


class FleetWatch(keras.callbacks.Callback):
    """Looks at the fleet while it is there."""

    def __init__(self, mia):
        super().__init__()
        self.mia = mia

    def on_epoch_end(self, epoch, logs=None):
        fleet = self.mia._lockstep._fleet
        self.steps_per_epoch, self.batch_size, self.assignment = (
            fleet.steps_per_epoch,
            fleet.training.batch_size,
            fleet.training.assignment,
        )


def test_lira_and_rmia_appear_epoch_by_epoch(noise, tmp_path):
    mia = MIACallback(*noise, attacks=[LiRA(), RMIA(), Threshold()], shadow_models=plan(8), log_dir=tmp_path)
    history = fit(memoriser(), noise, mia, epochs=30).history
    assert {"mia_auc", "mia_rmia_auc", "mia_loss_auc"} <= history.keys()
    curve = history["mia_auc"]
    assert curve[0] + 0.2 < curve[-1] > 0.8
    assert [report.step for report in mia.reports if report.attack == "lira"] == list(range(-1, 30))
    assert mia.reports[0].auc.low <= 0.5 <= mia.reports[0].auc.high  # untrained models tell nothing
    assert mia.report.auc.low > 0.5
    assert (tmp_path / "mia" / "lira").is_dir()
    assert {"lira", "rmia", "loss"} <= set(mia.records().columns)
    assert list(mia.shadow_signals) == list(range(-1, 30))
    assert "8 shadow models." in mia.report.notes


def test_the_fleet_stands_at_the_epoch_of_the_target(noise):
    """Its signals after epoch k are those of a fleet trained for k epochs by itself."""
    mia = MIACallback(*noise, attacks=[LiRA()], shadow_models=plan())
    fit(memoriser(), noise, mia, epochs=3)
    (x, y), (x_out, y_out) = noise
    both = np.concatenate([x, x_out]), np.concatenate([y, y_out])
    for epochs in (1, 3):
        alone = plan(epochs=epochs, batch_size=20).fit(memoriser(), *both, signals=("scaled_logit",), verbose=0)
        np.testing.assert_array_equal(mia.shadow_signals[epochs - 1].trained_on, alone.trained_on)
        np.testing.assert_allclose(
            mia.shadow_signals[epochs - 1]["scaled_logit"], alone["scaled_logit"], rtol=1e-3, atol=1e-4
        )


def test_by_default_lira_and_rmia_join_the_thresholds(noise):
    mia = MIACallback(*noise, shadow_models=plan())
    fit(memoriser(), noise, mia, epochs=1)
    names = [report.attack for report in mia.reports[-9:]]
    assert names == [
        "loss", "confidence", "scaled_logit", "margin", "entropy", "modified_entropy", "correct", "lira", "rmia",
    ]  # fmt: skip


def test_a_regression_is_attacked_by_its_loss(noise):
    (x, _), (x_out, _) = noise
    y, y_out = x.sum(axis=1, keepdims=True), x_out.sum(axis=1, keepdims=True)
    model = keras.Sequential([keras.Input((6,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    mia = MIACallback((x, y), (x_out, y_out), shadow_models=plan())
    model.fit(x, y, batch_size=20, verbose=0, callbacks=[mia])
    assert [report.attack for report in mia.reports[-2:]] == ["loss", "lira"]
    assert not mia.reports[-1].failed


@pytest.mark.parametrize("optimizer", ["adam", pytest.param("schedule", marks=pytest.mark.slow)])
@pytest.mark.parametrize("engine", ["auto", pytest.param("fit", marks=pytest.mark.slow)])
def test_a_fit_with_a_fleet_ends_with_the_same_bits(noise, optimizer, engine):
    """Weights, optimizer, history and random states, with random layers, shuffling, dropout and batch norm."""
    import random

    def run(with_fleet):
        keras.utils.set_random_seed(3)
        random_layers = [layers.Dropout(0.3), layers.BatchNormalization(), layers.GaussianNoise(0.1)]
        stack = [keras.Input((6,)), layers.Dense(16, "relu"), *random_layers, layers.Dense(3, "softmax")]
        model = keras.Sequential(stack)
        decay = keras.optimizers.schedules.ExponentialDecay(0.01, 5, 0.9)
        adam = keras.optimizers.Adam(0.01 if optimizer == "adam" else decay)
        model.compile(adam, "sparse_categorical_crossentropy", metrics=["accuracy"])
        (x, y), nonmembers = noise
        mia = MIACallback(*noise, attacks=[LiRA(), RMIA()], shadow_models=plan(engine=engine))
        callbacks = [mia] if with_fleet else []
        history = model.fit(x, y, 20, 3, verbose=0, callbacks=callbacks, validation_data=nonmembers).history
        state = [v.numpy() for v in [*model.variables, *model.optimizer.variables]]
        ours = {key: values for key, values in history.items() if not key.startswith("mia")}
        draws = random.random(), np.random.random(), tf.random.normal(()).numpy(), keras.random.normal(()).numpy()
        return state, ours, draws

    plain, watched = run(False), run(True)
    for ours, theirs in zip(plain[0], watched[0], strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert plain[1:] == watched[1:]


def test_train_end_trains_the_fleet_for_as_many_epochs_as_the_target_had(noise):
    lockstep, after = (
        MIACallback(*noise, attacks=[Threshold(), LiRA()], shadow_models=plan(schedule=schedule))
        for schedule in ("lockstep", "train_end")
    )
    stop = keras.callbacks.EarlyStopping("loss", patience=0, mode="max")  # after the second epoch
    for mia in (lockstep, after):
        (x, y), _ = noise
        memoriser().fit(x, y, batch_size=20, epochs=9, verbose=0, callbacks=[mia, stop])
    assert lockstep.reports[-1].step == after.reports[-1].step == 1
    np.testing.assert_array_equal(lockstep.shadow_signals[1]["scaled_logit"], after.shadow_signals[1]["scaled_logit"])
    assert float(lockstep.reports[-1].auc) == float(after.reports[-1].auc)
    assert list(after.shadow_signals) == [1]
    early = [report for report in after.reports if report.attack == "lira" and report.failed]
    assert [report.step for report in early] == [-1, 0, 1]
    assert "shadow models are trained after the target" in early[0].warnings[0]


def test_an_audit_at_train_end_alone(noise):
    mia = MIACallback(*noise, attacks=[LiRA()], shadow_models=plan(), every="train_end")
    history = fit(memoriser(), noise, mia).history
    assert not any(key.startswith("mia") for key in history)
    assert [report.step for report in mia.reports] == [-1, 2]


@pytest.mark.slow
def test_every_second_epoch_the_fleet_trains_but_is_not_asked(noise):
    every, second = (MIACallback(*noise, attacks=[LiRA()], shadow_models=plan(), every=k) for k in (1, 2))
    for mia in (every, second):
        fit(memoriser(), noise, mia, epochs=4)
    assert list(second.shadow_signals) == [-1, 1, 3]
    np.testing.assert_array_equal(every.shadow_signals[3]["scaled_logit"], second.shadow_signals[3]["scaled_logit"])


def test_learning_rates_that_callbacks_change_are_followed_and_said(noise):
    halved = keras.callbacks.LearningRateScheduler(lambda epoch, rate: 0.0 if epoch else rate)
    mia = MIACallback(*noise, attacks=[LiRA()], shadow_models=plan())
    (x, y), _ = noise
    memoriser().fit(x, y, batch_size=20, epochs=2, verbose=0, callbacks=[mia, halved])
    np.testing.assert_array_equal(mia.shadow_signals[0]["scaled_logit"], mia.shadow_signals[1]["scaled_logit"])
    assert any("learning rate was changed during training" in note for note in mia.report.notes)
    still = MIACallback(*noise, attacks=[LiRA()], shadow_models=plan())
    fit(memoriser(), noise, still, epochs=2)
    assert (still.shadow_signals[0]["scaled_logit"] != still.shadow_signals[1]["scaled_logit"]).any()
    assert not any("learning rate" in note for note in still.report.notes)


def test_steps_per_execution_and_tf_data(noise):
    (x, y), _ = noise
    mia = MIACallback(*noise, attacks=[LiRA()], shadow_models=plan())
    model = memoriser()
    model.compile("adam", "sparse_categorical_crossentropy", steps_per_execution=3)
    model.fit(tf.data.Dataset.from_tensor_slices((x, y)).shuffle(100).batch(20), epochs=2, verbose=0, callbacks=[mia])
    assert not mia.report.failed


class Batches(keras.utils.PyDataset):
    """Batches of 25 that say nothing of their size."""

    def __init__(self, x, y):
        super().__init__()
        self.x, self.y = x, y

    def __len__(self):
        return len(self.x) // 25

    def __getitem__(self, index):
        return self.x[25 * index : 25 * index + 25], self.y[25 * index : 25 * index + 25]


def steps_of_fleet(noise, data, shadow_models=None, **options):
    mia = MIACallback(*noise, attacks=[LiRA()], shadow_models=shadow_models or plan())
    seen = FleetWatch(mia)
    memoriser().fit(*data, **options, verbose=0, callbacks=[mia, seen])
    return seen.steps_per_epoch, seen.batch_size


@pytest.mark.slow
def test_the_batch_size_is_that_of_fit_or_of_its_data(noise):
    (x, y), _ = noise
    data = tf.data.Dataset.from_tensor_slices((x, y))
    assert steps_of_fleet(noise, (x, y), batch_size=25) == (4, 25)
    assert steps_of_fleet(noise, (data.shuffle(100).batch(25).prefetch(1),)) == (4, 25)
    assert steps_of_fleet(noise, (x, y), batch_size=1_000) == (1, 100)
    # steps_per_epoch makes an epoch half a pass, or three.
    assert steps_of_fleet(noise, (data.repeat().batch(25),), steps_per_epoch=2) == (2, 25)
    assert steps_of_fleet(noise, (data.repeat().batch(25),), steps_per_epoch=12) == (12, 25)


@pytest.mark.slow
def test_where_data_say_nothing_of_it_the_batch_size_is_guessed_and_said_or_asked_for(noise):
    (x, y), _ = noise
    with pytest.warns(AuditWarning, match="batches of 32, which make 4 steps of 100 members"):
        assert steps_of_fleet(noise, (Batches(x, y),)) == (4, 32)
    assert steps_of_fleet(noise, (Batches(x, y),), plan(batch_size=25)) == (4, 25)
    with pytest.raises(ValueError, match=r"batch size cannot be told from 2 steps.*ShadowModels\(batch_size"):
        steps_of_fleet(noise, (Batches(x, y),), steps_per_epoch=2)


@pytest.mark.slow
def test_class_weights_of_fit_are_taken_over(noise):
    heavy = {0: 20.0}
    seen, given, without = (
        MIACallback(*noise, attacks=[LiRA()], shadow_models=plan(class_weight=weight)) for weight in (None, heavy, None)
    )
    fit(memoriser(), noise, seen, class_weight=heavy)
    fit(memoriser(), noise, given, class_weight=heavy)
    fit(memoriser(), noise, without)
    last = [mia.shadow_signals[2]["scaled_logit"] for mia in (seen, given, without)]
    np.testing.assert_array_equal(last[0], last[1])
    assert (last[0] != last[2]).any()


def test_sample_weights_of_fit_are_warned_of(noise):
    (x, y), _ = noise
    mia = MIACallback(*noise, attacks=[LiRA()], shadow_models=plan())
    with pytest.warns(AuditWarning, match=r"fit weights records \(sample_weight\)"):
        memoriser().fit(x, y, batch_size=20, sample_weight=np.ones(100), verbose=0, callbacks=[mia])


@pytest.mark.filterwarnings("ignore:.*have sample weight 0:UserWarning")
@pytest.mark.slow
@pytest.mark.parametrize("form", ["arrays", "data set"])
def test_sample_weights_that_members_bring_along_are_those_of_shadow_models(noise, form):
    """Weights of 0 for two classes: shadow models learn the third, as the target does."""
    (x, y), (x_out, y_out) = noise
    weights, weights_out = [(labels == 0).astype("float32") for labels in (y, y_out)]
    sides = (x, y, weights), (x_out, y_out, weights_out)
    found = {}
    for weighed in (True, False):
        mia = MIACallback(*sides, attacks=[LiRA()], shadow_models=plan())
        own = weights if weighed else None
        given = {"x": x, "y": y, "sample_weight": own, "batch_size": 20}
        if form == "data set":
            data = tf.data.Dataset.from_tensor_slices((x, y, own) if weighed else (x, y))
            given = {"x": data.batch(20)}
        memoriser().fit(**given, epochs=12, verbose=0, callbacks=[mia])
        confidence = mia.shadow_signals[11]["scaled_logit"][..., 0]
        found[weighed] = [float(confidence[:, mia._auditor.labels == k].mean()) for k in (0, 1)]
    assert found[True][0] > 2 + found[True][1]  # class 0 alone is learned
    assert abs(found[False][0] - found[False][1]) < 2


@pytest.mark.filterwarnings("default:.*each shadow model trains on:UserWarning")
def test_training_sets_of_another_size_are_said(noise):
    (x, y), (x_out, y_out) = noise
    mia = MIACallback((x, y), (x_out[:40], y_out[:40]), attacks=[LiRA()], shadow_models=plan())
    with pytest.warns(
        AuditWarning,
        match=r"each shadow model trains on 70 records, .* the target on 100: .* as many non-members as members",
    ):
        fit(memoriser(), noise, mia)
    assert any("each shadow model trains on 70" in warning for warning in mia.report.warnings)


def test_where_the_pool_is_large_shadow_models_train_on_as_many_as_the_target(noise, recwarn):
    (x, y), (x_out, y_out) = noise
    mia = MIACallback((x[:30], y[:30]), (x_out, y_out), attacks=[LiRA()], shadow_models=plan(), audit_size=20)
    seen = FleetWatch(mia)
    memoriser().fit(x[:30], y[:30], batch_size=10, verbose=0, callbacks=[mia, seen])
    assert seen.assignment.shape == (4, 60)
    assert set(seen.assignment.sum(axis=1)) == {30}
    assert not any("each shadow model trains on" in str(warning.message) for warning in recwarn)


def test_owners_are_in_or_out_together(noise):
    owners = np.arange(100) // 10, np.arange(100) // 10 + 5
    audited = AuditSet(*noise, ids=owners)
    mia = MIACallback(audited, attacks=[LiRA()], shadow_models=plan())
    with pytest.warns(AuditWarning, match="5 ids stand on both sides"):
        fit(memoriser(), noise, mia, epochs=1)
    trained_on = mia.shadow_signals[0].trained_on
    for owner in range(15):
        own = trained_on[:, audited.ids == owner]
        assert (own == own[:, :1]).all()


def test_the_population_is_in_no_shadow_models_pool(noise):
    mia = MIACallback(*noise, attacks=[RMIA(form="percentile")], shadow_models=plan())
    seen = FleetWatch(mia)
    (x, y), _ = noise
    memoriser().fit(x, y, batch_size=20, verbose=0, callbacks=[mia, seen])
    aside = len(mia.audit_set.population)
    assert aside == 33
    assert seen.assignment.shape == (4, 200 - aside)
    assert mia.shadow_signals[0].population["confidence"].shape == (4, aside, 1)


@pytest.mark.slow
def test_a_pool_of_other_records_leaves_every_audited_one_out(noise):
    rng = np.random.default_rng(5)
    other = rng.normal(size=(900, 6)).astype("float32"), rng.integers(0, 3, 900)
    attacks = [LiRA("offline"), RMIA(), AttackR(), DifficultyCalibration()]
    mia = MIACallback(*noise, attacks=attacks, shadow_models=plan(pool=other))
    seen = FleetWatch(mia)
    (x, y), _ = noise
    memoriser().fit(x, y, batch_size=20, epochs=30, verbose=0, callbacks=[mia, seen])
    assert set(seen.assignment.sum(axis=1)) == {100}  # as many as the target has
    assert not mia.shadow_signals[29].trained_on.any()
    assert all(report.auc.low > 0.5 for report in mia.reports[-4:])
    online = MIACallback(*noise, attacks=[LiRA()], shadow_models=plan(pool=other))
    with pytest.raises(
        ValueError, match=r"attack 'lira' cannot work with these shadow models: no record has two .* IN"
    ):
        fit(memoriser(), noise, online)


def test_audited_records_are_found_in_a_pool_given_by_hand(noise):
    (x, y), (x_out, y_out) = noise
    pool = np.concatenate([x_out, x])[::-1], np.concatenate([y_out, y])[::-1]
    mia = MIACallback(*noise, attacks=[LiRA()], shadow_models=plan(pool=pool))
    fit(memoriser(), noise, mia, epochs=1)
    assert (mia.shadow_signals[0].trained_on.sum(axis=0) == 2).all()


def test_too_few_shadow_models_for_an_attack_are_refused_before_training(noise):
    mia = MIACallback(*noise, attacks=[LiRA()], shadow_models=2)
    with pytest.raises(ValueError, match=r"attack 'lira' cannot work .* give at least 4 shadow models"):
        fit(memoriser(), noise, mia)
    fit(memoriser(), noise, MIACallback(*noise, attacks=[RMIA(), AttackR()], shadow_models=plan(2)))


def test_attacks_that_compare_need_shadow_models(noise):
    with pytest.raises(ValueError, match="attack 'lira' compares with shadow models; give shadow_models=16"):
        fit(memoriser(), noise, MIACallback(*noise, attacks=[LiRA()]))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"shadow_models": 3}, ValueError, "num_models is 3"),
        ({"shadow_models": "16"}, TypeError, "give how many, or ShadowModels"),
        ({"budget": 1.0}, ValueError, "together with shadow models"),
        ({"shadow_models": 4, "budget": 0}, ValueError, "budget is 0"),
    ],
)
def test_arguments_out_of_range_are_refused_at_once(noise, options, error, message):
    with pytest.raises(error, match=message):
        MIACallback(*noise, **options)


def test_a_pool_too_small_for_a_batch_is_refused(noise):
    members, (x_out, y_out) = noise
    mia = MIACallback(members, (x_out[:20], y_out[:20]), shadow_models=plan())
    with pytest.raises(ValueError, match="would train on 60 records, fewer than one batch of 100"):
        fit(memoriser(), noise, mia, batch_size=100)


def test_a_budget_lowers_the_number_once_and_says_so(noise):
    mia = MIACallback(*noise, attacks=[RMIA()], shadow_models=plan(64), budget=1e-6)
    with pytest.warns(AuditWarning, match="even 4 shadow models cost more than the budget"):
        fit(memoriser(), noise, mia, epochs=1)
    assert mia.shadow_signals[0].num_models == 4
    rich = MIACallback(*noise, attacks=[RMIA()], shadow_models=plan(4), budget=1e6)
    fit(memoriser(), noise, rich, epochs=1)
    assert rich.shadow_signals[0].num_models == 4


def test_a_fleet_that_fails_takes_its_attacks_along_and_nothing_else(noise, monkeypatch):
    from privacy_callbacks.attacks.fleet import Fleet

    trained = Fleet.train_epoch

    def failing(self, *arguments):
        if self.epoch == 1:
            raise RuntimeError("out of memory")
        trained(self, *arguments)

    monkeypatch.setattr(Fleet, "train_epoch", failing)
    mia = MIACallback(*noise, attacks=[Threshold(), LiRA()], shadow_models=plan())
    with pytest.warns(AuditWarning) as caught:
        history = fit(memoriser(), noise, mia, epochs=4).history
    ours = [str(warning.message) for warning in caught if "shadow models failed" in str(warning.message)]
    assert len(ours) == 1
    assert np.isfinite(history["mia_auc"]).all()
    assert np.isfinite(history["mia_lira_auc"]).tolist() == [True, False, False, False]
    assert mia.reports[-1].failed
    assert "out of memory" in mia.reports[-1].warnings[0]
    strict = MIACallback(*noise, attacks=[LiRA()], shadow_models=plan(), on_error="raise")
    with pytest.raises(RuntimeError, match="out of memory"):
        fit(memoriser(), noise, strict, epochs=4)


def test_a_diverged_shadow_model_is_named_in_the_report_and_the_rest_go_on(noise):
    (x, y), nonmembers = noise
    y = np.where(np.arange(100) == 0, 2, y % 2)
    nonmembers = nonmembers[0], nonmembers[1] % 2
    poison = {2: float("nan")}
    mia = MIACallback((x, y), nonmembers, attacks=[LiRA()], shadow_models=plan(8, class_weight=poison))
    memoriser().fit(x, y, batch_size=20, epochs=1, verbose=0, callbacks=[mia])
    assert mia.shadow_signals[0].num_models == 4
    assert any("4 of 8 shadow models are left out" in note for note in mia.report.notes)
    assert not mia.report.failed


@pytest.mark.filterwarnings("ignore:.*EarlyStopping .by val_loss. decides on:UserWarning")
def test_restored_weights_are_compared_with_the_shadow_models_of_their_epoch(noise):
    (x, y), nonmembers = noise
    best = keras.callbacks.EarlyStopping("val_loss", patience=2, restore_best_weights=True)
    mia = MIACallback(*noise, attacks=[LiRA()], shadow_models=plan())
    memoriser().fit(x, y, batch_size=20, epochs=10, verbose=0, callbacks=[mia, best], validation_data=nonmembers)
    at_best = next(report for report in mia.reports if report.step == best.best_epoch)
    assert best.best_epoch < mia.reports[-1].step
    assert float(mia.report.auc) == float(at_best.auc)
    assert mia.report.step == best.best_epoch
    assert any(f"the weights of epoch {best.best_epoch + 1} again" in note for note in mia.report.notes)
    assert not any("shadow models compared with" in note for note in mia.report.notes)


def test_other_weights_are_compared_with_the_last_and_the_report_says_so(noise):
    model = memoriser()
    mia = MIACallback(*noise, attacks=[LiRA()], shadow_models=plan())
    fit(model, noise, mia, epochs=2)
    model.set_weights([w * 0.9 for w in model.get_weights()])
    assert any("shadow models compared with are those after epoch 2" in note for note in mia.report.notes)


@pytest.mark.slow
def test_a_target_trained_before_is_said_to_differ(noise):
    model = memoriser(more=[layers.BatchNormalization()])
    (x, y), _ = noise
    model.fit(x, y, verbose=0)
    mia = MIACallback(*noise, attacks=[LiRA()], shadow_models=plan())
    with pytest.warns(AuditWarning, match="the target was trained before this fit"):
        fit(model, noise, mia, epochs=1)
    fresh = memoriser()
    fresh.layers[-1].bias.assign([1.0, 0.0, 0.0])  # weights loaded, nothing trained
    with pytest.warns(AuditWarning, match="does not start as a fresh model would"):
        fit(fresh, noise, MIACallback(*noise, attacks=[LiRA()], shadow_models=plan()), epochs=1)


def test_queries_are_asked_of_target_and_shadow_models_alike(noise):
    mirrored = (lambda x: x, lambda x: -x)
    mia = MIACallback(*noise, attacks=[LiRA(queries=mirrored), LiRA(), Threshold()], shadow_models=plan())
    fit(memoriser(), noise, mia, epochs=2)
    assert mia.shadow_signals[1]["scaled_logit"].shape == (4, 200, 2)
    assert float(mia.reports[-3].auc) != float(mia.reports[-2].auc)
    broken = MIACallback(*noise, attacks=[LiRA(queries=(lambda x: x[:, :3],))], shadow_models=plan())
    with pytest.raises(ValueError, match="it must keep records and their shape"):
        fit(memoriser(), noise, broken)


def test_tuners_copy_the_fleets_plan(noise):
    mia = MIACallback(*noise, attacks=[LiRA()], shadow_models=plan(6), budget=3.0)
    copied = copy.deepcopy(mia)
    assert copied._shadow_models == mia._shadow_models
    assert copied._budget == 3.0


def test_without_shadow_models_no_batch_hook_is_ours(noise):
    plain, with_fleet = MIACallback(*noise), MIACallback(*noise, shadow_models=plan())
    inherited = keras.callbacks.Callback.on_train_batch_end
    assert plain.on_train_batch_end.__func__ is inherited
    assert with_fleet.on_train_batch_end.__func__ is not inherited


def test_a_fleet_for_nobody_is_refused(noise):
    with pytest.raises(ValueError, match="trained for nobody"):
        fit(memoriser(), noise, MIACallback(*noise, attacks=Threshold(), shadow_models=plan()))


def test_who_decides_by_an_attack_that_waits_is_warned(noise, tmp_path):
    mia = MIACallback(*noise, attacks=[Threshold(), LiRA()], shadow_models=plan(schedule="train_end"))
    (x, y), _ = noise
    deciding = [
        LeakageLimit("mia_lira_auc", 0.9),
        PrivateCheckpoint(tmp_path / "a.keras", "loss", leakage="mia_lira_auc"),
    ]
    with pytest.warns(AuditWarning) as caught:
        memoriser().fit(x, y, batch_size=20, verbose=0, callbacks=[mia, *deciding, LeakageLimit("mia_auc", 0.9)])
    said = [
        str(warning.message) for warning in caught if "decides by an attack whose shadow models" in str(warning.message)
    ]
    assert len(said) == 2
    assert "LeakageLimit" in said[0]
    assert "PrivateCheckpoint" in said[1]


@pytest.mark.slow
def test_a_limit_on_lira_stops_training(noise):
    mia = MIACallback(*noise, attacks=[Threshold(), LiRA()], shadow_models=plan(8))
    (x, y), _ = noise
    limit = LeakageLimit("mia_lira_auc", maximum=0.7)
    memoriser().fit(x, y, batch_size=20, epochs=60, verbose=0, callbacks=[mia, limit])
    assert mia.reports[-1].step < 59
    assert mia.reports[-1].auc.low > 0.7


def test_the_headline_says_if_another_attack_surely_recognises_more():
    rng = np.random.default_rng(0)
    is_member = np.arange(400) < 200
    scores = {
        "loss": rng.normal(size=400),
        "lira": rng.normal(size=400) + 2 * is_member,
        "rmia": rng.normal(size=400) + is_member,
    }
    reports = [LeakageReport.from_scores(values, is_member, attack=name) for name, values in scores.items()]
    headline, *others = pointing_at_the_strongest(reports)
    assert f"attack 'lira' recognises more: AUC {reports[1].auc:.3f} [" in headline.notes[-1]
    assert others == reports[1:]
    assert pointing_at_the_strongest(reports[1:]) == reports[1:]  # the headline is the strongest
    alike = [reports[0], LeakageReport.from_scores(scores["loss"] + 0.01 * is_member, is_member, attack="other")]
    assert pointing_at_the_strongest(alike) == alike


def test_shadow_models_trained_for_other_epochs_than_the_target_are_said(noise):
    mia = MIACallback(*noise, attacks=[LiRA()], shadow_models=plan(schedule="train_end", epochs=2))
    fit(memoriser(), noise, mia, epochs=3)
    assert any("trained for 2 epochs, the target for 3" in note for note in mia.report.notes)


@pytest.mark.slow
def test_a_fleet_is_let_go_after_the_fit_and_after_a_refusal(noise):
    import gc
    import weakref

    from privacy_callbacks.attacks.fleet import Fleet

    mia = MIACallback(*noise, attacks=[LiRA()], shadow_models=plan(memory_limit=1))
    watch = FleetWatch(mia)
    alive = []
    watch.on_epoch_end = lambda epoch, logs=None: alive.append(weakref.ref(mia._lockstep._fleet))
    (x, y), _ = noise
    memoriser().fit(x, y, batch_size=20, verbose=0, callbacks=[mia, watch])
    gc.collect()
    assert len(alive) == 1
    assert alive[0]() is None
    before = [item for item in gc.get_objects() if isinstance(item, Fleet)]
    with pytest.raises(ValueError, match="cannot work with these shadow models"):
        fit(memoriser(), noise, MIACallback(*noise, attacks=[LiRA()], shadow_models=plan(2, memory_limit=1)))
    gc.collect()
    assert [item for item in gc.get_objects() if isinstance(item, Fleet)] == before


@pytest.mark.slow
def test_what_is_printed_without_a_terminal_is_one_line_an_epoch(noise, capsys):
    (x, y), _ = noise
    mia = MIACallback(*noise, attacks=[LiRA()], shadow_models=plan(engine="auto"))
    memoriser().fit(x, y, batch_size=20, epochs=2, verbose=2, callbacks=[mia])
    printed = capsys.readouterr().out
    assert "ms a step" in printed
    assert "is chosen" in printed
    assert "Shadow models, epoch 1/2: 4 models" in printed
    assert "Shadow models, epoch 2/2: 4 models" in printed
    memoriser().fit(x, y, batch_size=20, epochs=2, verbose=0, callbacks=[mia])
    assert capsys.readouterr().out == ""


def test_tensorboard_holds_liras_curve(noise, tmp_path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    mia = MIACallback(*noise, attacks=[LiRA()], shadow_models=plan(), log_dir=tmp_path)
    history = fit(memoriser(), noise, mia, epochs=3).history
    events = EventAccumulator(str(tmp_path / "mia" / "lira"))
    events.Reload()
    written = [tf.make_ndarray(event.tensor_proto).item() for event in events.Tensors("mia/auc")]
    np.testing.assert_allclose(written, history["mia_auc"], rtol=1e-6)


def test_a_callback_can_be_fitted_twice(noise):
    mia = MIACallback(*noise, attacks=[LiRA()], shadow_models=plan())
    fit(memoriser(), noise, mia, epochs=2)
    once = mia.shadow_signals[1]["scaled_logit"]
    fit(memoriser(), noise, mia, epochs=2)
    np.testing.assert_array_equal(once, mia.shadow_signals[1]["scaled_logit"])


@pytest.mark.slow
def test_after_the_fact(noise):
    model = memoriser()
    (x, y), _ = noise
    model.fit(x, y, batch_size=20, epochs=30, verbose=0)
    attacks = [LiRA(), RMIA(), AttackR(), DifficultyCalibration(), ShadowClassifier(), Threshold()]
    reports = audit(model, *noise, attacks, shadow_models=plan(8, epochs=30, batch_size=20), verbose=0)
    assert all(report.auc.low > 0.5 for report in reports)
    with pytest.raises(ValueError, match="nothing tells how the target was trained"):
        audit(model, *noise, attacks, shadow_models=8)
    with pytest.raises(ValueError, match="give shadow_models=16"):
        audit(model, *noise, attacks)


@pytest.mark.parametrize("members", ["a target that trained on neither side", "one that cannot memorise"])
def test_without_memory_the_interval_covers_one_half(noise, members):
    rng = np.random.default_rng(7)
    world = rng.normal(size=(6, 3))
    x = rng.normal(size=(3_000, 6)).astype("float32")
    y = (x @ world + rng.gumbel(size=(3_000, 3))).argmax(axis=1)
    sides = (x[:1_000], y[:1_000]), (x[1_000:2_000], y[1_000:2_000])
    model = keras.Sequential(
        [keras.Input((6,)), layers.Dense(3, "softmax", kernel_regularizer=keras.regularizers.L2(0.1))]
    )
    model.compile(keras.optimizers.SGD(0.05), "sparse_categorical_crossentropy")
    mia = MIACallback(*sides, attacks=[LiRA(), RMIA(), AttackR(), DifficultyCalibration()], shadow_models=plan(8))
    trained_on = (x[2_000:], y[2_000:]) if members.startswith("a target") else sides[0]
    model.fit(*trained_on, batch_size=50, epochs=3, verbose=0, callbacks=[mia])
    for report in mia.reports[-4:]:  # eight intervals in all: a false alarm in at most .8 % of seeds
        interval = auc(report.roc, level=0.999)
        assert interval.low <= 0.5 <= interval.high


@pytest.mark.parametrize(
    ("count", "steps", "expected"),
    [
        (2_500, 79, 32),
        (2_500, 50, 50),
        (60_000, 1_875, 32),
        (1_000, 8, 128),
        (10, 1, 10),
        (100, 3, 48),
        (100, 200, None),
    ],
)
def test_the_batch_size_is_told_from_the_steps(count, steps, expected):
    assert inferred_batch_size(count, steps) == expected
    if expected:
        assert steps in (-(-count // expected), count // expected)


@pytest.mark.parametrize("engine", ["compiled", pytest.param("fit", marks=pytest.mark.slow)])
def test_averaging_optimizers_average_shadow_models_when_training_ends_and_not_before(noise, engine):
    def run(use_ema, epochs):
        adam = keras.optimizers.Adam(0.02, use_ema=use_ema, ema_momentum=0.9)
        mia = MIACallback(*noise, attacks=[LiRA()], shadow_models=plan(engine=engine))
        watch = keras.callbacks.LambdaCallback(
            on_epoch_end=lambda epoch, logs: seen.append(mia.shadow_signals[epoch]["scaled_logit"])
        )
        seen = []
        (x, y), _ = noise
        model = memoriser(optimizer=adam)
        model.fit(x, y, batch_size=20, epochs=epochs, verbose=0, callbacks=[mia, watch])
        return mia, seen

    plain, course = run(False, 4)
    averaged, raw = run(True, 4)
    for one, other in zip(course, raw, strict=True):  # averaging changes nothing on the way
        np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-4)
    final = averaged.shadow_signals[3]["scaled_logit"]
    assert abs(final - raw[3]).mean() > 0.05
    assert abs(final).mean() < abs(raw[3]).mean()  # the average of weights on the way lags behind
    np.testing.assert_array_equal(plain.shadow_signals[3]["scaled_logit"], course[3])


def test_a_model_that_accumulates_gradients_is_audited(noise):
    adam = keras.optimizers.Adam(0.02, gradient_accumulation_steps=2)
    mia = MIACallback(*noise, attacks=[LiRA(), Threshold()], shadow_models=plan())
    fit(memoriser(optimizer=adam), noise, mia, epochs=2)
    assert [report.step for report in mia.reports if not report.failed] == [-1, -1, 0, 0, 1, 1]


def test_sample_weights_within_a_data_set_are_warned_of(noise):
    (x, y), _ = noise
    weighted = tf.data.Dataset.from_tensor_slices((x, y, np.ones(100, np.float32))).batch(20)
    mia = MIACallback(*noise, attacks=[LiRA()], shadow_models=plan())
    with pytest.warns(AuditWarning, match=r"fit weights records \(sample_weight\)"):
        memoriser().fit(weighted, verbose=0, callbacks=[mia])


def test_learning_rates_are_noted_before_callbacks_behind_change_them(noise):
    class Warmup(keras.callbacks.Callback):
        def on_train_batch_begin(self, batch, logs=None):
            self.model.optimizer.learning_rate = 0.001 * (batch + 1)

    mia = MIACallback(*noise, attacks=[LiRA()], shadow_models=plan())
    noted = []
    (x, y), _ = noise
    watch = keras.callbacks.LambdaCallback(on_epoch_end=lambda *_: noted.append(mia._lockstep._rates_of_epochs[-1]))
    memoriser().fit(x, y, batch_size=20, verbose=0, callbacks=[mia, Warmup(), watch])
    np.testing.assert_allclose(noted[0], [0.001, 0.002, 0.003, 0.004, 0.005], rtol=1e-5)


class Shuffling(Batches):
    """The textbook's: another order after each epoch."""

    def on_epoch_end(self):
        order = np.random.default_rng(len(self.x)).permutation(len(self.x))
        self.x, self.y = self.x[order], self.y[order]


def test_members_that_come_in_another_order_the_second_time_are_refused(noise):
    (x, y), nonmembers = noise
    members = Shuffling(x, y)
    audited = AuditSet(members, nonmembers)
    members.on_epoch_end()
    mia = MIACallback(audited, attacks=[LiRA()], shadow_models=plan())
    with pytest.raises(ValueError, match="gave other records, or in another order, than when the audit was drawn"):
        fit(memoriser(), noise, mia)


def test_a_pool_with_the_members_alone_is_refused_and_the_population_is_kept_out_of_any(noise):
    (x, y), (x_out, y_out) = noise
    mia = MIACallback(*noise, attacks=[RMIA()], shadow_models=plan(pool=(x, y)))
    with pytest.raises(ValueError, match="holds 100 % of the audited members and 0 % of the non-members"):
        fit(memoriser(), noise, mia)
    everything = np.concatenate([x, x_out]), np.concatenate([y, y_out])
    mia = MIACallback(*noise, attacks=[RMIA(form="percentile")], shadow_models=plan(pool=everything))
    seen = FleetWatch(mia)
    memoriser().fit(x, y, batch_size=20, verbose=0, callbacks=[mia, seen])
    assert seen.assignment.shape == (4, 200 - len(mia.audit_set.population))


def test_an_attack_that_does_not_fit_the_head_is_named(noise):
    (x, _), (x_out, _) = noise
    model = keras.Sequential([keras.Input((6,)), layers.Dense(1)])
    model.compile("sgd", "mse")
    mia = MIACallback((x, x[:, :1]), (x_out, x_out[:, :1]), attacks=[RMIA()], shadow_models=plan())
    with pytest.raises(ValueError, match="attack 'rmia' reads the signal 'confidence', which does not fit"):
        model.fit(x, x[:, :1], verbose=0, callbacks=[mia])


@pytest.mark.slow
def test_weights_swapped_for_averages_at_each_epoch_are_swapped_in_shadow_models_too(noise):
    (x, y), _ = noise

    def course(*callbacks):
        adam = keras.optimizers.Adam(0.02, use_ema=True, ema_momentum=0.9)
        mia = MIACallback(*noise, attacks=[LiRA()], shadow_models=plan())
        memoriser(optimizer=adam).fit(x, y, batch_size=20, epochs=3, verbose=0, callbacks=[*callbacks, mia])
        return mia.shadow_signals

    swapped, raw = course(keras.callbacks.SwapEMAWeights(swap_on_epoch=True)), course()
    np.testing.assert_array_equal(swapped[-1]["scaled_logit"], raw[-1]["scaled_logit"])
    for epoch in (0, 1):
        assert abs(swapped[epoch]["scaled_logit"] - raw[epoch]["scaled_logit"]).mean() > 0.05
    np.testing.assert_allclose(
        swapped[2]["scaled_logit"], raw[2]["scaled_logit"], rtol=1e-5
    )  # averages at the end, both

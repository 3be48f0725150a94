"""A fleet that is interrupted ends as one that is not, and a folder of another fleet is not taken for its own."""

import json
import os
import pathlib
import re
import shutil
import warnings

import keras
import numpy as np
import pytest
import tensorflow as tf
from interrupted_runs import EPOCHS, MODELS, fit_in_lockstep, fleet_alone, killed_somewhere, plan, run, target, world

from privacy_callbacks import AuditSet, AuditWarning, MIACallback
from privacy_callbacks.attacks import AttackR, LiRA, ShadowModels, Threshold
from privacy_callbacks.attacks.asked_records import resident_records
from privacy_callbacks.attacks.fleet_files import FleetFiles, Outcome
from privacy_callbacks.attacks.fleet_here import FleetHere
from privacy_callbacks.attacks.fleet_identity import question_digest
from privacy_callbacks.attacks.graph_digest import graph_digest
from privacy_callbacks.attacks.record_arrays import Records

pytestmark = pytest.mark.filterwarnings("ignore:.*cannot resolve a false positive rate:UserWarning")
KILLS = int(os.environ.get("KILLS", "20"))


def pool():
    members, nonmembers = world()
    return tuple(np.concatenate(pair) for pair in zip(members, nonmembers, strict=True))


def alone(folder=None, engine="compiled", model=None, data=None, **options):
    x, y = data or pool()
    settings = {"epochs": EPOCHS, "batch_size": 10, "engine": engine, "checkpoint_dir": folder, **options}
    return ShadowModels(settings.pop("num_models", MODELS), **settings).fit(model or target(), x, y, verbose=0)


def same(one, other):
    assert list(one) == list(other)
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])
    np.testing.assert_array_equal(one.trained_on, other.trained_on)


@pytest.fixture(scope="module")
def undisturbed():
    return {engine: alone(engine=engine) for engine in ("compiled", "fit")}


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A folder of a finished fleet; tests copy it."""
    folder = tmp_path_factory.mktemp("finished") / "fleet"
    alone(folder)
    return folder


@pytest.fixture
def kept(finished, tmp_path):
    shutil.copytree(finished, tmp_path / "fleet")
    return tmp_path / "fleet"


class Broken(KeyboardInterrupt):
    pass


@pytest.fixture
def break_off(monkeypatch):
    """Lets the epochs of groups be counted, and broken off after some."""
    advanced, trained = FleetHere._advanced, []

    def after(count):
        trained.clear()

        def counting(self, number, epoch):
            if len(trained) >= count:
                raise Broken
            outcome = advanced(self, number, epoch)
            trained.append((number, epoch))
            return outcome

        monkeypatch.setattr(FleetHere, "_advanced", counting)
        return trained

    return after


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["compiled", "fit"])
def test_a_fleet_broken_off_again_and_again_ends_with_the_same_bits(engine, undisturbed, tmp_path, break_off):
    for count in (1, 3, 2, 4):
        break_off(count)
        with pytest.raises(Broken):
            alone(tmp_path / "fleet", engine)
    trained = break_off(1_000)
    same(alone(tmp_path / "fleet", engine), undisturbed[engine])
    # A group in training at the same time as one that is broken off is finished.
    assert len(trained) <= MODELS * EPOCHS - 10


class TwoOptimizers(keras.Model):
    """A train_step of its own that keeps a state in a second optimizer, which no list of Keras' names."""

    def __init__(self):
        super().__init__()
        self.inner, self.head = keras.layers.Dense(8, activation="relu"), keras.layers.Dense(3, activation="softmax")
        self.second = keras.optimizers.Adam(0.05)

    def get_config(self):
        return {}

    def call(self, x):
        return self.head(self.inner(x))

    def train_step(self, data):
        x, y = data[:2]
        with tf.GradientTape() as tape:
            loss = self.compute_loss(x=x, y=y, y_pred=self(x, training=True))
        inner, head = self.inner.trainable_variables, self.head.trainable_variables
        gradients = tape.gradient(loss, [*inner, *head])
        self.optimizer.apply(gradients[:2], inner)
        self.second.apply(gradients[2:], head)
        return {"loss": loss}


@pytest.mark.slow
def test_optimizers_that_only_a_train_step_knows_go_on_as_well(tmp_path, break_off):
    def model():
        made = TwoOptimizers()
        made.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
        return made

    wanted = alone(engine="fit", model=model(), epochs=3)
    break_off(6)
    with pytest.raises(Broken):
        alone(tmp_path / "fleet", "fit", model=model(), epochs=3)
    break_off(1_000)
    same(alone(tmp_path / "fleet", "fit", model=model(), epochs=3), wanted)


def test_a_finished_fleet_is_not_trained_again(kept, undisturbed, break_off):
    break_off(0)
    same(alone(kept), undisturbed["compiled"])
    # Nor where the records come in another order: a later target has other members among them.
    x, y = pool()
    order = np.random.default_rng(1).permutation(len(x))
    again = alone(kept, data=(x[order], y[order]))
    np.testing.assert_array_equal(again["loss"], undisturbed["compiled"]["loss"][:, order])
    np.testing.assert_array_equal(again.trained_on, undisturbed["compiled"].trained_on[:, order])


def test_a_finished_fleet_can_be_trained_for_longer(kept, break_off):
    trained = break_off(1_000)
    longer = alone(kept, epochs=EPOCHS + 1)
    assert len(trained) == MODELS
    same(longer, alone(epochs=EPOCHS + 1))


@pytest.mark.slow
def test_a_shorter_training_is_found_as_it_was(kept, undisturbed, break_off):
    """Its signals were not asked then: the group is trained anew up to there, without a trace in the folder."""
    before = {path: path.read_bytes() for path in kept.rglob("state-*")}
    same(alone(kept, epochs=2), alone(epochs=2))
    assert {path: path.read_bytes() for path in kept.rglob("state-*")} == before
    same(alone(kept), undisturbed["compiled"])


@pytest.mark.parametrize(
    ("files", "damage"),
    [
        ("state-00005.npz", "cut"),
        ("state-*.npz", "changed"),
        ("trained-*.npz", "gone"),
        ("asked-*.npz", "changed"),
        ("*.npz", "cut"),
        ("*.npz", "gone"),
    ],
)
def test_what_is_damaged_is_made_again(kept, undisturbed, files, damage):
    for path in kept.glob(f"group-000[13]/{files}"):
        content = path.read_bytes()
        if damage == "gone":
            path.unlink()
        else:
            path.write_bytes(content[: len(content) // 2] + (b"" if damage == "cut" else b"\0" * (len(content) // 2)))
    same(alone(kept), undisturbed["compiled"])


@pytest.mark.slow
def test_learning_rates_of_old_are_those_of_a_repetition(tmp_path):
    """Two epochs in lockstep at rates of their own; then the second is wanted again, of which no state is left."""
    members, nonmembers = world()

    class Rates(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.model.optimizer.learning_rate = 0.01 / (epoch + 1)

    def fitted(folder, attacks):
        mia = MIACallback(members, nonmembers, attacks=attacks, shadow_models=plan(folder, "compiled"), audit_size=60)
        with pytest.warns(AuditWarning, match="cannot resolve"):
            target().fit(*members, batch_size=10, epochs=4, verbose=0, shuffle=False, callbacks=[mia, Rates()])
        return mia.shadow_signals

    folder = tmp_path / "fleet"
    ours = fitted(folder, [LiRA()])
    twice = (lambda x: x, lambda x: 0.5 * x)
    again, fresh = fitted(folder, [LiRA(queries=twice)]), fitted(None, [LiRA(queries=twice)])
    assert set(ours) == set(again) == {-1, 0, 1, 2, 3}
    for step in ours:
        np.testing.assert_array_equal(again[step]["scaled_logit"], fresh[step]["scaled_logit"])
        np.testing.assert_array_equal(again[step]["scaled_logit"][..., 0], ours[step]["scaled_logit"][..., 0])


def other_model():
    model = target()
    model.layers[2].negative_slope = 0.1
    return model


def other_optimizer(rate=1e-3):
    model = target()
    model.compile(keras.optimizers.Adam(rate, beta_1=0.8), "sparse_categorical_crossentropy")
    return model


def altered(trainable=True, constraint=None, loss="sparse_categorical_crossentropy"):
    model = target()
    model.layers[-2].kernel.constraint = constraint
    model.layers[-2].kernel_constraint = constraint
    model.layers[-2].trainable = trainable
    model.compile("adam", loss)
    return model


def times(factors):
    return lambda y, p: factors[0] * keras.losses.sparse_categorical_crossentropy(y, p)


def test_numpys_numbers_are_numbers(tmp_path):
    options = {
        "class_weight": {np.int64(0): np.float32(2)},
        "seed": np.int64(3),
        "batch_size": np.int64(12),
        "epochs": 1,
    }
    same(alone(tmp_path / "fleet", **options), alone(**options))


def test_a_copy_of_a_file_beside_it_is_no_state(kept, undisturbed):
    shutil.copy(kept / "group-0000" / "state-00004.npz", kept / "group-0000" / "state-00004 (conflicted copy).npz")
    same(alone(kept), undisturbed["compiled"])


def drawn_otherwise():
    def anew(layer):
        config = {key: value for key, value in layer.get_config().items() if key != "kernel_initializer"}
        return type(layer).from_config(config)

    return keras.models.clone_model(target(), clone_function=anew)


def faster():
    model = target()
    model.compile(keras.optimizers.Adam(2e-3), "sparse_categorical_crossentropy")
    return model


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"data": (pool()[0] + 1, pool()[1])}, "with another: the records of the pool. Give an empty directory"),
        ({"data": (pool()[0], 2 - pool()[1])}, "the records of the pool"),
        ({"seed": 1}, "the seed"),
        ({"num_models": 6}, "the number of shadow models"),
        ({"batch_size": 12}, "the batch size"),
        ({"class_weight": {0: 2.0}}, "class weights"),
        ({"model": other_model}, "the model's training step"),
        ({"model": other_optimizer}, "the optimizer"),
        ({"model": faster}, "the optimizer"),
        ({"model": lambda: altered(trainable=False)}, "the initial weights"),
        ({"model": lambda: altered(constraint=keras.constraints.MaxNorm(0.3))}, "the initial weights"),
        ({"model": lambda: altered(loss=times(tf.fill([200], 2.0)))}, "the model's training step"),
        ({"model_fn": drawn_otherwise}, "the initial weights that the model's initializers"),
        ({"augment": lambda x, seed: x + 1.0}, "the augmentation"),
        ({"engine": "fit"}, "engine 'compiled', which rounds otherwise than 'fit'; give engine='compiled' or 'auto'"),
    ],
)
def test_a_folder_of_another_fleet_is_refused_with_what_differs(kept, options, reason):
    before = {path: path.stat().st_mtime_ns for path in kept.rglob("*.npz")}
    if "model" in options:
        options = {**options, "model": options["model"]()}
    with pytest.raises(ValueError, match=reason):
        alone(kept, **options)
    assert {path: path.stat().st_mtime_ns for path in kept.rglob("*.npz")} == before


@pytest.mark.parametrize("kind", [pytest.param("recurrent", marks=pytest.mark.slow), "scaled loss"])
def test_names_that_count_what_was_made_before_are_no_difference(kind, tmp_path):
    """As in another process, or for the next target in this one."""

    def model():
        inner = [keras.layers.Reshape((3, 2)), keras.layers.GRU(3)] if kind == "recurrent" else [keras.layers.Dense(3)]
        made = keras.Sequential([keras.Input((6,)), *inner, keras.layers.Dense(3, activation="softmax")])
        inside = keras.optimizers.Adam()
        optimizer = inside if kind == "recurrent" else keras.optimizers.LossScaleOptimizer(inside)
        made.compile(optimizer, "sparse_categorical_crossentropy")
        return made

    first = alone(tmp_path / "fleet", model=model(), epochs=1)
    same(alone(tmp_path / "fleet", model=model(), epochs=1), first)


def test_auto_takes_the_engine_that_the_fleet_was_begun_with(kept, undisturbed, break_off, tmp_path):
    break_off(0)
    same(alone(kept, "auto"), undisturbed["compiled"])
    break_off(1_000)
    measured = alone(tmp_path / "measured", "auto", epochs=1)
    manifest = json.loads((tmp_path / "measured" / "fleet.json").read_text())
    assert manifest["choice"].endswith(f"{manifest['engine']} is chosen.")
    break_off(0)
    same(alone(tmp_path / "measured", "auto", epochs=1), measured)


def test_a_folder_of_something_else_is_refused(tmp_path):
    (tmp_path / "thesis.tex").write_text("…")
    with pytest.raises(ValueError, match=r"holds thesis.tex, but no fleet of shadow models; give an empty directory"):
        alone(tmp_path)
    assert [path.name for path in tmp_path.iterdir() if path.name not in ("rates", "lock")] == ["thesis.tex"]
    with pytest.raises(ValueError, match="cannot be written to"):
        alone(tmp_path / "thesis.tex")
    with pytest.raises(ValueError, match="checkpoint_dir is 3; give the path"):
        ShadowModels(checkpoint_dir=3)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("{", "damaged or not of a fleet"),
        ("[]", "damaged or not of a fleet"),
        ('{"format": "privacy_callbacks shadow fleet", "schema_version": 9}', "has schema version 9, this is 1"),
    ],
)
def test_a_manifest_that_cannot_be_read_is_refused(kept, text, reason):
    (kept / "fleet.json").write_text(text)
    with pytest.raises(ValueError, match=reason):
        alone(kept)


def test_other_versions_are_said(kept, undisturbed):
    path = kept / "fleet.json"
    text = re.sub(r'("the model.s training step": )"\w+"', r'\1"another"', path.read_text())
    path.write_text(text.replace(tf.__version__, "2.0.0"))
    again = alone(kept)
    same(again, undisturbed["compiled"])
    assert "were begun with tensorflow 2.0.0" in again.warnings[-1]


def test_two_processes_do_not_work_in_one_folder(kept, undisturbed):
    fcntl = pytest.importorskip("fcntl")
    with (kept / "lock").open("a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(ValueError, match="another process trains shadow models in checkpoint_dir"):
            alone(kept)
    held = FleetFiles(kept)  # by a fit of this process that was broken off
    same(alone(kept), undisturbed["compiled"])
    held.close()


def test_a_full_disk_is_said_and_ends_nothing(tmp_path, undisturbed, monkeypatch):
    from privacy_callbacks.attacks import fleet_files

    write, count = fleet_files.write_arrays, []

    def full(path, *arguments):
        count.append(path)
        if len(count) > 12:
            raise OSError(28, "No space left on device")
        write(path, *arguments)

    monkeypatch.setattr(fleet_files, "write_arrays", full)
    signals = alone(tmp_path / "fleet")
    same(signals, undisturbed["compiled"])
    assert "checkpoint_dir could not be written to (OSError: [Errno 28] No space left" in signals.warnings[-1]
    monkeypatch.setattr(fleet_files, "write_arrays", write)
    same(alone(tmp_path / "fleet"), undisturbed["compiled"])


@pytest.mark.slow
def test_a_diverged_model_stays_left_out(tmp_path, break_off):
    x, y = pool()
    y = np.where(np.arange(120) == 0, 2, y % 2)
    options = {
        "data": (x, y),
        "class_weight": {2: float("inf")},
        "epochs": 3,
    }  # who trains on the first record diverges
    wanted = alone(**options)
    break_off(3)
    with pytest.raises(Broken):
        alone(tmp_path / "fleet", **options)
    break_off(1_000)
    again = alone(tmp_path / "fleet", **options)
    same(again, wanted)
    assert again.num_models < MODELS
    assert again.warnings == wanted.warnings


def test_at_most_the_two_newest_states_are_kept(kept):
    for group in range(MODELS):
        states = sorted(path.name for path in (kept / f"group-{group:04d}").glob("state-*"))
        assert states == ["state-00004.npz", "state-00005.npz"]


class StopAfter(keras.callbacks.Callback):
    """Breaks a fit off at the end of an epoch."""

    def __init__(self, epoch):
        super().__init__()
        self.epoch = epoch

    def on_epoch_end(self, epoch, logs=None):
        if epoch == self.epoch:
            raise Broken


def lockstep_fit(folder, *more, ours_first=True, epochs=EPOCHS, data=None, attacks=None, model=None, **options):
    members, nonmembers = data or world()
    mia = MIACallback(
        AuditSet(members, nonmembers, size=60),
        attacks=attacks or [Threshold(), LiRA()],
        shadow_models=plan(None if folder is None else folder / "fleet", "compiled", **options),
        on_error="raise",
    )
    callbacks = [mia]
    if folder is not None:
        backup = keras.callbacks.BackupAndRestore(str(folder / "backup"), double_checkpoint=True)
        callbacks = [mia, backup] if ours_first else [backup, mia]
    model = target() if model is None else model
    model.fit(*members, batch_size=10, epochs=epochs, verbose=0, shuffle=False, callbacks=[*callbacks, *more])
    return mia


@pytest.mark.slow
def test_averages_are_kept_beside_the_weights_that_training_goes_on_with(tmp_path, break_off):
    def model():
        made = target()
        made.compile(keras.optimizers.SGD(0.1, use_ema=True, ema_momentum=0.5), "sparse_categorical_crossentropy")
        return made

    whole = lockstep_fit(None, model=model())
    first = lockstep_fit(tmp_path, model=model())
    break_off(0)
    again = lockstep_fit(tmp_path, model=model())
    for step in (1, EPOCHS - 1):
        same(first.shadow_signals[step], whole.shadow_signals[step])
        same(again.shadow_signals[step], whole.shadow_signals[step])
    break_off(1_000)
    longer, anew = (lockstep_fit(folder, model=model(), epochs=EPOCHS + 1) for folder in (tmp_path, None))
    for step in (EPOCHS - 1, EPOCHS):  # asked as it is within training, and at its end
        same(longer.shadow_signals[step], anew.shadow_signals[step])


@pytest.mark.slow
def test_shadow_models_behind_the_target_are_said(tmp_path):
    with pytest.raises(Broken):
        lockstep_fit(tmp_path, StopAfter(2))
    shutil.rmtree(tmp_path / "fleet" / "rates")
    files = FleetFiles(tmp_path / "fleet")
    files.keep_rates(0, np.array([1e-3], np.float32))
    files.close()
    behind = "goes on after epoch 3, the shadow models in checkpoint_dir were begun up to epoch 1"
    with pytest.warns(AuditWarning, match=behind):
        lockstep_fit(tmp_path)


def test_an_epoch_of_another_length_is_another_fleet(tmp_path):
    members, nonmembers = world()

    def fitted(steps):
        data = tf.data.Dataset.from_tensor_slices(members).repeat().batch(10)
        mia = MIACallback(members, nonmembers, attacks=[LiRA()], shadow_models=plan(tmp_path / "fleet", "compiled"))
        target().fit(data, steps_per_epoch=steps, epochs=1, verbose=0, shuffle=False, callbacks=[mia])

    fitted(3)
    with pytest.raises(ValueError, match="the length of an epoch"):
        fitted(4)


def test_each_epoch_counts_its_steps_on(monkeypatch):
    """Which decides the seeds of an augmentation function."""
    from privacy_callbacks.attacks.compiled_engine import CompiledEngine

    train, seen = CompiledEngine.train, []

    def watched(self, shadows, state, orders, rates, first_step=0):
        seen.append(first_step)
        return train(self, shadows, state, orders, rates, first_step)

    monkeypatch.setattr(CompiledEngine, "train", watched)
    alone(num_models=2, epochs=3, batch_size=25)
    assert sorted(seen) == [0, 0, 3, 3, 6, 6]


def test_losses_are_each_models_own(monkeypatch):
    from privacy_callbacks.attacks.fleet import Fleet

    trained, seen = Fleet.train_epoch, []

    def watched(self, *arguments, **named):
        trained(self, *arguments, **named)
        seen.append(self.losses)

    monkeypatch.setattr(Fleet, "train_epoch", watched)
    for engine in ("compiled", "stacked"):
        alone(engine=engine, epochs=1)
    np.testing.assert_allclose(seen[0], seen[1], rtol=1e-4)
    assert len(np.unique(seen[0])) == MODELS


def test_the_newest_whole_state_is_taken(tmp_path):
    files = FleetFiles(tmp_path / "fleet")
    for epochs in (1, 2, 3):
        files.keep_epoch(0, epochs, [np.float32(epochs)], Outcome([0.5], {}))
    assert [files.newest_state(0, most) and files.newest_state(0, most)[0] for most in (1, 2, 3, 9)] == [None, 2, 3, 3]
    files.close()


@pytest.mark.parametrize(
    ("stop", "ours_first"),
    [
        pytest.param(0, True, marks=pytest.mark.slow),
        (2, False),
        pytest.param(EPOCHS - 1, True, marks=pytest.mark.slow),
        pytest.param(EPOCHS - 1, False, marks=pytest.mark.slow),
    ],
)
def test_a_fit_goes_on_with_its_shadow_models(tmp_path, stop, ours_first):
    whole = lockstep_fit(None)
    with pytest.raises(Broken):
        lockstep_fit(tmp_path, StopAfter(stop), ours_first=ours_first)
    mia = lockstep_fit(tmp_path, ours_first=ours_first)
    same(mia.shadow_signals[EPOCHS - 1], whole.shadow_signals[EPOCHS - 1])
    assert mia.report.step == EPOCHS - 1
    assert not mia.report.void
    assert mia.report.warnings == whole.report.warnings
    steps = {report.step for report in mia.reports}
    assert steps >= set(range(stop + 1, EPOCHS)) | {EPOCHS - 1}


@pytest.mark.slow
def test_a_target_without_backup_is_told_from_one_that_goes_on(tmp_path):
    """A trained model fitted from epoch 0 is no interrupted fit, whatever the folder holds."""
    lockstep_fit(tmp_path)
    members, nonmembers = world()
    model = target()
    model.fit(*members, batch_size=10, epochs=1, verbose=0)
    mia = MIACallback(members, nonmembers, attacks=[LiRA()], shadow_models=plan(tmp_path / "fleet", "compiled"))
    with pytest.warns(AuditWarning, match="the target was trained before this fit"):
        model.fit(*members, batch_size=10, epochs=2, verbose=0, callbacks=[mia])
    assert any("trained before this fit" in sentence for sentence in mia.report.warnings)


@pytest.mark.slow
def test_a_finished_fleet_audits_the_next_target_epoch_by_epoch(tmp_path, break_off):
    first = lockstep_fit(tmp_path)
    break_off(0)
    second = lockstep_fit(tmp_path)
    for step in first.shadow_signals:
        same(second.shadow_signals[step], first.shadow_signals[step])


@pytest.mark.slow
def test_a_target_with_other_members_is_audited_by_the_same_fleet(tmp_path, break_off):
    first = lockstep_fit(tmp_path)
    members, nonmembers = world()
    trained = break_off(1_000)
    second = lockstep_fit(tmp_path, data=(nonmembers, members))
    ours, theirs = (mia.shadow_signals[4]["scaled_logit"] for mia in (second, first))
    ours, theirs = ours[:, :60], theirs[:, 60:]
    assert not trained  # what was asked differs, so states of old are reached again, but no epoch is trained for good
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.slow
def test_another_learning_rate_is_said(tmp_path):
    lockstep_fit(tmp_path)

    class Slower(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                self.model.optimizer.learning_rate = 1e-4

    with pytest.warns(AuditWarning, match="cannot resolve"):
        again = lockstep_fit(tmp_path, Slower())
    said = "Shadow models were trained with other learning rates than the target in epoch 2, 3, 4, 5."
    assert said in next(report for report in again.reports[::-1] if report.attack == "lira").notes
    # What is made once more is made as it was, with the learning rates of old.
    twice = LiRA(queries=(lambda x: x, lambda x: 0.5 * x))
    with pytest.warns(AuditWarning, match="cannot resolve"):
        once_more = lockstep_fit(tmp_path, Slower(), attacks=[twice])
    ours, theirs = (mia.shadow_signals[2]["scaled_logit"][..., 0] for mia in (once_more, again))
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.slow
def test_a_fleet_that_waits_knows_the_rates_of_an_interrupted_fit(tmp_path):
    class Rates(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.model.optimizer.learning_rate = 0.01 / (epoch + 1)

    options = {"schedule": "train_end"}
    with pytest.warns(AuditWarning, match="cannot resolve"):
        whole = lockstep_fit(None, Rates(), **options)
    with pytest.raises(Broken), pytest.warns(AuditWarning):
        lockstep_fit(tmp_path, Rates(), StopAfter(2), **options)
    with pytest.warns(AuditWarning, match="cannot resolve"):
        again = lockstep_fit(tmp_path, Rates(), **options)
    same(again.shadow_signals[EPOCHS - 1], whole.shadow_signals[EPOCHS - 1])
    assert "other learning rates" not in " ".join(again.shadow_signals[EPOCHS - 1].warnings)


@pytest.mark.slow
def test_a_budget_is_kept_as_it_was_decided(tmp_path):
    members, nonmembers = world()

    def fitted():
        shadows = ShadowModels(8, engine="compiled", checkpoint_dir=tmp_path / "fleet")
        mia = MIACallback(members, nonmembers, attacks=[LiRA()], shadow_models=shadows, budget=1e-3)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", AuditWarning)
            target().fit(*members, batch_size=10, epochs=2, verbose=0, callbacks=[mia])
        return mia.shadow_signals[1]

    first = fitted()
    assert first.num_models == 4
    same(fitted(), first)


def test_the_digest_of_a_graph_knows_what_it_computes():
    def digest(function, shape=(2,)):
        return graph_digest(tf.function(function).get_concrete_function(tf.TensorSpec(shape, tf.float32)))

    assert digest(lambda x: 2.0 * x) == digest(lambda other: 2.0 * other)
    assert digest(lambda x: 2.0 * x) != digest(lambda x: 3.0 * x)
    assert digest(lambda x: 2.0 * x) != digest(lambda x: 2.0 + x)
    assert digest(lambda x: 2.0 * x) != digest(lambda x: 2.0 * x, (3,))
    inner = [tf.function(lambda x, factor=factor: factor * x) for factor in (2.0, 2.0, 3.0)]
    ours, alike, other = (digest(lambda x, call=call: call(x)) for call in inner)
    assert ours == alike != other

    def loop(factor):
        return digest(lambda x: tf.while_loop(lambda i, v: i < 3, lambda i, v: (i + 1, factor * v), (0, x))[1])

    assert loop(2.0) == loop(2.0) != loop(3.0)
    outside = [digest(lambda x: tf.numpy_function(np.sort, [x], tf.float32)) for _ in range(2)]
    assert outside[0] == outside[1]


def test_a_stack_broken_off_again_and_again_ends_with_the_same_bits(tmp_path, break_off):
    wanted = alone(engine="stacked")
    for count in (1, 2, 1):
        break_off(count)
        with pytest.raises(Broken):
            alone(tmp_path / "fleet", "stacked")
    trained = break_off(1_000)
    same(alone(tmp_path / "fleet", "stacked"), wanted)
    assert len(trained) <= EPOCHS - 3


@pytest.mark.slow
def test_a_diverged_model_of_a_stack_leaves_the_others_their_own_answers(tmp_path, break_off):
    x, y = pool()
    y = np.where(np.arange(120) == 0, 2, y % 2)
    options = {"data": (x, y), "class_weight": {2: float("inf")}, "epochs": 3}
    wanted = alone(**options)
    found = alone(tmp_path / "fleet", "stacked", **options)
    assert found.warnings[0].split(":")[0] == wanted.warnings[0].split(":")[0]
    np.testing.assert_array_equal(found.trained_on, wanted.trained_on)
    for name in wanted:
        # Batch norm enlarges rounding.
        np.testing.assert_allclose(found[name], wanted[name], rtol=1e-3, atol=2e-3)
    break_off(0)
    same(alone(tmp_path / "fleet", "stacked", **options), found)


def scaled(factor):
    return lambda y, p: factor * keras.losses.sparse_categorical_crossentropy(y, p)


class Scaled(keras.losses.Loss):
    def __init__(self, factor):
        super().__init__(reduction=None)
        self.factor = factor

    def call(self, y, p):
        return self.factor * keras.losses.sparse_categorical_crossentropy(y, p)


@pytest.mark.slow
@pytest.mark.parametrize("loss", [scaled, Scaled])
def test_a_loss_of_other_numbers_is_another_question(tmp_path, loss):
    members, nonmembers = world()

    def asked(folder, factor):
        attacks, shadows = [Threshold(), AttackR()], plan(folder, "compiled")
        mia = MIACallback(members, nonmembers, attacks=attacks, shadow_models=shadows, loss=loss(factor))
        with pytest.warns(AuditWarning, match="cannot resolve"):
            target().fit(*members, batch_size=10, epochs=1, verbose=0, callbacks=[mia])
        return mia.shadow_signals[0]

    asked(tmp_path / "fleet", 1.0)
    same(asked(tmp_path / "fleet", 3.0), asked(None, 3.0))


def test_a_train_step_with_another_optimizer_is_another_fleet(tmp_path):
    def model(rate):
        made = TwoOptimizers()
        made.second = keras.optimizers.Adam(rate)
        made.compile(keras.optimizers.SGD(0.1), "sparse_categorical_crossentropy")
        return made

    alone(tmp_path / "fleet", "fit", model=model(0.05), model_fn=lambda: model(0.05), epochs=1)
    with pytest.raises(ValueError, match="of another fleet, with another: the model's training step"):
        alone(tmp_path / "fleet", "fit", model=model(0.05), model_fn=lambda: model(0.5), epochs=1)


def test_queries_that_differ_on_any_record_are_others():
    asked = resident_records(Records(*pool()))
    highest = float(np.sort(pool()[0][:, 0])[-2])
    queries = (lambda x: x), (lambda x: tf.where(x[:, :1] > highest, -x, x))
    assert len({question_digest(asked, (query,), False, "") for query in queries}) == 2


@pytest.mark.slow
@pytest.mark.parametrize("work", [fleet_alone, fit_in_lockstep])
def test_killed_at_any_moment_the_signals_end_with_the_same_bits(work, tmp_path):
    """SIGKILL, 20 times in all (KILLS= in the environment for more), to processes of their own."""
    rng, killed, round_ = np.random.default_rng(KILLS), 0, 0
    (tmp_path / "whole").mkdir()
    run(work, tmp_path / "whole", "compiled", tmp_path / "whole.npz")
    wanted = np.load(tmp_path / "whole.npz")
    while killed < KILLS // 2:
        round_ += 1
        folder, out = tmp_path / f"{round_}", tmp_path / f"{round_}.npz"
        folder.mkdir()
        while killed_somewhere(work, folder, "compiled", out, rng):
            killed += 1
        found = np.load(out)
        assert set(found) == set(wanted)
        for name in wanted:
            np.testing.assert_array_equal(found[name], wanted[name])
        assert not list(pathlib.Path(folder).rglob("*.unfinished"))
        shutil.rmtree(folder)

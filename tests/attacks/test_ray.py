"""A fleet on Ray's workers is the fleet of this process: the same signals, whoever dies on the way."""

import contextlib
import os
import random
import signal
import sys
import types
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf

from privacy_callbacks import MIACallback, audit
from privacy_callbacks.attacks import LiRA, RayWorkers, ShadowModels, fleet_on_ray, ray_cluster
from privacy_callbacks.attacks.fleet_here import FleetHere
from privacy_callbacks.attacks.fresh_model import FreshModels

ray = pytest.importorskip("ray")

pytestmark = [
    pytest.mark.slow,  # a worker takes seconds to import TensorFlow
    pytest.mark.filterwarnings("ignore:.*override accelerator visible devices.*:FutureWarning"),
    pytest.mark.filterwarnings("ignore:subprocess .* is still running:ResourceWarning"),  # the cluster's own
]
layers = keras.layers
TWO = RayWorkers(2, engine="compiled")


@pytest.fixture(autouse=True)
def functions_go_as_code():
    """Workers cannot import this module."""
    here = sys.modules[__name__]
    ray.cloudpickle.register_pickle_by_value(here)
    yield
    ray.cloudpickle.unregister_pickle_by_value(here)


@pytest.fixture(scope="module")
def ended():
    yield
    ray.shutdown()


@pytest.fixture
def cluster(ended):
    """Two processors, started by the first test that wants them."""
    if not ray.is_initialized():
        ray.init(address="local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    return ray


def records(count=90, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.integers(0, 3, count)
    return (rng.normal(size=(count, 6)) + y[:, None]).astype("float32"), y


class Scaled(layers.Dense):
    def call(self, x):
        return 0.5 * super().call(x)


class OwnStep(keras.Model):
    """A model with a train_step of its own."""

    def __init__(self, width=4):
        super().__init__()
        self.width = width
        self.inner, self.head = layers.Dense(width), layers.Dense(3, activation="softmax")

    def get_config(self):
        return {"width": self.width}

    def call(self, x):
        return self.head(self.inner(x))

    def train_step(self, data):
        return super().train_step(data)


def surprise(y, p):
    return -keras.ops.log(keras.ops.sum(p * keras.ops.one_hot(keras.ops.cast(y, "int32"), 3), -1))


def classifier(*more, optimizer="adam", loss="sparse_categorical_crossentropy"):
    model = keras.Sequential([keras.Input((6,)), *more, layers.Dense(3, activation="softmax")])
    model.compile(optimizer=optimizer, loss=loss)
    return model


def usual():
    """Batch statistics, dropout, adapted statistics, a layer and a loss of one's own."""
    normal = layers.Normalization()
    normal.adapt(records()[0])
    own = Scaled(8, activation="relu")
    return classifier(normal, own, layers.BatchNormalization(), layers.Dropout(0.2), loss=surprise)


def own_step():
    model = OwnStep(5)
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


class Unconfigured(keras.Model):
    def __init__(self, inner):
        super().__init__()
        self.inner = inner

    def call(self, x):
        return self.inner(x)


def unconfigured():
    model = Unconfigured(layers.Dense(3, activation="softmax"))
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def plan(engine, **options):
    return ShadowModels(**{"num_models": 4, "epochs": 2, "batch_size": 10, "engine": engine, **options})


def refuse_differing(one, other):
    assert one.warnings == other.warnings
    np.testing.assert_array_equal(one.trained_on, other.trained_on)
    assert list(one) == list(other)
    for name in one:
        np.testing.assert_array_equal(one[name], other[name])


def fatal(flag, seeds, step, again=False):
    """An augmentation that changes nothing, but kills its process while the file is there: at a step of these shadow models."""

    def strike(seed):
        if os.path.exists(flag) and int(seed[0]) in seeds and int(seed[1]) == step:
            if not again:
                os.remove(flag)
            os.kill(os.getpid(), signal.SIGKILL)
        return seed

    def augment(x, seed):
        with tf.control_dependencies([tf.numpy_function(strike, [seed], tf.int32)]):
            return tf.identity(x)

    return augment


def seeds_of(model, shadows):
    return {FreshModels(model, None, None, 0).augmentation_seed(shadow) for shadow in shadows}


def test_a_cluster_started_for_a_fleet_ends_with_it(monkeypatch):
    ray.shutdown()
    before_all = _children()
    monkeypatch.delenv("RAY_USAGE_STATS_ENABLED", raising=False)
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    environment, on_terminate = dict(os.environ), signal.getsignal(signal.SIGTERM)
    seen, init = {}, ray.init

    def watched(**options):
        seen.update(options, statistics=os.environ["RAY_USAGE_STATS_ENABLED"])
        return init(**options, num_cpus=1)

    monkeypatch.setattr(ray, "init", watched)
    (x, y), model = records(), classifier()
    random.seed(1)
    before = random.getstate()
    shadows = plan(RayWorkers(engine="compiled"), num_models=2).fit(model, x, y, signals=("loss",), verbose=0)
    assert random.getstate() == before
    assert seen["statistics"] == "0"
    assert seen["include_dashboard"] is False
    assert seen["address"] == "local"
    assert not ray.is_initialized()
    assert {name for name in os.environ if environment.get(name) != os.environ[name]} <= {"RAY_AUTH_MODE"}
    assert signal.getsignal(signal.SIGTERM) is on_terminate
    assert _children() <= before_all
    refuse_differing(shadows, plan("compiled", num_models=2).fit(model, x, y, signals=("loss",), verbose=0))


def _children():
    """The processes that this one has started, those that have ended and wait to be noticed apart."""
    found = set()
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            state, parent = stat.read_text().rpartition(")")[2].split()[:2]
            if int(parent) == os.getpid() and state != "Z":
                found.add(stat.parent.name)
    return found


@pytest.mark.parametrize(
    ("make", "engine", "options"),
    [
        (usual, "compiled", {}),
        (usual, "fit", {"augment": layers.GaussianNoise(0.1), "class_weight": {0: 2.0}}),
        (own_step, "fit", {}),
        (unconfigured, "compiled", {"model_fn": unconfigured, "memory_limit": 1}),
    ],
    ids=["compiled", "fit", "a train_step of its own", "model_fn"],
)
def test_the_signals_are_those_of_this_process_to_the_bit(cluster, make, engine, options):
    """One thread each in the workers, two here: small products are not split between threads."""
    (x, y), model, population = records(), make(), records(30, 1)
    asked = {"queries": (lambda x: x, lambda x: -x), "population": population, "verbose": 0}
    here = plan(engine, **options).fit(model, x, y, **asked)
    there = plan(RayWorkers(2, engine=engine), **options).fit(model, x, y, **asked)
    refuse_differing(here, there)
    for name in here.population:
        np.testing.assert_array_equal(here.population[name], there.population[name])
    assert cluster.is_initialized()  # it is not ours to stop


def test_stacked_groups_as_large_as_a_workers_share_agree_but_for_rounding(cluster):
    (x, y), model = records(), classifier(layers.Dense(8, activation="relu"))
    here, there = (
        plan(engine, num_models=8).fit(model, x, y, signals=("loss",), verbose=0)["loss"]
        for engine in ("stacked", RayWorkers(2, engine="stacked"))
    )
    np.testing.assert_allclose(here, there, atol=1e-5)


def test_auto_is_measured_in_the_first_worker_and_said(cluster, capsys):
    (x, y), model = records(), classifier()
    shadows = plan("ray").fit(model, x, y, signals=("loss",))
    printed = capsys.readouterr().out
    for part in ("2 Ray workers on 1 machine, up to 2 shadow models each; in the first, ", "is chosen"):
        assert part in printed
    assert printed.count("Shadow models, epoch 2/2: 4 models") == 1
    np.testing.assert_allclose(
        shadows["loss"], plan("compiled").fit(model, x, y, signals=("loss",), verbose=0)["loss"], atol=1e-4
    )


@pytest.mark.filterwarnings("ignore::privacy_callbacks.attacks.AuditWarning")
def test_a_worker_killed_in_the_middle_changes_nothing(cluster, tmp_path):
    """In the second epoch of a fit whose learning rate changes: its successor goes through the first again."""
    x, y = records(120)
    flag = tmp_path / "strike"

    def audited(engine):
        model = usual()
        augment = fatal(str(flag), seeds_of(model, [1]), 9)
        shadows = ShadowModels(4, engine=engine, augment=augment)
        mia = MIACallback((x[:60], y[:60]), (x[60:], y[60:]), attacks=[LiRA()], shadow_models=shadows, on_error="raise")
        rates = keras.callbacks.LearningRateScheduler(lambda epoch: 0.02 / (1 + epoch))
        model.fit(x[:60], y[:60], batch_size=10, epochs=3, verbose=0, callbacks=[rates, mia])
        return mia

    here = audited("compiled")
    flag.touch()
    there = audited(TWO)
    assert not flag.exists()
    assert here.shadow_signals.keys() == there.shadow_signals.keys() == {-1, 0, 1, 2}
    for step in here.shadow_signals:
        refuse_differing(here.shadow_signals[step], there.shadow_signals[step])


def test_a_worker_that_always_dies_costs_its_shadow_models_alone(cluster, tmp_path):
    (x, y), model = records(), classifier()
    flag = tmp_path / "strike"
    augment = fatal(str(flag), seeds_of(model, [2, 3]), 6, again=True)
    here = plan("compiled", augment=augment).fit(model, x, y, verbose=0)
    flag.touch()
    workers = RayWorkers(2, engine="compiled", retries=1)
    there = plan(workers, augment=augment).fit(model, x, y, verbose=0)
    assert (
        "2 of 4 shadow models are left out: shadow model 2 in epoch 2: its Ray worker was lost 2 times in a row"
        in (there.warnings[0])
    )
    np.testing.assert_array_equal(there["loss"], here["loss"][:2])


def test_a_worker_lost_while_it_is_asked_is_replaced(cluster, monkeypatch):
    (x, y), model = records(), classifier()
    here = plan("compiled").fit(model, x, y, verbose=0)
    ask, lost = fleet_on_ray.FleetOnRay.ask, []

    def asked(site, *arguments):
        lost.append(ray.get(site._shards[1].worker.here.remote()))
        os.kill(lost[0], signal.SIGKILL)
        return ask(site, *arguments)

    monkeypatch.setattr(fleet_on_ray.FleetOnRay, "ask", asked)
    refuse_differing(here, plan(TWO).fit(model, x, y, verbose=0))
    assert len(lost) == 1


def test_a_worker_lost_before_it_has_begun_is_replaced(cluster, monkeypatch):
    (x, y), model = records(), classifier()
    employ, employed = fleet_on_ray.FleetOnRay._employ, []

    def killed(site, shard):
        employ(site, shard)
        employed.append(shard)
        if len(employed) == 1:
            ray.kill(shard.worker)

    monkeypatch.setattr(fleet_on_ray.FleetOnRay, "_employ", killed)
    there = plan(TWO).fit(model, x, y, signals=("loss",), verbose=0)
    assert len(employed) == 3
    monkeypatch.undo()
    refuse_differing(there, plan("compiled").fit(model, x, y, signals=("loss",), verbose=0))


def test_a_worker_that_cannot_write_says_so(cluster, monkeypatch, tmp_path):
    deal = fleet_on_ray.FleetOnRay.deal

    def blocked(site, files):
        (tmp_path / "group-0002").touch()  # where a directory should be
        deal(site, files)

    monkeypatch.setattr(fleet_on_ray.FleetOnRay, "deal", blocked)
    shadows = plan(TWO, checkpoint_dir=tmp_path).fit(classifier(), *records(), signals=("loss",), verbose=0)
    assert shadows.num_models == 4
    assert "checkpoint_dir could not be written to (FileExistsError" in shadows.warnings[0]


@pytest.mark.parametrize("first", ["ray", "here"])
def test_a_folder_goes_on_with_and_without_ray(cluster, tmp_path, monkeypatch, first):
    """Broken off in the second of two epochs by the one, finished by the other."""
    (x, y), model = records(), usual()
    reference = plan("compiled").fit(model, x, y, verbose=0)
    train, advanced, trained = fleet_on_ray.FleetOnRay.train, FleetHere._advanced, []

    def killed(site, epoch, *arguments):
        if epoch == 1:
            os.kill(ray.get(site._shards[1].worker.here.remote()), signal.SIGKILL)
        return train(site, epoch, *arguments)

    def interrupted(site, number, epoch):
        trained.append(number)
        if len(trained) == 6:
            raise KeyboardInterrupt
        return advanced(site, number, epoch)

    folder = tmp_path / "fleet"
    if first == "ray":
        monkeypatch.setattr(fleet_on_ray.FleetOnRay, "train", killed)
        workers = RayWorkers(2, engine="compiled", retries=0)
        broken = plan(workers, checkpoint_dir=folder).fit(model, x, y, verbose=0)
        assert "shadow model 2 in epoch 2: its Ray worker was lost 1 times in a row" in broken.warnings[0]
        last = "auto"
    else:
        monkeypatch.setattr(FleetHere, "_advanced", interrupted)
        with pytest.raises(KeyboardInterrupt):
            plan("compiled", checkpoint_dir=folder).fit(model, x, y, verbose=0)
        last = RayWorkers(2)
    monkeypatch.undo()
    states = {path.parent.name for path in folder.glob("group-*/state-00002.npz")}
    assert states < {"group-0000", "group-0001", "group-0002", "group-0003"}
    finished = plan(last, checkpoint_dir=folder).fit(model, x, y, verbose=0)
    refuse_differing(finished, reference)


def test_a_folder_that_workers_do_not_find_is_refused(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr(fleet_on_ray, "file_digest", lambda folder: "another file's")
    with pytest.raises(ValueError, match=r"does not find the fleet's files in checkpoint_dir.*every machine"):
        plan(TWO, checkpoint_dir=tmp_path).fit(classifier(), *records(), verbose=0)


@pytest.mark.filterwarnings("ignore::privacy_callbacks.attacks.AuditWarning")
def test_audit_takes_a_fleet_on_ray(cluster):
    x, y = records(120)
    model = classifier()
    model.fit(x[:60], y[:60], verbose=0)
    found = [
        audit(model, (x[:60], y[:60]), (x[60:], y[60:]), attacks=[LiRA()], shadow_models=plan(engine))
        for engine in ("compiled", TWO)
    ]
    assert found[0][0].auc == found[1][0].auc


def test_what_a_worker_makes_otherwise_is_refused(cluster):
    """The model depends on something that does not go along."""
    here = os.getpid()

    def make():
        model = classifier(layers.Dense(4, kernel_initializer=keras.initializers.RandomNormal(seed=None)))
        if os.getpid() != here:
            model.layers[-1].bias.assign([1.0, 0.0, 0.0])
        return model

    with pytest.raises(ValueError, match="a Ray worker makes other shadow models of the model than this process"):
        plan(TWO, model_fn=make).fit(make(), *records(), verbose=0)


def test_what_workers_cannot_import_is_named(cluster, monkeypatch):
    module = types.ModuleType("nowhere_else")
    exec("def turned(x):\n    return -x", vars(module))
    monkeypatch.setitem(sys.modules, "nowhere_else", module)
    with pytest.raises(ValueError, match=r"a worker of Ray cannot import .*No module named 'nowhere_else'"):
        plan(RayWorkers(1)).fit(classifier(), *records(), queries=(module.turned,), verbose=0)


@pytest.mark.parametrize(
    ("workers", "message"),
    [
        (RayWorkers(3), "num_workers is 3, and the Ray cluster has room for 2 of num_cpus=1 and num_gpus=0"),
        (RayWorkers(num_gpus=1), "no machine of the Ray cluster has room for a worker of num_cpus=1 and num_gpus=1"),
        (RayWorkers(1, engine="compiled"), "OwnStep has a train_step of its own.*engine='fit'"),
    ],
)
def test_what_the_cluster_cannot_do_is_refused(cluster, workers, message):
    with pytest.raises(ValueError, match=message):
        plan(workers).fit(own_step(), *records(), verbose=0)


def test_a_query_that_cannot_be_asked_is_refused_as_in_this_process(cluster):
    for engine in ("compiled", RayWorkers(1, engine="compiled")):
        with pytest.raises(ValueError, match="a query makes inputs of shape"):
            plan(engine).fit(classifier(), *records(), queries=(lambda x: x[:, :3],), verbose=0)


def test_a_budget_is_refused(cluster):
    x, y = records(120)
    mia = MIACallback((x[:60], y[:60]), (x[60:], y[60:]), shadow_models=plan(TWO), budget=2.0, on_error="raise")
    with pytest.raises(ValueError, match="budget is 2 with Ray's workers, whose time is not the target's"):
        classifier().fit(x[:60], y[:60], batch_size=10, verbose=0, callbacks=[mia])


def test_two_fleets_share_a_cluster_that_was_started_for_the_first(monkeypatch):
    calls = []
    monkeypatch.setattr(ray, "is_initialized", lambda: bool(calls) and calls[-1] == "start")
    monkeypatch.setattr(ray, "init", lambda **options: calls.append("start"))
    monkeypatch.setattr(ray, "shutdown", lambda: calls.append("stop"))
    monkeypatch.setattr(ray_cluster, "_session", lambda: f"session {calls.count('start')}")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    one, other = ray_cluster.RayCluster(), ray_cluster.RayCluster()
    one.close(), one.close()
    assert calls == ["start"]
    third = ray_cluster.RayCluster()
    del other  # of a fit that was broken off
    third.close()
    assert calls == ["start", "stop"]
    forgotten = ray_cluster.RayCluster()
    ray.shutdown()  # by hand
    mine = ray_cluster.RayCluster()
    forgotten.close()
    assert calls == ["start", "stop", "start", "stop", "start"]
    mine.close()
    assert calls[-1] == "stop"

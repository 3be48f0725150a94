"""What is asked of Ray is checked before anything costs: numbers, and whether Ray is there at all."""

import sys

import keras
import numpy as np
import pytest

from privacy_callbacks.attacks import RayWorkers, ShadowModels
from privacy_callbacks.attacks.ray_workers import ENGINES_WITHIN, ray_workers_of
from privacy_callbacks.attacks.shadow_models import ENGINES

X = np.random.default_rng(0).normal(size=(40, 6)).astype("float32")
Y = np.arange(40) % 3


def plan(**options):
    return ShadowModels(4, **{"epochs": 1, "batch_size": 5, "engine": "ray", **options})


def classifier():
    model = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3, activation="softmax")])
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def test_without_ray_a_fleet_is_refused_before_training_and_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    for engine in ("ray", RayWorkers(2)):
        with pytest.raises(
            ImportError, match=r"pip install \"privacy-callbacks\[ray\]\"; or leave the engine to \"auto\""
        ):
            plan(engine=engine).fit(classifier(), X, Y, verbose=0)


def test_nothing_of_ray_is_imported_unless_it_is_asked_for(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    shadows = plan(engine="compiled").fit(classifier(), X, Y, signals=("loss",), verbose=0)
    assert shadows.num_models == 4


def test_the_address_of_a_client_is_refused_wherever_it_stands(monkeypatch):
    pytest.importorskip("ray")
    monkeypatch.setenv("RAY_ADDRESS", "ray://head:10001")
    with pytest.raises(ValueError, match="through which results cannot be streamed"):
        plan().fit(classifier(), X, Y, verbose=0)


def test_the_word_means_workers_as_they_come():
    assert ray_workers_of("ray") == RayWorkers()
    assert ray_workers_of(RayWorkers(3)) == RayWorkers(3)
    assert ray_workers_of("auto") is None


def test_every_engine_of_this_process_may_train_within_a_worker():
    assert set(ENGINES) - {"ray"} <= set(ENGINES_WITHIN)


def test_threads_are_whole():
    assert [RayWorkers(num_cpus=given).threads for given in (0.25, 1, 1.5, 4)] == [1, 1, 2, 4]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_workers": 0}, "num_workers is 0; give a whole number, at least 1"),
        ({"num_workers": True}, "num_workers is True"),
        ({"retries": -1}, "retries is -1; give a whole number, at least 0"),
        ({"num_cpus": 0}, "num_cpus is 0; give a positive number"),
        ({"num_cpus": float("inf")}, "num_cpus is inf"),
        ({"num_gpus": -1}, "num_gpus is -1; give 0 or a positive number"),
        ({"engine": "ray"}, "engine is 'ray'; within a worker it is one of 'auto'"),
        ({"address": 6379}, "address is 6379; give 'auto' or host:port"),
        (
            {"address": "ray://head:10001"},
            "'ray://head:10001' is that of a Ray Client, through which results cannot be streamed",
        ),
    ],
)
def test_what_is_out_of_range_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        RayWorkers(**options)

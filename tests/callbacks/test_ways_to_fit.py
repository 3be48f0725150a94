"""However a model is fitted: the callback changes no bit, traces the model twice, and reports what the model does."""

import random
from typing import ClassVar

import keras
import numpy as np
import pytest
import tensorflow as tf
from sklearn.metrics import roc_auc_score
from slow_params import slow_unless

from privacy_callbacks import AuditSet, MIACallback, audit
from privacy_callbacks.attacks import Threshold

pytestmark = [
    pytest.mark.filterwarnings("ignore:.*cannot resolve a false positive rate"),
    pytest.mark.filterwarnings("ignore:.*which no batch size makes of"),
]
layers = keras.layers
EPOCHS = 3


class Watched(MIACallback):
    """Remembers every callback that saw a training end: tuners make copies."""

    seen: ClassVar[list] = []

    def on_train_end(self, logs=None):
        super().on_train_end(logs)
        Watched.seen.append(self)


def build(optimizer=None, policy=None, **compile_arguments):
    model = keras.Sequential(
        [
            keras.Input((6,)),
            layers.Dense(12, "relu", dtype=policy),
            layers.Dropout(0.3, dtype=policy),
            layers.BatchNormalization(dtype=policy),
            layers.Dense(3, "softmax", dtype=policy),
        ]
    )
    optimizer = keras.optimizers.Adam(0.01) if optimizer is None else optimizer
    model.compile(
        optimizer=optimizer, loss="sparse_categorical_crossentropy", metrics=["accuracy"], **compile_arguments
    )
    return model


def fitted(model, blobs, callbacks, epochs=EPOCHS, **arguments):
    (x, y), nonmembers = blobs
    given = {"x": x, "y": y, "batch_size": 20, **arguments}
    model.fit(**given, epochs=epochs, validation_data=nonmembers, verbose=0, callbacks=callbacks)
    return model


def plain(**arguments):
    return lambda blobs, callbacks, folder: fitted(build(**arguments), blobs, callbacks)


def mirrored(**arguments):
    def way(blobs, callbacks, folder):
        strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
        assert strategy.num_replicas_in_sync == 2
        with strategy.scope():
            model = build(**arguments)
        return fitted(model, blobs, callbacks)

    return way


def on_one_device(blobs, callbacks, folder):
    with tf.distribute.OneDeviceStrategy("CPU:1").scope():
        model = build()
    return fitted(model, blobs, callbacks)


def swapped_averages(blobs, callbacks, folder):
    swap = keras.callbacks.SwapEMAWeights(swap_on_epoch=True)
    return fitted(build(keras.optimizers.SGD(0.1, use_ema=True)), blobs, [swap, *callbacks])


def resumed(blobs, callbacks, folder):
    return fitted(fitted(build(), blobs, [], epochs=2), blobs, callbacks, epochs=2 + EPOCHS, initial_epoch=2)


def backed_up(blobs, callbacks, folder):
    class PowerCut(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            if epoch == 1:
                raise KeyboardInterrupt

    model, backup = build(), keras.callbacks.BackupAndRestore(folder / "backup")
    with pytest.raises(KeyboardInterrupt):
        fitted(model, blobs, [backup, *callbacks, PowerCut()])
    return fitted(model, blobs, [backup, *callbacks])


def tuned(blobs, callbacks, folder):
    import keras_tuner

    (x, y), nonmembers = blobs

    built = []

    def hypermodel(hp):
        built.append(build(keras.optimizers.Adam(hp.Choice("rate", [0.01, 0.1]))))
        return built[-1]

    tuner = keras_tuner.GridSearch(hypermodel, "val_loss", max_trials=2, directory=folder, seed=1)
    tuner.search(x, y, epochs=EPOCHS, batch_size=20, validation_data=nonmembers, verbose=0, callbacks=callbacks)
    return built[-1]


def fitted_twice(blobs, callbacks, folder):
    return fitted(fitted(build(), blobs, callbacks), blobs, callbacks)


def with_two(blobs, callbacks, folder):
    more = [Watched(*blobs, name="second", seed=1, attacks=Threshold("entropy"))] if callbacks else []
    return fitted(build(), blobs, [*callbacks, *more])


def from_data_set(blobs, callbacks, folder):
    endless = tf.data.Dataset.from_tensor_slices(blobs[0]).shuffle(120, seed=1).repeat().batch(20)
    return fitted(build(), blobs, callbacks, x=endless, y=None, batch_size=None, steps_per_epoch=6, shuffle=False)


def from_pipeline(blobs, callbacks, folder):
    """Files read in turns, cached, mapped and batched on several threads, prefetched: order is asked to stay."""
    x, y = blobs[0]
    parts = tf.data.Dataset.range(4).interleave(
        lambda part: tf.data.Dataset.from_tensor_slices((x, y)).shard(4, part), cycle_length=4, num_parallel_calls=2
    )
    mapped = parts.cache().map(lambda x, y: (x * 1.0, y), num_parallel_calls=tf.data.AUTOTUNE)
    batches = mapped.shuffle(120, seed=1).batch(20, num_parallel_calls=2).prefetch(tf.data.AUTOTUNE)
    batches = batches.apply(tf.data.experimental.assert_cardinality(6))
    return fitted(build(), blobs, callbacks, x=batches, y=None, batch_size=None, shuffle=False)


def from_service(blobs, callbacks, folder):
    """One worker, so that batches come in one order."""
    service = tf.data.experimental.service
    dispatcher = service.DispatchServer()
    address = dispatcher.target.removeprefix("grpc://")
    worker = service.WorkerServer(service.WorkerConfig(dispatcher_address=address, heartbeat_interval_ms=100))
    batches = tf.data.Dataset.from_tensor_slices(blobs[0]).batch(20)
    served = batches.apply(service.distribute("parallel_epochs", dispatcher.target, max_outstanding_requests=1))
    served = served.apply(tf.data.experimental.assert_cardinality(6))
    model = fitted(build(), blobs, callbacks, x=served, y=None, batch_size=None, shuffle=False)
    del worker
    return model


def one_epoch_at_a_time(blobs, callbacks, folder):
    model = build()
    for epoch in range(EPOCHS):
        fitted(model, blobs, callbacks, epochs=epoch + 1, initial_epoch=epoch)
    return model


def from_workers(blobs, callbacks, folder):
    class Batches(keras.utils.PyDataset):
        def __len__(self):
            return 6

        def __getitem__(self, index):
            return tuple(part[20 * index : 20 * index + 20] for part in blobs[0])

    return fitted(build(), blobs, callbacks, x=Batches(workers=2), y=None, batch_size=None, shuffle=False)


def weighted(blobs, callbacks, folder):
    weights = np.linspace(0.5, 1.5, 120)
    return fitted(build(), blobs, callbacks, sample_weight=weights)


def accumulating():
    return keras.optimizers.SGD(0.1, gradient_accumulation_steps=4)


WAYS = {
    "jit_compile": plain(jit_compile=True),
    "steps_per_execution": plain(steps_per_execution=4),
    "run_eagerly": plain(run_eagerly=True),
    "mixed_float16": plain(policy="mixed_float16"),
    "mixed_bfloat16": plain(policy="mixed_bfloat16"),
    "averages": lambda *given: plain(optimizer=keras.optimizers.SGD(0.1, use_ema=True))(*given),
    "averages, swapped each epoch": swapped_averages,
    "gradient accumulation": lambda *given: plain(optimizer=accumulating())(*given),
    "steps_per_execution, jit_compile": plain(steps_per_execution=3, jit_compile=True),
    "two mirrored devices": mirrored(),
    "two mirrored devices, mixed_bfloat16": mirrored(policy="mixed_bfloat16"),
    "OneDeviceStrategy": on_one_device,
    "initial_epoch": resumed,
    "BackupAndRestore": backed_up,
    "KerasTuner": tuned,
    "two callbacks": with_two,
    "two fits": fitted_twice,
    "a fit an epoch": one_epoch_at_a_time,
    "endless data set": from_data_set,
    "pipeline of many threads": from_pipeline,
    "tf.data service": from_service,
    "PyDataset with workers": from_workers,
    "weights": weighted,
}
FAST = {"averages, swapped each epoch"}
FITS = {"two fits": 2, "two callbacks": 2, "KerasTuner": 2, "a fit an epoch": EPOCHS}


def run(way, blobs, folder, with_callback):
    keras.utils.set_random_seed(3)
    keras.backend.clear_session()
    callbacks = [Watched(*blobs, log_dir=folder / "logs")] if with_callback else []
    model = WAYS[way](blobs, callbacks, folder)
    optimizer = model.optimizer.variables
    state = [np.array(tf.convert_to_tensor(v.value)) for v in [*model.variables, *optimizer]]
    return model, state, (random.random(), np.random.random(), float(keras.random.normal(())))


@pytest.mark.filterwarnings("ignore:.*the target was trained before")
@pytest.mark.parametrize("way", slow_unless(FAST, WAYS))
def test_a_watched_fit_ends_with_the_same_bits_and_two_traces(way, blobs, tmp_path):
    Watched.seen = []
    _, expected, expected_randomness = run(way, blobs, tmp_path / "plain", with_callback=False)
    model, found, randomness = run(way, blobs, tmp_path / "watched", with_callback=True)
    assert len(found) == len(expected) > 10
    for ours, theirs in zip(found, expected, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert randomness == expected_randomness
    assert len(Watched.seen) == FITS.get(way, 1)
    for watcher in Watched.seen:
        assert watcher._auditor.traces == 2
        assert not any(report.failed for report in watcher.reports)
        assert watcher.reports[-1].step == (2 + EPOCHS if way == "initial_epoch" else EPOCHS) - 1
    watcher = next(seen for seen in Watched.seen if seen.model is model)
    newest, (again,) = watcher.report, audit(model, watcher.audit_set, attacks=Threshold("loss"))
    assert float(newest.auc) == float(again.auc)
    audited = AuditSet(*blobs)
    p = model.predict(np.asarray(audited.x), verbose=0).astype("float64")
    own = p[np.arange(len(p)), np.asarray(audited.y)]
    tolerance = 0.01 if "mixed" in way else 1e-3  # half precision: close records change places
    assert float(newest.auc) == pytest.approx(roc_auc_score(audited.is_member, own), abs=tolerance)


@pytest.mark.parametrize("count", [pytest.param(41, marks=pytest.mark.slow), 64])
def test_a_large_audit_is_spread_over_replicas_with_the_answers_of_the_plain_call(blobs, monkeypatch, count):
    from privacy_callbacks.attacks import over_replicas
    from privacy_callbacks.attacks.compiled_pass import SignalPass

    keras.utils.set_random_seed(3)
    model = mirrored()(blobs, [], None)  # its batch norm has moving statistics that differ from replica to replica
    (x, y), _ = blobs
    audit_set = AuditSet((x[:count], y[:count]), (x[-count:], y[-count:]))
    plain = SignalPass(model, audit_set, batch_size=9)
    names = plain.head.signals
    expected = plain.signals(names)
    monkeypatch.setattr(over_replicas, "WORTH_SPREADING", 2 * count)
    spread = SignalPass(model, audit_set, batch_size=9)
    for _ in range(2):
        found = spread.signals(names)
        for name in names:
            np.testing.assert_allclose(found[name], expected[name], rtol=1e-6, atol=1e-6)
    assert spread.traces == 3  # a look, and each replica's own
    model.set_weights([weight * 0.5 for weight in model.get_weights()])
    np.testing.assert_allclose(
        spread.signals(("loss",))["loss"], plain.signals(("loss",))["loss"], rtol=1e-6, atol=1e-6
    )


def test_where_replicas_do_not_divide_the_records_their_shares_overlap(blobs, monkeypatch):
    from privacy_callbacks.attacks import over_replicas
    from privacy_callbacks.attacks.asked_records import resident_records
    from privacy_callbacks.attacks.compiled_pass import SignalPass
    from privacy_callbacks.attacks.record_arrays import Records

    model = mirrored()(blobs, [], None)
    (x, y), _ = blobs
    asked = resident_records(Records(x[:41], y[:41]))
    expected = SignalPass(model, asked).signals(("loss",))["loss"]
    monkeypatch.setattr(over_replicas, "WORTH_SPREADING", 41)
    np.testing.assert_allclose(SignalPass(model, asked).signals(("loss",))["loss"], expected, rtol=1e-6, atol=1e-6)

"""What a process holds while it goes on: resident memory, open handles, traces, the cost of late epochs. See `growth.py`.

Linux alone tells these figures, in /proc.
"""

import ctypes
import gc
import os
import resource
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np

MIB = 2**20
_EVERY = 100  # epochs between two looks at the process


def resident():
    """MiB of memory that the process holds now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize() / MIB


def highest():
    """MiB of memory that the process held at most since its start, or since `settle`."""
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) / 1024


def settle():
    """Gives back what is free, which would else be used again without being seen, and counts the highest anew."""
    gc.collect()
    ctypes.CDLL(None).malloc_trim(0)  # of the GNU C library
    Path("/proc/self/clear_refs").write_text("5")


def handles():
    """How many files, sockets and pipes are open."""
    return len(os.listdir("/proc/self/fd")) - 1  # one of them lists


def counted_model(features=16, classes=4):
    """A tiny compiled MLP, and a list that grows whenever its Python code runs, which is when it is traced."""
    import keras

    runs = []

    class Counted(keras.layers.Layer):
        def call(self, inputs):
            runs.append(None)
            return inputs

    layers = [keras.Input((features,)), Counted(), keras.layers.Dense(16, activation="relu")]
    model = keras.Sequential([*layers, keras.layers.Dense(classes, activation="softmax")])
    model.compile(keras.optimizers.SGD(0.05), "sparse_categorical_crossentropy")
    return model, runs


def noise(count, features=16, classes=4, seed=0):
    """Records whose labels nothing but memory can tell."""
    rng = np.random.default_rng([seed, count])
    return rng.random((count, features), np.float32), rng.integers(0, classes, count)


def many_epochs(epochs, side=1_000, **arguments):
    """A fit of so many epochs that is audited after each, TensorBoard files included.

    Args:
      epochs: at least 200.
      side: audited records on each side; the model trains on the members alone.
      arguments: further ones of `MIACallback`.
    Returns:
      By name, in the order of time: resident MiB and runs of the model's Python code after a hundred epochs and after the
      last; handles before the fit, then likewise, and after the fit; CPU milliseconds of an epoch, medians of the first
      hundred and of the last.
    """
    import keras

    from privacy_callbacks import MIACallback

    model, runs = counted_model()
    looks, costs, before = [], [], handles()

    class Look(keras.callbacks.Callback):
        def on_epoch_begin(self, epoch, logs=None):
            self.start = time.process_time()

        def on_epoch_end(self, epoch, logs=None):
            costs.append(1e3 * (time.process_time() - self.start))
            if (epoch + 1) % _EVERY == 0:
                looks.append((epoch + 1, resident(), handles(), len(runs)))

    with tempfile.TemporaryDirectory() as folder:
        mia = MIACallback(noise(side), noise(side, seed=1), audit_size=side, log_dir=folder, **arguments)
        model.fit(*noise(side), batch_size=100, epochs=epochs, verbose=0, callbacks=[mia, Look()])
        written = sum(path.stat().st_size for path in Path(folder).rglob("*") if path.is_file())
        files = sum(path.is_file() for path in Path(folder).rglob("*"))
    first, last = looks[0], looks[-1]
    curves = sum(
        sum(part.nbytes for part in vars(report.roc).values() if isinstance(part, np.ndarray))
        for report in mia.reports
        if report.roc is not None
    )
    return {
        "resident_mib": (first[1], last[1]),
        "kib_an_epoch": 1024 * (last[1] - first[1]) / (last[0] - first[0]),
        "of_it_curves_kib": curves / len(costs) / 1024,
        "handles": (before, first[2], last[2], handles()),
        "traces": (first[3], last[3]),
        "cpu_ms_an_epoch": (statistics.median(costs[1:_EVERY]), statistics.median(costs[-_EVERY:])),
        "reports": len(mia.reports),
        "files": files,
        "file_kib_an_epoch": written / epochs / 1024,
    }


def generated(count, features, classes=100, batch=1_000):
    """A `tf.data.Dataset` of so many records that are made when they are read, always the same ones."""
    import tensorflow as tf

    def batches():
        for start in range(0, count, batch):
            rng, rows = np.random.default_rng([features, start]), min(batch, count - start)
            yield rng.random((rows, features), np.float32), rng.integers(0, classes, rows)

    specs = tf.TensorSpec((None, features), tf.float32), tf.TensorSpec((None,), tf.int64)
    return tf.data.Dataset.from_generator(batches, output_signature=specs)


def larger_than_memory(count, features=600, limit_mib=None):
    """An `AuditSet` drawn from a stream of so many members, and twenty thousand non-members.

    Args:
      count: members.
      features: floats a member.
      limit_mib: the kernel refuses the process more data than that.
    """
    from privacy_callbacks.attacks import AuditSet

    AuditSet(generated(2_000, features), noise(2_000, features))  # TensorFlow's own start
    if limit_mib is not None:
        resource.setrlimit(resource.RLIMIT_DATA, (int(limit_mib * MIB),) * 2)
    members, nonmembers = generated(count, features), noise(20_000, features)
    settle()
    before, start = resident(), time.process_time()
    drawn = AuditSet(members, nonmembers)
    return {
        "cpu": time.process_time() - start,
        "data_mib": count * features * 4 / MIB,
        "peak_mib": highest(),
        "over_start_mib": highest() - before,
        "drawn": len(drawn),
        "found": drawn.available[0],
    }

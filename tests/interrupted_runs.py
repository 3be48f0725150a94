"""Fits and fleets in processes of their own, to be killed; a server that has imported TensorFlow forks them."""

import json
import multiprocessing
import os
import shutil
import signal
import sys
import time
import warnings
from pathlib import Path

import keras
import numpy as np

from privacy_callbacks import AuditSet, MIACallback
from privacy_callbacks.attacks import LiRA, ShadowModels, Threshold

EPOCHS, MODELS = 5, 4


def world():
    """(members, nonmembers): 60 + 60 records of 6 features, 3 classes, noisy labels."""
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 120)
    x = (rng.normal(size=(120, 6)) + 0.5 * y[:, None]).astype("float32")
    return (x[:60], y[:60]), (x[60:], y[60:])


def target():
    """A compiled classifier with batch statistics and dropout, always with the same initial weights."""
    dense = [keras.layers.Dense(n, kernel_initializer=keras.initializers.GlorotUniform(n)) for n in (16, 3)]
    inner = [keras.layers.BatchNormalization(), keras.layers.ReLU(), keras.layers.Dropout(0.2, seed=1)]
    model = keras.Sequential([keras.Input((6,)), dense[0], *inner, dense[1], keras.layers.Softmax()])
    model.compile("adam", "sparse_categorical_crossentropy")
    return model


def plan(folder, engine, **options):
    """Four shadow models, kept in a folder."""
    return ShadowModels(MODELS, engine=engine, checkpoint_dir=folder, **options)


def fleet_alone(folder, engine, out):
    """Trains a fleet outside of any fit, and writes its signals."""
    members, nonmembers = world()
    x, y = (np.concatenate(pair) for pair in zip(members, nonmembers, strict=True))
    folder = Path(folder)
    signals = plan(folder / "fleet", engine, epochs=EPOCHS, batch_size=10).fit(target(), x, y, verbose=0)
    _write(out, signals)


def fit_in_lockstep(folder, engine, out):
    """Fits a target with the callback before Keras' BackupAndRestore, and writes the shadow models' last signals."""
    members, nonmembers = world()
    folder = Path(folder)
    mia = MIACallback(
        AuditSet(members, nonmembers, size=60),
        attacks=[Threshold(), LiRA(queries=(lambda x: x, lambda x: 0.9 * x))],
        shadow_models=plan(folder / "fleet", engine),
        on_error="raise",
    )
    if not _can_go_on_from(folder / "backup"):
        shutil.rmtree(folder / "backup", ignore_errors=True)
    backup = keras.callbacks.BackupAndRestore(str(folder / "backup"), double_checkpoint=True)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        target().fit(*members, batch_size=10, epochs=EPOCHS, verbose=0, shuffle=False, callbacks=[mia, backup])
    _write(out, mia.shadow_signals[EPOCHS - 1])


def _can_go_on_from(backup):
    """True if epochs are left to train from what Keras kept there.

    Keras writes both files in place: killed amid its first backup, or while it deletes the last one, it leaves what ends every
    later fit, or lets it train nothing. A person deletes the folder then; so does this test, and the fit begins anew.
    """
    try:
        epoch = json.loads((backup / "training_metadata.json").read_text())["epoch"]
        target().load_weights(backup / "latest.weights.h5")
    except Exception:
        return False
    return epoch < EPOCHS


def _write(out, signals):
    np.savez(f"{out}.new.npz", trained_on=signals.trained_on, **dict(signals.items()))
    os.replace(f"{out}.new.npz", out)


def forks():
    """A multiprocessing context whose processes begin with this module imported."""
    context = multiprocessing.get_context("forkserver")
    # The server does not look where this process finds its modules.
    paths = [str(Path(__file__).parent), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    os.environ["PYTHONPATH"] = os.pathsep.join(dict.fromkeys(filter(None, paths)))
    context.set_forkserver_preload(["interrupted_runs"])
    return context


def run(work, folder, engine, out):
    """To the end."""
    process = forks().Process(target=work, args=(str(folder), engine, str(out)))
    process.start()
    process.join()
    assert process.exitcode == 0, f"{work.__name__} ended with {process.exitcode}"


def killed_somewhere(work, folder, engine, out, rng):
    """Starts the work and sends SIGKILL at a random moment: after a few files more, give or take milliseconds, or seconds.

    Returns:
      True if it was killed, False if it was done before.
    """
    process = forks().Process(target=work, args=(str(folder), engine, str(out)))
    process.start()
    files, until = _written(folder) + rng.integers(1, 15), time.monotonic() + rng.uniform(2, 20)
    while process.is_alive() and _written(folder) < files and time.monotonic() < until:
        time.sleep(0.001)
    time.sleep(rng.uniform(0, 0.03))
    if process.is_alive():
        os.kill(process.pid, signal.SIGKILL)
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL), f"{work.__name__} ended with {process.exitcode}"
    return process.exitcode != 0


def _written(folder):
    fleet = Path(folder) / "fleet"
    return sum(1 for kind in ("trained", "asked") for _ in fleet.glob(f"group-*/{kind}-*.npz"))


if __name__ == "__main__":  # python tests/interrupted_runs.py WORK ENGINE FOLDER: one run, to look at
    run(globals()[sys.argv[1]], sys.argv[3], sys.argv[2], f"{sys.argv[3]}/out.npz")

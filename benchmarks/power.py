"""How well each attack tells members from non-members: AUC and TPR at 1 % FPR, with intervals over targets. `make study`.

One fleet of shadow models is trained per data set; eight of them, from eight different pairs, play the target in turn, for
attacks that know K of the others (whole pairs; the target's own complement is left out, because a balanced design without it
would betray what the target had trained on). Every model trains on half of a pool of 5,000 records and is attacked on all of
them: 2,500 members, 2,500 non-members. Intervals are 95 % t intervals over the targets. Targets share the pool and most of
their shadow models, and are each other's: the intervals speak of models, not of data, and are somewhat too short.

On the synthetic data the order is the published one: calibration of φ beats that of the loss, and both but for two shadow
models the loss itself; RMIA with one reference beats the loss; pooled spreads beat each record's own below 64 shadow models;
LiRA with 64 comes first. On Fashion-MNIST RMIA and calibration of the loss beat LiRA and calibration of φ. What leaks there are
the hardest records: among the tenth with the lowest mean φ over OUT models LiRA (AUC .84) still beats RMIA (.83) and
calibration (.81 to .82). But over all records φ of the easy ones, which leak nothing (IN and OUT means differ by .03 at a
spread of 2.0, against 2.05 at 1.3 among the hardest), is the noisiest and mixes into the top, where probabilities have
saturated and keep still.

The last rows are nulls: the same scores, judged by a membership drawn at random, which the target has nothing to do with.
"""

import argparse
import time

import data
import keras
import numpy as np
from scipy import stats

from privacy_callbacks.attacks import (
    LeakageReport,
    ShadowModels,
    attack_r_scores,
    base_scores,
    difficulty_calibration_scores,
    lira_scores,
    multi_signal_lira_scores,
    rmia_scores,
    tune_rmia,
)

POOL, TARGETS, MODELS = 5_000, 8, 72
SIGNALS = ("loss", "confidence", "scaled_logit", "correct", "confidence_t2", "taylor_n4_m0.6_t2")


def mlp():
    model = keras.Sequential([keras.Input((600,)), keras.layers.Dense(128, activation="tanh"), keras.layers.Dense(100)])
    return compiled(model)


def cnn():
    layers = keras.layers
    image = [keras.Input((28, 28, 1)), layers.Conv2D(16, 3, activation="relu"), layers.MaxPooling2D()]
    more = [layers.Conv2D(32, 3, activation="relu"), layers.MaxPooling2D(), layers.Flatten(), layers.Dense(10)]
    return compiled(keras.Sequential([*image, *more]))


def compiled(model):
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True), metrics=["accuracy"])
    return model


def worlds():
    x, y = data.purchase_like(POOL)
    yield "purchase-like (synthetic), MLP 600-128-100, 20 epochs", mlp(), x, y, 20
    x, y = data.fashion_mnist()
    chosen = np.random.default_rng(0).permutation(len(x))[:POOL]
    yield "Fashion-MNIST, CNN 16-32-dense, 30 epochs", cnn(), x[chosen], y[chosen], 30


def attacks():
    """name, shadow models, scores(target signals, other shadow models)."""
    yield "loss", 0, lambda target, others: target["loss"][:, 0]
    for models in (2, 16, 64):
        yield "difficulty calibration", models, _of(difficulty_calibration_scores, "scaled_logit")
        yield "difficulty calibration, loss", models, _of(difficulty_calibration_scores, "loss")
    yield "attack R", 64, _of(attack_r_scores, "loss")
    for models in (2, 8, 32):
        yield "RMIA offline", models, _rmia("confidence")
    yield "RMIA offline, T = 2", 16, _rmia("confidence_t2")
    yield "RMIA offline, Taylor, T = 2", 16, _rmia("taylor_n4_m0.6_t2")
    yield "BASE", 16, _of(base_scores, "confidence")
    yield "BASE, T = 2", 16, _of(base_scores, "confidence_t2")
    yield "LiRA online, φ and loss", 16, _both
    yield "RMIA online", 32, _of(lambda *arrays: rmia_scores(*arrays, mode="online"), "confidence")
    for models in (4, 16, 64):
        for variance in ("pooled", "per_record", "student_t"):
            yield f"LiRA online, {variance}", models, _lira(variance, "online")
    for models in (16, 64):
        yield "LiRA offline, pooled", models, _lira("pooled", "offline")


def _of(scores, signal):
    return lambda target, others: scores(target[signal], others[signal], others.trained_on)


def _lira(variance, mode):
    return _of(lambda *arrays: lira_scores(*arrays, mode=mode, variance=variance), "scaled_logit")


def _rmia(signal):
    def scores(target, others):
        known = others[signal], others.trained_on
        a = tune_rmia(*known) if others.num_models >= 4 else 0.3
        return rmia_scores(target[signal], *known, a=a)

    return scores


def _both(target, others):
    ours, theirs = (np.stack([given["scaled_logit"], given["loss"]], axis=-1) for given in (target, others))
    return multi_signal_lira_scores(ours, theirs, others.trained_on)


def some_of(others, models, target):
    """K of the others in whole pairs, beginning elsewhere for every target."""
    pairs = np.roll(np.arange(others.num_models).reshape(-1, 2), -3 * target, axis=0)
    return others.of_models(pairs[: models // 2].ravel())


def figures(scores, is_member):
    scored = ~np.isnan(scores)
    report = LeakageReport.from_scores(scores[scored], is_member[scored])
    return float(report.auc), float(report.tpr_at_fpr[0.01]), float(1 - scored.mean())


def interval(values):
    values = np.asarray(values)
    reach = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():.3f} ± {reach:.3f}" if np.isfinite(reach) else "refused"


def study(name, model, x, y, epochs, kept):
    start = time.perf_counter()
    plan = ShadowModels(MODELS, epochs=epochs, batch_size=50, engine="compiled", checkpoint_dir=kept)
    shadows = plan.fit(model, x, y, signals=SIGNALS, verbose=0)
    own = shadows.trained_on[:, :, None]
    accuracy = [float(np.mean(shadows["correct"], where=side & np.ones_like(own))) for side in (own, ~own)]
    print(
        f"\n{name}: {MODELS} models in {time.perf_counter() - start:.0f} s; accuracy IN {accuracy[0]:.3f}, OUT {accuracy[1]:.3f}"
    )
    print(f"{'attack':30s} {'shadows':>7s}  {'AUC':15s} {'TPR at 1 % FPR':15s}")
    for attack, models, scores in attacks():
        found = []
        for index in range(TARGETS):
            target, is_member, others = shadows.as_target(2 * index)
            found.append(figures(scores(target, some_of(others, models, index) if models else None), is_member))
        auc, tpr, _ = zip(*found, strict=True)
        print(f"{attack:30s} {models:7d}  {interval(auc):15s} {interval(tpr):15s}", flush=True)
    for attack, models, scores in (
        ("LiRA online, pooled", 16, _lira("pooled", "online")),
        ("RMIA offline", 8, _rmia("confidence")),
    ):
        found = []
        for index in range(TARGETS):
            target, _, others = shadows.as_target(2 * index)
            unrelated = np.random.default_rng([index, 5]).permutation(x.shape[0]) < x.shape[0] // 2
            found.append(figures(scores(target, some_of(others, models, index)), unrelated))
        auc, tpr, _ = zip(*found, strict=True)
        print(f"{'null: ' + attack:30s} {models:7d}  {interval(auc):15s} {interval(tpr):15s}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", default="", help="a part of a world's name")
    parser.add_argument("--keep", default=None, help="a folder for the shadow models, to be interrupted or asked again")
    options = parser.parse_args()
    for number, world in enumerate(worlds()):
        if options.only in world[0]:
            study(*world, None if options.keep is None else f"{options.keep}/{number}")

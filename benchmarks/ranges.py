"""Range attacks: what they cost, and whether they beat the point attack.

`make bench` runs the costs, `make study` the comparison.

Costs are CPU seconds of this process, side by side, best of several. Limits: scores of 1,000 ranges × 16 points × 4 references
in .05 s; forward passes 1.3 × a bare pass over as many records; distances 1,000 × 50,000 × 784 2 × the matrix product; memory
flat in the number of points.

The comparison: five targets, each attacked with four other models of a fleet (whole pairs; the target's own complement is left
out), RMIA at a = .3 on points. Queries are no training records: each lies within the range's reach of one of the pool's records,
half of which a target trained on. The truth is that of ranges. Differences are paired: the same target, the same queries;
intervals are 95 % t intervals over targets, which share the pool and most of their references: they speak of models, not of data.
"""

import argparse
import resource
import subprocess
import sys
import time
from functools import partial

import data
import numpy as np
import tensorflow as tf
from power import cnn, mlp
from scipy import stats

from privacy_callbacks.attacks import (
    RMIA,
    AttackContext,
    LeakageReport,
    ShadowModels,
    ShadowSignals,
    Signals,
    signals_of,
)
from privacy_callbacks.attacks.asked_records import resident_records
from privacy_callbacks.attacks.compiled_pass import SignalPass
from privacy_callbacks.attacks.fleet_alone import train_alone
from privacy_callbacks.attacks.shadow_pool import pool_from_records
from privacy_callbacks.attacks.shadow_training import ShadowRequest
from privacy_callbacks.range_queries import (
    LpBall,
    MissingFeatures,
    RaMIA,
    Transformations,
    largest,
    log_mean_exp,
    nearest_training_distance,
    trimmed_mean,
)

POOL, MODELS, TARGETS, REFERENCES, POINTS = 5_000, 12, 5, 4, 16


def cpu_seconds(run, times=5):
    """The least of several runs, after one that is not counted."""
    run()
    found = []
    for _ in range(times):
        start = time.process_time()
        run()
        found.append(time.process_time() - start)
    return min(found)


# Costs.


def cost_of_scores():
    rng = np.random.default_rng(0)
    n, q, m = 1_000, POINTS, REFERENCES
    halves = rng.random((m // 2, n)) < 0.5
    trained_on = np.stack([halves, ~halves], axis=1).reshape(m, n)
    shadows = ShadowSignals({"confidence": -rng.exponential(size=(m, n, q))}, trained_on)
    target = Signals({"confidence": -rng.exponential(size=(n, q))})
    context = AttackContext(shadows=shadows)
    for name, attack in (
        ("RMIA, a = .3", RMIA(a=0.3)),
        ("RMIA, a tuned", RMIA()),
        ("RMIA, a = .3, trim tuned", None),
    ):
        ramia = (
            RaMIA(RMIA(a=0.3), LpBall(1.0), q, "tuned")
            if attack is None
            else RaMIA(attack, LpBall(1.0), q, partial(trimmed_mean, keep=(0.5, 1.0)))
        )
        seconds = cpu_seconds(lambda ramia=ramia: ramia.fit(context).score(target), 20)
        limit = "limit .05" if name == "RMIA, a = .3" else "no limit"
        print(f"scores, {n:,} ranges × {q} points × {m} references, {name}: {seconds:.4f} s ({limit})")


def cost_of_passes():
    n, q = 1_000, POINTS
    images, labels = data.fashion_mnist()
    shoppers = data.purchase_like(n)
    for name, model, x, y, ranges in (
        ("CNN", cnn(), images[:n], labels[:n], [Transformations(), LpBall(1.0)]),
        ("MLP 600-128-100", mlp(), *shoppers, [LpBall(1.0), LpBall(10, "hamming"), missing(x=shoppers[0], count=10)]),
    ):
        repeated = SignalPass(
            model, resident_records(pool_from_records(np.repeat(x, q, axis=0), np.repeat(y, q)).records)
        )
        own = SignalPass(model, resident_records(pool_from_records(x, y).records))
        bare = cpu_seconds(partial(repeated.signals, ("confidence",)))
        for one in ranges:
            queries = RaMIA(RMIA(), one, q).at(x, y).queries
            seconds = cpu_seconds(partial(own.signals, ("confidence",), queries))
            (points,) = queries
            ratio = seconds / (bare * points.width / q)  # ranges that have fewer points are asked about fewer
            print(
                f"{name}, {n:,} × {points.width} points of {one.kind}: {seconds:.3f} s, {ratio:.2f} × a bare pass (limit 1.3)"
            )


def cost_of_distances():
    rng = np.random.default_rng(0)
    x, training = (rng.random((count, 784), np.float32) for count in (1_000, 50_000))
    first, second = tf.constant(x), tf.constant(training)
    product = cpu_seconds(lambda: tf.linalg.matmul(first, second, transpose_b=True), 3)
    seconds = cpu_seconds(lambda: nearest_training_distance(x, training), 3)
    print(
        f"nearest of 50,000 for 1,000, 784 columns: {seconds:.2f} s, {seconds / product:.2f} × the matrix product (limit 2)"
    )


def memory_of_points(points):
    """Prints this process's peak in MiB before and after asking about so many points; run in a process of its own."""
    images, labels = data.fashion_mnist()
    x, y, model = images[:1_000], labels[:1_000], cnn()
    signals_of(model, x, y, signals="confidence", queries=RaMIA(RMIA(), LpBall(1.0), 2).at(x, y).queries)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    signals_of(model, x, y, signals="confidence", queries=RaMIA(RMIA(), LpBall(1.0), points).at(x, y).queries)
    print(f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024 - before:.0f}")


def cost_in_memory():
    for points in (16, 64, 256):
        code = f"import ranges; ranges.memory_of_points({points})"
        found = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=sys.path[0]
        )
        held = 1_000 * points * 784 * 4 / 2**20
        print(
            f"memory, 1,000 × {points} images: +{found.stdout.strip()} MiB (all at once would be {held:,.0f})",
            flush=True,
        )


# The comparison.


def missing(x, count):
    """`count` features of 600 are missing, others for each record; they are filled in with 0 and 1 alike, or as records do."""
    rng = np.random.default_rng(1)
    mask = np.zeros(x.shape, bool)
    np.put_along_axis(mask, rng.random(x.shape).argsort(axis=1)[:, :count], True, axis=1)
    return MissingFeatures(mask, [0.0, 1.0])


def worlds():
    """name, model, x, y, epochs, augmentation in training, {range: (range, from where queries are drawn)}."""
    x, y = data.purchase_like(POOL + 1_000)
    reference, x, y = x[POOL:], x[:POOL], y[:POOL]
    uniform = missing(x, 10)
    conditional = MissingFeatures(uniform.mask, [0.0, 1.0], imputer="knn", reference=reference)
    ranges = {
        "10 missing features, uniform": (uniform, None),
        "10 missing features, k-NN": (conditional, None),
        "ball, l2, radius 2": (LpBall(2.0), LpBall(2.0)),
        "ball, l2, radius 4": (LpBall(4.0), LpBall(4.0)),
        "ball, Hamming, radius 10": (LpBall(10, "hamming"), LpBall(10, "hamming")),
        "ball, Hamming, radius 30": (LpBall(30, "hamming"), LpBall(30, "hamming")),
    }
    yield "purchase-like (synthetic), MLP 600-128-100, 20 epochs", mlp(), x, y, 20, None, ranges
    images, labels = data.fashion_mnist()
    chosen = np.random.default_rng(0).permutation(len(images))[:POOL]
    around, moved = (Transformations(flips=True, shifts=1, combine=True, unaltered=whole) for whole in (True, False))
    ranges = {"mirrored and shifted": (around, moved), "ball, l2, radius 2": (LpBall(2.0), LpBall(2.0))}
    yield "Fashion-MNIST, CNN 16-32-dense, 30 epochs", cnn(), images[chosen], labels[chosen], 30, None, ranges
    name = "Fashion-MNIST, CNN 16-32-dense, 60 epochs, trained on images mirrored and shifted at random"
    yield name, cnn(), images[chosen], labels[chosen], 60, mirrored_and_shifted, ranges


def mirrored_and_shifted(x, seed):
    """Each image mirrored or not, and moved by −1, 0 or 1 pixels down and to the right, in pipelines of training."""
    count = tf.shape(x)[0]
    choice = tf.random.stateless_uniform([3, count], seed)
    x = tf.where(choice[0][:, None, None, None] < 0.5, x, tf.reverse(x, [2]))
    padded = tf.pad(x, [[0, 0], [1, 1], [1, 1], [0, 0]], "SYMMETRIC")
    moved = [padded[:, down : down + 28, right : right + 28] for down in range(3) for right in range(3)]
    place = tf.cast(choice[1] * 3, tf.int32) * 3 + tf.cast(choice[2] * 3, tf.int32)
    return tf.gather(tf.stack(moved, axis=1), place, axis=1, batch_dims=1)


REDUCTIONS = {
    "mean": trimmed_mean,
    "trimmed (.25, 1)": partial(trimmed_mean, keep=(0.25, 1.0)),
    "trimmed (.5, 1)": partial(trimmed_mean, keep=(0.5, 1.0)),
    "trimmed, tuned": "tuned",
    "largest": largest,
    "log-mean-exp": log_mean_exp,
}


def study(name, model, x, y, epochs, augment, ranges, kept):
    pool = pool_from_records(x, y)
    asked = resident_records(pool.records)
    plan = ShadowModels(MODELS, epochs=epochs, batch_size=50, augment=augment, engine="compiled", checkpoint_dir=kept)
    print(f"\n{name}; {MODELS} models, {TARGETS} targets, {REFERENCES} references, {POINTS} points")
    for label, (around, moving) in ranges.items():
        ranged = RaMIA(RMIA(a=0.3), around, POINTS, centre=moving)
        placed = [one.at(x, y) for one in (ranged, ranged.at_centres())]
        requests = {one.queries: ShadowRequest(("confidence",), ()) for one in placed}
        relations = {one.queries: one.relation for one in placed}
        answers, _ = train_alone(plan, model, asked, pool, requests, verbose=0, relations=relations)
        point, null, wide = [], [], {reduction: [] for reduction in REDUCTIONS}
        for index in range(TARGETS):
            found = [of_target(answers[one.queries], index) for one in placed]
            point.append(figures(placed[1], found[1], trimmed_mean))
            for reduction, aggregate in REDUCTIONS.items():
                wide[reduction].append(figures(placed[0], found[0], aggregate))
            # The same scores, judged by what a model trained on that has nothing to do with the target.
            target, _, references, stranger = found[0]
            null.append(figures(placed[0], (target, stranger, references, stranger), "tuned")[0])
        holding = np.mean([one[2] for one in point])
        print(f"{label}: {holding:.3f} of the ranges hold a training record")
        print(
            f"  {'point attack':20s} AUC {interval(one[0] for one in point)}  TPR at 1 % FPR {interval(one[1] for one in point)}"
        )
        print(f"  {'null (tuned)':20s} AUC {interval(null)}")
        for reduction, several in wide.items():
            for_auc = interval(one[0] - base[0] for one, base in zip(several, point, strict=True))
            for_tpr = interval(one[1] - base[1] for one, base in zip(several, point, strict=True))
            auc, tpr = (interval(one[place] for one in several) for place in (0, 1))
            print(f"  {reduction:20s} AUC {auc} ({for_auc})  TPR at 1 % FPR {tpr} ({for_tpr})", flush=True)


def of_target(shadows, index):
    """A model as the target, what it trained on, the whole pairs it is attacked with; and what one of no such pair trained on."""
    target, truth, others = shadows.as_target(2 * index)
    pairs = np.roll(np.arange(others.num_models).reshape(-1, 2), -index, axis=0)
    return target, truth, others.of_models(pairs[: REFERENCES // 2].ravel()), others.trained_on[pairs[-1, 0]]


def figures(placed, found, aggregate):
    target, truth, others, _ = found
    attack = RaMIA(placed.attack.attack, placed.attack.range, placed.attack.queries, aggregate)
    scores = attack.fit(AttackContext(shadows=others)).score(target)
    scored = ~np.isnan(scores)
    report = LeakageReport.from_scores(scores[scored], truth[scored])
    return float(report.auc), float(report.tpr_at_fpr[0.01]), float(truth[scored].mean())


def interval(values):
    values = np.asarray(list(values))
    reach = stats.t.ppf(0.975, len(values) - 1) * values.std(ddof=1) / np.sqrt(len(values))
    return f"{values.mean():+.3f} ± {reach:.3f}"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--study", action="store_true", help="compare with the point attack, on five targets")
    parser.add_argument("--keep", help="a directory for the shadow models, to go on from")
    given = parser.parse_args()
    if given.study:
        for place, world in enumerate(worlds()):
            study(*world, None if given.keep is None else f"{given.keep}/{place}")
    else:
        cost_of_scores()
        cost_of_passes()
        cost_of_distances()
        cost_in_memory()

"""What shadow models cost: training beside loops of `fit`, a lockstep epoch beside the target's own, scoring. `make bench`.

Everything is measured in one process, in CPU seconds (user + system, all threads) and wall seconds. Two baselines: a loop
of `model.fit` on NumPy arrays with a new model for each shadow model, which is what people write; and a competent loop: one
reused Keras model, a cached `tf.data` pipeline, `fit` called once a shadow model. Set-up (making and tracing models,
compiling, for `auto` measuring) is shown apart; break-even is the smallest K at which ours, set-up included, takes less wall
time than the loop. Training losses of all ways are compared: they must agree. The floor of the MLP is the arithmetic alone:
the same matrix products and TensorFlow's fused update, written by hand for a stack of models, without Keras. Text is synthetic:
tokens drawn by a power law, their labels of a few of them.
"""

import argparse
import resource
import subprocess
import sys
import time
import tracemalloc
import warnings
from pathlib import Path

import data
import keras
import numpy as np
import tensorflow as tf

from privacy_callbacks.attacks import AuditSet, ShadowModels, lira_scores, rmia_scores, tune_rmia
from privacy_callbacks.attacks.fleet_training import prepare
from privacy_callbacks.attacks.shadow_pool import pool_of
from privacy_callbacks.attacks.shadow_training import ShadowRequest

BATCH = 50


class Clock:
    """CPU and wall seconds of a block."""

    def __enter__(self):
        self.start = self.now()
        return self

    def __exit__(self, *error):
        self.cpu, self.wall = np.subtract(self.now(), self.start)

    @staticmethod
    def now():
        used = resource.getrusage(resource.RUSAGE_SELF)
        return used.ru_utime + used.ru_stime, time.perf_counter()


def mlp():
    return compiled([keras.Input((600,)), keras.layers.Dense(128, activation="tanh"), keras.layers.Dense(100)])


def cnn():
    layers = keras.layers
    image = [keras.Input((28, 28, 1)), layers.Conv2D(16, 3, activation="relu"), layers.MaxPooling2D()]
    return compiled(
        [*image, layers.Conv2D(32, 3, activation="relu"), layers.MaxPooling2D(), layers.Flatten(), layers.Dense(10)]
    )


TOKENS, WORDS = 64, 5_000


def embedding():
    layers = keras.layers
    words = [keras.Input((TOKENS,), dtype="int32"), layers.Embedding(WORDS, 32), layers.GlobalAveragePooling1D()]
    return compiled([*words, layers.Dense(64, activation="relu"), layers.Dense(4)])


def transformer():
    layers = keras.layers
    given = keras.Input((TOKENS,), dtype="int32")
    words = layers.Embedding(WORDS, 32)(given)
    mixed = layers.LayerNormalization()(words + layers.MultiHeadAttention(2, 16)(words, words))
    wide = layers.Dense(32)(layers.Dense(64, activation="relu")(mixed))
    pooled = layers.GlobalAveragePooling1D()(layers.LayerNormalization()(mixed + wide))
    return compiled(keras.Model(given, layers.Dense(4)(pooled)))


def synthetic_text(count, seed=0):
    rng = np.random.default_rng(seed)
    x = np.minimum(rng.zipf(1.3, (count, TOKENS)), WORDS - 1).astype(np.int32)
    return x, np.sum(x > 20, axis=1) // 5 % 4


def compiled(stack):
    model = stack if isinstance(stack, keras.Model) else keras.Sequential(stack)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model


def loop_of_fit(make, x, y, halves, epochs):
    losses = []
    for half in halves:
        history = make().fit(x[half], y[half], batch_size=BATCH, epochs=epochs, verbose=0)
        losses.append(history.history["loss"][-1])
    return np.mean(losses)


def competent_loop(make, x, y, halves, epochs):
    model, losses = make(), []
    model.optimizer.build(model.trainable_variables)
    fresh = [variable.numpy() for variable in [*model.variables, *model.optimizer.variables]]
    for half in halves:
        for variable, value in zip([*model.variables, *model.optimizer.variables], fresh, strict=True):
            variable.assign(value)
        records = tf.data.Dataset.from_tensor_slices((x[half], y[half])).cache().shuffle(len(half)).batch(BATCH)
        losses.append(model.fit(records, epochs=epochs, verbose=0).history["loss"][-1])
    return np.mean(losses)


def fleet_of(make, x, y, models, epochs, engine):
    count = len(x) // 2
    audited = AuditSet((x[:count], y[:count]), (x[count:], y[count:]), size=2_000)
    plan = ShadowModels(models, engine=engine)
    with Clock() as setup:
        prepared = prepare(plan, make(), audited, pool_of(audited), batch_size=BATCH, epochs=epochs)
    return prepared, setup


def training(name, make, x, y, epochs, counts, engines):
    print(f"\n{name}, {len(x) // 2:,} records, batch {BATCH}, {epochs} epochs; seconds of CPU / wall")
    halves = [np.random.default_rng(k).permutation(len(x))[: len(x) // 2] for k in range(max(counts))]
    make().fit(x[:BATCH], y[:BATCH], verbose=0)  # TensorFlow's own start
    baselines = {}
    for loop in (loop_of_fit, competent_loop):
        some = 4  # the loops' cost is proportional to K; measured on so many
        with Clock() as clock:
            loss = loop(make, x, y, halves[:some], epochs)
        baselines[loop.__name__] = clock.cpu / some, clock.wall / some
        print(f"  {loop.__name__:15s} K = {some}: {clock.cpu:6.2f} / {clock.wall:6.2f}   final loss {loss:.4f}")
    for models in counts:
        for engine in engines:
            fleet_beside(make, x, y, models, epochs, engine, baselines)


def fleet_beside(make, x, y, models, epochs, engine, baselines):
    prepared, setup = fleet_of(make, x, y, models, epochs, engine)
    trained = prepared.fleet
    with Clock() as steady:
        for _ in range(epochs):
            trained.train_epoch()
    loss = np.mean(trained.losses)
    ratios = " · ".join(
        f"{loop} {models * cpu / steady.cpu:.1f}× CPU {models * wall / steady.wall:.1f}× wall "
        f"({models * wall / (steady.wall + setup.wall):.1f}× with set-up)"
        for loop, (cpu, wall) in baselines.items()
    )
    cost = f"{steady.cpu:6.2f} / {steady.wall:6.2f}   final loss {loss:.4f}   set-up {setup.cpu:.2f} / {setup.wall:.2f}"
    steps = models * epochs * trained.steps_per_epoch
    print(f"  {engine:15s} K = {models}: {cost}   {1e3 * steady.cpu / steps:.3f} CPU ms a step of a model")
    print(f"    against {ratios}")
    if prepared.engine:
        print(f"    {prepared.engine}")
    per_model = steady.wall / models
    for loop, (_, wall) in baselines.items():
        if wall > per_model:
            print(f"    break-even with {loop}: K = {2 * int(np.ceil(setup.wall / (wall - per_model) / 2))}")
    trained.close()


def floor(models=16, steps=200):
    """The MLP's arithmetic: CPU and wall seconds of a step of one model."""
    rng, records = np.random.default_rng(0), 5_000
    x = tf.constant((rng.random((records, 600)) < 0.3).astype(np.float32))
    y = tf.constant(rng.integers(0, 100, records), tf.int32)
    shapes = (models, 600, 128), (models, 1, 128), (models, 128, 100), (models, 1, 100)
    weights, first, second = (
        [tf.Variable(scale * rng.normal(size=shape).astype(np.float32)) for shape in shapes] for scale in (0.05, 0, 0)
    )

    def gradients(x, y):
        w, b, v, c = weights
        hidden = tf.tanh(tf.matmul(x, w) + b)
        error = (tf.nn.softmax(tf.matmul(hidden, v) + c) - tf.one_hot(y, 100)) / BATCH
        back = tf.matmul(error, v, transpose_b=True) * (1 - hidden * hidden)
        of_w, of_v = tf.matmul(x, back, transpose_a=True), tf.matmul(hidden, error, transpose_a=True)
        return of_w, tf.reduce_sum(back, 1, keepdims=True), of_v, tf.reduce_sum(error, 1, keepdims=True)

    @tf.function(autograph=False)
    def run(batches):
        def one(index):
            found = gradients(tf.gather(x, batches[index]), tf.gather(y, batches[index]))
            power = tf.cast(index + 1, tf.float32)
            adam = {"lr": 1e-3, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-7}
            adam |= {"beta1_power": tf.pow(0.9, power), "beta2_power": tf.pow(0.999, power)}
            done = [
                tf.raw_ops.ResourceApplyAdam(var=w.handle, m=m.handle, v=v.handle, grad=gradient, **adam)
                for w, m, v, gradient in zip(weights, first, second, found, strict=True)
            ]
            with tf.control_dependencies(done):
                return (index + 1,)

        return tf.while_loop(lambda index: index < steps, one, (tf.constant(0),), parallel_iterations=1)

    batches = rng.integers(0, records, (steps, models, BATCH)).astype(np.int32)
    run(batches)
    with Clock() as clock:
        run(batches)
    return clock.cpu / steps / models, clock.wall / steps / models


def beside_the_floor(models=16, epochs=4):
    """In turns, so that both meet the same weather."""
    x, y = data.purchase_like(5_000)
    prepared, _ = fleet_of(mlp, x, y, models, 100, "stacked")
    steps = models * prepared.fleet.steps_per_epoch
    prepared.fleet.train_epoch()
    costs = []
    for _ in range(epochs):
        bare = floor(models)
        with Clock() as clock:
            prepared.fleet.train_epoch()
        costs.append((*bare, clock.cpu / steps, clock.wall / steps))
    prepared.fleet.close()
    bare_cpu, bare_wall, cpu, wall = 1e3 * np.median(costs, axis=0)
    print(
        f"\nMLP, K = {models}, ms a step of a model, CPU / wall: stacked {cpu:.3f} / {wall:.3f}, arithmetic alone "
        f"{bare_cpu:.3f} / {bare_wall:.3f}: {cpu / bare_cpu:.2f}× / {wall / bare_wall:.2f}× of the floor (limit 1.4)"
    )


def small_mlp():
    return compiled([keras.Input((600,)), keras.layers.Dense(64, activation="tanh"), keras.layers.Dense(100)])


def memory(cases=((16, 5_000, 2), (64, 5_000, 2), (256, 5_000, 2), (64, 20_000, 2), (64, 5_000, 8))):
    """How far the peak of resident memory rises over TensorFlow with the data (Linux), each case in a process of its own."""
    print("\nmemory, MLP 600-64-100, engine stacked")
    for models, count, epochs in cases:
        own = [sys.executable, __file__, "--memory-of", str(models), str(count), str(epochs)]
        said = subprocess.run(own, capture_output=True, text=True, check=True).stdout.strip()
        print(f"  K = {models}, {count // 2:,} records each, {epochs} epochs: {said}")


def memory_of(models, count, epochs):
    x, y = data.purchase_like(count)
    small_mlp().fit(x[:BATCH], y[:BATCH], verbose=0)
    before = int(Path("/proc/self/statm").read_text().split()[1]) * resource.getpagesize()
    Path("/proc/self/clear_refs").write_text("5")  # the peak is now what is resident
    prepared, _ = fleet_of(small_mlp, x, y, models, epochs, "stacked")
    for _ in range(epochs):
        prepared.fleet.train_epoch()
    status = Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]
    print(f"+{int(status) / 2**10 - before / 2**20:,.0f} MiB over {before / 2**20:,.0f}")
    prepared.fleet.close()


def lockstep(name, make, x, y, models, epochs=10):
    """An epoch of the fleet beside an epoch of the target's own `fit` on arrays, in turns; set-up apart."""
    count = len(x) // 2
    model = make()
    prepared, _ = fleet_of(make, x, y, models, 100, "auto")
    fleet, request = prepared.fleet, ShadowRequest(("loss", "scaled_logit"), ())

    def own():
        model.fit(x[:count], y[:count], batch_size=BATCH, epochs=1, verbose=0)

    steps = {"own": own, "fleet": fleet.train_epoch, "asked": lambda: fleet.signals(request)}
    cost = dict.fromkeys(steps, (0.0, 0.0))
    for step in steps.values():
        step()
    for _ in range(epochs):
        for step, work in steps.items():
            with Clock() as clock:
                work()
            cost[step] = np.add(cost[step], (clock.cpu, clock.wall))
    (cpu, wall), ours, both = cost["own"], cost["fleet"], np.add(cost["fleet"], cost["asked"])
    print(
        f"\nlockstep, {name}, {models} shadow models, engine {fleet.engine}: an epoch costs {ours[0] / cpu:.2f}× CPU, "
        f"{ours[1] / wall:.2f}× wall of the target's own ({cpu / epochs:.3f} / {wall / epochs:.3f} s); asked about 4,000 records "
        f"after it, {both[0] / cpu:.2f}× / {both[1] / wall:.2f}×"
    )
    fleet.close()


def scoring():
    rng = np.random.default_rng(0)
    records, models = 10_000, 64
    halves = rng.random((models // 2, records)) < 0.5
    trained_on = np.concatenate([halves, ~halves])
    target, shadow = rng.normal(size=records), rng.normal(size=(models, records)).astype(np.float32)
    print("\nscoring, CPU seconds (best of 5)")
    for mode in ("online", "offline"):
        for variance in ("pooled", "per_record", "student_t"):
            cost = best(lambda mode=mode, variance=variance: lira_scores(target, shadow, trained_on, mode, variance))
            print(
                f"  LiRA {mode} {variance}, 64 shadow models × 10,000 records: {cost:.3f}  (limit .3; rival 6.2 quoted)"
            )
    log_p = -rng.exponential(size=(5, records))
    log_z = -rng.exponential(size=(5, records))
    four = trained_on[:4]

    def rmia():
        return rmia_scores(log_p[0], log_p[1:], four, log_z[0], log_z[1:], form="percentile")

    cost = best(rmia)
    tracemalloc.start()
    rmia()
    peak = tracemalloc.get_traced_memory()[1] / 2**20
    tracemalloc.stop()
    limit = "(limit .02; rival .32, 1.25 GB quoted)"
    print(f"  RMIA percentile, 10,000 × 10,000 population × 4: {cost:.4f}, peak {peak:.1f} MiB  {limit}")
    shadow_p = -rng.exponential(size=(16, records))
    cost = best(lambda: tune_rmia(shadow_p, np.concatenate([halves[:8], ~halves[:8]])))
    print(f"  tuning a, 16 shadow models × 10,000 records: {cost:.3f}  (limit .1; rival 6.2 quoted)")


def best(work):
    work()
    costs = []
    for _ in range(5):
        with Clock() as clock:
            work()
        costs.append(clock.cpu)
    return min(costs)


def worlds():
    yield "MLP 600-128-100 on purchase-like data (synthetic)", mlp, *data.purchase_like(5_000), 10, None
    x, y = data.fashion_mnist()
    yield "CNN 16-32-dense on Fashion-MNIST", cnn, x[:5_000], y[:5_000], 3, None
    x, y = synthetic_text(4_000)
    yield "embedding + dense on synthetic tokens", embedding, x, y, 5, [16]
    yield "transformer block on synthetic tokens", transformer, x, y, 5, [16]


if __name__ == "__main__":
    warnings.filterwarnings("ignore", message="`shuffle=True` was passed")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engines", nargs="*", default=[], help="measure these beside auto")
    parser.add_argument("--worlds", nargs="+", default=["MLP", "CNN", "embedding", "transformer"])
    parser.add_argument("--lockstep", action="store_true", help="measure that alone")
    parser.add_argument("--counts", type=int, nargs="+", default=[4, 16, 64])
    parser.add_argument("--memory-of", type=int, nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.memory_of:
        memory_of(*options.memory_of)
        sys.exit()
    if not options.lockstep:
        scoring()
        beside_the_floor()
        memory()
    for name, make, x, y, epochs, counts in worlds():
        if name.split()[0] not in options.worlds:
            continue
        if not options.lockstep:
            training(name, make, x, y, epochs, counts or options.counts, ["auto", *options.engines])
        if counts is None:
            lockstep(name, make, x, y, 16)

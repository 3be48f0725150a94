"""What shadow models cost: training beside loops of `fit`, a lockstep epoch beside the target's own, scoring. `make bench`.

Everything is measured in one process, in CPU seconds (user + system, all threads) and wall seconds. Two baselines: a loop
of `model.fit` on NumPy arrays with a new model for each shadow model, which is what people write; and a competent loop: one
reused Keras model, a cached `tf.data` pipeline, `fit` called once a shadow model. Set-up (making and tracing models,
compiling, for `auto` measuring) is shown apart; break-even is the smallest K at which ours, set-up included, takes less wall
time than the loop. Training losses of all ways are compared: they must agree.
"""

import argparse
import resource
import time
import tracemalloc
import warnings

import data
import keras
import numpy as np
import tensorflow as tf

from privacy_callbacks.attacks import AuditSet, ShadowModels, lira_scores, rmia_scores, tune_rmia
from privacy_callbacks.attacks.fleet_here import ShadowRequest
from privacy_callbacks.attacks.fleet_training import prepare
from privacy_callbacks.attacks.shadow_pool import pool_of

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


def compiled(stack):
    model = keras.Sequential(stack)
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


def training(name, make, x, y, epochs, counts, engine):
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
        prepared, setup = fleet_of(make, x, y, models, epochs, engine)
        fleet = prepared.fleet
        with Clock() as steady:
            for _ in range(epochs):
                fleet.train_epoch()
        loss = np.mean(fleet.losses)
        ratios = " · ".join(
            f"{loop} {models * cpu / steady.cpu:.1f}× CPU {models * wall / steady.wall:.1f}× wall "
            f"({models * wall / (steady.wall + setup.wall):.1f}× with set-up)"
            for loop, (cpu, wall) in baselines.items()
        )
        cost = f"{steady.cpu:6.2f} / {steady.wall:6.2f}   final loss {loss:.4f}   set-up {setup.wall:.1f}"
        print(f"  fleet           K = {models}: {cost}")
        print(f"    against {ratios}")
        if prepared.engine:
            print(f"    {prepared.engine}")
        per_model = steady.wall / models
        for loop, (_, wall) in baselines.items():
            if wall > per_model:
                print(f"    break-even with {loop}: K = {2 * int(np.ceil(setup.wall / (wall - per_model) / 2))}")
        fleet.close()


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
    yield "MLP 600-128-100 on purchase-like data (synthetic)", mlp, *data.purchase_like(5_000), 10
    x, y = data.fashion_mnist()
    yield "CNN 16-32-dense on Fashion-MNIST", cnn, x[:5_000], y[:5_000], 3


if __name__ == "__main__":
    warnings.filterwarnings("ignore", message="`shuffle=True` was passed")
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--engine", default="auto")
    parser.add_argument("--lockstep", action="store_true", help="measure that alone")
    parser.add_argument("--counts", type=int, nargs="+", default=[4, 16, 64])
    options = parser.parse_args()
    if not options.lockstep:
        scoring()
    for name, make, x, y, epochs in worlds():
        if not options.lockstep:
            training(name, make, x, y, epochs, options.counts, options.engine)
        lockstep(name, make, x, y, 16)

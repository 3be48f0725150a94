"""How time and memory grow: scores, audited records, streams, shadow models, points of a range, epochs.

`python benchmarks/growth.py`; with `--thin` a few minutes at small sizes; `--only models points` measures these alone.

Each size is measured in a process of its own, after a small run that pays for imports and TensorFlow's start: CPU seconds
(user + system, all threads) of one run, or the median of three short ones, and by how much the peak of resident memory
exceeds what was resident before, the inputs among it (Linux). The exponents are the slopes of straight lines through the
logarithms of the figures over the upper half of the sizes: 1 is linear, 2 quadratic, and a small one may mean that a fixed
part outweighs the rest.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from long_runs import counted_model, generated, highest, larger_than_memory, many_epochs, noise, resident, settle

SHORT = 2.0  # CPU seconds; what takes less is run three times


@dataclass(frozen=True)
class Curve:
    """What is measured, and the unit of the sizes; size -> a function of no arguments to measure; sizes, whole and thin."""

    about: str
    prepare: Callable[[int], Callable[[], object]]
    sizes: Sequence[int]
    thin: Sequence[int]


def exact_report(count):
    from privacy_callbacks.attacks import LeakageReport

    rng = np.random.default_rng(0)
    scores, is_member = rng.normal(size=count), rng.random(count) < 0.5
    scores += 0.3 * is_member
    LeakageReport.from_scores(scores[:1_000], is_member[:1_000])
    return lambda: LeakageReport.from_scores(scores, is_member)


def sketched(count, batch=100_000):
    from privacy_callbacks.attacks import RocSketch

    def run():
        rng, sketch = np.random.default_rng(0), RocSketch()
        for start in range(0, count, batch):
            is_member = rng.random(min(batch, count - start)) < 0.5
            sketch.add(rng.normal(size=len(is_member)) + 0.3 * is_member, is_member)
        return sketch.auc(), sketch.tpr_at_fpr(0.001)

    return run


def tiny():
    return counted_model()[0]


def audited(count, streamed=False):
    """`audit` of `count` records, half of them members, by the default attacks; all of a stream's records, if from one."""
    from privacy_callbacks import audit

    model, side = tiny(), count // 2
    members, nonmembers = noise(side), noise(side, seed=1)
    audit(model, noise(200), noise(200, seed=1))
    if streamed:
        import tensorflow as tf

        members = tf.data.Dataset.from_tensor_slices(members).batch(32)
    return lambda: audit(model, members, nonmembers, audit_size=side)


def audited_stream(count):
    """`audit` of 2,000 + 2,000 records, drawn from `count` members that are made when they are read."""
    from privacy_callbacks import audit

    model, nonmembers = tiny(), noise(2_000, seed=1)
    audit(model, noise(200), noise(200, seed=1))
    return lambda: audit(model, generated(count, 16, classes=4), nonmembers)


def hooks_on_records(count):
    """One epoch's end as `fit` would call it, by the default attacks, on a set that is there already."""
    from privacy_callbacks import MIACallback

    mia = MIACallback(noise(count // 2), noise(count // 2, seed=1), audit_size=count // 2)
    mia.set_model(tiny())
    mia.set_params({"epochs": 10, "steps": None})
    mia.on_train_begin()
    mia.on_epoch_begin(0)
    epochs = iter(range(10))
    return lambda: mia.on_epoch_end(next(epochs), {})


def fleet(models):
    """`models` shadow models on 1,000 of 2,000 records each, 20 epochs, and what they answer about all of them."""
    from privacy_callbacks.attacks import ShadowModels

    def run(models=models, epochs=20):
        plan = ShadowModels(models, engine="stacked", batch_size=50, epochs=epochs)
        return plan.fit(tiny(), *noise(2_000), verbose=0)

    run(4, 1)
    return run


def points(queries):
    """`audit` of 500 + 500 records by ranges of `queries` points each."""
    from privacy_callbacks import audit
    from privacy_callbacks.attacks import Threshold
    from privacy_callbacks.range_queries import LpBall, RaMIA

    def run(queries=queries):
        attack = RaMIA(Threshold("loss"), LpBall(0.1), queries=queries)
        return audit(tiny(), noise(500), noise(500, seed=1), attack, blind_baseline=False)

    run(1)
    return run


def decades(low, high):
    """1, 3, 10, 30, … times a power of ten."""
    return (*(digit * 10**power for power in range(low, high) for digit in (1, 3)), 10**high)


CURVES = {
    "scores": Curve("LeakageReport.from_scores, scores", exact_report, decades(4, 7), decades(5, 6)),
    "sketch": Curve("RocSketch in batches of 100,000, scores", sketched, (10**6, 10**7, 10**8), (10**5, 10**6, 10**7)),
    "records": Curve("audit, records", audited, decades(3, 6), (1_000, 10_000, 100_000)),
    "batches": Curve(
        "audit, records; members from a tf.data.Dataset in batches of 32",
        partial(audited, streamed=True),
        decades(4, 6),
        (1_000, 10_000, 100_000),
    ),
    "epoch_end": Curve("MIACallback.on_epoch_end, records", hooks_on_records, decades(3, 6), (1_000, 10_000, 100_000)),
    "source": Curve(
        "audit of 2,000 + 2,000 drawn from a stream of so many members",
        audited_stream,
        (*decades(4, 6), 3 * 10**6),
        (10_000, 30_000, 100_000),
    ),
    "models": Curve("ShadowModels.fit, stacked, models", fleet, (4, 8, 16, 32, 64, 128, 256), (4, 16, 32)),
    "points": Curve("RaMIA around 1,000 records, points a range", points, (1, 4, 16, 64, 256), (1, 16, 64)),
}


def exponent(sizes, values):
    """The slope of log(value) over log(size), in the upper half of the sizes, at least two."""
    upper = slice(min(len(sizes) // 2, len(sizes) - 2), None)
    return float(np.polyfit(np.log(sizes[upper]), np.log(np.maximum(values, 1e-9))[upper], 1)[0])


def measured(name, size):
    """The figures of one size, in this process."""
    warnings.simplefilter("ignore")
    task = CURVES[name].prepare(size)
    settle()
    before, costs = resident(), []
    while not costs or (costs[0] < SHORT and len(costs) < 3):
        start = time.process_time()
        task()
        costs.append(time.process_time() - start)
        if len(costs) == 1:
            peak = highest()
    return {"cpu": statistics.median(costs), "over": max(0.0, peak - before), "peak": peak}


LONG = {
    "epochs": many_epochs,
    "epochs_beside_shadows": partial(many_epochs, shadow_models=8),
    "memory": partial(larger_than_memory, limit_mib=2_000),
}


def alone(name, size):
    """What another process, which does only that, finds."""
    own = [sys.executable, __file__, "--case", name, str(size)]
    done = subprocess.run(own, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{name} {size} failed:\n{done.stderr[-2_000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def table(name, thin):
    """Prints one curve; returns its exponents (time, memory) and its figures by size."""
    curve = CURVES[name]
    sizes = curve.thin if thin else curve.sizes
    print(f"\n{curve.about}\n{'':>14}{'CPU s':>10}{'us each':>10}{'MiB over start':>16}{'peak MiB':>10}", flush=True)
    found = {}
    for size in sizes:
        found[size] = figures = alone(name, size)
        print(
            f"{size:>14,}{figures['cpu']:>10.3f}{1e6 * figures['cpu'] / size:>10.2f}{figures['over']:>16.1f}"
            f"{figures['peak']:>10.0f}",
            flush=True,
        )
    slopes = [exponent(sizes, [figures[key] for figures in found.values()]) for key in ("cpu", "over")]
    print(f"{'exponent':>14}{slopes[0]:>10.2f}{'':>10}{slopes[1]:>16.2f}")
    return (*slopes, found)


def long_runs(thin):
    epochs, beside, members = (300, 200, 50_000) if thin else (1_000, 300, 2_000_000)
    for title, name, size in (
        (f"fit of {epochs:,} epochs with MIACallback and log_dir", "epochs", epochs),
        (f"fit of {beside:,} epochs beside 8 shadow models, likewise", "epochs_beside_shadows", beside),
        (f"AuditSet from a stream of {members:,} x 600 floats; more than 2,000 MiB of data refused", "memory", members),
    ):
        print(f"\n{title}", flush=True)
        for figure, values in alone(name, size).items():
            shown = values if isinstance(values, list) else [values]
            print(f"  {figure.replace('_', ' '):20}{' -> '.join(f'{value:,.1f}' for value in shown)}", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--thin", action="store_true", help="small sizes")
    parser.add_argument("--only", nargs="+", choices=[*CURVES, "long"], default=[*CURVES, "long"])
    parser.add_argument("--case", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.case:
        name, size = options.case
        print(json.dumps(LONG[name](int(size)) if name in LONG else measured(name, int(size))))
        return
    for name in options.only:
        if name == "long":
            long_runs(options.thin)
        else:
            table(name, options.thin)


if __name__ == "__main__":
    main()

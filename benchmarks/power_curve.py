"""How much of a leak each strong attack sees with how many shadow models, and for how much compute.

`python benchmarks/power_curve.py` prints the tables of `docs/power.md`: TPR at 1 % and at 0.1 % FPR and AUC, means over twelve
targets with 95 % t intervals, against the number of shadow models and against CPU seconds (user + system, all cores): what
training that many models took, asking them, and scoring. `--thin` runs a slice of seconds.

One fleet is trained per data set, every model on half of a pool of 20,000 records, so that 10,000 non-members resolve an FPR of
0.1 %. Twelve models of twelve complementary pairs play the target in turn, for attacks that know m of the others in whole pairs,
but never the target's own complement: a balanced design without the target would betray what it had trained on. Targets share
the pool and most of their shadow models, and are each other's: intervals speak of models, not of data, and are a little short.
"""

import argparse
import time
from typing import NamedTuple

import data
import keras
import numpy as np
from power import compiled, interval, some_of

from privacy_callbacks.attacks import (
    LeakageReport,
    ShadowModels,
    base_scores,
    difficulty_calibration_scores,
    lira_scores,
    rmia_scores,
    tune_rmia,
)

TARGETS, NUMBERS = 12, (2, 4, 8, 16, 32, 64)
SIGNALS = ("loss", "confidence", "scaled_logit")


class Scale(NamedTuple):
    """How large a study is."""

    pool: int
    targets: int
    numbers: tuple[int, ...]
    epochs: int


WHOLE = Scale(20_000, TARGETS, NUMBERS, 20)
THIN = Scale(2_400, 10, (2, 8), 12)


def worlds(pool):
    """Name, model, records, labels."""
    x, y = data.fashion_mnist()
    chosen = np.random.default_rng(0).permutation(len(x))[:pool]
    flat = keras.Sequential([keras.Input((28, 28, 1)), keras.layers.Flatten(), *_dense(256, 10)])
    yield "Fashion-MNIST (real), MLP 784-256-10", compiled(flat), x[chosen], y[chosen]
    x, y = data.purchase_like(pool)
    yield (
        "purchase-like (synthetic), MLP 600-128-100",
        compiled(keras.Sequential([keras.Input((600,)), *_dense(128, 100)])),
        x,
        y,
    )


def _dense(hidden, classes):
    return keras.layers.Dense(hidden, activation="relu"), keras.layers.Dense(classes)


def attacks():
    """Name, fewest shadow models, scores(target signals, shadow signals)."""
    yield "LiRA online", 4, lambda target, others: _lira(target, others, "online")
    yield "LiRA offline", 4, lambda target, others: _lira(target, others, "offline")
    yield "RMIA offline", 2, _rmia
    yield "BASE", 2, lambda target, others: base_scores(target["confidence"], others["confidence"], others.trained_on)
    yield "difficulty calibration", 2, _calibration


def _lira(target, others, mode):
    return lira_scores(target["scaled_logit"], others["scaled_logit"], others.trained_on, mode=mode)


def _rmia(target, others):
    known = others["confidence"], others.trained_on
    return rmia_scores(target["confidence"], *known, a=tune_rmia(*known) if others.num_models >= 4 else 0.3)


def _calibration(target, others):
    return difficulty_calibration_scores(target["scaled_logit"], others["scaled_logit"], others.trained_on)


class Found(NamedTuple):
    """One attack with one number of shadow models: figures by target, and CPU seconds of scoring one target."""

    auc: list[float]
    at_1: list[float]
    at_01: list[float]
    cpu: float


def found(shadows, scores, models, targets):
    """`Found` over the targets; a metric that the pool cannot resolve is NaN."""
    reports, since = [], time.process_time()
    for index in range(targets):
        target, is_member, others = shadows.as_target(2 * index)
        values = scores(target, some_of(others, models, index) if models else None)
        scored = ~np.isnan(values)
        reports.append(LeakageReport.from_scores(values[scored], is_member[scored]))
    cpu = (time.process_time() - since) / targets
    return Found(*(_each(reports, name) for name in ("auc", "tpr_at_fpr_1e-2", "tpr_at_fpr_1e-3")), cpu)


def _each(reports, name):
    found = [report.estimates()[name] for report in reports]
    return [np.nan if one is None else float(one) for one in found]


def study(name, model, x, y, scale, kept=None):
    """Trains the fleet, prints a table, and returns {(attack, models): Found}."""
    fleet = max(2 * scale.targets, max(scale.numbers) + 4)
    since = time.process_time()
    plan = ShadowModels(fleet, epochs=scale.epochs, batch_size=100, engine="stacked", checkpoint_dir=kept)
    shadows = plan.fit(model, x, y, signals=SIGNALS, verbose=0)
    each = (time.process_time() - since) / fleet
    print(
        f"\n{name}, {scale.epochs} epochs: {fleet} models, {each:.1f} CPU seconds each, answers to {len(x):,} records included"
    )
    print(f"{'attack':24s}{'shadows':>8s}{'CPU s':>8s}  {'TPR at 1 % FPR':16s}{'TPR at 0.1 % FPR':18s}{'AUC':15s}")
    rows = {("loss", 0): found(shadows, lambda target, others: target["loss"][:, 0], 0, scale.targets)}
    for attack, fewest, scores in attacks():
        for models in scale.numbers:
            if models >= fewest:
                rows[attack, models] = found(shadows, scores, models, scale.targets)
    for (attack, models), row in rows.items():
        cost = models * each + row.cpu
        shown = (interval(row.at_1), interval(row.at_01), interval(row.auc))
        print(f"{attack:24s}{models:8d}{cost:8.1f}  {shown[0]:16s}{shown[1]:18s}{shown[2]:15s}", flush=True)
    return rows


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--thin", action="store_true", help="a slice of seconds")
    parser.add_argument("--only", default="", help="a part of a world's name")
    parser.add_argument("--keep", default=None, help="a folder for the shadow models, to be interrupted or asked again")
    options = parser.parse_args()
    size = THIN if options.thin else WHOLE
    for number, world in enumerate(worlds(size.pool)):
        if options.only in world[0]:
            study(*world, size, None if options.keep is None else f"{options.keep}/{number}")

"""What attacks on arrays of answers cost: thresholds against one sort, slices and trained attackers against TensorFlow Privacy.

`make bench` runs it; half a minute, most of it for training the model that is attacked. `--rival` also runs that library's
grid searches, five to ten minutes more.

All figures are CPU seconds (user + system) of one process, interleaved where they are compared. The package of TensorFlow
Privacy does not import beside TensorFlow >= 2.16, so the seconds that its own code took for the same sizes are quoted, and
its trained attacks are repeated here with scikit-learn: logits and loss as features, two halves scored by each other's
classifier, and within each half its grids searched by three-fold cross-validation (its "auto" for the features of a
forest is no longer known and meant the square root, so 36 points are left of 72).
"""

import argparse
import os

# Before NumPy and TensorFlow start: idle threads that wait for work burn seconds of their own.
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")

import data
import numpy as np
from timing import cpu, measure

from privacy_callbacks.attacks import AttackInputData, AttackType, LeakageReport, SlicingSpec, run_attacks
from privacy_callbacks.attacks.auc import auc_value
from privacy_callbacks.attacks.by_slice import sliced_reports
from privacy_callbacks.attacks.roc import RocCurve
from privacy_callbacks.attacks.tf_privacy_slices import slices_of

SIDE = 10_000
QUOTED_SLICES, QUOTED_TRAINED = 1.1, 752.0
SLICING = SlicingSpec(entire_dataset=True, by_class=True, by_percentiles=True, by_classification_correctness=True)
TRAINED = [attack for attack in AttackType if attack.is_trained_attack]
THRESHOLDS = [attack for attack in AttackType if not attack.is_trained_attack]
# AUC and CPU seconds of `--rival` on `overfitted()`; 2026-11-22, two shared cores of an AMD EPYC, scikit-learn 1.9.1.
RIVAL = {
    "LOGISTIC_REGRESSION": (0.5772, 0.8),
    "MULTI_LAYERED_PERCEPTRON": (0.5656, 33.5),
    "RANDOM_FOREST": (0.5839, 249.9),
    "K_NEAREST_NEIGHBORS": (0.5103, 1.3),
}


def simulated(members, nonmembers, classes=10, seed=0):
    """Answers float32[n, classes] and labels of two sides; members are answered somewhat better."""
    rng = np.random.default_rng(seed)
    sides = {}
    for side, count, gain in (("train", members, 3.6), ("test", nonmembers, 3.0)):
        labels = rng.integers(0, classes, count)
        logits = rng.normal(0, 2, size=(count, classes))
        logits[np.arange(count), labels] += gain
        sides |= {f"logits_{side}": logits.astype(np.float32), f"labels_{side}": labels}
    return AttackInputData(**sides)


def overfitted():
    """Answers of an MLP 784-256-10 to the 10,000 images of Fashion-MNIST that it learned for 50 epochs, and to as many others."""
    import keras

    x, y = data.fashion_mnist()
    chosen = np.random.default_rng(0).permutation(len(x))[: 2 * SIDE]
    keras.utils.set_random_seed(0)
    model = keras.Sequential(
        [
            keras.Input((28, 28, 1)),
            keras.layers.Flatten(),
            keras.layers.Dense(256, activation="relu"),
            keras.layers.Dense(10),
        ]
    )
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(x[chosen[:SIDE]], y[chosen[:SIDE]], epochs=50, batch_size=64, verbose=0)
    sides = {}
    for side, rows in (("train", chosen[:SIDE]), ("test", chosen[SIDE:])):
        sides |= {f"logits_{side}": model.predict(x[rows], batch_size=1_000, verbose=0), f"labels_{side}": y[rows]}
    return AttackInputData(**sides)


def compare_threshold_with_sort(members, nonmembers):
    is_member = np.arange(members + nonmembers) < members
    scores = np.random.default_rng(0).normal(size=is_member.size) + 0.3 * is_member
    cost = measure(
        {
            "sort": lambda: np.argsort(scores, kind="stable"),
            "curve": lambda: RocCurve.from_scores(scores, is_member),
            "report": lambda: LeakageReport.from_scores(scores, is_member),
        },
        rounds=31,
    )
    print(f"one threshold attack on {members:,} + {nonmembers:,} scores against a stable argsort of them")
    for name, title in (("sort", "sort"), ("curve", "curve"), ("report", "report with all intervals")):
        print(f"{title:28}{1e3 * cost[name]:8.2f} ms{cost[name] / cost['sort']:8.2f}x")
    print(f"curve within two sorts: {'ok' if cost['curve'] <= 2 * cost['sort'] else 'OVER'}")


def compare_slices_with_quoted(members, nonmembers):
    given = simulated(members, nonmembers)
    is_member, slices = given.is_member(), [part for _, part in slices_of(given, SLICING)]
    signals = given.signals()
    values = [signals[name][:, 0] for name in ("loss", "modified_entropy")]
    cost = measure(
        {
            "run_attacks, from logits": lambda: run_attacks(given, SLICING, THRESHOLDS),
            "sliced_reports, from signals": lambda: [sliced_reports(one, is_member, slices) for one in values],
        }
    )
    print(f"{len(slices)} slices × {len(values)} threshold attacks on {members:,} + {nonmembers:,} records × 10 logits")
    for name, seconds in cost.items():
        verdict = "ok" if QUOTED_SLICES / seconds >= 5 else "UNDER 5"
        print(
            f"{name:30}{seconds:7.3f} s; TensorFlow Privacy {QUOTED_SLICES} s: {QUOTED_SLICES / seconds:.1f}x  {verdict}"
        )


def compare_trained_with_grids(given, rival):
    """Times and AUCs of all attack types; `rival`: (AUC, seconds) by attack type."""
    run_attacks(simulated(100, 100), attack_types=TRAINED)  # loads scikit-learn
    print(f"all attack types on {SIDE:,} + {SIDE:,} answers of an overfitted MLP to Fashion-MNIST")
    print(f"{'attack':28}{'CPU':>8}{'AUC':>8}{'low':>8}{'high':>8}{'grid: CPU':>14}{'AUC':>8}")
    total = 0.0
    for attack in AttackType:
        found = []
        seconds = cpu(lambda attack=attack, found=found: found.append(run_attacks(given, attack_types=attack)))
        total += seconds
        auc = found[0].single_attack_results[0].get_auc()
        beside = ""
        if attack.name in rival:
            best, theirs = rival[attack.name]
            beside = f"{theirs:12.1f} s{best:8.4f}  {'ok' if auc >= best - 0.005 else 'WEAKER'}"
        print(f"{attack.name:28}{seconds:6.2f} s{float(auc):8.4f}{auc.low:8.4f}{auc.high:8.4f}{beside}", flush=True)
    print(
        f"{'together':28}{total:6.2f} s; TensorFlow Privacy {QUOTED_TRAINED:.0f} s: {QUOTED_TRAINED / total:.0f}x; "
        f"{'ok' if total <= 40 else 'OVER 40 s'}"
    )


def grids():
    """Classifier and grid by attack type, as TensorFlow Privacy's `models.py` has them (commit 158aba7)."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier
    from sklearn.neural_network import MLPClassifier

    return {
        "LOGISTIC_REGRESSION": (LogisticRegression(), {"C": np.logspace(-4, 2, 10)}),
        "MULTI_LAYERED_PERCEPTRON": (
            MLPClassifier(random_state=0),
            {"hidden_layer_sizes": [(64,), (32, 32)], "alpha": [1e-4, 1e-3, 1e-2]},
        ),
        "RANDOM_FOREST": (
            RandomForestClassifier(100, random_state=0),
            {"max_depth": [5, 10, 20, None], "min_samples_split": [2, 5, 10], "min_samples_leaf": [1, 2, 4]},
        ),
        "K_NEAREST_NEIGHBORS": (KNeighborsClassifier(), {"n_neighbors": [3, 5, 7]}),
    }


def run_rival(given):
    """(AUC, mean of the two halves; CPU seconds) by attack type."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.model_selection import GridSearchCV, StratifiedKFold

    is_member = given.is_member()
    rows = np.column_stack([np.concatenate([given.logits_train, given.logits_test]), given.losses()])
    halves = list(StratifiedKFold(2, shuffle=True, random_state=0).split(rows, is_member))
    found = {}
    for name, (classifier, grid) in grids().items():
        areas = []

        def both_halves(classifier=classifier, grid=grid, areas=areas):
            for learn, judge in halves:
                search = GridSearchCV(classifier, grid, cv=3).fit(rows[learn], is_member[learn])
                areas.append(auc_value(search.predict_proba(rows[judge])[:, 1], is_member[judge]))

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            seconds = cpu(both_halves)
        found[name] = (float(np.mean(areas)), seconds)
        print(f"grid search of TensorFlow Privacy: {name:26}{seconds:8.1f} s  AUC {found[name][0]:.4f}", flush=True)
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rival", action="store_true", help="run the rival's grid searches too, about ten minutes")
    with_rival = parser.parse_args().rival
    compare_threshold_with_sort(50_000, 10_000)
    print()
    compare_slices_with_quoted(50_000, 10_000)
    print()
    given = overfitted()
    compare_trained_with_grids(given, run_rival(given) if with_rival else RIVAL)


if __name__ == "__main__":
    main()

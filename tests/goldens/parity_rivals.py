"""Other programs' figures on the inputs of parity_worlds.py: how the goldens beside this file are born.

The programs' code runs as it is. Only files of their packages that want TensorFlow, JAX or PyTorch are passed over: those of
the packages themselves, and of models that are not asked for anything here. benchmarks/parity.py runs this file by itself, with
the versions of NumPy and scikit-learn that the programs were written for.
"""

import importlib
import json
import sys
import types
from importlib import metadata
from pathlib import Path

import numpy as np
import sklearn
from goldens import parity_worlds as w
from scipy import special
from sklearn import metrics


def of_sklearn(_):
    values, is_member = w.scores()
    fpr, tpr, _ = metrics.roc_curve(is_member, values, drop_intermediate=False)
    logits, labels, _ = w.answers()
    return {
        "AUC": metrics.roc_auc_score(is_member, values),
        "ROC points": [*fpr, *tpr],
        "PPV of a threshold": metrics.precision_score(is_member, values >= w.THRESHOLD),
        "log loss": metrics.log_loss(labels, special.softmax(logits, axis=1)),
        "TPR at FPR .22": np.interp(0.22, fpr, tpr),
    }


def of_tf_privacy(folder):
    tests = "tensorflow_privacy.privacy.privacy_tests."
    mia = _module(folder, tests + "membership_inference_attack.membership_inference_attack", ("models",))
    lira = _module(folder, tests + "membership_inference_attack.advanced_mia")
    exposures = _module(folder, tests + "secret_sharer.exposures")
    by_rank, by_fit = exposures.compute_exposure_interpolation, exposures.compute_exposure_extrapolation
    data, kinds = mia.AttackInputData(**w.named(*w.answers())), mia.AttackType
    kinds = [kinds.THRESHOLD_ATTACK, kinds.THRESHOLD_ENTROPY_ATTACK]
    curves = [result.roc_curve for result in mia.run_attacks(data, attack_types=kinds).single_attack_results]
    spec = mia.SlicingSpec(entire_dataset=False, by_class=True, by_classification_correctness=True)
    noisy = [mia._run_threshold_attack(mia.AttackInputData(loss_train=-a, loss_test=-b)) for a, b in w.noise()]
    values, is_member = w.scores()
    of_tied = mia.AttackInputData(**dict(zip(("loss_train", "loss_test"), w.sides(-values, is_member), strict=True)))
    confident = mia.AttackInputData(**w.named(*w.answers(12, np.float32)))
    tenths = mia.get_single_slice_specs(mia.SlicingSpec(entire_dataset=False, by_percentiles=True))
    parts = [mia.get_slice(of_tied, tenth) for tenth in tenths]
    target, is_member, *known = w.shadows(16)
    many, of_many, *of_others = w.shadows(32, 6_000)
    both, outside = ("both", True, "mean"), ("out", True, "mean")
    mean_out = np.nanmean(np.where(known[1], np.nan, known[0]), axis=0)
    density = lira.compute_score_lira(*_lists(mean_out, *known), *outside)[0]
    values, references = w.canaries()
    return {
        "losses": data.get_loss_train()[:20],
        "modified entropies": data.get_entropy_train()[:20],
        "AUC, advantage of thresholds": [f for c in curves for f in (c.get_auc(), c.get_attacker_advantage())],
        "AUC of slices": [found.roc_curve.get_auc() for found in mia.run_attacks(data, spec).single_attack_results],
        "scaled logits": lira.calculate_statistic(*w.answers()[:2])[:20],
        "margins": lira.calculate_statistic(*w.answers()[:2], option="hinge")[:20],
        "difficulty calibration": lira.compute_score_offset(*_lists(target, *known), "out", "mean")[:20],
        "LiRA online, pooled: AUC": metrics.roc_auc_score(
            is_member, -lira.compute_score_lira(*_lists(target, *known), *both)
        ),
        "LiRA, pooled spread": np.exp(-density) / np.sqrt(2 * np.pi),
        "LiRA offline: AUC": metrics.roc_auc_score(
            of_many, -lira.compute_score_lira(*_lists(many, *of_others), *outside)
        ),
        "scaled logit of (120, 0)": lira.calculate_statistic(np.array([[120.0, 0.0]]), np.array([0]))[0],
        "distinct losses, float32": len({*confident.get_loss_train(), *confident.get_loss_test()}),
        "records in tenths of loss": sum(part.get_train_size() + part.get_test_size() for part in parts),
        "PPV on noise": np.mean([found.roc_curve.get_ppv() for found in noisy]),
        "ε above 0 on noise": np.mean([found.epsilon_lower_bound_value.bounds.popitem()[1][0] > 0 for found in noisy]),
        "exposure by rank": by_rank({0: -np.sort(values)[::-1]}, -references)[0],
        "exposure by skew-normal": by_fit({0: -w.FAR}, -references)[0],
        "exposure, one by one": by_rank({0: -values}, -references)[0],
    }


def of_jax_privacy(folder):
    audit = _module(folder, "jax_privacy.auditing")
    values, is_member = w.scores()
    tied, backwards = (audit.CanaryScoreAuditor(*w.sides(sign * values, is_member)) for sign in (1, -1))
    noisy = [audit.CanaryScoreAuditor(*sides) for sides in w.noise()]
    strong = audit.CanaryScoreAuditor(*w.sides(*w.scores(gain=2.5)))
    fixed = {"one_sided": False, "threshold_strategy": audit.Explicit(w.THRESHOLD)}
    return {
        "advantage": 2 * tied.max_accuracy(prevalence=0.5) - 1,
        "ε of a fixed threshold": [strong.epsilon_clopper_pearson(w.ALPHA, delta, **fixed) for delta in (0.0, 0.01)],
        "ε of one run": [audit._epsilon_one_run(0, m, r, v, w.ALPHA, d) for v, r, m, d in w.GUESSES],
        "ε of one run, f-DP": [audit._epsilon_one_run_fdp(1e-3, m, r, v, w.ALPHA, d) for v, r, m, d in w.GUESSES],
        "AUC": tied.attack_auroc(),
        "AUC of reversed scores": backwards.attack_auroc(),
        "AUC on noise": np.mean([one.attack_auroc() for one in noisy]),
        "TPR at FPR .22": tied.tpr_at_given_fpr(0.22),
        "ε by GDP above 0 on noise": np.mean([one.epsilon_from_gdp(w.ALPHA, 1e-5) > 0 for one in noisy]),
    }


def of_privacy_meter(folder):
    stub = types.SimpleNamespace(InformationSource=object, GroupInfo=object, Signal=object)
    metric = _module(folder, "privacy_meter.metric", ("information_source", "information_source_signal"), stub)
    threshold = _module(folder, "privacy_meter.hypothesis_test").linear_itp_threshold_func

    def run(kind, levels, **signals):
        attack = kind.__new__(kind)
        vars(attack).update(signals, hypothesis_test_func=threshold)
        return attack.run_metric(levels)[0]

    def reference(own, others, is_member, levels=None):
        sides = {"member": is_member, "non_member": ~is_member}
        named = {f"{side}_signals": own[rows] for side, rows in sides.items()}
        named |= {f"reference_{side}_signals": others[rows] for side, rows in sides.items()}
        return run(metric.ReferenceMetric, levels, **named)

    own, others = w.losses_of_references()
    half = np.arange(len(own)) % 2 == 0
    target, is_member, shadow, trained_on = w.shadows(2 * w.MODELS)
    outside = -np.array([column[~known] for column, known in zip(shadow.T, trained_on.T, strict=True)])
    members, nonmembers = w.sides(-target, is_member)
    population = {"member_signals": members, "non_member_signals": nonmembers, "reference_signals": -w.population()}
    default = run(metric.PopulationMetric, None, **population)
    fine = run(metric.PopulationMetric, list(np.arange(w.POPULATION) / (w.POPULATION - 1)), **population)
    levels = np.arange(w.MODELS) / (w.MODELS - 1)
    return {
        "attack R at its own levels": reference(own, others.T, half, levels).predicted_labels.sum(axis=1)[1:-1],
        "attack P at its own levels": fine.predicted_labels.sum(axis=1)[1:-1:10],
        "attack R: AUC": reference(-target, outside, is_member).roc_auc,
        "attack P: AUC": default.roc_auc,
        "attack R, FPR at 1 %": reference(own, others.T, half, [0, 0.01, 1]).predicted_labels[1].mean(),
    }


def _lists(target, shadow, trained_on):
    sides = [
        [column[own == side][:, None] for column, own in zip(shadow.T, trained_on.T, strict=True)] for side in (1, 0)
    ]
    return target[:, None], *sides


def _module(folder, name, passing_over=(), stub=None):
    """A module of a package in a folder; its parents' own files, and siblings passed over, are not run."""
    parents = name.split(".")[:-1]
    for depth in range(1, len(parents) + 1):
        parent = sys.modules.setdefault(".".join(parents[:depth]), types.ModuleType(".".join(parents[:depth])))
        parent.__path__ = [str(Path(folder, *parents[:depth]))]
    for sibling in passing_over:
        vars(parent)[sibling] = sys.modules[f"{parent.__name__}.{sibling}"] = stub or types.ModuleType(sibling)
    return importlib.import_module(name)


RIVALS = {
    "scikit-learn": ("scikit-learn", of_sklearn),
    "TF Privacy": ("tensorflow-empirical-privacy", of_tf_privacy),
    "jax_privacy": ("jax-privacy", of_jax_privacy),
    "Privacy Meter": ("privacy-meter", of_privacy_meter),
}


def main(rival, folder):
    """Prints {"made_by": package and version, "outputs": {row: figure}}, or {} if the folder does not have it."""
    package, run = RIVALS[rival]
    found = next(iter(metadata.distributions(name=package, path=[folder])), None)
    outputs = {} if found is None else {row: np.asarray(one, float).tolist() for row, one in run(folder).items()}
    used = f"NumPy {np.__version__} and scikit-learn {sklearn.__version__}"
    text = json.dumps({"made_by": f"{package} {found.version}", "with": used, "outputs": outputs} if outputs else {})
    print(text.replace("Infinity", '"inf"'))  # JSON has no word for it


if __name__ == "__main__":
    main(*sys.argv[1:])

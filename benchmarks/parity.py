"""Our numbers beside other programs' on the same inputs, and beside the truth where they differ.

`python benchmarks/parity.py [--rivals SITE_PACKAGES] [--write]` prints the table of docs/parity.md. scikit-learn always runs; the
others where that folder has them, installed by `pip install --no-deps` into an environment of their own:

    tensorflow-empirical-privacy jax-privacy dp-accounting absl-py attrs privacy-meter statsmodels==0.14.4 patsy packaging
    immutabledict numpy==1.26.4 scipy==1.13.1 scikit-learn==1.5.2 joblib threadpoolctl pandas==2.2.3 pytz python-dateutil six

What is not found is read from tests/goldens/; `--write` puts there what was found, with its origin, and the table into the page.
Inputs, oracles and programs that no registry has (restated) stand in parity_worlds.py there, how others run in parity_rivals.py.
"""

import argparse
import datetime
import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import numpy as np
from scipy import special

from privacy_callbacks import attacks
from privacy_callbacks.attacks.advantage import advantage
from privacy_callbacks.attacks.auc import auc, auc_value
from privacy_callbacks.attacks.epsilon_by_threshold import epsilon_of_rates
from privacy_callbacks.attacks.epsilon_fdp import mu_of_guesses
from privacy_callbacks.attacks.epsilon_gdp import gaussian_epsilon
from privacy_callbacks.attacks.epsilon_one_run import epsilon_of_guesses
from privacy_callbacks.attacks.estimate import clopper_pearson_high
from privacy_callbacks.attacks.low_fpr import tpr_at_fpr

ROOT = Path(__file__).parents[1]
sys.path.append(str(ROOT / "tests"))
from goldens import parity_worlds as w  # noqa: E402

GOLDENS, PAGE = ROOT / "tests" / "goldens", ROOT / "docs" / "parity.md"
RESTATED, COMMAND = "restated", "python benchmarks/parity.py --rivals SITE_PACKAGES --write"


def beside_sklearn():
    """{row: our number, or (our number, the truth) where the rival says something else}; likewise below."""
    roc = attacks.RocCurve.from_scores(*w.scores())
    return {
        "AUC": auc(roc),
        "ROC points": [*roc.fpr, *roc.tpr],
        "PPV of a threshold": attacks.ppv(roc, w.THRESHOLD, prior=100 / 180),
        "log loss": -_signal("loss", *w.answers()[:2]).mean(),
        "TPR at FPR .22": (tpr_at_fpr(roc, 0.22), w.best_tpr(*w.scores(), 0.22)),
    }


def beside_tf_privacy():
    return _signals_and_metrics() | _shadow_attacks() | _exposures() | _where_tf_privacy_differs()


def _signals_and_metrics():
    logits, labels, is_member = w.answers()
    signals = {name: _signal(name, logits, labels) for name in ("loss", "modified_entropy", "scaled_logit", "margin")}
    judged = [attacks.RocCurve.from_scores(signals[name], is_member) for name in ("loss", "modified_entropy")]
    spec = attacks.SlicingSpec(entire_dataset=False, by_class=True, by_classification_correctness=True)
    slices = attacks.run_attacks(attacks.AttackInputData(**w.named(logits, labels, is_member)), spec)
    return {
        "losses": -signals["loss"][:20],
        "modified entropies": -signals["modified_entropy"][:20],
        "AUC, advantage of thresholds": [metric(curve) for curve in judged for metric in (auc, advantage)],
        "AUC of slices": [result.get_auc() for result in slices.single_attack_results],
        "scaled logits": signals["scaled_logit"][:20],
        "margins": signals["margin"][:20],
    }


def _shadow_attacks():
    target, is_member, *known = w.shadows(16)
    many, of_many, *of_others = w.shadows(32, 6_000)
    offline = attacks.lira_scores(many, *of_others, "offline", "pooled")
    one_above = 1 + np.mean(known[0], axis=0, where=~known[1])
    return {
        "difficulty calibration": attacks.difficulty_calibration_scores(target, *known)[:20],
        "LiRA online, pooled: AUC": auc_value(attacks.lira_scores(target, *known, variance="pooled"), is_member),
        "LiRA, pooled spread": (1 / attacks.lira_scores(one_above, *known, "offline", "pooled")[0], 1.0),
        "LiRA offline: AUC": (auc_value(offline, of_many), w.offline_auc(32)),
    }


def _exposures():
    canaries, references = w.canaries()
    found, descending = attacks.exposure(canaries, references), np.sort(canaries)[::-1]
    return {
        "exposure by rank": (attacks.exposure(descending, references), w.exposures(descending, references)),
        "exposure by skew-normal": (attacks.exposure(w.FAR, references, "skew_normal"), w.skew_normal_bits(w.FAR)),
        "exposure, one by one": (found, w.exposures(canaries, references)),
    }


def _where_tf_privacy_differs():
    noisy, confident = [w.joined(*sides) for sides in w.noise()], w.answers(12, np.float32)[:2]
    parts = attacks.slices.by_percentile(-w.scores()[0])
    ppvs = [attacks.ppv(attacks.RocCurve.from_scores(*one), 0.0) for one in noisy]
    return {
        "scaled logit of (120, 0)": (_signal("scaled_logit", np.array([[120.0, 0.0]]), np.array([0]))[0], 120.0),
        "distinct losses, float32": (len(set(_signal("loss", *confident))), w.distinct_losses(*confident)),
        "records in tenths of loss": (sum(part.rows.sum() for part in parts), 180),
        "PPV on noise": (np.mean(ppvs), 0.5),
        "ε above 0 on noise": (np.mean([attacks.epsilon_lower_bound(*one) > 0 for one in noisy]), 0.0),
    }


def beside_jax_privacy():
    values, is_member = w.scores()
    roc, backwards = (attacks.RocCurve.from_scores(sign * values, is_member) for sign in (1, -1))
    noisy = [w.joined(*sides) for sides in w.noise()]
    members, nonmembers = w.sides(*w.scores(gain=2.5))
    wrong = np.sum(members < w.THRESHOLD), np.sum(nonmembers >= w.THRESHOLD)
    rates = [clopper_pearson_high(int(count), n, w.ALPHA / 2) for count, n in zip(wrong, (100, 80), strict=True)]
    level = 1 - w.ALPHA
    gdp = [attacks.epsilon_lower_bound(*one, 1e-5, method="gdp") > 0 for one in noisy]
    return {
        "advantage": advantage(roc),
        "ε of a fixed threshold": [epsilon_of_rates(*rates, delta) for delta in (0.0, 0.01)],
        "ε of one run": [epsilon_of_guesses(*counts, delta, level) for *counts, delta in w.GUESSES],
        "ε of one run, f-DP": [gaussian_epsilon(mu_of_guesses(*counts, level), delta) for *counts, delta in w.GUESSES],
        "AUC": (auc(roc), w.pairs(values, is_member)),
        "AUC of reversed scores": (auc(backwards), w.pairs(-values, is_member)),
        "AUC on noise": (np.mean([auc_value(*one) for one in noisy]), 0.5),
        "TPR at FPR .22": (tpr_at_fpr(roc, 0.22), w.best_tpr(values, is_member, 0.22)),
        "ε by GDP above 0 on noise": (np.mean(gdp), 0.0),
    }


def beside_privacy_meter():
    own, others = w.losses_of_references()
    rank = attacks.attack_r_scores(-own, -others, np.zeros(others.shape, bool))
    target, is_member, *known = w.shadows(2 * w.MODELS)
    by_r, by_p = attacks.attack_r_scores(target, *known), attacks.attack_p_scores(target, w.population())
    return {
        "attack R at its own levels": _accused(rank, w.MODELS),
        "attack P at its own levels": _accused(by_p, w.POPULATION)[::10],
        "attack R: AUC": (auc_value(by_r, is_member), w.pairs(by_r, is_member)),
        "attack P: AUC": (auc_value(by_p, is_member), w.pairs(target, is_member)),
        "attack R, FPR at 1 %": (np.mean(1 - rank < 0.01), 0.01),
    }


def beside_restated():
    target, is_member, *known = w.shadows(8, 1_000)
    narrow, of_narrow, *of_others = w.shadows(64, 1_000, w.NARROW)
    many, of_many, *of_many_others = w.shadows(32, 6_000)
    roc, (truth, given) = attacks.RocCurve.from_scores(*w.scores(9)), w.probabilities()
    shown = [array[..., :20] for array in (target, *known)]

    def percentiles(mode, a=0.3):
        return attacks.rmia_scores(*given, mode=mode, a=a, form="percentile")

    online, pooled = attacks.lira_scores(target, *known), attacks.lira_scores(narrow, *of_others, variance="pooled")
    offline, entropies = (
        attacks.lira_scores(many, *of_many_others, "offline"),
        _signal("modified_entropy", *w.answers()[:2]),
    )
    ideal = w.lira_ideal(narrow, *of_others)
    return {
        "LiRA online, its formula": attacks.lira_scores(*shown, variance="per_record"),
        "RMIA offline, its formula": [percentiles("offline", a)[:10] for a in (0, 0.3, 1)],
        "RMIA online, its formula": [percentiles("online", a)[:10] for a in (0, 0.3, 1)],
        "RMIA of non-members": (percentiles("offline")[~truth].mean(), 0.5),
        "LiRA online, 8 models: AUC": (auc_value(online, is_member), special.ndtr(0.5**0.5)),
        "LiRA online, narrow IN: AUC": (auc_value(pooled, of_narrow), w.pairs(ideal, of_narrow)),
        "LiRA offline: AUC": (auc_value(offline, of_many), w.offline_auc(32)),
        "TPR at FPR .2": (tpr_at_fpr(roc, 0.2), w.best_tpr(*w.scores(9), 0.2)),
        "modified entropies": (entropies[:20], w.modified_entropies(*w.answers()[:2])[:20]),
    }


def _signal(name, logits, labels):
    return attacks.signals_from_arrays(labels, logits=logits)[name][:, 0]


def _accused(ranks, others):
    """By level k/(others − 1), 0 < k < others − 1: how many have at most k of the others above them."""
    return [int(np.sum(ranks * (others + 1) > others - k)) for k in range(1, others - 1)]


OURS = {
    "scikit-learn": beside_sklearn,
    "TF Privacy": beside_tf_privacy,
    "jax_privacy": beside_jax_privacy,
    "Privacy Meter": beside_privacy_meter,
    RESTATED: beside_restated,
}


def golden(rival):
    """The file with a rival's figures."""
    return GOLDENS / f"{rival.lower().replace(' ', '_').replace('-', '_')}.json"


def theirs(rival, folder=None, write=False):
    """{row: figure} of a rival: fresh where it is at hand, else its golden."""
    if rival == RESTATED:
        return w.restated()
    folder = sysconfig.get_path("purelib") if rival == "scikit-learn" else str(folder)
    search = {"PYTHONPATH": os.pathsep.join([folder, str(ROOT / "tests")])}
    task = [sys.executable, str(GOLDENS / "parity_rivals.py"), rival, folder]
    found = json.loads(subprocess.run(task, env=os.environ | search, check=True, capture_output=True).stdout)
    if not found:
        print(f"{rival}: not in the folder {folder}, so its golden is shown. See --rivals.", file=sys.stderr)
        return json.loads(golden(rival).read_text())["outputs"]
    if write:
        born = {"date": str(datetime.date.today()), "command": COMMAND, "inputs": "parity_worlds.py"}
        golden(rival).write_text(json.dumps(born | found, ensure_ascii=False) + "\n")
    return found["outputs"]


def table(figures):
    """Markdown, a line a row, from {rival: {row: theirs}}."""
    lines = ["| beside | what | ours | theirs | truth |", "|---|---|---|---|---|"]
    for rival, rows in OURS.items():
        for row, found in rows().items():
            other = np.asarray(figures[rival][row], float)
            if isinstance(found, tuple):
                shown = [_shown(value) for value in (found[0], other, found[1])]
            else:
                gap = np.max(np.abs(np.asarray(found, float) - other))
                agree = "equal" if gap < 1e-9 else f"within {10 ** np.ceil(np.log10(gap)):.0e}"
                shown = [f"{other.size} number{'s' * (other.size > 1)}", agree, ""]
            lines.append(f"| {rival} | {row} | {' | '.join(shown)} |")
    return "\n".join(lines)


def _shown(value):
    values = np.atleast_1d(np.asarray(value, float))
    return ", ".join(f"{one:.4g}" for one in values[:3]) + " …" * (values.size > 3)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rivals", type=Path, help="the site-packages folder that has them")
    parser.add_argument("--write", action="store_true", help="write goldens and the table of docs/parity.md")
    asked = parser.parse_args()
    made = table({rival: theirs(rival, asked.rivals, asked.write) for rival in OURS})
    print(made)
    if asked.write:
        before, _, after = PAGE.read_text().partition("<!-- table -->")
        PAGE.write_text(f"{before}<!-- table -->\n{made}\n<!-- end -->{after.partition('<!-- end -->')[2]}")


if __name__ == "__main__":
    main()

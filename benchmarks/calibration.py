"""How often intervals hold the truth, and how often null levels, p-values, slices and verdicts raise a false alarm.

`python benchmarks/calibration.py` prints the tables of `docs/calibration.md`; `--thin` runs a slice of seconds. Every cell is a
number of worlds with seeds of their own, drawn afresh. A 95 % interval should hold the truth in 94 % of worlds at least, an
asymptotic one in 96.5 % at most; a false alarm should come in at most 5 %. What is surely outside (by 2.33 standard errors of
the simulation, 1 %) is marked with `!`. The bounds on ε are studied by `benchmarks/epsilon.py`, unlearning by `tests/attacks`.
"""

import argparse
from collections import defaultdict
from dataclasses import replace
from functools import partial

import numpy as np
from calibration_worlds import LAWS, NORMAL, Law
from scipy import special

from privacy_callbacks.attacks import (
    AttackContext,
    LeakageReport,
    Signals,
    Threshold,
    Trained,
    cross_fitted,
    lira_scores,
    rmia_scores,
    sliced_reports,
)
from privacy_callbacks.attacks.p_value import p_value
from privacy_callbacks.attacks.roc import RocCurve
from privacy_callbacks.attacks.slices import by_class
from privacy_callbacks.attacks.verdict import leak_verdict
from privacy_callbacks.attacks.youden import _best_threshold
from privacy_callbacks.range_queries import Point, RaMIA

SIDES = ((50, 50), (200, 200), (1_000, 1_000), (1_000, 250), (250, 1_000), (10_000, 10_000))
LARGE, LAWS_AT_LARGE = (50_000, 50_000), ("null", "weak", "weak, ties")
LEAST, MOST, ERROR, SURELY = 0.94, 0.965, 0.05, 2.33
ASYMPTOTIC = {"AUC"}


class Tally:
    """Yes or no by name, over worlds; a world in which a question is refused does not count."""

    def __init__(self):
        self.found, self.widths = defaultdict(list), defaultdict(list)

    def covers(self, name, estimate, truth):
        if estimate is not None:
            self.found[name].append(estimate.low <= truth <= estimate.high)
            self.widths[name].append(estimate.high - estimate.low)

    def alarms(self, name, alarm):
        self.found[name].append(bool(alarm))

    def rows(self):
        """(name, share, standard error, mean width or NaN, surely outside of its limits?)."""
        for name, answers in self.found.items():
            share, worlds = float(np.mean(answers)), len(answers)
            error = np.sqrt(max(share * (1 - share), 0.25 / worlds) / worlds)
            if name in self.widths:
                low, high = LEAST, MOST if name in ASYMPTOTIC else 1.0
            else:
                low, high = 0.0, 1.0 if name.startswith("(") else ERROR
            outside = share + SURELY * error < low or share - SURELY * error > high
            yield name, share, error, float(np.mean(self.widths.get(name, np.nan))), outside


def threshold_worlds(law, members, nonmembers, worlds):
    """All that a report says of scores, against the closed form."""
    tally = Tally()
    for seed in range(worlds):
        scores, is_member = law.draw(members, nonmembers, np.random.default_rng([seed, members]))
        report = LeakageReport.from_scores(scores, is_member, seed=seed)
        tally.covers("AUC", report.auc, law.auc)
        for fpr, estimate in report.tpr_at_fpr.items():
            tally.covers(f"TPR at {100 * fpr:g} %", estimate, law.tpr_at(fpr))
        tally.covers("Youden's J", report.youden_j, np.mean([law.j_of(t) for t in learned(scores, is_member, seed)]))
        if law.gain == 0:
            tally.alarms("advantage above its null level", report.advantage > report.advantage.null_level)
            information = report.mutual_information
            tally.alarms("information above its null level", information > information.null_level)
            tally.alarms("p ≤ .05", report.p_value <= ERROR)
    return tally


def learned(scores, is_member, seed):
    """The two thresholds that Youden's J is of: what it covers is the J of these, not of the best."""
    rng = np.random.default_rng(seed)
    members = np.array_split(rng.permutation(scores[is_member]), 2)
    nonmembers = np.array_split(rng.permutation(scores[~is_member]), 2)
    return [_best_threshold(members[half], nonmembers[half]) for half in (0, 1)]


def sliced_worlds(worlds, slices=10, side=400):
    """Ten leak-free slices of one audit: is any interval, level or corrected p-value wrong?"""
    tally = Tally()
    for seed in range(worlds):
        rng = np.random.default_rng([seed, 10])
        scores, is_member = rng.normal(size=2 * side), np.arange(2 * side) < side
        reports = sliced_reports(scores, is_member, by_class(rng.integers(0, slices, 2 * side)), seed=seed)
        tally.alarms("any AUC interval misses ½", any(not r.auc.low <= 0.5 <= r.auc.high for r in reports))
        tally.alarms("any advantage above its null level", any(r.advantage > r.advantage.null_level for r in reports))
        tally.alarms("any p ≤ .05 after Holm", any(r.holm_p_value <= ERROR for r in reports))
    return tally


def looked_at_again_and_again(worlds, looks=100, attacks=3, side=200, memory=0.9):
    """The verdict over a leak-free training: scores of a look resemble those of the last, those of attacks each other."""
    tally, some = (
        Tally(),
        LeakageReport.from_scores(np.arange(4), np.arange(4) % 2),
    )  # of which the verdict reads p alone
    for seed in range(worlds):
        rng, is_member = np.random.default_rng([seed, 11]), np.arange(2 * side) < side
        own, reports = rng.normal(size=2 * side), []
        for look in range(looks):
            own = memory * own + np.sqrt(1 - memory**2) * rng.normal(size=2 * side)
            for attack in range(attacks):
                p = p_value(RocCurve.from_scores(own + 0.5 * rng.normal(size=2 * side), is_member))
                reports.append(replace(some, attack=f"attack_{attack}", step=look, p_value=p))
        verdict = leak_verdict(reports)
        assert (verdict.looks, verdict.attacks) == (looks, attacks)
        tally.alarms(f"verdict of {looks} looks, {attacks} attacks", verdict)
        tally.alarms(
            f"(any of them with p ≤ .05: {looks * attacks} tests taken one by one)",
            min(r.p_value for r in reports) <= ERROR,
        )
    return tally


def trained_worlds(gain, side, worlds):
    """A classifier learns from one half of the records and judges the other, in turn; of one signal, so that its AUC is known."""
    law, tally = Law("", NORMAL, gain), Tally()
    for seed in range(worlds):
        scores, is_member = law.draw(side, side, np.random.default_rng([seed, 12]))
        found = cross_fitted(
            Trained("logistic_regression", features=("loss",)), Signals({"loss": scores[:, None]}), is_member, seed
        )
        report = LeakageReport.from_scores(found.values, is_member, seed=seed, folds=found.fold)
        if gain == 0:  # with a leak a classifier may learn the wrong direction, and its AUC is not the signal's
            tally.alarms("p ≤ .05", report.p_value <= ERROR)
        tally.covers("AUC of halves, each judged by the other", report.auc, law.auc)
    return tally


def shadow_worlds(gain, side, worlds, models=16, hardness=1.0):
    """LiRA and RMIA with fresh shadow models in every world; with a leak the truth is the mean over the worlds."""
    is_member = np.arange(2 * side) < side
    reports = defaultdict(list)
    for seed in range(worlds):
        rng = np.random.default_rng([seed, 13])
        halves = rng.random((models // 2, 2 * side)) < 0.5
        trained_on = np.stack([halves, ~halves], axis=1).reshape(models, -1)
        own = hardness * rng.normal(size=2 * side)
        shadow = own + gain * trained_on + rng.normal(size=trained_on.shape)
        target = own + gain * is_member + rng.normal(size=2 * side)
        log_p = special.log_expit(target), special.log_expit(shadow)
        found = {
            "LiRA online": lira_scores(target, shadow, trained_on),
            "LiRA offline": lira_scores(target, shadow, trained_on, mode="offline"),
            "RMIA": rmia_scores(*log_p, trained_on),
        }
        for name, scores in found.items():
            reports[name].append(LeakageReport.from_scores(scores, is_member, seed=seed))
    return of_reports(reports, gain)


def ranged_worlds(gain, side, worlds, points=4):
    """RaMIA: the mean of four points of a range, whose AUC has a closed form."""
    law = Law("", NORMAL, gain / np.sqrt(1 + 1 / points))
    attack, is_member, reports = (
        RaMIA(Threshold("scaled_logit"), Point(), points),
        np.arange(2 * side) < side,
        defaultdict(list),
    )
    for seed in range(worlds):
        rng = np.random.default_rng([seed, 14])
        target = rng.normal(size=(2 * side, 1)) + gain * is_member[:, None] + rng.normal(size=(2 * side, points))
        scores = attack.fit(AttackContext(seed=seed)).score(Signals({"scaled_logit": target}))
        reports["RaMIA"].append(LeakageReport.from_scores(scores, is_member, seed=seed))
    return of_reports(reports, gain, law.auc)


def of_reports(reports, gain, truth=None):
    tally = Tally()
    for name, found in reports.items():
        ASYMPTOTIC.add(f"AUC of {name}")
        known = 0.5 if gain == 0 else (np.mean([report.auc for report in found]) if truth is None else truth)
        for report in found:
            tally.covers(f"AUC of {name}", report.auc, known)
            if gain == 0:
                tally.alarms(f"p ≤ .05, {name}", report.p_value <= ERROR)
    return tally


def tell(world, tally):
    """Prints the rows of one world, and returns those that are outside."""
    outside = []
    for name, share, error, width, wrong in tally.rows():
        kind = f"covers {share:.3f}" if np.isfinite(width) else f"alarms {share:.3f}"
        wide = "" if np.isnan(width) else f"  width {width:.3f}"
        print(f"{world:42s} {name:62s} {kind} ± {1.96 * error:.3f}{wide}{'  !' if wrong else ''}", flush=True)
        outside += [(world, name, share)] if wrong else []
    return outside


def studies(thin, worlds=None):
    """(what is simulated, a function that does it and gives its tally), one after the other."""
    worlds = worlds or (200 if thin else 2_000)
    for law in LAWS:
        sizes = (*SIDES, LARGE) if law.name in LAWS_AT_LARGE else SIDES
        for sides in SIDES[:3] if thin else sizes:
            yield f"{law.name}, {sides[0]:,} + {sides[1]:,}", partial(threshold_worlds, law, *sides, worlds)
    yield "10 slices of 400 + 400", partial(sliced_worlds, worlds)
    looked_at = (worlds // 2, 20) if thin else (worlds, 100)
    yield "looks at 200 + 200, leak-free", partial(looked_at_again_and_again, *looked_at)
    for gain, side in ((0.0, 200), (0.0, 1_000), (0.5, 1_000)):
        yield f"trained, gain {gain}, {side:,} a side", partial(trained_worlds, gain, side, worlds)
    for gain, side in ((0.0, 50), (0.0, 200), (0.5, 200), (2.0, 200)):
        yield f"shadow models, gain {gain}, {side:,} a side", partial(shadow_worlds, gain, side, worlds)
        yield f"ranges, gain {gain}, {side:,} a side", partial(ranged_worlds, gain, side, worlds)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--thin", action="store_true", help="a slice of seconds: fewer worlds, smaller sizes")
    parser.add_argument("--only", default="", help="what a study's name begins with, such as 'null, 1,000 + 1,000'")
    parser.add_argument("--worlds", type=int, default=None, help="how many worlds a cell")
    options = parser.parse_args()
    chosen = [study for study in studies(options.thin, options.worlds) if study[0].startswith(options.only)]
    marked = [row for name, simulated in chosen for row in tell(name, simulated())]
    print(f"\n{len(marked)} marked")

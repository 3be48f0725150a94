"""P-values hold their level, Holm's procedure and the spending of α hold theirs, and a verdict says what it means."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from scipy import special, stats

from privacy_callbacks.attacks import LeakageReport, RocCurve, leak_verdict
from privacy_callbacks.attacks.p_value import p_value
from privacy_callbacks.attacks.report import failed_report
from privacy_callbacks.attacks.verdict import holm

RNG = np.random.default_rng(0)


def of(scores, members):
    return p_value(RocCurve.from_scores(scores, np.arange(len(scores)) < members))


def naive(scores, members):
    """Every way to choose the members, counted."""
    ranks = stats.rankdata(scores)
    found = ranks[:members].sum()
    sums = [sum(ranks[list(chosen)]) for chosen in itertools.combinations(range(len(scores)), members)]
    return np.mean(np.array(sums) >= found - 1e-9)


@pytest.mark.parametrize("values", [1, 2, 3, 100])
@pytest.mark.parametrize(("members", "total"), [(1, 2), (3, 9), (6, 12), (10, 13)])
def test_small_audits_are_counted_exactly(values, members, total):
    for seed in range(5):
        scores = np.random.default_rng(seed).integers(0, values, total).astype(float)
        assert of(scores, members) == pytest.approx(naive(scores, members), abs=1e-9)


def test_few_records_outside_of_a_tie_are_counted_exactly():
    """Five of a hundred stand out, all of them members: 50·49·48·47·46 / (100·99·98·97·96)."""
    scores = np.zeros(100)
    scores[:5] = [3, 1, 2, 2, 5]
    expected = np.prod(np.arange(46, 51) / np.arange(96, 101))
    assert of(scores, 50) == pytest.approx(expected, rel=1e-9)


def test_large_audits_agree_with_the_textbook():
    scores = RNG.normal(size=1_000) + 0.1 * (np.arange(1_000) < 400)
    expected = stats.mannwhitneyu(scores[:400], scores[400:], alternative="greater", method="asymptotic").pvalue
    assert of(scores, 400) == pytest.approx(expected, rel=1e-6)
    tied = np.round(scores)
    expected = stats.mannwhitneyu(
        tied[:400], tied[400:], alternative="greater", method="asymptotic", use_continuity=False
    )
    assert of(tied, 400) == pytest.approx(expected.pvalue, rel=0.15)  # our continuity is a step of the ties, not of 1/2


def test_all_scores_equal_say_nothing():
    assert of(np.ones(60), 30) == 1.0


def test_infinite_scores_are_ordinary_extremes():
    scores = np.array([np.inf, np.inf, 1, 0, -np.inf, -np.inf])
    assert of(scores, 2) == pytest.approx(1 / 15)
    assert of(-scores, 2) == pytest.approx(1.0)


@pytest.mark.parametrize("kind", ["continuous", "binary", "few stand out", "five values"])
@pytest.mark.parametrize(
    ("members", "nonmembers"),
    [pytest.param(40, 40, marks=pytest.mark.slow), (10, 300), pytest.param(400, 400, marks=pytest.mark.slow)],
)
def test_a_p_value_is_at_most_its_level_as_often_as_it_says(kind, members, nonmembers):
    total, rng, runs = members + nonmembers, np.random.default_rng(1), 2_000
    place = np.arange(total)
    scores = {
        "continuous": place,
        "binary": place < total // 3,
        "few stand out": np.where(place < 18, place + 1, 0),
        "five values": place % 5,
    }[kind].astype(float)
    found = np.array([of(scores[rng.permutation(total)], members) for _ in range(runs)])
    for level in (0.05, 0.01):
        # The upper 99.9 % point of a binomial at the level (and a tenth of the level for the approximation).
        assert np.sum(found <= level) <= stats.binom.ppf(0.999, runs, 1.1 * level)


def test_holm_is_the_step_down_procedure():
    assert holm([0.01, 0.04, 0.03], 0.05) == [True, False, False]
    assert holm([0.01, 0.04, 0.02], 0.05) == [True, True, True]
    assert holm([0.04, 0.9], 0.05) == [False, False]
    assert holm([], 0.05) == []


def reports(step, leak, attacks=("loss", "entropy"), seed=0, size=200):
    rng = np.random.default_rng([seed, step + 1])
    truth = np.arange(2 * size) < size
    return [
        LeakageReport.from_scores(rng.normal(size=2 * size) + leak * truth, truth, name, step=step) for name in attacks
    ]


def test_the_first_epoch_of_a_leak_is_named_and_stays():
    course = [report for step in range(6) for report in reports(step, leak=1.0 * (step in (2, 3)))]
    verdict = leak_verdict(course)
    assert bool(verdict)
    assert dict(verdict.detected) == {"loss": 2, "entropy": 2}
    assert str(verdict) == (
        "leak detected: loss from epoch 3 on, entropy from epoch 3 on (error 5 % over 6 audits by 2 attacks)"
    )


def test_an_audit_after_the_fact_is_one_look():
    outside = [replace(report, step=None) for report in reports(0, leak=1.0)]
    assert str(leak_verdict(outside)) == "leak detected: loss, entropy (error 5 % over 1 audit by 2 attacks)"


def test_without_an_audit_nothing_is_judged():
    assert str(leak_verdict(reports(-1, leak=3.0))) == "leak not judged: no audit of trained weights has succeeded"


def test_what_is_no_look_at_training_is_left_out():
    verdict = leak_verdict([*reports(-1, leak=3.0), *reports(0, 0.0)])
    assert (bool(verdict), verdict.looks, verdict.attacks) == (False, 1, 2)
    assert "no leak detected (error 5 % over 1 audit by 2 attacks)" in str(verdict)
    assert "no proof" in str(verdict)


def test_a_void_experiment_detects_nothing():
    void = [replace(report, void="the sides differ.") for report in reports(0, 3.0)]
    verdict = leak_verdict(void)
    assert not verdict
    assert str(verdict) == "leak not judged: the sides differ."


def test_a_failed_attack_counts_among_those_that_could_have_alarmed():
    (report,) = reports(0, 0.25, attacks=("loss",), seed=3)
    level = report.p_value * 1.5 / 6 * np.pi**2  # enough for one attack, not for two
    assert leak_verdict([report], level)
    assert not leak_verdict([report, failed_report("lira", "no shadow models", step=0)], level)


def test_audits_that_all_failed_judge_nothing():
    verdict = leak_verdict([failed_report("loss", "no", step=step) for step in range(3)])
    assert str(verdict) == "leak not judged: no audit of trained weights has succeeded"


SKEWED = [([4, 218, 5, 21], 22), ([3, 246, 34, 2], 15), ([2, 371, 9, 31], 11), ([3, 746, 9, 3], 380)]


@pytest.mark.parametrize(("groups", "members"), SKEWED)
def test_skewed_ties_are_counted_over_all_ways_to_deal_members(groups, members):
    """The whole distribution of the p-value, by all numbers of members at each score: it is at most its level as often."""
    total, levels = sum(groups), np.array([0.05, 0.01, 1e-3, 1e-4, 1e-5])
    at_most = np.zeros(len(levels))
    for hits in itertools.product(*[range(min(size, members) + 1) for size in (groups[0], groups[2], groups[3])]):
        dealt = np.array([hits[0], members - sum(hits), hits[1], hits[2]])
        if not 0 <= dealt[1] <= groups[1]:
            continue
        chance = np.exp(
            sum(log_choose(size, k) for size, k in zip(groups, dealt, strict=True)) - log_choose(total, members)
        )
        curve = RocCurve(np.arange(5.0), np.append(0, np.cumsum(dealt)), np.append(0, np.cumsum(groups - dealt)))
        at_most += chance * (p_value(curve) <= levels * (1 + 1e-9))
    assert (at_most <= levels * 1.0001).all()


def log_choose(among, taken):
    return special.gammaln(among + 1) - special.gammaln(taken + 1) - special.gammaln(among - taken + 1)


@pytest.mark.parametrize(("members", "stand_out"), [(1, 300), (2, 300), (3_998, 300), (3_999, 300)])
def test_one_or_two_members_among_those_that_stand_out_are_counted(members, stand_out):
    """Drawn 3,000 times: the p-values' share below a level is that level, binomial 99.9 % allowed."""
    total, rng = 4_000, np.random.default_rng(0)
    scores = np.where(np.arange(total) < stand_out, np.arange(total) ** 3, -1.0)
    found = np.array([of(scores[rng.permutation(total)], members) for _ in range(3_000)])
    for level in (0.05, 0.01):
        assert np.sum(found <= level) <= stats.binom.ppf(0.999, 3_000, level)


def test_an_epoch_audited_twice_is_two_looks():
    assert leak_verdict([*reports(4, 0.0), *reports(4, 0.0)]).looks == 2


def test_later_looks_must_be_surer():
    """The t-th look has 6α/(π²t²): the sum over all t is α."""
    looks = np.arange(1, 100_000)
    assert np.sum(6 * 0.05 / (np.pi * looks) ** 2) == pytest.approx(0.05, rel=1e-4)
    (leak,) = reports(0, 0.3, attacks=("loss",), seed=1)
    alpha = leak.p_value * 1.01 * np.pi**2 / 6
    dull = [report for step in range(3) for report in reports(step, 0.0, attacks=("loss",), seed=11)]
    assert leak_verdict([leak], alpha)
    assert not leak_verdict([*dull, replace(leak, step=3)], alpha)


@pytest.mark.parametrize("alpha", [0, 1, -1, float("nan")])
def test_alpha_must_be_an_error(alpha):
    with pytest.raises(ValueError, match="alpha is"):
        leak_verdict([], alpha)


@pytest.mark.slow
def test_without_leak_a_whole_training_is_accused_in_at_most_alpha_of_cases():
    """300 trainings of 15 audits by 3 attacks whose scores move little from epoch to epoch, as a model's do."""
    truth, accused = np.arange(120) < 60, 0
    for seed in range(300):
        rng = np.random.default_rng(seed)
        scores, course = rng.normal(size=(3, 120)), []
        for step in range(15):
            scores = 0.9 * scores + 0.44 * rng.normal(size=scores.shape)
            course += [
                LeakageReport(attack=str(k), step=step, p_value=p_value(RocCurve.from_scores(one, truth)))
                for k, one in enumerate(scores)
            ]
        accused += bool(leak_verdict(course))
    assert accused <= stats.binom.ppf(0.999, 300, 0.05)


def test_slices_are_further_chances_to_be_wrong_and_are_counted_apart():
    rng = np.random.default_rng(0)
    is_member = np.arange(400) < 200
    whole = [
        LeakageReport.from_scores(rng.normal(size=400) + gain * is_member, is_member, name)
        for name, gain in (("a", 2.0), ("b", 0.0))
    ]
    parts = [
        LeakageReport.from_scores(rng.normal(size=400), is_member, name, slice=part)
        for name in "ab"
        for part in ("class 0", "class 1", "class 2")
    ]
    verdict = leak_verdict([*whole, *parts])
    assert dict(verdict.detected) == {"a": None}
    assert (verdict.attacks, verdict.slices) == (2, 3)
    assert "by 2 attacks on all records and 3 slices" in str(verdict)

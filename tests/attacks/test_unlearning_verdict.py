"""The word fits the world, nothing is said where nothing was seen, and every claim has its number."""

import re

import numpy as np
import pytest
from unlearning_worlds import WORLDS, UnlearningWorld

from privacy_callbacks.attacks.estimate import Estimate
from privacy_callbacks.attacks.unlearning_outcome import unlearning_report
from privacy_callbacks.attacks.unlearning_verdict import VERDICTS, judge_forgetting

SEEING = Estimate(0.9, 0.88, 0.92), Estimate(0.6, 0.55, 0.65)
TEST = (np.arange(1_000) + 0.5) / 1_000


def judged(forget, attacker_auc=SEEING[0], attacker_gap=SEEING[1], margin=0.1, test=TEST):
    return judge_forgetting(np.asarray(forget, float), test, attacker_auc, attacker_gap, margin)


def verdicts(world, records, runs, level=0.95):
    found = []
    for seed in range(runs):
        sides = world.draw(records, records, records, np.random.default_rng([seed, records]))
        found.append(unlearning_report(*sides, level, seed).verdict)
    return np.array(found)


@pytest.mark.parametrize(("world", "verdict"), WORLDS.values(), ids=WORLDS.keys())
def test_a_clear_world_has_its_verdict(world, verdict):
    assert unlearning_report(*world.draw(3_000, 3_000, 3_000, np.random.default_rng(0))).verdict == verdict


def test_a_forget_set_equal_to_test_is_forgotten_and_the_reason_gives_interval_and_limit():
    found = judged(TEST)
    assert found.name == "forgotten"
    assert "0.500 [0.475, 0.525]" in found.reason
    assert "0.500 ± 0.095" in found.reason  # a quarter of 0.88 − 0.5


def test_the_limit_shrinks_with_what_the_attacker_can_see():
    """An attacker of AUC .55 finds an AUC of .54 within the margin of .1, though next to nothing was forgotten."""
    weak = Estimate(0.55, 0.54, 0.56), Estimate(0.08, 0.06, 0.10)
    forget = TEST**0.85  # P(U^a > V) = 1 / (1 + a) = .54
    assert judged(forget).name == "forgotten"
    assert judged(forget, *weak).name == "residual"
    assert judged(TEST, *weak).name == "inconclusive"


def test_a_smaller_margin_asks_for_more_records():
    assert judged(TEST, margin=0.03).name == "forgotten"
    found = judged(TEST, margin=0.02)
    assert found.name == "inconclusive"
    assert "within 0.500 ± 0.020" in found.reason


@pytest.mark.parametrize(
    ("attacker_auc", "attacker_gap"),
    [
        (Estimate(0.51, 0.49, 0.53), SEEING[1]),
        (SEEING[0], Estimate(0.05, -0.01, 0.11)),
        (Estimate(0.5, 0.5, 0.6), SEEING[1]),
    ],
)
def test_a_blind_attacker_proves_nothing(attacker_auc, attacker_gap):
    for forget in (TEST, TEST + 0.5, TEST - 0.5):
        found = judged(forget, attacker_auc, attacker_gap)
        assert found.name == "inconclusive"
        assert "cannot tell retained records from records that were never seen" in found.reason
    assert "differ all the same" in judged(TEST + 0.5, attacker_auc, attacker_gap).warnings[0]
    assert judged(TEST, attacker_auc, attacker_gap).warnings == ()


def test_scores_of_the_wrong_sign_are_named_as_such():
    found = judged(TEST, Estimate(0.1, 0.08, 0.12), Estimate(-0.1, -0.2, 0.0))
    assert found.name == "inconclusive"
    assert "turn the sign" in found.reason


def test_too_few_records_say_how_many_would_do():
    """The number asked for reaches "forgotten" in about 95 % of audits; a third of it does not."""
    world = WORLDS["perfect"][0]
    few = unlearning_report(*world.draw(60, 60, 60, np.random.default_rng(0)))
    assert few.verdict == "inconclusive"
    needed = int(re.search(r"About ([\d,]+) forget", few.reason)[1].replace(",", ""))
    assert 400 < needed < 1_500
    large = unlearning_report(*world.draw(3_000, 700, 700, np.random.default_rng(1)))
    assert large.verdict == "forgotten"


def test_remembered_records_are_not_hidden_by_others_that_were_pushed_below():
    """AUC ½ on average: half of the records far above every test record, half far below."""
    found = judged(np.concatenate([TEST[::2] + 2, TEST[::2] - 2]))
    assert found.name == "residual"
    assert "500 of 1,000 forget records score above every one of 1,000 test records" in found.reason


def test_equal_averages_with_another_spread_are_not_forgotten():
    wide = np.concatenate([np.linspace(0, 0.2, 500), np.linspace(0.8, 0.999, 500)])
    found = judged(wide)
    assert (found.name, "more widely" in found.reason) == ("inconclusive", True)
    found = judged(np.full(1_000, 0.5))  # all forget records get one answer
    assert (found.name, "less widely" in found.reason) == ("inconclusive", True)


def test_a_few_that_stand_out_are_a_matter_of_chance_up_to_nine():
    """Of sets of equal size, the k highest scores all belong to one with probability about 2⁻ᵏ: a thousandth at ten."""
    for count, verdict in ((9, "forgotten"), (10, "residual")):
        forget = TEST.copy()
        forget[-count:] = 2.0
        assert judged(forget).name == verdict


def test_an_over_forgotten_set_with_remembered_records_says_both():
    forget = TEST - 0.5
    forget[:20] = 2.0
    found = judged(forget)
    assert found.name == "over-forgotten"
    assert "20 of 1,000 forget records" in found.warnings[0]


def test_more_member_like_than_retained_is_doubted():
    found = judged(TEST + 0.9)
    assert found.name == "residual"
    assert "may not have been drawn from the same pool" in found.warnings[0]


def test_a_residual_is_given_as_a_share_of_what_can_be_seen():
    found = judged(TEST + 0.2)  # uniform scores shifted by d: AUC = 1 − (1 − d)²/2 = .68, of .9
    assert "About 45 % of what the attacker sees" in found.reason


def test_infinite_and_tied_scores_are_judged():
    assert judged(np.full(1_000, np.inf)).name == "residual"
    assert judged(np.full(1_000, -np.inf)).name == "over-forgotten"
    coarse = np.repeat([0.0, 1.0], 500)
    assert judged(coarse, test=coarse).name == "forgotten"
    assert judged(np.zeros(1_000), test=np.zeros(1_000)).name in VERDICTS


@pytest.mark.slow
@pytest.mark.parametrize("name", WORLDS)
def test_the_verdict_is_right_in_95_percent_of_300_runs_at_1000_records_a_side(name):
    world, verdict = WORLDS[name]
    assert np.mean(verdicts(world, 1_000, 300) == verdict) >= 0.95


@pytest.mark.slow
@pytest.mark.parametrize("name", WORLDS)
def test_at_100_records_a_side_at_most_5_percent_of_300_runs_claim_something_wrong(name):
    world, verdict = WORLDS[name]
    found = verdicts(world, 100, 300)
    assert np.mean((found != verdict) & (found != "inconclusive")) <= 0.05


@pytest.mark.slow
@pytest.mark.parametrize("records", [100, 1_000])
@pytest.mark.parametrize("shift", [0.0, 1.0, -1.0])
def test_a_blind_attacker_s_verdict_is_inconclusive_in_95_percent_of_300_runs(shift, records):
    assert np.mean(verdicts(UnlearningWorld(gain=0.0, shift=shift), records, 300) == "inconclusive") >= 0.95


@pytest.mark.slow
@pytest.mark.parametrize("gain", [0.3, 1.0, 3.0])
@pytest.mark.parametrize("records", [100, 2_000])
def test_a_forget_set_that_keeps_half_is_called_forgotten_in_at_most_5_percent_of_300_runs(gain, records):
    found = verdicts(UnlearningWorld(gain=gain, remembered=0.5), records, 300)
    assert np.mean((found == "forgotten") | (found == "over-forgotten")) <= 0.05

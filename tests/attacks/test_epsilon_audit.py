"""What is a bound, what is an estimate, and when a claim is contradicted."""

import json
import math

import numpy as np
import pytest

from privacy_callbacks.attacks import (
    EpsilonAudit,
    EpsilonBound,
    EpsilonReading,
    Estimate,
    LeakageReport,
    LiRA,
    PrivacyClaim,
    Threshold,
    Trained,
)
from privacy_callbacks.range_queries import LpBall, RaMIA


def bound(value, delta=1e-5, **described):
    return EpsilonBound(value, method="one_run", delta=delta, level=0.95, **described)


EXPOSED = Estimate(2.5, 2.0, 3.0, null_level=1.6, details={"canaries": 20})


def reading(value=2.0, doubt=None, claimed=1.0, exposed=None):
    claim = None if claimed is None else PrivacyClaim(claimed, 1e-5)
    return EpsilonReading(bound(value / 2), bound(value, details={"look": 3}), doubt, claim, exposed)


PLACED = RaMIA(Threshold("loss"), LpBall(0.1), 2).at(np.zeros((4, 2), np.float32), np.zeros(4, int), None)


@pytest.mark.parametrize(
    ("method", "attack", "coin", "said"),
    [
        ("one_run", Threshold("loss"), 0.5, None),
        ("one_run", LiRA(), 0.5, None),
        ("fdp", Threshold("loss"), 0.5, "a bound for Gaussian mechanisms alone"),
        ("one_run", Threshold("loss"), None, "membership was not dealt by coins"),
        ("one_run", Threshold("loss"), 0.3, "the coins came down «member» with probability 0.3"),
        ("split", Threshold("loss"), 0.5, "'split' takes each record for a training of its own"),
        ("gdp", Threshold("loss"), 0.5, "'gdp' takes each record for a training of its own"),
        ("one_run", Trained("logistic_regression"), 0.5, "learned from the coins of other records"),
        ("one_run", PLACED, 0.5, "asks about ranges, which hold other records"),
    ],
)
def test_only_fair_coins_that_the_attack_never_saw_make_a_bound(method, attack, coin, said):
    found = EpsilonAudit(method=method).doubt(attack, coin)
    assert (found is None) if said is None else (said in found)


def test_of_pure_privacy_f_dp_needs_no_gaussian():
    assert EpsilonAudit(delta=0.0, method="fdp").doubt(Threshold("loss"), 0.5) is None


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"delta": 1.0}, "delta is 1.0"),
        ({"level": 0.0}, "level is 0.0"),
        ({"method": "best"}, "method is 'best'; give one of"),
        ({"guesses": 3, "method": "split"}, "guesses by a threshold"),
        ({"guesses": 0}, "guesses"),
        ({"guesses": -1}, "guesses"),
        ({"claimed": -1.0}, "claimed epsilon is -1.0"),
        ({"claimed": PrivacyClaim(1.0, 1e-2)}, "could never be refuted"),
    ],
)
def test_what_makes_no_audit_is_refused(changed, said):
    with pytest.raises(ValueError, match=said):
        EpsilonAudit(**changed)


def test_the_claim_may_be_a_number_or_an_event():
    assert EpsilonAudit(claimed=3).claimed == PrivacyClaim(3.0, 1e-5)
    accounting = pytest.importorskip("dp_accounting")
    event = accounting.GaussianDpEvent(5.0)
    assert 0 < EpsilonAudit(claimed=event).claimed.epsilon < 2


def test_a_bound_above_the_claim_is_an_alarm_in_words_and_an_estimate_says_that_it_is_one():
    assert reading(0.9).alarm is None
    assert reading(2.0, claimed=None).alarm is None
    assert reading(2.0).alarm.startswith("At least ε 2.0 was shown (95 %, one_run, δ 1e-05), more than the claimed 1.0")
    assert reading(2.0, doubt="no coins").alarm.endswith("that refutes nothing, since it is no bound: no coins.")


def test_an_estimate_is_called_one_everywhere():
    found, guess = reading(2.0), reading(2.0, doubt="no coins")
    assert (found.name, guess.name) == ("epsilon_lower_bound", "epsilon_estimate")
    assert found.scalars() == {"epsilon_lower_bound": 2.0, "epsilon_claimed": 1.0}
    assert guess.scalars() == {"epsilon_estimate": 2.0, "epsilon_claimed": 1.0}
    assert found.line() == "at least 2 at δ 1e-05, 95 %; claimed 1"
    assert guess.line() == "estimated 2 at δ 1e-05, 95 %; claimed 1 (no bound: no coins)"
    assert (float(found.estimate), found.estimate.low, found.estimate.high) == (2.0, 2.0, math.inf)


@pytest.mark.parametrize("doubt", [None, "no coins"])
@pytest.mark.parametrize(("claimed", "exposed"), [(None, None), (1.0, EXPOSED)])
def test_a_report_carries_it_through_json(doubt, claimed, exposed):
    scores, truth = np.arange(40.0), np.arange(40) >= 20
    plain = LeakageReport.from_scores(scores, truth)
    assert "epsilon" not in plain.to_dict()
    assert "ε" not in plain.summary()
    held = LeakageReport(**{**vars(plain), "epsilon": reading(2.0, doubt, claimed, exposed)})
    read = LeakageReport.from_json(held.to_json())
    assert read.epsilon == held.epsilon
    assert read.to_dict() == held.to_dict()
    assert read.epsilon.best.details == {"look": 3}
    assert held.epsilon.line() in held.summary()
    assert ("exposure" in held.scalars()) == ("exposure" in held.summary()) == (exposed is not None)
    assert held.scalars() == plain.scalars() | held.epsilon.scalars()
    json.dumps(held.to_dict(), allow_nan=False)
    with pytest.raises(ValueError, match="epsilon"):
        LeakageReport.from_dict({**held.to_dict(), "epsilon": {"best": 1}})

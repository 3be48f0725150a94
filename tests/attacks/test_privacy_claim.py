import math
import sys

import numpy as np
import pytest

from privacy_callbacks.attacks.epsilon_bound import EpsilonBound
from privacy_callbacks.attacks.privacy_claim import PrivacyClaim, as_privacy_claim


def bound(epsilon, delta=1e-5, method="one_run", level=0.95):
    return EpsilonBound(epsilon, method=method, delta=delta, level=level)


def test_a_bound_above_the_claim_is_an_alarm_in_words():
    assert PrivacyClaim(1.0, 1e-5).check(bound(3.4)) == (
        "At least ε 3.4 was shown (95 %, one_run, δ 1e-05), more than the claimed 1.0: either the accounting or the "
        "implementation is wrong, or records were not drawn as the bound assumes."
    )


@pytest.mark.parametrize("epsilon", [0.0, 0.999, 1.0])
def test_a_bound_up_to_the_claim_is_none(epsilon):
    assert PrivacyClaim(1.0).check(bound(epsilon)) is None


def test_a_claim_of_nothing_leaking_is_refuted_by_any_bound():
    assert PrivacyClaim(0.0).check(bound(0.0)) is None
    assert "At least ε 0.01 was shown" in PrivacyClaim(0.0).check(bound(0.01))


def test_what_is_shown_at_a_larger_delta_refutes_a_claim_at_a_smaller_one():
    alarm = PrivacyClaim(1.0, 1e-6).check(bound(2.0, delta=1e-3, method="split", level=0.99))
    assert "(99 %, split, δ 0.001), more than the claimed 1.0 at δ 1e-06:" in alarm


def test_what_is_shown_at_a_smaller_delta_says_nothing_of_a_claim_at_a_larger_one():
    claim = PrivacyClaim(1.0, 1e-3)
    assert claim.check(bound(50.0, delta=1e-6)) is None
    assert "says nothing about an ε that is claimed at the larger δ 0.001" in claim.silence(1e-6)
    assert claim.silence(1e-3) is None
    assert claim.silence(0.1) is None


def test_the_gaussian_mechanism_keeps_its_claims_at_smaller_deltas_and_breaks_none():
    # Its exact δ(ε), μ = 1: whatever it is at a δ' bounds no claim at δ > δ', and is no alarm for one at δ ≤ δ'.
    from scipy import optimize, special

    def epsilon_at(delta):
        def excess(epsilon):
            return special.ndtr(0.5 - epsilon) - math.exp(epsilon) * special.ndtr(-0.5 - epsilon) - delta

        return optimize.brentq(excess, 0, 40)

    truths = {delta: epsilon_at(delta) for delta in (1e-8, 1e-5, 1e-2)}
    for claimed_at, epsilon in truths.items():
        claim = PrivacyClaim(epsilon, claimed_at)
        assert all(claim.check(bound(shown, delta=at)) is None for at, shown in truths.items())


def test_the_alarm_shows_as_many_digits_as_tell_the_two_apart():
    assert "At least ε 1.00001 was shown" in PrivacyClaim(1.0).check(bound(1.00001))
    nearly = PrivacyClaim(1.0).check(bound(np.nextafter(1.0, 2)))
    assert "At least ε 1.0000000000000002 was shown" in nearly


def test_the_alarm_names_the_accountant():
    claim = PrivacyClaim(1.0, 1e-5, "Rényi accountant")
    assert "more than the claimed 1.0 (Rényi accountant):" in claim.check(bound(2.0))
    assert claim == PrivacyClaim(1.0, 1e-5)


@pytest.mark.parametrize("number", [2, 2.0, np.float32(2), np.int64(2)])
def test_a_number_is_a_claim_at_the_audits_delta(number):
    claim = as_privacy_claim(number, 1e-6)
    assert (claim, claim.source) == (PrivacyClaim(2.0, 1e-6), "stated")
    assert type(claim.epsilon) is float


def test_no_claim_is_none():
    assert as_privacy_claim(None, 1e-5) is None


def test_a_claim_is_taken_as_it_is():
    claim = PrivacyClaim(2.0, 1e-7)
    assert as_privacy_claim(claim, 1e-5) is claim


def test_a_claim_that_the_audit_could_never_refute_is_refused():
    with pytest.raises(
        ValueError, match=r"never be refuted: a lower bound at δ 1e-05 .* bound ε at δ 0\.001, or claim"
    ):
        as_privacy_claim(PrivacyClaim(2.0, 1e-3), 1e-5)


@pytest.mark.parametrize("epsilon", [-0.1, math.inf, math.nan])
def test_an_epsilon_out_of_range_is_refused(epsilon):
    with pytest.raises(ValueError, match=r"claimed epsilon is .* finite number of at least 0, or no claim"):
        as_privacy_claim(epsilon, 1e-5)


@pytest.mark.parametrize("delta", [-1e-9, 1.0, math.nan, math.inf])
def test_a_delta_out_of_range_is_refused(delta):
    with pytest.raises(ValueError, match=r"claimed delta is .* from 0 to below 1"):
        PrivacyClaim(1.0, delta)


@pytest.mark.parametrize("epsilon", ["1", True, None])
def test_an_epsilon_that_is_no_number_is_refused(epsilon):
    with pytest.raises(TypeError, match=r"claimed epsilon is .* give a number"):
        PrivacyClaim(epsilon)


@pytest.mark.parametrize("claimed", ["8", True, object(), (1.0, 1e-5), PrivacyClaim])
def test_what_is_no_claim_is_refused(claimed):
    with pytest.raises(TypeError, match=r"give ε as a number, a PrivacyClaim, or an event"):
        as_privacy_claim(claimed, 1e-5)


def test_only_an_event_asks_for_the_accountants_package(monkeypatch):
    monkeypatch.setitem(sys.modules, "dp_accounting", None)  # importing it now fails
    assert as_privacy_claim(1.0, 1e-5) == PrivacyClaim(1.0)
    with pytest.raises(TypeError, match=r"the claim is a builtins.object"):
        as_privacy_claim(object(), 1e-5)


class TestEvents:
    @pytest.fixture
    def accounting(self):
        return pytest.importorskip("dp_accounting")

    def test_the_gaussian_mechanism_has_its_exact_epsilon(self, accounting):
        # Closed form: 25 Gaussian mechanisms of noise 5 are one of noise 1.
        event = accounting.SelfComposedDpEvent(accounting.GaussianDpEvent(5.0), 25)
        claim = as_privacy_claim(event, 1e-5)
        exact = accounting.get_epsilon_gaussian(1.0, 1e-5)
        assert claim.source == "accountant of privacy loss distributions"
        assert exact <= claim.epsilon < exact + 1e-3

    def test_at_a_tiny_delta_the_renyi_accountant_still_answers(self, accounting):
        claim = as_privacy_claim(accounting.GaussianDpEvent(1.0), 1e-16)
        assert claim.source == "Rényi accountant"
        assert accounting.get_epsilon_gaussian(1.0, 1e-16) <= claim.epsilon

    def test_a_training_by_poisson_sampling_is_accounted_for(self, accounting):
        step = accounting.PoissonSampledDpEvent(0.01, accounting.GaussianDpEvent(1.1))
        sampled = as_privacy_claim(accounting.SelfComposedDpEvent(step, 1000), 1e-5)
        whole = as_privacy_claim(accounting.SelfComposedDpEvent(accounting.GaussianDpEvent(1.1), 1000), 1e-5)
        assert 1.4 < sampled.epsilon < 1.6 < whole.epsilon / 100

    def test_hardly_any_noise_costs_neither_time_nor_memory(self, accounting):
        claim = as_privacy_claim(accounting.SelfComposedDpEvent(accounting.GaussianDpEvent(1e-3), 10), 1e-5)
        # One mechanism of noise 1e-3/√10: ε ≈ 1/(2σ²), and a little more.
        assert 5e6 < claim.epsilon < 5.1e6

    def test_gaussian_noise_claims_nothing_at_delta_0(self, accounting):
        with pytest.raises(ValueError, match=r"ε is infinite at δ 0 .* Give a δ above 0"):
            as_privacy_claim(accounting.GaussianDpEvent(1.0), 0.0)

    def test_nothing_done_is_a_claim_of_0(self, accounting):
        assert as_privacy_claim(accounting.NoOpDpEvent(), 1e-5).epsilon == 0

    def test_no_privacy_is_no_claim(self, accounting):
        with pytest.raises(ValueError, match=r"infinite at δ 1e-05 for NonPrivateDpEvent.*claims nothing"):
            as_privacy_claim(accounting.NonPrivateDpEvent(), 1e-5)

    def test_events_of_other_neighbours_are_refused(self, accounting):
        # Randomised response replaces a record: none is added or removed.
        with pytest.raises(ValueError, match=r"no accountant .* added or removed"):
            as_privacy_claim(accounting.RandomizedResponseDpEvent(0.5, 2), 1e-5)

    def test_a_delta_out_of_range_is_refused_before_accounting(self, accounting):
        with pytest.raises(ValueError, match=r"claimed delta is 1"):
            as_privacy_claim(accounting.GaussianDpEvent(1.0), 1.0)

    def test_an_accountant_is_pointed_to_its_ledger(self, accounting):
        accountant = accounting.rdp.RdpAccountant()
        accountant.compose(accounting.GaussianDpEvent(1.0))
        with pytest.raises(TypeError, match=r"accountant\.ledger"):
            as_privacy_claim(accountant, 1e-5)
        assert as_privacy_claim(accountant.ledger, 1e-5).epsilon > 1

import json

import numpy as np
import pytest
from scipy import integrate, special, stats

from privacy_callbacks.attacks import canary_exposure
from privacy_callbacks.attacks.canary_exposure import exposure, exposure_estimate
from privacy_callbacks.attacks.estimate import Estimate


def rank_exposure_by_hand(canary, reference):
    ranks = [1 + sum(other >= score for other in reference) for score in canary]
    return np.log2(len(reference) + 1) - np.log2(ranks)


def test_rank_exposure_is_the_count_of_references_that_reach_the_canary():
    rng = np.random.default_rng(0)
    canary, reference = rng.integers(0, 9, 30), rng.integers(0, 9, 50)  # with ties
    np.testing.assert_allclose(exposure(canary, reference), rank_exposure_by_hand(canary, reference), atol=1e-12)


def test_ties_count_against_the_canary():
    assert exposure([1.0], [1.0, 1.0, 1.0]) == [0.0]
    assert exposure([1.1], [1.0, 1.0, 1.0]) == [2.0]


def test_the_best_canary_reaches_the_ceiling_and_the_worst_nothing():
    np.testing.assert_array_equal(exposure([np.inf, -np.inf], np.arange(1023.0)), [10.0, 0.0])
    np.testing.assert_allclose(exposure([np.inf, np.inf, 3.0], [np.inf, -np.inf, 3.0]), [1.0, 1.0, np.log2(4 / 3)])


def test_one_canary_may_be_a_number():
    for method in ("rank", "skew_normal"):
        one = exposure(2.5, np.arange(40.0), method)
        assert isinstance(one, float)
        assert [one] == exposure([2.5], np.arange(40.0), method)


@pytest.mark.parametrize("quantile", [0.1, 0.5, 0.9, 0.99])
def test_a_canary_at_a_quantile_of_the_references_is_exposed_by_minus_log2_of_what_lies_beyond(quantile):
    reference = stats.norm.ppf((np.arange(100_000) + 0.5) / 100_000)
    assert exposure(stats.norm.ppf(quantile), reference) == pytest.approx(-np.log2(1 - quantile), abs=2e-3)
    assert exposure(stats.norm.ppf(quantile), reference, "skew_normal") == pytest.approx(
        -np.log2(1 - quantile), abs=2e-3
    )


@pytest.mark.parametrize("shape", [0.0, 3.0, -1.0, -6.0])
@pytest.mark.parametrize("chance", [1e-2, 1e-4, 1e-8])
def test_extrapolation_finds_the_tail_of_the_skew_normal_that_references_follow(shape, chance):
    """References at the quantiles of a skew-normal, so that nothing but fit and tail are in question."""
    law = stats.skewnorm(shape, loc=-7, scale=3)
    reference = law.ppf((np.arange(4_000) + 0.5) / 4_000)
    found = exposure(law.isf(chance), reference, "skew_normal")
    assert found == pytest.approx(-np.log2(chance), rel=0.03)


def test_extrapolation_goes_on_where_probabilities_underflow():
    reference = stats.norm.ppf((np.arange(4_000) + 0.5) / 4_000)
    scores = np.array([5.0, 30.0, 50.0, 1e6])
    found = exposure(scores, reference, "skew_normal")
    np.testing.assert_allclose(found, -stats.norm.logsf(scores) / np.log(2), rtol=0.02)
    assert exposure(np.inf, reference, "skew_normal") == np.inf
    assert exposure(-np.inf, reference, "skew_normal") == 0


@pytest.mark.parametrize("shape", [0.0, 0.3, 20.0, -0.1, -1.0, -8.0, -100.0])
def test_the_tail_agrees_with_numerical_integration_wherever_it_is_computed_by_another_formula(shape):
    def log_density(t):
        return np.log(2 / np.pi) / 2 - t**2 / 2 + special.log_ndtr(shape * t)

    for z in (0.05, 0.5, 1.0, 4.2, 4.4, 7.0, 30.0):
        peak = log_density(z)
        if peak < -1e5:
            continue
        decay = z * (1 + min(shape, 0.0) ** 2)
        whole = integrate.quad(lambda t: np.exp(log_density(t) - peak), z, z + 60 / decay, limit=400)[0]
        beyond = integrate.quad(lambda t: np.exp(log_density(t) - peak), z + 60 / decay, np.inf, limit=400)[0]
        found = canary_exposure._bits(np.array([z]), canary_exposure._SkewNormal(0.0, 1.0, shape))[0]
        assert found == pytest.approx(-(peak + np.log(whole + beyond)) / np.log(2), rel=1e-6, abs=1e-6), z


@pytest.mark.parametrize("method", ["rank", "skew_normal"])
def test_exposure_grows_with_the_score_and_knows_no_scale(method):
    rng = np.random.default_rng(1)
    reference, canary = rng.gumbel(size=300), np.sort(rng.gumbel(size=40) * 3)
    found = exposure(canary, reference, method)
    assert (np.diff(found) >= 0).all()
    assert (found >= 0).all()
    for scale, shift in ((1e-6, 0.0), (1e6, 1e6)):
        scaled = exposure(canary * scale + shift, reference * scale + shift, method)
        np.testing.assert_allclose(scaled, found, rtol=1e-4, atol=1e-6)
    shuffled = rng.permutation(len(reference))
    np.testing.assert_allclose(exposure(canary, reference[shuffled], method), found, rtol=1e-9, atol=1e-12)


def test_a_million_references_are_thinned_for_the_fit_not_for_the_rank():
    reference = np.random.default_rng(2).normal(size=1_000_000)
    assert exposure(9.0, reference) == np.log2(1_000_001)
    truth = -stats.norm.logsf(9.0) / np.log(2)
    assert exposure(9.0, reference, "skew_normal") == pytest.approx(truth, rel=0.03)


def test_references_with_an_outlier_or_ties_are_fitted_by_something_finite():
    rng = np.random.default_rng(3)
    for reference in (
        np.append(rng.normal(size=30), 1e9),
        np.round(rng.normal(size=500), 1),
        rng.exponential(size=200),
        -rng.exponential(size=200),
        rng.standard_cauchy(size=200),
        np.append(np.full(5_000, 1.0), np.linspace(0, 1, 30)),
    ):
        found = exposure(reference, reference, "skew_normal")
        assert np.isfinite(found).all()
        assert (found >= 0).all()


def test_inputs_are_left_alone():
    canary, reference = np.array([3.0, 1.0, 2.0] * 2), np.random.default_rng(4).normal(size=50)
    before = canary.copy(), reference.copy()
    for method in ("rank", "skew_normal"):
        exposure(canary, reference, method)
    exposure_estimate(canary, reference)
    np.testing.assert_array_equal(canary, before[0])
    np.testing.assert_array_equal(reference, before[1])


def test_the_estimate_is_the_mean_exposure_and_says_of_how_many():
    rng = np.random.default_rng(5)
    canary, reference = rng.normal(size=20) + 1, rng.normal(size=255)
    found = exposure_estimate(canary, reference)
    assert isinstance(found, Estimate)
    assert found == pytest.approx(np.mean(exposure(canary, reference)))
    assert found.low < found < found.high
    assert [found.details[name] for name in ("canaries", "references", "ceiling")] == [20, 255, 8]
    assert found == exposure_estimate(canary, reference)
    assert found.null_level == exposure_estimate(canary, reference).null_level
    assert found.null_level != exposure_estimate(canary, reference, seed=1).null_level
    assert Estimate.from_dict(json.loads(json.dumps(found.to_dict()))).null_level == found.null_level


def test_the_null_mean_by_rank_is_that_of_a_uniform_rank():
    """log2(R) − mean of log2(1 … R), which grows to log2(e) = 1.44."""
    rng = np.random.default_rng(6)
    for references in (1, 10, 1_000):
        expected = np.log2(references + 1) - np.mean(np.log2(np.arange(1, references + 2)))
        null = exposure_estimate(rng.normal(size=200) + 3, rng.normal(size=references)).details["null_mean"]
        assert null == pytest.approx(expected, abs=0.04)
    assert expected == pytest.approx(np.log2(np.e), abs=0.01)


def test_the_null_level_counts_ties_as_they_are():
    """Where nearly all scores tie, so do canaries that were not learned, to their disadvantage."""
    reference = np.append(np.ones(900), np.zeros(100))
    found = exposure_estimate(np.append(np.ones(45), np.zeros(5)), reference)
    assert found == pytest.approx(0.9 * np.log2(1_001 / 901))
    assert found < found.null_level < 0.2


def test_the_null_level_of_one_canary_is_that_of_its_rank():
    """P[log2(100 / rank) > level] ≤ 5 %: rank 5 of 100 is reached in 5 of 100 cases, so log2(20) = 4.32 or a little more."""
    found = exposure_estimate(3.0, np.linspace(0, 1, 99))
    assert found == pytest.approx(np.log2(100))
    assert np.log2(100 / 7) <= found.null_level <= np.log2(100 / 3)
    assert (found.low, found.high) == (0.0, found.details["ceiling"])  # one canary says nothing about others


def test_a_perfect_result_claims_no_more_than_its_numbers_allow():
    found = exposure_estimate(np.full(40, 9.0), np.linspace(0, 1, 1_000))
    assert found == found.high == found.details["ceiling"]
    # 3.7 of 1,000 further references might have scored higher: log2(4.7) bits; and 9 % of canaries are unseen.
    assert found.low < found - np.log2(4.6)
    none = exposure_estimate(np.full(40, -9.0), np.linspace(0, 1, 1_000))
    assert none == none.low == 0
    assert none.high > 0.08 * none.details["ceiling"]


def test_extrapolated_canaries_that_leak_have_an_interval_around_the_truth():
    rng = np.random.default_rng(7)
    canary = rng.normal(size=50) + 6
    found = exposure_estimate(canary, rng.normal(size=1_000), "skew_normal")
    truth = np.mean(-stats.norm.logsf(rng.normal(size=100_000) + 6)) / np.log(2)
    assert found.low < truth < found.high
    assert found.low > 15 > found.null_level
    assert "ceiling" not in found.details


def test_without_an_honest_interval_there_is_none():
    reference = np.random.default_rng(8).normal(size=30)
    one = exposure_estimate([2.0], reference, "skew_normal")
    assert (one.low, one.high) == (None, None)
    assert one.null_level > 3
    endless = exposure_estimate([2.0, np.inf], reference, "skew_normal")
    assert endless == np.inf
    assert endless.low is None


@pytest.mark.parametrize("method", ["rank", "skew_normal"])
def test_the_fewest_references_are_enough(method):
    found = exposure_estimate([0.0, 30.0], np.arange(20.0) ** 1.5, method)
    assert 0 <= found.low < found < found.high


def test_what_cannot_be_judged_is_refused():
    reference = np.arange(30.0)
    with pytest.raises(ValueError, match="method is 'ranks'; give 'rank' or 'skew_normal'"):
        exposure([1.0], reference, "ranks")
    with pytest.raises(ValueError, match="1 canaries and 0 references have NaN"):
        exposure([np.nan, 1.0], reference)
    with pytest.raises(ValueError, match="0 canaries and 1 references have NaN"):
        exposure([1.0], [np.nan])
    for canary, others in (([], reference), ([[1.0]], reference), ([1.0], []), ([1.0], 3.0)):
        with pytest.raises(ValueError, match="give one score a canary"):
            exposure(canary, others)
    for others, words in (
        (np.arange(19.0), "19 scores, 19 of them distinct, 0 infinite"),
        (np.ones(100), "100 scores, 1 of them distinct"),
        (np.append(reference, np.inf), "31 of them distinct, 1 infinite"),
    ):
        with pytest.raises(ValueError, match=f"{words}.*use method='rank'"):
            exposure([1.0], others, "skew_normal")
    with pytest.raises(ValueError, match="too large or too close for floating point"):
        exposure([1.0], np.linspace(-1, 1, 30) * 1e308, "skew_normal")
    with pytest.raises(ValueError, match="level is 1"):
        exposure_estimate([1.0], reference, level=1)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("method", "worlds", "canaries", "references"),
    [
        ("rank", 2_000, 1, 30),
        ("rank", 2_000, 10, 100),
        ("rank", 2_000, 50, 60),
        ("skew_normal", 200, 1, 30),
        pytest.param("skew_normal", 200, 10, 100, marks=pytest.mark.study),
        pytest.param("skew_normal", 200, 50, 60, marks=pytest.mark.study),
    ],
)
def test_canaries_that_were_not_learned_exceed_the_null_level_in_at_most_5_percent_plus_three_errors(
    method, worlds, canaries, references, monkeypatch
):
    if method == "rank":  # fewer simulations, so that the study is affordable; the promise holds for any number
        monkeypatch.setattr(canary_exposure, "_DRAWN", 1)
    else:
        monkeypatch.setattr(canary_exposure, "_MOST_FITS", 39)
    rng = np.random.default_rng(9)
    alarms = 0
    for world in range(worlds):
        found = exposure_estimate(rng.normal(size=canaries), rng.normal(size=references), method, seed=world)
        alarms += found > found.null_level
    assert alarms / worlds <= 0.05 + 3 * np.sqrt(0.05 * 0.95 / worlds)


@pytest.mark.slow
@pytest.mark.parametrize("learned", [0.0, 2.0, 4.0])
def test_intervals_by_rank_cover_the_expected_mean_in_at_least_90_percent_of_300_worlds(learned, monkeypatch):
    monkeypatch.setattr(canary_exposure, "_DRAWN", 1)
    rng = np.random.default_rng(10)
    for canaries, references in ((2, 20), (20, 100), (200, 1_000), (500, 20)):
        beyond = rng.binomial(references, stats.norm.sf(rng.normal(size=400_000) + learned))
        truth = np.mean(np.log2(references + 1) - np.log2(beyond + 1))
        covered = 0
        for _ in range(300):
            found = exposure_estimate(rng.normal(size=canaries) + learned, rng.normal(size=references))
            covered += found.low <= truth <= found.high
        assert covered / 300 >= 0.90

"""The attacker's threshold is learned apart, rates are exact counts, and ratios of rates carry intervals that hold."""

import numpy as np
import pytest
from unlearning_worlds import WORLDS

from privacy_callbacks.attacks.estimate import Estimate
from privacy_callbacks.attacks.unlearning_rates import (
    best_threshold,
    check_values,
    complement,
    gap,
    halves,
    held_out_rates,
    least_records,
    rate,
    ratio,
    share_between,
)


def of(count, total, level=0.95):
    return rate(np.arange(total) < count, level)


def around(value, reach):
    return Estimate(value, value - reach, value + reach)


def naive_threshold(members, nonmembers):
    tried = sorted(set(members) | set(nonmembers), reverse=True)
    gains = [np.mean(members >= threshold) - np.mean(nonmembers >= threshold) for threshold in tried]
    return tried[int(np.argmax(gains))]


@pytest.mark.parametrize("values", [2, 5, 1_000_000])
def test_the_threshold_is_the_largest_of_the_best(values):
    for seed in range(20):
        rng = np.random.default_rng(seed)
        members, nonmembers = rng.integers(0, values, 15) + 0.0, rng.integers(0, values, 11) - 0.5 * (values > 5)
        assert best_threshold(members, nonmembers) == naive_threshold(members, nonmembers)


def test_infinite_scores_are_extremes():
    assert best_threshold(np.array([np.inf, np.inf]), np.array([-np.inf, 3.0])) == np.inf


def test_halves_are_a_partition_that_the_seed_decides():
    values = np.arange(21.0)
    first, second = halves(values, 3, 0)
    assert (first.size, second.size) == (10, 11)
    assert sorted([*first, *second]) == list(values)
    assert np.array_equal(first, halves(values, 3, 0)[0])
    assert not np.array_equal(first, halves(values, 4, 0)[0])
    assert not np.array_equal(first, halves(values, 3, 1)[0])  # the two sides are not shuffled alike
    assert np.array_equal(values, np.arange(21.0))


def test_no_judged_record_helps_to_choose_the_threshold():
    """On records alike, a threshold judged by those that chose it would see a gap in nearly every audit."""
    rng = np.random.default_rng(0)
    gaps = []
    for seed in range(200):
        found = held_out_rates(rng.normal(size=40), rng.normal(size=40), rng.normal(size=40), seed=seed)
        gaps.append(found.tpr - found.fpr)
    assert abs(np.mean(gaps)) < 4 * np.std(gaps) / np.sqrt(len(gaps))


def test_rates_are_counts_at_the_threshold_over_held_out_halves_and_the_whole_forget_set():
    rng = np.random.default_rng(1)
    retain, forget, test = rng.normal(1, 1, 31), rng.normal(size=17), rng.normal(size=40)
    found = held_out_rates(retain, forget, test, seed=5)
    assert found.threshold == naive_threshold(halves(retain, 5, 0)[0], halves(test, 5, 1)[0])
    assert float(found.tpr) == np.mean(halves(retain, 5, 0)[1] >= found.threshold)
    assert float(found.fpr) == np.mean(halves(test, 5, 1)[1] >= found.threshold)
    assert float(found.forget_rate) == np.mean(forget >= found.threshold)
    assert [share.details["records"] for share in (found.tpr, found.fpr, found.forget_rate)] == [16, 20, 17]


def test_a_rate_of_none_and_all_has_the_rule_of_three():
    assert (of(0, 20).low, of(0, 20).high) == (0.0, pytest.approx(1 - 0.025 ** (1 / 20)))
    assert (of(20, 20).low, of(20, 20).high) == (pytest.approx(0.025 ** (1 / 20)), 1.0)
    assert complement(of(3, 20)) == of(17, 20)
    assert complement(of(3, 20)).low == pytest.approx(of(17, 20).low)


def test_a_gap_of_symmetric_intervals_adds_their_squares():
    found = gap(around(0.6, 0.03), around(0.4, 0.04))
    assert (float(found), found.low, found.high) == tuple(pytest.approx(x) for x in (0.2, 0.15, 0.25))


def test_ratios_of_many_records_have_katz_s_interval():
    """Where counts are large, log p/q is Gaussian with variance (1 − p)/(np) + (1 − q)/(mq)."""
    found = ratio(of(30_000, 100_000), of(100_000, 200_000))
    reach = 1.959964 * np.sqrt(0.7 / 30_000 + 0.5 / 100_000)
    assert (found.low, found.high) == (
        pytest.approx(0.6 * np.exp(-reach), 3e-4),
        pytest.approx(0.6 * np.exp(reach), 3e-4),
    )


def test_ratios_at_the_ends():
    assert (ratio(of(0, 50), of(40, 50)), ratio(of(0, 50), of(40, 50)).low) == (0.0, 0.0)
    assert 0 < ratio(of(0, 50), of(40, 50)).high < 0.15
    both = ratio(of(50, 50), of(50, 50))
    assert both.low < 1 < both.high
    with pytest.raises(ValueError, match="no retained record is called a member"):
        ratio(of(3, 50), of(0, 50))


def test_a_share_lies_where_the_mean_lies_between_the_two():
    found = share_between(around(0.35, 1e-9), around(0.8, 1e-9), around(0.2, 1e-9))
    assert (float(found), found.low, found.high) == tuple(pytest.approx(0.25, abs=1e-6) for _ in range(3))


def test_its_interval_is_fieller_s_when_the_means_have_symmetric_intervals():
    q, m, n, reaches = 0.45, 0.7, 0.3, (0.02, 0.05, 0.04)
    found = share_between(*(around(mean, reach) for mean, reach in zip((q, m, n), reaches, strict=True)))
    # (q − n − p(m − n))² = r_q² + p² r_m² + (1 − p)² r_n², solved for p.
    a = (m - n) ** 2 - reaches[1] ** 2 - reaches[2] ** 2
    b = -2 * (q - n) * (m - n) + 2 * reaches[2] ** 2
    c = (q - n) ** 2 - reaches[0] ** 2 - reaches[2] ** 2
    assert (found.low, found.high) == tuple(pytest.approx(root) for root in sorted(np.roots([a, b, c])))


def test_a_share_is_refused_exactly_where_the_gap_may_be_nothing():
    for hits in range(20, 50):
        parts = of(25, 50), of(hits, 50), of(20, 50)
        if gap(*parts[1:]).low > 0:
            found = share_between(*parts)
            assert -np.inf < found.low <= found <= found.high < np.inf
        else:
            with pytest.raises(ValueError, match="may be nothing at all"):
                share_between(*parts)


def test_an_estimate_without_interval_is_refused():
    with pytest.raises(ValueError, match="has no interval"):
        complement(Estimate(0.5))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[1.0], [2.0]], r"retain has shape \(2, 1\)"),
        (3.0, r"retain has shape \(\)"),
        ([], "retain has 0 records; give at least 1"),
        ([1.0, np.nan, np.nan], r"retain is NaN for 2 of 3 records \(first: position 1\)"),
    ],
)
def test_values_that_cannot_be_judged_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        check_values("retain", values)


def test_a_high_level_needs_more_records():
    assert [least_records(level) for level in (0.5, 0.95, 0.99, 0.999, 0.999999)] == [10, 10, 10, 11, 21]
    assert of(11, 11, 0.999).low > 0.5 > of(10, 10, 0.999).low


@pytest.mark.slow
@pytest.mark.parametrize("name", WORLDS)
@pytest.mark.parametrize(("retain", "forget"), [(50, 50), (50, 2_000), (2_000, 50), (400, 1_000)])
def test_intervals_cover_the_rates_at_the_threshold_in_94_percent_of_3000_runs(name, retain, forget):
    world, _ = WORLDS[name]
    covered = {"efficacy": [], "psi": [], "forgetting": []}
    for seed in range(3_000):
        rng = np.random.default_rng([seed, retain, forget])
        found = held_out_rates(*world.draw(retain, forget, retain, rng), seed=seed)
        tpr, forget_rate, fpr = world.rates_at(found.threshold)
        numbers = {"efficacy": (complement(found.forget_rate), 1 - forget_rate)}
        if found.tpr:
            numbers["psi"] = (ratio(found.forget_rate, found.tpr), forget_rate / tpr)
        if gap(found.tpr, found.fpr).low > 0:
            share = share_between(found.forget_rate, found.tpr, found.fpr)
            numbers["forgetting"] = (complement(share), (tpr - forget_rate) / (tpr - fpr))
        for number, (interval, truth) in numbers.items():
            covered[number].append(interval.low <= truth <= interval.high)
    assert all(np.mean(runs) >= 0.94 for runs in covered.values()), {k: np.mean(v) for k, v in covered.items()}
    assert len(covered["forgetting"]) >= 1_500

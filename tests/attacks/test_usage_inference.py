"""The share of a data set that was used is found whatever the attacker's errors, and its interval covers it."""

import numpy as np
import pytest
from slow_params import study_unless

from privacy_callbacks.attacks.usage_inference import usage_share


def known(gain, size, rng):
    return rng.normal(gain, 1, size), rng.normal(size=size)


def queried(share, gain, size, rng):
    return rng.normal(gain * (np.arange(size) < round(share * size)), 1)


def test_an_attacker_without_errors_counts():
    members, nonmembers = np.ones(200), np.zeros(200)
    found = usage_share(np.repeat([1.0, 0.0], [30, 170]), members, nonmembers)
    # Each mean holds one record more at either extreme: 31/202 on a scale that runs from 1/202 to 201/202.
    assert float(found) == pytest.approx(30 / 200)
    assert 0.09 < found.low < 0.15 < found.high < 0.21


@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
def test_the_share_is_not_biased_by_the_attacker_s_errors(share):
    """At AUC .76 the attacker calls about a third of non-members members; the estimates' mean is the share all the same."""
    found = []
    for seed in range(60):
        rng = np.random.default_rng(seed)
        found.append(
            usage_share(queried(share, 1.0, 1_000, rng), *known(1.0, 1_000, rng), seed=seed).details["unclipped"]
        )
    assert np.mean(found) == pytest.approx(share, abs=4 * np.std(found) / np.sqrt(len(found)) + 0.005)


def test_the_share_and_its_ends_stay_within_0_and_1_and_the_details_do_not():
    rng = np.random.default_rng(3)
    found = usage_share(rng.normal(-1, 1, 400), *known(1.0, 400, rng))
    assert (float(found), found.low) == (0.0, 0.0)
    assert found.details["unclipped_low"] < found.details["unclipped"] < -0.3


def test_only_the_order_of_scores_counts():
    rng = np.random.default_rng(4)
    asked, (members, nonmembers) = queried(0.3, 2.0, 100, rng), known(2.0, 100, rng)
    for monotone in (np.exp, np.cbrt, lambda x: 1e300 * x):
        found = usage_share(monotone(asked), monotone(members), monotone(nonmembers))
        assert found.to_dict() == usage_share(asked, members, nonmembers).to_dict()


def test_infinite_scores_are_extremes():
    rng = np.random.default_rng(5)
    asked, members, nonmembers = queried(0.3, 2.0, 100, rng), *known(2.0, 100, rng)
    largest, smallest = 50.0, -50.0
    members[:20], nonmembers[:20], asked[:5], asked[-5:] = largest, smallest, largest, smallest
    infinite = [np.where(np.abs(side) == 50, np.sign(side) * np.inf, side) for side in (asked, members, nonmembers)]
    assert usage_share(*infinite).to_dict() == usage_share(asked, members, nonmembers).to_dict()


def test_the_seed_decides_and_inputs_stay():
    rng = np.random.default_rng(6)
    sides = queried(0.3, 2.0, 60, rng), *known(2.0, 60, rng)
    copies = [side.copy() for side in sides]
    state = np.random.get_state()[1].copy()
    assert usage_share(*sides, seed=1).to_dict() == usage_share(*sides, seed=1).to_dict()
    assert usage_share(*sides, seed=1) != usage_share(*sides, seed=2)
    assert all(np.array_equal(side, copy) for side, copy in zip(sides, copies, strict=True))
    assert np.array_equal(state, np.random.get_state()[1])


def test_a_blind_attacker_is_refused():
    rng = np.random.default_rng(7)
    with pytest.raises(ValueError, match="what it says of other records means nothing"):
        usage_share(rng.normal(size=300), rng.normal(size=300), rng.normal(size=300))
    with pytest.raises(ValueError, match="may be nothing at all"):
        usage_share(np.zeros(30), np.zeros(30), np.zeros(30))
    with pytest.raises(ValueError, match="may be nothing at all"):
        usage_share(rng.normal(size=300), rng.normal(size=300), rng.normal(2, 1, 300))  # the wrong sign


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((9, 20, 20), "queried has 9 records; give at least 10"),
        ((10, 19, 20), "members has 19 records; give at least 20"),
        ((10, 20, 0), "nonmembers has 0 records; give at least 20"),
    ],
)
def test_too_few_records_are_refused(sizes, message):
    with pytest.raises(ValueError, match=message):
        usage_share(*(np.arange(float(size)) for size in sizes))


def test_nan_and_levels_out_of_range_are_refused():
    fine = np.arange(30.0)
    with pytest.raises(ValueError, match="members is NaN for 1 of 31 records"):
        usage_share(fine, np.append(fine, np.nan), fine)
    with pytest.raises(ValueError, match="level is 95"):
        usage_share(fine, fine, fine, level=95)


@pytest.mark.slow
@pytest.mark.parametrize("drawn_by", study_unless(["coin"], ["count", "coin"]))
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 1.0])
@pytest.mark.parametrize(("gain", "asked", "size"), [(1.0, 1_000, 1_000), (1.0, 100, 200), (3.0, 50, 1_000)])
def test_the_interval_covers_the_share_in_94_percent_of_3000_runs(gain, asked, size, share, drawn_by):
    covered = []
    for seed in range(3_000):
        rng = np.random.default_rng([seed, asked])
        used = rng.binomial(asked, share) / asked if drawn_by == "coin" else share
        found = usage_share(queried(used, gain, asked, rng), *known(gain, size, rng), seed=seed)
        covered.append(found.low <= share <= found.high)
    assert np.mean(covered) >= 0.94

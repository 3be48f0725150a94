"""KLoM against a loop, the binned Gaussians' closed form, and its own floor."""

import numpy as np
import pytest
from scipy import stats
from slow_params import study_unless

from privacy_callbacks.attacks.margin_divergence import klom, klom_floor, klom_percentiles

SPAN = (-10.0, 10.0)


def margins(models, records=2_000, shift=0.0, spread=1.0, seed=0):
    """A record's own level is the same for every seed."""
    level = 3 * np.random.default_rng(99).normal(size=records)
    return level + shift + spread * np.random.default_rng([seed, models]).normal(size=(models, records))


def naive(unlearned, retrained, bins, span, smoothing):
    edges = np.linspace(*span, bins + 1)
    values = []
    for ours, theirs in zip(unlearned.T, retrained.T, strict=True):
        p = np.histogram(np.clip(ours, *span), edges)[0]
        q = np.histogram(np.clip(theirs, *span), edges)[0]
        both = (p + q) / (p.sum() + q.sum())
        p, q = ((count + smoothing * both) / (count.sum() + smoothing) for count in (p, q))
        values.append(stats.entropy(p[both > 0], q[both > 0]))
    return np.array(values)


@pytest.mark.parametrize(("ours", "theirs", "bins", "smoothing"), [(5, 8, 20, 1.0), (2, 2, 3, 0.1), (30, 7, 50, 4.0)])
def test_it_is_the_entropy_of_smoothed_histograms(ours, theirs, bins, smoothing):
    unlearned, retrained = 4 * margins(ours, 200, seed=1), 4 * margins(theirs, 200, seed=2)
    expected = naive(unlearned, retrained, bins, SPAN, smoothing)
    np.testing.assert_allclose(klom(unlearned, retrained, bins, SPAN, smoothing), expected, atol=1e-12)


@pytest.mark.parametrize(("shift", "spread"), [(0.0, 1.0), (1.0, 1.0), (-0.5, 2.0), (0.0, 0.5)])
def test_with_many_models_it_is_the_divergence_of_the_binned_gaussians(shift, spread):
    rng = np.random.default_rng(0)
    unlearned, retrained = shift + spread * rng.normal(size=(400_000, 1)), rng.normal(size=(400_000, 1))
    edges = np.linspace(-3, 3, 21)
    edges[[0, -1]] = -np.inf, np.inf
    p, q = np.diff(stats.norm.cdf(edges, shift, spread)), np.diff(stats.norm.cdf(edges))
    assert klom(unlearned, retrained, span=(-3, 3))[0] == pytest.approx(stats.entropy(p, q), abs=0.005)


def test_fine_bins_and_many_models_reach_the_divergence_of_the_gaussians_themselves():
    """KL(N(d, 1) ‖ N(0, 1)) = d²/2."""
    rng = np.random.default_rng(1)
    unlearned, retrained = 1.5 + rng.normal(size=(400_000, 1)), rng.normal(size=(400_000, 1))
    assert klom(unlearned, retrained, 100, (-4, 6))[0] == pytest.approx(1.5**2 / 2, rel=0.03)


@pytest.mark.parametrize(("ours", "theirs"), [(4, 4), (8, 8), (32, 32), (3, 30), (30, 3)])
def test_equal_models_lie_at_the_floor_and_others_above(ours, theirs):
    """The floor sees the retrained models alone, and is as high as fresh sets of both sizes are."""
    retrained = margins(theirs, seed=1)
    span = tuple(np.percentile(retrained, (0.5, 99.5)))  # as it would be found, for all: it decides the bins
    floor = klom_percentiles({"all": klom_floor(retrained, ours, seed=2, span=span)})["all"]
    fresh = [klom(margins(ours, seed=[3, k]), margins(theirs, seed=[4, k]), span=span) for k in range(10)]
    equal = klom_percentiles({"all": fresh})["all"]
    for rank in ("50%", "95%", "99%"):
        assert floor[rank] == pytest.approx(equal[rank], rel=0.15)
    shifted = klom_percentiles({"all": klom(margins(ours, shift=2.0, seed=5), retrained, span=span)})["all"]
    assert shifted["50%"] > 1.5 * floor["50%"]


def test_redrawing_the_few_models_themselves_would_put_the_floor_too_low():
    retrained, rng = margins(4, seed=1), np.random.default_rng(2)
    redrawn = [klom(retrained[rng.integers(4, size=4)], retrained[rng.integers(4, size=4)]) for _ in range(20)]
    floor = klom_percentiles({"ours": klom_floor(retrained, 4), "redrawn": redrawn})
    assert floor["redrawn"]["99%"] < 0.5 * floor["ours"]["99%"]


def test_one_shared_span_tells_few_shifted_models_from_equal_ones_where_each_records_own_cannot():
    """AUC over records; the authors' histograms re-implemented."""

    def theirs(unlearned, retrained):
        values = []
        for p, q in zip(unlearned.T, retrained.T, strict=True):
            edges = np.histogram_bin_edges(np.r_[p, q], 20)
            p, q = (np.histogram(side, edges)[0] / len(side) for side in (p, q))
            values.append(stats.entropy(p, np.where(p > 0, np.maximum(q, 1e-5), q)))
        return np.array(values)

    retrained, equal, shifted = margins(8, seed=1), margins(8, seed=2), margins(8, shift=2.0, seed=3)
    power = {
        name: stats.mannwhitneyu(way(shifted, retrained), way(equal, retrained)).statistic / 2_000**2
        for name, way in (("ours", klom), ("authors", theirs))
    }
    assert power["ours"] > 0.9 > power["authors"]


def test_models_that_agree_everywhere_differ_by_nothing_whatever_their_number():
    level = np.linspace(-5, 5, 40)
    assert (klom(np.tile(level, (3, 1)), np.tile(level, (50, 1))) == 0).all()
    assert (klom_floor(np.tile(level, (3, 1)), 50) == 0).all()
    same = margins(6, 300)
    assert (klom(same, same[::-1]) == 0).all()


def test_models_that_differ_everywhere_stay_finite_and_grow_with_the_evidence():
    """Disjoint sets of k models each, one bin each: both sides mixed with half a model of the other."""
    found = [klom(np.full((k, 1), 5.0), np.full((k, 1), -5.0))[0] for k in (2, 10, 100)]
    expected = []
    for k in (2, 10, 100):
        most, least = (k + 0.5) / (k + 1), 0.5 / (k + 1)
        expected.append((most - least) * np.log(most / least))
    np.testing.assert_allclose(found, expected)
    assert found == sorted(found)


def test_infinite_margins_belong_to_the_end_bins():
    unlearned, retrained = margins(6, 30, seed=1), margins(9, 30, seed=2)
    unlearned[0], retrained[0] = -np.inf, np.inf
    beyond = [np.nan_to_num(side, posinf=1e6, neginf=-1e6) for side in (unlearned, retrained)]
    np.testing.assert_array_equal(klom(unlearned, retrained, span=SPAN), klom(*beyond, span=SPAN))
    assert np.isfinite(klom(unlearned, retrained)).all()
    assert np.isfinite(klom_floor(retrained, 6)).all()
    endless = np.full((2, 1), np.inf)
    assert klom(endless, endless) == 0
    assert klom(endless, -endless) > 0
    assert (klom_floor(endless, 5) == 0).all()


def test_a_span_that_is_found_follows_shift_and_scale():
    unlearned, retrained = margins(6, 300, shift=1.0, seed=1), margins(9, 300, seed=2)
    whole = klom(unlearned, retrained)
    np.testing.assert_allclose(klom(2.0**-9 * unlearned + 4, 2.0**-9 * retrained + 4), whole)
    np.testing.assert_array_equal(klom(unlearned[:, ::-1], retrained[:, ::-1]), whole[::-1])
    np.testing.assert_array_equal(klom(unlearned[::-1], retrained[::-1]), whole)


def test_one_record_and_two_models_a_side_are_enough_to_compute():
    assert klom([[0.0], [1.0]], [[0.0], [5.0]]).shape == (1,)
    assert klom_floor([[0.0], [5.0]], 2, draws=3).shape == (3, 1)


def test_the_floor_is_decided_by_its_seed_and_touches_nothing():
    retrained = margins(5, 50)
    before, state = retrained.copy(), np.random.get_state()[1].copy()
    first, again, other = (klom_floor(retrained, 4, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()
    np.testing.assert_array_equal(retrained, before)
    np.testing.assert_array_equal(np.random.get_state()[1], state)


def test_percentiles_are_numpys_by_side_and_those_of_a_floor_the_mean_over_draws():
    told = np.arange(101.0)
    found = klom_percentiles({"forget": told, "test": np.stack([told, told + 2])})
    assert found["forget"] == {"5%": 5.0, "50%": 50.0, "95%": 95.0, "99%": 99.0}
    assert found["test"] == {"5%": 6.0, "50%": 51.0, "95%": 96.0, "99%": 100.0}
    assert klom_percentiles({"forget": [3.0]}, (99.9,)) == {"forget": {"99.9%": 3.0}}


GOOD = np.arange(6.0).reshape(3, 2)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: klom(GOOD, np.zeros((3, 5))), r"unlearned has shape \(3, 2\) and retrained \(3, 5\)"),
        (lambda: klom(np.zeros(3), GOOD), r"unlearned has shape \(3,\)"),
        (lambda: klom(np.zeros((3, 0)), np.zeros((3, 0))), "at least one record"),
        (lambda: klom(GOOD[:1], GOOD), "unlearned holds 1 models, which have no distribution.*up to 1.1 nats"),
        (lambda: klom(GOOD, GOOD[:0]), "retrained holds 0 models"),
        (
            lambda: klom(GOOD, np.where(GOOD == 4, np.nan, GOOD)),
            "retrained is NaN for 1 of 2 records, in 1 of 3 models",
        ),
        (lambda: klom(GOOD, GOOD, bins=2), "bins is 2; give a whole number"),
        (lambda: klom(GOOD, GOOD, bins=4.5), "bins is 4.5"),
        (lambda: klom(GOOD, GOOD, bins=np.inf), "bins is inf"),
        (lambda: klom_floor(GOOD, np.nan), "models is nan"),
        (lambda: klom(GOOD, GOOD, span=(3,)), r"span is \(3,\)"),
        (lambda: klom(GOOD, GOOD, span=(3, 3)), r"span is \(3, 3\)"),
        (lambda: klom(GOOD, GOOD, span=(-np.inf, 3)), "finite and in this order"),
        (lambda: klom(GOOD, GOOD + 0.5, span=(-500, 500)), "all its margins in one bin, of width 50"),
        (lambda: klom(GOOD, GOOD, smoothing=0), "smoothing is 0; give a number above 0"),
        (lambda: klom(GOOD, GOOD, smoothing=np.nan), "smoothing is nan"),
        (lambda: klom_floor(GOOD[:1], 4), "retrained holds 1 models"),
        (lambda: klom_floor(GOOD, 1), "models is 1; give a whole number, at least 2"),
        (lambda: klom_floor(GOOD, 4, draws=0), "draws is 0"),
        (lambda: klom_percentiles({"forget": []}), r"forget has shape \(0,\)"),
        (lambda: klom_percentiles({"test": [np.nan]}), "none of them NaN"),
        (lambda: klom_percentiles({"test": [1.0]}, (5, 101)), "percentages from 0 to 100"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.slow
@pytest.mark.parametrize("models", study_unless([4, 8], [4, 8, 32]))
def test_a_few_records_of_much_wider_spread_lower_the_floor_a_little(models):
    """Drawn to one spread with a fixed weight, equal models exceeded that quantile in .94, .94 and .30 of runs."""
    above = 0
    for seed in range(100):
        rng = np.random.default_rng([seed, models, 1])
        level, spread = 3 * rng.normal(size=300), np.where(rng.random(300) < 0.1, 3.0, 0.1)
        unlearned, retrained = (level + spread * rng.normal(size=(models, 300)) for _ in range(2))
        floor = np.percentile(klom_floor(retrained, models, seed, draws=40), 95, axis=1)
        above += np.percentile(klom(unlearned, retrained), 95) > np.quantile(floor, 0.975)
    assert above <= 0.3 * 100


@pytest.mark.slow
@pytest.mark.parametrize("models", study_unless([3, 8], [3, 8, 32]))
def test_equal_models_exceed_the_97_5_percent_floor_of_the_95th_percentile_in_at_most_10_percent_of_200_runs(models):
    """Heavy-tailed margins whose spread differs from record to record; a test at the floor's own quantile over 40 draws."""
    above = 0
    for seed in range(200):
        rng = np.random.default_rng([seed, models])
        level, spread = 4 * rng.normal(size=(2, 400))
        spread = np.exp(spread / 10)
        unlearned, retrained = (level + spread * rng.standard_t(5, size=(models, 400)) for _ in range(2))
        floor = np.percentile(klom_floor(retrained, models, seed, draws=40), 95, axis=1)
        above += np.percentile(klom(unlearned, retrained), 95) > np.quantile(floor, 0.975)
    assert above <= 0.1 * 200

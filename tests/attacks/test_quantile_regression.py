"""Quantile regression: worlds whose best attack is known, worlds without a leak, and what must not matter."""

import random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import special, stats
from slow_params import study_unless

from privacy_callbacks.attacks.attack import Attack, AttackContext, Signals
from privacy_callbacks.attacks.auc import auc, auc_value
from privacy_callbacks.attacks.fold_networks import LEVELS
from privacy_callbacks.attacks.quantile_regression import QuantileRegression, quantile_regression_scores
from privacy_callbacks.attacks.quantile_regressor import normal_position
from privacy_callbacks.attacks.roc import RocCurve

HEADS = ("gaussian", "pinball")
BOTH = pytest.mark.parametrize("head", HEADS)


class World:
    """signal = hardness(x) + scale(x)·(noise + gain·member); the best attack is (signal − hardness)/scale."""

    def __init__(self, gain=1.0, population=1_000, width=6, records=2_000, seed=0, useless=False):
        rng = np.random.default_rng([seed, 0x0E])
        total = 2 * records + population
        x = rng.normal(size=(total, width))
        self.hardness = 2 * x[:, 0] + x[:, 1] ** 2
        scale = np.exp(0.6 * x[:, 2])
        member = np.arange(total) < records
        signal = self.hardness + scale * (rng.normal(size=total) + gain * member)
        if useless:
            x = rng.normal(size=x.shape)
        judged = slice(0, 2 * records)
        self.truth = member[judged]
        self.signal, self.features = signal[judged], x[judged]
        self.population = signal[2 * records :], x[2 * records :]

    def scores(self, head, seed=0):
        return quantile_regression_scores(self.signal, self.features, *self.population, head, seed)

    def auc_of(self, scores):
        return auc_value(scores, self.truth)


@pytest.fixture(scope="module")
def world():
    return World(population=250, records=600)


@pytest.fixture(scope="module")
def scores(world):
    return {head: world.scores(head) for head in HEADS}


@BOTH
def test_where_hardness_is_explained_the_auc_nears_the_closed_form(head):
    """Two normals one standard deviation apart: AUC = Φ(1/√2) = .760."""
    large = World()
    reached, ideal = large.auc_of(large.scores(head)), stats.norm.cdf(1 / np.sqrt(2))
    assert ideal - 0.04 < reached < ideal + 0.02
    assert reached > large.auc_of(large.signal) + 0.1


@BOTH
@pytest.mark.parametrize(("population", "width"), [(300, 6), (500, 200)])
def test_a_small_population_or_wide_records_leave_most_of_the_gain(head, population, width):
    small = World(population=population, width=width)
    assert small.auc_of(small.scores(head)) > small.auc_of(small.signal) + 0.03


@BOTH
def test_without_leakage_the_interval_covers_one_half(head):
    """Nominal 95 %: of 8 intervals two or more miss in 6 % of runs, three or more in .6 %."""
    covered = 0
    for seed in range(8):
        null = World(gain=0.0, population=200, records=500, seed=seed)
        estimate = auc(RocCurve.from_scores(null.scores(head, seed), null.truth))
        covered += estimate.low <= 0.5 <= estimate.high
    assert covered >= 6


@BOTH
@pytest.mark.parametrize("width", [3, 100])
def test_useless_features_cost_next_to_nothing(head, width):
    for seed, population in enumerate((60, 300, 600)):
        useless = World(population=population, width=width, seed=seed, useless=True)
        assert useless.auc_of(useless.scores(head)) > useless.auc_of(useless.signal) - 0.01


@BOTH
def test_a_record_not_trained_on_scores_as_a_standard_normal_whatever_its_features(head):
    """Checked on all, on those with large scale, on the hard ones."""
    large = World(population=600, records=1_000)
    values, features = large.scores(head)[~large.truth], large.features[~large.truth]
    for part in (values, values[features[:, 2] > 0], values[features[:, 0] > 0]):
        assert np.mean(part) == pytest.approx(0, abs=0.2)
        assert np.mean(part <= 0) == pytest.approx(0.5, abs=0.08)
        assert np.mean(np.abs(part) < 1) == pytest.approx(0.683, abs=0.1)


def test_without_features_the_gaussian_head_standardises():
    rng = np.random.default_rng(0)
    population, signal = rng.normal(3, 2, 200), rng.normal(size=50)
    ours = quantile_regression_scores(signal, np.ones((50, 1)), population, np.ones((200, 1)))
    np.testing.assert_allclose(ours, (signal - population.mean()) / population.std(), rtol=1e-9)


def test_without_features_the_pinball_head_gives_the_normal_score_of_the_populations_quantiles():
    population = np.random.default_rng(0).gamma(2, size=400)
    none = np.zeros((len(LEVELS), 0)), np.zeros((400, 0))
    ours = quantile_regression_scores(np.quantile(population, LEVELS), none[0], population, none[1], "pinball")
    np.testing.assert_allclose(ours, special.ndtri(LEVELS), atol=1e-9)


@given(st.floats(-1e6, 1e6), st.floats(-100, 100), st.floats(0.01, 100))
def test_the_position_among_a_normals_quantiles_is_the_standardised_value(value, mean, spread):
    quantiles = mean + spread * special.ndtri(LEVELS)
    np.testing.assert_allclose(
        normal_position(np.array([value]), quantiles[None]), [(value - mean) / spread], rtol=1e-6, atol=1e-9
    )


@given(st.lists(st.floats(1e-3, 10), min_size=12, max_size=12), st.lists(st.floats(-200, 200), min_size=2, max_size=20))
def test_the_position_increases_strictly_within_and_beyond_the_quantiles(gaps, values):
    quantiles = np.cumsum([0.0, *gaps])
    values = np.unique(np.round(np.concatenate([values, quantiles]), 3))
    assert (np.diff(normal_position(values, np.tile(quantiles, (len(values), 1)))) > 0).all()


@BOTH
def test_of_the_same_record_a_higher_signal_scores_higher(head, world):
    signal = np.concatenate([[-np.inf, -1e300, -1e9], np.linspace(-40, 40, 200), [1e9, 1e300, np.inf]])
    records = np.repeat(world.features[:9], len(signal), axis=0)
    ours = quantile_regression_scores(np.tile(signal, 9), records, *world.population, head).reshape(9, -1)
    assert (np.diff(ours, axis=1) > 0).all()
    assert np.isfinite(ours[:, 1:-1]).all()


@BOTH
def test_infinite_signals_are_ordinary_extremes(head, world):
    signal, population = world.signal.copy(), world.population[0].copy()
    signal[:3], signal[3:6], population[:5], population[5:10] = np.inf, -np.inf, np.inf, -np.inf
    ours = quantile_regression_scores(signal, world.features, population, world.population[1], head)
    assert not np.isnan(ours).any()
    assert (ours[:3] >= ours.max()).all()
    assert (ours[3:6] <= ours.min()).all()
    assert np.isfinite(ours[6:]).all()
    assert world.auc_of(ours) > world.auc_of(signal) + 0.05


@BOTH
@pytest.mark.parametrize("value", [0.0, 3.0, -1e308, np.inf, -np.inf])
def test_a_population_that_always_answers_alike_leaves_the_order_of_the_signal(head, value):
    rng = np.random.default_rng(0)
    signal = np.sort(rng.normal(size=30))
    ours = quantile_regression_scores(
        signal, rng.normal(size=(30, 2)), np.full(60, value), rng.normal(size=(60, 2)), head
    )
    assert np.isfinite(ours).all()
    assert (np.diff(ours) >= 0).all()


@BOTH
def test_a_signal_of_two_values_is_learned_from(head):
    """`correct`: a right answer says more of a record on which others are mostly wrong."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(500, 2))
    correct = (rng.random(500) < special.expit(2 * x[:, 0])).astype(float)
    probe = np.array([[2.0, 0], [-2.0, 0], [-2.0, 0]])
    right_on_easy, right_on_hard, wrong_on_hard = quantile_regression_scores([1, 1, 0], probe, correct, x, head)
    assert right_on_hard > right_on_easy
    assert right_on_hard > wrong_on_hard


@BOTH
@pytest.mark.parametrize("far", [1e6, 1e300])
def test_outliers_of_the_population_do_not_spoil_the_fit(head, far, world, scores):
    population = world.population[0].copy()
    population[::100] *= far
    ours = quantile_regression_scores(world.signal, world.features, population, world.population[1], head)
    assert world.auc_of(ours) > world.auc_of(scores[head]) - 0.05


@BOTH
def test_equal_records_score_equally_wherever_they_stand(head, world):
    rows = np.random.default_rng(0).integers(0, 40, 3_000)
    wide = World(width=100, records=20)
    for known in (world, wide):
        ours = quantile_regression_scores(known.signal[rows], known.features[rows], *known.population, head)
        np.testing.assert_array_equal(ours, ours[np.unique(rows, return_index=True)[1]][rows])


@BOTH
def test_the_other_judged_records_and_their_order_do_not_matter(head, world, scores):
    order = np.random.default_rng(0).permutation(len(world.signal))
    permuted = quantile_regression_scores(world.signal[order], world.features[order], *world.population, head)
    np.testing.assert_array_equal(permuted, scores[head][order])
    alone = quantile_regression_scores(world.signal[:7], world.features[:7], *world.population, head)
    np.testing.assert_array_equal(alone, scores[head][:7])
    none = quantile_regression_scores(world.signal[:0], world.features[:0], *world.population, head)
    assert none.shape == (0,)


@BOTH
def test_the_seed_decides_and_hardly_matters(head, world, scores):
    np.testing.assert_array_equal(world.scores(head), scores[head])
    other = world.scores(head, seed=1)
    assert (other != scores[head]).any()
    assert stats.spearmanr(other, scores[head]).statistic > 0.95


@BOTH
def test_units_do_not_matter(head, world, scores):
    """Powers of two, so that not even a bit changes; constant columns are not seen."""
    population, features = world.population
    powers = 2.0 ** np.array([-900, 900, 0, 3, -3, 500])

    def rescaled(columns):
        return np.concatenate([columns * powers, np.full((len(columns), 2), 1e300)], axis=1)

    ours = quantile_regression_scores(
        world.signal * 1024, rescaled(world.features), population * 1024, rescaled(features), head
    )
    np.testing.assert_array_equal(ours, scores[head])


@BOTH
@pytest.mark.parametrize("width", [784, 9_000])
def test_wide_records_are_seen_through_a_few_directions(head, width):
    """Images and their labels: the label, last, tells how hard a record is, and one column among many how uncertain."""
    rng = np.random.default_rng(0)
    records, population = 300, 200
    x = rng.integers(0, 256, (2 * records + population, width)).astype(np.uint8)
    label = rng.integers(0, 4, len(x))
    x[:, -4:] = np.eye(4, dtype=np.uint8)[label]
    member = np.arange(len(x)) < records
    signal = 3 * label + rng.normal(size=len(x)) + member
    judged, others = slice(0, 2 * records), slice(2 * records, None)
    ours = quantile_regression_scores(signal[judged], x[judged], signal[others], x[others], head)
    assert np.isfinite(ours).all()
    assert auc_value(ours, member[judged]) > auc_value(signal[judged], member[judged]) + 0.06


@BOTH
def test_records_unlike_any_of_the_population_get_a_finite_score(head, world):
    strange = np.array([[1e308] * 6, [-1e308] * 6, [1e-308] * 6, [1e4, -1e4] * 3])
    assert np.isfinite(quantile_regression_scores(np.zeros(4), strange, *world.population, head)).all()


@BOTH
def test_inputs_and_the_worlds_random_states_stay_as_they_are(head):
    import tensorflow as tf

    small = World(population=100, records=50)
    given = [small.signal, small.features, *small.population]
    before = [array.copy() for array in given]
    for array in given:
        array.flags.writeable = False
    for_numpy, for_python = np.random.get_state(), random.getstate()
    tf.random.set_seed(3)
    expected = [tf.random.uniform([2]).numpy() for _ in range(2)]
    tf.random.set_seed(3)
    drawn = [tf.random.uniform([2]).numpy()]
    quantile_regression_scores(*given, head)
    drawn.append(tf.random.uniform([2]).numpy())
    np.testing.assert_array_equal(drawn, expected)
    assert random.getstate() == for_python
    np.testing.assert_array_equal(np.random.get_state()[1], for_numpy[1])
    assert np.random.get_state()[2:] == for_numpy[2:]
    for array, copy in zip(given, before, strict=True):
        np.testing.assert_array_equal(array, copy)


ONES = np.ones((50, 2))


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"head": "huber"}, "head is 'huber'; give 'gaussian' or 'pinball'"),
        ({"signal": [np.nan, 1.0]}, "^signal is NaN for 1 of 2 records"),
        ({"population_signal": [np.nan] * 50}, "population_signal is NaN for 50 of 50 records"),
        ({"features": [[1.0, np.nan], [1, 1]]}, "^features holds values that are not finite"),
        ({"population_features": ONES * np.inf}, "population_features holds values that are not finite"),
        ({"population_features": ONES.astype(str)}, "not finite numbers"),
        ({"features": [[1.0], [1.0]]}, "features has 1 columns, population_features 2"),
        ({"features": [1.0, 1.0]}, r"signal has shape \(2,\) and features \(2,\)"),
        ({"signal": [1.0]}, r"signal has shape \(1,\) and features \(2, 2\)"),
        ({"signal": [[1.0], [1.0]]}, r"signal has shape \(2, 1\)"),
        ({"population_signal": np.ones(49)}, r"population_signal has shape \(49,\) and population_features \(50, 2\)"),
        (
            {"population_signal": np.ones(39), "population_features": ONES[:39]},
            "the population has 39 records.* least 40",
        ),
    ],
)
def test_what_cannot_be_learned_from_is_refused(changes, reason):
    arguments = {
        "signal": [1.0, 2.0],
        "features": np.ones((2, 2)),
        "population_signal": np.arange(50.0),
        "population_features": ONES,
    }
    with pytest.raises(ValueError, match=reason):
        quantile_regression_scores(**(arguments | changes))


def in_context(small, **changes):
    signals = Signals({"scaled_logit": small.signal[:, None]}, features=small.features)
    population = Signals({"scaled_logit": small.population[0][:, None]}, features=small.population[1])
    return signals, AttackContext(**({"population": population, "seed": 5} | changes))


@BOTH
def test_the_attack_is_its_formula(head):
    small = World(population=200, records=100)
    attack = QuantileRegression(head=head)
    assert isinstance(attack, Attack)
    assert (attack.name, attack.signals, attack.needs_population, attack.needs_inputs) == (
        "quantile_regression",
        ("scaled_logit",),
        True,
        True,
    )
    signals, context = in_context(small)
    np.testing.assert_array_equal(attack.fit(context).score(signals), small.scores(head, seed=5))


def test_the_attack_averages_a_records_queries():
    small = World(population=200, records=100)
    shift = np.array([-1.0, 1.0])
    signals = Signals({"scaled_logit": small.signal[:, None] + shift}, features=small.features)
    population = Signals({"scaled_logit": small.population[0][:, None] + shift}, features=small.population[1])
    fitted = QuantileRegression().fit(AttackContext(population=population))
    np.testing.assert_allclose(fitted.score(signals), small.scores("gaussian"), atol=1e-3)


def test_the_attack_says_what_it_lacks():
    small = World(population=200, records=20)
    signals, context = in_context(small)
    bare = Signals({"scaled_logit": small.signal[:, None]})
    with pytest.raises(ValueError, match="give some with population="):
        QuantileRegression().fit(AttackContext())
    with pytest.raises(ValueError, match="stand without features"):
        QuantileRegression().fit(AttackContext(population=bare))
    fitted = QuantileRegression().fit(context)
    with pytest.raises(ValueError, match="stand without features"):
        fitted.score(bare)
    with pytest.raises(ValueError, match="features has 5 columns, population_features 6"):
        fitted.score(signals.beside(features=small.features[:, :5]))
    with pytest.raises(ValueError, match="not a signal"):
        QuantileRegression("surprise")
    with pytest.raises(ValueError, match="head is 'median'"):
        QuantileRegression(head="median")
    with pytest.raises(ValueError, match="folder and a log key"):
        QuantileRegression(name="a b")


@pytest.mark.slow
@pytest.mark.parametrize("head", study_unless(["gaussian"], ["gaussian", "pinball"]))
def test_in_many_worlds_useless_features_cost_nothing_and_no_leak_is_invented(head):
    lost, covered, runs = [], 0, 0
    for population in (40, 100, 300, 1_000, 2_000):
        for seed in range(12):
            width = (3, 40, 200)[seed % 3]
            useless = World(population=population, width=width, records=1_000, seed=seed, useless=True)
            lost.append(useless.auc_of(useless.signal) - useless.auc_of(useless.scores(head, seed)))
            null = World(gain=0.0, population=population, width=width, records=500, seed=seed)
            estimate = auc(RocCurve.from_scores(null.scores(head, seed), null.truth))
            covered, runs = covered + (estimate.low <= 0.5 <= estimate.high), runs + 1
    assert np.mean(lost) < 0.002
    assert np.quantile(lost, 0.95) < 0.01
    assert covered / runs > 0.85  # 60 intervals at nominal .95: that low in one run of 300

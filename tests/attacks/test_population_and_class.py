"""Ranks among records that no model trained on, and thresholds of each class."""

import numpy as np
import pytest
from gaussian_world import GaussianWorld

from privacy_callbacks.attacks import (
    AttackContext,
    AttackP,
    LeakageReport,
    Signals,
    Threshold,
    attack_p_scores,
    cross_fitted,
)
from privacy_callbacks.attacks.class_scales import ClassScales


def test_the_rank_among_the_population_counts_ties_by_half():
    found = attack_p_scores([-1.0, 2.0, 2.5, 9.0, np.inf], [1.0, 2.0, 2.0, 3.0])
    np.testing.assert_allclose(found, np.array([0.5, 2.5, 3.5, 4.5, 4.5]) / 5)


def test_the_score_is_one_minus_a_false_positive_rate():
    rng = np.random.default_rng(0)
    found = attack_p_scores(rng.normal(size=20_000), rng.normal(size=5_000))
    for rate in (0.1, 0.01):
        assert (found >= 1 - rate).mean() == pytest.approx(rate, rel=0.3)


@pytest.mark.parametrize(
    ("target", "population", "message"),
    [
        ([[1.0]], [1.0], "give one number a record"),
        ([1.0], [], "give one number a record"),
        ([np.nan], [1.0], "is NaN"),
    ],
)
def test_what_cannot_be_ranked_is_refused(target, population, message):
    with pytest.raises(ValueError, match=message):
        attack_p_scores(target, population)


def class_world(count=2_000, seed=0):
    """Classes lie much farther apart than members from non-members."""
    rng = np.random.default_rng(seed)
    values, is_member = GaussianWorld(1.0).draw(count, count, rng)
    labels = rng.integers(0, 4, 2 * count)
    scale = np.array([1.0, 1.0, 3.0, 0.1])[labels]
    return Signals({"loss": (scale * values + 100 * labels)[:, None]}, labels=labels), is_member


def test_a_threshold_a_class_finds_what_one_for_all_cannot():
    signals, is_member = class_world()
    plain = LeakageReport.from_scores(Threshold().score(signals), is_member).auc
    found = cross_fitted(Threshold(per_class=True), signals, is_member)
    own = LeakageReport.from_scores(found.values, is_member, folds=found.fold).auc
    assert plain < 0.6
    assert float(own) == pytest.approx(GaussianWorld(1.0).auc, abs=0.02)


def test_ranks_a_class_do_so_too():
    signals, is_member = class_world()
    population, _ = class_world(seed=1)
    attack = AttackP(per_class=True).fit(AttackContext(population.of(~is_member)))
    auc = LeakageReport.from_scores(attack.score(signals), is_member).auc
    assert float(auc) == pytest.approx(GaussianWorld(1.0).auc, abs=0.02)


def test_a_class_with_few_known_records_takes_the_statistics_of_all():
    signals, is_member = class_world(100)
    labels = np.where(np.arange(200) == 0, 77, 0)
    found = cross_fitted(Threshold(per_class=True), signals.beside(labels=labels), is_member)
    assert np.isfinite(found.values).all()
    population = signals.of(~is_member).beside(labels=np.full(100, 5))
    ranks = AttackP(per_class=True).fit(AttackContext(population)).score(signals.beside(labels=labels))
    np.testing.assert_array_equal(ranks, attack_p_scores(signals["loss"][:, 0], population["loss"][:, 0]))


@pytest.mark.parametrize("side", [np.inf, -np.inf])
def test_infinite_losses_do_not_spread(side):
    signals, is_member = class_world(200)
    values = signals["loss"].copy()
    values[::7] = side
    found = cross_fitted(Threshold(per_class=True), Signals({"loss": values}, labels=signals.labels), is_member)
    assert not np.isnan(found.values).any()
    np.testing.assert_array_equal(np.isinf(found.values), np.isinf(values[:, 0]))


def test_a_constant_signal_ties():
    signals, is_member = class_world(50)
    constant = Signals({"loss": np.ones((100, 1))}, labels=signals.labels)
    assert set(cross_fitted(Threshold(per_class=True), constant, is_member).values) == {0.0}


def test_without_classes_it_says_so():
    signals = Signals({"loss": np.zeros((100, 1))})
    with pytest.raises(ValueError, match="no single class each, so no threshold a class"):
        cross_fitted(Threshold(per_class=True), signals, np.arange(100) < 50)
    with pytest.raises(ValueError, match="no single class each, so no ranks a class"):
        AttackP(per_class=True).fit(AttackContext(signals))


def test_names():
    assert Threshold("margin", per_class=True).name == "margin_per_class"
    assert Threshold("margin", "mine", True).name == "mine"


def test_middle_and_spread_of_a_class_by_hand():
    members, nonmembers = np.arange(9.0) * 2, np.arange(9.0) - 4
    signals = Signals({"loss": np.concatenate([members, nonmembers])[:, None]}, labels=np.zeros(18, int))
    scales = ClassScales.of("loss", signals, np.arange(18) < 9)
    assert scales.scales[0] == ((8 + 0) / 2, (8 + 4) / 2)

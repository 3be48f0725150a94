"""The smaller attacks on shadow models, their noun, and who trains on what."""

import numpy as np
import pytest
from gaussian_world import GaussianWorld
from scipy import special
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.svm import SVC

from privacy_callbacks.attacks import (
    AttackContext,
    LeakageReport,
    ShadowClassifier,
    ShadowSignals,
    Signals,
    attack_r_scores,
    balanced_assignment,
    difficulty_calibration_scores,
)
from privacy_callbacks.attacks.shadow_assignment import complement_of


def small(seed=0):
    rng = np.random.default_rng(seed)
    halves = rng.random((3, 10)) < 0.5
    return rng.normal(size=10), rng.normal(size=(6, 10)).round(1), np.concatenate([halves, ~halves])


def auc(scores, is_member):
    return float(LeakageReport.from_scores(scores, is_member).auc)


def test_attack_r_is_the_rank_among_out_models():
    target, shadow, trained_on = small()
    target = target.round(1)
    for n in range(10):
        out = shadow[~trained_on[:, n], n]
        expected = (np.sum(out < target[n]) + 0.5 * np.sum(out == target[n]) + 0.5) / (len(out) + 1)
        assert attack_r_scores(target, shadow, trained_on)[n] == pytest.approx(expected)


def test_attack_r_of_non_members_is_uniform():
    """Its score is one minus a p-value: mean ½, variance 1/12 (less the rank's coarseness)."""
    rng = np.random.default_rng(0)
    scores = attack_r_scores(rng.normal(size=20_000), rng.normal(size=(19, 20_000)), np.zeros((19, 20_000)))
    assert scores.mean() == pytest.approx(0.5, abs=0.01)
    assert scores.var() == pytest.approx(1 / 12, abs=0.005)


def test_attack_r_takes_infinite_signals_as_extremes():
    ones = np.zeros((3, 3))
    scores = attack_r_scores([-np.inf, 0, np.inf], [[0, 0, np.inf]] * 3, ones)
    np.testing.assert_allclose(scores, [0.5 / 4, 0.5, 0.5])


def test_calibration_reaches_its_closed_form():
    """φ − mean OUT: noise 1 + 1/M_OUT, the hardness gone."""
    world = GaussianWorld(1.0, 5.0)
    values, is_member, shadow, trained_on = world.draw_with_shadows(20_000, 20_000, 8, np.random.default_rng(0))
    out = (~trained_on).sum(axis=0)
    expected = np.mean(special.ndtr(1 / np.sqrt(2 * (1 + 1 / out))))
    assert auc(difficulty_calibration_scores(values, shadow, trained_on), is_member) == pytest.approx(
        expected, abs=0.01
    )


@pytest.mark.parametrize("scores", [attack_r_scores, difficulty_calibration_scores])
def test_a_record_that_every_model_trained_on_is_masked(scores):
    target, shadow, trained_on = small()
    trained_on[:, 4] = True
    assert np.flatnonzero(np.isnan(scores(target, shadow, trained_on))).tolist() == [4]


@pytest.mark.parametrize("classifier", [None, RandomForestClassifier(20), SVC(), SVC(kernel="linear")])
def test_a_shadow_classifier_learns_from_shadow_models_alone(classifier):
    values, is_member, shadow, trained_on = GaussianWorld(2.0).draw_with_shadows(500, 500, 4, np.random.default_rng(0))
    features = ("loss", "margin")
    signals = Signals(dict.fromkeys(features, values[:, None]))
    shadows = ShadowSignals(dict.fromkeys(features, shadow[:, :, None]), trained_on)
    attack = ShadowClassifier(classifier, features, max_rows=1_000)
    one, two = (attack.fit(AttackContext(seed=3, shadows=shadows)).score(signals) for _ in range(2))
    np.testing.assert_array_equal(one, two)  # whatever is random in the classifier hangs on the audit's seed
    assert auc(one, is_member) > 0.8
    assert classifier is None or not hasattr(classifier, "classes_")  # the user's object is not fitted


def test_a_shadow_classifier_learns_from_no_more_rows_than_it_may():
    class Counting(LogisticRegression):
        def fit(self, rows, truth):
            seen.append((len(rows), int(truth.sum())))
            return super().fit(rows, truth)

    seen = []
    _, _, shadow, trained_on = GaussianWorld(2.0).draw_with_shadows(100, 100, 8, np.random.default_rng(0))
    shadows = ShadowSignals({"loss": shadow[:, :, None]}, trained_on)
    ShadowClassifier(Counting(), ("loss",), max_rows=300).fit(AttackContext(shadows=shadows))
    assert seen == [(300, 150)]


def test_a_shadow_classifier_bears_infinite_features():
    _, shadow, trained_on = small()
    shadow[0, 0] = -np.inf
    shadows = ShadowSignals({"loss": shadow[:, :, None]}, trained_on)
    fitted = ShadowClassifier(features=("loss",)).fit(AttackContext(shadows=shadows))
    scores = fitted.score(Signals({"loss": [[-np.inf], [0.0], [np.inf]]}))
    assert np.isfinite(scores).all()


def test_a_shadow_classifier_needs_both_sides():
    shadows = ShadowSignals({"loss": np.zeros((2, 5, 1))}, np.ones((2, 5)))
    with pytest.raises(ValueError, match="on all audited records or on none"):
        ShadowClassifier(features=("loss",)).fit(AttackContext(shadows=shadows))


@pytest.mark.parametrize("records", [2, 7, 100])
@pytest.mark.parametrize("models", [2, 16])
def test_every_record_is_in_for_exactly_half_of_the_models(records, models):
    trained_on = balanced_assignment(models, records, seed=3)
    assert (trained_on.sum(axis=0) == models // 2).all()
    assert set(trained_on.sum(axis=1)) <= {records // 2, -(-records // 2)}
    np.testing.assert_array_equal(trained_on[::2], ~trained_on[1::2])
    np.testing.assert_array_equal(trained_on, balanced_assignment(models, records, seed=3))
    assert records == 2 or (trained_on != balanced_assignment(models, records, seed=4)).any()
    assert [complement_of(trained_on, model) for model in range(2)] == [1, 0] or records == 2


@pytest.mark.parametrize("seed", [0, 1, 2, 42])
def test_no_half_is_the_one_a_user_draws_from_the_same_seed(seed):
    """NumPy drops trailing zeros of a seed: default_rng([seed, 0]) would be default_rng(seed)."""
    trained_on = balanced_assignment(16, 50, seed)
    for users in ([seed], [seed, 0], [seed, 1], seed):
        half = np.zeros(50, bool)
        half[np.random.default_rng(users).permutation(50)[:25]] = True
        assert not (trained_on == half).all(axis=1).any()


def test_records_of_one_owner_go_together():
    owners = np.random.default_rng(0).integers(0, 40, 1_000).astype(str)
    trained_on = balanced_assignment(8, 1_000, groups=owners)
    for owner in np.unique(owners):
        assert (trained_on[:, owners == owner] == trained_on[:, owners == owner][:, :1]).all()
    assert (trained_on.sum(axis=0) == 4).all()
    assert abs(trained_on.sum(axis=1) - 500).max() < 30


def test_one_large_owner_never_leaves_a_side_empty():
    trained_on = balanced_assignment(4, 100, groups=[0] * 99 + [1])
    assert set(trained_on.sum(axis=1)) == {1, 99}


def test_every_pair_of_records_is_parted_about_half_of_the_time():
    trained_on = balanced_assignment(400, 6).astype(float)[::2]
    together = np.corrcoef(trained_on.T)[np.triu_indices(6, 1)]
    # Exactly three of six: correlation −1/5; its standard error over 200 draws is .07.
    np.testing.assert_allclose(together, -0.2, atol=0.25)
    assert together.mean() == pytest.approx(-0.2, abs=0.01)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((3, 10), "num_models is 3; give an even number"),
        ((0, 10), "num_models is 0"),
        ((2, 1), "the pool holds 1 record"),
        ((2, 4, 0, [1, 1, 1, 1]), "the pool holds 1 group"),
        ((2, 4, 0, [1, 2]), r"groups has shape \(2,\) for 4 records"),
    ],
)
def test_an_assignment_that_cannot_be_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        balanced_assignment(*arguments)


def test_shadow_signals_keep_their_shapes_and_are_read_only():
    given = np.zeros((4, 5, 2))
    signals = ShadowSignals({"loss": given}, np.eye(4, 5), {"loss": np.zeros((4, 9, 2))})
    given[:] = 1
    assert signals["loss"].sum() == 0
    assert signals["loss"].dtype == np.float32
    with pytest.raises(ValueError, match="read-only"):
        signals["loss"][0] = 1
    some = signals.of_models([1, 3]).with_warnings(("careful",))
    assert (some.num_models, some.population["loss"].shape, some.warnings) == (2, (2, 9, 2), ("careful",))
    assert "4 models × 5 records × 2 queries" in repr(signals)


@pytest.mark.parametrize(
    ("values", "trained_on", "population", "message"),
    [
        ({}, np.zeros((1, 1)), None, "values is empty"),
        ({"loss": np.zeros((2, 3))}, np.zeros((2, 3)), None, r"\(shadow models, records, queries\)"),
        ({"loss": np.zeros((2, 3, 1))}, np.zeros((3, 2)), None, "give one row per shadow model"),
        ({"loss": np.zeros((2, 3, 1))}, np.zeros((2, 3)), {"loss": np.zeros((1, 3, 1))}, "each of the 2 shadow models"),
    ],
)
def test_shadow_signals_that_do_not_fit_are_refused(values, trained_on, population, message):
    with pytest.raises(ValueError, match=message):
        ShadowSignals(values, trained_on, population)

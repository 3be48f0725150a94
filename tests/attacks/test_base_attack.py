"""BASE against its definition, against RMIA where both are the same, and in worlds with a closed form."""

import numpy as np
import pytest
from gaussian_world import GaussianWorld
from scipy import special

from privacy_callbacks.attacks import (
    BASE,
    AttackContext,
    LeakageReport,
    ShadowSignals,
    Signals,
    base_scores,
    rmia_scores,
)


def small(models=6, records=20, seed=0):
    """Log-probabilities; every record is IN for exactly half of the models."""
    rng = np.random.default_rng(seed)
    halves = rng.random((models // 2, records)) < 0.5
    trained_on = np.stack([halves, ~halves], axis=1).reshape(models, -1)
    log_p = lambda *shape: special.log_expit(2 * rng.normal(size=shape))  # noqa: E731
    return log_p(records), log_p(models, records), trained_on


@pytest.mark.parametrize(("mode", "scale"), [("online", 1.0), ("offline", 1.0), ("offline", 0.33), ("offline", 0.0)])
def test_it_is_what_the_definition_says(mode, scale):
    target, shadow, trained_on = small()
    trained_on[0, :5] = True  # unequal numbers of models, too
    for n in range(len(target)):
        taking_part = shadow[:, n] if mode == "online" else shadow[~trained_on[:, n], n]
        expected = target[n] - scale * np.log(np.mean(np.exp(taking_part)))
        assert base_scores(target, shadow, trained_on, mode, scale)[n] == pytest.approx(expected)


def test_offline_it_is_rmia_with_a_of_one():
    arrays = small()
    np.testing.assert_allclose(base_scores(*arrays, "offline"), rmia_scores(*arrays, a=1.0), rtol=1e-9)


def test_online_it_is_rmia_where_sides_have_equally_many_models():
    target, shadow, trained_on = small()
    expected = rmia_scores(target, shadow, trained_on, mode="online")
    np.testing.assert_allclose(base_scores(target, shadow, trained_on), expected, rtol=1e-9)
    trained_on[0] = True
    expected = rmia_scores(target, shadow, trained_on, mode="online")
    assert not np.allclose(base_scores(target, shadow, trained_on), expected, rtol=1e-3)


def test_with_one_model_it_is_the_difference_of_log_likelihoods():
    scores = base_scores([-1.0, -2.0], [[-1.5, -0.5]], [[False, False]], "offline")
    np.testing.assert_allclose(scores, [0.5, -1.5])


@pytest.mark.parametrize("shift", [-5_000.0, 5_000.0])
def test_densities_of_any_size_will_do(shift):
    """A loss is known up to a constant; exp of it would overflow or vanish."""
    target, shadow, trained_on = small()
    for mode in ("online", "offline"):
        there = base_scores(target + shift, shadow + shift, trained_on, mode)
        np.testing.assert_allclose(there, base_scores(target, shadow, trained_on, mode), rtol=1e-6, atol=1e-9)


def test_the_gaussian_log_mean_is_reached():
    """log E exp(N(μ, σ²)) = μ + σ²/2: over very many OUT models that is what a record's likelihood is compared with."""
    rng = np.random.default_rng(0)
    level = np.array([-3.0, 0.0, 2.0])
    shadow = level + 0.5 * rng.normal(size=(200_000, 3))
    scores = base_scores([0.0, 0.0, 0.0], shadow, np.zeros(shadow.shape, bool), "offline")
    np.testing.assert_allclose(scores, -level - 0.125, atol=0.005)


def test_in_the_gaussian_world_it_reaches_an_ideal_attackers_auc():
    """Offline with many models the record's level is known but for its log-mean's error, so Φ(gain / √2)."""
    world = GaussianWorld(1.0, 3.0)
    values, is_member, shadow, trained_on = world.draw_with_shadows(4_000, 4_000, 256, np.random.default_rng(1))
    for mode in ("online", "offline"):
        scores = base_scores(values, shadow, trained_on, mode)
        auc = float(LeakageReport.from_scores(scores, is_member).auc)
        assert auc == pytest.approx(world.ideal_auc, abs=0.02)


def test_queries_are_averaged():
    rng = np.random.default_rng(2)
    target, shadow = -rng.random((5, 2)), -rng.random((4, 5, 2))
    trained_on = np.tile([[True], [False]], (2, 5))
    alone = [base_scores(target[:, q], shadow[:, :, q], trained_on) for q in (0, 1)]
    np.testing.assert_allclose(base_scores(target, shadow, trained_on), np.mean(alone, axis=0))


def test_records_that_lack_a_side_are_masked_and_no_others():
    target, shadow, trained_on = small()
    whole = {mode: base_scores(target, shadow, trained_on, mode) for mode in ("online", "offline")}
    trained_on[:, 3], trained_on[:, 5] = True, False
    for mode, missing in (("online", [3, 5]), ("offline", [3])):
        ours = base_scores(target, shadow, trained_on, mode)
        assert np.flatnonzero(np.isnan(ours)).tolist() == missing
        kept = np.setdiff1d(np.arange(len(target)), [3, 5])
        np.testing.assert_array_equal(ours[kept], whole[mode][kept])


def test_a_probability_of_zero_is_an_extreme_not_nan():
    shadow, never = np.array([[-np.inf, -1.0, -np.inf], [-np.inf, -1.0, -2.0]]), np.zeros((2, 3), bool)
    scores = base_scores([-np.inf, -np.inf, -1.0], shadow, never, "offline")
    np.testing.assert_allclose(scores, [0.0, -np.inf, 1.0 + np.log(2)])


@pytest.mark.parametrize("signal", ["confidence", "confidence_t2", "loss"])
def test_the_attack_scores_what_the_function_scores(signal):
    target, shadow, trained_on = small()
    shadows = ShadowSignals({signal: shadow[:, :, None]}, trained_on)
    fitted = BASE(signal, mode="offline", scale=0.5).fit(AttackContext(shadows=shadows))
    expected = base_scores(target, shadow.astype(np.float32), trained_on, "offline", 0.5)
    np.testing.assert_array_equal(fitted.score(Signals({signal: target[:, None]})), expected)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mode": "both"}, "mode is 'both'; give one of 'online', 'offline'"),
        ({"scale": 1.5, "mode": "offline"}, r"scale is 1.5 with mode 'offline'; give a number in \[0, 1\] offline"),
        ({"scale": 0.5}, "scale is 0.5 with mode 'online'"),
        ({"scale": np.nan, "mode": "offline"}, "scale is nan"),
    ],
)
def test_options_that_do_not_fit_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        base_scores(*small(), **options)
    with pytest.raises(ValueError, match=message):
        BASE(**options)


def test_arrays_that_do_not_fit_are_refused():
    target, shadow, trained_on = small()
    with pytest.raises(ValueError, match="give one row per shadow model"):
        base_scores(target, shadow, trained_on.T)
    with pytest.raises(ValueError, match=r"a log-likelihood is \+inf"):
        base_scores(np.where(target < -1, np.inf, target), shadow, trained_on)
    with pytest.raises(ValueError, match="target holds 20 values that are NaN"):
        base_scores(target * np.nan, shadow, trained_on)

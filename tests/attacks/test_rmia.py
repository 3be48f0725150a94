"""RMIA against its definition, and the traps that published code falls into."""

import numpy as np
import pytest
from scipy import special

from privacy_callbacks.attacks import (
    RMIA,
    AttackContext,
    LeakageReport,
    ShadowSignals,
    Signals,
    lira_scores,
    rmia_scores,
    tune_rmia,
)


def small(models=6, records=20, population=30, seed=0):
    rng = np.random.default_rng(seed)
    halves = rng.random((models // 2, records)) < 0.5
    trained_on = np.stack([halves, ~halves], axis=1).reshape(models, -1)
    log_p = lambda *shape: special.log_expit(2 * rng.normal(size=shape))  # noqa: E731
    return log_p(records), log_p(models, records), trained_on, log_p(population), log_p(models, population)


def naive(target, shadow, trained_on, population_target, population_shadow, mode, a, gamma):
    """The definition: loops, probabilities, and every pair (x, z)."""

    def r(log_p, own, sees):
        out = np.mean([np.exp(value) for value, seen in zip(own, sees, strict=True) if not seen])
        if mode == "online" and any(sees):
            return np.exp(log_p) / (
                0.5 * (np.mean([np.exp(v) for v, seen in zip(own, sees, strict=True) if seen]) + out)
            )
        return np.exp(log_p) / (0.5 * ((1 + a) * out + 1 - a))

    ratios = [r(target[n], shadow[:, n], trained_on[:, n]) for n in range(len(target))]
    never = [False] * len(shadow)
    of_z = [r(population_target[z], population_shadow[:, z], never) for z in range(len(population_target))]
    return np.log(ratios), np.array([np.mean([ratio / other > gamma for other in of_z]) for ratio in ratios])


@pytest.mark.parametrize("mode", ["offline", "online"])
@pytest.mark.parametrize("gamma", [1.0, 2.0])
@pytest.mark.parametrize("a", [0.0, 0.3, 1.0])
def test_both_forms_are_what_the_definition_says(mode, gamma, a):
    arrays = small()
    log_ratio, percentile = naive(*arrays, mode, a, gamma)
    options = {"mode": mode, "a": a, "gamma": gamma}
    np.testing.assert_allclose(rmia_scores(*arrays, **options), log_ratio, rtol=1e-9)
    np.testing.assert_allclose(rmia_scores(*arrays, **options, form="percentile"), percentile)


def test_the_percentile_orders_records_as_the_ratio_does_ties_apart():
    arrays = small(records=200)
    ratio, percentile = rmia_scores(*arrays), rmia_scores(*arrays, form="percentile")
    assert (np.diff(percentile[np.argsort(ratio)]) >= 0).all()


def test_ties_with_the_population_do_not_count():
    """Pr[r(x)/r(z) > γ]: equality is not above."""
    shadow = np.full((2, 1), -1.0)
    never = np.zeros((2, 1), bool)
    tied = rmia_scores([-1.0], shadow, never, [-1.0, -2.0], np.full((2, 2), -1.0), form="percentile")
    assert tied == [0.5]


def test_the_log_ratio_needs_no_population():
    arrays = small()
    np.testing.assert_array_equal(rmia_scores(*arrays[:3]), rmia_scores(*arrays))


def test_without_leakage_non_members_stand_at_one_half():
    """p(z) is averaged over all models: over the largest alone it would be biased."""
    rng = np.random.default_rng(1)
    hard = rng.normal(size=4_000)
    log_p = special.log_expit(hard + 0.3 * rng.normal(size=(17, 4_000)))
    records, population = slice(0, 2_000), slice(2_000, None)
    never = np.zeros((16, 2_000), bool)
    scores = rmia_scores(
        log_p[0, records], log_p[1:, records], never, log_p[0, population], log_p[1:, population], form="percentile"
    )
    assert scores.mean() == pytest.approx(0.5, abs=0.02)


def test_records_that_lack_a_side_are_masked_not_zero():
    target, shadow, trained_on, *_ = small()
    whole = rmia_scores(target, shadow, trained_on)
    trained_on[:, 3], trained_on[:, 5] = True, False
    ours = rmia_scores(target, shadow, trained_on)
    assert np.flatnonzero(np.isnan(ours)).tolist() == [3]
    kept = np.setdiff1d(np.arange(len(target)), [3, 5])
    np.testing.assert_array_equal(ours[kept], whole[kept])
    online = rmia_scores(target, shadow, trained_on, mode="online")
    assert np.flatnonzero(np.isnan(online)).tolist() == [3, 5]


def test_probabilities_that_underflow_keep_their_order():
    shadow = np.array([[-2_000.0, -3_000.0, -np.inf], [-2_000.0, -3_000.0, -np.inf]])
    never = np.zeros((2, 3), bool)
    np.testing.assert_allclose(
        rmia_scores([-1_990.0, -2_990.0, -np.inf], shadow, never, a=1.0), [10.0, 10.0, 0.0], rtol=1e-9
    )
    assert rmia_scores([-np.inf, -1.0, -1.0], shadow, never)[0] == -np.inf


def asked_often(queries, records=20, population=30, models=6, seed=0):
    rng = np.random.default_rng(seed)
    _, _, trained_on, *_ = small(models, records)
    log_p = lambda *shape: special.log_expit(2 * rng.normal(size=shape))  # noqa: E731
    target, shadow = log_p(records, queries), log_p(models, records, queries)
    return target, shadow, trained_on, log_p(population, queries), log_p(models, population, queries)


@pytest.mark.parametrize("mode", ["offline", "online"])
@pytest.mark.parametrize("gamma", [1.0, 2.0])
@pytest.mark.parametrize("queries", [1, 2, 3, 6])
def test_a_majority_is_more_than_half_of_the_queries_in_which_a_record_surpasses_another(queries, gamma, mode):
    """The definition: each query by itself, every pair (x, z), votes counted; half of the votes is no majority."""
    target, shadow, trained_on, population, population_shadow = asked_often(queries)
    of_x, of_z = np.zeros((20, queries)), np.zeros((30, queries))
    for q in range(queries):
        of_x[:, q], _ = naive(
            target[:, q], shadow[..., q], trained_on, population[:, q], population_shadow[..., q], mode, 0.3, gamma
        )
        never = np.zeros((6, 30), bool)
        of_z[:, q] = rmia_scores(population[:, q], population_shadow[..., q], never)
    won = [[sum(of_x[n] - of_z[z] > np.log(gamma)) > queries / 2 for z in range(30)] for n in range(20)]
    options = {"mode": mode, "gamma": gamma, "form": "percentile", "over_queries": "majority"}
    ours = rmia_scores(target, shadow, trained_on, population, population_shadow, **options)
    np.testing.assert_allclose(ours, np.mean(won, axis=1))


def test_a_vote_of_one_query_is_the_percentile():
    arrays = small(records=200)
    majority = rmia_scores(*arrays, form="percentile", over_queries="majority")
    np.testing.assert_array_equal(majority, rmia_scores(*arrays, form="percentile"))


def test_the_vote_is_the_same_in_blocks_of_any_size(monkeypatch):
    import privacy_callbacks.attacks.rmia as module

    options = {"form": "percentile", "over_queries": "majority"}
    whole = rmia_scores(*asked_often(5), **options)
    for size in (1, 100):
        monkeypatch.setattr(module, "_COMPARED_AT_ONCE", size)
        np.testing.assert_array_equal(rmia_scores(*asked_often(5), **options), whole)


def test_a_vote_does_not_move_for_one_query_that_goes_wild():
    """The mean does: that is what a vote is for."""
    arrays = asked_often(5)
    target = arrays[0].copy()
    target[:, 0] = -1_000.0
    moved = {}
    for over in ("mean", "majority"):
        options = {"form": "percentile", "over_queries": over}
        moved[over] = np.abs(rmia_scores(target, *arrays[1:], **options) - rmia_scores(*arrays, **options)).mean()
    assert moved["majority"] < 0.25
    assert rmia_scores(target, *arrays[1:], form="percentile").max() == 0


def test_records_that_lack_a_side_have_no_vote():
    target, shadow, trained_on, *population = asked_often(3)
    trained_on[:, 3], trained_on[:, 5] = True, False
    options = {"form": "percentile", "over_queries": "majority"}
    for mode, missing in (("offline", [3]), ("online", [3, 5])):
        ours = rmia_scores(target, shadow, trained_on, *population, mode=mode, **options)
        assert np.flatnonzero(np.isnan(ours)).tolist() == missing


def test_the_attack_passes_everything_on():
    target, shadow, trained_on, population, population_shadow = asked_often(3)
    options = {"mode": "online", "a": 0.5, "gamma": 1.5, "form": "percentile", "over_queries": "majority"}
    attack = RMIA(**options, temperature=2.0, queries=[abs, abs, abs])
    (name,) = attack.signals
    shadows = ShadowSignals({name: shadow}, trained_on, {name: population_shadow})
    fitted = attack.fit(AttackContext(Signals({name: population}), shadows=shadows))
    expected = rmia_scores(
        target, shadow.astype(np.float32), trained_on, population, population_shadow.astype(np.float32), **options
    )
    np.testing.assert_array_equal(fitted.score(Signals({name: target})), expected)
    assert attack.queries == (abs, abs, abs)
    assert attack.needs_population


def test_queries_are_averaged_as_log_ratios():
    rng = np.random.default_rng(2)
    target, shadow = -rng.random((5, 2)), -rng.random((4, 5, 2))
    trained_on = np.tile([[True], [False]], (2, 5))
    alone = [rmia_scores(target[:, q], shadow[:, :, q], trained_on) for q in (0, 1)]
    np.testing.assert_allclose(rmia_scores(target, shadow, trained_on), np.mean(alone, axis=0))


def worlds(gain, models, records=1_500, seed=0):
    rng = np.random.default_rng(seed)
    halves = rng.random((models // 2, records)) < 0.5
    trained_on = np.stack([halves, ~halves], axis=1).reshape(models, -1)
    hardness = 2 * rng.normal(size=records)
    return special.log_expit(hardness + gain * trained_on + rng.normal(size=trained_on.shape)), trained_on


@pytest.mark.parametrize("absent", [0, 1], ids=["all in the pool", "one record outside"])
@pytest.mark.parametrize("models", [6, 8, 16])
def test_a_surrogate_target_leaks_nothing_when_its_complement_is_dropped(models, absent):
    """With it, LiRA's AUC is .42 to .49 where nothing leaks."""
    found = []
    for seed in range(20):
        log_p, trained_on = worlds(0.0, models, 500, seed)
        trained_on[:, :absent] = False
        shadows = ShadowSignals({"confidence": log_p[:, :, None]}, trained_on)
        target, is_member, others = shadows.as_target(1)
        assert others.num_models == models - 2
        scores = lira_scores(target["confidence"], others["confidence"], others.trained_on)
        scored = ~np.isnan(scores)
        found.append(float(LeakageReport.from_scores(scores[scored], is_member[scored]).auc))
    # 20 audits of 500 records: standard error .026 / √20.
    assert np.mean(found) == pytest.approx(0.5, abs=0.02)


def test_tuning_drops_the_complement_of_each_surrogate(monkeypatch):
    import privacy_callbacks.attacks.rmia as module

    log_p, trained_on = worlds(1.0, 8)
    used = []
    whole = module.log_mean_probability
    monkeypatch.setattr(
        module, "log_mean_probability", lambda values, chosen: used.append(len(values)) or whole(values, chosen)
    )
    tune_rmia(log_p, trained_on)
    assert used == [6, 6, 6, 6]


def test_where_no_surrogate_can_be_judged_a_is_the_default():
    log_p, trained_on = worlds(1.0, 8)
    assert tune_rmia(log_p, np.zeros_like(trained_on)) == 0.3


def test_tuning_finds_the_a_that_attacks_best():
    log_p, trained_on = worlds(2.0, 16)
    tuned = tune_rmia(log_p, trained_on)
    fresh_log_p, fresh_trained_on = worlds(2.0, 18, seed=0)
    reached = {}
    for a in (0.0, 0.3, 0.6, 1.0, tuned):
        scores = rmia_scores(fresh_log_p[0], fresh_log_p[2:], fresh_trained_on[2:], a=a)
        reached[a] = float(LeakageReport.from_scores(scores, fresh_trained_on[0]).auc)
    assert reached[tuned] > max(reached.values()) - 0.01


def test_with_two_shadow_models_a_is_not_tuned():
    log_p, trained_on = worlds(1.0, 2)
    context = AttackContext(shadows=ShadowSignals({"confidence": log_p[:, :, None]}, trained_on))
    assert RMIA().fit(context).a == 0.3
    assert RMIA(a=0.7).fit(context).a == 0.7
    with pytest.raises(ValueError, match="at least 4 shadow models"):
        tune_rmia(log_p, trained_on)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"a": -0.1}, "a is -0.1"),
        ({"gamma": np.inf}, "gamma is inf"),
        ({"mode": "both"}, "mode is 'both'"),
        ({"form": "percentile"}, "give population_target and population_shadow"),
        ({"over_queries": "median"}, "over_queries is 'median'; give 'mean' or 'majority'"),
        ({"over_queries": "majority"}, "give it with form='percentile'"),
    ],
)
def test_what_does_not_fit_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        rmia_scores(*small()[:3], **options)


def test_logits_are_not_mistaken_for_log_probabilities():
    target, shadow, trained_on, *_ = small()
    with pytest.raises(ValueError, match="above 0; RMIA takes log-probabilities"):
        rmia_scores(target + 5, shadow, trained_on)


def test_a_population_of_other_models_is_refused():
    target, shadow, trained_on, population, population_shadow = small()
    with pytest.raises(ValueError, match="population_shadow has 4 models, shadow 6"):
        rmia_scores(target, shadow, trained_on, population, population_shadow[:4], form="percentile")


def test_a_vote_needs_the_same_queries_on_both_sides():
    target, shadow, trained_on, population, population_shadow = asked_often(3)
    with pytest.raises(ValueError, match="the population was asked 2 queries a record, the audited records 3"):
        rmia_scores(
            target,
            shadow,
            trained_on,
            population[:, :2],
            population_shadow[..., :2],
            form="percentile",
            over_queries="majority",
        )
    with pytest.raises(ValueError, match="give it with form='percentile'"):
        RMIA(over_queries="majority")


def test_surrogates_are_of_different_pairs_all_over_the_fleet(monkeypatch):
    from privacy_callbacks.attacks import rmia

    drop, seen = rmia.without_pair, []
    monkeypatch.setattr(rmia, "without_pair", lambda trained_on, one: seen.append(one) or drop(trained_on, one))
    halves = np.random.default_rng(0).random((16, 30)) < 0.5
    trained_on = np.stack([halves, ~halves], 1).reshape(32, 30)
    tune_rmia(-np.random.default_rng(1).exponential(size=(32, 30)), trained_on)
    assert len({one // 2 for one in seen}) == 4
    assert seen[0] // 2 == 0
    assert seen[-1] // 2 == 15


def test_hundreds_of_queries_may_vote():
    ones = np.ones((1, 300))
    found = rmia_scores(
        -0.1 * ones, -ones[None], [[False]], -2 * ones, -ones[None], form="percentile", over_queries="majority"
    )
    assert found == [1.0]

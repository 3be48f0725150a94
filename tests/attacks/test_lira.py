"""LiRA against naive re-implementations, closed forms, and the traps that published code falls into."""

import numpy as np
import pytest
from gaussian_world import GaussianWorld
from scipy import stats

from privacy_callbacks.attacks import AttackContext, LeakageReport, LiRA, ShadowSignals, Signals, lira_scores


def small(models=16, records=12, queries=3, seed=0):
    rng = np.random.default_rng(seed)
    halves = rng.random((models // 2, records)) < 0.5
    trained_on = np.stack([halves, ~halves], axis=1).reshape(models, -1)
    shadow = rng.normal(size=(models, records, queries)) * rng.uniform(0.5, 2, (1, records, 1)) + trained_on[:, :, None]
    return rng.normal(size=(records, queries)), shadow, trained_on


def auc(scores, is_member):
    return float(LeakageReport.from_scores(scores, is_member).auc)


def naive(target, shadow, trained_on, variance):
    """Loops and scipy's distributions."""
    records, queries = target.shape
    pooled = {}
    for side in (True, False):
        for q in range(queries):
            squares = freedom = 0.0
            for n in range(records):
                values = shadow[trained_on[:, n] == side, n, q]
                squares += ((values - values.mean()) ** 2).sum()
                freedom += len(values) - 1
            pooled[side, q] = np.sqrt(squares / freedom)
    scores = np.zeros(records)
    for n in range(records):
        for q in range(queries):
            for side, sign in ((True, 1), (False, -1)):
                values = shadow[trained_on[:, n] == side, n, q]
                spread = pooled[side, q] if variance == "pooled" else values.std(ddof=1)
                scores[n] += sign * stats.norm.logpdf(target[n, q], values.mean(), spread) / queries
    return scores


@pytest.mark.parametrize("variance", ["pooled", "per_record"])
def test_online_is_the_naive_log_density_ratio(variance):
    target, shadow, trained_on = small()
    ours = lira_scores(target, shadow, trained_on, variance=variance)
    np.testing.assert_allclose(ours, naive(target, shadow, trained_on, variance), rtol=1e-9)


def test_offline_is_the_z_score_among_out_models():
    target, shadow, trained_on = small()
    expected = np.zeros(len(target))
    for n in range(len(target)):
        values = shadow[~trained_on[:, n], n]
        expected[n] = np.mean((target[n] - values.mean(axis=0)) / values.std(axis=0, ddof=1))
    np.testing.assert_allclose(lira_scores(target, shadow, trained_on, "offline", "per_record"), expected, rtol=1e-9)


def test_student_t_is_the_posterior_predictive():
    """Against scipy's t with the posterior of formulas.md computed record by record."""
    target, shadow, trained_on = small(models=8, queries=1)
    expected = np.zeros(len(target))
    alpha_0, kappa_0 = 4.0, 0.25
    for side, sign in ((True, 1), (False, -1)):
        groups = [shadow[trained_on[:, n] == side, n, 0] for n in range(len(target))]
        mean_0 = np.mean([values.mean() for values in groups])
        pooled = sum(((v - v.mean()) ** 2).sum() for v in groups) / sum(len(v) - 1 for v in groups)
        for n, values in enumerate(groups):
            count, mean = len(values), values.mean()
            kappa, alpha = kappa_0 + count, alpha_0 + count / 2
            beta = alpha_0 * pooled + ((values - mean) ** 2).sum() / 2
            beta += kappa_0 * count * (mean - mean_0) ** 2 / (2 * kappa)
            location = (kappa_0 * mean_0 + count * mean) / kappa
            scale = np.sqrt(beta * (kappa + 1) / (alpha * kappa))
            expected[n] += sign * stats.t.logpdf(target[n, 0], 2 * alpha, location, scale)
    ours = lira_scores(target, shadow, trained_on, variance="student_t")
    np.testing.assert_allclose(ours, expected, rtol=1e-9)


def test_the_ratio_of_true_densities_is_reached():
    """An attacker with very many models, each side with its own spread, scores by the true log density ratio."""
    rng = np.random.default_rng(0)
    trained_on = np.tile([[True], [False]], (20_000, 1))
    shadow = np.where(trained_on, 1 + 0.5 * rng.normal(size=(40_000, 1)), 2 * rng.normal(size=(40_000, 1)))
    points = np.linspace(-1, 2, 5)
    true = stats.norm.logpdf(points, 1, 0.5) - stats.norm.logpdf(points, 0, 2)
    ours = [lira_scores([point], shadow, trained_on)[0] for point in points]
    np.testing.assert_allclose(ours, true, atol=0.05)


@pytest.mark.parametrize(("models", "kind"), [(62, "pooled"), (64, "per_record")])
def test_auto_takes_a_records_own_spread_from_32_models_a_side_on(models, kind):
    target, shadow, _ = small(models)
    trained_on = np.tile([[True], [False]], (models // 2, shadow.shape[1]))
    ours = lira_scores(target, shadow, trained_on)
    np.testing.assert_array_equal(ours, lira_scores(target, shadow, trained_on, variance=kind))


def test_with_few_models_pooled_spreads_beat_each_records_own():
    values, is_member, shadow, trained_on = GaussianWorld(2.0, 3.0).draw_with_shadows(
        3_000, 3_000, 8, np.random.default_rng(1)
    )
    tpr = {
        kind: LeakageReport.from_scores(lira_scores(values, shadow, trained_on, variance=kind), is_member).tpr_at_fpr[
            0.01
        ]
        for kind in ("pooled", "per_record", "student_t")
    }
    assert tpr["pooled"].low > tpr["per_record"].high
    assert tpr["student_t"].low > tpr["per_record"].high


def test_offline_is_one_sided_where_the_two_sided_density_fails():
    """Members lie above OUT, and non-members symmetrically around it: far below is no sign of membership."""
    world = GaussianWorld(1.5, 1.0)
    values, is_member, shadow, _ = world.draw_with_shadows(2_000, 2_000, 32, np.random.default_rng(2))
    trained_on = np.zeros((32, 4_000), bool)
    shadow = shadow - shadow.mean(axis=0) + (values - world.gain * is_member)  # all OUT, around the record's own level
    shadow += np.random.default_rng(3).normal(size=values.shape)
    one_sided = lira_scores(values, shadow, trained_on, "offline", "pooled")
    two_sided = np.abs(one_sided)
    assert auc(one_sided, is_member) > auc(two_sided, is_member) + 0.05


def test_records_without_a_model_on_a_side_are_masked_and_no_others():
    target, shadow, trained_on = small()
    whole = lira_scores(target, shadow, trained_on, variance="per_record")
    trained_on[:, 4], trained_on[:, 7] = True, False
    ours = lira_scores(target, shadow, trained_on, variance="per_record")
    assert np.flatnonzero(np.isnan(ours)).tolist() == [4, 7]
    kept = np.setdiff1d(np.arange(len(target)), [4, 7])
    np.testing.assert_array_equal(ours[kept], whole[kept])
    offline = lira_scores(target, shadow, trained_on, "offline")
    assert np.flatnonzero(np.isnan(offline)).tolist() == [4]
    student = lira_scores(target, shadow, trained_on, variance="student_t")
    assert np.flatnonzero(np.isnan(student)).tolist() == [4, 7]


def test_masked_records_do_not_move_the_others_prior():
    """The Student-t prior is the mean of the records that have models, not of zeros in the place of the others."""
    _, shadow, trained_on = small()
    shadow += 5
    trained_on[:, -1] = False
    alone = LiRA(variance="student_t").fit(context(shadow[:, :-1], trained_on[:, :-1])).in_side
    beside = LiRA(variance="student_t").fit(context(shadow, trained_on)).in_side
    assert np.isnan(beside.loc[-1]).all()
    np.testing.assert_allclose(beside.loc[:-1], alone.loc, rtol=1e-6)
    np.testing.assert_allclose(beside.scale[:-1], alone.scale, rtol=1e-6)


def context(shadow, trained_on):
    return AttackContext(shadows=ShadowSignals({"scaled_logit": shadow}, trained_on))


def test_auto_looks_at_the_record_with_the_fewest_models():
    target, shadow, _ = small(80)
    trained_on = np.tile([[True], [False]], (40, shadow.shape[1]))
    trained_on[:20, 3] = False  # this record has 30 models IN
    ours = lira_scores(target, shadow, trained_on)
    sides = LiRA().fit(context(shadow, trained_on))
    assert len(np.unique(sides.in_side.scale[:, 0])) == 1
    assert len(np.unique(sides.out_side.scale[:, 0])) > 1
    assert np.isfinite(ours).all()


def test_a_single_model_on_a_side_will_do_unless_its_own_spread_is_asked_for():
    target, shadow, trained_on = small()
    trained_on[:, 0] = np.arange(len(shadow)) == 3
    assert np.isfinite(lira_scores(target, shadow, trained_on)[0])
    assert np.isnan(lira_scores(target, shadow, trained_on, variance="per_record")[0])


def test_one_query_needs_no_axis_and_queries_are_averaged():
    target, shadow, trained_on = small(queries=2)
    both = lira_scores(target, shadow, trained_on, variance="per_record")
    alone = [lira_scores(target[:, q], shadow[:, :, q], trained_on, variance="per_record") for q in (0, 1)]
    np.testing.assert_allclose(both, np.mean(alone, axis=0))


def test_constant_signals_give_finite_scores():
    target, shadow, trained_on = small(queries=1)
    for variance in ("pooled", "per_record", "student_t"):
        assert np.isfinite(lira_scores(target, np.ones_like(shadow), trained_on, variance=variance)).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((np.zeros(3), np.zeros((4, 2)), np.zeros((4, 2))), r"target has shape \(3,\) and shadow \(4, 2\)"),
        ((np.zeros(2), np.zeros((4, 2)), np.zeros((2, 4))), "give one row per shadow model"),
        ((np.zeros(2), np.zeros((4, 2)), np.full((4, 2), 2)), "other than 0 and 1"),
        ((np.array([0, np.nan]), np.zeros((4, 2)), np.zeros((4, 2))), "target holds 1 values that are NaN or infinite"),
        ((np.zeros(2), np.full((4, 2), np.inf), np.zeros((4, 2))), "shadow holds 8 values"),
        ((np.zeros(2), np.zeros((0, 2)), np.zeros((0, 2))), "at least one shadow model"),
        ((np.zeros(2), np.zeros((2, 2)), np.eye(2)), "no record has two shadow models that are OUT"),
        ((np.zeros(2), np.zeros((4, 2)), np.zeros((4, 2))), "no record has two shadow models that are IN"),
    ],
)
def test_what_does_not_fit_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        lira_scores(*arguments)


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("variance", ["pooled", "per_record", "student_t"])
@pytest.mark.parametrize("mode", ["online", "offline"])
def test_in_a_graph_it_gives_the_same_scores(variance, mode):
    import tensorflow as tf

    target, shadow, trained_on = small()
    fitted = LiRA(mode, variance).fit(AttackContext(shadows=ShadowSignals({"scaled_logit": shadow}, trained_on)))
    records = tf.data.Dataset.from_tensors(target).map(fitted.graph_score)
    ours = fitted.score(Signals({"scaled_logit": target}))
    np.testing.assert_allclose(next(iter(records)).numpy(), ours, rtol=1e-9)
    np.testing.assert_allclose(tf.function(fitted.graph_score, jit_compile=True)(target).numpy(), ours, rtol=1e-9)

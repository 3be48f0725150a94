"""LiRA on several signals: against LiRA, against SciPy's multivariate normal, and against closed forms."""

import numpy as np
import pytest
from gaussian_world import GaussianWorld
from scipy import special, stats

from privacy_callbacks.attacks import (
    AttackContext,
    LeakageReport,
    MultiSignalLiRA,
    ShadowSignals,
    Signals,
    lira_scores,
    multi_signal_lira_scores,
)


def small(models=16, records=30, queries=2, signals=3, seed=0):
    rng = np.random.default_rng(seed)
    halves = rng.random((models // 2, records)) < 0.5
    trained_on = np.stack([halves, ~halves], axis=1).reshape(models, -1)
    mixing = rng.normal(size=(signals, signals)) + 2 * np.eye(signals)
    shadow = rng.normal(size=(models, records, queries, signals)) @ mixing + trained_on[:, :, None, None]
    return rng.normal(size=(records, queries, signals)) @ mixing, shadow, trained_on


def views(gains, members, models, seed=0, hardness=2.0):
    """Independent noisy views of the same membership: (target[n, k], is_member, shadow[m, n, k], trained_on)."""
    drawn = [GaussianWorld(gain, hardness).draw_with_shadows for gain in gains]
    rng = np.random.default_rng(seed)
    values, is_member, shadow, trained_on = drawn[0](members, members, models, rng)
    columns = [(values, shadow)]
    for gain in gains[1:]:
        level = hardness * rng.normal(size=values.shape)
        noise = rng.normal(size=(models + 1, len(values)))
        columns.append((level + gain * is_member + noise[0], level + gain * trained_on + noise[1:]))
    targets, shadows = zip(*columns, strict=True)
    return np.stack(targets, axis=-1), is_member, np.stack(shadows, axis=-1), trained_on


def auc(scores, is_member):
    return float(LeakageReport.from_scores(scores, is_member).auc)


def effective_gain(scores, is_member):
    return special.ndtri(auc(scores, is_member)) * np.sqrt(2)


@pytest.mark.parametrize("variance", ["pooled", "per_record", "auto"])
@pytest.mark.parametrize("mode", ["online", "offline"])
@pytest.mark.parametrize("models", [16, 80])
def test_with_one_signal_it_is_lira(mode, variance, models):
    target, shadow, trained_on = small(models, signals=1)
    ours = multi_signal_lira_scores(target, shadow, trained_on, mode, variance)
    expected = lira_scores(target[..., 0], shadow[..., 0], trained_on, mode, variance)
    np.testing.assert_allclose(ours, expected, rtol=1e-9)


@pytest.mark.parametrize("shrinkage", [1e-9, 0.3])
def test_online_is_the_log_ratio_of_multivariate_normal_densities(shrinkage):
    """Loops, and SciPy's density with the pooled covariance of residuals, divisor Σ(M_r − 1)."""
    target, shadow, trained_on = small()
    records, queries, signals = target.shape
    expected = np.zeros(records)
    for side, sign in ((True, 1), (False, -1)):
        for q in range(queries):
            total, freedom = np.zeros((signals, signals)), 0
            for n in range(records):
                rows = shadow[trained_on[:, n] == side, n, q]
                total += (rows - rows.mean(axis=0)).T @ (rows - rows.mean(axis=0))
                freedom += len(rows) - 1
            covariance = total / freedom
            covariance = (1 - shrinkage) * covariance + shrinkage * np.diag(np.diag(covariance))
            for n in range(records):
                mean = shadow[trained_on[:, n] == side, n, q].mean(axis=0)
                expected[n] += sign * stats.multivariate_normal.logpdf(target[n, q], mean, covariance) / queries
    ours = multi_signal_lira_scores(target, shadow, trained_on, variance="pooled", shrinkage=shrinkage)
    np.testing.assert_allclose(ours, expected, rtol=1e-7)


def test_taken_as_independent_signals_add_up():
    target, shadow, trained_on = small()
    alone = [lira_scores(target[..., k], shadow[..., k], trained_on) for k in range(3)]
    joint = multi_signal_lira_scores(target, shadow, trained_on, shrinkage=1.0)
    np.testing.assert_allclose(joint, np.sum(alone, axis=0), rtol=1e-9)


@pytest.mark.parametrize("mode", ["online", "offline"])
def test_two_independent_views_reach_the_closed_form(mode):
    """Two views of gain 1 are one of gain √2, so Φ(√(1² + 1²) / √2)."""
    target, is_member, shadow, trained_on = views((1.0, 1.0), 5_000, 128)
    ours = auc(multi_signal_lira_scores(target, shadow, trained_on, mode), is_member)
    assert ours == pytest.approx(special.ndtr(1.0), abs=0.01)
    assert ours > auc(lira_scores(target[..., 0], shadow[..., 0], trained_on, mode), is_member) + 0.05


def test_online_unequal_views_reach_the_closed_form():
    target, is_member, shadow, trained_on = views((1.5, 0.5), 5_000, 128)
    ours = multi_signal_lira_scores(target, shadow, trained_on)
    assert auc(ours, is_member) == pytest.approx(special.ndtr(np.sqrt((1.5**2 + 0.5**2) / 2)), abs=0.01)


def test_offline_a_view_that_tells_nothing_costs_what_is_stated():
    """Weights are equal, so the shift g of one of k independent views becomes g / √k; online it stays g."""
    target, is_member, shadow, trained_on = views((2.0, 0.0), 5_000, 128)
    offline, online = (multi_signal_lira_scores(target, shadow, trained_on, mode) for mode in ("offline", "online"))
    assert effective_gain(offline, is_member) == pytest.approx(2 / np.sqrt(2), abs=0.06)
    assert effective_gain(online, is_member) == pytest.approx(2.0, abs=0.06)


@pytest.mark.parametrize("variance", ["pooled", "per_record"])
@pytest.mark.parametrize("mode", ["online", "offline"])
def test_what_is_said_twice_changes_nothing(mode, variance):
    """The second signal again in other units, and a third that is the sum of both."""
    target, shadow, trained_on = small(signals=2)
    once = multi_signal_lira_scores(target, shadow, trained_on, mode, variance)
    again = [np.concatenate([a, 1e6 * a[..., 1:] + 5, a.sum(axis=-1, keepdims=True)], -1) for a in (target, shadow)]
    np.testing.assert_array_equal(multi_signal_lira_scores(*again, trained_on, mode, variance), once)


def test_what_is_nearly_said_twice_changes_little():
    target, is_member, shadow, trained_on = views((1.5, 1.0), 4_000, 64)
    rng = np.random.default_rng(6)
    once = auc(multi_signal_lira_scores(target, shadow, trained_on), is_member)
    for noise in (1e-6, 0.01, 0.1):  # of the residual's standard deviation, 1
        more = [
            np.concatenate([a, a[..., :1] + noise * rng.normal(size=a[..., :1].shape)], -1) for a in (target, shadow)
        ]
        assert auc(multi_signal_lira_scores(*more, trained_on), is_member) == pytest.approx(once, abs=0.002)


def test_signals_exactly_opposite_stay_finite():
    target, shadow, trained_on = small(signals=1)
    both = np.concatenate([target, -target], -1), np.concatenate([shadow, -shadow], -1)
    for mode in ("online", "offline"):
        assert np.isfinite(multi_signal_lira_scores(*both, trained_on, mode)).all()


def test_a_signal_that_never_varies_stays_finite_and_changes_no_order():
    target, shadow, trained_on = small(signals=1)
    both = np.concatenate([target, np.ones_like(target)], -1), np.concatenate([shadow, np.ones_like(shadow)], -1)
    once = multi_signal_lira_scores(target, shadow, trained_on)
    np.testing.assert_allclose(multi_signal_lira_scores(*both, trained_on), once, rtol=1e-9)


def test_offline_no_signal_counts_against_membership():
    """Of (x, x + much noise, …) an unconstrained combination would take away what it knows to be noise."""
    rng = np.random.default_rng(3)
    common = rng.normal(size=(40, 500, 1))
    shadow = np.concatenate([common, 3 * common + 0.3 * rng.normal(size=common.shape)], -1)
    shadow[..., 0] += rng.normal(size=(40, 500)) * 0.2
    never = np.zeros((40, 500), bool)
    base = np.zeros((500, 2))
    for k in range(2):
        higher = base.copy()
        higher[:, k] += 1
        rise = multi_signal_lira_scores(higher, shadow, never, "offline") - multi_signal_lira_scores(
            base, shadow, never, "offline"
        )
        assert (rise >= 0).all()


@pytest.mark.parametrize("correlation", [-0.5, 0.0, 0.9])
def test_offline_scores_of_non_members_are_standard_normal(correlation):
    rng = np.random.default_rng(4)
    draws = rng.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], size=(101, 4_000))
    scores = multi_signal_lira_scores(draws[0], draws[1:], np.zeros((100, 4_000), bool), "offline")
    assert scores.mean() == pytest.approx(0, abs=0.05)
    assert scores.std() == pytest.approx(np.sqrt(1 + 1 / 100), abs=0.04)


@pytest.mark.parametrize("correlation", [-0.5, 0.5, 0.95])
def test_offline_signals_that_move_alike_are_never_worse_than_one_alone(correlation):
    rng = np.random.default_rng(5)
    draws = rng.multivariate_normal([0, 0], [[1, correlation], [correlation, 1]], size=(65, 8_000))
    is_member = np.arange(8_000) < 4_000
    target = draws[0] + is_member[:, None]
    never = np.zeros((64, 8_000), bool)
    both = effective_gain(multi_signal_lira_scores(target, draws[1:], never, "offline"), is_member)
    # 1'R⁻¹1 = 2 / (1 + ρ) for unit shifts; 64 models leave 1/64 of noise in the mean.
    assert both == pytest.approx(np.sqrt(2 / (1 + correlation)), abs=0.08)
    assert both > effective_gain(lira_scores(target[:, 0], draws[1:, :, 0], never, "offline"), is_member) - 0.03


def test_records_without_a_model_on_a_side_are_masked_and_move_no_others():
    target, shadow, trained_on = small()
    fewer = trained_on.copy()
    fewer[:, 4], fewer[:, 7] = True, False
    ours = multi_signal_lira_scores(target, shadow, fewer, variance="per_record")
    assert np.flatnonzero(np.isnan(ours)).tolist() == [4, 7]
    kept = np.setdiff1d(np.arange(len(target)), [4, 7])
    # Correlations are pooled over the records of each side: 4 gives IN more of them than before, 7 OUT.
    alone = multi_signal_lira_scores(target[kept], shadow[:, kept], trained_on[:, kept], variance="per_record")
    assert np.corrcoef(ours[kept], alone)[0, 1] > 0.99
    offline = multi_signal_lira_scores(target, shadow, fewer, "offline")
    assert np.flatnonzero(np.isnan(offline)).tolist() == [4]


def test_a_single_model_on_a_side_will_do_with_pooled_spreads():
    target, shadow, trained_on = small()
    trained_on[:, 0] = np.arange(len(shadow)) == 3
    assert np.isfinite(multi_signal_lira_scores(target, shadow, trained_on)[0])
    assert np.isnan(multi_signal_lira_scores(target, shadow, trained_on, variance="per_record")[0])


def test_one_query_needs_no_axis_and_queries_are_averaged():
    target, shadow, trained_on = small()
    both = multi_signal_lira_scores(target, shadow, trained_on)
    alone = [multi_signal_lira_scores(target[:, q], shadow[:, :, q], trained_on) for q in (0, 1)]
    np.testing.assert_allclose(both, np.mean(alone, axis=0))


def test_the_attack_scores_what_the_function_scores():
    target, shadow, trained_on = small()
    names = ("loss", "margin", "entropy")
    shadow = shadow.astype(np.float32)
    shadows = ShadowSignals({name: shadow[..., k] for k, name in enumerate(names)}, trained_on)
    signals = Signals({name: target[..., k] for k, name in enumerate(names)})
    for mode in ("online", "offline"):
        fitted = MultiSignalLiRA(names, mode, "pooled", 0.2).fit(AttackContext(shadows=shadows))
        expected = multi_signal_lira_scores(target, shadow, trained_on, mode, "pooled", 0.2)
        np.testing.assert_allclose(fitted.score(signals), expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MultiSignalLiRA(()), "give at least one, and none twice"),
        (lambda: MultiSignalLiRA(("loss", "loss")), "give at least one, and none twice"),
        (lambda: MultiSignalLiRA(("loss", "phi")), "'phi' is not a signal"),
        (lambda: MultiSignalLiRA(mode="onlin"), "mode is 'onlin'; give one of 'online', 'offline'"),
        (lambda: MultiSignalLiRA(variance="student_t"), "variance is 'student_t'; give one of 'auto'"),
        (lambda: MultiSignalLiRA(shrinkage=0), "shrinkage is 0; give a number above 0, up to 1"),
        (lambda: MultiSignalLiRA(name="a/b"), "folder and a log key"),
    ],
)
def test_options_that_do_not_fit_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t, s, m: (t[0, 0], s, m), r"target has shape \(3,\) and shadow"),
        (lambda t, s, m: (t, s[..., :2], m), r"give \(records, signals\) and"),
        (lambda t, s, m: (t, s, m.T), "give one row per shadow model"),
        (lambda t, s, m: (t * np.nan, s, m), "target holds 180 values that are NaN or infinite"),
        (lambda t, s, m: (t, s[:0], m[:0]), "at least one shadow model"),
        (lambda t, s, m: (t, s, np.zeros_like(m)), "no record has two shadow models that are IN"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        multi_signal_lira_scores(*change(*small()))


def three(models=16, records=30, queries=2, seed=0):
    rng = np.random.default_rng(seed)
    half = rng.random((models // 2, records)) < 0.5
    trained_on = np.stack([half, ~half], 1).reshape(models, records)
    keep = (trained_on.sum(0) > 2) & (trained_on.sum(0) < models - 2)
    spread = np.exp(rng.normal(size=(records, 1, 2)))
    mix = np.array([[1.0, 0.6], [0.0, 0.8]])
    target = spread * (rng.normal(size=(records, queries, 2)) @ mix)
    shadow = spread * (rng.normal(size=(models, records, queries, 2)) @ mix)
    return target[keep], shadow[:, keep], trained_on[:, keep]


def test_a_signal_that_tells_something_in_one_world_or_one_query_alone_is_kept():
    target, shadow, trained_on = three()
    alone = multi_signal_lira_scores(target[..., :1], shadow[..., :1], trained_on)
    in_one_world = shadow.copy()
    in_one_world[..., 1] = np.where(trained_on[..., None], shadow[..., 1], shadow[..., 0])
    assert not np.allclose(multi_signal_lira_scores(target, in_one_world, trained_on), alone)
    ours, theirs = target.copy(), shadow.copy()
    ours[:, 0, 1], theirs[:, :, 0, 1] = ours[:, 0, 0], theirs[:, :, 0, 0]
    assert not np.allclose(multi_signal_lira_scores(ours, theirs, trained_on), alone)


def test_with_spreads_of_its_own_a_records_residuals_count_in_them():
    """Loops: correlations of r / s_record over all records, densities with each record's own standard deviations."""
    target, shadow, trained_on = three(models=32, queries=1)
    expected = np.zeros(len(target))
    for side, sign in ((True, 1), (False, -1)):
        total = np.zeros((2, 2))
        own = []
        for n in range(len(target)):
            rows = shadow[trained_on[:, n] == side, n, 0]
            loc, scale = rows.mean(axis=0), rows.std(axis=0, ddof=1)
            total += ((rows - loc) / scale).T @ ((rows - loc) / scale)
            own.append((loc, scale))
        correlation = total / np.sqrt(np.outer(np.diag(total), np.diag(total)))
        for n, (loc, scale) in enumerate(own):
            covariance = correlation * np.outer(scale, scale)
            expected[n] += sign * stats.multivariate_normal.logpdf(target[n, 0], loc, covariance)
    ours = multi_signal_lira_scores(target, shadow, trained_on, variance="per_record", shrinkage=1e-9)
    np.testing.assert_allclose(ours, expected, rtol=1e-6)

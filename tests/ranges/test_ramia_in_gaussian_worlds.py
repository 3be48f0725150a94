"""RaMIA where the answer is known: points are noisy looks at a record whose membership adds a constant to each.

A point's signal is hardness of its record + gain·[range holds a training record] + noise, all standard normal but the gain.
The mean of q points has noise 1/√q, so a threshold on it reaches AUC Φ(gain / √(2(hardness² + 1/q))), and an attacker who knows
each record's hardness Φ(gain √q / √2).
"""

from functools import partial

import numpy as np
import pytest
from scipy import special

from privacy_callbacks.attacks import (
    AttackContext,
    DifficultyCalibration,
    LeakageReport,
    LiRA,
    ShadowSignals,
    Signals,
    Threshold,
)
from privacy_callbacks.range_queries import Point, RaMIA, largest, log_mean_exp, top_k, trimmed_mean


def world(gain, count, points, models=16, hardness=1.0, seed=0):
    """(target signals, truth, shadow signals), half of the ranges hold a training record."""
    rng = np.random.default_rng(seed)
    halves = rng.random((models // 2, count)) < 0.5
    trained_on = np.stack([halves, ~halves], axis=1).reshape(models, count)
    truth = np.arange(count) % 2 == 0
    own = hardness * rng.normal(size=(count, 1))
    shadow = own + gain * trained_on[:, :, None] + rng.normal(size=(models, count, points))
    target = own + gain * truth[:, None] + rng.normal(size=(count, points))
    return Signals({"scaled_logit": target}), truth, ShadowSignals({"scaled_logit": shadow}, trained_on)


def report(attack, made, seed=0):
    target, truth, shadows = made
    scores = attack.fit(AttackContext(shadows=shadows, seed=seed)).score(target)
    return LeakageReport.from_scores(scores, truth)


@pytest.mark.parametrize("points", [1, 4, 16])
def test_a_threshold_reaches_the_auc_of_the_mean(points):
    found = report(RaMIA(Threshold("scaled_logit"), Point(), points), world(0.5, 20_000, points))
    assert float(found.auc) == pytest.approx(special.ndtr(0.5 / np.sqrt(2 * (1 + 1 / points))), abs=0.01)


@pytest.mark.parametrize("attack", [LiRA("offline"), LiRA("offline", "per_record"), DifficultyCalibration()])
def test_calibrated_points_approach_the_ideal_of_all_of_them_together(attack):
    """Shadow models know the hardness up to their own noise, so they stay a little below."""
    ideal = special.ndtr(0.25 * 4 / np.sqrt(2))
    found = float(report(RaMIA(attack, Point(), 16), world(0.25, 6_000, 16, models=64)).auc)
    assert ideal - 0.03 < found < ideal + 0.01
    alone = float(report(RaMIA(attack, Point(), 1), world(0.25, 6_000, 1, models=64)).auc)
    assert alone < special.ndtr(0.25 / np.sqrt(2)) + 0.02


AGGREGATIONS = [
    trimmed_mean,
    partial(trimmed_mean, keep=(0.5, 1.0)),
    largest,
    partial(top_k, k=3),
    log_mean_exp,
    "tuned",
]


@pytest.mark.parametrize("aggregate", AGGREGATIONS)
def test_every_reduction_sees_a_leak(aggregate):
    assert report(RaMIA(LiRA(), Point(), 8, aggregate), world(0.5, 2_000, 8)).auc.low > 0.6


@pytest.mark.slow
@pytest.mark.parametrize("aggregate", AGGREGATIONS)
def test_intervals_cover_one_half_where_nothing_leaks(aggregate):
    """Shadow models leak, the target does not: 400 worlds, each end errs in 2.5 %; 3.3 standard deviations are allowed."""
    covered = []
    for seed in range(400):
        _, truth, shadows = world(0.5, 200, 6, models=8, seed=seed)
        nothing = world(0.0, 200, 6, models=8, seed=10_000 + seed)[0]
        auc = report(RaMIA(LiRA(), Point(), 6, aggregate), (nothing, truth, shadows), seed).auc
        covered.append(auc.low <= 0.5 <= auc.high)
    assert np.mean(covered) >= 0.95 - 3.3 * np.sqrt(0.95 * 0.05 / 400)

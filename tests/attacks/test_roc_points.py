"""A thinned curve moves no low rate, and its band is the whole curve's."""

import json

import numpy as np
import pytest

from privacy_callbacks.attacks.low_fpr import tpr_band
from privacy_callbacks.attacks.roc import RocCurve
from privacy_callbacks.attacks.roc_points import KEPT_FPRS, roc_points


def curve(members, nonmembers):
    return RocCurve.from_scores(
        np.concatenate([members, nonmembers]), np.repeat([True, False], [len(members), len(nonmembers)])
    )


def tpr_within(fpr, tpr, rate):
    """The TPR at a rate, read without interpolation."""
    return max(t for f, t in zip(fpr, tpr, strict=True) if f <= rate + 1e-12)


WORLDS = {
    "gaussian": lambda rng, n1, n0: (rng.normal(1, 1, n1), rng.normal(0, 1, n0)),
    "few stand out": lambda rng, n1, n0: (rng.normal(0, 1, n1) + 6 * (rng.random(n1) < 0.05), rng.normal(0, 1, n0)),
    "ties": lambda rng, n1, n0: (rng.integers(0, 9, n1) + 1.0, rng.integers(0, 9, n0) + 0.0),
    "infinite": lambda rng, n1, n0: (
        np.where(rng.random(n1) < 0.2, np.inf, 0.0),
        np.where(rng.random(n0) < 0.1, -np.inf, 0),
    ),
    "separated": lambda rng, n1, n0: (rng.normal(50, 1, n1), rng.normal(0, 1, n0)),
    "reversed": lambda rng, n1, n0: (rng.normal(-50, 1, n1), rng.normal(0, 1, n0)),
}


@pytest.mark.parametrize("sizes", [(1, 1), (3, 40), (2_000, 2_000), (500, 30_011)])
@pytest.mark.parametrize("world", WORLDS)
def test_few_points_give_the_tpr_of_the_whole_curve_at_low_rates(world, sizes):
    roc = curve(*WORLDS[world](np.random.default_rng(0), *sizes))
    points = roc_points(roc, band=False)
    assert len(points["fpr"]) <= 100
    for rate in (*KEPT_FPRS, 0.0, 1.0):
        assert tpr_within(points["fpr"], points["tpr"], rate) == tpr_within(roc.fpr, roc.tpr, rate)


def test_points_are_points_of_the_curve_ascending_from_corner_to_corner():
    roc = curve(*WORLDS["gaussian"](np.random.default_rng(1), 900, 1_100))
    points = roc_points(roc)
    whole = set(zip(roc.fpr.tolist(), roc.tpr.tolist(), strict=True))
    mine = list(zip(points["fpr"], points["tpr"], strict=True))
    assert set(mine) <= whole
    assert mine == sorted(mine)
    assert (mine[0], mine[-1]) == ((0.0, 0.0), (1.0, 1.0))
    # No stretch of the curve is lost: between neighbours at most a twentieth of the records.
    assert max(np.diff(points["fpr"])) < 0.05


def test_the_band_is_that_of_the_rates():
    roc = curve(*WORLDS["gaussian"](np.random.default_rng(2), 300, 400))
    points = roc_points(roc, 0.9)
    inner = [index for index, fpr in enumerate(points["fpr"]) if 0 < fpr < 1]
    low, high = tpr_band(roc, np.array(points["fpr"])[inner], 0.9)
    np.testing.assert_array_equal([points["low"][index] for index in inner], low)
    np.testing.assert_array_equal([points["high"][index] for index in inner], high)
    assert points["low"][0] is None
    assert (points["low"][-1], points["high"][-1], points["level"]) == (1.0, 1.0, 0.9)
    assert all(
        a is None or a <= t + 1e-12 <= b + 1e-12
        for a, t, b in zip(points["low"], points["tpr"], points["high"], strict=True)
    )


def test_a_small_curve_stays_whole_and_a_curve_without_a_band_has_none():
    roc = curve(np.array([2.0, 1.0, 1.0]), np.array([1.0, 0.0]))
    points = roc_points(roc, band=False)
    assert points["fpr"] == roc.fpr.tolist()
    assert points["tpr"] == roc.tpr.tolist()
    assert points["low"] is points["high"] is None
    json.dumps(points, allow_nan=False)

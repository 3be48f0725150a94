"""The power study's thin slice: strong attacks see more than the loss, and more with more shadow models."""

from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def rows():
    """Of the purchase-like data, which need no file."""
    with pytest.MonkeyPatch.context() as patched:
        patched.syspath_prepend(str(ROOT / "benchmarks"))
        import power_curve

        *_, world = (world for world in power_curve.worlds(power_curve.THIN.pool) if "purchase" in world[0])
        return power_curve.study(*world, power_curve.THIN)


def surely_above(better, worse):
    """Three standard errors of the paired difference over targets."""
    difference = np.subtract(better, worse)
    return difference.mean() > 3 * difference.std(ddof=1) / np.sqrt(len(difference))


@pytest.mark.parametrize("attack", ["LiRA online", "RMIA offline", "BASE", "difficulty calibration"])
def test_every_strong_attack_sees_more_than_the_loss(rows, attack):
    assert surely_above(rows[attack, 8].at_1, rows["loss", 0].at_1)
    assert surely_above(rows[attack, 8].auc, rows["loss", 0].auc)


@pytest.mark.parametrize("attack", ["RMIA offline", "BASE", "difficulty calibration"])
def test_more_shadow_models_see_more(rows, attack):
    assert surely_above(rows[attack, 8].auc, rows[attack, 2].auc)


def test_what_the_pool_cannot_resolve_is_not_told(rows):
    assert np.isnan([row.at_01 for row in rows.values()]).all()
    assert not np.isnan([row.at_1 for row in rows.values()]).any()


def test_offline_lira_with_a_pooled_spread_ranks_as_calibration_does(rows):
    assert rows["LiRA offline", 8].auc == pytest.approx(rows["difficulty calibration", 8].auc, abs=1e-9)

"""Clocks that are set back, or on by a year: numbers and weights do not know what time it is."""

import itertools
import time
import warnings

import numpy as np
import pytest
from interrupted_runs import plan, target, world
from page.log_readers import loaded
from page.privacy_logs import append_events, content_of, packed, privacy_event
from page.privacy_payloads import audit_pieces

from privacy_callbacks import MIACallback
from privacy_callbacks.attacks import LiRA, ShadowModels, Threshold
from privacy_callbacks.attacks.engine_choice import EngineChoice
from privacy_callbacks.attacks.fleet_budget import affordable_models
from privacy_callbacks.tensorboard_plugin.log_reading import LogReader
from privacy_callbacks.tensorboard_plugin.overview import overview

YEAR = 365 * 24 * 3600.0


def jumping(clock):
    """A clock that at every look is a year ahead, right, or a year behind."""
    shifts = itertools.cycle((YEAR, 0.0, -YEAR))
    return lambda: clock() + next(shifts)


def fitted(shadows, folder=None, **options):
    mia = MIACallback(*world(), attacks=[Threshold("loss"), LiRA()], shadow_models=shadows, log_dir=folder, **options)
    model = target()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model.fit(*world()[0], epochs=2, batch_size=20, verbose=0, shuffle=False, callbacks=[mia])
    return mia, model.get_weights()


@pytest.fixture(scope="module")
def undisturbed():
    return fitted(plan(None, "compiled"))


@pytest.mark.slow
def test_the_time_of_day_decides_nothing(undisturbed, tmp_path, monkeypatch):
    for name in ("time", "monotonic"):
        monkeypatch.setattr(time, name, jumping(getattr(time, name)))
    # Four are the fewest that a budget leaves, whatever it measured.
    mia, weights = fitted(plan(None, "compiled"), tmp_path, budget=1.0)
    before, wanted = undisturbed
    assert all((one == other).all() for one, other in zip(weights, wanted, strict=True))
    for step in before.shadow_signals:
        for name, values in before.shadow_signals[step].items():
            np.testing.assert_array_equal(mia.shadow_signals[step][name], values)
    assert [float(report.auc) for report in mia.reports] == [float(report.auc) for report in before.reports]


@pytest.mark.slow
def test_a_measurement_that_went_wrong_costs_shadow_models_and_no_training(undisturbed, monkeypatch):
    monkeypatch.setattr(time, "perf_counter", jumping(time.perf_counter))
    mia, weights = fitted(ShadowModels(8, engine="compiled"), budget=1.0)
    assert all((one == other).all() for one, other in zip(weights, undisturbed[1], strict=True))
    assert mia.shadow_signals[1].num_models in (4, 6, 8)


@pytest.mark.parametrize(
    ("step", "of_fit"), [(0.0, 0.0), (0.0, 1e-3), (1e-3, 0.0), (-1.0, 1e-3), (1e-3, -1.0), (-1.0, -1.0)]
)
def test_no_measurement_leaves_fewer_than_four_or_more_than_were_asked_for(step, of_fit):
    count, _ = affordable_models(16, 4.0, EngineChoice(None, step, of_fit, ""), 100, 50)
    assert 4 <= count <= 16


def test_the_tab_shows_every_epoch_whatever_the_time_was(tmp_path):
    shifts = {-1: 0.0, 0: YEAR, 1: -YEAR, 2: 0.0, 3: -2 * YEAR, 4: YEAR}
    rng = np.random.default_rng(0)
    events = [
        privacy_event(
            "mia/privacy_audit",
            step,
            packed(audit_pieces("lira", step, rng.normal(size=100), 50)[0].payload),
            content_of("mia", "lira", "audit"),
            1.7e9 + step + shift,
        )
        for step, shift in shifts.items()
    ]
    append_events(tmp_path / "mia" / "lira", events)
    with loaded("python", tmp_path) as logs:
        page = overview(LogReader(logs.provider))
    (run,) = page["runs"]
    assert [attack["steps"] for attack in run["attacks"]] == [list(shifts)]
    assert not page["problems"]

"""A range attack as ranges grow, and the table of ranges."""

import warnings

import keras
import numpy as np
import pandas as pd
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from privacy_callbacks import AuditWarning, audit_ranges, range_curve
from privacy_callbacks.attacks import RMIA, ShadowModels, Threshold
from privacy_callbacks.range_queries import LpBall, RaMIA

PLAN = ShadowModels(4, epochs=2, batch_size=20, engine="stacked")


def records(count=60, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, 6)).astype(np.float32), rng.integers(0, 3, count)


@pytest.fixture(scope="module")
def model():
    made = keras.Sequential([keras.Input((6,)), keras.layers.Dense(32, activation="relu"), keras.layers.Dense(3)])
    made.compile(keras.optimizers.Adam(0.02), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    made.fit(*records(), epochs=60, batch_size=20, verbose=0)
    return made


def curve_of(model, sizes=(0.1, 0.5, 1.0), **options):
    options = {"make_range": LpBall, "attack": Threshold("loss"), "blind_baseline": False, **options}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AuditWarning)
        return range_curve(model, records(), records(seed=1), sizes=sizes, label="radius", **options)


def test_each_size_has_a_range_attack_and_a_point_attack(model):
    curve = curve_of(model)
    assert curve.sizes == (0.1, 0.5, 1.0)
    assert [report.num_members for report in curve.ranges] == [report.num_members for report in curve.points]
    assert all(report.auc.low > 0.5 for report in curve.ranges[:2])
    table = curve.table()
    assert list(table["size"]) == [0.1, 0.1, 0.5, 0.5, 1.0, 1.0]
    assert {"auc", "auc_low", "auc_high", "balanced_accuracy", "holding", "not_holding"} <= set(table.columns)


def test_a_size_is_what_the_audit_of_that_range_alone_says(model):
    curve = curve_of(model)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AuditWarning)
        alone = audit_ranges(
            model, records(), records(seed=1), RaMIA(Threshold("loss"), LpBall(0.5)), blind_baseline=False
        )
    assert float(alone.reports[0].auc) == float(curve.ranges[1].auc)


def test_a_size_at_which_nothing_can_be_told_is_marked(model):
    curve = curve_of(model, (0.1, 100.0))
    assert curve.ranges[1].failed
    assert curve.points[1].failed
    assert "smaller ranges" in curve.ranges[1].warnings[0]
    assert np.isnan(curve.table()["auc"]).tolist() == [False, False, True, True]


def test_shadow_models_are_trained_once_for_all_sizes(model):
    curve = curve_of(model, attack=RMIA(), shadow_models=PLAN, verbose=0, make_centre=lambda size: LpBall(0.9 * size))
    assert not any(report.failed for report in (*curve.ranges, *curve.points))
    assert any("0 of the queries are training records" in note for note in curve.ranges[0].notes)


@pytest.mark.parametrize("sizes", [(), (1.0, 1.0), (1, 1.0)])
def test_sizes_are_different(model, sizes):
    with pytest.raises(ValueError, match="give at least one, each once"):
        curve_of(model, sizes)


def test_no_size_with_anything_to_tell_is_refused(model):
    with pytest.raises(ValueError, match="at no size is there something to tell apart"):
        curve_of(model, (100.0, 200.0))


@pytest.mark.parametrize(("sizes", "steps"), [((0.1, 0.5), [0, 1]), ((1, 2), [1, 2])])
def test_tensorboard_shows_both_attacks_by_size(model, tmp_path, sizes, steps):
    curve_of(model, sizes).log(tmp_path)
    for run in ("range_attack", "point_attack"):
        held = EventAccumulator(str(tmp_path / "ranges" / run), size_guidance={"tensors": 0})
        held.Reload()
        assert [event.step for event in held.Tensors("ranges/auc")] == steps
    held = EventAccumulator(str(tmp_path / "ranges" / "range_attack"), size_guidance={"tensors": 0})
    held.Reload()
    assert "ranges/table" in held.Tags()["tensors"]


def test_the_picture_shows_both_and_guessing(model):
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    axes = Figure().subplots()
    curve_of(model, (0.5, 0.1, 100.0)).plot(axes)
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["range attack", "point attack", "guessing"]
    assert list(axes.lines[0].get_xdata()) == [0.1, 0.5]  # ascending, without the size that cannot be judged
    assert axes.get_xlabel() == "radius"
    with pytest.raises(ValueError, match="metric is 'nothing'"):
        curve_of(model, (0.1,)).plot(axes, "nothing")


def test_the_table_has_a_row_a_range(model):
    attack = RaMIA(Threshold("loss"), LpBall(0.5), 4)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AuditWarning)
        found = audit_ranges(model, records(), records(seed=1), [attack, attack.at_centres()], blind_baseline=False)
    assert len(found.ranges) == 240
    assert list(found.ranges.attack.unique()) == ["ramia", "ramia_centre"]
    first = found.ranges[found.ranges.attack == "ramia"]
    assert first.holds_training_record.sum() == found.reports[0].num_members
    assert first.centre_in_training.sum() == 60
    assert first.member_probability.between(0, 1).all()
    assert isinstance(found.ranges, pd.DataFrame)


@pytest.mark.parametrize("attacks", [None, [], Threshold("loss"), [RaMIA(Threshold("loss"), LpBall(1.0)), RMIA()]])
def test_only_range_attacks_are_taken(model, attacks):
    with pytest.raises(TypeError, match="give range attacks"):
        audit_ranges(model, records(), records(seed=1), attacks)

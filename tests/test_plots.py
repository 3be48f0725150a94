import dataclasses
import itertools

import matplotlib.pyplot as plt
import numpy as np
import pytest
from gaussian_world import GaussianWorld

from privacy_callbacks import LeakageReport
from privacy_callbacks.attacks.estimate import Estimate
from privacy_callbacks.attacks.report import failed_report
from privacy_callbacks.plots import (
    BLUE,
    GREY,
    VERMILION,
    plot_auc_over_epochs,
    plot_losses,
    plot_metric_over_epochs,
    plot_privacy_against_accuracy,
    plot_roc,
    plot_scores,
    plot_slices,
    slices_height,
)


@pytest.fixture
def axes():
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


def reports(steps=(-1, 0, 1), attack="loss"):
    scores, is_member = GaussianWorld(1.0).draw(300, 300, np.random.default_rng(0))
    return [LeakageReport.from_scores(scores, is_member, attack=attack, step=step) for step in steps]


def of_slice(name, gain=1.0, members=300, nonmembers=300, level=0.998, step=4):
    scores, is_member = GaussianWorld(gain).draw(members, nonmembers, np.random.default_rng(0))
    return LeakageReport.from_scores(scores, is_member, attack="loss", slice=name, step=step, level=level)


def too_small(name, members=3, nonmembers=1, **changes):
    report = failed_report("loss", "3 members are too few", step=4, num_members=members, num_nonmembers=nonmembers)
    return dataclasses.replace(report, slice=name, **changes)


def line(axes, label):
    return next(line for line in axes.get_lines() if line.get_label() == label)


def labels(axes):
    return axes.get_legend_handles_labels()[1]


def texts(axes):
    return [text.get_text() for text in axes.texts]


def bars(axes):
    """(shares, edges, colour) of every histogram and single bar drawn."""
    return [(*patch.get_data()[:2], patch.get_edgecolor()) for patch in axes.patches if hasattr(patch, "get_data")]


def shares_of(axes, side):
    """Every bar of the members (0) or the non-members (1)."""
    drawn = bars(axes)
    colour = drawn[0][2] if side == 0 else next(bar[2] for bar in drawn if bar[2] != drawn[0][2])
    return np.concatenate([shares for shares, _, edge in drawn if edge == colour])


def boxes(axes, artists):
    """Where they stand once everything has been laid out, in pixels."""
    figure = axes.get_figure()
    figure.canvas.draw()
    return [artist.get_window_extent() for artist in artists]


def overlapping(found):
    return [
        (a, b) for a, b in itertools.combinations(found, 2) if a.padded(-0.5).overlaps(b.padded(-0.5))
    ]  # touching is fine


def test_the_auc_is_drawn_at_the_number_of_epochs_trained(axes):
    drawn = [*reports(), failed_report("loss", "NaN", step=2)]
    plot_auc_over_epochs(axes, drawn)
    x, y = line(axes, "attack «loss»").get_data()
    assert list(x) == [0, 1, 2]
    assert list(y) == [float(report.auc) for report in drawn[:3]]


def test_several_attacks_overlay(axes):
    plot_auc_over_epochs(axes, [*reports(), *reports(attack="lira")])
    colours = {line(axes, f"attack «{name}»").get_color() for name in ("loss", "lira")}
    assert len(colours) == 2
    plot_roc(axes, *reports(steps=(0,)), *reports(steps=(0,), attack="lira"))


@pytest.mark.parametrize("metric", [*reports(steps=(0,))[0].estimates()])
def test_every_metric_of_a_report_can_be_drawn_over_epochs(axes, metric):
    scores, is_member = GaussianWorld(1.0).draw(50, 10_000, np.random.default_rng(0))
    drawn = [LeakageReport.from_scores(scores, is_member, attack="loss", step=step) for step in range(3)]
    plot_metric_over_epochs(axes, drawn, metric)
    estimate = drawn[0].estimates()[metric]
    assert list(line(axes, "attack «loss»").get_ydata()) == [float(estimate)] * 3
    lowest, highest = axes.get_ylim()
    if estimate.null_level is None:
        assert {"95 % interval", "guessing"} <= set(labels(axes))
        assert lowest < estimate.low <= estimate.high < highest
    else:
        assert "95 % of leak-free audits lie below" in labels(axes)
        null = next(curve for curve in axes.get_lines() if curve.get_linestyle() == "--")
        assert list(null.get_ydata()) == [estimate.null_level] * 3


@pytest.mark.parametrize(("metric", "chance"), [("auc", 0.5), ("tpr_at_fpr_1e-1", 0.1), ("youden_j", 0.0)])
def test_the_dashed_line_stands_where_guessing_lies(axes, metric, chance):
    plot_metric_over_epochs(axes, reports(), metric)
    assert set(line(axes, "guessing").get_ydata()) == {chance}


def test_a_single_epoch_still_shows_its_interval(axes):
    (report,) = reports(steps=(3,))
    plot_auc_over_epochs(axes, [report])
    (bar,) = (found for found in axes.collections if hasattr(found, "get_segments"))
    np.testing.assert_allclose(bar.get_segments()[0], [[4, report.auc.low], [4, report.auc.high]])


def test_the_legend_leaves_the_upper_left_to_a_curve_that_starts_there(axes):
    early = [of_slice("entire", gain=gain, step=step, level=0.95) for step, gain in enumerate((3, 3, 0, 0, 0, 0))]
    plot_auc_over_epochs(axes, early)
    (legend,) = boxes(axes, [axes.get_legend()])
    curve = axes.transData.transform(line(axes, "attack «loss»").get_xydata())
    assert not any(legend.contains(*point) for point in curve)


def test_losses_share_the_epoch_axis(axes):
    plot_losses(axes, {"loss": [2.0, 1.0], "val_loss": [2.0, 1.5]})
    assert list(line(axes, "validation loss").get_xdata()) == [1, 2]


def test_the_roc_is_drawn_on_two_logarithmic_axes_with_what_is_not_resolved_shaded(axes):
    (report,) = reports(steps=(0,))
    plot_roc(axes, report)
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    np.testing.assert_array_equal(line(axes, "attack «loss»").get_ydata(), report.roc.tpr)
    assert axes.texts[0].get_position()[0] == pytest.approx(10 / 300, rel=0.02)


def test_the_roc_on_linear_axes_holds_the_same_curve_and_its_band(axes):
    (report,) = reports(steps=(0,))
    plot_roc(axes, report, scale="linear")
    assert (axes.get_xscale(), axes.get_yscale()) == ("linear", "linear")
    np.testing.assert_array_equal(line(axes, "attack «loss»").get_xdata(), report.roc.fpr)
    band = axes.collections[0].get_paths()[0]
    assert band.contains_point((0.5, np.interp(0.5, report.roc.fpr, report.roc.tpr)))
    assert "95 % band" in labels(axes)


def test_the_band_has_the_level_of_the_report(axes):
    plot_roc(axes, of_slice("class 1", level=0.998))
    assert "99.8 % band" in labels(axes)


class CrossFitted:
    """A report whose scores come from five attackers."""

    folds = 5

    def __init__(self, report):
        self.report = report

    def __getattr__(self, name):
        return getattr(self.report, name)


@pytest.mark.parametrize("scale", ["log", "linear"])
def test_cross_fitted_curves_have_no_band_and_say_so(axes, scale):
    plot_roc(axes, CrossFitted(reports(steps=(0,))[0]), scale=scale)
    assert labels(axes) == ["attack «loss»\n(cross-fitted, no band)", "guessing"]
    assert not axes.collections


@pytest.mark.parametrize("scale", ["log", "linear"])
@pytest.mark.parametrize("is_member", [[1, 0, 0], [1, 1, 0]])
def test_a_roc_of_three_records_is_drawn_and_nothing_of_it_is_resolved(axes, scale, is_member):
    plot_roc(axes, LeakageReport.from_scores([1, 2, 3], is_member), scale=scale)
    assert axes.texts[0].get_position()[0] == 1


def test_scores_are_drawn_as_shares_of_each_side_in_common_bins(axes):
    scores, is_member = GaussianWorld(1.0).draw(100, 900, np.random.default_rng(0))
    plot_scores(axes, scores, is_member, attack="loss")
    (members, edges, _), (nonmembers, same_edges, _) = bars(axes)
    np.testing.assert_array_equal(edges, same_edges)
    np.testing.assert_allclose(members, np.histogram(scores[is_member], edges)[0] / 100)
    np.testing.assert_allclose(nonmembers, np.histogram(scores[~is_member], edges)[0] / 900)
    assert labels(axes) == ["members (n = 100)", "non-members (n = 900)"]
    assert axes.get_xlabel() == "score of «loss» (higher = more member-like)"


NASTY = {
    "infinite": np.r_[np.full(5, np.inf), np.full(5, -np.inf)],
    "some infinite": np.r_[np.inf, -np.inf, np.arange(8.0)],
    "one value": np.full(10, 0.3),
    "one large value": np.full(10, 1e200),
    "zero and one": np.array([0, 1] * 5, float),
    "rounding": 1e9 + 1e-7 * np.arange(10),
    "overflowing": np.r_[1e308, -1e308, np.arange(8.0)],
    "tiny": 1e-300 * np.arange(10),
    "heavy tails": np.random.default_rng(0).standard_cauchy(10),
    "one far off": np.r_[np.arange(9.0), 1e30],
}


@pytest.mark.parametrize("scores", NASTY.values(), ids=NASTY)
@pytest.mark.parametrize("records", [2, 3, 10])
def test_every_record_stands_in_a_bar_however_nasty_the_scores(axes, scores, records):
    is_member = np.arange(records) % 2 == 0
    before = scores.copy()
    plot_scores(axes, scores[:records], is_member)
    axes.get_figure().canvas.draw()
    for side in (0, 1):
        assert shares_of(axes, side).sum() == pytest.approx(1)
    np.testing.assert_array_equal(scores, before)


def test_the_shares_of_heavy_tails_sum_to_one_and_leave_the_middle_its_room(axes):
    scores = np.random.default_rng(0).standard_cauchy(20_000)
    plot_scores(axes, scores, np.arange(20_000) < 50)
    assert shares_of(axes, 0).sum() == pytest.approx(1)
    assert shares_of(axes, 1).sum() == pytest.approx(1)
    assert bars(axes)[0][1][-1] < 100 < scores.max()
    assert {"▾ lower", "higher ▾"} <= set(texts(axes))


@pytest.mark.parametrize(
    ("scores", "said"),
    [
        ([-np.inf, 0.0, 1.0, np.inf], ["▾ −∞", "∞ ▾"]),
        ([-np.inf, 0.0, 1.0, 2.0], ["▾ −∞"]),
        ([-np.inf, -1e300, 0.0, 1.0], ["▾ lower or −∞"]),
        ([0.0, 1.0, 2.0, 3.0], []),
    ],
)
def test_bars_off_the_scale_say_what_they_hold(axes, scores, said):
    plot_scores(axes, scores, [1, 0, 1, 0])
    assert texts(axes) == said


def test_scores_of_zero_and_one_have_one_bar_and_one_tick_each(axes):
    plot_scores(axes, [0, 1] * 20, [0, 1, 1, 1] * 10)
    assert list(axes.get_xticks()) == [0, 1]
    np.testing.assert_allclose(bars(axes)[0][1], [-0.5, 0.5, 1.5])
    np.testing.assert_allclose(bars(axes)[0][0], [1 / 3, 2 / 3])


def test_the_forest_has_one_row_a_slice_with_its_point_and_interval(axes):
    drawn = [of_slice("class 1", 0.0), of_slice("entire", level=0.95), of_slice("class 2")]
    plot_slices(axes, drawn)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["entire", "class 1", "class 2"]
    whole, first, second = axes.get_yticks()
    assert first - whole > second - first
    assert axes.yaxis_inverted()
    points = {point.get_ydata()[0]: point for point in axes.get_lines() if len(point.get_xdata()) == 1}
    for height, report in zip((whole, first, second), (drawn[1], drawn[0], drawn[2]), strict=True):
        assert points[height].get_xdata()[0] == float(report.auc)
        ends = [[report.auc.low, height], [report.auc.high, height]]
        assert any(np.array_equal(bar, ends) for found in axes.collections for bar in found.get_segments())
    assert points[whole].get_markerfacecolor() == VERMILION
    assert points[first].get_color() == BLUE
    assert points[first].get_markerfacecolor() != BLUE
    assert "99.8 % (entire: 95 %) interval" in axes.get_xlabel()
    assert axes.get_title() == "attack «loss», after epoch 5"


def test_each_row_says_how_many_records_were_judged(axes):
    plot_slices(axes, [of_slice("class 1", members=300, nonmembers=1_200), too_small("class 2", 0, 0)])
    assert {"300 /", " 1,200", "– /", " –", "members /\nnon-members"} <= set(texts(axes))


def test_a_slice_that_was_not_audited_keeps_its_row_and_says_why(axes):
    drawn = [too_small("class 2"), of_slice("class 1"), too_small("class 3", warnings=())]
    plot_slices(axes, drawn, sort=True)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["class 1", "class 2", "class 3"]
    assert {"not audited: 3 members are too few", "not audited"} <= set(texts(axes))
    plot_slices(axes, drawn[:1])


def test_a_slice_whose_metric_was_refused_keeps_its_row_and_says_why(axes):
    plot_slices(axes, [of_slice("class 1", nonmembers=1_000), of_slice("class 2")], "tpr_at_fpr_1e-2")
    assert any(text.startswith("refused: TPR at FPR 0.01 needs") for text in texts(axes))
    assert axes.get_xlabel().startswith("TPR at 1 % FPR, 99.8 % interval")


def test_rows_are_sorted_by_value_below_the_whole(axes):
    drawn = [of_slice("low", 0.2), of_slice("high", 2.0), too_small("none"), of_slice("entire"), of_slice("mid", 1.0)]
    plot_slices(axes, drawn, sort=True)
    assert [label.get_text() for label in axes.get_yticklabels()] == ["entire", "high", "mid", "low", "none"]
    assert drawn[0].slice == "low"


def test_a_metric_without_an_interval_stands_beside_its_null_level(axes):
    report = of_slice("class 1")
    plot_slices(axes, [report], "advantage")
    (null,) = (point for point in axes.get_lines() if point.get_marker() == "|")
    assert list(null.get_xdata()) == [report.advantage.null_level]
    assert "99.8 % of leak-free audits lie below" in axes.get_xlabel()
    assert "guessing" not in texts(axes)


def test_void_rows_are_grey_however_high_they_stand(axes):
    report = dataclasses.replace(of_slice("class 1", 2.0), void="the sides differ")
    plot_slices(axes, [report])
    (point,) = (point for point in axes.get_lines() if len(point.get_xdata()) == 1)
    assert point.get_color() == GREY
    assert point.get_markerfacecolor() != GREY
    assert "void" in axes.get_xlabel()


def test_an_auc_of_one_half_and_an_interval_over_everything_fit(axes):
    report = LeakageReport.from_scores([1.0, 1.0, 1.0], [1, 0, 0], attack="loss")
    plot_slices(axes, [report])
    left, right = axes.get_xlim()
    assert (float(report.auc), report.auc.low, report.auc.high) == (0.5, 0.0, 1.0)
    assert left < 0 < 1 < right


@pytest.mark.parametrize("count", [1, 2, 11, 61])
def test_at_the_height_recommended_no_two_texts_of_a_forest_overlap(count):
    names = ["entire", *(f"class {i // 10} & loss {i % 10 * 10}–{i % 10 * 10 + 10} %" for i in range(count - 1))]
    base = of_slice("entire", members=12_000, nonmembers=12_000)
    drawn = [dataclasses.replace(base, slice=name) for name in names]
    if count > 2:
        drawn[-1] = too_small(names[-1], warnings=("3 members are too few; " * 20,))
    figure, axes = plt.subplots(figsize=(7.5, slices_height(count)), layout="constrained")
    plot_slices(axes, drawn)
    written = [*axes.get_yticklabels(), *axes.texts, axes.title, axes.xaxis.label]
    found = boxes(axes, written)
    assert not overlapping(found)
    inside = figure.bbox
    assert all(box.x0 >= inside.x0 and box.x1 <= inside.x1 and box.y1 <= inside.y1 for box in found)
    assert all(label.get_fontsize() >= 7 for label in axes.get_yticklabels())
    plt.close(figure)


def estimates(*values, half=0.05):
    return [Estimate(value, value - half, value + half) for value in values]


def test_each_run_is_a_thin_line_of_epochs_with_its_last_point_marked_and_named(axes):
    runs = {
        "plain": list(zip((0.5, 0.8, 0.9), estimates(0.5, 0.6, 0.8), strict=True)),
        "DP-SGD": list(zip((0.4, 0.7), estimates(0.5, 0.51), strict=True)),
    }
    plot_privacy_against_accuracy(axes, runs)
    paths = [curve for curve in axes.get_lines() if len(curve.get_xdata()) > 1][:2]
    assert [list(path.get_xdata()) for path in paths] == [[0.5, 0.8, 0.9], [0.4, 0.7]]
    named = {text.get_text(): text.xy for text in axes.texts}
    assert named["plain"] == (0.9, 0.8)
    assert named["DP-SGD"] == (0.7, 0.51)
    bars_drawn = [tuple(bar[:, 1]) for found in axes.collections for bar in found.get_segments()]
    assert len(bars_drawn) == 5
    assert (0.75, 0.8500000000000001) in bars_drawn
    assert "95 % interval" in axes.get_ylabel()
    assert any(set(curve.get_ydata()) == {0.5} and curve.get_linestyle() == "--" for curve in axes.get_lines())


def test_plain_numbers_are_points_without_an_interval(axes):
    plot_privacy_against_accuracy(axes, {"a": [(0.9, 0.7)]})
    assert "interval" not in axes.get_ylabel()


def test_names_of_close_runs_do_not_cover_each_other(axes):
    runs = {f"run number {i}": [(0.9 + 0.001 * (i % 3), auc)] for i, auc in enumerate(estimates(*[0.7] * 8))}
    plot_privacy_against_accuracy(axes, runs)
    names = [text for text in axes.texts if text.get_text() in runs]
    assert len(names) == 8
    axes.get_figure().canvas.draw()
    found = [text.get_bbox_patch().get_window_extent().padded(-1) for text in names]
    assert not overlapping(found)
    assert all(axes.bbox.contains(box.x0, box.y0) and axes.bbox.contains(box.x1, box.y1) for box in found)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda axes: plot_auc_over_epochs(axes, []), "at least one"),
        (
            lambda axes: plot_auc_over_epochs(axes, [r for name in "abcde" for r in reports(attack=name)]),
            "1 to 4 attacks",
        ),
        (lambda axes: plot_metric_over_epochs(axes, [failed_report("loss", "NaN", step=1)]), r"\(NaN\).*at least one"),
        (lambda axes: plot_metric_over_epochs(axes, reports(), "tpr_at_fpr_1e-3"), "needs 10,000 non-members"),
        (lambda axes: plot_metric_over_epochs(axes, reports(), "accuracy"), "'accuracy'; give one of 'auc', "),
        (lambda axes: plot_metric_over_epochs(axes, [of_slice("a"), of_slice("b")]), r"2 slices \(a, b\)"),
        (lambda axes: plot_roc(axes), "0 reports were given"),
        (lambda axes: plot_roc(axes, failed_report("loss", "NaN")), "no curve to draw"),
        (lambda axes: plot_roc(axes, *reports(), scale="logit"), "give 'log' or 'linear'"),
        (lambda axes: plot_scores(axes, [0.1, 0.2], [1]), "one score and one 0/1 flag a record"),
        (lambda axes: plot_scores(axes, [], []), "at least one each"),
        (lambda axes: plot_scores(axes, [0.1, np.nan], [1, 0]), "NaN for 1 of 2 records"),
        (lambda axes: plot_scores(axes, [0.1, 0.2], [1, 1]), "2 members and 0 non-members"),
        (lambda axes: plot_slices(axes, []), "no report was given; give one report a slice"),
        (lambda axes: plot_slices(axes, [*reports((0,)), *reports((0,), "lira")]), r"2 attacks \(loss, lira\)"),
        (lambda axes: plot_slices(axes, reports((0, 1))), r"2 steps \(0, 1\)"),
        (lambda axes: plot_slices(axes, reports((0, 0))), "'entire' is given 2 times"),
        (lambda axes: plot_slices(axes, reports((0,)), "accuracy"), "'accuracy'; give one of 'auc', "),
        (lambda axes: slices_height(0), "at least 1"),
        (lambda axes: plot_privacy_against_accuracy(axes, {}), "no run was given"),
        (lambda axes: plot_privacy_against_accuracy(axes, {"a": []}), "'a' has no points"),
        (
            lambda axes: plot_privacy_against_accuracy(axes, {"a": [(0.9, None)]}),
            "two numbers: leave failed audits out",
        ),
        (lambda axes: plot_privacy_against_accuracy(axes, {"a": [0.9]}), "each point is .accuracy, AUC."),
        (lambda axes: plot_privacy_against_accuracy(axes, {"a": [(0.9, np.nan)]}), "finite numbers"),
    ],
)
def test_what_cannot_be_drawn_is_refused(axes, draw, message):
    with pytest.raises(ValueError, match=message):
        draw(axes)
    assert not axes.has_data()


@pytest.mark.slow
@pytest.mark.long
def test_the_demo_runs_and_its_story_holds(tmp_path):
    """LiRA rises above guessing and above the loss, the members most at risk are the mislabelled ones, and dropout helps."""
    import re
    import subprocess
    import sys
    from pathlib import Path

    script = Path(__file__).parent.parent / "codelabs" / "first_light.py"
    done = subprocess.run([sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]
    rows = re.findall(r"^ +(\d+) .* (0\.\d{3}) \[(0\.\d{3}), .* (0\.\d{3})$", done.stdout, flags=re.MULTILINE)
    assert [int(epoch) for epoch, *_ in rows] == [*range(1, 21), *range(1, 21)]  # without dropout, and with it
    assert float(rows[0][1]) < 0.55
    _, auc, low, of_loss = map(float, rows[19])
    assert low > 0.59
    assert of_loss < low
    assert float(rows[-1][1]) < auc  # less leaks with dropout
    share = re.search(r"most at risk (\d+) % are mislabelled", done.stdout)
    assert int(share.group(1)) >= 80
    assert (tmp_path / "demo" / "leakage.png").stat().st_size > 50_000
    for run in ("plain", "dropout"):
        assert list((tmp_path / "demo" / "logs" / run / "mia" / "lira").glob("events*"))
    assert "privacy-data" in (tmp_path / "demo" / "report.html").read_text()


def test_a_slices_name_is_no_formula(axes):
    (whole,) = reports(steps=(0,))
    odd = [dataclasses.replace(whole, slice=name) for name in ("price $x_{$", "$1_0$")]
    plot_slices(axes, [whole, *odd])
    axes.figure.canvas.draw()
    assert [label.get_text().replace("\\", "") for label in axes.get_yticklabels()][:3] == [
        "entire",
        "price $x_{$",
        "$1_0$",
    ]

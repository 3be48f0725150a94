import matplotlib.pyplot as plt
import numpy as np
import pytest
from gaussian_world import GaussianWorld

from privacy_callbacks import LeakageReport
from privacy_callbacks.attacks.report import failed_report
from privacy_callbacks.plots import plot_auc_over_epochs, plot_losses, plot_roc


@pytest.fixture
def axes():
    figure, axes = plt.subplots()
    yield axes
    plt.close(figure)


def reports(steps=(-1, 0, 1), attack="loss"):
    scores, is_member = GaussianWorld(1.0).draw(300, 300, np.random.default_rng(0))
    return [LeakageReport.from_scores(scores, is_member, attack=attack, step=step) for step in steps]


def line(axes, label):
    return next(line for line in axes.get_lines() if line.get_label() == label)


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


def test_losses_share_the_epoch_axis(axes):
    plot_losses(axes, {"loss": [2.0, 1.0], "val_loss": [2.0, 1.5]})
    assert list(line(axes, "validation loss").get_xdata()) == [1, 2]


def test_the_roc_is_drawn_on_two_logarithmic_axes_with_what_is_not_resolved_shaded(axes):
    (report,) = reports(steps=(0,))
    plot_roc(axes, report)
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    np.testing.assert_array_equal(line(axes, "attack «loss»").get_ydata(), report.roc.tpr)
    assert axes.texts[0].get_position()[0] == pytest.approx(10 / 300, rel=0.02)


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda axes: plot_auc_over_epochs(axes, []), "at least one"),
        (
            lambda axes: plot_auc_over_epochs(axes, [r for name in "abcde" for r in reports(attack=name)]),
            "1 to 4 attacks",
        ),
        (lambda axes: plot_roc(axes), "0 reports were given"),
        (lambda axes: plot_roc(axes, failed_report("loss", "NaN")), "no curve to draw"),
    ],
)
def test_what_cannot_be_drawn_is_refused(axes, draw, message):
    with pytest.raises(ValueError, match=message):
        draw(axes)


@pytest.mark.slow
def test_the_demo_runs_and_its_story_holds(tmp_path):
    """LiRA rises above guessing and above the loss, and the members most at risk are the mislabelled ones."""
    import re
    import subprocess
    import sys
    from pathlib import Path

    script = Path(__file__).parent.parent / "codelabs" / "first_light.py"
    done = subprocess.run([sys.executable, str(script)], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]
    rows = re.findall(r"^ +(\d+) .* (0\.\d{3}) \[(0\.\d{3}), .* (0\.\d{3})$", done.stdout, flags=re.MULTILINE)
    assert [int(epoch) for epoch, *_ in rows] == list(range(1, 21))
    assert float(rows[0][1]) < 0.55
    _, _, low, of_loss = map(float, rows[-1])
    assert low > 0.59
    assert of_loss < low
    share = re.search(r"most at risk (\d+) % are mislabelled", done.stdout)
    assert int(share.group(1)) >= 80
    assert (tmp_path / "demo" / "leakage.png").stat().st_size > 50_000
    assert list((tmp_path / "demo" / "logs" / "mia" / "lira").glob("events*"))

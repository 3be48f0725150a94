"""The Python of docs/training_signal.md runs as it stands there, and shows what the page says it shows."""

import re
import warnings
from pathlib import Path

import numpy as np
import pytest

from privacy_callbacks import AuditWarning

PAGE = Path(__file__).parents[1] / "docs" / "training_signal.md"
TEXT = PAGE.read_text()
SNIPPETS = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """The names that each snippet leaves behind, and the folder it wrote into."""
    folder, names, found = tmp_path_factory.mktemp("page"), {}, []
    with pytest.MonkeyPatch.context() as patch, warnings.catch_warnings():
        patch.chdir(folder)
        warnings.simplefilter("ignore", AuditWarning)
        warnings.filterwarnings("ignore", "All-NaN axis", RuntimeWarning)
        for snippet in SNIPPETS:
            exec(snippet, names)
            found.append(dict(names))
    return found, folder


def column(row):
    (line,) = re.findall(rf"^\| {row} \|.*$", TEXT, flags=re.MULTILINE)
    return [float(cell) for cell in line.strip("| ").split("|")[1:]]


@pytest.mark.slow
def test_leakage_rises_while_accuracy_comes_and_goes(runs):
    history = runs[0][1]["history"]
    assert (np.diff(history["mia_auc"]) > 0).mean() >= 0.9
    assert history["mia_auc"][-1] > history["mia_auc"][0] + 0.1
    assert 1 < np.argmax(history["val_accuracy"]) < 12
    told = [int(epoch) - 1 for epoch in column("epoch")]
    for row, at_most in (("`mia_auc`", 0.02), ("`val_accuracy`", 0.03)):
        np.testing.assert_allclose(column(row), np.array(history[row.strip("`")])[told], atol=at_most)


@pytest.mark.slow
def test_early_stopping_on_leakage_keeps_the_first_epoch(runs):
    names = runs[0][2]
    assert len(names["short"]["loss"]) == 4
    assert names["least"].best_epoch == 0


@pytest.mark.slow
def test_leakage_ends_the_run_before_patience_does(runs):
    names = runs[0][3]
    limit, useful = names["limit"], names["useful"]
    assert limit.stopped_epoch is not None
    assert len(names["history"]["loss"]) == limit.stopped_epoch + 1
    assert useful.best_epoch < limit.stopped_epoch
    (best,) = [report for report in names["stopped"].reports if report.step == useful.best_epoch]
    assert float(names["stopped"].report.auc) == pytest.approx(float(best.auc), abs=1e-6)
    assert best.auc.low < 0.58 < best.auc.high


@pytest.mark.slow
def test_what_is_kept_is_surely_within_the_limit(runs):
    names, folder = runs[0][4], runs[1]
    kept, accuracies = names["kept"], names["history"]["val_accuracy"]
    assert (folder / "best.keras").is_file()
    assert kept.best == accuracies[kept.best_epoch] <= max(accuracies)
    assert len(list((folder / "models").iterdir())) == 4
    assert all(re.fullmatch(r"0\d-auc0\.\d{3}-acc0\.\d{3}\.keras", path.name) for path in (folder / "models").iterdir())
    assert 0.4 < runs[0][6]["best"].best < 0.6


@pytest.mark.slow
def test_a_price_finds_another_model_than_leakage_alone(runs):
    names = runs[0][7]
    priced, least = (names[name].oracle.get_best_trials()[0] for name in ("by_price", "by_leakage"))
    assert priced.metrics.get_best_value("val_accuracy") > least.metrics.get_best_value("val_accuracy") + 0.05
    assert least.best_step < priced.best_step


@pytest.mark.slow
def test_a_tuner_takes_what_private_checkpoint_kept(runs):
    (found, folder) = runs
    best = found[8]["within"].oracle.get_best_trials()[0]
    trial = "units{units}-dropout{dropout}".format(**best.hyperparameters.values)
    assert best.score > 0.7
    assert (folder / f"{trial}.keras").is_file()
    assert (folder / "logs" / trial / "mia" / "loss").is_dir()


def test_lines_fit_a_screen_and_there_are_as_many_snippets_as_tested():
    assert max(len(line) for line in TEXT.splitlines() if not line.startswith("|")) <= 130
    assert len(SNIPPETS) == 9

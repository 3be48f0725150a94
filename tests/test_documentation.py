"""The Python of docs/unlearning.md and docs/epsilon.md runs as it stands there, and shows what the pages say it shows."""

import re
import warnings
from pathlib import Path

import numpy as np
import pytest

from privacy_callbacks import AuditWarning

DOCS = Path(__file__).parents[1] / "docs"
PAGES = "unlearning.md", "epsilon.md"


def run(page):
    """The names that a page's snippets leave behind."""
    names: dict = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AuditWarning)
        for snippet in snippets(page):
            exec(snippet, names)
    return names


def snippets(page):
    return re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(), flags=re.DOTALL)


def test_unlearning_runs_and_says_what_it_should(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert len(snippets("unlearning.md")) == 7
    names = run("unlearning.md")
    found, several, watch = names["found"], names["several"], names["watch"]
    assert found.verdict == "residual"
    assert {name: report.verdict for name, report in found.models.items()} == {
        "original": "residual",
        "unlearned": "residual",
        "retrained": "forgotten",
    }
    assert (names["alone"].verdict, names["beside"].verdict) == ("inconclusive", "residual")
    assert "give a retrained model" in capsys.readouterr().out
    assert several.klom["forget"]["95%"] > several.klom["floor_forget"]["95%"]
    assert several.u_lira_auc.low > 0.5
    assert sorted(watch.evaluations) == [-1, *range(len(names["history"]["loss"]))]
    assert (tmp_path / "logs" / "unlearning" / "unlearning" / "loss").is_dir()
    assert names["around"].verdict == "residual"
    share = names["usage_share"](names["queried"], names["scores"][0], names["scores"][2][150:])
    assert share.low < 0.5 < share.high


def test_epsilon_runs_and_says_what_it_should(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    names = run("epsilon.md")
    bounds = names["history"]["mia_epsilon_lower_bound"]
    assert bounds == sorted(bounds)
    assert bounds[-1] > 1.2 * bounds[0] > 0  # the last epoch, for which half of the error is kept, shows the most
    assert names["mia"].report.epsilon.alarm.startswith("At least ε")
    assert "more than the claimed 1.0" in capsys.readouterr().out
    assert names["claim"].check(names["mia"].report.epsilon.best) is None
    assert names["watch"].report.epsilon.exposure.low > names["watch"].report.epsilon.exposure.null_level
    ours = names["epsilon_lower_bound"](
        names["told"]["loss"], names["told"]["is_member"], 1e-5, 0.975, "one_run", guesses="several"
    )
    assert float(ours) == bounds[-1]  # what the last look showed


@pytest.mark.parametrize(
    ("method", "at_most"), [("one_run", 5.4), ("fdp", 10.9), ("split", 4.2), ("grid", 4.3), ("gdp", 28.2)]
)
def test_the_table_of_ceilings_is_what_perfect_scores_show(method, at_most):
    from privacy_callbacks.attacks import epsilon_lower_bound

    truth = np.arange(1_000) % 2 == 0
    scores = truth + 0.1 * np.random.default_rng(0).random(1_000)
    found = epsilon_lower_bound(scores, truth, 1e-5, 0.95, method)
    assert float(found) == pytest.approx(at_most, abs=0.05)
    (row,) = re.findall(rf"^\| `{method}` \|.*$", (DOCS / "epsilon.md").read_text(), flags=re.MULTILINE)
    assert row.split("|")[-3].strip() == f"{at_most}"


@pytest.mark.parametrize("page", PAGES)
def test_lines_fit_a_screen(page):
    prose = [line for line in (DOCS / page).read_text().splitlines() if not line.startswith("|")]
    assert max(map(len, prose)) <= 130


@pytest.mark.parametrize("page", PAGES)
def test_figures_quoted_as_attributes_exist(page):
    from privacy_callbacks import attacks

    text = (DOCS / page).read_text()
    for name in re.findall(r"from privacy_callbacks\.attacks import ([\w, ]+)", text):
        assert all(hasattr(attacks, one.strip()) for one in name.split(","))

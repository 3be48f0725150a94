"""The Python of docs/unlearning.md and docs/epsilon.md runs as it stands there, and shows what the pages say it shows."""

import re

import numpy as np
import pytest
from documented import DOCS, run, snippets

PAGES = "unlearning.md", "epsilon.md"


@pytest.mark.slow
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


@pytest.mark.slow
def test_epsilon_runs_and_says_what_it_should(tmp_path, monkeypatch, capsys):
    pytest.importorskip("dp_accounting")
    monkeypatch.chdir(tmp_path)
    assert len(snippets("epsilon.md")) == 5
    names = run("epsilon.md")
    said, found, single = capsys.readouterr().out, names["found"], names["single"]
    logged = np.array(names["history"]["mia_epsilon_lower_bound"])
    assert np.isnan(logged[:3]).all()  # before the first audit
    assert (np.diff(logged[3:]) >= 0).all()
    assert logged[-1] > logged[-2] > 0  # the last epoch, for which half of the error is kept, shows the most
    assert float(found.best) == logged[-1]
    assert list((tmp_path / "logs" / "audited" / "mia" / "loss").iterdir())
    assert "more than the claimed 1.0" in found.alarm
    assert said.count(found.alarm) == 2  # live, and by a claim made afterwards
    # The only look may spend all of the error, so it shows more than the last of several.
    last = names["epsilon_lower_bound"](names["scores"], names["coins"], 1e-5, 0.975, "one_run", guesses="several")
    assert float(last) == logged[-1] < single
    assert "independent fair coin" in single.assumes
    assert names["blind"] == 0
    assert "which no ε above 0 is needed to explain" in names["blind"].reason
    # Of a model that was never trained.
    guess = names["report"].epsilon
    assert guess.name == "epsilon_estimate"
    assert 1.6 < guess.best < 2.0
    assert "no bound: membership was not dealt by coins" in guess.line()
    assert "that refutes nothing, since it is no bound" in guess.alarm
    planned = names["planned"]
    assert planned.epsilon == pytest.approx(5.6, abs=0.05)
    assert "accountant" in planned.source
    assert planned.check(found.best) is None
    for exposed in (names["by_rank"], names["by_fit"]):
        assert exposed.low > exposed.null_level


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


@pytest.mark.parametrize(("delta", "shown", "nothing"), [(1e-5, 9, 10), (1e-6, 30, 32)])
def test_late_looks_show_nothing_at_a_delta_above_0(delta, shown, nothing):
    from privacy_callbacks.attacks import EpsilonOverLooks

    truth = np.arange(1_000) % 2 == 0
    looks = EpsilonOverLooks(delta, guesses="several", last_share=0.5)
    assert looks.look(truth, truth, shown) > 0
    assert looks.look(truth, truth, nothing) == 0
    assert looks.look(truth, truth, last=True) == pytest.approx(4.9, abs=0.05)


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

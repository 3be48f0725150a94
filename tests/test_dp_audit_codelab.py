"""The codelab on auditing ε runs: of three trainings with one claim, the two that do not keep it raise an alarm."""

import os
import re
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

pytest.importorskip("dp_accounting")
pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[1] / "codelabs" / "dp_audit.py"
TRAININGS = "without privacy", "DP-SGD as planned", "noise forgotten"
LOOKS = 5


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """What the script printed, and the folder that it wrote into."""
    folder = tmp_path_factory.mktemp("codelab")
    done = subprocess.run([sys.executable, str(SCRIPT)], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]
    return done.stdout, folder / "codelab_dp_audit"


def table(printed):
    """Of each training the claim, the bounds after the looks, the test accuracy and the verdict."""
    row = rf"^({'|'.join(TRAININGS)}) +((?:\d+\.\d+ +){{{LOOKS + 2}}})(\S.*)$"
    found = re.findall(row, printed, flags=re.MULTILINE)
    assert [name for name, _, _ in found] == [*TRAININGS]
    return {name: ([*map(float, numbers.split())], verdict) for name, numbers, verdict in found}


def test_a_training_without_privacy_refutes_the_claim(run):
    (claimed, *bounds, _), verdict = table(run[0])["without privacy"]
    assert bounds[-1] > 1.5 * claimed
    assert verdict == "ALARM: more than is claimed"


def test_dp_sgd_as_planned_keeps_its_claim(run):
    (claimed, *bounds, _), verdict = table(run[0])["DP-SGD as planned"]
    assert bounds[-1] < claimed / 2
    assert verdict == "no alarm: the claim is not refuted"


def test_forgotten_noise_is_caught_by_a_wide_margin_before_training_ends(run):
    (claimed, *bounds, _), verdict = table(run[0])["noise forgotten"]
    assert bounds[-1] > 1.3 * claimed
    assert verdict == "ALARM: more than is claimed"
    after, epochs = map(int, re.search(r"raised the alarm after (\d+) of (\d+) epochs", run[0]).groups())
    assert after < epochs


def test_all_claim_the_same_and_bounds_over_all_looks_never_fall(run):
    claims = set()
    for (claimed, *bounds, _), _ in table(run[0]).values():
        claims.add(claimed)
        assert bounds == sorted(bounds)
    assert len(claims) == 1


def test_no_accuracy_shows_that_the_noise_is_missing(run):
    accuracies = {name: numbers[-1] for name, (numbers, _) in table(run[0]).items()}
    assert accuracies["noise forgotten"] > accuracies["DP-SGD as planned"] > 0.6


def test_the_alarm_is_said_in_words(run):
    sentence = r"^(.+): At least ε ([\d.]+) was shown \(95 %, one_run, δ 1e-05\), more than the claimed ([\d.]+) .*: either .*\.$"
    said = {name: numbers for name, *numbers in re.findall(sentence, run[0], flags=re.MULTILINE)}
    assert said.keys() == {"without privacy", "noise forgotten"}
    for name, (shown, claimed) in said.items():
        (of_table, *bounds, _), _ = table(run[0])[name]
        assert float(shown) == pytest.approx(bounds[-1], abs=0.01)
        assert float(claimed) == pytest.approx(of_table, abs=0.01)


def test_the_coins_guessed_rightly_tell_the_trainings_apart(run):
    guesses = rf"^  (\d+) of (\d+) \(.* %\) (?:with )?(?:the )?({'|'.join(TRAININGS)})[,.]$"
    shares = {name: int(right) / int(all_) for right, all_, name in re.findall(guesses, run[0], flags=re.MULTILINE)}
    allowed = int(re.search(r"much more than (\d+) % of cases", run[0]).group(1)) / 100
    assert shares["without privacy"] > allowed
    assert shares["noise forgotten"] > allowed
    assert shares["DP-SGD as planned"] < allowed


def test_it_leaves_a_picture_and_logs(run):
    printed, folder = run
    picture = plt.imread(folder / "dp_audit.png")
    assert min(picture.shape[:2]) > 400
    assert picture.std() > 0.05
    for name in ("plain", "dp_sgd", "noise_forgotten"):
        assert list((folder / "logs" / name / "mia" / "loss").glob("events*"))
    assert f"--logdir {folder.name}{os.sep}logs" in printed

"""The codelab on unlearning runs, and its three ways end with three verdicts."""

import re
import subprocess
import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

pytestmark = pytest.mark.slow

SCRIPT = Path(__file__).parents[1] / "codelabs" / "unlearning.py"
NUMBER = r"([+-]?\d\.\d{3})"
ROW = rf"{NUMBER}   {NUMBER}   {NUMBER} +{NUMBER} \[{NUMBER}, {NUMBER}\] +{NUMBER} \({NUMBER}\)"


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """What the script printed, and the folder that it wrote into."""
    folder = tmp_path_factory.mktemp("codelab")
    done = subprocess.run([sys.executable, str(SCRIPT)], cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2_000:]
    return done.stdout, folder / "codelab_unlearning"


def rows(printed, start):
    """The numbers of the lines that start so: three accuracies, the AUC and its ends, MIA-efficacy and its floor."""
    return [[*map(float, row)] for row in re.findall(rf"^{start} +{ROW}", printed, flags=re.MULTILINE)]


def test_three_ways_end_with_three_verdicts(run):
    printed, _ = run
    verdicts = dict(re.findall(r"^(fine-tuning|gradient ascent|retraining): ([\w-]+)$", printed, flags=re.MULTILINE))
    assert verdicts == {"fine-tuning": "residual", "gradient ascent": "over-forgotten", "retraining": "forgotten"}


def test_fine_tuning_forgets_epoch_by_epoch_but_not_enough(run):
    printed, _ = run
    course = rows(printed, r"\d+")
    assert len(course) == 9
    aucs = [row[3] for row in course]
    assert aucs == sorted(aucs, reverse=True)
    assert course[-1][4] > 0.6  # the lower end of the last AUC
    assert all(row[6] < row[7] for row in course)  # MIA-efficacy below its floor


def test_a_perfect_efficacy_would_have_been_no_proof(run):
    """Retraining and gradient ascent have nearly the same MIA-efficacy; floors and AUCs tell them apart."""
    printed, _ = run
    (pushed,), (anew,) = rows(printed, "gradient ascent"), rows(printed, "retraining")
    assert abs(pushed[6] - anew[6]) < 0.1 < pushed[6] - pushed[7]
    assert pushed[5] < 0.5
    assert anew[4] < 0.5 < anew[5] + 0.03
    assert pushed[2] < anew[2] - 0.05  # what ascent cost of the test accuracy


def test_the_share_that_looks_used_is_all_before_and_none_after_retraining(run):
    printed, _ = run
    shares = re.findall(r"^(before|retraining) .* (\d+) % \[(\d+), (\d+)\]$", printed, flags=re.MULTILINE)
    before, anew = ([*map(int, share)] for _, *share in shares)
    assert before[2] == 100
    assert before[1] > 80
    assert anew[1] == 0
    assert anew[2] < 20


def test_it_leaves_a_picture_and_logs(run):
    printed, folder = run
    assert plt.imread(folder / "unlearning.png").std() > 0.05
    assert list((folder / "logs" / "fine_tuning" / "unlearning" / "loss").glob("events*"))
    assert f"--logdir {folder.name}/logs" in printed

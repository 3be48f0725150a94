"""Whatever this package writes, by number, to be disturbed at it; and which number stands there afterwards."""

import re
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
from interrupted_runs import target, world

from privacy_callbacks import LeakageReport, MIACallback
from privacy_callbacks.attacks import RocSketch, Threshold, load_reports, reports_to_html, save_reports
from privacy_callbacks.attacks.whole_files import read_arrays, write_arrays
from privacy_callbacks.gate import Judgement, Limit
from privacy_callbacks.gate_files import write_junit
from privacy_callbacks.result_folder import ResultFolder

IDENTITY, EPOCHS = {"seed": 1}, 40


IS_MEMBER = np.arange(60) < 30


def _reports(number):
    rng = np.random.default_rng(number)
    return [LeakageReport.from_scores(rng.normal(size=60), IS_MEMBER, attack=f"a{i}", step=i) for i in range(2)]


REPORTS = {number: _reports(number) for number in (1, 2, 3)}  # with curves


def write_reports(folder, number):
    save_reports(REPORTS[number], Path(folder) / "reports.json")


def write_page(folder, number):
    reports_to_html(REPORTS[number], Path(folder) / "page.html", title=f"number {number}.")


def write_judgements(folder, number):
    judgement = Judgement(Limit("auc", 0.7), "here", "loss", "entire", number, False, f"number {number}.")
    write_junit([judgement], Path(folder) / "junit.xml")


def write_sketch(folder, number):
    sketch = RocSketch()
    sketch.add(np.random.default_rng(number).normal(size=60), IS_MEMBER)
    sketch.save(Path(folder) / "sketch.npz")


def write_state(folder, number):
    write_arrays(Path(folder) / "state.npz", [np.full(2_000, number)], {"number": number})


def write_results(folder, number):
    with ResultFolder(Path(folder), IDENTITY).filled({"number": number}) as place:
        save_reports(REPORTS[number], place / "reports.json")
        for name in ("summary.csv", "records.csv", "report.md"):
            (place / name).write_text(f"number {number}\n" * 500)


def number_of_reports(folder):
    """Of the writing that the file is of."""
    if not (folder / "reports.json").exists():
        return None
    found = load_reports(folder / "reports.json")
    for number, written in REPORTS.items():
        if [float(report.auc) for report in found] == [float(report.auc) for report in written]:
            for ours, theirs in zip(found, written, strict=True):
                np.testing.assert_array_equal(ours.roc.thresholds, theirs.roc.thresholds)
                np.testing.assert_array_equal(ours.roc.true_positives, theirs.roc.true_positives)
            return number
    raise AssertionError("reports of no writing")


def number_of_page(folder):
    path = folder / "page.html"
    if not path.exists():
        return None
    assert path.read_text().endswith("</html>\n")
    return int(re.search(r"<title>number (\d)\.", path.read_text())[1])


def number_of_judgements(folder):
    path = folder / "junit.xml"
    if not path.exists():
        return None
    failure = ElementTree.parse(path).find("testcase/failure")
    return int(failure.get("message").removeprefix("number ").rstrip("."))


def number_of_sketch(folder):
    if not (folder / "sketch.npz").exists():
        return None
    found = float(RocSketch.load(folder / "sketch.npz").auc())
    return next(n for n in (1, 2, 3) if found == sketched(n))


def sketched(number):
    sketch = RocSketch()
    sketch.add(np.random.default_rng(number).normal(size=60), IS_MEMBER)
    return float(sketch.auc())


def number_of_state(folder):
    if not (folder / "state.npz").exists():
        return None
    (array,), about = read_arrays(folder / "state.npz")
    assert set(array) == {about["number"]}
    return about["number"]


def number_of_results(folder):
    """No refusal: a run of the same configuration goes on, whenever the one before was killed."""
    held = ResultFolder(folder, IDENTITY).finished()
    if held is None:
        return None
    number = held["number"]
    assert number_of_reports(folder) == number
    assert {(folder / f).read_text() for f in ("summary.csv", "records.csv", "report.md")} == {
        f"number {number}\n" * 500
    }
    return number


WRITERS = {
    "reports": (write_reports, number_of_reports),
    "page": (write_page, number_of_page),
    "judgements": (write_judgements, number_of_judgements),
    "sketch": (write_sketch, number_of_sketch),
    "shadow models' states": (write_state, number_of_state),
    "results of a run": (write_results, number_of_results),
}


def fit_with_logs(folder, number):
    """A fit whose callback writes logs."""
    members, nonmembers = world()
    mia = MIACallback(members, nonmembers, attacks=[Threshold("loss")], log_dir=Path(folder) / "logs", seed=number)
    target().fit(*members, epochs=EPOCHS, batch_size=10, verbose=0, shuffle=False, callbacks=[mia])


def command(folder, name):
    """`privacy-audit <name>` on the configuration in a folder, results in `out` within."""
    from click.testing import CliRunner

    from privacy_callbacks.command_line import privacy_audit

    config, out = Path(folder) / "config.yaml", Path(folder) / "out"
    done = CliRunner().invoke(privacy_audit(), [name, "--cf", str(config), "--out", str(out), "--quiet"])
    if done.exit_code:
        raise SystemExit(done.exit_code)


DIGITS = """\
run: {seed: 1}
data: {builtin: digits, members: 100, nonmembers: 100, label_noise: 0.5}
model: {train: {hidden: [16], epochs: 2, learning_rate: 1e-2}}
"""
SHADOWS = "shadow_models: {num_models: 4, engine: compiled"
RUN = f"{DIGITS}{SHADOWS}}}\nattacks: [rmia, loss]\n"
WATCHED = f"{RUN}every: 1\n"
RANGE = f"{DIGITS}{SHADOWS}, checkpoint_dir: fleet}}\nrange: {{kind: ball, radius: 0.5}}\nattack: rmia\nqueries: 4\n"


def results_in(out):
    """What does not speak of time and place."""
    found = {path.name: path.read_bytes() for path in out.iterdir() if path.suffix in (".csv", ".md", ".png")}
    found |= {path.name: path.read_bytes() for path in out.glob("reports.json*")}
    return found

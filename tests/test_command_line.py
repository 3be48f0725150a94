"""`privacy-audit range`: what is refused before anything runs, what a run leaves behind, and what its exit code says."""

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from click.testing import CliRunner

from privacy_callbacks.attacks.estimate import Estimate
from privacy_callbacks.attacks.report import LeakageReport, failed_report
from privacy_callbacks.attacks.report_files import load_reports
from privacy_callbacks.command_line import privacy_audit
from privacy_callbacks.config_data import Data
from privacy_callbacks.config_documents import documented_sections, field_table
from privacy_callbacks.configured_data import configured_data
from privacy_callbacks.judged_limits import judged
from privacy_callbacks.located_yaml import ConfigError, read_yaml
from privacy_callbacks.range_config import load_config
from privacy_callbacks.result_folder import LAST, ResultFolder

CONFIGS = Path(__file__).parent.parent / "configs"
TINY = """\
run: {seed: 1}
data:
  builtin: digits
  members: 100
  nonmembers: 100
model:
  train: {hidden: [16], epochs: 2, learning_rate: 1e-2}
shadow_models: {num_models: 4, engine: stacked}
range:
  kind: ball
  radius: 0.5
attack: rmia
queries: 4
aggregate: {kind: trimmed_mean, keep: [0.25, 1]}
"""
RESULTS = {"config.yaml", "range.png", "ranges.csv", "reports.json", "run.json", "summary.csv"}
KEPT = {"models", "shadow_models"}


@pytest.fixture
def audit(tmp_path, monkeypatch):
    """Runs `privacy-audit range` on a configuration given as text, in an empty working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)

    def run(text, *options):
        Path("config.yaml").write_text(text)
        return CliRunner().invoke(privacy_audit(), ["range", "--cf", "config.yaml", *options])

    return run


def changed(before, after, text=TINY):
    assert before in text
    return text.replace(before, after)


# ---------------------------------------------------------------------------------------------- what is refused at once


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("  radius: 0.5\n", "", "line 9: range.radius is missing. The largest distance"),
        (
            "  radius",
            "  radiu",
            "line 11: range.radiu is no field here; did you mean radius? known are name, kind, radius",
        ),
        ("0.5", "-1", "line 11: range.radius is -1; it should be greater than 0"),
        ("0.5", "0", "line 11: range.radius is 0; it should be greater than 0"),
        ("0.5", ".nan", "line 11: range.radius is nan"),
        ("0.5", "yes", "line 11: range.radius is true; give a number"),
        ("0.5", "0.5\n  p: 3", "line 12: range.p is 3; give 1, 2, inf or hamming"),
        ("0.5", "0.5\n  p: hamming", "line 11: range.radius is 0.5, but hamming counts values"),
        ("0.5", "0.5\n  values: 3", "line 12: range.values is given, but p is 2"),
        ("0.5", "0.5\n  domain: [1, 0]", "line 12: range.domain is [1.0, 0.0]; give the lower end first"),
        ("kind: ball", "kind: bal", "line 10: range.kind is 'bal'; give one of ball, transformations"),
        ("  kind: ball\n", "", "line 9: range.kind is missing; give one of ball, transformations"),
        ("  kind: ball\n  radius: 0.5", "  kind: missing_features", "which columns are missing: none is given"),
        (
            "  kind: ball\n  radius: 0.5",
            "  kind: missing_features\n  missing: 3",
            "line 9: range.imputer is uniform, over what values is not said",
        ),
        (
            "  kind: ball\n  radius: 0.5",
            "  kind: missing_features\n  missing: 3\n  imputer: knn",
            "range.imputer is knn, which learns from records the attacker holds; give data.population",
        ),
        (
            "  kind: ball\n  radius: 0.5",
            "  kind: missing_features\n  missing: 3\n  values: [0, 1]",
            "data.flatten is missing: digits are images, missing_features needs a table",
        ),
        ("  kind: ball\n  radius: 0.5", "  kind: same_owner", "same_owner asks about held-out records of owners"),
        (
            "  kind: ball\n  radius: 0.5",
            "  kind: tokens\n  edits: 1",
            "range.vocabulary is missing, and words are to be",
        ),
        ("range:", "ranges:", 'line 9: ranges is {"kind": "ball", "radius": 0.5}; it should be a valid list'),
        ("range:\n  kind: ball\n  radius: 0.5\n", "", "range or ranges: neither is given"),
        ("attack:", "ranges: [{kind: ball, radius: 1}]\nattack:", "range or ranges: both are given"),
        (
            "range:\n  kind: ball\n  radius: 0.5\n",
            "ranges: [{kind: ball, radius: 1}, {kind: ball, radius: 1.0}]\n",
            "ranges[1] is called 'ball_1', as one before it",
        ),
        (
            "attack: rmia",
            "attack: rmia\ncentre: same_owner",
            "centre: draws whole records, which same_owner does not have",
        ),
        ("attack: rmia", "attack: rmai", "line 12: attack.kind is 'rmai'; give one of threshold, rmia, lira"),
        ("attack: rmia", "attack: {kind: lira, mode: x}", "attack.mode is \"x\"; it should be 'online' or 'offline'"),
        ("attack: rmia", "attack: {kind: attack_r, signal: x}", "attack: 'x' is not a signal; choose one of loss"),
        ("attack: rmia", "attack: threshold", "num_models is 4, but attack threshold does not use any"),
        ("num_models: 4", "num_models: 0", "rmia compares with shadow models, and there are none"),
        ("num_models: 4", "num_models: 3", "line 8: shadow_models.num_models is 3; it should be a multiple of 2"),
        (
            "attack: rmia",
            "attack: {kind: rmia, form: percentile}",
            "data.population is missing, and attack rmia compares with records that no model trained on",
        ),
        ("{kind: trimmed_mean, keep: [0.25, 1]}", "{kind: top_k, k: 0}", "aggregate.k is 0; it should be greater than"),
        ("keep: [0.25, 1]", "keep: [0.25, 0]", "line 14: aggregate.keep is [0.25, 0.0]; give the lower share first"),
        ("queries: 4", "queries: 0", "line 13: queries is 0; it should be greater than or equal to 1"),
        ("queries: 4", "limits: {auk: 0.6}", "limits.auk is \"auk\"; it should be 'auc', 'balanced_accuracy'"),
        ("queries: 4", "limits: {auc: 6}", "limits.auc is 6; it should be less than or equal to 1"),
        (
            "seed: 1",
            "seeed: 1",
            "line 1: run.seeed is no field here; did you mean seed? known are name, seed, out, log_dir",
        ),
        ("seed: 1", "seed: yes", "line 1: run.seed is true; it should be a valid integer"),
        ("seed: 1", "name: a b", "it becomes a folder and a log key"),
        ("seed: 1", "seed: 1, seed: 2", "line 1: run.seed stands here and in line 1; keep one"),
        ("seed: 1", "1: 1", "line 1: the key '1' is no text"),
        ("seed: 1}", "seed: 1", "this is no YAML"),
        ("builtin: digits", "builtin: digit", "line 3: data.builtin is \"digit\"; it should be 'digits'"),
        ("builtin: digits", "builtin: digits\n  file: a.npz", "data: builtin and file are given; give one of"),
        ("nonmembers: 100", "nonmembers: 0", "give how many records (at least 1), or the path"),
        ("nonmembers: 100", "nonmembers: 1700", "with nonmembers and population 1,800 records are asked for; digits"),
        ("nonmembers: 100", "nonmembers: rows.npy", "data.nonmembers: there is no file rows.npy; paths are relative"),
        ("model:\n", "model:\n  target: a.keras\n", "target or train: both are given"),
        ("  train: {hidden: [16], epochs: 2, learning_rate: 1e-2}", "  {}", "target or train: neither is given"),
        ("hidden: [16]", "architecture: resnet", "give mlp, cnn or package.module:function"),
        ("epochs: 2", "epochs: 1.5", "line 7: model.train.epochs is 1.5; it should be a valid integer"),
        (
            "train: {hidden: [16], epochs: 2, learning_rate: 1e-2}",
            "target: a.keras",
            "shadow_models.epochs is missing, and cannot be told from a model in a file",
        ),
    ],
)
def test_what_cannot_be_run_is_refused_with_its_place_before_anything_runs(audit, before, after, said):
    done = audit(changed(before, after), "--check")
    assert done.exit_code == 2
    assert said in done.output.replace("\n", " ")
    assert "Traceback" not in done.output
    assert {file.name for file in Path().iterdir()} == {"config.yaml"}


def test_tuning_needs_four_shadow_models(audit):
    text = changed("{kind: trimmed_mean, keep: [0.25, 1]}", "tuned", changed("num_models: 4", "num_models: 2"))
    assert "num_models is 2; aggregate tuned needs at least 4" in audit(text, "--check").output
    text = changed("num_models: 2", "num_models: 0", changed("rmia", "threshold", text))
    assert "tuned learns from shadow models, and attack threshold has none" in audit(text, "--check").output


def test_several_faults_are_told_at_once(audit):
    said = audit(changed("seed: 1", "seeed: 1", changed("queries: 4", "queries: 0")), "--check").output
    assert "run.seeed" in said
    assert "queries" in said


def test_a_file_that_is_not_there_or_no_mapping_is_refused(audit):
    assert audit("- 1\n", "--check").exit_code == 2
    assert "holds list, no fields; start from configs/range.yaml" in audit("- 1\n", "--check").output
    done = CliRunner().invoke(privacy_audit(), ["range", "--cf", "nowhere.yaml"])
    assert done.exit_code == 2
    assert "nowhere.yaml cannot be read" in done.output


def test_yaml_that_holds_itself_is_refused(tmp_path):
    (tmp_path / "a.yaml").write_text("a: &x {b: *x}\n")
    with pytest.raises(ConfigError, match="an alias holds itself"):
        read_yaml(tmp_path / "a.yaml")


def test_yaml_knows_the_lines_of_fields_and_merges(tmp_path):
    (tmp_path / "a.yaml").write_text("base: &b {k: 1}\nlist:\n  - <<: *b\n    m: 2\n")
    held = read_yaml(tmp_path / "a.yaml")
    assert held.values["list"] == [{"k": 1, "m": 2}]
    assert held.lines[("list", 0, "m")] == 4


# ------------------------------------------------------------------------------------------------ templates and documents


@pytest.mark.parametrize("name", ["range.yaml", "range_missing_features.yaml"])
def test_templates_are_valid(name):
    assert load_config(CONFIGS / name).named_ranges


def test_the_documentation_has_every_section_with_every_field_and_no_other():
    text = (CONFIGS / "README.md").read_text().partition("# Fields\n")[2]
    written = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", text, flags=re.DOTALL | re.MULTILINE))
    sections = documented_sections()
    assert list(written) == list(sections)
    for heading, model in sections.items():
        fields = re.findall(r"^\| `(\w+)` \|", written[heading], flags=re.MULTILINE)
        assert fields == list(model.model_fields)
        assert field_table(model) in written[heading]
        assert all(spec.description for spec in model.model_fields.values())


def test_numbers_may_be_written_as_yaml_does_not_read_them_and_infinity(audit):
    Path("config.yaml").write_text(changed("0.5", "5e-1\n  p: .inf"))
    ball = load_config(Path("config.yaml")).range
    assert (ball.radius, ball.p) == (0.5, "inf")


def test_the_effective_configuration_has_every_default_and_reads_back_equal(tmp_path):
    config = load_config(CONFIGS / "range.yaml")
    (tmp_path / "again.yaml").write_text(config.to_yaml())
    assert load_config(tmp_path / "again.yaml") == config
    assert yaml.safe_load(config.to_yaml())["shadow_models"]["engine"] == "auto"


# ---------------------------------------------------------------------------------------------------------------- data


def test_parts_are_disjoint_seeded_and_of_the_size_asked_for():
    section = Data(builtin="digits", members=300, nonmembers=200, population=100)
    data = configured_data(section, 3, False)
    rows = np.concatenate(list(data.rows.values()))
    assert data.counts == {"members": 300, "nonmembers": 200, "population": 100, "held_out": 0}
    assert len(np.unique(rows)) == 600
    assert data.digest == configured_data(section, 3, False).digest != configured_data(section, 4, False).digest


def test_label_noise_replaces_about_that_share_by_other_labels():
    clean = configured_data(Data(builtin="digits", members=1, nonmembers=1), 0, False)
    noisy = configured_data(Data(builtin="digits", members=1, nonmembers=1, label_noise=0.3), 0, False)
    # 1,797 coin flips: five standard deviations.
    assert abs(np.mean(clean.y != noisy.y) - 0.3) < 5 * np.sqrt(0.21 / 1797)


def test_owners_stay_on_one_side_and_have_so_many_records_held_out(tmp_path):
    rng = np.random.default_rng(0)
    owners = rng.integers(0, 40, 400)
    np.savez(tmp_path / "r.npz", x=rng.normal(size=(400, 3)), y=rng.integers(0, 2, 400), owners=owners)
    section = Data(file=str(tmp_path / "r.npz"), members=120, nonmembers=110, held_out=2)
    rows = configured_data(section, 0, True).rows
    sides = {side: set(owners[rows[side]]) for side in rows}
    assert not sides["members"] & sides["nonmembers"]
    assert sides["held_out"] == sides["members"] | sides["nonmembers"]
    assert set(np.bincount(owners[rows["held_out"]], minlength=40)) <= {0, 2}
    assert len(np.unique(np.concatenate(list(rows.values())))) == sum(map(len, rows.values()))
    assert len(rows["members"]) >= 120


@pytest.mark.parametrize(
    ("arrays", "section", "said"),
    [
        ({"x": np.zeros((9, 2))}, {}, "holds x, but no y"),
        ({"x": np.zeros((9, 2)), "y": np.zeros(8)}, {}, "has 9 records, but y has shape (8,)"),
        (
            {"x": np.zeros((9, 2)), "y": np.zeros(9)},
            {"members": 7},
            "data.nonmembers: 3 are asked for, 2 of 9 are left",
        ),
        ({"x": np.zeros((9, 2)), "y": np.zeros(9)}, {"members": "rows.npy"}, "data.members names row 9; the data have"),
        ({"x": np.zeros((9, 2)), "y": np.zeros(9)}, {"members": "twice.npy"}, "1 rows stand in two parts"),
        ({"x": np.zeros((9, 2)), "y": np.zeros(9)}, {"label_noise": 0.1}, "it takes class numbers [n]"),
        ({"x": np.array(["a"] * 9), "y": np.zeros(9)}, {"binarize_above": 0}, "x has type <U1; give numbers"),
    ],
)
def test_data_that_cannot_be_parted_are_refused(tmp_path, monkeypatch, arrays, section, said):
    monkeypatch.chdir(tmp_path)
    np.savez("r.npz", **arrays)
    np.save("rows.npy", np.array([0, 9]))
    np.save("twice.npy", np.array([0, 0]))
    with pytest.raises(ConfigError, match=re.escape(said)):
        configured_data(Data(**{"file": "r.npz", "members": 3, "nonmembers": 3, **section}), 0, False)


def test_a_pickle_is_refused(tmp_path):
    np.savez(tmp_path / "r.npz", x=np.array([{}], dtype=object), y=np.zeros(1))
    with pytest.raises(ConfigError, match=r"cannot be read .*allow_pickle"):
        configured_data(Data(file=str(tmp_path / "r.npz"), members=1, nonmembers=1), 0, False)


# ---------------------------------------------------------------------------------------------------------- result folder


def test_results_appear_together_and_belong_to_one_identity(tmp_path):
    folder = ResultFolder(tmp_path / "out", {"range": {"radius": 0.5}})
    assert folder.finished() is None
    with folder.filled({"seed": 1}) as place:
        (place / "summary.csv").write_text("1")
        assert not (folder.path / "summary.csv").exists()
    assert ResultFolder(folder.path, {"range": {"radius": 0.5}}).finished()["seed"] == 1
    with pytest.raises(ConfigError, match=r"of another configuration \(range.radius was 0.5, is 1.0\)"):
        ResultFolder(folder.path, {"range": {"radius": 1.0}}).finished()
    (folder.path / "summary.csv").write_text("2")
    assert folder.finished() is None  # damaged


def fill(folder, seed, failure=None):
    with folder.filled({"seed": seed}) as place:
        for name in ("ranges.csv", "summary.csv"):
            (place / name).write_text(str(seed))
        if failure is not None:
            raise failure


def test_a_failure_while_writing_leaves_what_was_there_before(tmp_path):
    folder = ResultFolder(tmp_path, {})
    fill(folder, 1)
    with pytest.raises(OSError, match="full"):
        fill(folder, 2, OSError("full"))
    assert (tmp_path / "summary.csv").read_text() == "1"
    assert folder.finished()["seed"] == 1
    assert {file.name for file in tmp_path.iterdir()} == {"ranges.csv", "summary.csv", LAST}


def test_a_failure_while_renaming_leaves_no_results_that_count(tmp_path, monkeypatch):
    folder, renamed = ResultFolder(tmp_path, {}), []

    def once(source, target):
        if renamed:
            raise OSError("stopped")
        renamed.append(target)
        Path(source).rename(target)

    with monkeypatch.context() as patched:
        patched.setattr(os, "replace", once)
        with pytest.raises(OSError, match="stopped"):
            fill(folder, 1)
    assert not (tmp_path / LAST).exists()
    with pytest.raises(ConfigError, match=r"holds ranges.csv of another program or of a run that was cut short"):
        folder.finished()


def test_what_a_killed_run_left_is_swept_away(tmp_path):
    (tmp_path / ".unfinished-0").mkdir()
    with ResultFolder(tmp_path, {}).filled({}):
        pass
    assert {file.name for file in tmp_path.iterdir()} == {LAST}


def test_a_folder_that_cannot_be_made_is_refused(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"run.out: .* cannot be made"):
        ResultFolder(tmp_path / "file" / "out", {})


# ----------------------------------------------------------------------------------------------------------------- limits


def of_interval(low, high):
    return LeakageReport("ramia", auc=Estimate((low + high) / 2, low=low, high=high))


def test_a_limit_is_exceeded_only_when_the_whole_interval_lies_above():
    assert judged([of_interval(0.55, 0.7)], {"auc": 0.6}).code == 0
    assert judged([of_interval(0.61, 0.7)], {"auc": 0.6}).code == 1
    assert "exceeded by ramia, 0.655 [0.610, 0.700]" in judged([of_interval(0.61, 0.7)], {"auc": 0.6}).exceeded[0]


def test_a_limit_that_cannot_be_judged_does_not_pass():
    verdict = judged([failed_report("ramia", "no range holds one")], {"auc": 0.6})
    assert verdict.code == 2
    assert "cannot be judged of ramia (no range holds one)" in verdict.unjudged[0]


# ------------------------------------------------------------------------------------------------------------ whole runs


def test_a_run_leaves_results_that_can_be_read_and_runs_once(audit):
    done = audit(TINY, "--out", "out")
    assert done.exit_code == 0, done.output
    out = Path("out")
    assert {file.name for file in out.iterdir() if file.suffix != ".npz"} == {*RESULTS, *KEPT}
    reports = load_reports(out / "reports.json")
    assert [report.attack for report in reports] == ["ramia", "ramia_centre"]
    assert all(report.roc is not None for report in reports)
    ranges = pd.read_csv(out / "ranges.csv")
    assert len(ranges) == 2 * 200
    assert ranges.groupby("attack")["id"].nunique().to_dict() == {"ramia": 200, "ramia_centre": 200}
    assert (ranges["range"] == "ball_0.5").all()
    summary = pd.read_csv(out / "summary.csv").set_index("attack")
    assert summary.loc["ramia", "auc"] == float(reports[0].auc)
    assert summary.loc["ramia", "auc_low"] == reports[0].auc.low
    assert (out / "range.png").read_bytes()[:4] == b"\x89PNG"
    assert load_config(out / "config.yaml") == load_config(Path("config.yaml"))
    run = json.loads((out / "run.json").read_text())
    assert run["seed"] == 1
    assert run["data"]["members"] == 100
    assert set(run["seconds"]) == {"data", "ranges", "target", "audit", "results"}

    before = {file: file.stat().st_mtime_ns for file in out.rglob("*")}
    again = audit(TINY, "--out", "out")
    assert again.exit_code == 0
    assert "finished results of this configuration; nothing to do" in again.output
    assert before == {file: file.stat().st_mtime_ns for file in out.rglob("*")}

    # Limits are judged anew, without a run.
    gated = audit(TINY + "limits: {auc: 0.01}\n", "--out", "out")
    assert gated.exit_code == 1
    assert "limit auc <= 0.01: exceeded by ramia" in gated.output
    assert audit(TINY + "limits: {tpr_at_fpr_1e-3: 0.5}\n", "--out", "out").exit_code == 2

    other = audit(changed("0.5", "0.7"), "--out", "out")
    assert other.exit_code == 2
    assert "holds results of another configuration (range.radius was 0.5, is 0.7)" in other.output
    assert load_reports(out / "reports.json")[0].auc == reports[0].auc

    replaced = audit(changed("0.5", "0.7"), "--out", "out", "--overwrite")
    assert replaced.exit_code == 0, replaced.output
    assert "target: found" in replaced.output
    assert [len(list((out / kept).iterdir())) for kept in KEPT] == [1, 1]
    assert len(list(out.glob("reports.json.curves-*.npz"))) == 1


def test_a_run_that_fails_in_the_middle_leaves_no_results(audit, monkeypatch):
    def fail(*_):
        raise RuntimeError("killed here")

    monkeypatch.setattr("privacy_callbacks.range_picture.range_picture", fail)
    done = audit(TINY, "--out", "out")
    assert "killed here" in repr(done.exception)
    assert {file.name for file in Path("out").iterdir()} == KEPT
    assert [file.suffix for file in Path("out/models").iterdir()] == [".keras"]


@pytest.mark.slow
def test_several_sizes_a_centre_and_tensorboard(audit):
    text = changed(
        "range:\n  kind: ball\n  radius: 0.5\n",
        "ranges: [{kind: ball, radius: 0.5}, {kind: ball, radius: 1}, {kind: ball, radius: 9, name: all}]\n"
        "centre: {kind: ball, radius: 0.5}\n",
        changed("seed: 1", "seed: 1, log_dir: logs"),
    )
    done = audit(text, "--out", "out", "--quiet")
    assert done.exit_code == 0, done.output
    assert not done.stderr
    summary = pd.read_csv("out/summary.csv")
    assert summary["range"].tolist() == [name for name in ("ball_0.5", "ball_1", "all") for _ in range(2)]
    assert summary["size"].tolist() == [0.5, 0.5, 1, 1, 9, 9]
    assert summary["failed"].tolist() == [False] * 4 + [True] * 2
    run = json.loads(Path("out/run.json").read_text())
    assert "every range of known truth holds a training record" in run["failed_ranges"]["all"]
    assert {folder.name for folder in Path("logs/ramia").iterdir()} == {"range_attack", "point_attack"}
    held = pd.read_csv("out/ranges.csv")
    assert not held["centre_in_training"].any()  # queries lie near to members


@pytest.mark.slow
def test_another_range_asks_the_same_shadow_models(audit):
    assert audit(TINY, "--out", "out").exit_code == 0
    trained = {file: file.stat().st_mtime_ns for file in Path("out/shadow_models").rglob("trained-*")}
    assert trained
    assert audit(changed("0.5", "0.7"), "--out", "out", "--overwrite").exit_code == 0
    assert trained == {file: file.stat().st_mtime_ns for file in Path("out/shadow_models").rglob("trained-*")}
    assert audit(changed("0.5", "0.7"), "--out", "anew").exit_code == 0
    assert Path("anew/ranges.csv").read_text() == Path("out/ranges.csv").read_text()


@pytest.mark.slow
def test_shadow_models_of_records_dealt_by_owner_are_not_in_the_way_of_others(audit):
    rng = np.random.default_rng(0)
    owners = np.array([f"o{row % 50}" for row in range(400)])
    np.savez("r.npz", x=rng.normal(size=(400, 4)).astype("f"), y=rng.integers(0, 2, 400), owners=owners)
    text = """\
run: {seed: 1}
data: {file: r.npz, members: 100, nonmembers: 100, held_out: 2}
model: {train: {hidden: [4], epochs: 2}}
shadow_models: {num_models: 4, engine: compiled}
range: {kind: same_owner}
attack: lira
queries: 4
"""
    assert audit(text, "--out", "out").exit_code == 0
    done = audit(text.replace("{kind: same_owner}", "{kind: ball, radius: 0.1}"), "--out", "out", "--overwrite")
    assert done.exit_code == 0, done.output
    assert len(list(Path("out/shadow_models").iterdir())) == 2


def test_owners_missing_columns_and_a_model_of_ones_own(audit, monkeypatch):
    """A table with owners from a file, a target from a function, and no shadow models."""
    rng = np.random.default_rng(0)
    x = rng.integers(0, 2, (400, 12)).astype(np.float32)
    np.savez("r.npz", x=x, y=rng.integers(0, 2, 400), owners=np.array([f"o{row % 50}" for row in range(400)]))
    Path("my_target.py").write_text(
        "import keras\n"
        "def make():\n"
        "    model = keras.Sequential([keras.Input((12,)), keras.layers.Dense(2)])\n"
        "    model.compile('adam', keras.losses.SparseCategoricalCrossentropy(from_logits=True))\n"
        "    return model\n"
    )
    text = """\
data: {file: r.npz, members: 100, nonmembers: 100, held_out: 2}
model: {train: {architecture: "my_target:make", epochs: 2}}
ranges:
  - {kind: same_owner}
  - {kind: ball, p: hamming, radius: 1}
attack: threshold
queries: 4
"""
    done = audit(text, "--out", "out")
    assert done.exit_code == 0, done.output
    held = pd.read_csv("out/ranges.csv")
    of_owners = held[held["attack"] == "ramia_same_owner"]
    assert (of_owners["member_centre"] == of_owners["holds_training_record"]).all()
    assert of_owners["id"].str.startswith("o").all()

    # The file is part of what results belong to.
    np.savez("r.npz", x=1 - x, y=rng.integers(0, 2, 400), owners=np.array([f"o{row % 50}" for row in range(400)]))
    changed_data = audit(text, "--out", "out")
    assert changed_data.exit_code == 2
    assert "of another configuration (contents.data.file was" in changed_data.output

    target = next(Path("out/models").iterdir())
    text = f"""\
data: {{file: r.npz, members: 100, nonmembers: 100, population: 100}}
model: {{target: {target}}}
range: {{kind: missing_features, missing: 3, values: [0, 1], imputer: marginal}}
attack: attack_p
"""
    done = audit(text, "--out", "columns")
    assert done.exit_code == 0, done.output
    assert pd.read_csv("columns/summary.csv")["size"].tolist() == [3, 3]


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("kind: ball\n  radius: 0.5", "kind: ball\n  radius: 0.5\n  domain: [0, 0.5]", "domain"),
        ("kind: ball\n  radius: 0.5", "kind: transformations\n  rotations: [360]", "degrees other than whole turns"),
        ("kind: ball\n  radius: 0.5", "kind: ball\n  radius: 90", "every range of known truth holds a training record"),
        ("hidden: [16]", "architecture: 'nowhere:make'", "model.train.architecture: nowhere:make cannot be had"),
        ("builtin: digits", "file: no.npz", "data.file: no.npz cannot be read"),
    ],
)
def test_what_only_the_data_can_tell_is_refused_before_training(audit, before, after, said):
    Path("no.npz").write_text("no archive")
    done = audit(changed(before, after), "--out", "out")
    assert done.exit_code == 2, done.output
    assert said in done.output
    assert done.output.count("refused:") == 1
    assert not list(Path("out").glob("*"))


@pytest.mark.slow
def test_a_run_killed_while_it_writes_leaves_nothing_half_written_and_the_next_one_finishes(tmp_path):
    (tmp_path / "config.yaml").write_text(TINY)
    command = [sys.executable, "-m", "privacy_callbacks.command_line", "range", "--cf", "config.yaml", "--out", "out"]
    out = tmp_path / "out"
    with subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as run:
        while run.poll() is None and not list(out.glob(".unfinished-*/*")):
            time.sleep(0.001)
        run.kill()
    assert not {file.name for file in out.iterdir()} & RESULTS
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode == 0
    assert {file.name for file in out.iterdir() if file.suffix != ".npz"} == {*RESULTS, *KEPT}


# ---------------------------------------------------------------------------------------------------------- the command


def python(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_help_imports_nothing_heavy():
    code = """
import sys
sys.argv = ["privacy-audit", "range", "--help"]
from privacy_callbacks.command_line import main
try:
    main()
except SystemExit as done:
    print("exit", done.code, {"tensorflow", "keras", "pandas", "pydantic"} & set(sys.modules))
"""
    assert "exit 0 set()" in python(code).stdout


def test_checking_imports_no_tensorflow():
    code = f"""
import sys
sys.argv = ["privacy-audit", "range", "--check", "--cf", {str(CONFIGS / "range.yaml")!r}]
from privacy_callbacks.command_line import main
try:
    main()
except SystemExit as done:
    print("exit", done.code, {{"tensorflow", "keras"}} & set(sys.modules))
"""
    assert "exit 0 set()" in python(code).stdout


@pytest.mark.parametrize(("module", "package"), [("click", "click"), ("yaml", "PyYAML"), ("pydantic", "pydantic")])
def test_without_its_libraries_the_command_says_what_to_install(module, package):
    code = f"import sys; sys.modules[{module!r}] = None; from privacy_callbacks.command_line import main; main()"
    done = python(code)
    assert done.returncode == 2
    assert done.stderr == f'privacy-audit needs {package}: run `pip install "privacy-callbacks[cli]"`.\n'


def test_a_fault_of_the_program_is_no_exceeded_limit():
    code = """
import sys
sys.argv = ["privacy-audit", "range", "--cf", "x"]
import privacy_callbacks.range_config as config
def fault(path):
    raise RuntimeError("a fault")
config.load_config = fault
from privacy_callbacks.command_line import main
main()
"""
    done = python(code)
    assert done.returncode == 3
    assert "RuntimeError: a fault" in done.stderr

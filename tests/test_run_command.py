"""`privacy-audit run`: any source of data, a target trained here or loaded, results that are whole or not there."""

import json
import re
import shlex
import shutil
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from privacy_callbacks.attacks import load_reports
from privacy_callbacks.audit_config import AuditConfig, load_audit
from privacy_callbacks.command_line import privacy_audit
from privacy_callbacks.config_sections import read_config
from privacy_callbacks.configured_data import configured_data
from privacy_callbacks.located_yaml import ConfigError

CONFIGS = Path(__file__).parent.parent / "configs"
TINY = """\
run: {seed: 1}
data: {builtin: digits, members: 120, nonmembers: 120, label_noise: 0.5}
model: {train: {hidden: [32], epochs: 6, learning_rate: 1e-2}}
attacks: [loss]
"""
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(300, 4)).astype("float32"), np.arange(300) % 3
RESULTS = {"config.yaml", "records.csv", "report.html", "report.md", "reports.json", "run.json", "summary.csv"}


@pytest.fixture
def command(tmp_path, monkeypatch):
    """Runs `privacy-audit run` on a configuration given as text, in an empty working directory."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)

    def run(text, *options):
        Path("config.yaml").write_text(text)
        return CliRunner().invoke(privacy_audit(), ["run", "--cf", "config.yaml", *options])

    return run


def changed(before, after, text=TINY):
    assert before in text
    return text.replace(before, after)


def files_in(folder):
    return {path.name for path in Path(folder).iterdir() if path.is_file() and ".curves-" not in path.name}


# ---------------------------------------------------------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("attacks: [loss]", "attacks: [los]", "attacks[0].kind is 'los'; give one of threshold, rmia"),
        ("attacks: [loss]", "attacks: []", "attacks is []; list should have at least 1"),
        ("attacks: [loss]", "attacks: [lira]", "lira compares with shadow models, and there are none"),
        ("attacks: [loss]", "attacks: [{kind: trajectory}]", "trajectory reads a course of losses"),
        ("attacks: [loss]", "attacks: [loss]\nshadow_models: {num_models: 4}", "is 4, but no attack uses any"),
        ("attacks: [loss]", "attaks: [loss]", "attaks is no field here; did you mean attacks?"),
        ("attacks: [loss]", "slices: [klass]", 'slices[0] is "klass"'),
        ("attacks: [loss]", "every: 0", "every is 0; it should be greater than or equal to 1"),
        ("attacks: [loss]", "epsilon: {delta: 1}", "delta is 1"),
        ("attacks: [loss]", "epsilon: {claimed: -1}", "epsilon.claimed is -1"),
        ("attacks: [loss]", "limits: {auk: 1}", "limits.auk"),
        ("builtin: digits", "builtin: digits, keras: mnist", "builtin and keras are given; give one of"),
        ("builtin: digits", "file: a.txt", 'data.file is "a.txt"; give a .npz, .csv or .parquet file'),
        ("builtin: digits", "file: a.csv", "data.label is missing: which column of a.csv holds the label?"),
        ("builtin: digits", "folder: pictures", "data.image_size is missing"),
        ("builtin: digits", "factory: nothing", "give package.module:function"),
        ("builtin: digits", "builtin: digits, label: y", "data.label: names a column, and no table is given"),
        ("builtin: digits", "member_file: a.npz", "data.nonmember_file is missing"),
        ("members: 120, nonm", "nonm", "data.members is missing. Records that the target is trained on"),
        ("digits, members: 120, ", "digits, members: 5_000, ", "records are asked for; digits has 1,797"),
        (
            "model: {train: {hidden: [32], epochs: 6, learning_rate: 1e-2}}",
            "model: {target: a.keras}\nevery: 1",
            "every: speaks of a training",
        ),
    ],
)
def test_what_cannot_be_run_is_refused_before_anything_runs(command, before, after, said):
    for options in ((), ("--dry-run",)):
        done = command(changed(before, after), *options)
        assert done.exit_code == 2, done.output
        assert said in done.output.replace("\n", " ")
        assert files_in(".") == {"config.yaml"}


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("builtin: digits", "file: a.npz", "data.file: there is no file a.npz"),
        ("builtin: digits", "folder: pictures, image_size: [8, 8]", "data.folder: there is no folder pictures"),
        ("builtin: digits", "factory: nowhere:made", "data.factory: nowhere:made cannot be had"),
        ("run: {seed: 1}", "run: {seed: 1, log_dir: config.yaml/x}", "run.log_dir"),
    ],
)
def test_what_is_not_there_is_refused(command, before, after, said):
    done = command(changed(before, after))
    assert done.exit_code == 2, done.output
    assert said in done.output


def test_the_examples_are_valid_and_read_back_equal(tmp_path):
    config = load_audit(CONFIGS / "audit.yaml")
    (tmp_path / "again.yaml").write_text(config.to_yaml())
    assert read_config(tmp_path / "again.yaml", AuditConfig, "") == config


# ----------------------------------------------------------------------------------------------------------------- data


def members_of(text, seed=0):
    """The parts of a data section."""
    Path("data.yaml").write_text(f"data: {text}\nmodel: {{target: a.keras}}\n")
    return configured_data(load_audit(Path("data.yaml")).data, seed, by_owner=False)


def test_a_table_gives_columns_of_numbers_and_class_numbers(command):
    table = pd.DataFrame(X, columns=list("abcd")).assign(
        kind=np.array(["cat", "ant", "bee"])[Y], who=np.arange(300) + 7
    )
    table.to_csv("t.csv", index=False)
    found = members_of("{file: t.csv, label: kind, id: who, members: 100, nonmembers: 50}")
    np.testing.assert_allclose(found.x, X, rtol=1e-5)
    np.testing.assert_array_equal(found.y, np.array([2, 0, 1])[Y])  # in the order of the names
    np.testing.assert_array_equal(found.ids, np.arange(300) + 7)
    assert members_of("{file: t.csv, label: kind, features: [b, a], members: 9, nonmembers: 9}").x.shape == (300, 2)


@pytest.mark.parametrize(
    ("section", "said"),
    [
        ("label: kid", "has no column 'kid'; did you mean 'kind'?"),
        ("label: kind, features: [a, e]", "has no column 'e'; it has a, b"),
        ("label: kind, features: [city]", "column 'city' of t.csv holds"),
        ("label: kind, features: [hole]", "column 'hole' of t.csv has no finite number in 1 of 300 rows"),
        ("label: gap, features: [a]", "column 'gap' of t.csv lacks labels"),
    ],
)
def test_columns_that_cannot_be_used_are_named(command, section, said):
    holes = np.where(np.arange(300) == 5, np.nan, 1.0)
    pd.DataFrame(X, columns=list("abcd")).assign(kind=Y, city="x", hole=holes, gap=holes).to_csv("t.csv", index=False)
    with pytest.raises(ConfigError) as refused:
        members_of(f"{{file: t.csv, {section}, members: 9, nonmembers: 9}}")
    assert said in str(refused.value)


def test_files_of_their_own_for_each_side_share_class_numbers(command):
    """A class that one file lacks must not shift the numbers of the others."""
    rows = pd.DataFrame(X, columns=list("abcd")).assign(kind=np.array(["ant", "bee", "cat"])[Y])
    rows[rows.kind != "bee"].to_csv("in.csv", index=False)
    rows.to_csv("out.csv", index=False)
    found = members_of("{member_file: in.csv, nonmember_file: out.csv, label: kind, nonmembers: 60}")
    assert found.counts == {"members": 200, "nonmembers": 60, "population": 0, "held_out": 0}
    assert set(found.part("members")[1]) == {0, 2}
    assert set(found.part("nonmembers")[1]) == {0, 1, 2}


def test_files_whose_records_differ_in_shape_are_refused(command):
    np.savez("in.npz", x=X, y=Y)
    np.savez("out.npz", x=X[:, :3], y=Y)
    with pytest.raises(
        ConfigError, match=r"data.nonmember_file: records have shape \[3\], those of data.member_file \[4\]"
    ):
        members_of("{member_file: in.npz, nonmember_file: out.npz}")


def test_images_in_a_folder_are_read_class_by_class(command):
    from PIL import Image

    for name, shade in (("b", 255), ("a", 51)):
        Path("pictures", name).mkdir(parents=True)
        for number in range(3):
            Image.new("L", (9, 7), shade).save(f"pictures/{name}/{number}.png")
    found = members_of("{folder: pictures, image_size: [4, 5], channels: 1, members: 3, nonmembers: 3}")
    assert found.x.shape == (6, 4, 5, 1)
    assert found.y.tolist() == [0, 0, 0, 1, 1, 1]
    np.testing.assert_allclose(found.x[[0, 5]].mean(axis=(1, 2, 3)), [0.2, 1.0], rtol=1e-6)
    assert found.ids[0] == "a/0.png"
    Path("pictures/a/broken.png").write_bytes(b"no picture")
    with pytest.raises(ConfigError, match=r"broken.png cannot be read"):
        members_of("{folder: pictures, image_size: [4, 5], members: 3, nonmembers: 3}")


FACTORY = """
import numpy as np, tensorflow as tf
x, y = np.arange(40, dtype="float32").reshape(20, 2), np.arange(20) % 2
def pair(): return x, y
def mapping(): return {"x": x, "y": y, "ids": np.arange(20) + 100}
def single(): return tf.data.Dataset.from_tensor_slices((x, y))
def batched(): return single().batch(7)
def endless(): return single().repeat()
def odd(): return x
def broken(): raise RuntimeError("no luck")
"""


def test_a_function_may_return_arrays_or_a_data_set(command):
    Path("made.py").write_text(FACTORY)
    for name in ("pair", "mapping", "single", "batched"):
        found = members_of(f"{{factory: 'made:{name}', members: 5, nonmembers: 5}}")
        np.testing.assert_array_equal(found.x, np.arange(40).reshape(20, 2))
        np.testing.assert_array_equal(found.y, np.arange(20) % 2)
    assert members_of("{factory: 'made:mapping', members: 5, nonmembers: 5}").ids[0] == 100
    for name, said in (("endless", "endless"), ("odd", "returned ndarray"), ("broken", "no luck")):
        with pytest.raises(ConfigError, match=said):
            members_of(f"{{factory: 'made:{name}', members: 5, nonmembers: 5}}")


# ---------------------------------------------------------------------------------------------------------------- a run


def test_a_target_trained_here_is_audited_and_results_are_whole(command):
    done = command(changed("attacks: [loss]", "attacks: [loss, correct]\nslices: [class]\nlimits: {auc: 0.99}"))
    assert done.exit_code == 0, done.output
    assert files_in("results/run") == RESULTS
    reports = load_reports("results/run/reports.json")
    assert [report.attack for report in reports if report.slice == "entire"] == ["loss", "correct"]
    assert reports[0].auc.low > 0.5
    records = pd.read_csv("results/run/records.csv")
    assert len(records) == 240
    assert records["is_member"].sum() == 120
    assert "privacy-data" in Path("results/run/report.html").read_text()
    about = json.loads(Path("results/run/run.json").read_text())
    assert about["command"] == "run"
    assert set(about["target"]["accuracy"]) == {"members", "nonmembers"}
    again = command(Path("config.yaml").read_text())
    assert "nothing to do" in again.output
    stricter = command(changed("0.99", "0.51", Path("config.yaml").read_text()))
    assert stricter.exit_code == 1
    assert "limit auc <= 0.51: exceeded by loss" in stricter.output


def test_a_training_is_watched_epoch_by_epoch_and_logged(command):
    done = command(
        changed("attacks: [loss]", "attacks: [loss, trajectory]\nevery: 2").replace("seed: 1", "seed: 1, log_dir: logs")
    )
    assert done.exit_code == 0, done.output
    reports = load_reports("results/run/reports.json")
    assert sorted({report.step for report in reports}) == [-1, 1, 3, 5]
    assert list(Path("logs/mia/loss").glob("events*"))
    plain = command(TINY, "--out", "plain")
    assert plain.exit_code == 0
    watched, alone = (load_reports(f"{place}/reports.json") for place in ("results/run", "plain"))
    assert float(watched[-2].auc) == float(alone[0].auc)  # a training that is watched ends with the same bits


def test_a_model_in_a_file_is_audited_on_records_in_files(command):
    layers = [keras.Input((4,)), keras.layers.Dense(32, activation="relu"), keras.layers.Dense(3)]
    model = keras.Sequential(layers)
    model.compile("adam", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(X[:150], Y[:150], epochs=2, verbose=0)
    model.save("model.keras")
    np.savez("in.npz", x=X[:150], y=Y[:150])
    np.savez("out.npz", x=X[150:], y=Y[150:])
    done = command(
        "data: {member_file: in.npz, nonmember_file: out.npz}\nmodel: {target: model.keras}\nrun: {log_dir: logs}\n"
    )
    assert done.exit_code == 0, done.output
    assert "150 members, 150 nonmembers" in done.output
    assert list(Path("logs/mia/loss").glob("events*"))
    assert load_reports("results/run/reports.json")[0].num_members == 150


def test_an_epsilon_is_a_bound_with_coins_and_an_estimate_without(command):
    with_coins = command(changed("attacks: [loss]", "attacks: [loss]\nepsilon: {claimed: 50, coins: true}"))
    assert "ε: at least" in with_coins.output, with_coins.output
    sides = json.loads(Path("results/run/run.json").read_text())["data"]
    assert sides["members"] + sides["nonmembers"] == 240
    assert sides["members"] != 120
    without = command(changed("attacks: [loss]", "attacks: [loss]\nepsilon: {claimed: 50}"), "--out", "other")
    assert "ε: estimated" in without.output


def test_results_of_another_configuration_are_refused_and_a_failed_run_leaves_nothing(command):
    assert command(TINY).exit_code == 0
    other = command(changed("seed: 1", "seed: 2"))
    assert other.exit_code == 2
    assert "results of another configuration (run.seed was 1, is 2)" in other.output
    assert command(changed("seed: 1", "seed: 2"), "--overwrite").exit_code == 0
    broken = command(changed("hidden: [32]", "architecture: 'made:nothing'"), "--out", "bad")
    assert broken.exit_code == 2
    assert not Path("bad").exists() or not files_in("bad")


def commands_of(page):
    """The `privacy-audit` lines of a page, as arguments, each once."""
    lines = re.findall(r"^privacy-audit (.+?)(?: +#.*)?$", page.read_text(), flags=re.MULTILINE)
    return [shlex.split(line) for line in dict.fromkeys(lines)]


@pytest.mark.slow
def test_the_commands_of_the_readme_run_as_they_stand_there(tmp_path, monkeypatch):
    root = CONFIGS.parent
    monkeypatch.chdir(tmp_path)
    shutil.copytree(CONFIGS, tmp_path / "configs")
    labels = np.arange(300) % 3
    logits = np.random.default_rng(0).normal(size=(300, 3)) + 2 * np.eye(3)[labels]
    np.savez("outputs.npz", logits=logits, labels=labels, is_member=np.arange(300) < 150)
    asked = commands_of(root / "README.md")
    assert {arguments[0] for arguments in asked} == set(privacy_audit().commands)
    codes = {}
    for arguments in asked:
        if arguments[0] == "unlearn":
            continue  # needs a model of the reader's own; tests/test_unlearn_command.py brings one
        place = [str(tmp_path / "results" / "run_logs") if part == "logs" else part for part in arguments]
        done = CliRunner().invoke(privacy_audit(), place)
        codes[arguments[0]] = done.exit_code
        assert done.exit_code in (0, 1), done.output
    assert codes["check"] == codes["outputs"] == codes["selfcheck"] == 0
    assert codes["run"] == 1  # the example's limit is exceeded, as its comment says it is there to be
    for arguments in commands_of(CONFIGS / "README.md"):
        assert arguments[0] in codes

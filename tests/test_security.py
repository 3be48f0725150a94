"""What a hostile file, model or name must not bring about, and what the sources must not contain."""

import ast
import subprocess
import sys
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest

from privacy_callbacks import MIACallback
from privacy_callbacks.attacks import LeakageReport, load_reports, save_reports
from privacy_callbacks.configured_target import loaded_model
from privacy_callbacks.located_yaml import ConfigError, read_yaml
from privacy_callbacks.outputs_file import read_outputs

ROOT = Path(__file__).parent.parent
SOURCES = sorted(
    path for folder in ("attacks", "range_queries", "privacy_callbacks") for path in (ROOT / folder).rglob("*.py")
)
PROGRAMS = sorted([*(ROOT / "codelabs").glob("*.py"), *(ROOT / "benchmarks").glob("*.py")])
# Code or objects made from what is read, shells, and Keras' switch that lets model files bring code along.
FORBIDDEN = {
    "eval",
    "exec",
    "pickle.load",
    "pickle.loads",
    "joblib.load",
    "marshal.loads",
    "os.system",
    "os.popen",
    "yaml.load",
    "yaml.full_load",
    "yaml.unsafe_load",
    "keras.config.enable_unsafe_deserialization",
    "tempfile.mktemp",
}
FORBIDDEN_ARGUMENTS = {"allow_pickle": True, "shell": True, "safe_mode": False, "verify": False}


def calls(path):
    """Each call of a file, as a dotted name, and its arguments that are constants."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            constants = {word.arg: word.value.value for word in node.keywords if isinstance(word.value, ast.Constant)}
            yield ast.unparse(node.func), constants


# -------------------------------------------------------------------------------------------------------------- sources


@pytest.mark.parametrize("path", [*SOURCES, *PROGRAMS], ids=lambda path: str(path.relative_to(ROOT)))
def test_no_source_runs_what_it_reads(path):
    for name, constants in calls(path):
        assert name not in FORBIDDEN, f"{path.name} calls {name}"
        for argument, value in FORBIDDEN_ARGUMENTS.items():
            assert constants.get(argument) is not value, f"{path.name}: {name}({argument}={value})"


def test_the_search_sees_what_it_is_to_forbid(tmp_path):
    (tmp_path / "bad.py").write_text("import pickle, numpy as np\npickle.load(f)\nnp.load(f, allow_pickle=True)\n")
    found = list(calls(tmp_path / "bad.py"))
    assert ("pickle.load", {}) in found
    assert ("np.load", {"allow_pickle": True}) in found


# ------------------------------------------------------------------------------------------------------------ YAML, models


def test_aliases_of_aliases_are_no_way_to_stop_the_machine(tmp_path):
    """Nine times nine times nine ...: half a kilobyte stands for 387 million values."""
    lines = ["a: &a [x, x, x, x, x, x, x, x, x]"]
    for last, name in zip("abcdefgh", "bcdefghi", strict=True):
        lines.append(f"{name}: &{name} [{', '.join([f'*{last}'] * 9)}]")
    (tmp_path / "bomb.yaml").write_text("\n".join(lines))
    with pytest.raises(ConfigError, match="more than 100,000 fields"):
        read_yaml(tmp_path / "bomb.yaml")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a: " + "[" * 20_000, "too deeply"),
        ("{" * 5_000, "too deeply"),
        ("a: !!python/object/apply:os.mkdir [made]", "no YAML .*python/object"),
        ("a: !!python/name:os.system", "no YAML"),
        ("a: 2024-13-45", r"no YAML \(month must be"),
        ("? [a]\n: 1", "the key that is a list or a mapping is no text"),
        ("a: &x\n  <<: *x", "holds itself"),
    ],
)
def test_yaml_makes_plain_values_or_none(text, said, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("odd.yaml").write_text(text)
    with pytest.raises(ConfigError, match=said):
        read_yaml(Path("odd.yaml"))
    assert [path.name for path in tmp_path.iterdir()] == ["odd.yaml"]


def test_a_model_file_that_brings_code_along_is_refused(tmp_path):
    model = keras.Sequential([keras.Input((2,)), keras.layers.Lambda(lambda x: x * 2), keras.layers.Dense(2)])
    model.compile("sgd", "mse")
    model.save(tmp_path / "lambda.keras")
    with pytest.raises(ConfigError, match=r"model.target: .*lambda.keras cannot be loaded"):
        loaded_model(str(tmp_path / "lambda.keras"))


# ------------------------------------------------------------------------------------------------------------ archives


def test_an_archive_whose_header_promises_a_terabyte_is_refused(tmp_path):
    header = b"\x93NUMPY\x01\x00" + (118).to_bytes(2, "little")
    header += b"{'descr': '<f8', 'fortran_order': False, 'shape': (400000000000, 1000), }".ljust(117) + b"\n"
    with zipfile.ZipFile(tmp_path / "huge.npz", "w") as archive:
        archive.writestr("logits.npy", header)
        archive.writestr("is_member.npy", header)
    with pytest.raises(ValueError, match=r"huge.npz cannot be read"):
        read_outputs(tmp_path / "huge.npz")


def test_names_in_an_archive_lead_nowhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    np.savez("in.npz", **{"../outside": np.ones(3), "is_member": np.array([1, 0, 1])})
    with pytest.raises(ValueError, match="outside"):
        read_outputs(Path("in.npz"))
    assert [path.name for path in tmp_path.iterdir()] == ["in.npz"]


def test_a_report_names_no_other_file_to_read(tmp_path):
    """Curves lie beside the reports under their name, whatever the text says."""
    rng = np.random.default_rng(0)
    report = LeakageReport.from_scores(rng.normal(size=200), np.arange(200) < 100, "../../etc/passwd")
    save_reports([report], tmp_path / "reports.json")
    names = {path.name for path in tmp_path.iterdir()}
    assert all(name.startswith("reports.json") for name in names)
    (read,) = load_reports(tmp_path / "reports.json")
    assert read.attack == "../../etc/passwd"


# ------------------------------------------------------------------------------------------------------------- names


@pytest.mark.parametrize("name", ["../outside", "/abs", "a/../../b", "", ".", "..", "a\x00b", "a\nb"])
def test_a_callback_name_cannot_leave_its_log_directory(name, blobs, tmp_path):
    with pytest.raises((ValueError, TypeError), match="name"):
        MIACallback(*blobs, name=name, log_dir=tmp_path)
    assert not list(tmp_path.iterdir())


# ---------------------------------------------------------------------------------------------------------- what is kept


@pytest.mark.filterwarnings("ignore:.*cannot resolve a false positive rate:UserWarning")
def test_neither_records_nor_the_environment_stand_in_what_is_written(blobs, make_model, tmp_path, monkeypatch):
    """Of ids, values of records and variables of the environment nothing is found in logs, reports and pages."""
    monkeypatch.setenv("API_TOKEN", "sesame-4711")
    (x, y), (other_x, other_y) = blobs
    x = np.array(x)
    x[3, 2] = 1234.5625  # exact in binary, and nowhere else
    ids = [f"patient-{number}" for number in range(len(x))]
    data = __import__("privacy_callbacks").AuditSet(
        (x, y), (other_x, other_y), ids=(ids, [f"other-{n}" for n in range(90)])
    )
    mia = MIACallback(data, log_dir=tmp_path / "logs", slices="class")
    make_model().fit(x, y, epochs=2, verbose=0, callbacks=[mia])
    save_reports(mia.reports, tmp_path / "reports.json")
    mia.to_html(tmp_path / "page.html")
    (tmp_path / "card.md").write_text(mia.to_markdown())
    written = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert len(written) >= 5
    secrets = [b"sesame-4711", b"patient-", b"1234.56", np.float32(1234.5625).tobytes()]
    for path, content in written.items():
        for secret in secrets:
            assert secret not in content, f"{secret!r} stands in {path.name}"


@pytest.mark.slow
def test_dependencies_are_consistent():
    """`pip check` for what this package asks for; advisories need a network and are not looked up here."""
    done = subprocess.run([sys.executable, "-m", "pip", "check"], capture_output=True, text=True, timeout=300)
    ours = [
        line for line in done.stdout.splitlines() if line.startswith("privacy-callbacks") and "tensorflow" not in line
    ]
    assert not ours, done.stdout

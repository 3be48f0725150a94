"""`privacy-audit unlearn`: models in files, a verdict in the exit code."""

import json
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from privacy_callbacks.attacks import UnlearningReport
from privacy_callbacks.command_line import privacy_audit
from privacy_callbacks.unlearn_config import load_unlearn

CONFIGS = Path(__file__).parent.parent / "configs"
RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(1_800, 24)).astype("float32"), RNG.integers(0, 3, 1_800)
FORGET = np.arange(300, 600)
WHOLE = """\
data: {file: data.npz, members: members.npy, nonmembers: test.npy}
forget: forget.npy
models: {unlearned: original.keras}
"""


def trained(rows, seed=0):
    first, last = (keras.initializers.GlorotUniform(seed + layer) for layer in (1, 2))
    hidden = keras.layers.Dense(48, activation="relu", kernel_initializer=first)
    model = keras.Sequential([keras.Input((24,)), hidden, keras.layers.Dense(3, kernel_initializer=last)])
    model.compile(keras.optimizers.Adam(0.01), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    model.fit(X[rows], Y[rows], epochs=25, batch_size=50, shuffle=False, verbose=0)
    return model


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Data and models of somebody."""
    folder = tmp_path_factory.mktemp("files")
    np.savez(folder / "data.npz", x=X, y=Y)
    np.save(folder / "members.npy", np.arange(600))
    np.save(folder / "test.npy", np.arange(600, 1_800))
    np.save(folder / "forget.npy", FORGET)
    trained(np.arange(600)).save(folder / "original.keras")
    trained(np.arange(300), seed=10).save(folder / "retrained.keras")
    return folder


@pytest.fixture
def command(files, tmp_path, monkeypatch):
    """Runs `privacy-audit unlearn` on a configuration given as text, where the files are; results go elsewhere."""
    monkeypatch.chdir(files)

    def run(text, *options):
        (tmp_path / "config.yaml").write_text(text)
        arguments = ["unlearn", "--cf", str(tmp_path / "config.yaml"), "--out", str(tmp_path / "out"), *options]
        return CliRunner().invoke(privacy_audit(), arguments)

    run.out = tmp_path / "out"
    return run


def changed(before, after, text=WHOLE):
    assert before in text
    return text.replace(before, after)


@pytest.mark.parametrize(
    ("before", "after", "said"),
    [
        ("unlearned: original.keras", "unlearned: []", "has an empty list"),
        ("unlearned: original.keras", "original: original.keras", "models.unlearned is missing"),
        ("keras}", "keras, retrained: retrained.keras, retrain: {}}", "retrained: both are given"),
        ("forget: forget.npy", "forgt: 3", "forgt is no field here; did you mean forget?"),
        ("forget: forget.npy", "forget: none.npy", "forget: there is no file none.npy"),
        ("forget: forget.npy", "forget: test.npy", "names 1,200 rows that are no members"),
        ("forget: forget.npy", "forget: 600", "600 of 600 members leave none to keep"),
        ("forget: forget.npy", "forget: forget.npy\nmargin: 0.5", "margin is 0.5"),
        ("forget: forget.npy", "forget: forget.npy\nattack: lira", "lira compares with shadow models"),
        ("forget: forget.npy", "forget: forget.npy\npasses: [gone]", 'passes[0] is "gone"'),
        ("original.keras", "data.npz", "models.unlearned: data.npz cannot be loaded"),
    ],
)
def test_what_cannot_be_judged_is_refused(command, before, after, said):
    done = command(changed(before, after))
    assert done.exit_code == 2, done.output
    assert said in done.output.replace("\n", " ")
    assert not list(command.out.glob("*.json"))


def test_a_model_that_forgot_nothing_does_not_pass(command):
    text = changed("keras}", "keras, original: original.keras, retrained: retrained.keras}") + "passes: [forgotten]\n"
    done = command(text)
    assert done.exit_code == 1, done.output
    assert "the verdict is residual, and forgotten passes" in done.output
    held = json.loads((command.out / "unlearning.json").read_text())
    assert held["verdict"] == "residual"
    assert UnlearningReport.from_json((command.out / "unlearning.json").read_text()).verdict == "residual"
    residuals = pd.read_csv(command.out / "residuals.csv")
    assert sorted(residuals["row"]) == FORGET.tolist()
    assert residuals["score"].is_monotonic_decreasing
    assert len(pd.read_csv(command.out / "summary.csv")) == 3
    again = command(text.replace("[forgotten]", "[residual]"))
    assert again.exit_code == 0
    assert "nothing to do" in again.output


def test_a_model_that_never_saw_them_passes_beside_one_that_is_retrained_here(command):
    retrain = "retrain: {hidden: [48], epochs: 25, learning_rate: 1e-2}"
    text = changed("original.keras", f"retrained.keras, {retrain}") + "passes: [forgotten]\n"
    done = command(text)
    assert done.exit_code == 0, done.output
    assert "Forgotten, as far as this attacker sees" in done.output
    assert list((command.out / "models").glob("target-*.keras"))
    assert json.loads((command.out / "run.json").read_text())["data"]["members"] == 300


def test_the_example_is_valid():
    assert load_unlearn(CONFIGS / "unlearn.yaml").passes == ["forgotten"]

"""Configurations with anything in any field: each is read, or refused with its file's name, and nothing else is made of it."""

import pytest
import yaml
from fuzz.odd_arrays import FUZZED, read_or_refused
from fuzz.odd_files import odd_bytes, odd_values
from hypothesis import given
from hypothesis import strategies as st

from privacy_callbacks.audit_config import load_audit
from privacy_callbacks.located_yaml import ConfigError, read_yaml
from privacy_callbacks.range_config import load_config
from privacy_callbacks.unlearn_config import load_unlearn

DATA = {"builtin": "mnist_subset", "members": 100, "nonmembers": 100, "label_noise": 0.1, "population": 50}
TRAIN = {"architecture": "mlp", "hidden": [16], "epochs": 2, "batch_size": 50, "learning_rate": 0.01}
AUDIT = {
    "run": {"name": "mia", "seed": 0, "out": "results"},
    "data": DATA,
    "model": {"train": TRAIN},
    "shadow_models": {"num_models": 4},
    "attacks": ["lira", {"kind": "rmia", "mode": "offline"}, {"kind": "threshold", "signal": "loss"}],
    "slices": ["class"],
    "epsilon": {"delta": 1e-5, "method": "one_run"},
    "audit_size": 100,
    "every": 1,
    "limits": {"auc": 0.75, "tpr_at_fpr_1e-2": 0.1},
}
RANGE = {
    "run": {"name": "ramia", "seed": 0, "out": "results"},
    "data": DATA,
    "model": {"train": TRAIN},
    "shadow_models": {"num_models": 4},
    "ranges": [{"kind": "ball", "radius": 3}, {"kind": "transformations", "flips": ["left-right"], "shifts": 1}],
    "centre": {"kind": "ball", "radius": 3},
    "attack": {"kind": "lira", "mode": "offline"},
    "queries": 4,
    "aggregate": {"kind": "trimmed_mean", "keep": [0.25, 1.0]},
}
UNLEARN = {
    "run": {"name": "unlearning", "seed": 0, "out": "results"},
    "data": DATA,
    "forget": 20,
    "models": {"unlearned": ["one.keras", "two.keras"], "original": "model.keras", "retrain": TRAIN},
    "attack": "loss",
}
READERS = [(load_audit, AUDIT), (load_config, RANGE), (load_unlearn, UNLEARN)]
ODD_YAML = [
    "a: !!int ''",
    "a: !!float ''",
    "a: !!timestamp x",
    "a: !!binary '*'",
    "a: !!python/object:os.system {}",
    "a: 2001-99-99",
    "a: 2001-01-01 00:00:00 +99:99",
    "a: 1:99:99999999999999999999",
    "a: 0x",
    "a: .inf\nb: -.nan",
    "a: " + "9" * 5_000,
    "a: 0b" + "1" * 50_000,
    "? [a]\n: 1",
    "1: 2",
    "null: 1",
    "a: 1\na: 2",
    "a: &x [*x]",
    "<<: 1",
    "<<: [1, 2]",
    "a: &x {b: 1}\nc: {<<: *x, b: 2}",
    "!!set {a, b}",
    "!!omap [a: 1]",
    "a: !!pairs [1]",
    "--- 1\n--- 2",
    "%YAML 9.9\n--- 1",
    "a: *b",
    "a: \t1",
    "\ufeffa: 1",
    "a: '\\ud800'",
    'a: "\\ud800"',
    "a: \x07",
    "[" * 5_000,
    "a: {" * 2_000,
    "",
    "- 1",
    "just words",
]


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    return tmp_path_factory.mktemp("configs") / "odd.yaml"


@pytest.mark.parametrize(("read", "valid"), READERS, ids=["audit", "range", "unlearn"])
@FUZZED
@given(st.data())
def test_any_value_in_any_field_is_read_or_refused(place, read, valid, data):
    held = data.draw(odd_values(valid))
    text = yaml.safe_dump(held)
    place.write_text(text, encoding="utf-8", errors="surrogatepass")
    found = read_or_refused(read, place, names=place, kind=ConfigError)
    if found is not None:
        place.write_text(found.to_yaml(), encoding="utf-8")
        assert read(place) == found
        assert isinstance(found.described(), str)


@pytest.mark.parametrize(("read", "valid"), READERS, ids=["audit", "range", "unlearn"])
@FUZZED
@given(st.data())
def test_damaged_configurations_are_read_or_refused(place, read, valid, data):
    place.write_bytes(data.draw(odd_bytes(yaml.safe_dump(valid).encode())))
    read_or_refused(read, place, names=place, kind=ConfigError)


@pytest.mark.parametrize("text", ODD_YAML, ids=range(len(ODD_YAML)))
def test_odd_yaml_is_read_or_refused_by_its_file(place, text):
    place.write_text(text, encoding="utf-8")
    for read in (read_yaml, load_audit):
        read_or_refused(read, place, names=place, kind=ConfigError)


@pytest.mark.parametrize(("read", "valid"), READERS, ids=["audit", "range", "unlearn"])
def test_what_the_others_are_made_of_is_valid(place, read, valid):
    place.write_text(yaml.safe_dump(valid), encoding="utf-8")
    assert read(place) is not None

"""A fleet's folder with a damaged file: refused in a sentence that names the place, or made again as if it were not there."""

import json

import numpy as np
import pytest
from fuzz.odd_arrays import FUZZED, read_or_refused
from fuzz.odd_files import odd_bytes, odd_json
from hypothesis import given
from hypothesis import strategies as st

from privacy_callbacks.attacks.fleet_files import Answers, FleetFiles, Outcome
from privacy_callbacks.located_yaml import ConfigError
from privacy_callbacks.result_folder import LAST, ResultFolder

IDENTITY = {"the number of shadow models": 2, "the seed": 0, "the pool": "abc", "the optimizer": {"name": "adam"}}
STATE = [np.arange(6.0).reshape(2, 3), np.int64(3)]
QUESTION = "0123456789abcdef"


@pytest.fixture(scope="module")
def fleet(tmp_path_factory):
    """(the folder, its files' contents by their path)."""
    folder = tmp_path_factory.mktemp("fleet") / "begun"
    files = FleetFiles(folder)
    files.begin(IDENTITY, "stacked", 2, "measured", np.arange(4, dtype=np.uint64))
    files.keep_rates(0, np.array([0.1, 0.2], np.float32))
    files.keep_epoch(0, 1, STATE, Outcome([0.5, np.nan], {1: "its loss is NaN"}))
    signals = {"loss": np.zeros((2, 4, 1), np.float32)}
    files.keep_answers(0, 1, QUESTION, Answers([0, 1], signals, {}, {}))
    assert files.trouble == ""
    files.close()
    return folder, {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def restored(fleet):
    folder, contents = fleet
    for path, content in contents.items():
        path.write_bytes(content)
    return folder


def all_read(folder):
    """Whatever a fleet that goes on reads."""
    files = FleetFiles(folder)
    try:
        said = files.check(IDENTITY)
        outcome, state, answers = files.outcome(0, 1), files.newest_state(0, 1), files.answers(0, 1, QUESTION)
        manifest = {name: files.manifest[name] for name in ("engine", "group_size", "num_models")}
        return said, manifest, files.pool(), files.rates(0), outcome, state, answers
    finally:
        files.close()


@FUZZED
@given(st.data())
def test_a_damaged_manifest_is_refused_by_its_place(fleet, data):
    folder = restored(fleet)
    written = (folder / "fleet.json").read_bytes()
    (folder / "fleet.json").write_bytes(data.draw(odd_json(json.loads(written)) | odd_bytes(written)))
    found = read_or_refused(all_read, folder, names=folder)
    if found is not None:
        manifest = found[1]
        assert isinstance(manifest["engine"], str)
        assert type(manifest["group_size"]) is type(manifest["num_models"]) is int
        assert min(manifest["group_size"], manifest["num_models"]) > 0


@FUZZED
@given(st.data())
def test_a_damaged_file_counts_as_missing(fleet, data):
    folder = restored(fleet)
    _, contents = fleet
    path = data.draw(st.sampled_from(sorted(path for path in contents if path.suffix == ".npz")))
    path.write_bytes(data.draw(odd_bytes(contents[path])))
    missing_or_as_it_was(all_read(folder))


def missing_or_as_it_was(found):
    """Nothing that was read is something else than what was written."""
    _, _, pool, rates, outcome, state, answers = found
    assert pool is None or pool.tolist() == [0, 1, 2, 3]
    assert rates is None or rates[0].tolist() == pytest.approx([0.1, 0.2])
    assert outcome is None or (outcome.losses[0], outcome.failures) == (0.5, {1: "its loss is NaN"})
    assert state is None or state[0] == 1
    assert answers is None or answers.own["loss"].shape == (2, 4, 1)


@FUZZED
@given(st.data())
def test_files_in_each_others_place_count_as_missing_or_are_what_they_were(fleet, data):
    folder = restored(fleet)
    _, contents = fleet
    arrays = sorted(path for path in contents if path.suffix == ".npz")
    one, other = data.draw(st.sampled_from(arrays)), data.draw(st.sampled_from(arrays))
    one.write_bytes(contents[other])
    missing_or_as_it_was(all_read(folder))


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    folder = ResultFolder(tmp_path_factory.mktemp("results"), {"seed": 0, "range": {"radius": 0.5}})
    with folder.filled({"warnings": ["one"]}) as place:
        (place / "reports.json").write_text("{}")
        (place / "summary.csv").write_text("a,b")
    return folder, (folder.path / LAST).read_bytes()


@FUZZED
@given(st.data())
def test_a_damaged_run_is_refused_or_made_again(results, data):
    folder, written = results
    (folder.path / LAST).write_bytes(data.draw(odd_json(json.loads(written)) | odd_bytes(written)))
    found = read_or_refused(folder.finished, names=folder.path, kind=ConfigError)
    assert found is None or found["identity"] == folder.identity

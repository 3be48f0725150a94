"""Files of results that were damaged: each is refused in a sentence that names it, or read as what it says."""

import json
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from fuzz.odd_arrays import FUZZED, read_or_refused
from fuzz.odd_files import odd_bytes, odd_json, odd_values
from hypothesis import example, given
from hypothesis import strategies as st

from privacy_callbacks.attacks import AttackInputData as Given
from privacy_callbacks.attacks import (
    EpsilonBound,
    EpsilonReading,
    Estimate,
    LeakageReport,
    RocSketch,
    UnlearningReport,
    epsilon_lower_bound,
    load_reports,
    reports_to_html,
    reports_to_markdown,
    run_attacks,
    save_reports,
    unlearning_report,
)
from privacy_callbacks.attacks.tf_privacy_files import load_collection, load_results, save_collection, save_results
from privacy_callbacks.attacks.tf_privacy_results import AttackResultsCollection
from privacy_callbacks.attacks.whole_files import read_arrays, read_json, write_arrays

_rng = np.random.default_rng(0)
FLAGS = np.arange(60) % 2 == 0
SCORES = _rng.normal(size=60) + FLAGS
BOUND = epsilon_lower_bound(SCORES, FLAGS, 1e-5)
READING = EpsilonReading(BOUND, BOUND, exposure=Estimate(1.0, 0.5, 2.0))
REPORT = replace(
    LeakageReport.from_scores(SCORES, FLAGS, "lira", step=3, warnings=("one",), notes=("two",)),
    epsilon=READING,
    holm_p_value=0.5,
)
UNLEARNED = unlearning_report(SCORES + 1, SCORES[:30], SCORES - 0.5)


@FUZZED
@given(odd_json(REPORT.to_dict()))
@example(REPORT.to_json().replace('"tpr_at_fpr_1e-2"', '"tpr_at_fpr_5"').encode())
@example(REPORT.to_json().replace('"lira"', '"\\ud800"').encode())
@example(REPORT.to_json().replace('"attack": "lira"', '"attack": "lira", "attack": "loss"').encode())
def test_a_report_that_can_be_read_can_be_shown_and_written(written):
    try:
        text = written.decode()
    except UnicodeDecodeError:
        return
    found = read_or_refused(LeakageReport.from_json, text)
    if found is None:
        return
    again = LeakageReport.from_json(found.to_json())
    assert again.to_json() == found.to_json()
    assert isinstance(found.summary(), str)
    assert isinstance(repr(found), str)
    assert isinstance(reports_to_markdown([found]), str)


def test_a_field_that_stands_twice_is_refused():
    twice = REPORT.to_json().replace('"attack": "lira"', '"attack": "lira", "attack": "loss"')
    with pytest.raises(ValueError, match="'attack' stands twice"):
        LeakageReport.from_json(twice)


@pytest.mark.parametrize(
    "name", ["tpr_at_fpr_5", "tpr_at_fpr_nan", "tpr_at_fpr_-1e-2", "tpr_at_fpr_0.01", "tpr_at_fpr_1_0"]
)
def test_a_rate_that_is_none_or_stands_under_two_names_is_refused(name):
    with pytest.raises(ValueError, match="names no false positive rate"):
        LeakageReport.from_dict({**REPORT.to_dict(), name: None})


@pytest.mark.parametrize(
    ("read", "valid"),
    [
        (Estimate.from_dict, Estimate(0.5, 0.4, 0.6, details={"records": 3}).to_dict()),
        (EpsilonBound.from_dict, BOUND.to_dict()),
        (EpsilonReading.from_dict, READING.to_dict()),
        (UnlearningReport.from_dict, UNLEARNED.to_dict()),
    ],
    ids=["estimate", "bound", "reading", "unlearning"],
)
@FUZZED
@given(st.data())
def test_parts_of_reports_are_read_or_refused(read, valid, data):
    found = read_or_refused(read, data.draw(odd_values(json.loads(json.dumps(valid)))))
    if found is not None:
        assert json.dumps(read(found.to_dict()).to_dict()) == json.dumps(found.to_dict())
        assert isinstance(repr(found), str)


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """(the JSON file of two reports, its bytes, its curves' file, their bytes)."""
    path = tmp_path_factory.mktemp("saved") / "reports.json"
    save_reports([REPORT, replace(REPORT, roc=None, slice="class 1")], path)
    (curves,) = path.parent.glob("*.npz")
    return path, path.read_bytes(), curves, curves.read_bytes()


@FUZZED
@given(st.data())
def test_damaged_report_files_are_refused_by_name(saved, data):
    path, written, curves, points = saved
    path.write_bytes(data.draw(odd_json(json.loads(written)) | odd_bytes(written)))
    curves.write_bytes(points)
    found = read_or_refused(load_reports, path, names=path)
    assert found is None or [report.to_json() for report in found] == [
        report.to_json() for report in (REPORT, replace(REPORT, slice="class 1"))
    ]


@FUZZED
@given(st.data())
def test_damaged_curves_are_refused_by_the_name_of_their_report(saved, data):
    path, written, curves, points = saved
    path.write_bytes(written)
    changed = data.draw(odd_bytes(points))
    curves.write_bytes(changed)
    assert (read_or_refused(load_reports, path, names=path) is None) == (changed != points)


def test_halves_of_letters_can_be_shown_saved_and_made_a_page(tmp_path):
    odd = replace(REPORT, attack="\ud800", notes=("\udfff",))
    save_reports([odd], tmp_path / "reports.json")
    (found,) = load_reports(tmp_path / "reports.json")
    assert found.attack == "\ud800"
    reports_to_html([found], tmp_path / "page.html")
    (tmp_path / "card.md").write_text(reports_to_markdown([found]), encoding="utf-8")


@pytest.fixture(scope="module")
def sketched(tmp_path_factory):
    path = tmp_path_factory.mktemp("sketched") / "sketch.npz"
    sketch = RocSketch(8)
    sketch.add(SCORES, FLAGS)
    sketch.save(path)
    return path, path.read_bytes()


@FUZZED
@given(st.data())
def test_a_damaged_sketch_is_refused_by_name(sketched, data):
    path, written = sketched
    path.write_bytes(data.draw(odd_bytes(written)))
    found = read_or_refused(RocSketch.load, path, names=path)
    if found is not None:
        assert (found.num_members, found.num_nonmembers) == (30, 30)


@pytest.fixture(scope="module")
def attacked(tmp_path_factory):
    folder = tmp_path_factory.mktemp("attacked")
    results = run_attacks(Given(loss_train=np.abs(SCORES), loss_test=np.abs(SCORES[:30])))
    save_results(results, folder / "one.npz")
    save_collection(AttackResultsCollection([results]), folder)
    (listed,) = (path for path in folder.iterdir() if path.suffix == ".json")
    return folder / "one.npz", (folder / "one.npz").read_bytes(), listed, listed.read_bytes()


@FUZZED
@given(st.data())
def test_damaged_results_of_run_attacks_are_refused_by_name(attacked, data):
    path, written, _, _ = attacked
    path.write_bytes(data.draw(odd_bytes(written)))
    read_or_refused(load_results, path, names=path)


@FUZZED
@given(st.data())
def test_a_damaged_list_of_results_is_refused_by_its_folder(attacked, data):
    _, _, listed, written = attacked
    listed.write_bytes(data.draw(odd_json(json.loads(written))))
    with suppress(OSError):  # a file that the list names and that is not there
        read_or_refused(load_collection, listed.parent, names=listed.parent)


@FUZZED
@given(st.data())
def test_damaged_arrays_are_not_there(tmp_path_factory, data):
    path = tmp_path_factory.getbasetemp() / "state.npz"
    write_arrays(path, [SCORES, FLAGS, np.float32(3)], {"own": True, "failures": {"1": "x"}})
    valid = path.read_bytes()
    path.write_bytes(data.draw(odd_bytes(valid)))
    held = read_arrays(path)
    if held is not None:
        np.testing.assert_array_equal(held[0][0], SCORES)
        assert held[1] == {"own": True, "failures": {"1": "x"}}


@FUZZED
@given(written=odd_json({"format": "x", "files": {"a": "b"}}))
@example(written=b"[" * 100_000)
def test_json_that_is_none_is_not_there(tmp_path_factory, written):
    path = tmp_path_factory.getbasetemp() / "run.json"
    path.write_bytes(written)
    found = read_json(path)
    assert found is None or json.loads(written.decode()) is not None

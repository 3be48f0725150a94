"""Logs of several fits in one folder, and pieces that mean harm: the rest is shown, and as what it is."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from page.log_readers import loaded
from page.privacy_logs import append_events, content_of, packed, privacy_event, write_pieces, write_run
from page.privacy_payloads import Piece, audit_pieces, picture

from privacy_callbacks.tensorboard_plugin import payloads
from privacy_callbacks.tensorboard_plugin.details import records
from privacy_callbacks.tensorboard_plugin.event_files import EventFiles
from privacy_callbacks.tensorboard_plugin.log_directory import open_log_directory, page_data
from privacy_callbacks.tensorboard_plugin.log_reading import LogReader
from privacy_callbacks.tensorboard_plugin.overview import overview
from privacy_callbacks.tensorboard_plugin.payload_values import PayloadError
from privacy_callbacks.tensorboard_plugin.payloads import payload_of

HUGE = 10**400


@pytest.mark.parametrize(
    "payload", [{"label": "x", "sizes": [HUGE], "curves": []}, {"label": "x", "sizes": [1], "curves": [HUGE]}]
)
def test_a_number_beyond_all_floats_is_refused_in_words(payload):
    with pytest.raises(PayloadError):
        payload_of("ranges", packed(payload))


@pytest.mark.parametrize("error", [ValueError, OverflowError, TypeError, RecursionError, KeyError])
def test_whatever_goes_wrong_with_one_piece_is_told_of_that_piece(error, monkeypatch):
    def broken(held):
        raise error("/home/somebody/secret")

    monkeypatch.setattr(payloads, "KINDS", {"training": broken})
    with pytest.raises(PayloadError, match=rf"^it holds something unexpected \({error.__name__}\)$"):
        payload_of("training", packed({}))


def test_one_odd_piece_is_named_and_hides_no_other(tmp_path):
    write_run(tmp_path / "good", attacks=("loss",), steps=range(3), size=200)
    write_pieces(
        tmp_path, "ranges", "range_attack", [Piece("ranges", 0, {"label": "x", "sizes": [HUGE], "curves": []})]
    )
    page = page_data(open_log_directory(tmp_path))
    assert [run["id"] for run in page["overview"]["runs"]] == ["good/mia"]
    assert any("ranges/range_attack" in problem for problem in page["overview"]["problems"])


def audits(attack, steps, headline, start):
    """Events of an attack's audits, written from `start` seconds on."""
    rng = np.random.default_rng(0)
    events = []
    for step in steps:
        for piece in audit_pieces(attack, step, rng.normal(size=400), 200, headline=headline, slices=0):
            about = content_of("mia", attack, piece.kind)
            events.append(privacy_event(f"mia/privacy_{piece.kind}", step, packed(piece.payload), about, start + step))
    return events


def headline_events(attack, steps, text, start):
    """Its losses, and the verdict at its end."""
    found = [("training", step, {"logs": {"loss": start + step}}) for step in steps]
    found.append(("verdict", steps[-1], {"text": text, "detected": {}, "void": None}))
    return [
        privacy_event(f"mia/privacy_{kind}", step, packed(said), content_of("mia", attack, kind), start + step)
        for kind, step, said in found
    ]


@pytest.mark.parametrize("loader", ["python", "data server"])
def test_a_later_fit_with_another_headline_shows_nothing_of_the_earlier_one(tmp_path, loader):
    run = tmp_path / "run" / "mia"
    append_events(run / "loss", audits("loss", range(6), True, 1_000))
    append_events(run / "loss", headline_events("loss", range(6), "the earlier fit's", 1_000))
    append_events(run / "entropy", audits("entropy", range(6), False, 1_000))
    append_events(run / "margin", audits("margin", range(2), True, 2_000))
    append_events(run / "margin", headline_events("margin", range(2), "the later fit's", 2_000))
    append_events(run / "loss", audits("loss", range(2), False, 2_000))
    with loaded(loader, tmp_path) as found:
        shown = overview(LogReader(found.provider))
    (entry,) = shown["runs"]
    assert [attack["attack"] for attack in entry["attacks"]] == ["margin", "loss"]
    assert entry["verdict"]["text"] == "the later fit's"
    assert entry["training"]["values"]["loss"] == [2_000, 2_001]
    assert any("entropy was audited by an earlier fit" in problem for problem in shown["problems"])


def test_while_a_second_fit_runs_the_first_ones_verdict_is_not_shown(tmp_path):
    run = tmp_path / "run" / "mia" / "loss"
    append_events(run, audits("loss", range(6), True, 1_000))
    append_events(run, headline_events("loss", range(6), "the earlier fit's", 1_000))
    append_events(run, audits("loss", range(2), True, 2_000))
    (entry,) = overview(open_log_directory(tmp_path))["runs"]
    assert entry["attacks"][0]["steps"] == [0, 1]
    assert entry["verdict"] is None


def table(attack, kind, payload, start):
    """An event of a table or of its pictures, at step 0."""
    return privacy_event(f"mia/privacy_{kind}", 0, packed(payload), content_of("mia", attack, kind), start)


@pytest.mark.parametrize("asked", [True, False])
def test_records_and_pictures_are_those_of_the_shown_fit_alone(tmp_path, asked):
    run = tmp_path / "run" / "mia"
    for attack, start, id in (("confidence", 1_000, "earlier"), ("margin", 2_000, "later")):
        append_events(run / attack, audits(attack, range(2), True, start))
        if attack == "confidence" or asked:
            rows = {"columns": ["id"], "rows": [{"row": 3, "id": id}]}
            append_events(run / attack, [table(attack, "records", rows, start)])
        if attack == "confidence":
            append_events(run / attack, [table(attack, "pictures", {"pictures": {"3": picture(3)}}, start)])
    reader = open_log_directory(tmp_path)
    # Both say that they are the headline: the one written last is, whatever their names' order.
    (entry,) = overview(reader)["runs"]
    assert [attack["attack"] for attack in entry["attacks"]] == ["margin"]
    assert entry["has_records"] == asked
    found = records(reader, "run/mia", "mia")
    assert [row["id"] for one in found["tables"] for row in one["rows"]] == (["later"] if asked else [])
    assert found["pictures"] == {}


def test_a_fit_that_is_resumed_loses_nothing(tmp_path):
    run = tmp_path / "run" / "mia"
    for steps, start in ((range(3), 1_000), (range(3, 6), 2_000)):
        append_events(run / "margin", audits("margin", steps, True, start))
        append_events(run / "margin", headline_events("margin", steps, f"up to {steps[-1]}", start))
        append_events(run / "loss", audits("loss", steps, False, start + 0.5))
    page = overview(open_log_directory(tmp_path))
    (entry,) = page["runs"]
    assert {attack["attack"]: attack["steps"] for attack in entry["attacks"]} == {
        "margin": [*range(6)],
        "loss": [*range(6)],
    }
    assert entry["training"]["steps"] == [*range(6)]
    assert entry["verdict"]["text"] == "up to 5"
    assert page["problems"] == []


def test_where_no_attack_says_it_is_the_headline_none_is_taken_for_an_earlier_fit_s(tmp_path):
    run = tmp_path / "run" / "mia"
    for attack, start in (("zeroth", 1_000), ("loss", 1_001)):
        append_events(run / attack, audits(attack, [0], False, start))
    append_events(run / "loss", headline_events("loss", [0], "said", 1_002))
    page = overview(open_log_directory(tmp_path))
    assert [attack["attack"] for attack in page["runs"][0]["attacks"]] == ["loss", "zeroth"]
    assert page["problems"] == []


@pytest.mark.parametrize("refused", ["iterdir", "stat"])
def test_a_folder_that_may_not_be_read_stops_nothing(tmp_path, monkeypatch, refused):
    write_run(tmp_path / "good", attacks=("loss",), steps=range(2), size=200)
    (tmp_path / "good" / "mia" / "closed").mkdir()
    plain = getattr(Path, refused)

    def guarded(path, **how):
        if path.name == "closed" or (refused == "stat" and path.parent.name == "closed"):
            raise PermissionError(13, "Permission denied", str(path))
        return plain(path, **how)

    (tmp_path / "good" / "mia" / "closed" / "x.tfevents.1").write_bytes(b"")
    monkeypatch.setattr(Path, refused, guarded)
    files = EventFiles(str(tmp_path), quiet=0)
    assert files.problems({"good/mia/loss": None, "good/mia/closed": None}, ["good/mia", "good/mia/closed"]) == []


WITHOUT_A_VERSION = """
from pathlib import Path
plain = Path.read_text
def read_text(path, *arguments, **named):
    if path.name == "VERSION":
        raise FileNotFoundError(path)
    return plain(path, *arguments, **named)
Path.read_text = read_text
import privacy_callbacks
from privacy_callbacks.tensorboard_plugin.loader import PrivacyLoader
from tensorboard.plugins import base_plugin
assert PrivacyLoader().load(base_plugin.TBContext()) is not None
print(privacy_callbacks.__version__)
"""


def test_without_the_file_of_the_version_tensorboard_starts_with_the_tab():
    root = Path(__file__).parent.parent.parent
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_A_VERSION], capture_output=True, text=True, check=False, cwd=root
    )
    assert (done.stdout.strip(), done.returncode) == ("unknown", 0), done.stderr


def test_pipes_and_folders_that_are_missing_stop_nothing(tmp_path):
    write_run(tmp_path / "good", attacks=("loss",), steps=range(2), size=200)
    os.mkfifo(tmp_path / "good" / "mia" / "loss" / "x.tfevents.1")
    assert EventFiles(str(tmp_path), quiet=0).problems({"good/mia/loss": None, "nowhere": None}, ["good/mia"]) == []


def test_zeros_are_no_event_file(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "x.tfevents.1").write_bytes(bytes(100))
    (problem,) = EventFiles(str(tmp_path), quiet=0).problems({"run": None}, [])
    assert "damaged" in problem

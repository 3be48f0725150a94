"""Logs of several fits in one folder, and pieces that mean harm: the rest is shown, and as what it is."""

import os

import numpy as np
import pytest
from page.log_readers import loaded
from page.privacy_logs import content_of, packed, privacy_event, write_pieces, write_run
from page.privacy_payloads import Piece, audit_pieces

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
    from page.privacy_logs import append_events

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
    from page.privacy_logs import append_events

    run = tmp_path / "run" / "mia" / "loss"
    append_events(run, audits("loss", range(6), True, 1_000))
    append_events(run, headline_events("loss", range(6), "the earlier fit's", 1_000))
    append_events(run, audits("loss", range(2), True, 2_000))
    (entry,) = overview(open_log_directory(tmp_path))["runs"]
    assert entry["attacks"][0]["steps"] == [0, 1]
    assert entry["verdict"] is None


def test_pipes_and_folders_that_may_not_be_read_stop_nothing(tmp_path):
    write_run(tmp_path / "good", attacks=("loss",), steps=range(2), size=200)
    os.mkfifo(tmp_path / "good" / "mia" / "loss" / "x.tfevents.1")
    assert EventFiles(str(tmp_path), quiet=0).problems({"good/mia/loss": None, "nowhere": None}, ["good/mia"]) == []


def test_zeros_are_no_event_file(tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "x.tfevents.1").write_bytes(bytes(100))
    (problem,) = EventFiles(str(tmp_path), quiet=0).problems({"run": None}, [])
    assert "damaged" in problem

"""Curves, histograms, slices and records, page by page; and all of it for a page without a server."""

import json

import numpy as np
import pytest
from page.log_readers import HeldProvider, loaded
from page.privacy_logs import content_of, packed, write_pieces, write_ranges, write_run
from page.privacy_payloads import Piece, audit_pieces, picture

from privacy_callbacks.attacks.report import LeakageReport
from privacy_callbacks.tensorboard_plugin.details import UnknownRunError, details, records
from privacy_callbacks.tensorboard_plugin.kept_series import Series
from privacy_callbacks.tensorboard_plugin.log_directory import open_log_directory, page_data
from privacy_callbacks.tensorboard_plugin.log_reading import LogReader, SeriesCache
from privacy_callbacks.tensorboard_plugin.overview import overview

AUDIT, DETAILS = (piece.payload for piece in audit_pieces("lira", 0, np.random.default_rng(0).normal(size=100), 50))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A fit of two attacks with records and pictures, one without, and a range curve."""
    logs = tmp_path_factory.mktemp("logs")
    write_run(logs / "asked", attacks=("loss", "lira"), steps=range(-1, 12), size=100, records=True, pictures=True)
    write_run(logs / "plain", attacks=("loss",), steps=range(-1, 3), size=100)
    write_ranges(logs, sizes=(1, 2))
    return logs


@pytest.fixture(scope="module")
def reader(folder):
    with loaded("python", folder) as logs:
        yield LogReader(logs.provider)


def held(steps, cache=None):
    """A reader of one attack with audits and details at these steps."""
    tags = {
        kind: (content_of("mia", "lira", kind), [(step, packed(payload)) for step in steps])
        for kind, payload in (("audit", AUDIT), ("details", DETAILS))
    }
    return LogReader(HeldProvider({"run/mia/lira": tags}), cache)


def test_details_are_those_of_the_steps_asked_for(reader):
    found = details(reader, "asked/mia/lira", "mia", 2, 5)
    assert [item["step"] for item in found["details"]] == [2, 3, 4, 5]
    assert not found["more"]
    item = found["details"][0]
    assert set(item) == {"step", "roc", "scores", "slices", "slices_left_out", "report"}
    assert item["roc"]["num_members"] == sum(item["scores"]["members"]) == 100
    assert item["roc"]["tpr"][-1] == 1.0
    assert len(item["slices"]) == 10
    assert LeakageReport.from_dict(item["report"]).step == 2


def test_steps_outside_the_course_are_nothing_and_no_error(reader):
    assert details(reader, "asked/mia/lira", "mia", 100, 200) == {"details": [], "more": False, "problems": []}


def test_an_answer_holds_at_most_a_hundred_audits():
    reader = held(range(-1, 150))
    first = details(reader, "run/mia/lira", "mia", -1, 1000)
    assert [item["step"] for item in first["details"]] == list(range(-1, 99))
    assert first["more"]
    second = details(reader, "run/mia/lira", "mia", 99, 1000)
    assert [item["step"] for item in second["details"]] == list(range(99, 150))
    assert not second["more"]


@pytest.mark.parametrize(("audits", "more"), [(100, False), (101, True)])
def test_there_is_more_only_beyond_a_hundred(audits, more):
    found = details(held(range(audits)), "run/mia/lira", "mia", 0, 1000)
    assert (len(found["details"]), found["more"]) == (100, more)


def test_turning_pages_reads_the_logs_once():
    reader = held(range(150))
    for start in (0, 100, 0):
        details(reader, "run/mia/lira", "mia", start, start + 99)
    assert len(reader._provider.read) == 1


def test_a_series_is_read_again_only_when_it_has_grown():
    reader = held(range(2))
    provider = reader._provider
    provider.held["run/mia/loss"] = {"t": (content_of("mia", "loss", "audit"), [(0, packed(AUDIT))])}
    overview(reader)
    overview(reader)
    assert sorted(provider.read) == [("run/mia/lira", ["audit"]), ("run/mia/loss", ["t"])]
    provider.held["run/mia/loss"]["t"][1].append((1, packed(AUDIT)))
    assert overview(reader)["runs"][0]["attacks"][1]["steps"] == [0, 1]
    assert provider.read[2:] == [("run/mia/loss", ["t"])]


def test_what_is_kept_is_bounded():
    cache = SeriesCache(most=1)
    reader = held(range(3), cache)
    for _ in range(2):
        assert len(details(reader, "run/mia/lira", "mia", 0, 9)["details"]) == 3
    assert len(reader._provider.read) == 2
    assert not cache._held
    assert cache._weight == 0


def test_what_is_kept_is_weighed_by_what_it_holds_not_by_how_small_it_was_packed():
    roomy = AUDIT | {"report": AUDIT["report"] | {"warnings": ["x" * 2_000] * 200}}
    light, heavy = (Series("audit", {0: packed(payload)}) for payload in (AUDIT, roomy))
    assert heavy.weight - light.weight > 200 * 2_000
    grown = Series("audit", {0: packed(roomy), 1: packed(AUDIT)}, heavy)
    assert grown.weight == heavy.weight + light.weight
    assert Series("audit", {0: None, 1: b"noise"}).weight < 10_000


def test_experiments_that_share_a_cache_are_kept_apart():
    cache = SeriesCache()
    for experiment in ("one", "two"):
        payload = AUDIT | {"words": f"of experiment {experiment}"}
        tags = {"t": (content_of("mia", "lira", "audit"), [(0, packed(payload))])}
        reader = LogReader(HeldProvider({"run/mia/lira": tags}), cache, experiment=experiment)
        assert overview(reader)["runs"][0]["attacks"][0]["words"] == [f"of experiment {experiment}"]


def test_an_audit_whose_curves_are_damaged_or_absent_keeps_its_report():
    reader = held(range(4))
    reader._provider.held["run/mia/lira"]["details"][1][1:] = [(1, b"noise"), (2, b"")]  # and nothing at step 3
    found = details(reader, "run/mia/lira", "mia", 0, 9)
    assert [item["roc"] is None for item in found["details"]] == [False, True, True, True]
    assert [item["slices"] == [] for item in found["details"]] == [False, True, True, True]
    assert all(item["report"]["attack"] == "lira" for item in found["details"])
    assert found["problems"] == [
        "run 'run/mia/lira': the curves of 2 of 4 audits cannot be shown; the first, at step 1: it is no compressed text, "
        "or was changed."
    ]


@pytest.mark.parametrize(
    ("id", "name"), [("asked/mia/nothing", "mia"), ("asked/mia/lira", "nobody"), ("../asked", "mia")]
)
def test_what_the_logs_do_not_hold_is_unknown(reader, id, name):
    with pytest.raises(UnknownRunError, match="no such attack"):
        details(reader, id, name, 0, 9)
    with pytest.raises(UnknownRunError, match="no such run"):
        records(reader, id, name)


@pytest.mark.parametrize("id", ["asked/mia/loss", "asked/mia/lira", "asked/mia"])
def test_records_are_those_of_the_run_whichever_attack_is_named(reader, id):
    found = records(reader, id, "mia")
    assert [table["step"] for table in found["tables"]] == list(range(-1, 12))
    rows = found["tables"][0]["rows"]
    assert rows[0]["id"] == "<b>record</b>"
    assert rows[0]["loss_iqr"] is None
    assert set(found["tables"][0]["columns"]) >= {"id", "label", "lira", "risk_rank"}
    shown = {str(row["row"]) for table in found["tables"] for row in table["rows"]}
    assert set(found["pictures"]) == shown
    assert all(one["url"].startswith("data:image/png;base64,iVBOR") for one in found["pictures"].values())
    assert found["problems"] == []


def test_a_run_without_records_has_none(reader):
    assert records(reader, "plain/mia", "mia") == {"tables": [], "pictures": {}, "problems": []}


def test_pictures_of_no_listed_record_are_left_out(tmp_path):
    row = {"row": 3, "id": "x", "fit": True, "more": 1}
    pieces = [Piece("audit", 0, AUDIT), Piece("records", 0, {"columns": ["id", "fit"], "rows": [row]})]
    pieces += [Piece("pictures", 0, {"pictures": {"3": picture(3), "4": picture(4)}})]
    write_pieces(tmp_path, "mia", "loss", pieces)
    with loaded("python", tmp_path) as logs:
        found = records(LogReader(logs.provider), "mia", "mia")
    assert set(found["pictures"]) == {"3"}
    assert found["tables"][0]["rows"] == [{"row": 3, "id": "x", "fit": "true"}]


def test_of_very_large_tables_the_newest_are_shown(monkeypatch):
    monkeypatch.setattr("privacy_callbacks.tensorboard_plugin.details._MOST_CELLS", 5)
    table = packed({"columns": ["id"], "rows": [{"row": 1, "id": "x"}, {"row": 2, "id": "y"}]})
    tags = {"audit": (content_of("mia", "lira", "audit"), [(0, packed(AUDIT))])}
    tags["records"] = (content_of("mia", "lira", "records"), [(step, table) for step in range(4)])
    found = records(LogReader(HeldProvider({"mia/lira": tags})), "mia", "mia")
    assert [table["step"] for table in found["tables"]] == [2, 3]
    assert found["problems"] == ["Tables of 4 audits were written; the page shows the newest 2."]


def test_a_page_without_a_server_holds_everything(folder):
    page = page_data(open_log_directory(folder), written="2026-01-01T00:00:00+00:00", title="Mine")
    assert json.loads(json.dumps(page, allow_nan=False)) == page
    assert (page["written"], page["title"], page["thinned"]) == ("2026-01-01T00:00:00+00:00", "Mine", None)
    attacks = {attack["id"]: attack["steps"] for run in page["overview"]["runs"] for attack in run["attacks"]}
    assert {id: [item["step"] for item in items] for id, items in page["details"].items()} == attacks
    assert set(page["records"]) == {"asked/mia"}
    assert page["overview"]["problems"] == []


def test_of_a_long_course_evenly_spread_audits_are_kept_and_the_page_says_so(folder):
    page = page_data(open_log_directory(folder), most_audits=4)
    assert [item["step"] for item in page["details"]["asked/mia/loss"]] == [-1, 3, 7, 11]
    assert [item["step"] for item in page["details"]["plain/mia/loss"]] == [-1, 0, 1, 2]
    assert "for 4 of 13 audits" in page["thinned"]
    assert len(page["overview"]["runs"][0]["attacks"][0]["steps"]) == 13


def test_more_audits_than_an_answer_holds_can_be_kept():
    page = page_data(held(range(250)), most_audits=220)
    steps = [item["step"] for item in page["details"]["run/mia/lira"]]
    assert (len(steps), steps[0], steps[-1]) == (220, 0, 249)


def test_a_page_keeps_the_first_audit_and_the_last(folder):
    with pytest.raises(ValueError, match="most_audits is 1; give at least 2"):
        page_data(open_log_directory(folder), most_audits=1)


def test_a_folder_that_is_none_or_holds_nothing_for_the_page_is_refused_in_words(tmp_path):
    with pytest.raises(ValueError, match="nowhere' is no folder; give the log_dir"):
        open_log_directory(tmp_path / "nowhere")
    with pytest.raises(ValueError, match="holds no data of the Privacy tab; give the log_dir of a MIACallback"):
        open_log_directory(tmp_path)

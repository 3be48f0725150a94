"""TensorBoard's Python loader and its data server tell the tab the same, as logs grow, begin anew, or break."""

import os
import time

import numpy as np
import pytest
from page.log_readers import LOADERS, loaded
from page.privacy_logs import append_events, content_of, packed, privacy_event, write_pieces, write_ranges, write_run
from page.privacy_payloads import Piece, audit_pieces
from slow_params import slow_unless

from privacy_callbacks.tensorboard_plugin.details import details, records
from privacy_callbacks.tensorboard_plugin.event_files import EventFiles
from privacy_callbacks.tensorboard_plugin.log_reading import LogReader, SeriesCache
from privacy_callbacks.tensorboard_plugin.overview import overview

RNG = np.random.default_rng(0)


def pieces(attack, steps, size=50):
    return [piece for step in steps for piece in audit_pieces(attack, step, RNG.normal(size=2 * size), size, slices=2)]


def audit_event(step, members, wall_time):
    payload = audit_pieces("lira", step, RNG.normal(size=members + 50), members)[0].payload
    return privacy_event("mia/privacy_audit", step, packed(payload), content_of("mia", "lira", "audit"), wall_time)


def steps_of(page):
    return {attack["id"]: attack["steps"] for run in page["runs"] for attack in run["attacks"]}


def wait_for(logs, reader, steps):
    logs.reload(lambda: steps_of(overview(reader)) == steps)


@pytest.fixture(scope="module")
def logs_of_all_kinds(tmp_path_factory):
    folder = tmp_path_factory.mktemp("logs")
    write_run(folder / "run1", steps=range(-1, 30), size=100, records=True, pictures=True)
    write_run(folder / "run2", steps=range(-1, 30), size=100)
    write_ranges(folder, sizes=(1, 2))
    return folder


def test_both_loaders_tell_the_same_and_lose_no_step(logs_of_all_kinds):
    found = {}
    for loader in LOADERS:
        with loaded(loader, logs_of_all_kinds) as logs:
            reader = LogReader(logs.provider)
            logs.reload(lambda: len(steps_of(overview(reader))) == 10 and overview(reader)["ranges"])
            logs.reload(lambda: all(steps == list(range(-1, 30)) for steps in steps_of(overview(reader)).values()))
            logs.reload(lambda: len(records(reader, "run1/mia", "mia")["tables"]) == 31)
            curves = details(reader, "run1/mia/lira", "mia", -1, 30)
            found[loader] = overview(reader), curves, records(reader, "run1/mia", "mia")
    assert found["python"] == found["data server"]


@pytest.mark.parametrize("loader", LOADERS)
def test_what_is_written_later_shows_without_a_restart(loader, tmp_path):
    write_pieces(tmp_path, "mia", "lira", pieces("lira", [-1, 0]))
    with loaded(loader, tmp_path) as logs:
        reader = LogReader(logs.provider, SeriesCache())
        wait_for(logs, reader, {"mia/lira": [-1, 0]})
        assert len(details(reader, "mia/lira", "mia", -1, 9)["details"]) == 2
        write_pieces(tmp_path, "mia", "lira", pieces("lira", [1, 2]))
        write_pieces(tmp_path / "later", "mia", "loss", pieces("loss", [0]))
        wait_for(logs, reader, {"mia/lira": [-1, 0, 1, 2], "later/mia/loss": [0]})
        logs.reload(lambda: all(item["roc"] for item in details(reader, "mia/lira", "mia", -1, 9)["details"]))
        assert len(details(reader, "mia/lira", "mia", -1, 9)["details"]) == 4


@pytest.mark.parametrize("loader", LOADERS)
def test_of_a_step_that_comes_twice_the_later_counts_and_a_new_fit_takes_the_place_of_the_old_one(loader, tmp_path):
    events = [
        audit_event(step, members, 1000 + place) for place, (step, members) in enumerate([(0, 20), (1, 21), (1, 22)])
    ]
    append_events(tmp_path / "mia" / "lira", events)
    with loaded(loader, tmp_path) as logs:
        reader = LogReader(logs.provider)
        wait_for(logs, reader, {"mia/lira": [0, 1]})
        assert overview(reader)["runs"][0]["attacks"][0]["num_members"] == [20, 22]
        again = [audit_event(step, 30 + step, 2000 + step) for step in (-1, 0)]
        append_events(tmp_path / "mia" / "lira", again)
        wait_for(logs, reader, {"mia/lira": [-1, 0]})
        assert overview(reader)["runs"][0]["attacks"][0]["num_members"] == [29, 30]


@pytest.fixture
def broken_logs(tmp_path):
    """Six sound-looking attacks of one run, of which only one is sound, all written a while ago."""
    for attack in ("cut", "flipped", "noise", "empty", "noisy_end", "sound"):
        file = write_pieces(tmp_path, "mia", attack, pieces(attack, range(6)))
        whole = file.read_bytes()
        middle = whole.index(b"x\x9c", len(whole) // 2) + 50  # within a compressed payload
        file.write_bytes(
            {
                "cut": whole[:middle],
                "flipped": whole[:middle] + bytes([whole[middle] ^ 255]) + whole[middle + 1 :],
                "noise": RNG.bytes(5_000),
                "empty": b"",
                "noisy_end": whole + b"\xff" * 100,
            }.get(attack, whole)
        )
        os.utime(file, (time.time() - 60,) * 2)
    return tmp_path


@pytest.mark.parametrize("loader", slow_unless({"python"}, LOADERS))
def test_a_broken_event_file_is_named_and_the_rest_works(loader, broken_logs):
    with loaded(loader, broken_logs) as logs:
        reader = LogReader(logs.provider, files=EventFiles(broken_logs, quiet=10))
        logs.reload(lambda: len(steps_of(overview(reader))) >= 4)
        logs.reload(lambda: steps_of(overview(reader))["mia/noisy_end"] == steps_of(overview(reader))["mia/sound"])
        page = overview(reader)
        curves = details(reader, "mia/sound", "mia", 0, 9)
        hurt = [*page["problems"], *details(reader, "mia/flipped", "mia", 0, 9)["problems"]]
    steps = steps_of(page)
    assert steps["mia/sound"] == steps["mia/noisy_end"] == [0, 1, 2, 3, 4, 5]
    assert 0 < len(steps["mia/cut"]) < 6
    assert "mia/noise" not in steps
    assert len(curves["details"]) == 6

    def named(run):
        return [problem for problem in hurt if problem.startswith(f"run 'mia/{run}': ")]

    assert "ends within a record" in named("cut")[0]
    assert "is empty" in named("empty")[0]
    assert "is damaged: of its 5,000 bytes the first 0 can be read" in named("noise")[0]
    assert "is damaged" in named("noisy_end")[0]
    # Where the loader reads on, a piece is damaged; where it stops, the end is missing.
    assert len(named("flipped")) == 1
    assert named("sound") == []
    assert not any(str(broken_logs) in problem for problem in hurt)


def problems_of(folder, quiet, newest, groups=()):
    return EventFiles(str(folder), quiet).problems(newest, groups)


def test_a_file_that_is_being_written_is_no_broken_one(tmp_path):
    file = write_pieces(tmp_path, "mia", "lira", pieces("lira", range(3)))
    file.write_bytes(file.read_bytes()[:-5])
    assert problems_of(tmp_path, 10, {"mia/lira": 1}) == []
    assert len(problems_of(tmp_path, 0, {"mia/lira": 1})) == 1


def test_a_file_that_has_not_been_loaded_to_its_end_is_told(tmp_path):
    write_pieces(tmp_path, "mia", "lira", pieces("lira", range(3)))
    assert problems_of(tmp_path, 0, {"mia/lira": 2}) == []
    (told,) = problems_of(tmp_path, 0, {"mia/lira": 0})
    assert told.startswith("run 'mia/lira': an event file goes on to step 2, and what was loaded ends at step 0")
    assert problems_of(tmp_path, 0, {"mia/lira": None}) == []


def test_a_file_that_grows_is_walked_on(tmp_path):
    files = EventFiles(str(tmp_path), 0)
    for last in (0, 1):
        file = write_pieces(tmp_path, "mia", "lira", pieces("lira", [last]))
        assert files.problems({"mia/lira": last}, ()) == []
    file.write_bytes(file.read_bytes()[:100])
    assert len(files.problems({"mia/lira": 1}, ())) == 1


def test_sizes_of_ranges_are_not_taken_for_steps(tmp_path):
    write_ranges(tmp_path, sizes=(1, 2))
    append_events(tmp_path / "ranges" / "range_attack", [audit_event(8, 50, 2000)])
    with loaded("python", tmp_path) as logs:
        reader = LogReader(logs.provider, files=EventFiles(str(tmp_path), 0))
        assert overview(reader)["problems"] == []


def test_no_file_outside_of_the_log_directory_is_looked_at(tmp_path):
    inside, outside = tmp_path / "logs", tmp_path / "outside"
    write_pieces(outside, "mia", "lira", pieces("lira", range(2)))
    inside.mkdir()
    (inside / "linked").symlink_to(outside, target_is_directory=True)
    looked = {"linked/mia/lira": 0, "../outside/mia/lira": 0, str(outside / "mia" / "lira"): 0}
    assert problems_of(inside, 0, looked, ["linked/mia", "../outside/mia", "..", str(outside)]) == []
    assert len(problems_of(tmp_path, 0, {"outside/mia/lira": 0})) == 1


@pytest.mark.parametrize("loader", LOADERS)
def test_requests_that_come_at_once_get_the_same(loader, logs_of_all_kinds):
    from concurrent.futures import ThreadPoolExecutor

    with loaded(loader, logs_of_all_kinds) as logs:
        logs.reload(lambda: len(steps_of(overview(LogReader(logs.provider)))) == 10)
        logs.reload(lambda: all(len(s) == 31 for s in steps_of(overview(LogReader(logs.provider))).values()))
        logs.reload(lambda: overview(LogReader(logs.provider))["ranges"])
        expected = overview(LogReader(logs.provider))
        for _ in range(3):
            cache = SeriesCache()
            with ThreadPoolExecutor(8) as threads:
                found = [threads.submit(overview, LogReader(logs.provider, cache)) for _ in range(16)]
                assert all(one.result() == expected for one in found)


def test_other_kinds_of_summaries_are_not_ours(tmp_path):
    write_pieces(tmp_path, "mia", "lira", [Piece("audit", 0, pieces("lira", [0])[0].payload)])
    foreign = privacy_event("x", 0, b"x", b"{}").replace(b"privacy", b"others_")
    append_events(tmp_path / "other", [foreign])
    with loaded("python", tmp_path) as logs:
        page = overview(LogReader(logs.provider))
    assert steps_of(page) == {"mia/lira": [0]}
    assert page["problems"] == []

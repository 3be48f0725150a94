"""SIGKILL before every single operation on files, and at random moments: what was there stays, or what is new is whole."""

import os
import re
import shutil

import killed_writers as writers
import numpy as np
import pytest
from killed_at_operations import killed_before, killed_once, operations_of
from slow_params import slow_unless
from tensorboard.backend.event_processing.event_file_loader import EventFileLoader

from privacy_callbacks.result_folder import ResultFolder
from privacy_callbacks.tensorboard_plugin.event_files import EventFiles

KILLS = int(os.environ.get("KILLS", "20"))


STRAY = re.compile(r"\.unfinished|\.unfinished-|^\.junit\.xml\.|\.curves-[0-9a-f]{16}\.npz$")


@pytest.mark.parametrize("what", slow_unless(set(writers.WRITERS) - {"reports", "page"}, writers.WRITERS))
def test_a_writer_killed_before_any_of_its_operations_leaves_the_old_or_the_new(what, tmp_path):
    write, number_of = writers.WRITERS[what]
    (tmp_path / "former").mkdir()
    write(tmp_path / "former", 1)
    for start, before in ((tmp_path / "former", 1), (None, None)):
        seen, operation, killed = set(), 0, True
        while killed:
            folder = tmp_path / "now"
            shutil.copytree(start, folder) if start else folder.mkdir()
            wanted = {path.name for path in folder.iterdir()}
            killed = killed_before(operation, write, folder, 2)
            strays = {path.name for path in folder.iterdir()} - wanted
            found = number_of(folder)
            seen.add(found)
            assert seen <= {before, 2}
            assert killed or found == 2
            # What is left under other names is nobody's results, and in nobody's way.
            assert found == 2 or all(STRAY.search(name) for name in strays)
            write(folder, 3)
            assert number_of(folder) == 3
            shutil.rmtree(folder)
            operation += 1
        assert operation > 1  # it was killed in between
        assert seen == {before, 2}


def test_of_killed_runs_nothing_is_left_once_one_has_ended(tmp_path):
    for operation in (3, 9, 15):
        assert killed_before(operation, writers.write_results, tmp_path, 1)
    writers.write_results(tmp_path, 2)
    assert {path.name.split(".curves-")[0] for path in tmp_path.iterdir()} == {
        "reports.json",
        "summary.csv",
        "records.csv",
        "report.md",
        "run.json",
    }


def test_a_forged_beginning_is_not_taken_for_results(tmp_path):
    """The renaming is ended only where all that was written is there, and nothing outside of the folder is touched."""
    folder = ResultFolder(tmp_path / "out", {})
    unfinished = folder.path / ".unfinished-0"
    unfinished.mkdir()
    (tmp_path / "mine.csv").write_text("mine")
    for files in ('{"summary.csv": "0"}', '{"../mine.csv": null}', '["summary.csv"]', "3"):
        head = '{"format": "privacy_callbacks run", "schema_version": 1, "identity": {}, "files": '
        (unfinished / "run.json").write_text(f"{head}{files}}}")
        (unfinished / "summary.csv").write_text("forged")
        assert folder.finished() is None
        assert not (folder.path / "summary.csv").exists()
        assert (tmp_path / "mine.csv").read_text() == "mine"


# ------------------------------------------------------------------------------------------------------ whole programs


def prepared(folder, text):
    folder.mkdir()
    (folder / "config.yaml").write_text(text.replace("checkpoint_dir: fleet", f"checkpoint_dir: {folder / 'fleet'}"))
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(("name", "text"), [("run", writers.RUN), ("run", writers.WATCHED), ("range", writers.RANGE)])
def test_a_command_killed_again_and_again_ends_with_the_results_of_an_undisturbed_one(name, text, tmp_path):
    """Before random operations on files, five times; KILLS=100 for twenty-five."""
    whole = prepared(tmp_path / "whole", text)
    operations = operations_of(writers.command, whole, name)
    wanted = writers.results_in(whole / "out")
    assert "reports.json" in wanted
    rng, killed, round_ = np.random.default_rng(len(text)), 0, 0
    while killed < max(4, KILLS // 4):
        round_ += 1
        folder = prepared(tmp_path / f"{round_}", text)
        while killed_before(int(rng.integers(operations)), writers.command, folder, name):
            killed += 1
        assert writers.results_in(folder / "out") == wanted
        assert not list(folder.rglob("*.unfinished*"))
        assert not list(folder.rglob(".unfinished-*"))
        shutil.rmtree(folder)


def events_in(folder):
    return sorted(folder.rglob("events.out.tfevents.*"))


def bytes_of(files):
    return sum(file.stat().st_size for file in files)


@pytest.mark.slow
def test_logs_of_a_killed_fit_can_be_read_up_to_the_kill(tmp_path):
    whole = tmp_path / "whole"
    assert not killed_once(lambda: False, writers.fit_with_logs, whole, 0)
    rng, most, ended = np.random.default_rng(0), bytes_of(events_in(whole)), []
    for kill in range(max(4, KILLS // 4)):
        folder, enough = tmp_path / f"{kill}", rng.integers(most // 10, most - 1_000)
        killed_once(lambda: bytes_of(events_in(folder)) >= enough, writers.fit_with_logs, folder, 0)
        ended.append(max(event.step for file in events_in(folder) for event in EventFileLoader(str(file)).Load()))
        for file in events_in(folder):  # a record that was cut is the last one, and known to be cut
            run = str(file.parent.relative_to(folder))
            said = " ".join(EventFiles(str(folder), quiet=0).problems({run: None}, [run]))
            assert not said or "ends within a record" in said or "is empty" in said
    # Once more into the folder of the last one killed.
    assert not killed_once(lambda: False, writers.fit_with_logs, folder, 0)
    steps = [event.step for event in EventFileLoader(str(events_in(folder)[-1])).Load()]
    assert max(steps) == writers.EPOCHS - 1
    assert min(ended) < writers.EPOCHS - 1
    assert max(ended) > 0

"""Full disks, folders that cannot be written to, torn and foreign files: refused or said, and nothing half written counts."""

import errno
import shutil

import killed_writers as writers
import pytest
from click.testing import CliRunner
from full_disks import fill, remount, small
from interrupted_runs import plan, target, world
from killed_writers import RUN, WRITERS, results_in
from slow_params import slow_unless
from watched_fits import trained

from privacy_callbacks import MIACallback
from privacy_callbacks.attacks import LiRA, Threshold, save_reports
from privacy_callbacks.command_line import privacy_audit

ROOMS = 12  # disks that are full after a first, a second, … part of what is written


@pytest.mark.parametrize("what", slow_unless(set(WRITERS) - {"sketch"}, WRITERS))
def test_on_a_full_disk_what_was_there_stays_and_nothing_else_is_left(what, tmp_path, monkeypatch):
    write, number_of = WRITERS[what]
    write(tmp_path, 1)
    before = sorted(path.name for path in tmp_path.iterdir())
    with monkeypatch.context() as patched:
        disk = fill(patched, tmp_path, 10**9)
        write(tmp_path, 2)
        size = 10**9 - disk.room
    write(tmp_path, 1)
    assert size > 0
    for part in range(ROOMS):
        with monkeypatch.context() as patched:
            fill(patched, tmp_path, size * part // ROOMS)
            with pytest.raises(OSError, match="No space left") as full:
                write(tmp_path, 2)
            assert full.value.errno == errno.ENOSPC
        assert sorted(path.name for path in tmp_path.iterdir()) == before
        assert number_of(tmp_path) == 1
    write(tmp_path, 2)
    assert number_of(tmp_path) == 2


@pytest.mark.slow
def test_logs_that_find_no_room_are_said_once_and_change_no_training(tmp_path):
    logs, weights, _ = trained()
    for size in ("8k", "24k"):
        with small(tmp_path / size, size) as disk:
            attacks = [Threshold("loss"), Threshold("entropy")]
            mia = MIACallback(*world(), blind_baseline=False, attacks=attacks, log_dir=disk / "logs")
            found, ours, said = trained(mia)
        assert [sentence for sentence in said if "No space left on device" in sentence] == said
        assert len(said) == 1
        assert found["loss"] == logs["loss"]
        assert all((one == other).all() for one, other in zip(ours, weights, strict=True))
        assert len(mia.reports) == 2 * (1 + 3)


def test_a_folder_that_cannot_be_written_to_is_refused_before_training(tmp_path):
    def refused(what, **options):
        model = target()
        before = model.get_weights()
        with pytest.raises(ValueError, match=f"{what}.* cannot be written.*Read-only file system"):
            model.fit(*world()[0], verbose=0, callbacks=[MIACallback(*world(), blind_baseline=False, **options)])
        assert all((one == other).all() for one, other in zip(model.get_weights(), before, strict=True))

    with small(tmp_path / "disk", "100k") as disk:
        (disk / "config.yaml").write_text(RUN)
        remount(disk, "ro")
        refused("log_dir", attacks=Threshold("loss"), log_dir=disk / "logs")
        refused("checkpoint_dir", attacks=LiRA(), shadow_models=plan(disk / "fleet", "compiled"))
        for write, _ in WRITERS.values():
            with pytest.raises((OSError, ValueError), match=r"Read-only file system|cannot be written to"):
                write(disk, 1)
        arguments = ["run", "--cf", str(disk / "config.yaml"), "--out", str(disk / "out")]
        done = CliRunner().invoke(privacy_audit(), arguments)
        assert done.exit_code == 2
        assert "cannot be made" in done.output.replace("\n", " ")


def test_torn_and_foreign_files_among_results_are_computed_again_or_refused(tmp_path):
    folder = writers.ResultFolder(tmp_path / "out", writers.IDENTITY)
    for name in ("reports.json", "summary.csv", "run.json"):
        shutil.rmtree(folder.path)
        folder.path.mkdir()
        writers.write_results(folder.path, 1)
        content = (folder.path / name).read_bytes()
        for length in (0, len(content) // 2, len(content) - 2):
            (folder.path / name).write_bytes(content[:length])
            if name == "run.json":
                with pytest.raises(
                    ValueError, match=r"or of a run that was cut short; give another folder .* or --overwrite"
                ):
                    folder.finished()
            else:
                assert folder.finished() is None
        (folder.path / name).write_bytes(b"\xff\xd8 a picture of mine")
        writers.write_results(folder.path, 2)
        assert folder.finished()["number"] == 2
    (folder.path / "mine.txt").write_text("mine")
    writers.write_results(folder.path, 3)
    assert (folder.path / "mine.txt").read_text() == "mine"


def test_reports_are_saved_over_whatever_lies_there(tmp_path):
    for content in (b"", b"{", b'{"curves": {"file": "mine"}}', b"\xff" * 100):
        (tmp_path / "reports.json").write_bytes(content)
        (tmp_path / "mine").write_text("mine")
        save_reports(writers.REPORTS[1], tmp_path / "reports.json")
        assert WRITERS["reports"][1](tmp_path) == 1
        assert (tmp_path / "mine").read_text() == "mine"


@pytest.mark.slow
def test_a_run_that_found_no_room_is_refused_and_goes_on_when_there_is_some(tmp_path):
    def run(out):
        arguments = ["run", "--cf", str(tmp_path / "config.yaml"), "--out", str(out), "--quiet"]
        return CliRunner().invoke(privacy_audit(), arguments)

    (tmp_path / "config.yaml").write_text(RUN)
    assert run(tmp_path / "whole").exit_code == 0
    wanted = results_in(tmp_path / "whole")
    with small(tmp_path / "disk", "8k") as disk:
        codes = []
        for size in ("8k", "64k", "200k", "400k", "50m"):
            remount(disk, f"size={size}")
            done = run(disk / "out")
            codes.append(done.exit_code)
            if done.exit_code:
                assert done.exit_code == 2, done.output
                assert "No space left" in done.output or "errno = 28" in done.output
                assert not (disk / "out" / "run.json").exists()
        assert codes[0] == 2
        assert codes[-1] == 0
        assert results_in(disk / "out") == wanted
        assert not list(disk.rglob("*.unfinished*"))

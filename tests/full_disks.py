"""Disks that are full: for Python's own files after so many bytes, and for everybody's on a small file system."""

import errno
import io
import os
import subprocess
from contextlib import contextmanager

import pytest


class Disk:
    """What is left of a disk.

    Attributes:
      room: bytes that may still be written.
    """

    def __init__(self, room):
        self.room = room


def fill(monkeypatch, folder, room):
    """From now on files below a folder take so many bytes together; the one that does not fit is torn, and the disk full."""
    disk, opened = Disk(room), io.open

    class Torn(io.FileIO):
        def write(self, data):
            fits = bytes(data)[: max(disk.room, 0)]
            written = super().write(fits) if fits or not len(data) else 0
            disk.room -= written
            if written < len(data):
                disk.room = 0
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), self.name)
            return written

    def on_a_full_disk(file, mode="r", buffering=-1, encoding=None, errors=None, newline=None, *further):
        inside = isinstance(file, (str, os.PathLike)) and os.fspath(file).startswith(os.fspath(folder))
        if not inside or not set(mode) & set("wxa"):
            return opened(file, mode, buffering, encoding, errors, newline, *further)
        raw = Torn(os.fspath(file), mode.replace("b", "").replace("t", ""))
        whole = io.BufferedRandom(raw) if "+" in mode else io.BufferedWriter(raw)
        return whole if "b" in mode else io.TextIOWrapper(whole, encoding, errors, newline)

    monkeypatch.setattr("io.open", on_a_full_disk)
    monkeypatch.setattr("builtins.open", on_a_full_disk)
    return disk


@contextmanager
def small(folder, size, options=""):
    """A file system of its own at a folder; a test without the right to make one is skipped."""
    folder.mkdir(exist_ok=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={size}{options}", "tmpfs", str(folder)]
    if (
        not hasattr(os, "geteuid")
        or os.geteuid()
        or subprocess.run(command, capture_output=True, check=False).returncode
    ):
        pytest.skip("no file system can be mounted here")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", str(folder)], check=True)


def remount(folder, options):
    """Changes such a file system."""
    subprocess.run(["mount", "-o", f"remount,{options}", str(folder)], check=True)

"""The page's data from a log directory, without a web server."""

from __future__ import annotations

import os
import sys
import types
from datetime import UTC, datetime
from typing import Any

from privacy_callbacks.privacy_page.thinning import evenly_spread, thinned_sentence

from .details import MOST_AUDITS, details, records
from .event_files import EventFiles
from .log_reading import PLUGIN, LogReader
from .overview import overview

_NO_TENSORFLOW = "tensorboard.compat.notf"


def open_log_directory(path: str | os.PathLike[str]) -> LogReader:
    """Reads the event files below a folder, all of them, once.

    TensorBoard's own loader reads them. Where TensorFlow is not loaded yet, it is told to do without, for the rest of the
    process, which saves seconds; of a remote folder (`gs://…`) it may need TensorFlow's file systems.

    Raises:
      ValueError: if there is no such folder, or no audit wrote into it what the page shows.
    """
    folder = os.fspath(path)
    remote = "://" in folder
    if not remote and not os.path.isdir(folder):
        raise ValueError(f"{folder!r} is no folder; give the log_dir of an audit, or a folder above it.")
    if not remote and "tensorflow" not in sys.modules:
        sys.modules.setdefault(_NO_TENSORFLOW, types.ModuleType(_NO_TENSORFLOW))
    from tensorboard.backend.event_processing.data_provider import MultiplexerDataProvider
    from tensorboard.backend.event_processing.plugin_event_multiplexer import EventMultiplexer

    multiplexer = EventMultiplexer(tensor_size_guidance={PLUGIN: 0})
    multiplexer.AddRunsFromDirectory(folder)
    multiplexer.Reload()
    files = None if remote else EventFiles(folder, quiet=0)
    reader = LogReader(MultiplexerDataProvider(multiplexer, folder), files=files)
    if not reader.has_data():
        raise ValueError(
            f"{folder!r} holds no data of the Privacy tab; give the log_dir of a MIACallback(..., log_dir=...), or a folder "
            "above it."
        )
    return reader


def page_data(
    reader: LogReader, most_audits: int = 60, *, written: str | None = None, title: str = "Privacy"
) -> dict[str, Any]:
    """All that a page without a server shows.

    Args:
      reader: of the logs.
      most_audits: of how many audits an attack the curves, histograms and slices are kept: evenly spread, the first and the
        last among them. The overview is kept whole.
      written: when, as ISO 8601; now if None.
      title: of the page.
    Returns:
      Plain JSON: `overview`, `details` by attack, `records` by run, `written`, `title`, `thinned`.
    Raises:
      ValueError: if `most_audits` is below 2.
    """
    if most_audits < 2:
        raise ValueError(f"most_audits is {most_audits}; give at least 2, the first audit and the last.")
    found = overview(reader)
    problems = found["problems"]
    curves, tables, most = {}, {}, 0
    for run in found["runs"]:
        for attack in run["attacks"]:
            steps, most = attack["steps"], max(most, len(attack["steps"]))
            curves[attack["id"]] = _details(
                reader, attack["id"], run["name"], evenly_spread(steps, most_audits), problems
            )
        if run["has_records"]:
            tables[run["id"]] = records(reader, run["id"], run["name"])
    return {
        "overview": found,
        "details": curves,
        "records": tables,
        "written": datetime.now(UTC).isoformat(timespec="seconds") if written is None else written,
        "title": title,
        "thinned": thinned_sentence(min(most, most_audits), most),
    }


def _details(reader: LogReader, id: str, name: str, steps: list[int], problems: list[str]) -> list[dict[str, Any]]:
    items: list[dict[str, Any]] = []
    for start in range(0, len(steps), MOST_AUDITS):
        some = steps[start : start + MOST_AUDITS]
        answer = details(reader, id, name, some[0], some[-1], some)
        items += answer["details"]
        problems += answer["problems"]
    return items

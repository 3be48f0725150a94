"""Event files as audits leave them, made from synthetic scores: what the tests of the Privacy tab look at."""

from __future__ import annotations

import json
import math
import zlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from page.privacy_payloads import Piece, audit_pieces, headline_pieces, ranges_payload
from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2, types_pb2
from tensorboard.summary.writer.record_writer import RecordWriter

from privacy_callbacks.attacks import plain_fields

ATTACKS = ("loss", "confidence", "scaled_logit", "lira", "rmia")
SCHEMA_VERSION = 1
_EPOCH_OF_LOGS = 1_700_000_000.0  # wall time of step 0, seconds; a step takes one


def packed(payload: Any) -> bytes:
    """The payload as the tensor holds it."""
    return zlib.compress(json.dumps(plain_fields.of(payload), allow_nan=False).encode(), 6)


def content_of(name: str, attack: str, kind: str, **changed: Any) -> bytes:
    """The plugin content of a series."""
    return json.dumps(
        {"schema_version": SCHEMA_VERSION, "name": name, "attack": attack, "kind": kind, **changed}
    ).encode()


def privacy_event(tag: str, step: int, tensor: bytes, content: bytes, wall_time: float | None = None) -> bytes:
    """A serialized event that holds one string tensor of the plugin."""
    metadata = summary_pb2.SummaryMetadata(
        plugin_data=summary_pb2.SummaryMetadata.PluginData(plugin_name="privacy", content=content),
        data_class=summary_pb2.DATA_CLASS_TENSOR,
    )
    string = tensor_pb2.TensorProto(dtype=types_pb2.DT_STRING, string_val=[tensor])
    value = summary_pb2.Summary.Value(tag=tag, metadata=metadata, tensor=string)
    when = _EPOCH_OF_LOGS + step if wall_time is None else wall_time
    return event_pb2.Event(wall_time=when, step=step, summary=summary_pb2.Summary(value=[value])).SerializeToString()


def append_events(folder: Path | str, events: Iterable[bytes]) -> Path:
    """Adds serialized events to a run's event file, which is begun where there is none; returns the file."""
    path = Path(folder)
    path.mkdir(parents=True, exist_ok=True)
    file = next(iter(sorted(path.glob("events.out.tfevents.*"))), path / "events.out.tfevents.1700000000.synthetic.1.0")
    begun = file.exists()
    with file.open("ab") as stream:
        records = RecordWriter(stream)
        if not begun:
            first = event_pb2.Event(wall_time=_EPOCH_OF_LOGS - 2, file_version="brain.Event:2")
            records.write(first.SerializeToString())
        for event in events:
            records.write(event)
    return file


def write_pieces(folder: Path | str, name: str, attack: str, pieces: Iterable[Piece]) -> Path:
    """Adds pieces of one attack to the run `<folder>/<name>/<attack>`."""
    events = [
        privacy_event(
            f"{name}/privacy_{piece.kind}", piece.step, packed(piece.payload), content_of(name, attack, piece.kind)
        )
        for piece in pieces
    ]
    return append_events(Path(folder) / name / attack, events)


def write_run(
    folder: Path | str,
    name: str = "mia",
    attacks: Sequence[str] = ATTACKS,
    steps: Iterable[int] = range(-1, 10),
    *,
    records: bool = False,
    pictures: bool = False,
    training: bool = True,
    verdict: bool = True,
    slices: int = 10,
    size: int = 1_000,
    leak: float = 1.0,
    seed: int = 0,
) -> None:
    """One fit with a callback: the first attack is the headline.

    Args:
      folder: the callback's log_dir.
      name: the callback's name.
      attacks: their names; the later an attack, the better it tells.
      steps: audited epochs, ascending.
      records, pictures: whether the user asked for records at risk, and their pictures.
      training: whether epoch logs are written.
      verdict: whether the fit has ended.
      slices: how many classes the records are sliced by.
      size: records a side.
      leak: the separation of members from non-members after many epochs, in standard deviations, of the last attack.
      seed: of the scores.
    """
    audited = list(steps)
    rng = np.random.default_rng(seed)
    noise = rng.normal(size=2 * size)
    last = len(attacks) - 1
    for place, attack in enumerate(attacks):
        pieces = []
        strength = leak * (0.5 + 0.5 * place / max(last, 1))
        for step in audited:
            # Records keep most of their score from one epoch to the next.
            scores = 0.9 * noise + 0.43 * rng.normal(size=2 * size)
            scores[:size] += strength * (1 - math.exp(-(step + 1) / 30))
            pieces += audit_pieces(attack, step, scores, size, headline=place == 0, slices=slices)
        if place == 0:
            pieces += headline_pieces(audited, attacks, records, pictures, training, verdict, rng)
        pieces.sort(key=lambda piece: piece.step)
        write_pieces(folder, name, attack, pieces)


def write_ranges(
    folder: Path | str, name: str = "ranges", sizes: Sequence[float] = (0.5, 1, 2, 4, 8), seed: int = 0
) -> None:
    """A range curve in the run `<folder>/<name>/range_attack`."""
    write_pieces(folder, name, "range_attack", [Piece("ranges", 0, ranges_payload(sizes, seed))])


def make_demo_logs(folder: Path | str, steps: int = 100, runs: int = 3) -> Path:
    """Runs × 5 attacks × audits: slices by 10 classes, records with pictures in the first run, range curves.

    Args:
      folder: TensorBoard's logdir.
      steps: audits an attack, the first before training.
      runs: fits; the later, the less they leak.
    """
    path = Path(folder)
    for run in range(runs):
        asked = run == 0
        write_run(
            path / f"run{run + 1}",
            steps=range(-1, steps - 1),
            records=asked,
            pictures=asked,
            leak=1.2 / (run + 1),
            seed=run,
        )
    write_ranges(path)
    return path


if __name__ == "__main__":
    import sys

    print(make_demo_logs(sys.argv[1]))

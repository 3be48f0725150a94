"""Reports kept in files: strict JSON, one report a line, and their curves in one `.npz` beside it; never a pickle.

The JSON names the curves' file and its SHA-256, and is renamed into place last: what was saved before stays whole until then,
and a pair that does not belong together is noticed. A save that is killed leaves at most a stray file.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from . import plain_fields as plain
from .report import LeakageReport
from .roc import RocCurve

SCHEMA_VERSION = 1
_FORMAT = "privacy_callbacks reports"
_ARRAYS = ("thresholds", "members_per_score", "nonmembers_per_score")


def save_reports(reports: Iterable[LeakageReport], path: str | os.PathLike[str]) -> None:
    """Writes reports, in their order and with the curves they hold, to a JSON file that `load_reports` reads.

    Curves go to `<name>.curves-<digest>.npz` beside it, which has to be moved along; that of an earlier save to the same path
    is removed. Both are written under a temporary name first, so a file of that name is whole or not there.

    Args:
      reports: any number.
      path: of the JSON file; its folder must exist.
    Raises:
      TypeError: if something else than reports is given.
      ValueError: if a report holds what could not be read again. Nothing is written then.
    """
    listed = listed_reports(reports)
    lines = [_line(index, report) for index, report in enumerate(listed)]
    points = [None if report.roc is None else _num_points(report.roc) for report in listed]
    where = Path(path)
    before = _curves_file_of(where)
    curves: dict[str, Any] | None = None
    if any(known is not None for known in points):
        curves = {**_write_curves([r.roc for r in listed if r.roc is not None], where), "points": points}
    header = {"format": _FORMAT, "schema_version": SCHEMA_VERSION, "sha256": _digest(lines, curves), "curves": curves}
    text = json.dumps(header)[:-1] + ',\n"reports": [\n' + ",\n".join(lines) + "\n]}\n"
    now = None if curves is None else where.with_name(curves["file"])
    try:
        _write(where, text.encode())
    except BaseException:
        _remove(now, unless=before)
        raise
    _remove(before, unless=now)


def load_reports(path: str | os.PathLike[str]) -> list[LeakageReport]:
    """The reports that `save_reports` wrote, in their order, with the curves they had.

    Raises:
      ValueError: if the file was written by something else or a newer version, cut short or changed, or if the curves beside it
        are missing or others.
    """
    where = Path(path)
    held = plain.parsed(where.read_bytes(), os.fspath(path))
    if not isinstance(held, Mapping) or held.get("format") != _FORMAT:
        raise ValueError(
            f"{where} is JSON, but not of save_reports; give the file that it wrote, or read a single report with "
            "LeakageReport.from_json."
        )
    try:
        plain.schema_version(held, SCHEMA_VERSION, "file")
        described = plain.field(held, "reports", _list, "file")
        curves = plain.field(held, "curves", plain.or_none(_fields), "file")
        if plain.field(held, "sha256", plain.text, "file") != _digest(map(_dumped, described), curves):
            raise ValueError(
                "its reports are not those whose SHA-256 it names; it was changed, give it as it was written."
            )
        found = [_report(index, fields) for index, fields in enumerate(described)]
        if curves is None:
            return found
        points = plain.field(curves, "points", _sizes, "part on curves")
        if len(points) != len(found):
            raise ValueError(f"it announces {len(points)} points for {len(found)} reports; save the reports again.")
        known = iter(_read_curves(curves, where, [size for size in points if size is not None]))
        return [
            report if size is None else replace(report, roc=next(known))
            for report, size in zip(found, points, strict=True)
        ]
    except (ValueError, RecursionError) as reason:
        raise ValueError(f"{where}: {reason}") from None


def listed_reports(reports: Any) -> list[LeakageReport]:
    """Reports, and nothing else.

    Raises:
      TypeError: if something else is given.
    """
    if isinstance(reports, LeakageReport):
        raise TypeError(f"{reports!r} was given; give a list of LeakageReports, such as mia.reports.")
    listed = list(reports)
    for given in listed:
        if not isinstance(given, LeakageReport):
            raise TypeError(f"{given!r:.200} was given; give a list of LeakageReports, such as mia.reports.")
    return listed


def _line(index: int, report: LeakageReport) -> str:
    """The report as JSON, if it can be read again: now, not when it is needed."""
    described = report.to_dict()
    _report(index, described)
    return _dumped(described)


def _report(index: int, described: Any) -> LeakageReport:
    try:
        return LeakageReport.from_dict(described)
    except ValueError as reason:
        raise ValueError(f"report {index} (from 0): {reason}") from None


def _dumped(described: Any) -> str:
    return json.dumps(described, allow_nan=False)


def _digest(lines: Iterable[str], curves: Mapping[str, Any] | None) -> str:
    return hashlib.sha256("\n".join([_dumped(curves), *lines]).encode()).hexdigest()


def _write_curves(curves: Sequence[RocCurve], where: Path) -> dict[str, str]:
    """Writes the curves one behind the other, counts as their differences; returns the file's name and digest."""
    thresholds = [np.asarray(curve.thresholds, np.float64) for curve in curves]
    members = [_steps(curve.true_positives) for curve in curves]
    nonmembers = [_steps(curve.false_positives) for curve in curves]
    arrays: Any = dict(zip(_ARRAYS, map(np.concatenate, (thresholds, members, nonmembers)), strict=True))
    unfinished = _unfinished(where)
    try:
        with unfinished.open("wb") as file:
            np.savez(file, **arrays)
        with unfinished.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        name = f"{where.name}.curves-{digest[:16]}.npz"
        unfinished.replace(where.with_name(name))
    finally:
        unfinished.unlink(missing_ok=True)
    return {"file": name, "sha256": digest}


def _read_curves(described: Mapping[str, Any], where: Path, points: Sequence[int]) -> list[RocCurve]:
    """The curves of so many points each."""
    name = plain.field(described, "file", _curves_name, "part on curves")
    digest = plain.field(described, "sha256", plain.text, "part on curves")
    try:
        with where.with_name(name).open("rb") as file:
            if hashlib.file_digest(file, "sha256").hexdigest() != digest:
                raise ValueError(f"{name} beside it is not the file whose SHA-256 it names; give it as it was written.")
            file.seek(0)
            arrays = _arrays(file, sum(points))
    except FileNotFoundError:
        raise ValueError(f"its curves in {name} are missing; put that file beside it, they are one.") from None
    ends = np.cumsum(points)[:-1]
    parts = (np.split(array, ends) for array in arrays)
    return [_curve(*of_one) for of_one in zip(*parts, strict=True)]


def _arrays(file: IO[bytes], size: int) -> list[NDArray[Any]]:
    try:
        with np.load(file, allow_pickle=False) as archive:
            arrays = [archive[name] for name in _ARRAYS]
    except Exception as reason:  # a zip can be broken in many ways
        raise ValueError(f"its curves cannot be read ({reason}); save the reports again.") from None
    if any(array.shape != (size,) for array in arrays) or [array.dtype.kind for array in arrays] != ["f", "i", "i"]:
        found = ", ".join(f"{array.dtype}{array.shape}" for array in arrays)
        raise ValueError(f"its curves are {found}, and {size} points were announced; save the reports again.")
    return arrays


def _curve(thresholds: NDArray[Any], members: NDArray[Any], nonmembers: NDArray[Any]) -> RocCurve:
    """A curve of its own memory, read-only as those from scores."""
    curve = RocCurve(
        thresholds.astype(np.float64), np.cumsum(members, dtype=np.int64), np.cumsum(nonmembers, dtype=np.int64)
    )
    for array in (curve.thresholds, curve.true_positives, curve.false_positives):
        array.flags.writeable = False
    return curve


def _num_points(curve: RocCurve) -> int:
    sizes = {np.size(array) for array in (curve.thresholds, curve.true_positives, curve.false_positives)}
    if len(sizes) > 1:
        raise ValueError(f"a curve has arrays of {sorted(sizes)} points; give it as many counts as thresholds.")
    return sizes.pop()


def _steps(counts: NDArray[Any]) -> NDArray[Any]:
    """int[1 + g], what each point adds, in the smallest type: mostly one byte instead of eight."""
    steps = np.diff(np.asarray(counts).astype(np.int64, casting="same_kind"), prepend=0)
    least, most = steps.min(initial=0), steps.max(initial=0)
    fitting = (
        kind for kind in (np.int8, np.int16, np.int32) if np.iinfo(kind).min <= least and most <= np.iinfo(kind).max
    )
    return steps.astype(next(fitting, np.int64))


def _curves_file_of(where: Path) -> Path | None:
    """The curves of an earlier save to this path; None if there are none, or if it is someone else's file."""
    try:
        name = _curves_name(json.loads(where.read_bytes())["curves"]["file"])
    except (OSError, ValueError, TypeError, KeyError, RecursionError):
        return None
    return where.with_name(name) if name.startswith(f"{where.name}.curves-") else None


def _write(path: Path, content: bytes) -> None:
    unfinished = _unfinished(path)
    try:
        unfinished.write_bytes(content)
        unfinished.replace(path)
    finally:
        unfinished.unlink(missing_ok=True)


def _remove(curves: Path | None, *, unless: Path | None) -> None:
    if curves is not None and curves != unless:
        curves.unlink(missing_ok=True)


def _unfinished(path: Path) -> Path:
    return path.with_name(f"{uuid.uuid4().hex}.unfinished")  # the name itself may be as long as names can be


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise TypeError("a list")
    return value


def _curves_name(value: Any) -> str:
    name = plain.text(value)
    # Beside the JSON, wherever that is, and nowhere else.
    if Path(name).name != name or "\0" in name or not re.search(r"\.curves-[0-9a-f]{16}\.npz\Z", name):
        raise TypeError("the name of a file beside it, <name>.curves-<digest>.npz")
    return name


def _sizes(value: Any) -> list[int | None]:
    return [plain.or_none(plain.count)(size) for size in _list(value)]


def _fields(value: Any) -> Mapping[str, Any]:
    return plain.mapping(value, "part on curves")

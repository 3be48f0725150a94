"""Checks of what was found on trained models: a planted leak, a clean model, logs, files, the gate."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from .selfcheck import Check, Fault
from .selfcheck_training import Workshop

# The AUCs of the planted leak lie so far above ½ that no draw of records brings a lower end below.
_PLANTED = 1e-6
# Of the verdict on the clean model, over all attacks.
FLAGGED = 1e-5
_LIMIT = 0.65
_CLOSE = 1e-3


def model_checks(workshop: Workshop) -> list[Check]:
    """The checks, in the order in which they make each other's models."""
    return [
        Check("a planted leak is found while training", _PLANTED, lambda: _found(workshop, "loss")),
        Check("shadow models: LiRA and RMIA find it", _PLANTED, lambda: _found(workshop, "lira", "rmia")),
        Check("ranges: so does an attack on balls nearby", _PLANTED, lambda: _found(workshop, "ramia")),
        Check("a clean model passes", FLAGGED, lambda: _clean(workshop)),
        Check("the gate stops the leak and no clean model", _PLANTED, lambda: _gate(workshop)),
        Check("graph and NumPy give the same signals", 0.0, lambda: _same_signals(workshop)),
        Check("TensorBoard's files are written and read", 0.0, lambda: _logs(workshop)),
        Check("reports survive JSON, curves included", 0.0, lambda: _files(workshop)),
    ]


def _found(workshop: Workshop, *names: str) -> str:
    from privacy_callbacks.attacks.interval_text import in_figures

    told, missed = [], []
    for name in names:
        report = _newest(workshop.watched.reports, name)
        if report.auc is None:
            raise Fault(f"{name} gave no result: {next(iter(report.warnings), 'no reason was given')}")
        told.append(f"{name} AUC {in_figures(report.auc)}")
        if report.auc.low is None or report.auc.low <= 0.5:
            missed.append(name)
    if missed:
        raise Fault(f"{', '.join(told)}: {' and '.join(missed)} should lie above ½ with the whole interval.")
    return ", ".join(told)


def _newest(reports: Sequence[Any], name: str) -> Any:
    found = [report for report in reports if report.attack == name and report.slice == "entire"]
    if not found:
        raise Fault(f"there is no report of {name}.")
    return found[-1]


def _clean(workshop: Workshop) -> str:
    from privacy_callbacks.attacks.verdict import leak_verdict

    reports = workshop.clean
    failed = [report.attack for report in reports if report.p_value is None]
    if failed or not reports:
        raise Fault(f"{', '.join(failed) or 'every attack'} gave no result.")
    verdict = leak_verdict(reports, FLAGGED)
    least = min(reports, key=lambda report: report.p_value)
    told = f"{len(reports)} attacks, least p = {least.p_value:.2g} ({least.attack}, AUC {least.auc:.3f})"
    if verdict or verdict.unjudged is not None:
        raise Fault(f"{told}: {verdict}; but this model has seen neither side.")
    return told


def _gate(workshop: Workshop) -> str:
    from .gate import judge, newest_reports, parse_limit

    limits = [parse_limit(f"loss.auc={_LIMIT}")]
    leaking = judge({"leak": newest_reports(workshop.watched.reports)}, limits)
    clean = judge({"clean": workshop.clean}, limits)
    told = f"loss.auc <= {_LIMIT}: leak {leaking[0].high:.3f}, clean {clean[0].high:.3f} at the upper ends"
    if leaking[0].passed is not False or clean[0].passed is not True:
        raise Fault(f"{told}; passed were {leaking[0].passed} and {clean[0].passed}.")
    return told


def _same_signals(workshop: Workshop) -> str:
    from privacy_callbacks.attacks.array_signals import signals_from_arrays
    from privacy_callbacks.attacks.asked_records import signals_of

    x, y = workshop.sides[1]
    by_graph = signals_of(workshop.model, x, y)
    by_numpy = signals_from_arrays(y, logits=workshop.model.predict(x, verbose=0))
    apart = {name: float(np.abs(by_graph[name] - by_numpy[name]).max()) for name in by_numpy if name in by_graph}
    name = max(apart, key=lambda name: apart[name]) if apart else ""
    if not apart or not apart[name] <= _CLOSE:
        raise Fault(f"{name or 'no signal'} differs by {apart.get(name, np.nan):.2g}; at most {_CLOSE:g} is rounding.")
    return f"{len(apart)} signals, at most {apart[name]:.1g} apart ({name})"


def _logs(workshop: Workshop) -> str:
    from privacy_callbacks.attacks.audit_payload import rounded

    from .logged_reports import logged_runs
    from .tensorboard_plugin.log_directory import open_log_directory, page_data

    folder = workshop.logs
    mia = workshop.watched
    (run,) = logged_runs(page_data(open_log_directory(folder), 2))
    if run.unreadable:
        raise Fault(f"not all can be read: {run.unreadable[0]}")
    for name in ("loss", "lira", "rmia", "ramia"):
        written, read = _newest(mia.reports, name), _newest(run.reports, name)
        # Logs hold six digits.
        if rounded(written.scalars()) != rounded(read.scalars()):
            raise Fault(f"{name} was written as {written!r} and read as {read!r}.")
    if run.verdict != str(mia.verdict):
        raise Fault(f"the verdict was written as {mia.verdict} and read as {run.verdict}.")
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    return f"{len(run.reports)} reports and the verdict, {size / 1e3:.0f} kB"


def _files(workshop: Workshop) -> str:
    from privacy_callbacks.attacks.report_files import load_reports, save_reports

    reports = workshop.watched.reports
    with tempfile.TemporaryDirectory() as folder:
        save_reports(reports, Path(folder) / "reports.json")
        read = load_reports(Path(folder) / "reports.json")
    if [one.to_dict() for one in read] != [one.to_dict() for one in reports]:
        raise Fault("the reports that were read are not those that were written.")
    curves = [(one.roc, other.roc) for one, other in zip(reports, read, strict=True) if one.roc is not None]
    for one, other in curves:
        if other is None or not _same_curve(one, other):
            raise Fault("a curve that was read is not the one that was written.")
    return f"{len(reports)} reports, {len(curves)} curves"


def _same_curve(one: Any, other: Any) -> bool:
    return all(np.array_equal(getattr(one, part), getattr(other, part)) for part in ("thresholds", "true_positives"))

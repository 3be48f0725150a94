"""A report as a small table to read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .estimate import Estimate
from .low_fpr import FPRS, low_fpr_name, nonmembers_needed

if TYPE_CHECKING:
    from .report import LeakageReport


def summary_of(report: LeakageReport) -> str:
    """The table; it shows itself at a prompt and prints as it is."""
    return _Table("\n".join(_lines(report)))


class _Table(str):
    def __repr__(self) -> str:
        return str(self)


_TITLES = {
    "auc": "AUC",
    "advantage": "advantage",
    "youden_j": "Youden's J",
    "balanced_accuracy": "balanced accuracy",
    "mutual_information": "mutual information",
}


def _lines(report: LeakageReport) -> list[str]:
    moment = {None: "", -1: " · before training"}.get(report.step, f" · after epoch {(report.step or 0) + 1}")
    where = "" if report.slice == "entire" else f" · {report.slice}"
    sides = f"{report.num_members:,} members against {report.num_nonmembers:,} non-members"
    lines = [f"{report.attack}{where}{moment} · {sides}"]
    if report.failed:
        lines.append("  no result")
    else:
        titles = _TITLES | {low_fpr_name(fpr): f"TPR at {100 * fpr:g} % FPR" for fpr in FPRS}
        for name, estimate in report.estimates().items():
            lines.append(f"  {titles.get(name, name):<20}{_cells(name, estimate, report)}")
    if report.epsilon is not None:
        lines.append(f"  {'ε':<20}{report.epsilon.line()}")
        if report.epsilon.exposure is not None:
            lines.append(f"  {'exposure':<20}{_cells('exposure', report.epsilon.exposure, report)} (bits)")
    lines += [f"  ! {warning}" for warning in report.warnings]
    lines += [f"  · {note}" for note in report.notes]
    return lines


def _cells(name: str, estimate: Estimate | None, report: LeakageReport) -> str:
    if estimate is None:
        needed = {low_fpr_name(fpr): nonmembers_needed(fpr) for fpr in FPRS}.get(name)
        return f"refused  needs {needed:,} non-members" if needed else "refused  too few records"
    value = f"{float(estimate):7.3f}"
    percent = f"{100 * estimate.level:g} %"
    details = estimate.details
    if estimate.low is not None and estimate.high is not None:
        value += f"  [{estimate.low:.3f}, {estimate.high:.3f}]"
    if "false_positives" in details:
        value += f"  {details['false_positives']:,.0f} false positives"
    if estimate.null_level is not None:
        value += f"  no leak: at most {estimate.null_level:.3f} in {percent} of audits"
    if "plug_in" in details:
        value += " (bits)"
    return value

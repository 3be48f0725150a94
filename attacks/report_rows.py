"""Reports as a table: one row a report."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from .report import LeakageReport
from .report_files import listed_reports

_ENDS = ("low", "high", "null_level")


def report_table(reports: Iterable[LeakageReport]) -> Any:
    """A pandas DataFrame, one row a report, in their order.

    Args:
      reports: any number; of none the columns are there all the same.
    Returns:
      Columns: `step` (Int64, NA at no epoch's end), `attack`, `slice`, `num_members`, `num_nonmembers`; each metric by its name
      in `LeakageReport.estimates`, with `_low`, `_high` and `_null_level` (floats, NaN where refused or where there is none);
      `level`, `p_value`, `holm_p_value` (floats, NaN where there is none), `epsilon_lower_bound` or `epsilon_estimate` and
      `epsilon_claimed` where a report has them, `failed` (bool), and `void` (string, NA where
      there is none): why the row tells nothing, which for a failed report without one is its first warning.
    Raises:
      TypeError: if something else than reports is given.
    """
    import pandas as pd

    listed = listed_reports(reports)
    metrics = [report.estimates() for report in listed]
    names = dict.fromkeys(name for known in (LeakageReport(attack="").estimates(), *metrics) for name in known)

    def floats(values: Iterable[float | None]) -> Any:
        return np.array(list(values), np.float64)  # NaN for None

    def strings(values: Iterable[str | None]) -> Any:
        return pd.array(list(values), dtype="string")

    columns = {
        "step": pd.array([report.step for report in listed], dtype="Int64"),
        "attack": strings(report.attack for report in listed),
        "slice": strings(report.slice for report in listed),
        "num_members": np.array([report.num_members for report in listed], np.int64),
        "num_nonmembers": np.array([report.num_nonmembers for report in listed], np.int64),
    }
    for name in names:
        found = [known.get(name) for known in metrics]
        columns[name] = floats(found)
        columns |= {f"{name}_{end}": floats(getattr(estimate, end, None) for estimate in found) for end in _ENDS}
    columns["level"] = floats(_level(known.values()) for known in metrics)
    columns["p_value"] = floats(report.p_value for report in listed)
    columns["holm_p_value"] = floats(report.holm_p_value for report in listed)
    columns |= {column: floats(values) for column, values in _epsilons(listed).items()}
    columns["failed"] = np.array([report.failed for report in listed], np.bool_)
    columns["void"] = strings(_tells_nothing(report) for report in listed)
    return pd.DataFrame(columns)


def _epsilons(reports: list[LeakageReport]) -> dict[str, list[float | None]]:
    """`epsilon_lower_bound` or `epsilon_estimate`, and `epsilon_claimed`; nothing if no report has an ε."""
    found = [{} if report.epsilon is None else report.epsilon.scalars() for report in reports]
    names = dict.fromkeys(name for scalars in found for name in scalars if name.startswith("epsilon"))
    return {name: [scalars.get(name) for scalars in found] for name in names}


def _level(estimates: Iterable[Any]) -> float | None:
    return next((estimate.level for estimate in estimates if estimate is not None), None)


def _tells_nothing(report: LeakageReport) -> str | None:
    return report.void if report.void or not report.failed else next(iter(report.warnings), None)

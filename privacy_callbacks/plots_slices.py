"""A forest plot: one metric of one attack, slice by slice."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from privacy_callbacks.attacks.estimate import Estimate
from privacy_callbacks.attacks.report import LeakageReport

from .plots_metric import (
    BLUE,
    GREY,
    VERMILION,
    a_few,
    estimate_of,
    guessing_at,
    has_interval,
    least_range,
    metric_title,
    percent,
)

_WHOLE = "entire"
_INCHES_A_ROW, _INCHES_AROUND = 0.18, 1.6


def slices_height(count: int) -> float:
    """The figure height in inches at which `count` rows of `plot_slices` read well.

    Raises:
      ValueError: if count is not at least 1.
    """
    if count < 1:
        raise ValueError(f"count is {count!r}; give the number of rows, at least 1.")
    return _INCHES_AROUND + _INCHES_A_ROW * (count + 1)


def plot_slices(axes: Any, reports: Sequence[LeakageReport], metric: str = "auc", *, sort: bool = False) -> None:
    """One row a slice: the metric with its interval beside the line of guessing, and how many records were judged.

    Filled points are those whose interval lies wholly above guessing; void reports are grey. A metric without an interval
    (advantage, mutual information) stands beside its null level. The whole ("entire") stands on top, set apart. A slice that
    was not audited, or whose metric was refused, keeps its row, which says why.

    Args:
      axes: matplotlib axes. Names and counts stand outside of them: use `layout="constrained"`, and `slices_height(rows)`
        for the figure's height.
      reports: of one attack at one step, one a slice.
      metric: a key of `LeakageReport.estimates()`.
      sort: largest value first, rows without one last; else the rows stand as given.
    Raises:
      ValueError: if there is no report, the metric is unknown, a slice is given twice, or they are of several attacks or steps.
    """
    rows = _rows(list(reports), metric, sort)
    whole_first = rows[0][0].slice == _WHOLE
    heights = [float(row) + (0.5 if whole_first and row else 0.0) for row in range(len(rows))]
    size = _font_size(axes, heights[-1] + 1.4)
    axes.set_ylim(heights[-1] + 0.7, -0.7)
    axes.set_xlim(*_limits(metric, [estimate for _, estimate in rows if estimate is not None]))
    if whole_first and len(rows) > 1:
        axes.axhline(0.75, color=GREY, linewidth=0.8)
    axes.hlines(heights, *axes.get_xlim(), color=GREY, linewidth=0.5, alpha=0.25, zorder=0)
    counts = _write_counts(axes, heights, [report for report, _ in rows], size)
    beside = counts + 0.6 * size * max(len(report.slice) for report, _ in rows) + 30
    for height, (report, estimate) in zip(heights, rows, strict=True):
        if estimate is None:
            _write_reason(axes, height, _reason(report, metric), size, beside)
        else:
            _draw_estimate(axes, height, report, estimate, metric, size)
    # A dollar sign would begin a formula.
    axes.set_yticks(heights, [report.slice.replace("$", r"\$") for report, _ in rows], fontsize=size)
    axes.tick_params(axis="y", length=0)
    _explain(axes, rows, metric, size)


def _rows(reports: list[LeakageReport], metric: str, sort: bool) -> list[tuple[LeakageReport, Estimate | None]]:
    wanted = "give one report a slice, of one attack at one step"
    if not reports:
        raise ValueError(f"no report was given; {wanted}.")
    attacks = list(dict.fromkeys(report.attack for report in reports))
    if len(attacks) > 1:
        raise ValueError(f"the reports are of {len(attacks)} attacks ({a_few(attacks)}); {wanted}.")
    steps = list(dict.fromkeys(report.step for report in reports))
    if len(steps) > 1:
        raise ValueError(f"the reports are of {len(steps)} steps ({a_few(steps)}); {wanted}.")
    names = [report.slice for report in reports]
    twice = [name for name in names if names.count(name) > 1]
    if twice:
        raise ValueError(f"slice {twice[0]!r} is given {names.count(twice[0])} times; {wanted}.")
    rows = [(report, estimate_of(report, metric)) for report in reports]
    if sort:
        rows.sort(key=lambda row: np.inf if row[1] is None else -float(row[1]))
    return sorted(rows, key=lambda row: row[0].slice != _WHOLE)


def _is_leak(estimate: Estimate, metric: str) -> bool:
    """Whether the number lies beyond what guessing explains at the estimate's level."""
    guessing = guessing_at(metric)
    if has_interval(estimate):
        return guessing is not None and estimate.low is not None and estimate.low > guessing
    return estimate.null_level is not None and estimate > estimate.null_level


def _draw_estimate(
    axes: Any, height: float, report: LeakageReport, estimate: Estimate, metric: str, size: float
) -> None:
    leak, whole = _is_leak(estimate, metric), report.slice == _WHOLE
    colour = GREY if report.void else VERMILION if leak else BLUE
    if has_interval(estimate):
        axes.hlines(height, estimate.low, estimate.high, color=colour, linewidth=(0.24 if whole else 0.16) * size)
    elif estimate.null_level is not None:
        axes.plot([estimate.null_level], [height], linestyle="none", marker="|", markersize=size, color=GREY)
    look = {"marker": "D" if whole else "o", "markersize": (0.65 if whole else 0.5) * size, "color": colour}
    filling = colour if leak and not report.void else axes.get_facecolor()
    axes.plot([float(estimate)], [height], markerfacecolor=filling, zorder=3, **look)


def _write_reason(axes: Any, height: float, text: str, size: float, beside: float) -> None:
    """Why a row has no number, cut to the width the axes will have; `beside` = width of the texts next to them, in points."""
    width = 72 * axes.get_window_extent().width / axes.figure.dpi
    # A layout engine gives the axes what names and counts leave; before it ran, margins take 22.5 % of the figure.
    room = int(min(width, width / 0.775 - beside) / (0.52 * size))
    text = text if len(text) <= room else f"{text[: max(12, room - 1)].rstrip()}…"
    box = {"facecolor": axes.get_facecolor(), "edgecolor": "none", "pad": 0.5}
    place = {"transform": axes.get_yaxis_transform(), "va": "center", "clip_on": True}
    axes.text(0.01, height, text, fontsize=size, color=GREY, style="italic", bbox=box, zorder=2, **place)


def _reason(report: LeakageReport, metric: str) -> str:
    if report.failed:
        return f"not audited: {report.warnings[0]}" if report.warnings else "not audited"
    return f"refused: {report.refusals.get(metric, 'no reason was kept')}"


def _write_counts(axes: Any, heights: list[float], reports: list[LeakageReport], size: float) -> float:
    """ "members / non-members" beside each row, the strokes in one column; returns their width in points."""
    sides = [(f"{report.num_members:,}", f"{report.num_nonmembers:,}") for report in reports]
    sides = [("–", "–") if pair == ("0", "0") else pair for pair in sides]
    offset = max(3.4 * size, 0.6 * size * (max(len(members) for members, _ in sides) + 2))
    for height, (members, nonmembers) in zip(heights, sides, strict=True):
        for text, side in ((f"{members} /", "right"), (f" {nonmembers}", "left")):
            _beside(axes, text, height, offset, size, ha=side, va="center")
    _beside(axes, "members /\nnon-members", -0.75, offset, size, ha="center", va="bottom", color=GREY)
    return 2 * offset


def _beside(axes: Any, text: str, height: float, offset: float, size: float, **how: Any) -> None:
    where = {"xycoords": axes.get_yaxis_transform(), "textcoords": "offset points", "annotation_clip": False}
    axes.annotate(text, (1, height), (offset, 0), fontsize=size, **where, **how)


def _explain(axes: Any, rows: list[tuple[LeakageReport, Estimate | None]], metric: str, size: float) -> None:
    drawn = [(report.slice, estimate) for report, estimate in rows if estimate is not None]
    guessing = guessing_at(metric)
    with_interval = any(has_interval(estimate) for _, estimate in drawn)
    label = metric_title(metric)
    if guessing is not None and (with_interval or not drawn):
        axes.axvline(guessing, color=GREY, linestyle="--", linewidth=1, zorder=1)
        axes.text(guessing, -0.8, "guessing", ha="center", va="bottom", fontsize=size, color=GREY)
    if with_interval:
        label += f", {_levels(drawn)} interval of each row by itself"
        label += "\n● wholly above guessing   ○ not" if guessing is not None else ""
    elif any(estimate.null_level is not None for _, estimate in drawn):
        label += f"\n│ {_levels(drawn)} of leak-free audits lie below   ● above it   ○ not"
    if any(report.void for report, _ in rows):
        label += "\ngrey: void, no leak can be told from these records"
    axes.set_xlabel(label)
    step = rows[0][0].step
    moment = "" if step is None else ", before training" if step < 0 else f", after epoch {step + 1}"
    axes.set_title(f"attack «{rows[0][0].attack}»{moment}", pad=2.5 * size)


def _levels(drawn: list[tuple[str, Estimate]]) -> str:
    whole = {estimate.level for name, estimate in drawn if name == _WHOLE}
    parts = {estimate.level for name, estimate in drawn if name != _WHOLE}
    return (
        percent(parts | whole) if not parts or not whole - parts else f"{percent(parts)} ({_WHOLE}: {percent(whole)})"
    )


def _limits(metric: str, estimates: list[Estimate]) -> tuple[float, float]:
    ends = [*least_range(metric)]
    for estimate in estimates:
        ends += [end for end in (float(estimate), estimate.low, estimate.high, estimate.null_level) if end is not None]
    margin = 0.03 * (max(ends) - min(ends))
    return min(ends) - margin, max(ends) + margin


def _font_size(axes: Any, rows: float) -> float:
    """As large as the rows allow, in points."""
    points_a_row = 72 * axes.get_window_extent().height / axes.figure.dpi / rows
    return float(np.clip(0.8 * points_a_row, 4, 9))

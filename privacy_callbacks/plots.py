"""Pictures of an audit, for people who do not read tables. Needs matplotlib (the extra `plots`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from privacy_callbacks.attacks.estimate import LEVEL
from privacy_callbacks.attacks.low_fpr import nonmembers_needed, tpr_band
from privacy_callbacks.attacks.report import LeakageReport
from privacy_callbacks.attacks.roc import RocCurve, check_scores
from privacy_callbacks.attacks.score_bins import score_edges

from .plots_metric import (
    BLUE,
    COLOURS,
    GREEN,
    GREY,
    ORANGE,
    VERMILION,
    percent,
    plot_auc_over_epochs,
    plot_metric_over_epochs,
    plot_privacy_against_accuracy,
)
from .plots_slices import plot_slices, slices_height

__all__ = [
    "BLUE",
    "GREEN",
    "GREY",
    "ORANGE",
    "VERMILION",
    "plot_auc_over_epochs",
    "plot_losses",
    "plot_metric_over_epochs",
    "plot_privacy_against_accuracy",
    "plot_roc",
    "plot_scores",
    "plot_slices",
    "slices_height",
]


def plot_losses(axes: Any, history: Mapping[str, Sequence[float]]) -> None:
    """Training and validation loss of a Keras `History.history`, on the same epoch axis."""
    for key, colour, label in (("loss", BLUE, "training loss"), ("val_loss", ORANGE, "validation loss")):
        if key in history:
            axes.plot(np.arange(1, len(history[key]) + 1), history[key], color=colour, label=label)
    axes.set(xlabel="epochs trained", ylabel="loss", ylim=(0, None))
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(loc="lower left", frameon=False, fontsize="small")


def plot_roc(axes: Any, *reports: LeakageReport, scale: str = "log") -> None:
    """ROC curves with their pointwise bands, on two logarithmic axes, so that low false positive rates can be seen.

    Rates that the audit cannot resolve (fewer than ten expected false positives) are shaded. The scores of cross-fitted
    attackers come from several models, so that their common curve is less certain than a band would claim: it has none.

    Args:
      axes: matplotlib axes.
      *reports: of one to four attacks in one audit.
      scale: "log", or "linear" for the whole curve at one glance.
    Raises:
      ValueError: if a report failed, there is none or too many, or the scale is neither.
    """
    if scale not in ("log", "linear"):
        raise ValueError(f"scale is {scale!r}; give 'log' or 'linear'.")
    if not 1 <= len(reports) <= len(COLOURS):
        raise ValueError(f"{len(reports)} reports were given; give 1 to {len(COLOURS)}.")
    for report in reports:
        if report.roc is None:
            raise ValueError(f"the report of {report.attack!r} failed or is an older one; it has no curve to draw.")
    curves = [report.roc for report in reports if report.roc is not None]
    lowest = 1 / max(roc.num_nonmembers for roc in curves)
    floor = lowest / 10 if scale == "log" else 0.0
    levels: set[float] = set()
    for report, roc, colour in zip(reports, curves, COLOURS, strict=False):
        levels |= _draw_curve(axes, report, roc, colour, scale, floor)
    if levels:
        axes.fill_between([], [], color=GREY, alpha=0.3, linewidth=0, label=f"{percent(levels)} band")
    axes.plot([floor, 1], [floor, 1], color=GREY, linestyle="--", linewidth=1, label="guessing")
    _shade_unresolved(axes, min(roc.num_nonmembers for roc in curves), scale, floor)
    if scale == "log":
        axes.set(xscale="log", yscale="log", xlim=(lowest / 2, 1), ylim=(lowest / 2, 1.1))
    else:
        axes.set(xlim=(0, 1), ylim=(0, 1.01))
    axes.set(xlabel="false positive rate (non-members accused)", ylabel="true positive rate (members found)")
    axes.legend(loc="lower right", frameon=False, fontsize="small")


def _draw_curve(axes: Any, report: LeakageReport, roc: RocCurve, colour: str, scale: str, floor: float) -> set[float]:
    """One curve; returns the level of its band, nothing if it has none."""
    label, levels = f"attack «{report.attack}»", set()
    if getattr(report, "folds", 1) > 1:
        label += "\n(cross-fitted, no band)"
    else:
        levels = {LEVEL if report.auc is None else report.auc.level}
        rates = (np.geomspace if scale == "log" else np.linspace)(min(0.5, 1 / roc.num_nonmembers), 0.999, 120)
        low, high = tpr_band(roc, rates, *levels)
        axes.fill_between(rates, np.maximum(low, floor), high, color=colour, alpha=0.2, linewidth=0)
    axes.step(roc.fpr, roc.tpr, where="post", color=colour, label=label)
    return levels


def _shade_unresolved(axes: Any, nonmembers: int, scale: str, floor: float) -> None:
    rates = np.geomspace(1e-8, 1, 2_000)
    resolved = next((fpr for fpr in rates if nonmembers_needed(fpr) <= nonmembers), 1.0)
    axes.axvspan(floor, resolved, color=GREY, alpha=0.12, linewidth=0)
    if scale == "log" or resolved > 0.3:
        height, text, side = 1.15 if scale == "log" else 1.02, "not resolved ◂", "right"
    else:
        height, text, side = 1.02, "◂ not resolved", "left"
    axes.text(resolved, height, text, ha=side, va="bottom", fontsize="x-small", color=GREY)


def plot_scores(axes: Any, scores: ArrayLike, is_member: ArrayLike, attack: str = "") -> None:
    """Where the scores of members and of non-members lie: each side's shares in common bins.

    Bars at the ends, set apart, hold what lies far off: infinite scores and the reach of heavy tails.

    Args:
      axes: matplotlib axes.
      scores: float[n], higher = more member-like; ±inf allowed, NaN not.
      is_member: bool[n] (or 0 / 1), at least one of each.
      attack: what to call the attack.
    Raises:
      ValueError: on shapes that differ, NaN scores, flags that are not 0 / 1, or an empty side.
    """
    values, truth = check_scores(scores, is_member)
    edges = score_edges(values, truth)
    gap = edges[1] - edges[0]
    # A margin of one bin before the bars of what lies beyond, which are one and a half wide.
    below, above = edges[0] - 1.75 * gap, edges[-1] + 1.75 * gap
    beyond = {below: values < edges[0], above: values > edges[-1]}
    for side, name, colour, dash in ((truth, "members", VERMILION, "-"), (~truth, "non-members", BLUE, "--")):
        share = np.histogram(values[side & np.isfinite(values)], edges)[0] / side.sum()
        style = {"facecolor": f"{colour}48", "edgecolor": colour, "linewidth": 1.4, "linestyle": dash, "fill": True}
        axes.stairs(share, edges, label=f"{name} (n = {side.sum():,})", **style)
        for middle, there in beyond.items():
            if there.any():
                axes.stairs([np.mean(there[side])], [middle - 0.75 * gap, middle + 0.75 * gap], **style)
    _mark_beyond(axes, values, beyond, gap)
    _set_ticks(axes, values, edges)
    whose = f"score of «{attack}»" if attack else "attack score"
    axes.set(xlabel=f"{whose} (higher = more member-like)", ylabel="share of each side's records")
    axes.legend(loc="upper left" if not beyond[below].any() else "upper center", frameon=False, fontsize="small")


def _mark_beyond(axes: Any, values: NDArray[np.float64], beyond: dict[float, NDArray[np.bool_]], gap: float) -> None:
    """Shades and names the bars at the ends, where the axis is no scale."""
    (below, are_below), (above, are_above) = beyond.items()
    ends = [below + 1.25 * gap, above - 1.25 * gap]
    for at, there, infinity, word in ((0, are_below, "−∞", "lower"), (1, are_above, "∞", "higher")):
        if there.any():
            infinite = np.isinf(values[there])
            text = infinity if infinite.all() else f"{word} or {infinity}" if infinite.any() else word
            place = {"transform": axes.transAxes, "ha": ("left", "right")[at], "va": "bottom"}
            axes.text(at, 1.01, f"▾ {text}" if at == 0 else f"{text} ▾", fontsize="x-small", color=GREY, **place)
            inner, ends[at] = ends[at], (below, above)[at] + (2 * at - 1) * 1.25 * gap
            axes.axvspan(inner, ends[at], color=GREY, alpha=0.12, linewidth=0)
    axes.set_xlim(*ends)


def _set_ticks(axes: Any, values: NDArray[np.float64], edges: NDArray[np.float64]) -> None:
    """Ticks where the axis is a scale: at the scores themselves where they are few."""
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    first, last = edges[0], edges[-1]
    scores = np.unique(values[(values >= first) & (values <= last)])
    if scores.size and np.ptp(scores) < 1e-6 * (last - first):
        axes.set_xticks(scores[:1], [f"{scores[0]:.6g}"])  # one value; in full, for lack of others to tell it from
    else:
        crowded = scores.size > 8 or (np.diff(scores) < (last - first) / 10).any()
        ticks = MaxNLocator(6).tick_values(first, last) if crowded else scores
        axes.set_xticks(ticks[(ticks >= first) & (ticks <= last)])
    top = 1.3 * axes.dataLim.ymax  # room for the legend
    axes.set(ylim=(0, top), yticks=[tick for tick in MaxNLocator(6).tick_values(0, top) if tick <= min(1.0, top)])
    axes.yaxis.set_major_formatter(PercentFormatter(1, symbol=" %"))

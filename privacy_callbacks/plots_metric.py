"""Pictures of one metric: over epochs, and beside the accuracy. Also how pictures name metrics and their uncertainty."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from privacy_callbacks.attacks.estimate import Estimate
from privacy_callbacks.attacks.report import LeakageReport

# Okabe & Ito's palette: told apart by colour-blind readers and in grey.
BLUE, ORANGE, VERMILION, GREEN, GREY = "#0072B2", "#E69F00", "#D55E00", "#009E73", "#777777"
COLOURS = (VERMILION, BLUE, GREEN, ORANGE)
_MARKERS = "osD^vP"
_LOW_FPR = "tpr_at_fpr_"
_TITLES = {
    "auc": "attack AUC",
    "advantage": "advantage (largest |TPR − FPR|)",
    "youden_j": "Youden's J (TPR − FPR)",
    "balanced_accuracy": "attack's balanced accuracy",
    "mutual_information": "mutual information (bits)",
}
_GUESSING = {"auc": 0.5, "balanced_accuracy": 0.5, "youden_j": 0.0, "advantage": 0.0, "mutual_information": 0.0}


def metric_title(metric: str) -> str:
    """A metric as an axis calls it, with its unit where it has one: `TPR at 1 % FPR` for `tpr_at_fpr_1e-2`."""
    if metric.startswith(_LOW_FPR):
        return f"TPR at {100 * float(metric.removeprefix(_LOW_FPR)):g} % FPR"
    return _TITLES.get(metric, metric.replace("_", " "))


def guessing_at(metric: str) -> float | None:
    """What an attacker who guesses reaches on many records; None for a metric that this module does not know."""
    return float(metric.removeprefix(_LOW_FPR)) if metric.startswith(_LOW_FPR) else _GUESSING.get(metric)


def least_range(metric: str) -> tuple[float, float]:
    """The range that an axis shows at least, so that noise does not fill it."""
    if metric.startswith(_LOW_FPR):
        guessing = float(metric.removeprefix(_LOW_FPR))
        return 0.0, guessing + min(0.12, max(0.01, 3 * guessing))
    return (0.48, 0.62) if guessing_at(metric) == 0.5 else (0.0, 0.12)


def percent(levels: Iterable[float]) -> str:
    """Confidence levels in words, with as many digits as tell them from 1: `95 %`, `99.92 %`, `95 to 99.8 %`."""
    words = [f"{100 - float(f'{100 * (1 - level):.2g}'):.10g}" for level in sorted(set(levels))]
    return f"{words[0]} %" if words[0] == words[-1] else f"{words[0]} to {words[-1]} %"


def a_few(names: Iterable[object], most: int = 3) -> str:
    """The first names, for a message."""
    shown = [str(name) for name in names]
    return ", ".join(shown[:most] + ["…"] * (len(shown) > most))


def has_interval(estimate: Any) -> bool:
    """False for a number that carries a null level instead, or nothing."""
    return getattr(estimate, "low", None) is not None and getattr(estimate, "high", None) is not None


def estimate_of(report: LeakageReport, metric: str) -> Estimate | None:
    """The metric by its flat name, None where it was refused or the audit failed.

    Raises:
      ValueError: on a name that no report has.
    """
    known = report.estimates()
    if metric not in known:
        raise ValueError(f"metric is {metric!r}; give one of {', '.join(map(repr, known))}.")
    return known[metric]


def plot_metric_over_epochs(axes: Any, reports: Sequence[LeakageReport], metric: str = "auc") -> None:
    """Each attack's metric after each audited epoch; 0 on the axis = before training.

    A metric with an interval stands in its band, beside the dashed line of guessing. One that has none (advantage, mutual
    information) stands beside its dashed null level: what leak-free audits of this size hardly exceed.

    Args:
      axes: matplotlib axes.
      reports: of one to four attacks on one slice, e.g. those of `MIACallback.reports` whose `attack` is "loss" or "lira";
        failed ones, refused metrics and audits at no epoch's end are left out. Attacks are drawn in the order in which they
        first stand there.
      metric: a key of `LeakageReport.estimates()`.
    Raises:
      ValueError: if there is none to draw, the metric is unknown, or they are of several slices or too many attacks.
    """
    curves = _curves(list(reports), metric)
    levels = {estimate.level for curve in curves.values() for _, estimate in curve}
    with_interval = all(has_interval(estimate) for curve in curves.values() for _, estimate in curve)
    lowest, highest = least_range(metric)
    margin = (highest - lowest) / 14
    for (attack, curve), colour in zip(curves.items(), COLOURS, strict=False):
        epochs, drawn = [epoch for epoch, _ in curve], [estimate for _, estimate in curve]
        shown = [np.array([float(estimate) for estimate in drawn])]
        if with_interval:
            low, high = (
                np.array([getattr(estimate, end) for estimate in drawn], np.float64) for end in ("low", "high")
            )
            axes.fill_between(epochs, low, high, color=colour, alpha=0.2, linewidth=0)
            if len(epochs) == 1:  # a band has no width there
                axes.vlines(epochs, low, high, color=colour, alpha=0.4)
            shown += [low, high]
        elif all(estimate.null_level is not None for estimate in drawn):
            shown.append(np.array([estimate.null_level for estimate in drawn], np.float64))
            axes.plot(epochs, shown[-1], color=colour, linestyle="--", linewidth=1, marker="_", markersize=6)
        axes.plot(epochs, shown[0], color=colour, marker="o", markersize=3, label=f"attack «{attack}»")
        lowest = min(lowest, *(part.min() - margin for part in shown))
        highest = max(highest, *(part.max() + margin for part in shown))
    if with_interval:
        axes.fill_between([], [], color=GREY, alpha=0.3, linewidth=0, label=f"{percent(levels)} interval")
        if guessing_at(metric) is not None:
            axes.axhline(guessing_at(metric), color=GREY, linestyle="--", linewidth=1, label="guessing")
    else:
        axes.plot(
            [], [], color=GREY, linestyle="--", linewidth=1, label=f"{percent(levels)} of leak-free audits lie below"
        )
    axes.set(xlabel="epochs trained", ylabel=metric_title(metric), ylim=(lowest, highest))
    axes.xaxis.get_major_locator().set_params(integer=True)
    crowded = _starts_high(curves, lowest + 0.6 * (highest - lowest))
    axes.legend(loc="best" if crowded else "upper left", frameon=False, fontsize="small")


def plot_auc_over_epochs(axes: Any, reports: Sequence[LeakageReport]) -> None:
    """`plot_metric_over_epochs` of the AUC; ½ = guessing."""
    plot_metric_over_epochs(axes, reports, "auc")


def plot_privacy_against_accuracy(axes: Any, runs: Mapping[str, Sequence[tuple[float, Estimate]]]) -> None:
    """What each run pays in privacy for its accuracy: right is more useful, down is more private.

    A run's points are joined by a thin line; its last one is marked larger and carries the run's name.

    Args:
      axes: matplotlib axes, at their final size: names are kept apart for that.
      runs: name -> (accuracy on held-out records, leakage AUC) at each epoch in order, or a single point. An AUC is an
        `Estimate`, drawn with its interval, or a plain number.
    Raises:
      ValueError: if there is no run, a run has no point, or a point is not two finite numbers.
    """
    if not runs:
        raise ValueError("no run was given; give a mapping of names to (accuracy, AUC) points.")
    points = {name: [_point(name, at) for at in path] for name, path in runs.items()}
    empty = [name for name, path in points.items() if not path]
    if empty:
        raise ValueError(f"run {empty[0]!r} has no points; give at least one (accuracy, AUC).")
    everything = [point for path in points.values() for point in path]
    for index, path in enumerate(points.values()):
        style = {"color": COLOURS[index % len(COLOURS)], "marker": _MARKERS[index // len(COLOURS) % len(_MARKERS)]}
        x, y, low, high = np.array(path).T
        axes.plot(x, y, linewidth=0.8, markersize=2.5, **style)
        axes.vlines(x[:-1], low[:-1], high[:-1], color=style["color"], linewidth=0.8, alpha=0.3)
        axes.vlines(x[-1:], low[-1:], high[-1:], color=style["color"], linewidth=1.6)
        axes.plot(x[-1:], y[-1:], linestyle="none", markersize=7, markeredgecolor="white", zorder=3, **style)
    axes.axhline(0.5, color=GREY, linestyle="--", linewidth=1, zorder=0)
    last = {name: path[-1] for name, path in points.items()}
    x, _, low, high = np.array(everything).T
    left = x.min() - max(0.05 * np.ptp(x), 0.01)
    axes.set_xlim(left, max(x.max() + 0.01, *(_right_of_name(axes, name, last[name][0], left) for name in last)))
    axes.set_ylim(min(0.48, low.min() - 0.02), max(0.62, high.max() + 0.02))
    if x.max() <= 1 < axes.get_xlim()[1]:
        axes.set_xticks([tick for tick in axes.get_xticks() if left <= tick <= 1])
    _name_last_points(axes, last)
    where = {"xycoords": axes.get_yaxis_transform(), "textcoords": "offset points"}
    axes.annotate("guessing", (1, 0.5), (-4, -3), ha="right", va="top", color=GREY, fontsize="small", **where)
    levels = {auc.level for path in runs.values() for _, auc in path if has_interval(auc)}
    interval = f", {percent(levels)} interval" if levels else ""
    axes.set(xlabel="accuracy on held-out records (right = more useful)")
    axes.set(ylabel=f"attack AUC{interval}\n(down = more private)")


def _point(run: str, at: Any) -> tuple[float, float, float, float]:
    """(accuracy, AUC, low, high)."""
    try:
        accuracy, auc = at
        found = float(accuracy), float(auc)
    except (TypeError, ValueError):
        raise ValueError(
            f"run {run!r} holds {at!r}; each point is (accuracy, AUC), two numbers: leave failed audits out."
        ) from None
    if not np.isfinite(found).all():
        raise ValueError(f"run {run!r} holds the point {found}; give finite numbers, leave failed audits out.")
    return (*found, auc.low, auc.high) if has_interval(auc) else (*found, found[1], found[1])


def _name_width(name: str) -> float:
    """In typographic points, with the marker and a margin."""
    return 4.8 * len(name) + 16


def _right_of_name(axes: Any, name: str, accuracy: float, left: float) -> float:
    """Where the x-axis must end so that the name fits in beside its point."""
    width = 72 * axes.get_window_extent().width / axes.figure.dpi
    return left + (accuracy - left) / (1 - min(0.6, _name_width(name) / width))


def _name_last_points(axes: Any, last: Mapping[str, Sequence[float]]) -> None:
    """Each name to the right of its point, moved up or down where it would cover another name or point."""
    axes.figure.canvas.figure.draw_without_rendering()  # a layout engine has its say first
    to_points = 72 / axes.figure.dpi
    places = {name: to_points * axes.transData.transform(point[:2]) for name, point in last.items()}
    floor, ceiling = sorted(to_points * axes.transAxes.transform([(0, 0), (0, 1)])[:, 1])
    taken = [(x - 5, x + 5, y) for x, y in places.values()]
    moves = sorted(np.arange(-300, 301, 3), key=abs)
    for name, (x, y) in sorted(places.items(), key=lambda item: item[1][1]):
        right = x + _name_width(name)
        others = [at for left, end, at in taken if left < right and x + 5 < end]
        inside = [move for move in moves if floor + 6 <= y + move <= ceiling - 6]
        move = next((move for move in inside if all(abs(y + move - at) >= 11 for at in others)), 0)
        taken.append((x, right, y + move))
        line = {"arrowstyle": "-", "color": GREY, "linewidth": 0.5} if move else None
        box = {"facecolor": axes.get_facecolor(), "edgecolor": "none", "alpha": 0.6, "pad": 0.5}
        where = {"textcoords": "offset points", "va": "center", "fontsize": "small"}
        axes.annotate(name.replace("$", r"\$"), last[name][:2], (8, move), arrowprops=line, bbox=box, **where)


def _starts_high(curves: Mapping[str, list[tuple[int, Estimate]]], height: float) -> bool:
    """Whether a curve passes through the upper left, where the legend would stand."""
    epochs = [epoch for curve in curves.values() for epoch, _ in curve]
    early = min(epochs) + 0.4 * (max(epochs) - min(epochs))
    reach = (e.high if e.high is not None else float(e) for curve in curves.values() for at, e in curve if at <= early)
    return max(epochs) > min(epochs) and max(reach) > height


def _curves(reports: list[LeakageReport], metric: str) -> dict[str, list[tuple[int, Estimate]]]:
    """attack -> (epochs trained, estimate) in the order given, or the reason why there is none to draw."""
    wanted = f"give the reports of 1 to {len(COLOURS)} attacks on one slice, at least one not failed"
    if not reports:
        raise ValueError(f"no report was given; {wanted}.")
    slices = dict.fromkeys(report.slice for report in reports)
    if len(slices) > 1:
        raise ValueError(f"the reports are of {len(slices)} slices ({a_few(slices)}); {wanted}.")
    curves: dict[str, list[tuple[int, Estimate]]] = {}
    for report in reports:
        estimate = estimate_of(report, metric)
        if estimate is not None and report.step is not None:
            curves.setdefault(report.attack, []).append((report.step + 1, estimate))
    if not curves:
        reasons = [why for report in reports for why in (report.refusals.get(metric), *report.warnings[:1]) if why]
        because = f" ({reasons[0]})" if reasons else ""
        raise ValueError(f"none of the {len(reports)} reports holds {metric!r} at an epoch's end{because}; {wanted}.")
    if len(curves) > len(COLOURS):
        raise ValueError(f"the reports are of {len(curves)} attacks; {wanted}.")
    return curves

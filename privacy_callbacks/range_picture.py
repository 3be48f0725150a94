"""The picture of a configured range audit: ROC curves, and the AUC by range. Needs matplotlib (the extra `plots`)."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .plots import BLUE, VERMILION, plot_roc
from .range_curves import POINT, RANGE, RangeCurve

if TYPE_CHECKING:
    from privacy_callbacks.attacks.report import LeakageReport

    from .configured_attacks import RangeAttacks


def range_picture(path: Path, attacks: Sequence[RangeAttacks], reports: Sequence[LeakageReport]) -> None:
    """Draws range attack and point attack: their ROC curves where the range attack finds most, and of several ranges the AUCs.

    Args:
      path: of the PNG file.
      attacks: one entry a range.
      reports: two a range, in their order: range attack, point attack.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    pairs = list(zip(reports[::2], reports[1::2], strict=True))
    judged = [index for index, pair in enumerate(pairs) if not any(report.failed for report in pair)]
    most = max(judged, key=lambda index: float(pairs[index][0].auc or 0), default=None)
    several = len(attacks) > 1
    figure = Figure(figsize=(11 if several else 6, 5), layout="constrained")
    FigureCanvasAgg(figure)
    panels: Any = figure.subplots(1, 2 if several else 1, squeeze=False)[0]
    if most is not None:
        plot_roc(panels[0], *pairs[most])
        panels[0].set_title(f"range «{attacks[most].range}»" if several else f"range: {attacks[most].range}", pad=18)
    if several:
        curve = curve_of(attacks, reports)
        if curve is None:
            _draw_by_name(panels[1], attacks, pairs)
        else:
            curve.plot(panels[1])
    figure.savefig(path, dpi=130)


def curve_of(attacks: Sequence[RangeAttacks], reports: Sequence[LeakageReport]) -> RangeCurve | None:
    """The reports by the ranges' size; None unless there are several, of different size in one unit."""
    sizes = [each.size for each in attacks if each.size is not None]
    one_unit = len({unit for unit, _ in sizes}) == 1
    if len(attacks) < 2 or len(sizes) < len(attacks) or not one_unit or len(set(sizes)) < len(sizes):
        return None
    return RangeCurve(sizes[0][0], tuple(size for _, size in sizes), tuple(reports[::2]), tuple(reports[1::2]))


def _draw_by_name(
    axes: Any, attacks: Sequence[RangeAttacks], pairs: Sequence[tuple[LeakageReport, LeakageReport]]
) -> None:
    """AUCs with their intervals, one line a range."""
    for side, (label, colour, marker) in enumerate(((RANGE, VERMILION, "o"), (POINT, BLUE, "s"))):
        for place, pair in enumerate(pairs):
            estimate = pair[side].auc
            if estimate is not None and estimate.low is not None and estimate.high is not None:
                at = place + 0.15 * (2 * side - 1)
                axes.plot([estimate.low, estimate.high], [at, at], color=colour, linewidth=2)
                axes.plot(float(estimate), at, color=colour, marker=marker, linestyle="none")
        axes.plot([], [], color=colour, marker=marker, label=label)
    axes.axvline(0.5, color="0.4", linestyle="--", linewidth=1, label="guessing")
    axes.set_yticks(range(len(attacks)), [each.range for each in attacks])
    axes.invert_yaxis()
    axes.set_xlabel("AUC")
    axes.legend(frameon=False)

"""Pictures of an audit, for people who do not read tables. Needs matplotlib (the extra `plots`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from privacy_callbacks.attacks.low_fpr import nonmembers_needed, tpr_band
from privacy_callbacks.attacks.report import LeakageReport

# Okabe & Ito's palette: told apart by colour-blind readers and in grey.
BLUE, ORANGE, VERMILION, GREEN, GREY = "#0072B2", "#E69F00", "#D55E00", "#009E73", "#777777"
_COLOURS = (VERMILION, BLUE, GREEN, ORANGE)


def plot_auc_over_epochs(axes: Any, reports: Sequence[LeakageReport]) -> None:
    """Each attack's AUC with its interval after each audited epoch; 0 on the axis = before training, ½ = guessing.

    Args:
      axes: matplotlib axes.
      reports: of one to four attacks on one slice, e.g. those of `MIACallback.reports` whose `attack` is "loss" or "lira";
        failed ones are left out. Attacks are drawn in the order in which they first stand there.
    Raises:
      ValueError: if there is none to draw, or they are of several slices or too many attacks.
    """
    curves: dict[str, list[tuple[int, Any]]] = {}
    for report in reports:
        if report.auc is not None and report.step is not None:
            curves.setdefault(report.attack, []).append((report.step + 1, report.auc))
    if not curves or len({report.slice for report in reports}) != 1 or len(curves) > len(_COLOURS):
        raise ValueError(f"give the reports of 1 to {len(_COLOURS)} attacks on one slice, at least one not failed.")
    lowest, highest = 0.48, 0.62
    for (attack, drawn), colour in zip(curves.items(), _COLOURS, strict=False):
        epochs = [epoch for epoch, _ in drawn]
        low, value, high = (
            np.array([getattr(auc, part) for _, auc in drawn], np.float64) for part in ("low", "real", "high")
        )
        axes.fill_between(epochs, low, high, color=colour, alpha=0.2, linewidth=0)
        axes.plot(epochs, value, color=colour, marker="o", markersize=3, label=f"attack «{attack}»")
        lowest, highest = min(lowest, low.min() - 0.01), max(highest, high.max() + 0.01)
    axes.fill_between([], [], color=GREY, alpha=0.3, linewidth=0, label="95 % interval")
    axes.axhline(0.5, color=GREY, linestyle="--", linewidth=1, label="guessing")
    axes.set(xlabel="epochs trained", ylabel="attack AUC", ylim=(lowest, highest))
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(loc="upper left", frameon=False, fontsize="small")


def plot_losses(axes: Any, history: Mapping[str, Sequence[float]]) -> None:
    """Training and validation loss of a Keras `History.history`, on the same epoch axis."""
    for key, colour, label in (("loss", BLUE, "training loss"), ("val_loss", ORANGE, "validation loss")):
        if key in history:
            axes.plot(np.arange(1, len(history[key]) + 1), history[key], color=colour, label=label)
    axes.set(xlabel="epochs trained", ylabel="loss", ylim=(0, None))
    axes.xaxis.get_major_locator().set_params(integer=True)
    axes.legend(loc="lower left", frameon=False, fontsize="small")


def plot_roc(axes: Any, *reports: LeakageReport) -> None:
    """ROC curves on two logarithmic axes with their pointwise bands, so that low false positive rates can be seen.

    Rates that the audit cannot resolve (fewer than ten expected false positives) are shaded.

    Args:
      axes: matplotlib axes.
      *reports: of one to four attacks in one audit.
    Raises:
      ValueError: if a report failed, or there is none or too many.
    """
    if not 1 <= len(reports) <= len(_COLOURS):
        raise ValueError(f"{len(reports)} reports were given; give 1 to {len(_COLOURS)}.")
    for report, colour in zip(reports, _COLOURS, strict=False):
        if report.roc is None:
            raise ValueError(f"the report of {report.attack!r} failed or is an older one; it has no curve to draw.")
        roc, lowest = report.roc, 1 / report.roc.num_nonmembers
        rates = np.geomspace(lowest, 0.999, 120)
        low, high = tpr_band(roc, rates)
        axes.fill_between(rates, np.maximum(low, lowest / 10), high, color=colour, alpha=0.2, linewidth=0)
        axes.step(roc.fpr, roc.tpr, where="post", color=colour, label=f"attack «{report.attack}»")
    axes.fill_between([], [], color=GREY, alpha=0.3, linewidth=0, label="95 % band")
    axes.plot([lowest / 10, 1], [lowest / 10, 1], color=GREY, linestyle="--", linewidth=1, label="guessing")
    resolved = next(fpr for fpr in np.geomspace(1e-8, 1, 2_000) if nonmembers_needed(fpr) <= roc.num_nonmembers)
    axes.axvspan(lowest / 10, resolved, color=GREY, alpha=0.12, linewidth=0)
    axes.text(resolved, 1.15, "not resolved ◂", ha="right", va="bottom", fontsize="x-small", color=GREY)
    axes.set(xscale="log", yscale="log", xlim=(lowest / 2, 1), ylim=(lowest / 2, 1.1))
    axes.set(xlabel="false positive rate (non-members accused)", ylabel="true positive rate (members found)")
    axes.legend(loc="lower right", frameon=False, fontsize="small")

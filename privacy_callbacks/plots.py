"""Pictures of an audit, for people who do not read tables. Needs matplotlib (the extra `plots`)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from privacy_callbacks.attacks.low_fpr import nonmembers_needed, tpr_band
from privacy_callbacks.attacks.report import LeakageReport

# Okabe & Ito's palette: told apart by colour-blind readers and in grey.
BLUE, ORANGE, VERMILION, GREEN, GREY = "#0072B2", "#E69F00", "#D55E00", "#009E73", "#777777"


def plot_auc_over_epochs(axes: Any, reports: Sequence[LeakageReport]) -> None:
    """One attack's AUC with its interval after each audited epoch; 0 on the axis = before training, ½ = guessing.

    Args:
      axes: matplotlib axes.
      reports: of one attack and slice, e.g. those of `MIACallback.reports` whose `attack` is "loss"; failed ones are
        left out.
    Raises:
      ValueError: if there is none to draw, or they are of several attacks.
    """
    drawn = [(report.step + 1, report.auc) for report in reports if report.auc is not None and report.step is not None]
    if not drawn or len({(report.attack, report.slice) for report in reports}) != 1:
        raise ValueError("give the reports of one attack and slice, at least one of them not failed.")
    epochs = [epoch for epoch, _ in drawn]
    low, value, high = (
        np.array([getattr(auc, part) for _, auc in drawn], np.float64) for part in ("low", "real", "high")
    )
    axes.fill_between(epochs, low, high, color=VERMILION, alpha=0.2, linewidth=0, label="95 % interval")
    axes.plot(epochs, value, color=VERMILION, marker="o", markersize=3, label=f"attack «{reports[0].attack}»")
    axes.axhline(0.5, color=GREY, linestyle="--", linewidth=1, label="guessing")
    axes.set(
        xlabel="epochs trained",
        ylabel="attack AUC",
        ylim=(min(0.48, low.min() - 0.01), max(0.62, high.max() + 0.01)),
    )
    axes.legend(loc="upper left", frameon=False, fontsize="small")


def plot_losses(axes: Any, history: Mapping[str, Sequence[float]]) -> None:
    """Training and validation loss of a Keras `History.history`, on the same epoch axis."""
    for key, colour, label in (("loss", BLUE, "training loss"), ("val_loss", ORANGE, "validation loss")):
        if key in history:
            axes.plot(np.arange(1, len(history[key]) + 1), history[key], color=colour, label=label)
    axes.set(xlabel="epochs trained", ylabel="loss", ylim=(0, None))
    axes.legend(loc="lower left", frameon=False, fontsize="small")


def plot_roc(axes: Any, report: LeakageReport) -> None:
    """The ROC curve on two logarithmic axes with its pointwise band, so that low false positive rates can be seen.

    Rates that the audit cannot resolve (fewer than ten expected false positives) are shaded.

    Raises:
      ValueError: if the report failed.
    """
    roc = report.roc
    if roc is None:
        raise ValueError(f"the report of {report.attack!r} failed; it has no curve to draw.")
    lowest = 1 / roc.num_nonmembers
    rates = np.geomspace(lowest, 0.999, 120)
    low, high = tpr_band(roc, rates)
    axes.fill_between(
        rates, np.maximum(low, lowest / 10), high, color=VERMILION, alpha=0.2, linewidth=0, label="95 % band"
    )
    axes.step(roc.fpr, roc.tpr, where="post", color=VERMILION, label=f"attack «{report.attack}»")
    axes.plot([lowest / 10, 1], [lowest / 10, 1], color=GREY, linestyle="--", linewidth=1, label="guessing")
    resolved = next(fpr for fpr in np.geomspace(1e-8, 1, 2_000) if nonmembers_needed(fpr) <= roc.num_nonmembers)
    axes.axvspan(lowest / 10, resolved, color=GREY, alpha=0.12, linewidth=0)
    axes.text(resolved, 1.15, "not resolved ◂", ha="right", va="bottom", fontsize="x-small", color=GREY)
    axes.set(xscale="log", yscale="log", xlim=(lowest / 2, 1), ylim=(lowest / 2, 1.1))
    axes.set(xlabel="false positive rate (non-members accused)", ylabel="true positive rate (members found)")
    axes.legend(loc="lower right", frameon=False, fontsize="small")

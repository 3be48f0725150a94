"""The ROC curve as TensorFlow Privacy shows it, with its names: rates at thresholds, and metrics that know their uncertainty."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from .estimate import Estimate
from .predictive_value import ppv
from .report import LeakageReport


@dataclass(frozen=True, eq=False)
class RocCurve:
    """The trade-off between rates at every threshold.

    Attributes:
      thresholds: float[g] of the membership score: a record is called a member iff its score is at or above.
      tpr: float[g], share of members called members.
      fpr: float[g], share of non-members called members.
      test_train_ratio: non-members per member among the judged records.
      report: where the curve comes from; its metrics have intervals. None for a curve made by hand.
    """

    thresholds: NDArray[np.float64]
    tpr: NDArray[np.float64]
    fpr: NDArray[np.float64]
    test_train_ratio: float = 1.0
    report: LeakageReport | None = field(default=None, repr=False)

    @classmethod
    def of(cls, report: LeakageReport) -> RocCurve:
        """The curve of a report that kept its own."""
        roc = report.roc
        if roc is None:
            raise ValueError(f"the report of {report.attack!r} has no curve.")
        return cls(roc.thresholds, roc.tpr, roc.fpr, roc.num_nonmembers / roc.num_members, report)

    def get_auc(self) -> Estimate:
        """The area under the curve; of a trained attack the mean of its halves' areas."""
        if self.report is not None and self.report.auc is not None:
            return self.report.auc
        steps, tpr = np.diff(self.fpr), np.asarray(self.tpr)
        if (steps > 0).any() and (steps < 0).any():
            raise ValueError("fpr goes up and down; give the points of the curve in order.")
        return Estimate(abs(float(np.sum(steps * (tpr[1:] + tpr[:-1]) / 2))))

    def get_attacker_advantage(self) -> Estimate:
        """The largest |TPR − FPR| over all thresholds, with what a leak-free attack does not exceed."""
        if self.report is not None and self.report.advantage is not None:
            return self.report.advantage
        return Estimate(float(np.max(np.abs(np.asarray(self.tpr) - self.fpr))))

    def get_ppv(self, threshold: float | None = None, prior: float | None = None) -> Estimate:
        """How often an accusation is right, for a threshold stated beforehand and a share of members among the records tried.

        Args:
          threshold: of the membership score.
          prior: share of members; `ntrain / (ntrain + ntest)` is what TensorFlow Privacy takes.
        Raises:
          TypeError: if one of them is not stated.
          ValueError: on a prior outside (0, 1), a NaN threshold, or one that accuses nobody.
        """
        if threshold is None or prior is None:
            raise TypeError(
                "get_ppv needs a threshold and a prior that were stated beforehand; the largest value over all thresholds, "
                "which is 1 in half of all runs on noise, is get_max_ppv_over_thresholds()."
            )
        if not 0 < prior < 1:
            raise ValueError(f"prior is {prior!r}; give the share of members the attacker expects, between 0 and 1.")
        if np.isnan(threshold):
            raise ValueError("threshold is NaN; give the score from which on records are accused.")
        if self.report is not None and self.report.roc is not None:
            found = ppv(self.report.roc, threshold, prior, self.get_auc().level)
            # Two halves that were fitted to each other are no independent trials: no interval.
            return found if self.report.folds == 1 else Estimate(float(found), details=found.details)
        accused = np.flatnonzero(np.asarray(self.thresholds) >= threshold)
        hits, alarms = (max((rate[i] for i in accused), default=0.0) for rate in (self.tpr, self.fpr))
        if not hits + alarms:
            raise ValueError(f"no record reaches the threshold {threshold:g}, so the PPV is undefined.")
        return Estimate(float(prior * hits / (prior * hits + (1 - prior) * alarms)))

    def get_max_ppv_over_thresholds(self) -> float:
        """The largest TP / (TP + FP) over all thresholds that accuse somebody: 1 whenever the highest score is a member's."""
        hits, alarms = np.asarray(self.tpr), np.asarray(self.fpr) * self.test_train_ratio
        some = hits + alarms > 0
        return float(np.max(hits[some] / (hits + alarms)[some], initial=0.0))

    def __str__(self) -> str:
        return f"RocCurve(\n  AUC: {self.get_auc()!r}\n  Attacker advantage: {self.get_attacker_advantage()!r}\n)"

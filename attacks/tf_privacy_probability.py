"""Membership probabilities as TensorFlow Privacy computes them: the share of members among records with about the same loss."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .report import LeakageReport
from .tf_privacy_slices import SingleSliceSpec

_BINS = 15
_SMALLEST = 1e-10  # losses below it share the first bin


@dataclass(frozen=True, eq=False)
class SingleMembershipProbabilityResult:
    """Of one slice, each record's membership probability: float[n] in [0, 1], sides weighted alike."""

    slice_spec: SingleSliceSpec
    train_membership_probs: NDArray[np.float64]
    test_membership_probs: NDArray[np.float64]

    def attack_with_varied_thresholds(
        self, threshold_list: Iterable[float]
    ) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Calls members the records whose probability is at least the threshold.

        Args:
          threshold_list: those above every record's probability are left out.
        Returns:
          The thresholds kept, and for each the precision TPR / (TPR + FPR) and the recall TPR.
        """
        found = []
        for threshold in threshold_list:
            tpr, fpr = (
                float(np.mean(np.asarray(side) >= threshold))
                for side in (self.train_membership_probs, self.test_membership_probs)
            )
            if tpr + fpr > 0:
                found.append((float(threshold), tpr / (tpr + fpr), tpr))
        kept, precision, recall = np.array(found, np.float64).reshape(-1, 3).T
        return kept, precision, recall

    def collect_results(self, threshold_list: Iterable[float], return_roc_results: bool = True) -> list[str]:
        """Lines to read: precision and recall at each threshold, and the AUC and advantage of thresholding.

        Args:
          threshold_list: see `attack_with_varied_thresholds`.
          return_roc_results: False to leave the last two out.
        """
        lines = [f'\nMembership probability analysis over slice: "{self.slice_spec}"']
        for threshold, precision, recall in zip(*self.attack_with_varied_thresholds(threshold_list), strict=True):
            lines.append(
                f"  with {threshold:.4f} as the threshold on membership probability, the precision-recall pair is "
                f"({precision:.4f}, {recall:.4f})"
            )
        if return_roc_results:
            scores = np.concatenate([self.train_membership_probs, self.test_membership_probs])
            report = LeakageReport.from_scores(scores, np.arange(len(scores)) < len(self.train_membership_probs))
            lines += [
                f"  thresholding on membership probability achieved {name} of {value:.2f} (on the records it was read off)"
                for name, value in (("an AUC", report.auc), ("an advantage", report.advantage))
            ]
        return lines


@dataclass(frozen=True, eq=False)
class MembershipProbabilityResults:
    """The membership probabilities of several slices."""

    membership_prob_results: Sequence[SingleMembershipProbabilityResult]

    def summary(self, threshold_list: Iterable[float]) -> str:
        """The lines of all slices; see `SingleMembershipProbabilityResult.collect_results`."""
        thresholds = list(threshold_list)
        return "\n".join(line for one in self.membership_prob_results for line in one.collect_results(thresholds))


def probabilities_of(spec: SingleSliceSpec, train: ArrayLike, test: ArrayLike) -> SingleMembershipProbabilityResult:
    """Each record's probability from a histogram of both sides with 15 bins, equally wide on the scale of log loss.

    Args:
      spec: the slice.
      train, test: float[n] losses (or entropies) of members and non-members, neither empty.
    Raises:
      ValueError: if one is infinite.
    """
    values = [np.maximum(np.asarray(side, np.float64), _SMALLEST) for side in (train, test)]
    joined = np.concatenate(values)
    if not np.isfinite(joined).all():
        raise ValueError("a loss is infinite; bins between losses need finite ones.")
    edges = np.logspace(np.log10(joined.min()), np.log10(joined.max()), _BINS + 1)
    # By the inner edges alone, so that the extremes are counted whatever rounding does to the outer ones.
    bins = [np.searchsorted(edges[1:-1], side, side="right") for side in values]
    shares = [np.bincount(own, minlength=_BINS) / len(own) for own in bins]
    total = shares[0] + shares[1]
    probability = np.divide(shares[0], total, out=np.zeros(_BINS), where=total > 0)
    return SingleMembershipProbabilityResult(spec, probability[bins[0]], probability[bins[1]])

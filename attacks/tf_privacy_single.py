"""Which attacks TensorFlow Privacy names, and what one of them found on one slice."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .estimate import Estimate
from .report import LeakageReport
from .tf_privacy_roc import RocCurve
from .tf_privacy_slices import SingleSliceSpec


class AttackType(enum.Enum):
    """The attacks there are."""

    LOGISTIC_REGRESSION = "lr"
    MULTI_LAYERED_PERCEPTRON = "mlp"
    RANDOM_FOREST = "rf"
    K_NEAREST_NEIGHBORS = "knn"
    THRESHOLD_ATTACK = "threshold"
    THRESHOLD_ENTROPY_ATTACK = "threshold-entropy"

    @property
    def is_trained_attack(self) -> bool:
        """True if a classifier is fitted to records of known membership."""
        return self not in (AttackType.THRESHOLD_ATTACK, AttackType.THRESHOLD_ENTROPY_ATTACK)

    def __str__(self) -> str:
        return self.name


class DataSize(NamedTuple):
    """How many records were judged: members, non-members."""

    ntrain: int
    ntest: int


@dataclass(eq=False)
class SingleAttackResult:
    """One attack on one slice.

    Attributes:
      slice_spec, data_size, attack_type: what was judged, and how.
      roc_curve: see there.
      membership_scores_train, membership_scores_test: float[n], higher = more member-like: minus the loss, minus the entropy,
        or the rank, in (0, 1), among the records that the same classifier scored.
      train_indices, test_indices: the rows of the slice, if asked for.
      report: all metrics, with their intervals; None if made by hand.
    """

    slice_spec: SingleSliceSpec
    data_size: DataSize
    attack_type: AttackType
    roc_curve: RocCurve
    membership_scores_train: NDArray[np.float64] | None = None
    membership_scores_test: NDArray[np.float64] | None = None
    train_indices: NDArray[np.intp] | None = None
    test_indices: NDArray[np.intp] | None = None

    @property
    def report(self) -> LeakageReport | None:
        """All metrics with their intervals; None for a result made by hand."""
        return self.roc_curve.report

    def get_auc(self) -> Estimate:
        """See `RocCurve.get_auc`."""
        return self.roc_curve.get_auc()

    def get_attacker_advantage(self) -> Estimate:
        """See `RocCurve.get_attacker_advantage`."""
        return self.roc_curve.get_attacker_advantage()

    def get_ppv(self, threshold: float | None = None, prior: float | None = None) -> Estimate:
        """See `RocCurve.get_ppv`."""
        return self.roc_curve.get_ppv(threshold, prior)

    def get_max_ppv_over_thresholds(self) -> float:
        """See `RocCurve.get_max_ppv_over_thresholds`."""
        return self.roc_curve.get_max_ppv_over_thresholds()

    def get_epsilon_lower_bound(self) -> Any:
        """Always refused.

        Raises:
          NotImplementedError: why.
        """
        raise NotImplementedError(
            "an ε bound needs membership that was drawn at random for the audit, which a training and a test set are not; "
            "read get_auc() and get_attacker_advantage() instead."
        )

    def __str__(self) -> str:
        lines = [
            f"SliceSpec: {self.slice_spec}",
            f"DataSize: (ntrain={self.data_size.ntrain}, ntest={self.data_size.ntest})",
            f"AttackType: {self.attack_type}",
            f"AUC: {self.get_auc()!r}",
            f"Attacker advantage: {self.get_attacker_advantage()!r}",
        ]
        return "\n  ".join(["SingleAttackResult(", *lines]) + "\n)"

"""What a record's loss did during training: how low it was on average, and how far it travelled."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .attack import AttackContext, Signals, check_name
from .number_arrays import as_floats

_STATISTICS = {"mean": "trajectory", "iqr": "trajectory_iqr"}
_NO_MEMBERSHIP_SCORE = (
    "LT-IQR ranks members by how much they had to be memorised; it is no membership score, and its AUC may lie on either side "
    "of ½."
)


def loss_iqr(losses: ArrayLike) -> NDArray[np.float64]:
    """LT-IQR: the interquartile range of each record's loss over the audits.

    A ranking of risk *among members*, not a membership score: a typical record is learned early and once, a record that
    must be memorised keeps a high loss for long.

    Args:
      losses: float[t, n], a record's loss (or its negative) at each of t audits.
    Returns:
      float[n] in the loss's unit, higher = more at risk.
    Raises:
      ValueError: if it is not [t, n] with t >= 1.
    Source: arXiv:2411.05743.
    """
    values = as_floats(losses, "losses")
    if values.ndim != 2 or len(values) == 0:
        raise ValueError(f"losses has shape {values.shape}; give (audits, records) with at least one audit.")
    with np.errstate(invalid="ignore"):
        low, high = np.quantile(values, (0.25, 0.75), axis=0)
        travelled = high - low
    # A loss that was infinite in a quarter of the audits travelled as far as can be.
    return np.where(np.isnan(travelled), np.inf, travelled)


@dataclass(frozen=True)
class Trajectory:
    """The course of a record's loss over the audits so far. Inside `MIACallback` it costs nothing more.

    Args:
      statistic: "mean": minus the mean loss over the audits, which is lower for what was trained on; or "iqr": `loss_iqr`, a
        ranking of risk among members.
      name: what to call the attack; default: "trajectory" or "trajectory_iqr".
    Raises:
      ValueError: on another statistic.
    Source: Liu et al. 2022, arXiv:2208.14933 (loss trajectories); arXiv:2411.05743 (LT-IQR).
    """

    statistic: str = "mean"
    name: str = ""
    needs_course: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        if self.statistic not in _STATISTICS:
            raise ValueError(f"statistic is {self.statistic!r}; give 'mean' or 'iqr'.")
        object.__setattr__(self, "name", check_name(self.name or _STATISTICS[self.statistic]))

    @property
    def signals(self) -> tuple[str, ...]:
        """The signal whose course it reads."""
        return ("loss",)

    @property
    def notes(self) -> tuple[str, ...]:
        """What the reports say of it."""
        return (_NO_MEMBERSHIP_SCORE,) if self.statistic == "iqr" else ()

    def fit(self, context: AttackContext) -> Trajectory:
        """Nothing to learn."""
        return self

    def score(self, signals: Signals) -> NDArray[np.float64]:
        """float[n].

        Raises:
          ValueError: if the course is not known.
        """
        if signals.course is None:
            raise ValueError("the course of the losses is known during a fit only; give the attack to MIACallback.")
        return signals.course.mean(axis=0) if self.statistic == "mean" else loss_iqr(signals.course)

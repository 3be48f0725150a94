"""What one audit found."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from privacy_callbacks.attacks.attack import Signals
from privacy_callbacks.attacks.report import LeakageReport


@dataclass(frozen=True)
class Audit:
    """What one audit found.

    Attributes:
      step: the epoch it belongs to; −1 = before training, None = outside of any.
      reports: one an attack, the headline's first; then those on slices, attack by attack.
      scores: by attack, for those that succeeded: float[n], NaN for records that the attack could not score.
      signals: of the records as they are, those that attacks or slices read; None if the model gave no finite outputs.
      fingerprint: of the weights it speaks of.
      postponed: attacks that wait for shadow models; their reports say so.
      num_sliced: how many of the reports are on slices.
      unsliced: why there are no slices, if some were asked for.
    """

    step: int | None
    reports: tuple[LeakageReport, ...]
    scores: Mapping[str, NDArray[np.float64]]
    signals: Signals | None
    fingerprint: str
    postponed: frozenset[str] = frozenset()
    num_sliced: int = 0
    unsliced: str | None = None

    @property
    def loss(self) -> NDArray[np.float64] | None:
        """float[n], minus each record's loss."""
        return None if self.signals is None else self.signals["loss"][:, 0]

    @property
    def whole(self) -> tuple[LeakageReport, ...]:
        """The reports on all records, without those on slices."""
        return self.reports[: len(self.reports) - self.num_sliced]

    @property
    def sliced(self) -> tuple[LeakageReport, ...]:
        """The reports on slices."""
        return self.reports[len(self.reports) - self.num_sliced :]

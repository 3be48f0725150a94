"""Worlds in which it is known what was forgotten: retained records score N(gain, 1), records that were never seen N(0, 1)."""

from dataclasses import dataclass

import numpy as np
from scipy import special


@dataclass(frozen=True)
class UnlearningWorld:
    """The forget set: N(shift, 1), but N(gain, 1) for the share of its records that is still remembered."""

    gain: float = 1.0
    shift: float = 0.0
    remembered: float = 0.0

    def draw(
        self, retain: int, forget: int, test: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(retain, forget, test)."""
        kept = np.arange(forget) < round(self.remembered * forget)
        centres = np.where(kept, self.gain, self.shift)
        return rng.normal(self.gain, 1, retain), rng.normal(centres, 1), rng.normal(size=test)

    @property
    def attacker_auc(self) -> float:
        return float(special.ndtr(self.gain / np.sqrt(2)))

    @property
    def forget_auc(self) -> float:
        own = special.ndtr(self.shift / np.sqrt(2))
        return float(self.remembered * self.attacker_auc + (1 - self.remembered) * own)

    def rates_at(self, threshold: float) -> tuple[float, float, float]:
        """(TPR, share of forget records called members, FPR) of the population."""
        tpr, own, fpr = special.ndtr(np.array([self.gain, self.shift, 0.0]) - threshold)
        return float(tpr), float(self.remembered * tpr + (1 - self.remembered) * own), float(fpr)


# By name: the world and the verdict that it calls for.
WORLDS = {
    "perfect": (UnlearningWorld(), "forgotten"),
    "none": (UnlearningWorld(shift=1.0), "residual"),
    "half of each record's shift": (UnlearningWorld(shift=0.5), "residual"),
    "half of the records": (UnlearningWorld(remembered=0.5), "residual"),
    "over-forgotten": (UnlearningWorld(shift=-1.0), "over-forgotten"),
    "half as much over": (UnlearningWorld(shift=-0.5), "over-forgotten"),
}

"""A world in which every answer is known: scores are Gaussian, and membership adds a constant.

A record's score is hardness·H + gain·[member] + noise, with H and the noise standard normal. A global threshold on it has
AUC Φ(gain / √(2(1 + hardness²))); an attacker who knew each record's H would reach Φ(gain / √2).
"""

from dataclasses import dataclass

import numpy as np
from scipy import special


@dataclass(frozen=True)
class GaussianWorld:
    gain: float = 1.0
    hardness: float = 0.0

    @property
    def auc(self) -> float:
        return float(special.ndtr(self.gain / np.sqrt(2 * (1 + self.hardness**2))))

    @property
    def best_j(self) -> float:
        return float(2 * special.ndtr(self.gain / np.sqrt(1 + self.hardness**2) / 2) - 1)

    def tpr_at(self, fpr: float) -> float:
        return float(special.ndtr(self.gain / np.sqrt(1 + self.hardness**2) - special.ndtri(1 - fpr)))

    @property
    def ideal_auc(self) -> float:
        """Of an attacker who knows each record's hardness."""
        return float(special.ndtr(self.gain / np.sqrt(2)))

    def draw_with_shadows(
        self, members: int, nonmembers: int, models: int, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """(scores[n], is_member[n], shadow[m, n], trained_on[m, n]); every record is IN for half of the models."""
        is_member = np.arange(members + nonmembers) < members
        hardness = self.hardness * rng.normal(size=is_member.size)
        halves = rng.random((models // 2, is_member.size)) < 0.5
        trained_on = np.stack([halves, ~halves], axis=1).reshape(models, -1)
        shadow = hardness + self.gain * trained_on + rng.normal(size=trained_on.shape)
        return hardness + self.gain * is_member + rng.normal(size=is_member.size), is_member, shadow, trained_on

    def draw(self, members: int, nonmembers: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """(scores[n], is_member[n]), members first."""
        is_member = np.arange(members + nonmembers) < members
        hardness, noise = rng.normal(size=(2, is_member.size))
        return self.hardness * hardness + self.gain * is_member + noise, is_member

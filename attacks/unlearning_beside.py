"""Was it forgotten, where test records are no measure of that? A retrained model is."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .estimate import LEVEL, Estimate
from .paired_auc import auc_difference
from .standing_out import standing_out_beside
from .unlearning_rates import ends
from .unlearning_verdict import (
    ForgettingVerdict,
    allowed_distance,
    blindness,
    distances_from_the_middle,
    stricter,
    told_standing_out,
)

NO_MEASURE = (
    "The forget set's classes are not those of the other sets, so test records do not show how records look that were forgotten: "
    "give a retrained model, or sets with the same classes."
)


class PairedScores(NamedTuple):
    """Two models' scores of the same records: float[nf] and float[nt] each."""

    forget: NDArray[np.float64]
    test: NDArray[np.float64]
    retrained_forget: NDArray[np.float64]
    retrained_test: NDArray[np.float64]

    def difference(self, level: float) -> Estimate:
        """AUC(forget against test) on the unlearned model minus that on the retrained one."""
        return self._compared(np.concatenate(self[:2]), np.concatenate(self[2:]), level)

    def difference_of_spreads(self, level: float) -> Estimate:
        """The same of the distances from each model's middle score."""
        return self._compared(distances_from_the_middle(*self[:2]), distances_from_the_middle(*self[2:]), level)

    def _compared(self, ours: NDArray[np.float64], theirs: NDArray[np.float64], level: float) -> Estimate:
        return auc_difference(ours, theirs, np.arange(len(ours)) < len(self.forget), level)


def judge_beside_retrained(
    scores: PairedScores, attacker_auc: Estimate, attacker_gap: Estimate, margin: float, level: float = LEVEL
) -> ForgettingVerdict:
    """Compares the forget set with how a model treats it that was trained without it.

    As `judge_forgetting`, with the difference of two AUCs around 0 in the place of one around ½: "forgotten" also asks that the
    forget scores be spread as on the retrained model, and that hardly more of them stand out among test records than there. The
    intervals are over records; that the retrained model would come out otherwise with another seed is not in them.

    Args:
      scores: of both models.
      attacker_auc, attacker_gap, margin, level: see `judge_forgetting`.
    """
    blind = blindness(attacker_auc, attacker_gap)
    if blind is not None:
        return ForgettingVerdict("inconclusive", blind)
    limit = allowed_distance(attacker_auc, margin)
    difference, strict = scores.difference(level), scores.difference(1 - (1 - level) / 2)
    (low, high), (strict_low, strict_high) = ends(difference), ends(strict)
    seen = (
        f"The attacker's AUC on the forget set differs from that on a retrained model by {float(difference):+.3f} "
        f"[{low:+.3f}, {high:+.3f}]."
    )
    if strict_low > 0 and high > limit:
        return ForgettingVerdict("residual", f"Still remembered. {seen}")
    if strict_high < 0 and low < -limit:
        reason = f"Over-forgotten. {seen} The records can be told by being known worse (the Streisand effect)."
        return ForgettingVerdict("over-forgotten", reason)
    standing = standing_out_beside(*scores, limit)
    if standing is not None:
        told = told_standing_out(standing, len(scores.forget), len(scores.test))
        return ForgettingVerdict("residual", f"Some are still remembered. {seen} {told}")
    if not -limit <= low <= high <= limit:
        return ForgettingVerdict("inconclusive", f"Too few records to tell. {seen} Allowed would be ±{limit:.3f}.")
    spread = ends(scores.difference_of_spreads(stricter(level)))
    if spread[0] > limit or spread[1] < -limit:
        how = "more widely" if spread[0] > limit else "less widely"
        reason = f"Alike on average only. {seen} But they are spread {how} than on the retrained model: look at single records."
        return ForgettingVerdict("inconclusive", reason)
    reason = f"Forgotten. {seen} That is within ±{limit:.3f}, the most that this audit allows."
    return ForgettingVerdict("forgotten", reason)

"""Was it forgotten, where test records are no measure of that? A retrained model is."""

from __future__ import annotations

from .estimate import Estimate
from .unlearning_rates import ends
from .unlearning_verdict import ForgettingVerdict, allowed_distance, blindness

NO_MEASURE = (
    "The forget set's classes are not those of the other sets, so test records do not show how records look that were forgotten: "
    "give a retrained model, or sets with the same classes."
)


def judge_beside_retrained(
    difference: Estimate, strict: Estimate, attacker_auc: Estimate, attacker_gap: Estimate, margin: float
) -> ForgettingVerdict:
    """Compares the forget set with how a model treats it that was trained without it.

    As `judge_forgetting`, with the difference of two AUCs around 0 in the place of one around ½. The intervals are over records;
    that the retrained model would come out otherwise with another seed is not in them.

    Args:
      difference: AUC(forget against test) on the unlearned model minus that on the retrained one.
      strict: the same with half the error, for the claims that something is left, or too much gone.
      attacker_auc, attacker_gap: see `judge_forgetting`.
      margin: the largest difference allowed.
    """
    blind = blindness(attacker_auc, attacker_gap)
    if blind is not None:
        return ForgettingVerdict("inconclusive", blind)
    limit = allowed_distance(attacker_auc, margin)
    (low, high), (strict_low, strict_high) = ends(difference), ends(strict)
    seen = (
        f"The attacker's AUC on the forget set differs from that on a retrained model by {float(difference):+.3f} "
        f"[{low:+.3f}, {high:+.3f}]."
    )
    if -limit <= low and high <= limit:
        reason = f"Forgotten. {seen} That is within ±{limit:.3f}, the most that this audit allows."
        return ForgettingVerdict("forgotten", reason)
    if strict_low > 0:
        return ForgettingVerdict("residual", f"Still remembered. {seen}")
    if strict_high < 0:
        reason = f"Over-forgotten. {seen} The records can be told by being known worse (the Streisand effect)."
        return ForgettingVerdict("over-forgotten", reason)
    return ForgettingVerdict("inconclusive", f"Too few records to tell. {seen} Allowed would be ±{limit:.3f}.")

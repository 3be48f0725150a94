"""Was it forgotten? One word from the scores of the forget set, and the reason for it.

The attacker comes first: one who cannot tell retained records from test records proves nothing by not telling forgotten ones.
Then "forgotten" asks for equivalence, an interval within narrow limits around ½: not differing from ½ would be no proof, and
with few records it comes of itself. All this takes forget and test records to be exchangeable before training: drawn from one
pool. Where that does not hold (a whole class is forgotten), match their classes, or compare with a retrained model.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from .auc import auc
from .estimate import LEVEL, Estimate
from .roc import RocCurve
from .standing_out import StandingOut, standing_out
from .unlearning_rates import ends

VERDICTS = ("forgotten", "residual", "over-forgotten", "inconclusive")
MARGIN = 0.1
# Of what the attacker sees of retained records, the part that may be left in forgotten ones: an attacker whose AUC is .55 would
# find a margin of .1 kept by a model that forgot nothing.
_SHARE_LEFT = 0.25
# Of the intervals' error, the part that the claims "residual" and "over-forgotten" may use.
_SHARE_OF_ERROR = 0.2


@dataclass(frozen=True)
class ForgettingVerdict:
    """One word and what it rests on.

    Attributes:
      name: one of `VERDICTS`.
      reason: a sentence or two with the numbers.
      warnings: sentences on what the word does not say.
    """

    name: str
    reason: str
    warnings: tuple[str, ...] = ()


def judge_forgetting(
    forget: NDArray[np.float64],
    test: NDArray[np.float64],
    attacker_auc: Estimate,
    attacker_gap: Estimate,
    margin: float = MARGIN,
    level: float = LEVEL,
) -> ForgettingVerdict:
    """Compares the forget set with records that were never seen.

    "forgotten" if the interval of AUC(forget against test) lies within ½ ± limit, where the limit is `margin`, or a quarter of
    what the attacker is sure to see of retained records (the low end of its AUC, minus ½) if that is less. Else "residual" if the
    interval lies above ½, "over-forgotten" if it lies below. For these two claims the interval has a fifth of the error (level
    .99 in place of .95), so that on a forgotten set, however small, they come up in a hundredth of audits. What is left is
    "inconclusive", and so is every audit whose attacker is blind.

    An AUC of ½ may also come of records that are still remembered and others that stand out below. So "forgotten" asks, too,
    that the forget scores be spread like the test scores (an AUC of their distances from the common median), and that no more
    of them surpass all, or nearly all, test records than happens once or twice in a thousand audits (`standing_out`); if more
    do, they are a residual. A handful of remembered records among many shows in none of these numbers.

    Args:
      forget: float[nf], test: float[nt]; scores, higher = more member-like.
      attacker_auc: AUC(retained against test), with an interval.
      attacker_gap: TPR − FPR at the attacker's threshold, with an interval.
      margin: the largest limit around ½.
      level: confidence level of the intervals.
    """
    curve = _curve(forget, test)
    found, strict = auc(curve, level), auc(curve, stricter(level))
    blind = blindness(attacker_auc, attacker_gap)
    if blind is not None:
        return ForgettingVerdict("inconclusive", blind, _differing_all_the_same(strict))
    limit = allowed_distance(attacker_auc, margin)
    seen = (
        f"A forget record outscores a never-seen test record with probability {_text(found)}; had it never been trained on, that "
        f"would be 0.500, and of retained records it is {_text(attacker_auc)}."
    )
    standing = _standing_out(forget, test, limit)
    if 0.5 - limit <= ends(found)[0] and ends(found)[1] <= 0.5 + limit:
        return _like_test(forget, test, seen, limit, standing, level)
    if ends(strict)[1] < 0.5:
        reason = (
            f"Over-forgotten. {seen} The forget records are less member-like than records that were never seen, which tells them "
            "apart (the Streisand effect)."
        )
        return ForgettingVerdict("over-forgotten", reason, (standing,) if standing else ())
    if ends(strict)[0] > 0.5:
        left = 100 * (float(found) - 0.5) / (float(attacker_auc) - 0.5)
        reason = f"Still remembered. {seen} About {left:.0f} % of what the attacker sees of retained records is left."
        return ForgettingVerdict("residual", reason, _more_than_retained(found, attacker_auc))
    if standing:
        return ForgettingVerdict("residual", f"Some are still remembered. {seen} {standing}")
    return ForgettingVerdict("inconclusive", _too_few(found, attacker_auc, seen, limit, margin, forget.size, test.size))


def _like_test(
    forget: NDArray[np.float64],
    test: NDArray[np.float64],
    seen: str,
    limit: float,
    standing: str | None,
    level: float,
) -> ForgettingVerdict:
    """The verdict on a forget set that on average scores like the test set."""
    if standing:
        return ForgettingVerdict("residual", f"Some are still remembered. {seen} {standing}")
    distances = distances_from_the_middle(forget, test)
    spread = auc(_curve(distances[: forget.size], distances[forget.size :]), stricter(level))
    if ends(spread)[0] > 0.5 + limit or ends(spread)[1] < 0.5 - limit:
        how, as_if = (
            ("more widely", "some are remembered and others pushed below")
            if spread > 0.5
            else ("less widely", "unlearning gave them all nearly the same score")
        )
        reason = (
            f"Alike on average only. {seen} But the forget scores are spread {how} than the test scores, as if {as_if}: look at "
            "single records, or compare with a retrained model."
        )
        return ForgettingVerdict("inconclusive", reason)
    reason = (
        f"Forgotten, as far as this attacker sees. {seen} The whole interval lies within 0.500 ± {limit:.3f}, the most that this "
        "audit allows: the forget records cannot be told from records that were never seen."
    )
    return ForgettingVerdict("forgotten", reason)


def allowed_distance(attacker_auc: Estimate, margin: float) -> float:
    """How far from that of a forgotten set an AUC may lie: `margin`, or a quarter of what the attacker is sure to see if less."""
    return min(margin, _SHARE_LEFT * (ends(attacker_auc)[0] - 0.5))


def blindness(attacker_auc: Estimate, attacker_gap: Estimate) -> str | None:
    """Why the attacker proves nothing; None if it can tell retained records from test records."""
    seen = f"AUC {_text(attacker_auc)}, TPR − FPR {_text(attacker_gap)}"
    if ends(attacker_auc)[1] < 0.5:
        return (
            f"Retained records score lower than records that were never seen ({seen}), so nothing follows for the forget set: "
            "higher must mean more member-like; turn the sign of the scores if it does not, or use another attack."
        )
    if ends(attacker_auc)[0] <= 0.5 or ends(attacker_gap)[0] <= 0:
        return (
            f"The attacker cannot tell retained records from records that were never seen ({seen}), so nothing follows for the "
            "forget set: use a stronger attack or signal, or more records."
        )
    return None


def _too_few(
    found: Estimate, attacker_auc: Estimate, seen: str, limit: float, margin: float, forgets: int, tests: int
) -> str:
    reach = (ends(found)[1] - ends(found)[0]) / 2
    # With more records the limit tends to this. A reach of half of it shows a forgotten set to be so in 95 % of audits.
    final_limit = min(margin, _SHARE_LEFT * (float(attacker_auc) - 0.5))
    factor = max(1.5, (2 * reach / final_limit) ** 2)
    needed = [_rounded(factor * count) for count in (forgets, tests)]
    return (
        f"Too few records to tell. {seen} The interval neither lies within 0.500 ± {limit:.3f}, as it would have to for "
        '"forgotten", nor clearly on one side of 0.500. '
        f"About {needed[0]} forget and {needed[1]} test records would show whether it is forgotten."
    )


def _standing_out(forget: NDArray[np.float64], test: NDArray[np.float64], limit: float) -> str | None:
    found = standing_out(forget, test, limit)
    return None if found is None else told_standing_out(found, forget.size, test.size)


def told_standing_out(found: StandingOut, forgets: int, tests: int) -> str:
    """A sentence on the forget records that stand out."""
    below = (
        f"every one of {tests:,} test records"
        if found.rank == 1
        else f"all but {found.rank - 1:,} of {tests:,} test records"
    )
    why = "which happens by chance" if found.rank == 1 else "which an even shift within the limit would bring about"
    return f"{found.above:,} of {forgets:,} forget records score above {below}, {why} with probability {_small(found.by_chance)}."


def _small(probability: float) -> str:
    return f"{probability:.1g}" if probability > 1e-99 else "below 1e-99"


def _differing_all_the_same(strict: Estimate) -> tuple[str, ...]:
    if ends(strict)[0] <= 0.5 <= ends(strict)[1]:
        return ()
    return (
        f"Forget and test records differ all the same (AUC {_text(strict)}): they may not have been drawn from one pool, or "
        "unlearning marked them.",
    )


def _more_than_retained(found: Estimate, attacker_auc: Estimate) -> tuple[str, ...]:
    if ends(found)[0] <= ends(attacker_auc)[1]:
        return ()
    return (
        f"The forget set is more member-like (AUC {_text(found)}) than the retained records ({_text(attacker_auc)}): it may not "
        "have been drawn from the same pool as the test set.",
    )


def stricter(level: float) -> float:
    """The level of the claims "residual" and "over-forgotten" where the intervals have this one."""
    return 1 - _SHARE_OF_ERROR * (1 - level)


def _curve(forget: NDArray[np.float64], test: NDArray[np.float64]) -> RocCurve:
    return RocCurve.from_scores(np.concatenate([forget, test]), np.arange(forget.size + test.size) < forget.size)


def distances_from_the_middle(forget: NDArray[np.float64], test: NDArray[np.float64]) -> NDArray[np.float64]:
    """float[nf + nt]: of the forget scores, then the test scores, from their common median, in ranks."""
    ranks = stats.rankdata(np.concatenate([forget, test]))
    return np.abs(ranks - (ranks.size + 1) / 2)


def _rounded(count: float) -> str:
    """Upwards to two digits."""
    unit = 10 ** max(0, int(np.floor(np.log10(count))) - 1)
    return f"{int(np.ceil(count / unit)) * unit:,}"


def _text(estimate: Estimate) -> str:
    return f"{float(estimate):.3f} [{ends(estimate)[0]:.3f}, {ends(estimate)[1]:.3f}]"

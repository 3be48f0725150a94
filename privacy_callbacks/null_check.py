"""Members and non-members must look alike to a model that has not been trained."""

from __future__ import annotations

from collections.abc import Sequence

from privacy_callbacks.attacks.auc import auc
from privacy_callbacks.attacks.report import LeakageReport

NULL_CHECK_ERROR = 0.01


def null_check(untrained: Sequence[LeakageReport]) -> str | None:
    """A sentence if some attack tells the sides apart before training, which no leakage explains; else None.

    It fires for at most 1 % of experiments whose sides do come from one distribution (Bonferroni over the attacks).
    """
    level = 1 - NULL_CHECK_ERROR / max(1, len(untrained))
    for report in untrained:
        if report.folds > 1:  # its curve joins two attackers'; its p-value holds
            if report.p_value is not None and report.p_value <= 1 - level:
                return _alarm(report.attack, f"{report.auc:.3f} (p = {report.p_value:.2g})")
            continue
        value = None if report.roc is None else auc(report.roc, level)
        if value is None or value.low is None or value.high is None or value.low <= 0.5 <= value.high:
            continue
        interval = f"{value:.3f} [{value.low:.3f}, {value.high:.3f}] ({100 * level:.4g} %)"
        return _alarm(report.attack, interval)
    return None


def _alarm(attack: str, auc: str) -> str:
    return (
        f"before any training the attack {attack!r} already has AUC {auc}, so either these weights have seen the members "
        "before, or the two sides differ by themselves and part of every later number is that difference, not leakage: then "
        "draw both sides at random from one pool."
    )

"""What a report means, for somebody who decides and does not read ROC curves."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .estimate import Estimate
from .interval_text import in_percent, is_rate

if TYPE_CHECKING:
    from .report import LeakageReport

_COIN = 0.5
# The rate that attacks are compared by comes first; the others speak where it was refused, or where they alone show something.
_FALSE_ALARMS = {
    0.01: "one false alarm in a hundred",
    0.1: "one false alarm in ten",
    0.001: "one false alarm in a thousand",
}
_PAIR = "shown one training record and one other"


def in_words(report: LeakageReport) -> str:
    """One to three sentences: what an attacker achieves, how sure that is, and what guessing would achieve.

    A leak is said to be there if the interval of the AUC lies above ½. That none can be shown is never called safe.
    """
    moment = ["before this training"] if report.step == -1 else []
    among = [] if report.slice == "entire" else [f"among {_one_line(report.slice)}"]
    where, said = ", ".join([*moment, *among]), _said(report)
    return f"{_capital(where)}: {said[0].lower()}{said[1:]}" if where else said


def _said(report: LeakageReport) -> str:
    auc, name = report.auc, _one_line(report.attack)
    if auc is None or not is_rate(auc):
        reason = (
            "its AUC is no number from 0 to 1"
            if auc is not None
            else next(iter(report.warnings), "no reason was given")
        )
        return f"The attack {name} gave no result, so it tells nothing: {_closed(reason)}"
    if report.void is not None:
        return f"Nothing can be concluded from the attack {name}, whatever its numbers say: {_closed(report.void)}"
    who = f"an attacker ({name})"
    right = f"the training record {_rate(auc, 'of the time', _COIN, 'a coin')}"
    if auc.low is None or auc.high is None:
        return f"{_capital(_PAIR)}, {who} picks {right}. How sure that is was not computed."
    if auc.low > _COIN:
        return f"{_capital(_PAIR)}, {who} picks {right}. {_capital(_at_few_false_alarms(report))}"
    if auc.high < _COIN:
        return (
            f"{_capital(who)} does worse than guessing: {_PAIR}, they pick {right}. Answering the other way round would do "
            "better: the two sides may differ in something else than training, or the signal points the wrong way."
        )
    alone = _rate_above_guessing(report)
    if alone is not None:
        return (
            f"On the whole it cannot be shown that {who} does better than guessing: {_PAIR}, they pick {right}. But some "
            f"records stand out: {_recognised(report, alone)}"
        )
    return (
        f"It cannot be shown that {who} does better than guessing: {_PAIR}, they pick {right}. That is no proof that nothing "
        "leaks."
    )


def _rate(estimate: Estimate, of_what: str, reference: float, guesser: str) -> str:
    """`61 % of the time (59 % to 63 %; a coin: 50 %)`."""
    value, low, high = in_percent(estimate, reference)
    interval = "" if low is None or high is None else f"{low} to {high}; "
    return f"{value} {of_what} ({interval}{guesser}: {100 * reference:g} %)"


def _at_few_false_alarms(report: LeakageReport) -> str:
    known = next((fpr for fpr in _FALSE_ALARMS if _known(report, fpr) is not None), None)
    if known is None:
        return "how many training records they recognise at few false alarms, too few records were audited to say."
    return _recognised(report, known)


def _recognised(report: LeakageReport, fpr: float) -> str:
    estimate = _known(report, fpr)
    assert estimate is not None
    return (
        f"allowed {_FALSE_ALARMS[fpr]}, they recognise {_rate(estimate, 'of the training records', fpr, 'guessing')}."
    )


def _rate_above_guessing(report: LeakageReport) -> float | None:
    """A false positive rate at which the attack surely finds more than guessing does; None if there is none."""
    for fpr in _FALSE_ALARMS:
        estimate = _known(report, fpr)
        if estimate is not None and estimate.low is not None and estimate.low > fpr:
            return fpr
    return None


def _known(report: LeakageReport, fpr: float) -> Estimate | None:
    estimate = report.tpr_at_fpr.get(fpr)
    return estimate if is_rate(estimate) else None


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _closed(text: str) -> str:
    line = _one_line(text)
    return line if line.endswith((".", "!", "?", ".)")) else f"{line}."

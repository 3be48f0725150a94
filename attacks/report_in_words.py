"""What a report means, for somebody who decides and does not read ROC curves."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from .estimate import Estimate
from .interval_text import in_percent, is_rate
from .low_fpr import low_fpr_name

if TYPE_CHECKING:
    from .report import LeakageReport

_COIN = 0.5
# The rate that attacks are compared by comes first; the others speak where it was refused, or where they alone show something.
_FALSE_ALARMS = {
    0.01: "one false alarm in a hundred",
    0.1: "one false alarm in ten",
    0.001: "one false alarm in a thousand",
}
# A note that begins so says that truth is not the records' own membership.
TRUTH_BY_RANGE = "truth by range"
# And these say which sets of an unlearning take the places of members and non-members.
FORGET_FOR_MEMBERS = "the forget set stands for the members"
RETAIN_FOR_MEMBERS = "the retain set stands for the members"


class _Asked(NamedTuple):
    """How to speak of what an attacker is asked about.

    Attributes:
      pair: what they are shown.
      right: which of both they should pick.
      these: all that they should pick.
    """

    pair: str
    right: str
    these: str


_RECORDS = _Asked("shown one training record and one other", "the training record", "training records")
_RANGES = _Asked(
    "shown a range around a training record and one around none",
    "the one that holds it",
    "ranges that hold a training record",
)

_FORGOTTEN = _Asked(
    "shown one record that was to be forgotten and one never seen", "the one to be forgotten", "records to be forgotten"
)
_KEPT = _Asked("shown one kept record and one never seen", "the kept one", "kept records")
_BY_NOTE = {TRUTH_BY_RANGE: _RANGES, FORGET_FOR_MEMBERS: _FORGOTTEN, RETAIN_FOR_MEMBERS: _KEPT}


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
    asked = _asked(report)
    who, pair = f"an attacker ({name})", asked.pair
    right = f"{asked.right} {_rate(auc, 'of the time', _COIN, 'a coin')}"
    if auc.low is None or auc.high is None:
        return f"{_capital(pair)}, {who} picks {right}. How sure that is was not computed."
    if auc.low > _COIN:
        return f"{_capital(pair)}, {who} picks {right}. {_capital(_at_few_false_alarms(report))}"
    alone = _rate_above_guessing(report)
    some = "" if alone is None else f" But some stand out: {_recognised(report, alone)}"
    if auc.high < _COIN:
        return (
            f"{_capital(who)} does worse than guessing: {pair}, they pick {right}. Answering the other way round would do "
            f"better: the two sides may differ in something else than training, or the signal points the wrong way.{some}"
        )
    if some:
        return f"On the whole it cannot be shown that {who} does better than guessing: {pair}, they pick {right}.{some}"
    return (
        f"It cannot be shown that {who} does better than guessing: {pair}, they pick {right}. That is no proof that nothing "
        "leaks."
    )


def _asked(report: LeakageReport) -> _Asked:
    """What the report's notes say that members are; records, if they say nothing."""
    found = (asked for note in report.notes for begin, asked in _BY_NOTE.items() if note.startswith(begin))
    return next(found, _RECORDS)


def _rate(estimate: Estimate, of_what: str, reference: float, guesser: str) -> str:
    """`61 % of the time (59 % to 63 %; a coin: 50 %)`."""
    value, low, high = in_percent(estimate, reference)
    interval = "" if low is None or high is None else f"{low} to {high}; "
    return f"{value} {of_what} ({interval}{guesser}: {100 * reference:g} %)"


def _at_few_false_alarms(report: LeakageReport) -> str:
    known = next((fpr for fpr in _FALSE_ALARMS if _known(report, fpr) is not None), None)
    if known is None:
        refusal = report.refusals.get(low_fpr_name(next(iter(_FALSE_ALARMS))), "was not computed")
        return f"how many {_asked(report).these} they recognise at few false alarms is not known: {_closed(refusal)}"
    return _recognised(report, known)


def _recognised(report: LeakageReport, fpr: float) -> str:
    estimate = _known(report, fpr)
    assert estimate is not None
    return f"allowed {_FALSE_ALARMS[fpr]}, they recognise {_rate(estimate, f'of the {_asked(report).these}', fpr, 'guessing')}."


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

"""Rates and their intervals as text that claims no more than the numbers do.

Ends are rounded outwards, so the value never lies outside of what is printed; nothing is printed as 0 or 100 % that is not
exactly so; and an end on one side of a reference stays on that side.
"""

from __future__ import annotations

from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import NamedTuple

from .estimate import Estimate

_MOST_DIGITS = 2


class IntervalText(NamedTuple):
    """A rate in words; an end is None where there is none."""

    value: str
    low: str | None
    high: str | None


def in_percent(estimate: Estimate, reference: float) -> IntervalText:
    """A rate as a percentage, in the fewest decimals (up to two) that keep the three promises above; else in words.

    Args:
      estimate: of a rate, see `is_rate`.
      reference: what guessing reaches, in [0, 1].
    """
    for digits in range(_MOST_DIGITS + 1):
        shown = _shown(estimate, digits, reference)
        if not any(_word(number, rate, reference, side) for number, rate, side in shown):
            return _texts(shown, reference)
    return _texts(_shown(estimate, 1, reference), reference)


def in_figures(estimate: Estimate) -> str:
    """A rate in three decimals, with its interval if it has one: `0.614 [0.592, 0.637]`; never rounded to 0 or 1."""
    if not is_rate(estimate):
        return "no number"
    value, *ends = [_figure(rate, mode) for rate, mode in _parts(estimate)]
    return f"{value} [{', '.join(ends)}]" if ends else value


def is_rate(number: float | None) -> bool:
    """True for a number from 0 to 1; a report read from a file may hold anything."""
    return number is not None and 0 <= number <= 1


class _Shown(NamedTuple):
    """A number in percent as it would be printed, what it really is, and the side of the reference that it must be seen on."""

    number: Decimal
    rate: float
    side: str


def _parts(estimate: Estimate) -> list[tuple[float, str]]:
    """(rate, rounding) of the value and, if there are two, the ends."""
    rates = [(float(estimate), ROUND_HALF_EVEN)]
    low, high = estimate.low, estimate.high
    if low is not None and high is not None and is_rate(low) and is_rate(high):
        rates += [(low, ROUND_FLOOR), (high, ROUND_CEILING)]
    return [(rate + 0.0, mode) for rate, mode in rates]  # -0.0 is 0


def _shown(estimate: Estimate, digits: int, reference: float) -> list[_Shown]:
    parts = _parts(estimate)
    low, high = [rate for rate, _ in parts[1:]] or (reference, reference)
    # The value, too, stays on the side on which its whole interval lies.
    sides = ["above" if low > reference else "below" if high < reference else "", "above", "below"]
    numbers = [_rounded(rate, mode, digits, 2) for rate, mode in parts]
    return [_Shown(number, rate, side) for number, (rate, _), side in zip(numbers, parts, sides, strict=False)]


def _rounded(rate: float, mode: str, digits: int, places: int) -> Decimal:
    # From the shortest decimal that means this float: 0.59 is 59 %, not 58.99… %.
    return Decimal(repr(rate)).scaleb(places).quantize(Decimal(1).scaleb(-digits), mode)


def _word(number: Decimal, rate: float, reference: float, side: str) -> str | None:
    """What to say instead of a number that would say too much; None if it may stand."""
    if number >= 100 and rate < 1:
        return "more than 99.9 %"
    if number <= 0 and rate > 0:
        return "less than 0.1 %"
    guessing = Decimal(repr(reference)).scaleb(2)
    if side == "above" and rate > reference and number <= guessing:
        return f"just over {guessing.normalize():f} %"
    if side == "below" and rate < reference and number >= guessing:
        return f"just under {guessing.normalize():f} %"
    return None


def _texts(shown: list[_Shown], reference: float) -> IntervalText:
    value, *ends = [_word(number, rate, reference, side) or _percent(number, rate) for number, rate, side in shown]
    return IntervalText(value, *ends) if ends else IntervalText(value, None, None)


def _percent(number: Decimal, rate: float) -> str:
    return f"{100 * rate:g} %" if rate in (0.0, 1.0) else f"{number:f} %"


def _figure(rate: float, mode: str) -> str:
    number = _rounded(rate, mode, 3, 0)
    if number >= 1 and rate < 1:
        return ">0.999"
    return "<0.001" if number <= 0 and rate > 0 else f"{number:f}"

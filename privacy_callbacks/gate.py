"""Is leakage surely within limits? What `privacy-audit check` and the pytest fixture decide by.

A gate passes what is shown to be small, so it looks at the upper end of an interval; `limits` of a configuration and
`LeakageLimit`, which interrupt or blame, look at the lower one.
"""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from privacy_callbacks.attacks.report import LeakageReport

ENTIRE = "entire"
_EPSILONS = ("epsilon_lower_bound", "epsilon_estimate")


@dataclass(frozen=True)
class Limit:
    """The most leakage to accept.

    Attributes:
      metric: a name of `LeakageReport.estimates`, `epsilon_lower_bound` or `epsilon_estimate`.
      maximum: what passes at most.
      attack: which attack it is about; None = every one.
    """

    metric: str
    maximum: float
    attack: str | None = None

    def __str__(self) -> str:
        return f"{'' if self.attack is None else f'{self.attack}.'}{self.metric} <= {self.maximum:g}"


@dataclass(frozen=True)
class Judgement:
    """What a limit says of a report.

    Attributes:
      limit: the limit.
      source: where the report comes from.
      attack, slice, step: what it is about; step counts from 0, −1 = before training, None = at no epoch's end.
      passed: True if leakage is within the limit; None for a slice too small to judge, which stops nobody.
      words: why, with the figure.
      value, low, high: of the metric; None where there is none.
    """

    limit: Limit
    source: str
    attack: str
    slice: str
    step: int | None
    passed: bool | None
    words: str
    value: float | None = None
    low: float | None = None
    high: float | None = None

    @property
    def title(self) -> str:
        """Which figure of which report."""
        part = "" if self.slice == ENTIRE else f" on {self.slice}"
        after = "" if self.step is None else " before training" if self.step < 0 else f" after epoch {self.step + 1}"
        return f"{self.attack}{part}{after}: {self.limit.metric}"


def parse_limit(text: str) -> Limit:
    """The limit in `auc=0.6` or `lira.tpr_at_fpr_1e-2=0.03`.

    Raises:
      ValueError: if it is none.
    """
    name, equals, number = (part.strip() for part in text.rpartition("="))
    attack, _, metric = name.rpartition(".")
    try:
        maximum = float(number)
    except ValueError:
        maximum = math.nan
    if not equals or not metric or not math.isfinite(maximum):
        raise ValueError(f"the limit is {text!r}; give METRIC=NUMBER or ATTACK.METRIC=NUMBER, such as lira.auc=0.6.")
    return Limit(metric, maximum, attack or None)


def newest_reports(reports: Iterable[LeakageReport]) -> list[LeakageReport]:
    """Of each attack the reports of its newest audit, on all records and on slices, in their order."""
    listed = list(reports)
    newest: dict[str, float] = {}
    for report in listed:
        newest[report.attack] = max(newest.get(report.attack, -math.inf), _moment(report))
    return [report for report in listed if _moment(report) == newest[report.attack]]


def judge(
    reports: Mapping[str, Sequence[LeakageReport]],
    limits: Sequence[Limit],
    *,
    lenient: bool = False,
    slices: bool = False,
) -> list[Judgement]:
    """What limits say of reports.

    Of a metric with an interval its upper end is compared with the limit, of one without (the advantage, which is a maximum) its
    value. What was refused, failed, is NaN, or comes from records of which no leak can be told does not pass: nobody knows.

    Args:
      reports: by where they come from.
      limits: at least one.
      lenient: compare values, not upper ends.
      slices: judge slices, too. Those too small for a metric are told and stop nobody.
    Returns:
      A judgement for each limit and report that it is about, limit by limit.
    Raises:
      ValueError: if there is nothing to judge, or a limit is about an attack or a metric that no report has.
    """
    listed = [(source, report) for source, several in reports.items() for report in several]
    asked = [(source, report) for source, report in listed if slices or report.slice == ENTIRE]
    if not asked or not limits:
        raise ValueError(
            "there is no report to judge." if not asked else "there is no limit; give --max METRIC=NUMBER."
        )
    _check_names(limits, [report for _, report in asked])
    return [
        _judged(limit, source, report, lenient)
        for limit in limits
        for source, report in asked
        if limit.attack in (None, report.attack) and _is_about(limit, report)
    ]


def _judged(limit: Limit, source: str, report: LeakageReport, lenient: bool) -> Judgement:
    def found(passed: bool | None, words: str, *figures: float | None) -> Judgement:
        return Judgement(limit, source, report.attack, report.slice, report.step, passed, words, *figures)

    if limit.metric in _EPSILONS:
        assert report.epsilon is not None
        best = float(report.epsilon.best)
        what = "shown at least, which proves no more" if limit.metric == _EPSILONS[0] else "an estimate"
        return found(best <= limit.maximum, f"{best:.3g}, {what}; limit {limit.maximum:g}", best, best, None)
    estimate = report.estimates().get(limit.metric)
    if estimate is None or math.isnan(estimate) or report.void is not None:
        small = report.slice != ENTIRE and report.void is None
        reason = report.void or report.refusals.get(limit.metric) or next(iter(report.warnings), "it was not computed")
        return found(None if small else False, f"cannot be judged: {reason}")
    value, low, high = float(estimate), estimate.low, estimate.high
    figure = f"{value:.4g}" if low is None or high is None else f"{value:.4g} [{low:.4g}, {high:.4g}]"
    compared = value if lenient or high is None else high
    passed = compared <= limit.maximum
    what = "its upper end" if compared is high and not lenient and high is not None else "its value"
    verb = "is within" if passed else "exceeds"
    by = "" if passed else f" by {compared - limit.maximum:.3g}"
    return found(passed, f"{figure}; {what} {verb} {limit.maximum:g}{by}", value, low, high)


def _is_about(limit: Limit, report: LeakageReport) -> bool:
    """ε stands in the headline attack's report alone."""
    return limit.metric not in _EPSILONS or (report.epsilon is not None and report.epsilon.name == limit.metric)


def _check_names(limits: Sequence[Limit], reports: Sequence[LeakageReport]) -> None:
    attacks = list(dict.fromkeys(report.attack for report in reports))
    metrics = list(dict.fromkeys(name for report in reports for name in _metrics(report)))
    for limit in limits:
        for what, given, known in (("attack", limit.attack, attacks), ("metric", limit.metric, metrics)):
            if given is not None and given not in known:
                near = difflib.get_close_matches(given, known, 1)
                hint = f"did you mean {near[0]}? " if near else ""
                raise ValueError(f"no report has the {what} {given!r}; {hint}known are {', '.join(known)}.")


def _metrics(report: LeakageReport) -> Iterator[str]:
    yield from report.estimates()
    if report.epsilon is not None:
        yield report.epsilon.name


def _moment(report: LeakageReport) -> float:
    return math.inf if report.step is None else report.step

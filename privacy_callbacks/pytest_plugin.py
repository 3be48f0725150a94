"""For pytest: the fixture `assert_private`, which fails a test whose model may leak more than its limits.

Every pytest run on a machine where the package is installed imports this module, so it imports nothing but pytest itself;
NumPy and TensorFlow come with the first assertion.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping, Sequence
from numbers import Real
from typing import TYPE_CHECKING, Any, Protocol

import pytest

if TYPE_CHECKING:
    from privacy_callbacks.attacks.report import LeakageReport

    from .gate import Judgement, Limit

_PREFIX = "max_"
_MOST_LINES = 20
_ENTIRE = "entire"
_HOW_TO_READ = (
    "brackets hold confidence intervals. Guessing gives an auc and a balanced_accuracy of 0.5, a tpr_at_fpr as large as "
    "the rate in its name, and 0 of everything else."
)


class AssertPrivate(Protocol):
    """What the fixture gives a test; see `assert_private`."""

    def __call__(
        self,
        model: Any,
        members: Any,
        nonmembers: Any = None,
        *,
        max_auc: float | None = None,
        max_advantage: float | None = None,
        max_youden_j: float | None = None,
        max_tpr_at_fpr_1e_2: float | None = None,
        attacks: Any = None,
        shadow_models: Any = None,
        audit_size: int = 2_000,
        seed: int = 0,
        lenient: bool = False,
        **further: Any,
    ) -> list[LeakageReport]: ...


@pytest.fixture
def assert_private(request: pytest.FixtureRequest) -> AssertPrivate:
    """assert_private(model, members, nonmembers, max_auc=0.6): audits a model and fails if it may leak more than the limits.

    A limit holds if the upper end of the metric's interval does not exceed it, in each attack's report; of a metric without an
    interval (the advantage) the value is compared. What was refused, failed, or comes from records of which no leak can be told
    fails, too. Of slices, if they are asked for, those too small to judge are passed over.

    Args:
      model, members, nonmembers, attacks, shadow_models, audit_size, seed: as for `privacy_callbacks.audit`.
      max_<metric>: the most to accept, at least one: `max_auc`, `max_advantage`, `max_youden_j`, `max_tpr_at_fpr_1e_2`, or of any
        other number of `LeakageReport.estimates`, or `max_epsilon_lower_bound` with `epsilon=`.
      lenient: compare values, not upper ends.
      further: other limits, and other arguments of `audit`.
    Returns:
      The reports, when all limits hold; figures also become properties of the test, which JUnit files show.
    Raises:
      AssertionError: if a limit does not hold: which attack, the figure, why, and what to do.
      TypeError: if no limit is given, or one is of an unknown metric or no number; before the audit.
    """

    def check(
        model: Any, members: Any, nonmembers: Any = None, *, lenient: bool = False, **further: Any
    ) -> list[LeakageReport]:
        __tracebackhide__ = True  # a test's author looks at the test
        limits, arguments = _limits_and_arguments(further)
        reports, doubts = _audited(model, members, nonmembers, arguments)
        judgements = _judged(reports, limits, lenient, arguments.get("slices") is not None)
        request.node.user_properties.extend((one.title, one.words) for one in judgements)
        if any(one.passed is False for one in judgements):
            raise AssertionError(_explained(judgements, reports, lenient))
        for doubt in doubts:  # afterwards: where warnings are errors, a leak must not hide behind one
            warnings.warn(doubt.message, doubt.category, stacklevel=2)
        return reports

    return check


def _limits_and_arguments(given: Mapping[str, Any]) -> tuple[list[Limit], dict[str, Any]]:
    """What `max_<metric>=` asks for, and the other arguments.

    Raises:
      TypeError: if there is no limit, or one cannot be.
    """
    __tracebackhide__ = True
    import difflib

    from .gate import Limit

    known = _known_limits()
    asked = {name: value for name, value in given.items() if name.startswith(_PREFIX) and value is not None}
    for name, value in asked.items():
        if name not in known:
            near = difflib.get_close_matches(name, known, 1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise TypeError(f"assert_private has no limit {name}; {hint}known are {', '.join(known)}.")
        if isinstance(value, bool) or not isinstance(value, Real) or not math.isfinite(value):
            raise TypeError(f"{name} is {value!r}; give the most leakage to accept as a number, such as max_auc=0.6.")
    if not asked:
        raise TypeError(
            "assert_private was given no limit; give at least one, such as max_auc=0.6 or max_tpr_at_fpr_1e_2=0.03."
        )
    if given.get("epsilon") is None and (needless := [name for name in asked if name.startswith("max_epsilon")]):
        raise TypeError(f"{needless[0]} limits what an audit of ε says; give epsilon=EpsilonAudit(...), too.")
    arguments = {name: value for name, value in given.items() if not name.startswith(_PREFIX)}
    return [Limit(known[name], float(value)) for name, value in asked.items()], arguments


def _known_limits() -> dict[str, str]:
    """Metrics by the names of their limits: `max_tpr_at_fpr_1e_2` is that of `tpr_at_fpr_1e-2`."""
    from privacy_callbacks.attacks.report import LeakageReport

    metrics = [*LeakageReport("").estimates(), "epsilon_lower_bound", "epsilon_estimate"]
    return {_PREFIX + metric.replace("-", "_"): metric for metric in metrics}


def _audited(
    model: Any, members: Any, nonmembers: Any, arguments: Mapping[str, Any]
) -> tuple[list[LeakageReport], list[warnings.WarningMessage]]:
    """The audit's reports, and its warnings held back."""
    __tracebackhide__ = True
    from privacy_callbacks.attacks.audit_warning import AuditWarning

    from .after_the_fact import audit

    with warnings.catch_warnings(record=True) as doubts:
        warnings.simplefilter("always", AuditWarning)
        reports = audit(model, members, nonmembers, **{"verbose": 0, **arguments})
    return reports, doubts


def _judged(reports: Sequence[LeakageReport], limits: Sequence[Limit], lenient: bool, slices: bool) -> list[Judgement]:
    from .gate import judge

    return judge({"audit": reports}, limits, lenient=lenient, slices=slices)


def _explained(judgements: Sequence[Judgement], reports: Sequence[LeakageReport], lenient: bool) -> str:
    """The message of a failed assertion."""
    from .printable import printable

    broken = [one for one in judgements if one.passed is False]
    found = _lines(broken)
    doubts = dict.fromkeys(sentence for report in reports for sentence in report.warnings)
    further = [doubt for doubt in doubts if not any(doubt in line for line in found)]
    lines = [f"{len(broken)} of {len(judgements)} limits on leakage are not {'kept' if lenient else 'surely kept'}:"]
    lines += [*_indented(found), f"How to read: {_HOW_TO_READ}"]
    lines += ["Doubts about the audit:", *_indented(further)] if further else []
    lines += ["What to do:", *_indented(_advice(broken, reports))]
    return "\n".join(printable(line) for line in lines)


def _lines(broken: Sequence[Judgement]) -> list[str]:
    """A line for each figure; attacks that found the same share one."""
    attacks: dict[tuple[Limit, str, str], list[str]] = {}
    for one in broken:
        attacks.setdefault((one.limit, one.slice, one.words), []).append(one.attack)
    return [
        f"{', '.join(names)}{'' if part == _ENTIRE else f' on {part}'}: {limit.metric}  {words}"
        for (limit, part, words), names in attacks.items()
    ]


def _indented(lines: Sequence[str]) -> list[str]:
    more = [f"and {len(lines) - _MOST_LINES} more"] if len(lines) > _MOST_LINES else []
    return [f"  {line}" for line in [*lines[:_MOST_LINES], *more]]


def _advice(broken: Sequence[Judgement], reports: Sequence[LeakageReport]) -> list[str]:
    """A sentence for each kind of failure that is there."""
    above = [one for one in broken if one.value is not None and one.value > one.limit.maximum]
    unsure = [one for one in broken if one.value is not None and one.value <= one.limit.maximum]
    found = []
    if above:
        found.append(
            "Where the value lies above its limit: train for fewer epochs, with more regularisation, more data or "
            "differential privacy; or accept more."
        )
    if unsure:
        report = _report_of(unsure[0], reports)
        found.append(
            f"Where only the upper end does: {report.num_members:,} members and {report.num_nonmembers:,} non-members are too "
            "few to show that the model keeps the limit; give more records and a larger audit_size=, or compare values "
            "alone with lenient=True."
        )
    if len(above) + len(unsure) < len(broken):
        found.append("What cannot be judged does not pass: remove the reason, or the limit.")
    return [*found, *_below_null_levels(broken, reports)]


def _below_null_levels(broken: Sequence[Judgement], reports: Sequence[LeakageReport]) -> list[str]:
    """A sentence for each metric whose limit is less than an audit finds where nothing leaks."""
    found = {}
    for one in broken:
        estimate = _report_of(one, reports).estimates().get(one.limit.metric)
        level = None if estimate is None else estimate.null_level
        if level is not None and one.limit.maximum < level:
            found[one.limit.metric] = (
                f"The limit of {one.limit.metric} is too small for this audit, which may find {level:.3g} where nothing leaks: "
                "give one above that, or more records."
            )
    return list(found.values())


def _report_of(judgement: Judgement, reports: Sequence[LeakageReport]) -> LeakageReport:
    return next(one for one in reports if (one.attack, one.slice) == (judgement.attack, judgement.slice))

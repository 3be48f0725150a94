"""What the scores of one attack say about an unlearned model: how much it forgot, what perfect forgetting gives, a verdict."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from . import plain_fields as plain
from .auc import auc
from .estimate import LEVEL, Estimate, check_level
from .roc import RocCurve
from .unlearning_rates import check_values, complement, gap, held_out_rates, least_records, ratio, share_between
from .unlearning_verdict import MARGIN, VERDICTS, judge_forgetting

SCHEMA_VERSION = 1


@dataclass(frozen=True, repr=False, eq=False)
class UnlearningReport:
    """How the forget set scores, beside what records score that the model never saw.

    Rates belong to the attacker's threshold, which was learned on one half of the retained and test records and judged on the
    other: intervals cover what the population has at that very threshold. A refused number is None and `refusals` says why.

    Attributes:
      mia_efficacy: the share of forget records called non-members. Perfect forgetting gives `efficacy_floor`, not 1.
      psi: forget_rate / tpr. Perfect forgetting gives `psi_floor`, not 0.
      forgetting: (tpr − forget_rate) / (tpr − fpr): 0 = nothing forgotten, 1 = like never seen, above 1 = over-forgotten.
      forget_auc: the probability that a forget record outscores a test record; ½ = like never seen.
      efficacy_floor: the share of test records called non-members.
      psi_floor: fpr / tpr.
      attacker_auc: the probability that a retained record outscores a test record: what there was to forget.
      attacker_gap: tpr − fpr.
      tpr, fpr, forget_rate: the shares of retained, test and forget records called members.
      verdict: "forgotten", "residual", "over-forgotten" or "inconclusive"; see `judge_forgetting`.
      reason: why, in a sentence or two with the numbers.
      counts: how many records were given, by "retain", "forget", "test".
      level: the confidence level of every interval.
      margin: how far from ½ the AUC of a forgotten set may lie at most.
      threshold: the attacker's; scores at or above it are called members.
      warnings: sentences on what the numbers do not say.
      refusals: the reason why a number is None, by its name.
    """

    mia_efficacy: Estimate
    psi: Estimate | None
    forgetting: Estimate | None
    forget_auc: Estimate
    efficacy_floor: Estimate
    psi_floor: Estimate | None
    attacker_auc: Estimate
    attacker_gap: Estimate
    tpr: Estimate
    fpr: Estimate
    forget_rate: Estimate
    verdict: str
    reason: str
    counts: Mapping[str, int]
    level: float = LEVEL
    margin: float = MARGIN
    threshold: float = np.nan
    warnings: tuple[str, ...] = ()
    refusals: Mapping[str, str] = field(default_factory=dict)

    def estimates(self) -> dict[str, Estimate | None]:
        """Every number by its name; None where refused."""
        return {spec.name: getattr(self, spec.name) for spec in fields(self) if "Estimate" in str(spec.type)}

    def to_dict(self) -> dict[str, Any]:
        """The report in plain types that JSON can hold; a number that is not finite is a string."""
        numbers = {name: None if found is None else found.to_dict() for name, found in self.estimates().items()}
        others = {spec.name: getattr(self, spec.name) for spec in fields(self) if spec.name not in numbers}
        return plain.of({"schema_version": SCHEMA_VERSION, **numbers, **others})

    def to_json(self, indent: int | None = None) -> str:
        """The report as strict JSON; `from_json` gives every number back bit for bit."""
        return json.dumps(self.to_dict(), indent=indent, allow_nan=False)

    @classmethod
    def from_dict(cls, mapping: Mapping[str, Any]) -> UnlearningReport:
        """The report that `to_dict` described.

        Raises:
          ValueError: if the version is newer, or a field is missing or holds something else than it should.
        """
        held = plain.mapping(mapping, "unlearning report")
        plain.schema_version(held, SCHEMA_VERSION, "unlearning report")
        numbers = {
            spec.name: plain.or_none(Estimate.from_dict) if "None" in str(spec.type) else Estimate.from_dict
            for spec in fields(cls)
            if "Estimate" in str(spec.type)
        }
        readers: dict[str, Callable[[Any], Any]] = {
            **numbers,
            "verdict": _verdict,
            "reason": plain.text,
            "counts": _counts,
            "level": plain.number,
            "margin": plain.number,
            "threshold": plain.number,
            "warnings": plain.texts,
            "refusals": plain.texts_by_name,
        }
        return cls(**{name: plain.field(held, name, read, "unlearning report") for name, read in readers.items()})

    @classmethod
    def from_json(cls, text: str) -> UnlearningReport:
        """The report that `to_json` wrote.

        Raises:
          ValueError: if it is no JSON, or as `from_dict`.
        """
        return cls.from_dict(plain.parsed(text, "the text"))

    def __repr__(self) -> str:
        sides = ", ".join(f"{count:,} {side}" for side, count in self.counts.items())
        return f"<UnlearningReport {self.verdict!r}: forget AUC {self.forget_auc!r}; {sides}>"

    def summary(self) -> str:
        """A small table to read; it shows itself at a prompt and prints as it is."""
        return _Table("\n".join(_lines(self)))


def unlearning_report(
    retain: ArrayLike,
    forget: ArrayLike,
    test: ArrayLike,
    level: float = LEVEL,
    seed: int = 0,
    *,
    margin: float = MARGIN,
) -> UnlearningReport:
    """Judges the unlearning from scores that one attack gave on the unlearned model.

    The attacker's threshold maximises TPR − FPR on one random half of retain and test; all rates come from the other half and
    the whole forget set. AUCs need no threshold and use all records. With 1,000 records a side and an attacker of AUC .76, the
    verdict was right in 98 % or more of simulated audits of each kind: all, none, half forgotten, over-forgotten. With
    100 it is mostly "inconclusive", and else wrong in at most 5 %.

    Args:
      retain: float[nr], scores of records that the model was trained on and shall know; higher = more member-like. If the attack
        was itself fitted to records, none of those.
      forget: float[nf], of the records that were to be forgotten.
      test: float[nt], of records that were never seen, from the pool that the forget records came from.
      level: confidence level of every interval.
      seed: decides the halves.
      margin: in (0, ½): see `judge_forgetting`.
    Raises:
      ValueError: on NaN, other shapes, a level or margin out of range, or too few records: at least 20 of retain and test and
        10 of forget, more at levels beyond .99.
    Source: MIA-efficacy: Jia et al. 2023, arXiv:2304.04934. The floors, the forgetting that they normalise and the verdict are
      ours.
    """
    check_level(level)
    check_margin(margin)
    least = least_records(level)
    kept, seen_never = check_values("retain", retain, 2 * least), check_values("test", test, 2 * least)
    forgotten = check_values("forget", forget, least)
    rates = held_out_rates(kept, forgotten, seen_never, level, seed)
    tpr, fpr, forget_rate = rates.tpr, rates.fpr, rates.forget_rate
    refusals: dict[str, str] = {}

    def or_refusal(name: str, number: Callable[[], Estimate]) -> Estimate | None:
        try:
            return number()
        except ValueError as reason:
            refusals[name] = str(reason)
            return None

    attacker_auc, attacker_gap = _area(kept, seen_never, level), gap(tpr, fpr)
    judged = judge_forgetting(forgotten, seen_never, attacker_auc, attacker_gap, margin, level)
    return UnlearningReport(
        mia_efficacy=complement(forget_rate),
        psi=or_refusal("psi", partial(ratio, forget_rate, tpr)),
        forgetting=or_refusal("forgetting", lambda: complement(share_between(forget_rate, tpr, fpr))),
        forget_auc=_area(forgotten, seen_never, level),
        efficacy_floor=complement(fpr),
        psi_floor=or_refusal("psi_floor", partial(ratio, fpr, tpr)),
        attacker_auc=attacker_auc,
        attacker_gap=attacker_gap,
        tpr=tpr,
        fpr=fpr,
        forget_rate=forget_rate,
        verdict=judged.name,
        reason=judged.reason,
        counts={"retain": kept.size, "forget": forgotten.size, "test": seen_never.size},
        level=float(level),
        margin=float(margin),
        threshold=rates.threshold,
        warnings=judged.warnings,
        refusals=refusals,
    )


def check_margin(margin: float) -> float:
    """The margin as it was given.

    Raises:
      ValueError: if it does not lie between 0 and ½.
    """
    if isinstance(margin, bool) or not isinstance(margin, Real) or not 0 < margin < 0.5:
        raise ValueError(f"margin is {margin!r}; give how far an AUC may lie from ½, between 0 and 0.5, such as 0.1.")
    return float(margin)


def _area(members: Any, nonmembers: Any, level: float) -> Estimate:
    truth = np.arange(members.size + nonmembers.size) < members.size
    return auc(RocCurve.from_scores(np.concatenate([members, nonmembers]), truth), level)


def _verdict(value: Any) -> str:
    if value not in VERDICTS:
        raise TypeError(f"one of {', '.join(VERDICTS)}")
    return value


def _counts(value: Any) -> dict[str, int]:
    held = plain.mapping(value, "counts")
    return {side: plain.field(held, side, plain.count, "counts") for side in ("retain", "forget", "test")}


class _Table(str):
    def __repr__(self) -> str:
        return str(self)


def _lines(report: UnlearningReport) -> list[str]:
    counts = report.counts
    rows = (
        ("forget AUC", report.forget_auc, "forgotten: 0.500"),
        ("MIA-efficacy", report.mia_efficacy, f"forgotten: {report.efficacy_floor:.3f}"),
        ("ψ", report.psi, "" if report.psi_floor is None else f"forgotten: {report.psi_floor:.3f}"),
        ("forgetting", report.forgetting, "forgotten: 1.000"),
        ("attacker's AUC", report.attacker_auc, "blind: 0.500"),
        ("TPR − FPR", report.attacker_gap, "blind: 0.000"),
    )
    return [
        f"{report.verdict} · {counts['retain']:,} retain, {counts['forget']:,} forget, {counts['test']:,} test records · "
        f"{100 * report.level:g} % intervals",
        f"  {report.reason}",
        *(f"  {title:<16}{_cells(found):<28}{beside}".rstrip() for title, found, beside in rows),
        *(f"  ! {warning}" for warning in report.warnings),
    ]


def _cells(found: Estimate | None) -> str:
    return "refused" if found is None else f"{float(found):7.3f}  [{found.low:.3f}, {found.high:.3f}]"

"""What one attack found in one audit: the only thing that leaves."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import partial
from typing import Any

from numpy.typing import ArrayLike

from . import plain_fields as plain
from .advantage import advantage
from .auc import auc
from .epsilon_audit import EpsilonReading
from .estimate import LEVEL, Estimate, check_level
from .folds import mean_of_folds, ranks_in_folds, rows_of_folds
from .information import mutual_information
from .low_fpr import FPRS, low_fpr_name, tpr_at_fpr
from .p_value import p_value
from .report_summary import summary_of
from .roc import RocCurve, check_scores
from .youden import balanced_accuracy, youden_j

SCHEMA_VERSION = 2
_NOT_ALWAYS_IN_VERSION_1 = {"p_value": None, "holm_p_value": None, "void": None, "folds": 1}
_LOW_FPR = "tpr_at_fpr_"


@dataclass(frozen=True, repr=False, eq=False)
class LeakageReport:
    """How well one attack told the members of one slice from its non-members, at one point of training.

    A metric that is refused is None and `refusals` says why. A report whose audit failed has no metrics at all;
    `failed` tells.

    Attributes:
      attack: the attack's name.
      slice: the records it speaks of.
      step: the epoch after which the model was audited, counted from 0 as Keras' callbacks and TensorBoard do (`summary`
        counts from 1, as Keras' progress bar does); −1 = before training, None = at no epoch's end.
      num_members, num_nonmembers: how many records of each side were judged.
      auc, advantage, youden_j, balanced_accuracy, mutual_information: `Estimate`s.
      tpr_at_fpr: `Estimate`s by the false positive rate allowed: 0.1, 0.01, 0.001.
      p_value: the probability of such an AUC, or a larger one, without leakage: one look, one attack. `leak_verdict` joins many.
      holm_p_value: of a slice, its p-value after Holm's correction over all slices; None for the whole.
      roc: the curve they were all read from; None where it was not kept.
      warnings: sentences about the experiment that change what the numbers mean.
      notes: sentences on how the numbers were made.
      refusals: the reason why a metric is None, by the metric's name.
      void: why no leak can be told from these records, whatever the numbers; one of the warnings, or None.
      folds: 1, or 2 if two halves of the records were judged apart and every number is the mean of theirs: see `from_scores`.
      epsilon: what the audits so far say about the training's ε, where that is asked for; else None.
    """

    attack: str
    slice: str = "entire"
    step: int | None = None
    num_members: int = 0
    num_nonmembers: int = 0
    auc: Estimate | None = None
    advantage: Estimate | None = None
    youden_j: Estimate | None = None
    balanced_accuracy: Estimate | None = None
    tpr_at_fpr: Mapping[float, Estimate | None] = field(default_factory=lambda: dict.fromkeys(FPRS))
    mutual_information: Estimate | None = None
    p_value: float | None = None
    holm_p_value: float | None = None
    roc: RocCurve | None = None
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    refusals: Mapping[str, str] = field(default_factory=dict)
    void: str | None = None
    folds: int = 1
    epsilon: EpsilonReading | None = None

    @classmethod
    def from_scores(
        cls,
        scores: ArrayLike,
        is_member: ArrayLike,
        attack: str = "scores",
        seed: int = 0,
        *,
        slice: str = "entire",
        step: int | None = None,
        level: float = LEVEL,
        warnings: tuple[str, ...] = (),
        notes: tuple[str, ...] = (),
        void: str | None = None,
        folds: ArrayLike | None = None,
    ) -> LeakageReport:
        """Judges scores against the truth.

        Args:
          scores: float[n], higher = more member-like; ±inf allowed, NaN not.
          is_member: bool[n] (or 0 / 1), at least one of each.
          attack: what to call the attack.
          seed: for the halves of Youden's J and for permutations.
          slice: what to call the records.
          step: see the class.
          level: confidence level of every interval.
          warnings, notes, void: sentences to carry along.
          folds: int[n], for scores of an attack that learned from records of known membership (`cross_fitted`): the records
            of one fold were scored by one attacker, fitted to the others. Each fold is judged by itself; every number is the
            mean over folds, and so are the ends of its interval, since what one fold is lucky with the other is lucky with,
            too: an interval from all scores together would be too narrow. The curve joins the scores' ranks in their folds.
        Raises:
          ValueError: on shapes that differ, NaN scores, flags that are not 0 / 1, an empty side, or a level outside (0, 1).
        """
        check_level(level)
        values, truth = check_scores(scores, is_member)
        if folds is not None:
            apart = [
                cls.from_scores(values[rows], truth[rows], attack, seed, slice=slice, step=step, level=level)
                for rows in rows_of_folds(folds, truth)
            ]
            joined = RocCurve.from_scores(ranks_in_folds(values, folds), truth)
            return replace(mean_of_folds(apart, joined), warnings=tuple(warnings), notes=tuple(notes), void=void)
        refusals: dict[str, str] = {}

        def metric_or_refusal(name: str, metric: Callable[[], Estimate]) -> Estimate | None:
            try:
                return metric()
            except ValueError as reason:
                refusals[name] = str(reason)
                return None

        j = metric_or_refusal("youden_j", partial(youden_j, values, truth, level, seed))
        if j is None:
            refusals["balanced_accuracy"] = refusals["youden_j"]
        # After Youden's J, which sorts halves of its own: so the largest arrays of the two are never held together.
        roc = RocCurve.from_scores(values, truth)
        low_fpr = {fpr: metric_or_refusal(low_fpr_name(fpr), partial(tpr_at_fpr, roc, fpr, level)) for fpr in FPRS}
        return cls(
            attack=attack,
            slice=slice,
            step=step,
            num_members=roc.num_members,
            num_nonmembers=roc.num_nonmembers,
            auc=auc(roc, level),
            advantage=advantage(roc, level, seed),
            youden_j=j,
            balanced_accuracy=None if j is None else balanced_accuracy(j),
            tpr_at_fpr=low_fpr,
            mutual_information=mutual_information(roc, level, seed),
            p_value=p_value(roc),
            roc=roc,
            warnings=tuple(warnings),
            notes=tuple(notes),
            refusals=refusals,
            void=void,
        )

    @property
    def failed(self) -> bool:
        """True if the audit gave no scores to judge; `warnings` says why."""
        return self.auc is None

    def estimates(self) -> dict[str, Estimate | None]:
        """Every metric by its flat name: `auc`, …, `tpr_at_fpr_1e-2`, …; None where refused."""
        found: dict[str, Estimate | None] = {}
        for spec in fields(self):
            value = getattr(self, spec.name)
            if spec.name == "tpr_at_fpr":
                found |= {low_fpr_name(fpr): estimate for fpr, estimate in value.items()}
            elif "Estimate" in str(spec.type):  # by its annotation: a refused metric is None
                found[spec.name] = value
        return found

    def scalars(self) -> dict[str, float]:
        """Plain floats by name, as TensorBoard shows them: each metric, its `_low` and `_high`, or its `_null_level`."""
        found: dict[str, float] = {}
        for name, estimate in self.estimates().items():
            if estimate is None:
                continue
            parts = {"": float(estimate), "_low": estimate.low, "_high": estimate.high}
            parts["_null_level"] = estimate.null_level
            found |= {name + suffix: value for suffix, value in parts.items() if value is not None}
        return found if self.epsilon is None else found | self.epsilon.scalars()

    def __repr__(self) -> str:
        found = "failed" if self.failed else f"AUC {self.auc!r}"
        sides = f"{self.num_members} members, {self.num_nonmembers} non-members"
        return f"<LeakageReport {self.attack!r}, step {self.step}: {found}; {sides}>"

    def to_dict(self) -> dict[str, Any]:
        """The report without its curve, in plain types that JSON can hold; a number that is not finite is a string.

        Raises:
          ValueError: if a rate of `tpr_at_fpr` has more digits than its name can say.
        """
        for fpr in self.tpr_at_fpr:
            if not 0 < fpr < 1 or float(low_fpr_name(fpr).removeprefix(_LOW_FPR)) != fpr:
                raise ValueError(
                    f"the rate {fpr!r} of tpr_at_fpr cannot be named; give one of at most six digits, between 0 and 1."
                )
        return plain.of(
            {
                "schema_version": SCHEMA_VERSION,
                "attack": self.attack,
                "slice": self.slice,
                "step": self.step,
                "num_members": self.num_members,
                "num_nonmembers": self.num_nonmembers,
                "failed": self.failed,
                **{name: None if e is None else e.to_dict() for name, e in self.estimates().items()},
                "p_value": self.p_value,
                "holm_p_value": self.holm_p_value,
                "warnings": self.warnings,
                "notes": self.notes,
                "refusals": self.refusals,
                "void": self.void,
                "folds": self.folds,
                **({} if self.epsilon is None else {"epsilon": self.epsilon.to_dict()}),
            }
        )

    def to_json(self, indent: int | None = None) -> str:
        """The report without its curve, as strict JSON; `from_json` gives every number back bit for bit."""
        return json.dumps(self.to_dict(), indent=indent, allow_nan=False)

    @classmethod
    def from_dict(cls, mapping: Mapping[str, Any]) -> LeakageReport:
        """The report that `to_dict` described, without its curve; of this schema version or an earlier one.

        Raises:
          ValueError: if the version is newer, or a field is missing or holds something else than it should.
        """
        held = plain.mapping(mapping, "report")
        if plain.schema_version(held, SCHEMA_VERSION, "report") == 1:
            held = {**_NOT_ALWAYS_IN_VERSION_1, **held}
        read = partial(plain.field, held, holder="report")
        names = dict.fromkeys([*(name for name in held if name.startswith(_LOW_FPR)), *cls(attack="").estimates()])
        found: dict[str, Any] = {name: read(name, plain.or_none(Estimate.from_dict)) for name in names}
        report = cls(
            attack=read("attack", plain.text),
            slice=read("slice", plain.text),
            step=read("step", plain.or_none(plain.whole)),
            num_members=read("num_members", plain.count),
            num_nonmembers=read("num_nonmembers", plain.count),
            **{name: estimate for name, estimate in found.items() if not name.startswith(_LOW_FPR)},
            tpr_at_fpr={_rate(name): estimate for name, estimate in found.items() if name.startswith(_LOW_FPR)},
            p_value=read("p_value", plain.or_none(plain.number)),
            holm_p_value=read("holm_p_value", plain.or_none(plain.number)),
            warnings=read("warnings", plain.texts),
            notes=read("notes", plain.texts),
            refusals=read("refusals", plain.texts_by_name),
            void=read("void", plain.or_none(plain.text)),
            folds=read("folds", plain.count),
            epsilon=read("epsilon", EpsilonReading.from_dict) if "epsilon" in held else None,
        )
        if report.failed != read("failed", plain.flag):
            raise ValueError(
                f"'failed' of the report is {not report.failed}, which its AUC {report.auc!r} contradicts; give it as it was "
                "written."
            )
        return report

    @classmethod
    def from_json(cls, text: str) -> LeakageReport:
        """The report that `to_json` wrote, without its curve.

        Raises:
          ValueError: if it is no JSON, or as `from_dict`.
        """
        return cls.from_dict(plain.parsed(text, "the text"))

    def summary(self) -> str:
        """A small table to read; it shows itself at a prompt and prints as it is."""
        return summary_of(self)

    def to_markdown(self) -> str:
        """A section for a model card; of several reports: `reports_to_markdown`."""
        from .report_markdown import reports_to_markdown

        return reports_to_markdown([self])

    def to_html(self, path: str | os.PathLike[str]) -> None:
        """Writes a page with its charts, one file that opens offline; of several reports: `reports_to_html`."""
        from .report_page import reports_to_html

        reports_to_html([self], path)


def _rate(name: str) -> float:
    """0.01 for `tpr_at_fpr_1e-2`."""
    try:
        rate = float(name.removeprefix(_LOW_FPR))
        if 0 < rate < 1 and low_fpr_name(rate) == name:
            return rate
    except ValueError:
        pass
    raise ValueError(f"{name!r:.80} of the report names no false positive rate; give it as it was written.")


def failed_report(
    attack: str, reason: str, *, step: int | None = None, num_members: int = 0, num_nonmembers: int = 0
) -> LeakageReport:
    """The marked report of an audit that gave no scores: no metrics, the reason as its warning."""
    return LeakageReport(
        attack=attack, step=step, num_members=num_members, num_nonmembers=num_nonmembers, warnings=(reason,)
    )

"""Unlearning judged on models and data: what is known of the forget set beyond one attack's rates."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from . import plain_fields as plain
from .estimate import Estimate
from .unlearning_outcome import UnlearningReport

if TYPE_CHECKING:
    import pandas as pd

UNLEARNED, ORIGINAL, RETRAINED = "unlearned", "original", "retrained"


@dataclass(frozen=True)
class ForgottenRecords:
    """The forget set record by record.

    Attributes:
      positions: int[n], where each stood in the forget set as it was given.
      scores: by model, float[n], higher = more member-like.
      p_values: float[n], how often a record that was never seen scores as high on the unlearned model: small = still known.
      labels: int[n], class numbers; None where a record has no single one.
    """

    positions: NDArray[np.int64]
    scores: Mapping[str, NDArray[np.float64]]
    p_values: NDArray[np.float64]
    labels: NDArray[np.int64] | None = None


@dataclass(frozen=True, repr=False, eq=False)
class UnlearningEvaluation(UnlearningReport):
    """The report on the unlearned model by one attack, and what stands beside it.

    Attributes:
      attack: the attack's name.
      models: by model, its own report by the same attack; of several retrained models the first.
      performance: by model, then `accuracy_forget`, `loss_forget`, and so on for retain and test: means over the audited records.
      forgotten: the forget set record by record; None if the report was read from a file.
      retain_risk: AUC of the kept records against those never seen, on the unlearned model.
      retain_risk_change: by how much that differs from the original's (above 0: unlearning exposed those who stayed); None
        without the original.
      beside_retrained: forget-vs-test AUC minus that of the retrained model on the same records; None without one.
      tug_of_war: see `tug_of_war`; None without a retrained model, or where records have no classes.
      klom: percentiles of `klom` by side, and as `floor_<side>` what two sets of retrained models give; None with fewer than two
        unlearned and two retrained models.
      u_lira_auc: how well a likelihood ratio tells the unlearned model from a retrained one by the forget set (`u_lira_scores`);
        None with fewer than three of each.
    """

    attack: str = ""
    models: Mapping[str, UnlearningReport] = field(default_factory=dict)
    performance: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    forgotten: ForgottenRecords | None = None
    retain_risk: Estimate | None = None
    retain_risk_change: Estimate | None = None
    beside_retrained: Estimate | None = None
    tug_of_war: Estimate | None = None
    klom: Mapping[str, Mapping[str, float]] | None = None
    u_lira_auc: Estimate | None = None

    @property
    def streisand(self) -> bool:
        """True if the forget set stands out for being known worse than what was never seen: that, too, tells who was in it."""
        return self.verdict == "over-forgotten"

    def table(self) -> pd.DataFrame:
        """A row a model: accuracies, losses, and the attack's figures with their intervals."""
        import pandas as pd

        rows = []
        for model, report in self.models.items():
            row: dict[str, Any] = {"model": model, **self.performance.get(model, {})}
            for name in ("forget_auc", "mia_efficacy", "psi", "forgetting"):
                estimate = getattr(report, name)
                row[name] = np.nan if estimate is None else float(estimate)
                for end in ("low", "high"):
                    known = None if estimate is None else getattr(estimate, end)
                    row[f"{name}_{end}"] = np.nan if known is None else known
            rows.append({**row, "verdict": report.verdict})
        return pd.DataFrame(rows)

    def residuals(self) -> pd.DataFrame:
        """The forget set record by record, those still known best first.

        Columns: `position` in the forget set, `label` where there is one, `score` and those on the other models, `p_value` (how
        often a record never seen scores as high on the unlearned model: one record's, not corrected for many).

        Raises:
          ValueError: if the report was read from a file, which names no records.
        """
        import pandas as pd

        held = self.forgotten
        if held is None:
            raise ValueError("the report holds no records; they are not written into files.")
        columns: dict[str, Any] = {"position": held.positions}
        if held.labels is not None:
            columns["label"] = held.labels
        for model, scores in held.scores.items():
            columns["score" if model == UNLEARNED else f"score_{model}"] = scores
        columns["p_value"] = held.p_values
        return pd.DataFrame(columns).sort_values(
            ["p_value", "score"], ascending=[True, False], kind="stable", ignore_index=True
        )

    def scalars(self) -> dict[str, float]:
        """Plain floats by name, as TensorBoard shows them: what was not refused, its `_low` and `_high`, and floors."""
        named = {"forget_auc": self.forget_auc, "mia_efficacy": self.mia_efficacy, "psi": self.psi}
        named |= {"forgetting": self.forgetting, "retain_auc": self.retain_risk}
        found: dict[str, float] = {}
        for name, estimate in named.items():
            if estimate is not None:
                parts = {"": float(estimate), "_low": estimate.low, "_high": estimate.high}
                found |= {name + end: value for end, value in parts.items() if value is not None}
        floors = {"efficacy_floor": self.efficacy_floor, "psi_floor": self.psi_floor}
        return found | {name: float(floor) for name, floor in floors.items() if floor is not None}

    def summary(self) -> str:
        """The table of the report, and what stands beside it, to read."""
        return type(super().summary())("\n".join([f"{self.attack} · {super().summary()}", *self._beside_it()]))

    def _beside_it(self) -> list[str]:
        rows = (
            ("retain AUC", self.retain_risk, ""),
            ("  its change", self.retain_risk_change, "unlearning exposed nobody: 0.000"),
            ("vs retrained", self.beside_retrained, "forgotten: 0.000"),
            ("tug of war", self.tug_of_war, "as retrained: 1.000"),
            ("U-LiRA's AUC", self.u_lira_auc, "as retrained: 0.500"),
        )
        told = [
            f"  {title:<16}{_cells(found):<28}{beside}".rstrip() for title, found, beside in rows if found is not None
        ]
        for model, known in self.performance.items():
            told.append(
                f"  {model:<16}" + "  ".join(f"{name.replace('_', ' ')} {value:.3f}" for name, value in known.items())
            )
        return told

    def to_dict(self) -> dict[str, Any]:
        """The report in plain types that JSON can hold, without the forget set's records."""
        own = {spec.name for spec in fields(UnlearningReport)}
        base = UnlearningReport(**{name: getattr(self, name) for name in own}).to_dict()
        beside = {spec.name: getattr(self, spec.name) for spec in fields(self) if spec.name not in own}
        del beside["forgotten"]
        beside["models"] = {name: report.to_dict() for name, report in self.models.items()}
        return plain.of(
            base | {name: value.to_dict() if isinstance(value, Estimate) else value for name, value in beside.items()}
        )

    @classmethod
    def from_dict(cls, mapping: Mapping[str, Any]) -> UnlearningEvaluation:
        """The evaluation that `to_dict` described, without the forget set's records.

        Raises:
          ValueError: as `UnlearningReport.from_dict`.
        """
        held = plain.mapping(mapping, "unlearning report")
        read = partial(plain.field, held, holder="unlearning report")
        estimate, figures = plain.or_none(Estimate.from_dict), partial(_by_name, _figures)
        numbers = ("retain_risk", "retain_risk_change", "beside_retrained", "tug_of_war", "u_lira_auc")
        return as_evaluation(
            UnlearningReport.from_dict(held),
            attack=read("attack", plain.text),
            models=read("models", partial(_by_name, UnlearningReport.from_dict)),
            performance=read("performance", figures),
            klom=read("klom", plain.or_none(figures)),
            **{name: read(name, estimate) for name in numbers},
        )


def _by_name(kind: Any, value: Any) -> dict[str, Any]:
    return {name: kind(part) for name, part in plain.mapping(value, "record of models").items()}


def _figures(value: Any) -> dict[str, float]:
    return {name: plain.number(part) for name, part in plain.mapping(value, "record of figures").items()}


def _cells(found: Estimate) -> str:
    interval = "" if found.low is None or found.high is None else f"  [{found.low:.3f}, {found.high:.3f}]"
    return f"{float(found):7.3f}{interval}"


def as_evaluation(report: UnlearningReport, **beside: Any) -> UnlearningEvaluation:
    """The report with what stands beside it; `verdict` and `reason` may be replaced."""
    held = {spec.name: getattr(report, spec.name) for spec in fields(report)}
    return UnlearningEvaluation(**(held | beside))

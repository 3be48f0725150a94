"""What users of TensorFlow Privacy get back, by that library's names; behind every result stands a `LeakageReport`."""

from __future__ import annotations

import enum
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from .estimate import LEVEL, Estimate
from .tf_privacy_single import AttackType, DataSize, SingleAttackResult

__all__ = [
    "AttackResults",
    "AttackResultsCollection",
    "AttackType",
    "DataSize",
    "PrivacyMetric",
    "PrivacyReportMetadata",
    "SingleAttackResult",
    "get_flattened_attack_metrics",
]


class PrivacyMetric(enum.Enum):
    """The metrics of the table."""

    AUC = "AUC"
    ATTACKER_ADVANTAGE = "Attacker advantage"

    def __str__(self) -> str:
        return self.value


@dataclass
class PrivacyReportMetadata:
    """What is known of the model: the means of each side, its name, how long it was trained."""

    accuracy_train: float | None = None
    accuracy_test: float | None = None
    loss_train: float | None = None
    loss_test: float | None = None
    model_variant_label: str = "Default model variant"
    epoch_num: int | None = None


@dataclass(eq=False)
class AttackResults:
    """The results of one run. Their intervals and null levels hold for all of them together.

    Attributes:
      single_attack_results: slice by slice, in each the attacks in the order asked for.
      privacy_report_metadata: what is known of the model.
      skipped: which attack was not run on which slice, and why.
    """

    single_attack_results: list[SingleAttackResult]
    privacy_report_metadata: PrivacyReportMetadata | None = None
    skipped: tuple[str, ...] = ()

    def get_result_with_max_auc(self) -> SingleAttackResult | None:
        """The result with the largest AUC, the first of several; None if there is none."""
        return self._largest(SingleAttackResult.get_auc)

    def get_result_with_max_attacker_advantage(self) -> SingleAttackResult | None:
        """The result with the largest advantage; see `get_result_with_max_auc`."""
        return self._largest(SingleAttackResult.get_attacker_advantage)

    def get_result_with_max_ppv_over_thresholds(self) -> SingleAttackResult | None:
        """The result with the largest `get_max_ppv_over_thresholds`, which grows with nothing but the number of looks."""
        return self._largest(SingleAttackResult.get_max_ppv_over_thresholds)

    def get_result_with_max_ppv(self) -> SingleAttackResult | None:
        """Always refused.

        Raises:
          NotImplementedError: why.
        """
        raise NotImplementedError(
            "the PPV needs a threshold and a prior that were stated beforehand: result.get_ppv(threshold, prior); the largest "
            "over all thresholds is get_result_with_max_ppv_over_thresholds()."
        )

    def summary(self, by_slices: bool = False) -> str:
        """The attacks that performed best, over all slices and, on request, on each.

        The largest of many AUCs is large even without a leak; so each line ends with the interval, or the null level, that
        holds for all results together.
        """
        over = f"over all {len(self.single_attack_results)} results" if len(self.single_attack_results) > 1 else ""
        lines = ["Best-performing attacks over all slices", *_best(self, over, on_slice=True)]
        by_slice = self._by_slice()
        if by_slices and len(by_slice) > 1:
            for name, results in by_slice.items():
                lines += [f'\nBest-performing attacks over slice: "{name}"', *_best(results, over, on_slice=False)]
        if self.skipped:
            lines += ["\nLeft out", *(f"  {reason}" for reason in self.skipped)]
        return "\n".join(lines)

    def calculate_pd_dataframe(self) -> Any:
        """All results as a pandas table: slice, sizes, attack, advantage with its null level, AUC with its interval."""
        import pandas as pd

        return pd.DataFrame([dict(_row(result)) for result in self.single_attack_results], columns=_COLUMNS)

    def save(self, filepath: str | os.PathLike[str]) -> None:
        """Writes everything to one file, without pickle: see `tf_privacy_files.save_results`."""
        from .tf_privacy_files import save_results

        save_results(self, filepath)

    @classmethod
    def load(cls, filepath: str | os.PathLike[str]) -> AttackResults:
        """What `save` wrote.

        Raises:
          ValueError: if the file holds something else.
        """
        from .tf_privacy_files import load_results

        return load_results(filepath)

    def _largest(self, metric: Callable[[SingleAttackResult], float]) -> SingleAttackResult | None:
        return max(self.single_attack_results, key=lambda result: float(metric(result)), default=None)

    def _by_slice(self) -> dict[str, AttackResults]:
        found: dict[str, AttackResults] = {}
        for result in self.single_attack_results:
            found.setdefault(str(result.slice_spec), AttackResults([])).single_attack_results.append(result)
        return found


@dataclass(eq=False)
class AttackResultsCollection:
    """The results of several runs, for example of one model after several epochs."""

    attack_results_list: list[AttackResults]

    def append(self, attack_results: AttackResults) -> None:
        """Adds a run."""
        self.attack_results_list.append(attack_results)

    def save(self, dirname: str | os.PathLike[str]) -> None:
        """Writes one file a run, and a list of them last, to a folder that is made if there is none."""
        from .tf_privacy_files import save_collection

        save_collection(self, dirname)

    @classmethod
    def load(cls, dirname: str | os.PathLike[str]) -> AttackResultsCollection:
        """What `save` wrote, in that order.

        Raises:
          ValueError: if the folder holds something else.
        """
        from .tf_privacy_files import load_collection

        return load_collection(dirname)


def get_flattened_attack_metrics(results: AttackResults) -> tuple[list[str], list[str], list[str], list[float]]:
    """Attack types, slices, metric names ("adv", "auc") and values, one entry a number."""
    rows = [
        (str(result.attack_type), str(result.slice_spec), name, float(value))
        for result in results.single_attack_results
        for name, value in (("adv", result.get_attacker_advantage()), ("auc", result.get_auc()))
    ]
    types, slices, names, values = (list(column) for column in zip(*rows, strict=True)) if rows else ([], [], [], [])
    return types, slices, names, values


_COLUMNS = (
    "slice feature",
    "slice value",
    "train size",
    "test size",
    "attack type",
    str(PrivacyMetric.ATTACKER_ADVANTAGE),
    str(PrivacyMetric.AUC),
    "Attacker advantage null level",
    "AUC low",
    "AUC high",
)


def _row(result: SingleAttackResult) -> Iterator[tuple[str, Any]]:
    spec, auc, advantage = result.slice_spec, result.get_auc(), result.get_attacker_advantage()
    named = spec.value if not hasattr(spec.value, "group") else (spec.value.name or spec.value.group)
    bounds = [np.nan if bound is None else bound for bound in (advantage.null_level, auc.low, auc.high)]
    values = [
        str(spec) if spec.feature is None else spec.feature.value,
        "" if spec.feature is None else str(named),
        *result.data_size,
        str(result.attack_type),
        float(advantage),
        float(auc),
        *bounds,
    ]
    return zip(_COLUMNS, values, strict=True)


def _best(results: AttackResults, over: str, on_slice: bool) -> list[str]:
    most, furthest = results.get_result_with_max_auc(), results.get_result_with_max_attacker_advantage()
    if most is None or furthest is None:
        return ["  no attack could be run"]
    lines = []
    for result, name, value in (
        (most, "an AUC", most.get_auc()),
        (furthest, "an advantage", furthest.get_attacker_advantage()),
    ):
        sizes = f"with {result.data_size.ntrain} training and {result.data_size.ntest} test examples"
        where = f" on slice {result.slice_spec}" if on_slice else ""
        lines.append(
            f"  {result.attack_type} ({sizes}) achieved {name} of {float(value):.2f}{where}{_uncertainty(value, over)}"
        )
    return lines


def _uncertainty(value: Estimate, over: str) -> str:
    """The interval, or the null level, as the end of a line."""
    joint, percent = f" {over}" if over else "", f"{100 * LEVEL:g} %"
    if value.low is not None and value.high is not None:
        return f"; {percent} interval{joint}: {value.low:.2f} to {value.high:.2f}"
    if value.null_level is not None:
        return f"; without a leak at most {value.null_level:.2f} with probability {percent}{joint}"
    return ""

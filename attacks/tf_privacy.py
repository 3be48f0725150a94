"""The door for scripts written for TensorFlow Privacy's `membership_inference_attack`: change the import lines, run.

Where that library is right its numbers come out; where they differ, `docs/migrating.md` says how much and why.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .array_signals import known
from .attack import Signals
from .cross_fitting import cross_fitted
from .estimate import LEVEL
from .folds import ranks_in_folds
from .report import LeakageReport
from .slices import Slice
from .tf_privacy_arguments import attack_types_of, check_type, check_whole
from .tf_privacy_data import AttackInputData
from .tf_privacy_loss import LossFunction
from .tf_privacy_probability import MembershipProbabilityResults, SingleMembershipProbabilityResult, probabilities_of
from .tf_privacy_results import (
    AttackResults,
    AttackResultsCollection,
    PrivacyMetric,
    PrivacyReportMetadata,
    get_flattened_attack_metrics,
)
from .tf_privacy_roc import RocCurve
from .tf_privacy_single import AttackType, DataSize, SingleAttackResult
from .tf_privacy_slices import (
    ENTIRE_DATASET_SLICE_STR,
    CustomGroup,
    SingleSliceSpec,
    SlicingFeature,
    SlicingSpec,
    slices_of,
)
from .trained import Trained
from .verdict import holm_p_values

__all__ = [
    "ENTIRE_DATASET_SLICE_STR",
    "AttackInputData",
    "AttackResults",
    "AttackResultsCollection",
    "AttackType",
    "CustomGroup",
    "DataSize",
    "LossFunction",
    "MembershipProbabilityResults",
    "PrivacyMetric",
    "PrivacyReportMetadata",
    "RocCurve",
    "SingleAttackResult",
    "SingleMembershipProbabilityResult",
    "SingleSliceSpec",
    "SlicingFeature",
    "SlicingSpec",
    "get_flattened_attack_metrics",
    "run_attacks",
    "run_membership_probability_analysis",
]

_CLASSIFIERS = {
    AttackType.LOGISTIC_REGRESSION: "logistic_regression",
    AttackType.MULTI_LAYERED_PERCEPTRON: "mlp",
    AttackType.RANDOM_FOREST: "random_forest",
    AttackType.K_NEAREST_NEIGHBORS: "knn",
}
_LARGEST_SEED = 2**32 - 1  # that scikit-learn takes
# Of each side: two halves, each of which a classifier can learn from.
_LEAST_TO_LEARN = 20


def run_attacks(
    attack_input: AttackInputData,
    slicing_spec: SlicingSpec | None = None,
    attack_types: AttackType | Iterable[AttackType] = (AttackType.THRESHOLD_ATTACK,),
    privacy_report_metadata: PrivacyReportMetadata | None = None,
    balance_attacker_training: bool = True,
    min_num_samples: int = 1,
    backend: str | None = None,
    return_slice_indices: bool = False,
    *,
    seed: int = 0,
) -> AttackResults:
    """Runs each attack on each slice.

    Threshold attacks read every record of the slice and draw nothing at random. A trained attack scores each half of the
    slice by a classifier fitted to the other half. Intervals and null levels hold for all results of the run together
    (Bonferroni), p-values in the reports are corrected by Holm.

    Args:
      attack_input: the outputs on members and non-members.
      slicing_spec: None = all records.
      attack_types: which attacks, at least one.
      privacy_report_metadata: what is known of the model; what it lacks is filled in in a copy.
      balance_attacker_training: without effect: classifiers always learn from as many members as non-members.
      min_num_samples: slices with fewer records on a side are left out and named in `skipped`.
      backend: without effect: fits are short, and one thread gives the same numbers everywhere.
      return_slice_indices: True to note the rows of each slice, but for the whole.
      seed: decides the halves, what classifiers draw, and permutations; a whole number from 0 to 2³² − 1.
    Returns:
      The results, slice by slice, in each the attacks in the order asked for.
    Raises:
      TypeError: if an argument is of another type.
      ValueError: on arrays that cannot be read or do not fit, or attacks and slices that need what is not given.
    """
    types = attack_types_of(attack_types)
    check_whole("min_num_samples", min_num_samples, 1)
    check_whole("seed", seed, 0, _LARGEST_SEED)
    check_type("privacy_report_metadata", privacy_report_metadata, PrivacyReportMetadata, optional=True)
    data = _opened(attack_input, slicing_spec)
    scores = {wanted: _scores(data, wanted) for wanted in types if not wanted.is_trained_attack}
    features = data.features() if len(scores) < len(set(types)) else None
    slices = slices_of(data, slicing_spec or SlicingSpec())
    planned, skipped = _planned(slices, data.get_train_size(), types, min_num_samples)
    level = 1 - (1 - LEVEL) / max(1, len(planned))
    results = []
    for spec, part, wanted in planned:
        size = part.size
        try:
            if features is not None and wanted.is_trained_attack:
                report, judged = _trained(features, part, wanted, seed, level)
            else:
                report, judged = _threshold(*scores[wanted], part, seed, level)
        except ValueError as reason:  # halves too small to learn from, for want of distinct records
            skipped.append(f"{wanted} on slice {spec}: {reason}")
            continue
        sides = judged[: size.ntrain], judged[size.ntrain :]
        result = SingleAttackResult(spec, size, wanted, RocCurve.of(report), *sides)
        if return_slice_indices and not spec.entire_dataset:
            result.train_indices = part.rows[: size.ntrain]
            result.test_indices = part.rows[size.ntrain :] - data.get_train_size()
        results.append(result)
    if len(results) > 1:
        _correct_p_values(results)
    return AttackResults(results, _completed(privacy_report_metadata, data), tuple(skipped))


def run_membership_probability_analysis(
    attack_input: AttackInputData, slicing_spec: SlicingSpec | None = None
) -> MembershipProbabilityResults:
    """For each record the share of members among the judged records whose loss (or entropy) is about as large as its own.

    The shares are read off the records that they speak of, so they flatter the attacker, most of all where few records share
    a bin. For a judged attack use `run_attacks`.

    Args:
      attack_input: a given loss is read, else a given entropy, else the computed loss.
      slicing_spec: None = all records. Slices with no record on a side are left out.
    Raises:
      TypeError, ValueError: as `run_attacks`.
    """
    data = _opened(attack_input, slicing_spec)
    if data.loss_train is None and data.entropy_train is not None:
        values = -data.entropy_signal()[1]
    else:
        values = -_scores(data, AttackType.THRESHOLD_ATTACK)[1]
    is_member = data.is_member()
    found = []
    for spec, part in slices_of(data, slicing_spec or SlicingSpec()):
        train, test = values[part.rows & is_member], values[part.rows & ~is_member]
        if min(train.size, test.size):
            found.append(probabilities_of(spec, train, test))
    return MembershipProbabilityResults(found)


def _opened(attack_input: AttackInputData, slicing_spec: SlicingSpec | None) -> AttackInputData:
    """A snapshot of the input, checked, as is the type of the specification."""
    check_type("attack_input", attack_input, AttackInputData)
    check_type("slicing_spec", slicing_spec, SlicingSpec, optional=True)
    data = attack_input.snapshot()
    data.validate()
    return data


class _Part(NamedTuple):
    """The rows of a slice, members first, and how many are on each side."""

    name: str
    rows: NDArray[np.intp]
    size: DataSize

    @property
    def is_member(self) -> NDArray[np.bool_]:
        """bool[n] of these rows."""
        return np.arange(len(self.rows)) < self.size.ntrain


def _planned(
    slices: list[tuple[SingleSliceSpec, Slice]], members: int, types: list[AttackType], least: int
) -> tuple[list[tuple[SingleSliceSpec, _Part, AttackType]], list[str]]:
    """What will be judged, and what will not because too few records belong to it."""
    planned, skipped = [], []
    for spec, part in slices:
        rows = np.flatnonzero(part.rows)
        train = int(np.searchsorted(rows, members))
        size = DataSize(train, len(rows) - train)
        for wanted in types:
            needed = max(least, _LEAST_TO_LEARN if wanted.is_trained_attack else 1)
            if min(size) >= needed:
                planned.append((spec, _Part(part.name, rows, size), wanted))
            else:
                there = f"{size.ntrain} training and {size.ntest} test examples"
                skipped.append(f"{wanted} on slice {spec}: {there}, {needed} of each needed")
    return planned, skipped


def _scores(data: AttackInputData, wanted: AttackType) -> tuple[str, NDArray[np.float64]]:
    """The signal that a threshold attack reads: its name, and float[n] of both sides."""
    if wanted == AttackType.THRESHOLD_ENTROPY_ATTACK:
        return data.entropy_signal()
    signals = data.signals()
    if "loss" not in signals:
        raise ValueError("the threshold attack reads the losses; give loss, or labels with logits or probs.")
    return "loss", signals["loss"][:, 0]


def _threshold(
    name: str, values: NDArray[np.float64], part: _Part, seed: int, level: float
) -> tuple[LeakageReport, NDArray[np.float64]]:
    """The report, and the signal float[n] of the slice's records."""
    judged = values[part.rows]
    return LeakageReport.from_scores(judged, part.is_member, name, seed, slice=part.name, level=level), judged


def _trained(
    features: Signals, part: _Part, wanted: AttackType, seed: int, level: float
) -> tuple[LeakageReport, NDArray[np.float64]]:
    """The report, and the ranks float[n] of the slice's records among those that the same classifier scored."""
    attack, truth = Trained(_CLASSIFIERS[wanted]), part.is_member
    scored = cross_fitted(attack, features.of(part.rows), truth, seed)
    report = LeakageReport.from_scores(
        scored.values, truth, attack.name, seed, slice=part.name, level=level, folds=scored.fold
    )
    return report, ranks_in_folds(scored.values, scored.fold)


def _correct_p_values(results: list[SingleAttackResult]) -> None:
    corrected = holm_p_values([1.0 if (r := one.report) is None or r.p_value is None else r.p_value for one in results])
    for result, p_value in zip(results, corrected, strict=True):
        if result.report is not None:
            result.roc_curve = replace(result.roc_curve, report=replace(result.report, holm_p_value=p_value))


def _completed(metadata: PrivacyReportMetadata | None, data: AttackInputData) -> PrivacyReportMetadata:
    """A copy with the accuracy and the mean loss of each side, where they were not given and can be known."""
    signals, losses, is_member = data.signals(), data.losses(), data.is_member()
    means: dict[str, Any] = {}
    for side, rows in (("train", is_member), ("test", ~is_member)):
        if "correct" in signals:
            means[f"accuracy_{side}"] = float(signals["correct"][rows, 0].mean())
        if losses is not None:
            with np.errstate(over="ignore", invalid="ignore"):  # of infinite losses
                means[f"loss_{side}"] = float(known(losses, "loss")[rows].mean())
    metadata = metadata or PrivacyReportMetadata()
    return replace(metadata, **{name: mean for name, mean in means.items() if getattr(metadata, name) is None})

"""Signals become scores, scores become a ROC curve, the curve becomes a report.

Names are loaded when first used: importing this package imports neither TensorFlow nor Keras.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .agreement import tug_of_war
    from .array_signals import signals_from_arrays
    from .asked_records import signals_of
    from .attack import Attack, AttackContext, Examples, FittedAttack, Scores, Signals
    from .attack_p import AttackP, attack_p_scores
    from .attack_r import AttackR, attack_r_scores
    from .audit_set import AuditSet
    from .audit_warning import AuditWarning
    from .base_attack import BASE, base_scores
    from .blind import BlindBaseline, blind_baseline
    from .by_slice import sliced_reports
    from .canaries import mislabelled, random_inputs
    from .canary_exposure import exposure, exposure_estimate
    from .canary_split import CanarySplit, randomised_membership
    from .cross_fitting import CrossFitted, cross_fitted
    from .difficulty_calibration import DifficultyCalibration, difficulty_calibration_scores
    from .epsilon import epsilon_lower_bound
    from .epsilon_audit import EpsilonAudit, EpsilonReading
    from .epsilon_bound import EpsilonBound
    from .estimate import Estimate
    from .frozen_feature_heads import ShadowHeads, shadow_head_scores
    from .information_of_signals import information_view
    from .information_table import InformationView, SignalInformation
    from .label_only import LabelOnly
    from .lira import LiRA, lira_scores
    from .looks import EpsilonOverLooks
    from .margin_divergence import klom, klom_floor, klom_percentiles
    from .membership_probability import membership_probabilities
    from .model_cards import model_card, model_card_metadata
    from .multi_signal_lira import MultiSignalLiRA, multi_signal_lira_scores
    from .neighbourhood import Neighbourhood
    from .predictive_value import ppv
    from .privacy_claim import PrivacyClaim
    from .quantile_regression import QuantileRegression, quantile_regression_scores
    from .ray_workers import RayWorkers
    from .report import LeakageReport
    from .report_files import load_reports, save_reports
    from .report_markdown import reports_to_markdown
    from .report_page import reports_to_html
    from .report_rows import report_table
    from .rmia import RMIA, rmia_scores, tune_rmia
    from .roc import RocCurve
    from .roc_sketch import RocSketch
    from .shadow_assignment import balanced_assignment
    from .shadow_classifier import ShadowClassifier
    from .shadow_models import ShadowModels
    from .shadow_signals import ShadowSignals
    from .slices import Column, Slice, by_class, by_column, by_correctness, by_percentile, crossed
    from .tf_privacy import run_attacks, run_membership_probability_analysis
    from .tf_privacy_data import AttackInputData
    from .tf_privacy_loss import LossFunction
    from .tf_privacy_results import (
        AttackResults,
        AttackResultsCollection,
        AttackType,
        DataSize,
        PrivacyMetric,
        PrivacyReportMetadata,
        SingleAttackResult,
        get_flattened_attack_metrics,
    )
    from .tf_privacy_slices import CustomGroup, SingleSliceSpec, SlicingFeature, SlicingSpec
    from .threshold import Threshold
    from .trained import Trained
    from .trajectory import Trajectory, loss_iqr
    from .u_lira import u_lira_scores
    from .unlearned_models import evaluate_unlearning
    from .unlearning_evaluation import UnlearningEvaluation
    from .unlearning_outcome import UnlearningReport, unlearning_report
    from .usage_inference import usage_share
    from .verdict import LeakVerdict, leak_verdict

_HOME = {
    "Attack": "attack",
    "AttackContext": "attack",
    "AttackInputData": "tf_privacy_data",
    "AttackP": "attack_p",
    "AttackR": "attack_r",
    "AttackResults": "tf_privacy_results",
    "AttackResultsCollection": "tf_privacy_results",
    "AttackType": "tf_privacy_results",
    "AuditSet": "audit_set",
    "AuditWarning": "audit_warning",
    "BASE": "base_attack",
    "BlindBaseline": "blind",
    "CanarySplit": "canary_split",
    "Column": "slices",
    "CrossFitted": "cross_fitting",
    "CustomGroup": "tf_privacy_slices",
    "DataSize": "tf_privacy_results",
    "DifficultyCalibration": "difficulty_calibration",
    "EpsilonAudit": "epsilon_audit",
    "EpsilonBound": "epsilon_bound",
    "EpsilonOverLooks": "looks",
    "EpsilonReading": "epsilon_audit",
    "Estimate": "estimate",
    "Examples": "attack",
    "FittedAttack": "attack",
    "InformationView": "information_table",
    "LabelOnly": "label_only",
    "LeakVerdict": "verdict",
    "LeakageReport": "report",
    "LiRA": "lira",
    "LossFunction": "tf_privacy_loss",
    "MultiSignalLiRA": "multi_signal_lira",
    "Neighbourhood": "neighbourhood",
    "PrivacyClaim": "privacy_claim",
    "PrivacyMetric": "tf_privacy_results",
    "PrivacyReportMetadata": "tf_privacy_results",
    "QuantileRegression": "quantile_regression",
    "RMIA": "rmia",
    "RayWorkers": "ray_workers",
    "RocCurve": "roc",
    "RocSketch": "roc_sketch",
    "Scores": "attack",
    "ShadowClassifier": "shadow_classifier",
    "ShadowHeads": "frozen_feature_heads",
    "ShadowModels": "shadow_models",
    "ShadowSignals": "shadow_signals",
    "SignalInformation": "information_table",
    "Signals": "attack",
    "SingleAttackResult": "tf_privacy_results",
    "SingleSliceSpec": "tf_privacy_slices",
    "Slice": "slices",
    "SlicingFeature": "tf_privacy_slices",
    "SlicingSpec": "tf_privacy_slices",
    "Threshold": "threshold",
    "Trained": "trained",
    "Trajectory": "trajectory",
    "UnlearningEvaluation": "unlearning_evaluation",
    "UnlearningReport": "unlearning_outcome",
    "attack_p_scores": "attack_p",
    "attack_r_scores": "attack_r",
    "balanced_assignment": "shadow_assignment",
    "base_scores": "base_attack",
    "blind_baseline": "blind",
    "by_class": "slices",
    "by_column": "slices",
    "by_correctness": "slices",
    "by_percentile": "slices",
    "cross_fitted": "cross_fitting",
    "crossed": "slices",
    "difficulty_calibration_scores": "difficulty_calibration",
    "epsilon_lower_bound": "epsilon",
    "evaluate_unlearning": "unlearned_models",
    "exposure": "canary_exposure",
    "exposure_estimate": "canary_exposure",
    "get_flattened_attack_metrics": "tf_privacy_results",
    "information_view": "information_of_signals",
    "klom": "margin_divergence",
    "klom_floor": "margin_divergence",
    "klom_percentiles": "margin_divergence",
    "leak_verdict": "verdict",
    "lira_scores": "lira",
    "load_reports": "report_files",
    "loss_iqr": "trajectory",
    "membership_probabilities": "membership_probability",
    "mislabelled": "canaries",
    "model_card": "model_cards",
    "model_card_metadata": "model_cards",
    "multi_signal_lira_scores": "multi_signal_lira",
    "ppv": "predictive_value",
    "quantile_regression_scores": "quantile_regression",
    "random_inputs": "canaries",
    "randomised_membership": "canary_split",
    "report_table": "report_rows",
    "reports_to_html": "report_page",
    "reports_to_markdown": "report_markdown",
    "rmia_scores": "rmia",
    "run_attacks": "tf_privacy",
    "run_membership_probability_analysis": "tf_privacy",
    "save_reports": "report_files",
    "shadow_head_scores": "frozen_feature_heads",
    "signals_from_arrays": "array_signals",
    "signals_of": "asked_records",
    "sliced_reports": "by_slice",
    "tug_of_war": "agreement",
    "tune_rmia": "rmia",
    "u_lira_scores": "u_lira",
    "unlearning_report": "unlearning_outcome",
    "usage_share": "usage_inference",
}
__all__ = [
    "BASE",
    "RMIA",
    "Attack",
    "AttackContext",
    "AttackInputData",
    "AttackP",
    "AttackR",
    "AttackResults",
    "AttackResultsCollection",
    "AttackType",
    "AuditSet",
    "AuditWarning",
    "BlindBaseline",
    "CanarySplit",
    "Column",
    "CrossFitted",
    "CustomGroup",
    "DataSize",
    "DifficultyCalibration",
    "EpsilonAudit",
    "EpsilonBound",
    "EpsilonOverLooks",
    "EpsilonReading",
    "Estimate",
    "Examples",
    "FittedAttack",
    "InformationView",
    "LabelOnly",
    "LeakVerdict",
    "LeakageReport",
    "LiRA",
    "LossFunction",
    "MultiSignalLiRA",
    "Neighbourhood",
    "PrivacyClaim",
    "PrivacyMetric",
    "PrivacyReportMetadata",
    "QuantileRegression",
    "RayWorkers",
    "RocCurve",
    "RocSketch",
    "Scores",
    "ShadowClassifier",
    "ShadowHeads",
    "ShadowModels",
    "ShadowSignals",
    "SignalInformation",
    "Signals",
    "SingleAttackResult",
    "SingleSliceSpec",
    "Slice",
    "SlicingFeature",
    "SlicingSpec",
    "Threshold",
    "Trained",
    "Trajectory",
    "UnlearningEvaluation",
    "UnlearningReport",
    "attack_p_scores",
    "attack_r_scores",
    "balanced_assignment",
    "base_scores",
    "blind_baseline",
    "by_class",
    "by_column",
    "by_correctness",
    "by_percentile",
    "cross_fitted",
    "crossed",
    "difficulty_calibration_scores",
    "epsilon_lower_bound",
    "evaluate_unlearning",
    "exposure",
    "exposure_estimate",
    "get_flattened_attack_metrics",
    "information_view",
    "klom",
    "klom_floor",
    "klom_percentiles",
    "leak_verdict",
    "lira_scores",
    "load_reports",
    "loss_iqr",
    "membership_probabilities",
    "mislabelled",
    "model_card",
    "model_card_metadata",
    "multi_signal_lira_scores",
    "ppv",
    "quantile_regression_scores",
    "random_inputs",
    "randomised_membership",
    "report_table",
    "reports_to_html",
    "reports_to_markdown",
    "rmia_scores",
    "run_attacks",
    "run_membership_probability_analysis",
    "save_reports",
    "shadow_head_scores",
    "signals_from_arrays",
    "signals_of",
    "sliced_reports",
    "tug_of_war",
    "tune_rmia",
    "u_lira_scores",
    "unlearning_report",
    "usage_share",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

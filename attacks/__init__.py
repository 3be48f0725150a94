"""Signals become scores, scores become a ROC curve, the curve becomes a report.

Names are loaded when first used: importing this package imports neither TensorFlow nor Keras.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .asked_records import signals_of
    from .attack import Attack, AttackContext, FittedAttack, Scores, Signals
    from .attack_r import AttackR, attack_r_scores
    from .audit_set import AuditSet
    from .audit_warning import AuditWarning
    from .blind import BlindBaseline, blind_baseline
    from .difficulty_calibration import DifficultyCalibration, difficulty_calibration_scores
    from .estimate import Estimate
    from .lira import LiRA, lira_scores
    from .predictive_value import ppv
    from .report import LeakageReport
    from .rmia import RMIA, rmia_scores, tune_rmia
    from .roc import RocCurve
    from .roc_sketch import RocSketch
    from .shadow_assignment import balanced_assignment
    from .shadow_classifier import ShadowClassifier
    from .shadow_models import ShadowModels
    from .shadow_signals import ShadowSignals
    from .threshold import Threshold
    from .trajectory import loss_iqr
    from .verdict import LeakVerdict, leak_verdict

_HOME = {
    "Attack": "attack",
    "AttackContext": "attack",
    "AttackR": "attack_r",
    "AuditSet": "audit_set",
    "AuditWarning": "audit_warning",
    "BlindBaseline": "blind",
    "DifficultyCalibration": "difficulty_calibration",
    "Estimate": "estimate",
    "FittedAttack": "attack",
    "LeakVerdict": "verdict",
    "LeakageReport": "report",
    "LiRA": "lira",
    "RMIA": "rmia",
    "RocCurve": "roc",
    "RocSketch": "roc_sketch",
    "Scores": "attack",
    "ShadowClassifier": "shadow_classifier",
    "ShadowModels": "shadow_models",
    "ShadowSignals": "shadow_signals",
    "Signals": "attack",
    "Threshold": "threshold",
    "attack_r_scores": "attack_r",
    "balanced_assignment": "shadow_assignment",
    "blind_baseline": "blind",
    "difficulty_calibration_scores": "difficulty_calibration",
    "leak_verdict": "verdict",
    "lira_scores": "lira",
    "loss_iqr": "trajectory",
    "ppv": "predictive_value",
    "rmia_scores": "rmia",
    "signals_of": "asked_records",
    "tune_rmia": "rmia",
}
__all__ = [
    "RMIA",
    "Attack",
    "AttackContext",
    "AttackR",
    "AuditSet",
    "AuditWarning",
    "BlindBaseline",
    "DifficultyCalibration",
    "Estimate",
    "FittedAttack",
    "LeakVerdict",
    "LeakageReport",
    "LiRA",
    "RocCurve",
    "RocSketch",
    "Scores",
    "ShadowClassifier",
    "ShadowModels",
    "ShadowSignals",
    "Signals",
    "Threshold",
    "attack_r_scores",
    "balanced_assignment",
    "blind_baseline",
    "difficulty_calibration_scores",
    "leak_verdict",
    "lira_scores",
    "loss_iqr",
    "ppv",
    "rmia_scores",
    "signals_of",
    "tune_rmia",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

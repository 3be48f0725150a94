"""Signals become scores, scores become a ROC curve, the curve becomes a report.

Names are loaded when first used: importing this package imports neither TensorFlow nor Keras.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .attack import Attack, AttackContext, FittedAttack, Scores, Signals
    from .audit_set import AuditSet
    from .audit_warning import AuditWarning
    from .estimate import Estimate
    from .predictive_value import ppv
    from .report import LeakageReport
    from .roc import RocCurve
    from .threshold import Threshold
    from .trajectory import loss_iqr

_HOME = {
    "Attack": "attack",
    "AttackContext": "attack",
    "AuditSet": "audit_set",
    "AuditWarning": "audit_warning",
    "Estimate": "estimate",
    "FittedAttack": "attack",
    "LeakageReport": "report",
    "RocCurve": "roc",
    "Scores": "attack",
    "Signals": "attack",
    "Threshold": "threshold",
    "loss_iqr": "trajectory",
    "ppv": "predictive_value",
}
__all__ = [
    "Attack",
    "AttackContext",
    "AuditSet",
    "AuditWarning",
    "Estimate",
    "FittedAttack",
    "LeakageReport",
    "RocCurve",
    "Scores",
    "Signals",
    "Threshold",
    "loss_iqr",
    "ppv",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

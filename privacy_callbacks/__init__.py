"""See, while a Keras model trains, how much of its training data an attacker could recognise.

Names are loaded when first used: importing this package imports neither TensorFlow nor Keras.
"""

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from privacy_callbacks.attacks.audit_set import AuditSet
    from privacy_callbacks.attacks.audit_warning import AuditWarning
    from privacy_callbacks.attacks.epsilon_audit import EpsilonAudit
    from privacy_callbacks.attacks.report import LeakageReport

    from .after_the_fact import audit
    from .hparams_tab import hparams_metrics
    from .leakage_limit import LeakageLimit
    from .mia_callback import MIACallback
    from .private_checkpoint import PrivateCheckpoint
    from .range_audit import RangeAudit, audit_ranges
    from .range_curves import RangeCurve, range_curve
    from .unlearning_callback import UnlearningCallback

_HERE = Path(__file__).resolve().parent
try:
    __version__ = (_HERE / "VERSION").read_text().strip()
except OSError:  # TensorBoard imports this package: without the file it must still start
    __version__ = "unknown"

# In a bare checkout `attacks` and `range_queries` lie beside this folder, not inside it; an install puts them inside.
if not (_HERE / "attacks").exists() and (_HERE.parent / "attacks" / "threshold.py").exists():
    __path__.append(str(_HERE.parent))

_HOME = {
    "AuditSet": "privacy_callbacks.attacks.audit_set",
    "AuditWarning": "privacy_callbacks.attacks.audit_warning",
    "EpsilonAudit": "privacy_callbacks.attacks.epsilon_audit",
    "LeakageLimit": "privacy_callbacks.leakage_limit",
    "LeakageReport": "privacy_callbacks.attacks.report",
    "MIACallback": "privacy_callbacks.mia_callback",
    "PrivateCheckpoint": "privacy_callbacks.private_checkpoint",
    "RangeAudit": "privacy_callbacks.range_audit",
    "RangeCurve": "privacy_callbacks.range_curves",
    "UnlearningCallback": "privacy_callbacks.unlearning_callback",
    "audit": "privacy_callbacks.after_the_fact",
    "audit_ranges": "privacy_callbacks.range_audit",
    "hparams_metrics": "privacy_callbacks.hparams_tab",
    "range_curve": "privacy_callbacks.range_curves",
}
__all__ = [
    "AuditSet",
    "AuditWarning",
    "EpsilonAudit",
    "LeakageLimit",
    "LeakageReport",
    "MIACallback",
    "PrivateCheckpoint",
    "RangeAudit",
    "RangeCurve",
    "UnlearningCallback",
    "audit",
    "audit_ranges",
    "hparams_metrics",
    "range_curve",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])

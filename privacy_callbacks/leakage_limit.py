"""Stop training when leakage surely exceeds a limit."""

from __future__ import annotations

import math
import warnings
from collections.abc import Mapping
from typing import Any

import keras

from privacy_callbacks.attacks.audit_warning import AuditWarning
from privacy_callbacks.attacks.estimate import Estimate

from .published import published, was_audited


class LeakageLimit(keras.callbacks.Callback):
    """Stops training after the first epoch whose leakage lies above the limit by more than chance.

    "By more than chance": the *lower* end of the metric's confidence interval passes the limit, so a single lucky attack
    does not end a run. Epochs without an audit are passed over. Every audited epoch is one more look; each look alone errs
    at the level of its interval. `EarlyStopping` on a leakage metric is no substitute: leakage nearly always rises, from
    the first epoch on.

    Place it after `MIACallback` in the list of callbacks.

    Args:
      monitor: a log key of `MIACallback` with an interval: `mia_auc`, `mia_youden_j`, `mia_tpr_at_fpr_1e-2`,
        `mia_<attack>_auc`.
      maximum: the limit.
    Attributes:
      stopped_epoch: the epoch (from 0) after which training was stopped, or None.
    Raises:
      ValueError: if the limit is not a number, or `monitor` is an advantage, which has no interval.
    """

    def __init__(self, monitor: str = "mia_auc", maximum: float = 0.6) -> None:
        super().__init__()
        self.monitor = monitor
        self.maximum = check_limit(monitor, maximum)
        self.stopped_epoch: int | None = None
        self._complained = False

    def on_train_begin(self, logs: Any = None) -> None:
        self.stopped_epoch = None
        self._complained = False

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        estimate = published(self.model, self.monitor, epoch)
        if estimate is not None and self.monitor in (logs or {}):
            self._decide(epoch, estimate)
        elif not self._complained:
            doubt = self._why_no_decision(epoch, logs or {})
            if doubt:
                self._complained = True
                warnings.warn(doubt, AuditWarning, stacklevel=2)

    def _decide(self, epoch: int, estimate: Estimate) -> None:
        if estimate.low is not None and estimate.low > self.maximum:
            self.stopped_epoch = epoch
            self.model.stop_training = True
            print(
                f"\nLeakageLimit: after epoch {epoch + 1} {self.monitor} is {estimate:.3f} "
                f"[{estimate.low:.3f}, {estimate.high:.3f}], surely above {self.maximum:g}; training stops."
            )

    def _why_no_decision(self, epoch: int, logs: Mapping[str, float]) -> str | None:
        if self.monitor not in logs:
            return missing_key(self, self.monitor, logs)
        if was_audited(self.model, self.monitor, epoch):
            return f"LeakageLimit cannot decide by {self.monitor!r}: it is NaN, so refused (too few records) or failed."
        if not math.isnan(logs[self.monitor]) and not was_audited(self.model, self.monitor):
            return (
                f"LeakageLimit cannot decide by {self.monitor!r}: no MIACallback writes it, so it has no interval; give a key "
                "such as 'mia_auc'."
            )
        return None  # an epoch that is not audited


def check_limit(monitor: str, maximum: float) -> float:
    """Returns the limit if `monitor` can be held to it.

    Raises:
      ValueError: if the limit is not a finite number, or the metric has no interval.
    """
    if not isinstance(maximum, (int, float)) or not math.isfinite(maximum):
        raise ValueError(f"maximum is {maximum!r}; give the highest leakage to accept, such as 0.6 for an AUC.")
    if monitor.endswith("_advantage"):
        raise ValueError(
            f"{monitor!r} is the maximum over thresholds: it has no confidence interval to decide by; use the Youden's J."
        )
    return float(maximum)


def missing_key(callback: Any, key: str, logs: Mapping[str, float]) -> str:
    """The sentence for a log key that should be there."""
    remedy = "place it after the MIACallback that writes this key after an epoch (every='train_end' writes none)"
    if key.startswith("val_"):
        remedy = "give fit validation_data"
    found = ", ".join(logs) or "nothing"
    return f"{type(callback).__name__} finds no {key!r} in the logs (but {found}) and does nothing; {remedy}."

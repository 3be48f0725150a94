"""Keep the most useful model among those that keep their training data to themselves."""

from __future__ import annotations

import math
import os
import warnings
from pathlib import Path
from typing import Any

import keras

from privacy_callbacks.attacks.audit_warning import AuditWarning

from .leakage_limit import check_limit, missing_key
from .published import published
from .tensorboard_log import check_writable


class PrivateCheckpoint(keras.callbacks.Callback):
    """Saves the model whenever its utility is the best so far among epochs whose leakage is within the limit.

    "Within": the *upper* end of the leakage's confidence interval does not pass the limit. A run is stopped only on
    evidence that the limit is broken (`LeakageLimit`), and a model is kept only on evidence that it is not; so epochs
    that `MIACallback(every=...)` does not audit are never kept. The file is written under another name first, so that
    there is always a whole one.

    Place it after `MIACallback` in the list of callbacks.

    Args:
      filepath: a `.keras` file, or a `.weights.h5` file for the weights alone.
      monitor: the log key of the utility.
      mode: "max", "min", or "auto", which knows losses, errors, accuracies, AUCs, precision, recall and scores by name.
      leakage: a log key of `MIACallback` with an interval.
      maximum: the limit.
    Attributes:
      best: the utility of the saved model, or None.
      best_epoch: its epoch (from 0), or None.
    Raises:
      ValueError: on another file ending, an unknown mode, a utility whose mode "auto" does not know, or as `LeakageLimit`;
        at the start of training if the file cannot be written.
    """

    def __init__(
        self,
        filepath: str | os.PathLike[str],
        monitor: str = "val_loss",
        mode: str = "auto",
        leakage: str = "mia_auc",
        maximum: float = 0.6,
    ) -> None:
        super().__init__()
        self.filepath = Path(filepath)
        if not self.filepath.name.endswith((".keras", ".weights.h5")):
            raise ValueError(f"filepath is {str(filepath)!r}; give a name that ends in .keras or .weights.h5.")
        if mode not in ("auto", "min", "max"):
            raise ValueError(f"mode is {mode!r}; give 'min', 'max' or 'auto'.")
        self.mode = _mode_by_name(monitor) if mode == "auto" else mode
        self.monitor = monitor
        self.leakage = leakage
        self.maximum = check_limit(leakage, maximum)
        self.best: float | None = None
        self.best_epoch: int | None = None
        self._complained = self._decided = False

    def on_train_begin(self, logs: Any = None) -> None:
        check_writable(self.filepath.parent, "the folder of filepath")
        self.best = self.best_epoch = None
        self._complained = self._decided = False

    def on_epoch_end(self, epoch: int, logs: Any = None) -> None:
        for key in (self.monitor, self.leakage):
            if key not in (logs or {}):
                if not self._complained:
                    warnings.warn(missing_key(self, key, logs or {}), AuditWarning, stacklevel=2)
                self._complained = True
                return
        utility = float(logs[self.monitor])
        estimate = published(self.model, self.leakage, epoch)
        self._decided = self._decided or estimate is not None
        within = estimate is not None and estimate.high is not None and estimate.high <= self.maximum
        if within and not math.isnan(utility) and self._improves(utility):
            self.best, self.best_epoch = utility, epoch
            self._save()

    def on_train_end(self, logs: Any = None) -> None:
        if self.best is None:
            why = (
                "no epoch kept it surely within"
                if self._decided
                else "no audited epoch gave it an interval to hold against"
            )
            old = "; the file of that name is older than this fit" if self.filepath.exists() else ""
            warnings.warn(
                f"{self.leakage}: {why} {self.maximum:g}, so {str(self.filepath)!r} was not written{old}.",
                AuditWarning,
                stacklevel=2,
            )

    def _improves(self, utility: float) -> bool:
        if self.best is None:
            return True
        return utility > self.best if self.mode == "max" else utility < self.best

    def _save(self) -> None:
        self.filepath.parent.mkdir(parents=True, exist_ok=True)
        # Keras decides by the ending, so the ending stays.
        unfinished = self.filepath.with_name(f"unfinished-{self.filepath.name}")
        try:
            if self.filepath.name.endswith(".weights.h5"):
                self.model.save_weights(unfinished, overwrite=True)
            else:
                self.model.save(unfinished, overwrite=True)
            unfinished.replace(self.filepath)
        finally:
            unfinished.unlink(missing_ok=True)


_SMALLER_IS_BETTER = {"loss", "error", "mae", "mse", "rmse", "mape", "msle", "perplexity", "divergence"}
_BIGGER_IS_BETTER = {"acc", "accuracy", "auc", "precision", "recall", "f1", "score", "iou"}


def _mode_by_name(monitor: str) -> str:
    words = monitor.lower().split("_")
    if words[-1] == "loss" or _SMALLER_IS_BETTER & set(words):
        return "min"
    if _BIGGER_IS_BETTER & set(words):
        return "max"
    raise ValueError(f"mode='auto' does not know whether more {monitor!r} is better; give mode='max' or mode='min'.")

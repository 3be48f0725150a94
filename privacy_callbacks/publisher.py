"""Where an audit's numbers go: Keras' epoch logs, the callbacks that decide by them, TensorBoard."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from privacy_callbacks.attacks.estimate import Estimate
from privacy_callbacks.attacks.report import LeakageReport, low_fpr_name

from .published import publish, retract
from .tensorboard_log import TensorBoardLog

HEADLINE_FPR = 0.01
_HEADLINE_METRICS = ("auc", "advantage", "youden_j", low_fpr_name(HEADLINE_FPR))


class Publisher:
    """One fit's log keys, and its runs in TensorBoard.

    Args:
      model: the model in training; what another fit said of it under these keys is forgotten.
      name: the prefix of keys and tags.
      attacks: their names, the headline's first.
      log_dir: for TensorBoard; None = none.
      carries: True if the keys stand in the logs from the first epoch on.
    Attributes:
      values: what the logs get; NaN where a number was refused, failed or is not there yet.
    """

    def __init__(self, model: Any, name: str, attacks: Sequence[str], log_dir: str | None, carries: bool) -> None:
        self._keys_of = {attacks[0]: [f"{name}_{metric}" for metric in _HEADLINE_METRICS]}
        self._keys_of |= {attack: [f"{name}_{attack}_auc"] for attack in attacks[1:]}
        self.keys = [key for keys in self._keys_of.values() for key in keys]
        self.values = dict.fromkeys(self.keys, float("nan")) if carries else {}
        self._model, self._headline = model, attacks[0]
        self._log = None if log_dir is None else TensorBoardLog(log_dir, name)
        retract(model, self.keys)

    def keys_of(self, attacks: Sequence[str]) -> list[str]:
        """The log keys of these attacks."""
        return [key for attack in attacks for key in self._keys_of[attack]]

    def forget(self) -> None:
        """Whatever fails from here on must not leave the numbers of another epoch standing."""
        self.values = dict.fromkeys(self.values, float("nan"))

    def publish(self, whole: Sequence[LeakageReport], sliced: Sequence[LeakageReport], epoch: int) -> None:
        """An audit after `epoch`: its reports on all records everywhere, those on slices in TensorBoard alone."""
        headline, *others = whole
        named = headline.estimates()
        found = [named[metric] for metric in _HEADLINE_METRICS] + [report.auc for report in others]
        estimates = dict(zip(self.keys, found, strict=True))
        self.values = {key: _plain(estimate) for key, estimate in estimates.items()}
        publish(self._model, estimates, epoch)
        self.show([*whole, *sliced], epoch)

    def show(self, reports: Sequence[LeakageReport], epoch: int) -> None:
        """An audit's scalars, in TensorBoard alone."""
        if self._log is not None:
            for report in reports:
                self._log.scalars(report, epoch)
            self._log.flush()

    def text(self, report: LeakageReport, tag: str, step: int) -> None:
        """A report's table, in TensorBoard alone."""
        if self._log is not None:
            self._log.text(report, tag, step)
            self._log.flush()

    def lines(self, text: str, tag: str, step: int) -> None:
        """Lines of text in the headline attack's run, in TensorBoard alone."""
        if self._log is not None:
            self._log.lines(text, self._headline, tag, step)
            self._log.flush()

    def picture(self, pixels: NDArray[np.uint8], tag: str, step: int) -> None:
        """A picture [height, width, channels] in the headline attack's run, in TensorBoard alone."""
        if self._log is not None:
            self._log.picture(pixels, self._headline, tag, step)
            self._log.flush()

    def close(self) -> None:
        """Closes TensorBoard's files."""
        if self._log is not None:
            self._log.close()


def _plain(estimate: Estimate | None) -> float:
    return float("nan") if estimate is None else float(estimate)

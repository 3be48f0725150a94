"""Where an audit's numbers go: Keras' epoch logs, the callbacks that decide by them, TensorBoard."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from privacy_callbacks.attacks.estimate import Estimate
from privacy_callbacks.attacks.report import LeakageReport, low_fpr_name
from privacy_callbacks.attacks.verdict import LeakVerdict

from .charts_layout import write_layout
from .privacy_log import PrivacyLog
from .published import publish, retract
from .tensorboard_log import TensorBoardLog

if TYPE_CHECKING:
    import pandas as pd

HEADLINE_FPR = 0.01
MOST_SLICE_CHARTS = 60  # of all attacks together; the Privacy tab tells of more
_HEADLINE_METRICS = ("auc", "advantage", "youden_j", low_fpr_name(HEADLINE_FPR))


class Publisher:
    """One fit's log keys, and its runs in TensorBoard.

    Args:
      model: the model in training; what another fit said of it under these keys is forgotten.
      name: the prefix of keys and tags.
      attacks: their names, the headline's first.
      log_dir: for TensorBoard; None = none.
      carries: True if the keys stand in the logs from the first epoch on.
      epsilon: what the training's ε is called, which the headline's reports hold; None = they hold none.
    Attributes:
      values: what the logs get; NaN where a number was refused, failed or is not there yet.
    """

    def __init__(
        self,
        model: Any,
        name: str,
        attacks: Sequence[str],
        log_dir: str | None,
        carries: bool,
        epsilon: str | None = None,
    ) -> None:
        metrics = _HEADLINE_METRICS if epsilon is None else (*_HEADLINE_METRICS, epsilon)
        self._keys_of = {attacks[0]: [f"{name}_{metric}" for metric in metrics]}
        self._has_epsilon = epsilon is not None
        self._keys_of |= {attack: [f"{name}_{attack}_auc"] for attack in attacks[1:]}
        self.keys = [key for keys in self._keys_of.values() for key in keys]
        self.values = dict.fromkeys(self.keys, float("nan")) if carries else {}
        self._model, self._headline = model, attacks[0]
        self._log_dir, self._name, self._laid_out = log_dir, name, False
        self._log = None if log_dir is None else TensorBoardLog(log_dir, name)
        self._tab = None if self._log is None else PrivacyLog(self._log, self._headline)
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
        found = [named[metric] for metric in _HEADLINE_METRICS]
        if self._has_epsilon:
            found.append(None if headline.epsilon is None else headline.epsilon.estimate)
        found += [report.auc for report in others]
        estimates = dict(zip(self.keys, found, strict=True))
        self.values = {key: _plain(estimate) for key, estimate in estimates.items()}
        publish(self._model, estimates, epoch)
        self.show(whole, sliced, epoch)

    def show(self, whole: Sequence[LeakageReport], sliced: Sequence[LeakageReport], epoch: int) -> None:
        """An audit, in TensorBoard alone: its scalars, and what the Privacy tab reads."""
        if self._log is None or self._tab is None:
            return
        for report in (*whole, *_charted(whole, sliced)):
            self._log.scalars(report, epoch)
        self.show_in_tab(whole, sliced, epoch)

    def show_in_tab(self, whole: Sequence[LeakageReport], sliced: Sequence[LeakageReport], epoch: int) -> None:
        """An audit, in the Privacy tab alone; a later one of the same epoch takes the earlier one's place there."""
        if self._log is None or self._tab is None or self._log_dir is None:
            return
        if not self._laid_out:
            self._laid_out = True
            write_layout(self._log_dir, self._name)
        self._tab.audit(whole, sliced, epoch)
        self._log.flush()

    def before_training(self, whole: Sequence[LeakageReport], sliced: Sequence[LeakageReport], step: int) -> None:
        """The audit of the untrained model: the headline's table as text, and what the Privacy tab reads."""
        if self._log is None:
            return
        self._log.text(whole[0], "before_training", 0)
        self.show_in_tab(whole, sliced, step)

    def epoch(self, logs: Mapping[str, Any], epoch: int) -> None:
        """Keras' logs of an epoch, for the Privacy tab."""
        if self._log is not None and self._tab is not None:
            self._tab.training(logs, epoch)
            self._log.flush()

    def records(
        self,
        risky: pd.DataFrame,
        pictures: Callable[[Sequence[int]], Mapping[int, NDArray[np.uint8]]] | None,
        epoch: int,
    ) -> None:
        """The members most at risk, for the Privacy tab.

        Args:
          risky: as `MIACallback.records` makes it, its index the records' rows in the audit set.
          pictures: of some of these rows, [height, width, channels] each; None = without.
          epoch: at whose end.
        """
        if self._log is None or self._tab is None:
            return
        columns = [str(name) for name in risky.columns if name != "is_member"]
        cells = risky[columns].to_dict("records")  # a column at a time: a row's whole numbers would become floats
        found = [{"row": int(row), **cell} for row, cell in zip(risky.index, cells, strict=True)]
        self._tab.records(columns, found, epoch)
        if pictures is not None:
            self._tab.pictures(pictures(self._tab.unpictured([int(row) for row in risky.index])), epoch)
        self._log.flush()

    def at_the_end(self, headline: LeakageReport, verdict: LeakVerdict, epoch: int) -> None:
        """The last word: the headline's report and what all audits together say."""
        if self._log is None or self._tab is None:
            return
        self._log.text(headline, "after_training", epoch)
        self._log.lines(str(verdict), self._headline, "verdict", epoch)
        self._tab.verdict(verdict, epoch)
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


def _charted(whole: Sequence[LeakageReport], sliced: Sequence[LeakageReport]) -> list[LeakageReport]:
    """The slices that get charts of their own: those of the first attacks, while there are not too many to look at."""
    found: list[LeakageReport] = []
    for report in whole:
        own = [part for part in sliced if part.attack == report.attack]
        if len(found) + len(own) > MOST_SLICE_CHARTS:
            break
        found += own
    return found


def _plain(estimate: Estimate | None) -> float:
    return float("nan") if estimate is None else float(estimate)

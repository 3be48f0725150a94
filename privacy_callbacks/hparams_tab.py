"""Leakage as columns of TensorBoard's HParams tab, beside the hyperparameters that a user logs."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from privacy_callbacks.attacks.report import LeakageReport, low_fpr_name

_TITLES = {
    "auc": "AUC",
    "advantage": "advantage",
    "youden_j": "Youden's J",
    "balanced_accuracy": "balanced accuracy",
    "mutual_information": "mutual information",
}
_PARTS = {"_low": ", low end", "_high": ", high end", "_null_level": ", null level"}


def hparams_metrics(
    attacks: str | Iterable[str] = "loss",
    metrics: str | Iterable[str] = ("auc", low_fpr_name(0.01)),
    name: str = "mia",
) -> list[Any]:
    """What `hp.hparams_config(metrics=...)` takes to show what a `MIACallback` found at its last audit.

    Without it TensorBoard finds the same numbers by itself, among some twenty others an attack and those of every slice,
    and shows the first five by the alphabet. For the numbers to be found, the hyperparameters must be written into the
    same directory as the callback's `log_dir`.

    Args:
      attacks: names, as in the callback's runs: "lira", "loss", …
      metrics: as in its tags: "auc", "advantage", "youden_j", "balanced_accuracy", "mutual_information", "tpr_at_fpr_1e-2",
        …; "auc_low" for the low end of an interval.
      name: the callback's.
    Returns:
      `hp.Metric`s, metric by metric, attacks in the order given; TensorBoard shows the first five of all it is given.
    Raises:
      ValueError: if an attack is no name, or a metric is unknown.
    """
    from tensorboard.plugins.hparams import api as hp

    named = [attacks] if isinstance(attacks, str) else list(attacks)
    asked = [metrics] if isinstance(metrics, str) else list(metrics)
    for attack in named:
        if not isinstance(attack, str) or not attack:
            raise ValueError(
                f"attacks has {attack!r}; give the names of the callback's attacks, such as 'loss' or 'lira'."
            )
    titles = {metric: _title_of(metric) for metric in asked}
    return [
        hp.Metric(f"{name}/{metric}", group=f"{name}/{attack}", display_name=f"{name}/{attack} {title}")
        for metric, title in titles.items()
        for attack in named
    ]


def _title_of(metric: Any) -> str:
    known = list(LeakageReport("any").estimates())
    text = str(metric)
    end = next((end for end in _PARTS if text.endswith(end) and text.removesuffix(end) in known), "")
    bare = text.removesuffix(end) if end else text
    if not isinstance(metric, str) or bare not in known:
        raise ValueError(
            f"metrics has {metric!r}; give some of {', '.join(known)}, or with _low, _high or _null_level."
        )
    title = _TITLES.get(bare) or f"TPR at {100 * float(bare.removeprefix('tpr_at_fpr_')):g} % FPR"
    return title + _PARTS.get(end, "")

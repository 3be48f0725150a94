"""Reports as a Hugging Face model card: figures in its metadata, and a section that says what they mean."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from decimal import ROUND_CEILING, ROUND_FLOOR, ROUND_HALF_EVEN, Decimal
from typing import Any

from .card_text import MARKED, merged_card, new_card
from .estimate import Estimate
from .grouped_reports import audits_by_attack
from .report import LeakageReport
from .report_markdown import TITLE, reports_to_markdown

METRIC_PREFIX = "membership_inference_"
_TITLES = {
    "auc": "AUC",
    "advantage": "advantage",
    "tpr_at_fpr_1e-2": "TPR at 1 % FPR",
    "tpr_at_fpr_1e-3": "TPR at 0.1 % FPR",
}
_NO_NAME = "model"
_LIBRARY = "keras"


def model_card_metadata(
    reports: Iterable[LeakageReport],
    *,
    dataset_name: str,
    dataset_type: str,
    model_name: str | None = None,
    task_type: str = "other",
) -> dict[str, Any]:
    """What the audits found as Hugging Face's `model-index`: plain types, for `ModelCardData`, YAML or JSON.

    Of each attack the newest audit on all records is told: AUC, advantage, and TPR at 1 % and 0.1 % FPR. Bounds are rounded
    outwards to four decimals and stand in a metric's `args`, with the attack and how many records were judged. What was refused,
    failed, or comes from records of which no leak can be told is left out, since a number without its doubt would travel alone.

    Args:
      reports: of any audits, the headline attack's first, such as `mia.reports`.
      dataset_name: of the data the model was trained on, for people: "Fashion-MNIST".
      dataset_type: its id on the Hub, or any other: "fashion_mnist".
      model_name: the model's id; None = "model".
      task_type: the Hub's name of the task, such as "image-classification".
    Returns:
      `{"model-index": [{"name", "results": [{"task", "dataset", "metrics"}]}]}`; empty if no figure can be told.
    Raises:
      TypeError, ValueError: if something else than reports is given, or none, or a name is no text.
    """
    named = {"dataset_name": dataset_name, "dataset_type": dataset_type, "task_type": task_type}
    named["model_name"] = _NO_NAME if model_name is None else model_name
    shown = {argument: _shown(text, argument) for argument, text in named.items()}
    audits = audits_by_attack(reports)
    metrics = [metric for attack in audits for metric in _metrics(attack, audits[attack][-1].whole)]
    if not metrics:
        return {}
    result = {
        "task": {"type": shown["task_type"]},
        "dataset": {"name": shown["dataset_name"], "type": shown["dataset_type"]},
        "metrics": metrics,
    }
    return {"model-index": [{"name": shown["model_name"], "results": [result]}]}


def model_card(
    reports: Iterable[LeakageReport],
    *,
    dataset_name: str,
    dataset_type: str,
    model_name: str | None = None,
    task_type: str = "other",
    title: str = TITLE,
    verdict: object | None = None,
    into: str | None = None,
) -> str:
    """A model card with the figures of `model_card_metadata` as its front matter and the section of `reports_to_markdown`.

    Args:
      reports, dataset_name, dataset_type, model_name, task_type: as for `model_card_metadata`.
      title, verdict: as for `reports_to_markdown`.
      into: the text of a card that is there. What an earlier call wrote into it (between two comments, and metrics named
        `membership_inference_…`) is replaced; all else stays as it is, but for the layout of `model-index` and line ends of
        two kinds. None = a new card.
    Returns:
      The card's text, which ends in a newline.
    Raises:
      TypeError, ValueError: as `model_card_metadata`; or if the card's front matter cannot be read, or only one of the comments
        is there.
      ImportError: if PyYAML, which reads the front matter of a card that is there, is missing (the extra `cli` brings it).
    """
    listed = list(reports) if not isinstance(reports, LeakageReport) else reports
    metadata = model_card_metadata(
        listed, dataset_name=dataset_name, dataset_type=dataset_type, model_name=model_name, task_type=task_type
    )
    section = MARKED.format(section=reports_to_markdown(listed, title, verdict=verdict))
    if into is not None:
        return merged_card(into, metadata.get("model-index", []), section, METRIC_PREFIX, named=model_name is not None)
    front = {"library_name": _LIBRARY, "tags": [_LIBRARY, "membership-inference"], **metadata}
    return new_card("".join(_block(front)), _NO_NAME if model_name is None else model_name, section)


def _metrics(attack: str, report: LeakageReport) -> Iterator[dict[str, Any]]:
    if report.void is not None:
        return
    estimates = report.estimates()
    who = _plain(attack)
    for name, title in _TITLES.items():
        estimate = estimates.get(name)
        if estimate is not None and math.isfinite(estimate):
            yield {
                "type": METRIC_PREFIX + name,
                "value": _rounded(estimate, ROUND_HALF_EVEN),
                "name": f"{title} of membership inference ({who})",
                "args": {"attack": who, **_interval(estimate), **_circumstances(report)},
            }


def _interval(estimate: Estimate) -> dict[str, float]:
    ends = {"low": (estimate.low, ROUND_FLOOR), "high": (estimate.high, ROUND_CEILING)}
    ends["null_level"] = (estimate.null_level, ROUND_CEILING)
    found = {name: _rounded(end, mode) for name, (end, mode) in ends.items() if end is not None and math.isfinite(end)}
    return {**found, "level": float(estimate.level)}


def _circumstances(report: LeakageReport) -> dict[str, int]:
    found = {"members": report.num_members, "nonmembers": report.num_nonmembers}
    return found if report.step is None else {**found, "after_epoch": report.step + 1}


def _rounded(number: float, mode: str) -> float:
    # From the shortest decimal that means this float, so that .59 is not .5899….
    return float(Decimal(repr(float(number))).quantize(Decimal("0.0001"), mode))


def _shown(text: str, argument: str) -> str:
    """The text on one line.

    Raises:
      TypeError, ValueError: if it is no text, or shows nothing.
    """
    if not isinstance(text, str):
        raise TypeError(f"{argument} is {text!r}; give it as text.")
    if not _plain(text):
        raise ValueError(f"{argument} is {text!r}; give a name that can be read.")
    return _plain(text)


def _plain(text: str) -> str:
    return " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())


def _block(value: Mapping[str, Any], indent: str = "") -> Iterator[str]:
    """Lines of YAML. Its strings and numbers are written as JSON writes them, which is YAML, too."""
    for key, held in value.items():
        if isinstance(held, Mapping):
            yield f"{indent}{key}:\n"
            yield from _block(held, f"{indent}  ")
        elif isinstance(held, list):
            yield f"{indent}{key}:\n"
            for item in held:
                lines = _block(item, f"{indent}  ") if isinstance(item, Mapping) else [f"{indent}  {_scalar(item)}\n"]
                first, *others = lines
                yield f"{indent}- {first[len(indent) + 2 :]}"
                yield from others
        else:
            yield f"{indent}{key}: {_scalar(held)}\n"


def _scalar(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)

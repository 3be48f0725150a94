"""What the Privacy tab reads: plugin summaries in the attacks' own runs, bounded in size.

One tensor a kind and step: a scalar string, zlib-compressed strict JSON. Kinds: `audit` (a report), `details` (its curve,
histogram and slices), and in the headline attack's run `training` (Keras' epoch logs), `records`, `pictures` and `verdict`.
"""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from privacy_callbacks.attacks.audit_payload import SLICES_TOLD, audit_of, details_of, rounded
from privacy_callbacks.attacks.report import LeakageReport
from privacy_callbacks.attacks.verdict import LeakVerdict

from .tensorboard_log import TensorBoardLog

PLUGIN_NAME = "privacy"
SCHEMA_VERSION = 1
# An audit writes no more than this for the tab, whatever it found (with more than 40 attacks, 1,000 bytes each).
MOST_BYTES_AN_AUDIT = 40_000
_LEAST_SHARE = 1_000
# All pictures of a fit together.
MOST_PICTURE_BYTES = 1_000_000
_FEWER_SLICES = (SLICES_TOLD, 20, 10, 0)
_SENTENCE_LENGTHS = (600, 200, 60, 0)
_LONGEST_TEXT = 80


class PrivacyLog:
    """Writes what a fit finds for the Privacy tab.

    Args:
      log: whose runs it writes into; closing and flushing are that one's business.
      headline: the first attack's name.
    """

    def __init__(self, log: TensorBoardLog, headline: str) -> None:
        self._log, self._headline = log, headline
        self._pictured: set[int] = set()
        self._newest_pictures: tuple[int, dict[str, Any]] = (-1, {})
        self._picture_bytes = 0

    def audit(self, whole: Sequence[LeakageReport], sliced: Sequence[LeakageReport], step: int) -> None:
        """An audit: its reports on all records, attack by attack, each with those on slices."""
        share = max(_LEAST_SHARE, MOST_BYTES_AN_AUDIT // max(1, len(whole)))
        for report in whole:
            own = [part for part in sliced if part.attack == report.attack]
            said = _audit_within(share, report, report.attack == self._headline)
            self._write(report.attack, "audit", said, step)
            details = _details_within(share - len(said), report, own)
            if details is not None:
                self._write(report.attack, "details", details, step)

    def training(self, logs: Mapping[str, Any], step: int) -> None:
        """Keras' logs of an epoch, those that are numbers."""
        figures = {str(name): _figure(value) for name, value in logs.items()}
        found = {name: rounded(figure) for name, figure in figures.items() if figure is not None}
        self._write(self._headline, "training", compressed({"logs": found}), step)

    def records(self, columns: Sequence[str], rows: Sequence[Mapping[str, Any]], step: int) -> None:
        """The members most at risk, worst first; each row has its record's number under `row`. As many as there is room for.

        Ids become text, since not every whole number is one to JavaScript.
        """
        kept = [
            {name: _text(value) if name == "id" else _plain_cell(value) for name, value in row.items()} for row in rows
        ]
        written = compressed({"columns": list(columns), "rows": kept})
        while len(written) > MOST_BYTES_AN_AUDIT // 4 and len(kept) > 1:
            kept = kept[: len(kept) // 2]
            written = compressed({"columns": list(columns), "rows": kept})
        self._write(self._headline, "records", written, step)

    def unpictured(self, rows: Sequence[int]) -> list[int]:
        """Those of these records whose picture has not been written, while there is room for pictures."""
        return [] if self._picture_bytes >= MOST_PICTURE_BYTES else [row for row in rows if row not in self._pictured]

    def pictures(self, pixels: Mapping[int, NDArray[np.uint8]], step: int) -> None:
        """Pictures [height, width, channels] by their record's number; each is written at one step of a fit."""
        # What comes at the same step once more takes the place of what was there.
        found = dict(self._newest_pictures[1]) if self._newest_pictures[0] == step else {}
        known = len(found)
        for row, shades in pixels.items():
            png = bytes(tf.io.encode_png(shades).numpy())
            self._pictured.add(row)  # tried once
            if self._picture_bytes + len(png) > MOST_PICTURE_BYTES:
                continue
            self._picture_bytes += len(png)
            height, width = shades.shape[:2]
            found[str(row)] = {"png": base64.b64encode(png).decode(), "width": width, "height": height}
        if len(found) > known:
            self._newest_pictures = step, found
            self._write(self._headline, "pictures", compressed({"pictures": found}), step)

    def verdict(self, verdict: LeakVerdict, step: int) -> None:
        """What all audits together say."""
        self.judgement(str(verdict), verdict.detected, verdict.unjudged, step)

    def judgement(self, text: str, detected: Mapping[str, int | None], void: str | None, step: int) -> None:
        """A sentence over all audits, and since when which attack bears it out; `void` says why there is none."""
        said = {"text": text, "detected": dict(detected), "void": void}
        self._write(self._headline, "verdict", compressed(_shortened(said, _SENTENCE_LENGTHS[0])), step)

    def _write(self, attack: str, kind: str, content: bytes, step: int) -> None:
        self._log.plugin_data(attack, kind, content, step)


def ranges_payload(label: str, sizes: Sequence[float], curves: Mapping[str, Sequence[LeakageReport]]) -> bytes:
    """Attacks by the size of their ranges, as the kind `ranges`.

    Args:
      label: what a size is.
      sizes: one a report.
      curves: by the attack's name.
    """
    told = [
        {"name": name, "reports": [rounded(report.to_dict()) for report in reports]} for name, reports in curves.items()
    ]
    return compressed({"label": label, "sizes": rounded(list(sizes)), "curves": told})


def compressed(content: Mapping[str, Any]) -> bytes:
    """The payload as it is written.

    Raises:
      ValueError: if it holds what strict JSON cannot say.
    """
    return zlib.compress(json.dumps(content, allow_nan=False, separators=(",", ":")).encode(), 6)


def _audit_within(most_bytes: int, report: LeakageReport, headline: bool) -> bytes:
    """A report in this many bytes, its sentences cut short where they must be; its numbers are always there."""
    told = audit_of(report, headline)
    cut = (compressed(_shortened(told, longest)) for longest in _SENTENCE_LENGTHS)
    return next((found for found in cut if len(found) <= most_bytes), compressed(_shortened(told, 0)))


def _details_within(most_bytes: int, report: LeakageReport, sliced: Sequence[LeakageReport]) -> bytes | None:
    """An attack's details in this many bytes, with as many slices as there is room for; None if there is room for none."""
    for slices in dict.fromkeys(min(count, len(sliced)) for count in _FEWER_SLICES):
        found = compressed(details_of(report, sliced, slices))
        if len(found) <= most_bytes:
            return found
    return None


def _shortened(content: Any, longest: int) -> Any:
    """The payload, every sentence longer than a name cut to this length."""
    if isinstance(content, dict):
        return {name: _shortened(part, longest) for name, part in content.items()}
    if isinstance(content, (list, tuple)):
        return [_shortened(part, longest) for part in content]
    if isinstance(content, str) and len(content) > max(longest, _LONGEST_TEXT):
        return f"{content[:longest]}…"
    return content


def _figure(value: Any) -> float | None:
    """The value as a number, if it is one."""
    if isinstance(value, (str, bytes)):
        return None
    try:
        return float(value) if np.ndim(value) == 0 else None
    except (TypeError, ValueError, OverflowError):
        return None


def _plain_cell(value: Any) -> Any:
    if value is None or isinstance(value, (bool, np.bool_)):
        return None if value is None else bool(value)
    if isinstance(value, (int, np.integer)) and abs(int(value)) < 2**53:
        return int(value)
    if isinstance(value, (float, np.floating)):
        return rounded(float(value))
    text = _text(value)
    return None if text == "<NA>" else text


def _text(value: Any) -> str:
    """The value as text; a long one without its middle, since beginnings and ends tell records apart."""
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    if isinstance(value, (float, np.floating)) and float(value).is_integer():
        value = int(value)  # as in tables with gaps, where whole numbers are floats
    text = str(value)
    half = _LONGEST_TEXT // 2
    return text if len(text) <= _LONGEST_TEXT else f"{text[: half - 1]}…{text[-half:]}"

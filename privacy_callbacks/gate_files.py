"""Judgements for machines: JUnit XML, and annotations that GitHub shows beside a change."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path
from xml.etree import ElementTree

from .gate import Judgement
from .printable import printable


def write_junit(judgements: Sequence[Judgement], path: Path) -> None:
    """Writes a test suite with a case for each judgement; a file that is there is replaced as a whole.

    Raises:
      OSError: if it cannot be written.
    """
    failed, skipped = (sum(one.passed is passed for one in judgements) for passed in (False, None))
    counts = {"tests": len(judgements), "failures": failed, "skipped": skipped, "errors": 0}
    suite = ElementTree.Element("testsuite", {"name": "privacy-audit check", **{k: str(v) for k, v in counts.items()}})
    for one in judgements:
        names = {"classname": _xml_text(one.source), "name": _xml_text(f"{one.title} <= {one.limit.maximum:g}")}
        case = ElementTree.SubElement(suite, "testcase", names)
        if not one.passed:
            kind = "skipped" if one.passed is None else "failure"
            ElementTree.SubElement(case, kind, {"message": _xml_text(one.words)})
    unfinished = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        unfinished.write_bytes(ElementTree.tostring(suite, "utf-8", xml_declaration=True) + b"\n")
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)


def github_annotations(judgements: Sequence[Judgement]) -> Iterator[str]:
    """A line for each limit that does not hold, in the form of GitHub's workflow commands."""
    for one in judgements:
        if one.passed is False:
            yield f"::error title={_escaped(one.title, ',:')}::{_escaped(one.words)}"


def _escaped(text: str, further: str = "") -> str:
    for letter in "%\r\n" + further:
        text = text.replace(letter, f"%{ord(letter):02X}")
    return printable(text)


def _xml_text(text: str) -> str:
    # XML has no way to write most control characters, nor halves of surrogate pairs.
    return printable(text)

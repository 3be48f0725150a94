"""Docstrings as this package writes them, Markdown within Google's sections, turned into what napoleon and autodoc read."""

from __future__ import annotations

import re
from collections.abc import Mapping
from importlib import import_module
from typing import Any

PACKAGES = "privacy_callbacks", "privacy_callbacks.range_queries", "privacy_callbacks.attacks"

# What is not prose: fences before tables before spans of code.
_PARTS = re.compile(
    r"(?P<fence>^ *```.*?^ *```$)|(?P<table>(?:^ *\|.*\|$\n?)+)|(?P<span>(?<!`)`[^`]+`(?!`))", re.DOTALL | re.MULTILINE
)
_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\w*)\n(?P<code>.*?)\n *```$", re.DOTALL)
_USAGE = re.compile(r"^Usage:\n\n(?P<code>(?:  .*\n|\n)+)", re.MULTILINE)
_EMPHASIS = re.compile(r"(?<![\w*\\])\*(?=[^\s*])([^*]+)(?<=[^\s*])\*(?![\w*])")
_BULLET = re.compile(r"^ *(?:\*|-|\d+\.) ")
# Sentences that begin with their subject, on the level of sections but none themselves.
_LABELS = re.compile(r"^(Axes|Source|Truth): (?=\S)", re.MULTILINE)


def as_rst(docstring: str, links: Mapping[str, str] | None = None) -> str:
    """The same docstring in reStructuredText; its sections stay as they are, for napoleon.

    Args:
      docstring: without the indentation of its place in the source.
      links: what a name in backticks leads to.
    Raises:
      ValueError: on a fence that is not closed.
    """
    text = _USAGE.sub(_usage, docstring)
    parts, end = [], 0
    for found in _PARTS.finditer(text):
        parts.append(_prose(text[end : found.start()]))
        if found["fence"]:
            parts.append(_block(found["fence"]))
        elif found["table"]:
            parts.append(_table(found["table"], links or {}))
        else:
            parts.append(_span(text, found, links or {}))
        end = found.end()
    return _spaced("".join([*parts, _prose(text[end:])]))


def _usage(found: re.Match[str]) -> str:
    code = "\n".join(line.removeprefix("  ") for line in found["code"].rstrip("\n").split("\n"))
    return f"```python\n{code}\n```\n\n"


def _span(text: str, found: re.Match[str], links: Mapping[str, str]) -> str:
    # Both a literal and a role end before a space or punctuation alone: `Estimate`s needs a mark that shows nothing.
    before, after = text[: found.start()][-1:], text[found.end() :][:1]
    left, right = (r"\ " if side.isalnum() else "" for side in (before, after))
    name = found["span"].strip("`")
    shown = f":py:obj:`{name} <{links[name]}>`" if name in links else f"`{found['span']}`"
    return f"{left}{shown}{right}"


def _block(fence: str) -> str:
    found = _FENCE.match(fence)
    if found is None:
        raise ValueError(f"a fence is not closed as it was opened, or holds nothing: {fence!r}.")
    code = "\n".join("    " + line if line.strip() else "" for line in found["code"].split("\n"))
    return f"\n{found['indent']}.. code-block:: {found['language'] or 'text'}\n\n{code}\n"


def _table(rows: str, links: Mapping[str, str]) -> str:
    cells = [[cell.strip() for cell in row.strip().strip("|").split("|")] for row in rows.strip("\n").split("\n")]
    told = [row for row in cells if not all(re.fullmatch(":?-+:?", cell) for cell in row)]
    lines = [
        f"   {'*' if row_starts else ' '} - {as_rst(cell, links)}"
        for row in told
        for row_starts, cell in zip([True] + [False] * len(row), row, strict=False)
    ]
    return "\n.. list-table::\n   :header-rows: 1\n\n" + "\n".join(lines) + "\n\n"


def _prose(text: str) -> str:
    kept = re.split(r"((?:^|(?<=\n)) *\* )", text)  # marks of bullets are none of emphasis
    return "".join(part if place % 2 else _escaped(part) for place, part in enumerate(kept))


def _escaped(text: str) -> str:
    pieces = _EMPHASIS.split(text)
    plain = [re.sub(r"([*|\\])|(?<=\w)(_)(?!\w)", r"\\\1\2", piece) for piece in pieces[::2]]
    words = [f"*{word}*" for word in pieces[1::2]]
    return "".join(part for pair in zip(plain, [*words, ""], strict=True) for part in pair)


def _spaced(text: str) -> str:
    """With the blank lines around lists and labels that Markdown does not ask for."""
    lines: list[str] = []
    for line in _LABELS.sub(r"**\1:** ", text).split("\n"):
        last = lines[-1] if lines else ""
        begins_list = _BULLET.match(line) and last.strip() and not _in_list(lines)
        if begins_list or (line.startswith("**") and last.startswith(" ")):
            lines.append("")
        lines.append(line)
    return "\n".join(lines)


def _in_list(lines: list[str]) -> bool:
    for line in reversed(lines):
        if not line.strip():
            return False
        if _BULLET.match(line):
            return True
    return False


def public_names() -> dict[str, str]:
    """What a docstring may mean by a name in backticks, and where it is told; words such as `mean` are left as they are."""
    return {
        name: f"{package}.{name}"
        for package in reversed(PACKAGES)
        for name in import_module(package).__all__
        if not name.isalpha() or not name.islower()
    }


def _process(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]) -> None:
    links = {known: home for known, home in public_names().items() if home != name}
    lines[:] = as_rst("\n".join(lines), links).split("\n")


def setup(app: Any) -> dict[str, Any]:
    """Runs before napoleon, which waits at priority 500."""
    app.connect("autodoc-process-docstring", _process, priority=400)
    return {"parallel_read_safe": True}

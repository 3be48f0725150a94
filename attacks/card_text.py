"""The text of a model card: front matter, body, and a section between two comments that can be replaced."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from .markdown_text import as_markdown

_BEGIN = "<!-- begin of what privacy-callbacks wrote; model_card(into=...) replaces it -->"
_END = "<!-- end of what privacy-callbacks wrote -->"
MARKED = f"{_BEGIN}\n\n{{section}}\n{_END}\n"  # blank lines, so that no renderer takes Markdown for HTML
_FRONT_MATTER = re.compile(r"\A\ufeff?\s*---[ \t]*\n(?P<yaml>(?:.*\n)*?)---[ \t]*(?:\n|\Z)")
_INDEX = "model-index"
_PLAIN_FORM = "give lines of `key: value` that begin at the margin"


def new_card(front_matter: str, model_name: str, section: str) -> str:
    """A card of front matter, a heading and the section."""
    return f"---\n{front_matter}---\n\n# {as_markdown(model_name)}\n\n{section}"


def merged_card(card: str, index: Sequence[Any], section: str, prefix: str, *, named: bool) -> str:
    """The card with the section and the results in it, in the place of those that an earlier call wrote.

    Args:
      card: its text, with either kind of line ends, which it keeps.
      index: one entry of a `model-index`, or none.
      section: between the two comments.
      prefix: what names of metrics begin with that an earlier call wrote.
      named: True if the entry's name is the caller's wish; else the results join the card's first entry, whatever its name.
    Raises:
      ImportError, ValueError: see `model_card`.
    """
    ends = "\r\n" if "\r\n" in card else "\n"
    text = card.replace("\r\n", "\n")
    found = _FRONT_MATTER.match(text)
    if found:
        front = _with_index(found["yaml"], index, prefix, named)
        merged = text[: found.start("yaml")] + front + text[found.end("yaml") : found.end()]
    else:
        front = _with_index("", index, prefix, named)
        merged = f"---\n{front}---\n\n" if front else ""
    merged += _with_section(text[found.end() :] if found else text, section)
    return merged.replace("\n", ends)


def _with_section(body: str, section: str) -> str:
    begins, closes = body.count(_BEGIN), body.count(_END)
    begin, end = body.find(_BEGIN), body.find(_END)
    if (begins, closes) == (0, 0):
        ended = body.endswith("\n") + body.endswith("\n\n")
        return body + "\n" * (2 - ended) + section
    if (begins, closes) != (1, 1) or end < begin:
        raise ValueError(
            f"the card has {begins} of the comment {_BEGIN!r} and {closes} of {_END!r}, which belong around one section, in this "
            "order; remove them and what they were around."
        )
    return body[:begin] + section + body[end + len(_END) :].removeprefix("\n")


def _with_index(text: str, index: Sequence[Any], prefix: str, named: bool) -> str:
    """The front matter with these results; but for `model-index` its text stays as it is."""
    try:
        import yaml
    except ImportError:
        raise ImportError(
            'PyYAML, which reads the front matter of a card, is missing; run `pip install "privacy-callbacks[cli]"`.'
        ) from None
    held, span = _read(text)
    entries = _joined(_others(held.get(_INDEX), prefix), index, named)
    block = yaml.safe_dump({_INDEX: entries}, sort_keys=False, allow_unicode=True, width=10**6) if entries else ""
    start, end = span or (len(text), len(text))
    before = text[:start] if not start or text[:start].endswith("\n") else f"{text[:start]}\n"
    merged = before + block + text[end:]
    wanted = {name: value for name, value in {**held, _INDEX: entries}.items() if name != _INDEX or entries}
    # As text: a number that is none equals nothing.
    if repr(_read(merged)[0]) != repr(wanted):
        raise ValueError(f"{_INDEX!r} cannot be replaced in the card's front matter alone; {_PLAIN_FORM}.")
    return merged


def _read(text: str) -> tuple[dict[Any, Any], tuple[int, int] | None]:
    """What the front matter holds, and where its `model-index` stands.

    Raises:
      ValueError: if it cannot be read, or has another form.
    """
    import yaml

    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        held = yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, TypeError, RecursionError) as reason:
        raise ValueError(
            f"the card's front matter cannot be read ({' '.join(str(reason).split())}); mend it."
        ) from None
    if held is None:
        return {}, None
    keys = [key.start_mark.column for key, _ in root.value] if isinstance(held, dict) else [-1]
    if any(keys):
        raise ValueError(f"the card's front matter has another form than expected; {_PLAIN_FORM}.")
    spans = [_span(key, value, text) for key, value in root.value if key.value == _INDEX]
    if len(spans) > 1:
        raise ValueError(f"the card's front matter has {len(spans)} times {_INDEX!r}; leave one.")
    return held, spans[0] if spans else None


def _span(key: Any, value: Any, text: str) -> tuple[int, int]:
    """Where a key and its value begin and end in the text: whole lines, without comments behind them."""
    start, end = key.start_mark.index, value.end_mark.index
    if not text[:end].endswith("\n"):
        end = text.find("\n", end) + 1 or len(text)
    lines = text[start:end].splitlines(keepends=True)
    while len(lines) > 1 and (not lines[-1].strip() or lines[-1].startswith("#")):
        lines.pop()
    return start, start + sum(map(len, lines))


def _others(index: Any, prefix: str) -> list[Any]:
    """The entries without what an earlier call wrote.

    Raises:
      ValueError: if the index has another form than Hugging Face's.
    """
    try:
        return [
            {**entry, "results": [left for result in entry["results"] if (left := _left(result, prefix)) is not None]}
            for entry in index or []
        ]
    except (TypeError, KeyError, AttributeError):
        raise ValueError(
            f"the {_INDEX!r} of the card's front matter is no list of entries with `results`, each with `metrics`; mend or "
            "remove it."
        ) from None


def _left(result: Any, prefix: str) -> Any:
    """The result without our metrics; None if there were no others."""
    metrics = [metric for metric in result["metrics"] if not str(metric.get("type")).startswith(prefix)]
    return {**result, "metrics": metrics} if metrics or not result["metrics"] else None


def _joined(entries: list[Any], index: Sequence[Any], named: bool) -> list[Any]:
    """The entries and those of the index; empty ones are left out."""
    for new in index:
        same = [entry for entry in entries if not named or entry.get("name") == new["name"]]
        if same:
            same[0]["results"] = [*same[0]["results"], *new["results"]]
        else:
            entries = [*entries, new]
    return [entry for entry in entries if entry["results"]]

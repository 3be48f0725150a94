"""Any text as Markdown that shows it, whatever it holds."""

from __future__ import annotations

import re

# Entities rather than backslashes where renderers differ in what may be escaped: `<` in some, `|` inside of tables.
_ESCAPED = str.maketrans(
    {
        **{letter: f"\\{letter}" for letter in "\\`*_[]"},
        **{"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;", "$": "&#36;", "@": "&#64;", "~": "&#126;"},
    }
)
_BLOCK_BEGINS = re.compile(r"^(#|[-+=]|\d{1,9}(?=[.)]))")


def as_markdown(text: str) -> str:
    """One line of Markdown that shows the text: no markup, no HTML, no link, no new block, no further cell of a table.

    Whitespace and control characters become single blanks.
    """
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    escaped = line.translate(_ESCAPED)
    # What would be made a link without any markup.
    escaped = escaped.replace("://", "&#58;//")
    escaped = re.sub(r"\b(www)\.", r"\1&#46;", escaped, flags=re.IGNORECASE)
    return _BLOCK_BEGINS.sub(_not_a_block, escaped)


def table_row(*cells: str) -> str:
    """A row of a table; the cells are Markdown already."""
    return f"| {' | '.join(cells)} |"


def _not_a_block(begin: re.Match[str]) -> str:
    # An entity for the figure of "1.", since a backslash before it would show.
    return f"&#{ord(begin[0][0])};{begin[0][1:]}"

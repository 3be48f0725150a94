"""Any text as Markdown that shows it, whatever it holds."""

from __future__ import annotations

import re

# Entities rather than backslashes where renderers differ in what may be escaped: `<` in some, `|` inside of tables.
_ESCAPED = str.maketrans(
    {
        **{letter: f"\\{letter}" for letter in "\\`*_[]"},
        **{"&": "&amp;", "<": "&lt;", ">": "&gt;", "|": "&#124;", "$": "&#36;", "~": "&#126;"},
    }
)
_BLOCK_BEGINS = re.compile(r"^(#|[-+=]|\d{1,9}(?=[.)]))")
# What GitHub makes a link without any markup, entities or not: only a letter of no width in between prevents it.
_LINK_BEGINS = re.compile(r"@|(?<![A-Za-z0-9])www(?=\.)|(?<![A-Za-z0-9])(?:mailto|xmpp|https?|ftp)(?=:)", re.IGNORECASE)
_NO_WIDTH = "&#8203;"


def as_markdown(text: str) -> str:
    """One line of Markdown that shows the text: no markup, no HTML, no link, no new block, no further cell of a table.

    Whitespace and control characters become single blanks.
    """
    line = " ".join("".join(letter if letter.isprintable() else " " for letter in text).split())
    escaped = line.translate(_ESCAPED)
    escaped = _LINK_BEGINS.sub(_not_a_link, escaped)
    # A heading loses the hashes that it ends in.
    escaped = re.sub(r"#$", "&#35;", escaped)
    return _BLOCK_BEGINS.sub(_not_a_block, escaped)


def table_row(*cells: str) -> str:
    """A row of a table; the cells are Markdown already."""
    return f"| {' | '.join(cells)} |"


def _not_a_link(begin: re.Match[str]) -> str:
    return f"{_NO_WIDTH}&#64;{_NO_WIDTH}" if begin[0] == "@" else f"{begin[0]}{_NO_WIDTH}"


def _not_a_block(begin: re.Match[str]) -> str:
    # An entity for the figure of "1.", since a backslash before it would show.
    return f"&#{ord(begin[0][0])};{begin[0][1:]}"

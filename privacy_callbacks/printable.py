"""Names and sentences that come from files, on their way to a terminal."""

from __future__ import annotations


def printable(text: str) -> str:
    """The text without what could steer a terminal."""
    return "".join(letter if letter.isprintable() else " " for letter in text)

"""The version of the package that made a page."""

from __future__ import annotations

from pathlib import Path


def package_version() -> str:
    """The version, as the package's own file says it."""
    return (Path(__file__).resolve().parent.parent / "VERSION").read_text().strip()

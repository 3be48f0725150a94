"""What another library said, in one line."""

from __future__ import annotations

import re


def said(reason: BaseException, most: int = 300) -> str:
    """Its kind and its message without line breaks, colours and names of graph nodes, cut where it gets long."""
    text = re.sub(r"\x1b\[[0-9;]*m|\{\{[^}]*\}\}", "", str(getattr(reason, "message", None) or reason))
    text = " ".join(text.split())
    return f"{type(reason).__name__}: {text[:most]}{'…' if len(text) > most else ''}"

"""The page as one HTML file that asks for nothing: code, style and data are inside, and it may load nothing else."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
import re
import uuid
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from .module_bundle import ENTRY, bundled
from .page_files import STATIC, names_in

DATA_ID = "privacy-data"
_START = "startOneFile();"
_STYLE_FIRST = "page.css"
_NO_SCRIPT = (
    "This page draws its charts from the data inside this file, with JavaScript, which is switched off here. "
    "It loads nothing and sends nothing."
)
# What ends a script or style element, or hides its end, wherever it stands in the text.
_ENDS_SCRIPT = re.compile(r"<!--|</?script", re.IGNORECASE)
_LOADS_OR_ENDS_STYLE = re.compile(r"</style|<!--|@import|url\(", re.IGNORECASE)
_ESCAPED = {ord(letter): f"\\u{ord(letter):04x}" for letter in "<>&\u2028\u2029"}


def one_file_page(data: Mapping[str, Any], title: str, static: Path = STATIC) -> str:
    """The page with its data, to be written into a file (UTF-8) and opened from there.

    Its content security policy forbids every request, and every script and style but its own two.

    Args:
      data: plain types that JSON can hold; numbers that are not finite as strings. `title` is added.
      title: of the page.
      static: the folder of modules and style sheets.
    Raises:
      TypeError, ValueError: if the data hold something that strict JSON cannot.
      ValueError: if the modules cannot be joined; see `module_bundle`.
    """
    embedded = _json({**data, "title": title})
    script, style = _script(static), _style(static)
    policy = (
        f"default-src 'none'; script-src '{_digest(script)}'; style-src '{_digest(style)}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )
    return (
        "<!doctype html>\n"
        '<html lang="en">\n'
        "<head>\n"
        '<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="referrer" content="no-referrer">\n'
        # Without it a browser asks the server, if there is one, for an icon.
        '<link rel="icon" href="data:,">\n'
        f"<title>{html.escape(_without_surrogates(title))}</title>\n"
        f"<style>{style}</style>\n"
        "</head>\n"
        "<body>\n"
        f"<noscript><p>{_NO_SCRIPT}</p></noscript>\n"
        f'<script type="application/json" id="{DATA_ID}">{embedded}</script>\n'
        f'<script type="module">{script}</script>\n'
        "</body>\n"
        "</html>\n"
    )


def write_page(page: str, path: str | os.PathLike[str]) -> None:
    """Writes a page: the file is whole, or stays what it was before. A link stays a link, and a device a device.

    Raises:
      OSError: if it cannot be written.
    """
    where = Path(os.path.realpath(path))
    if where.exists() and not where.is_file():
        where.write_bytes(page.encode())
        return
    unfinished = where.with_name(f"{uuid.uuid4().hex}.unfinished")  # the name itself may be as long as names can be
    try:
        unfinished.write_bytes(page.encode())
        os.replace(unfinished, where)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise


def _script(static: Path) -> str:
    text = f"\n{bundled(lambda name: (static / name).read_text('utf-8'), ENTRY)}\n{_START}\n"
    found = _ENDS_SCRIPT.search(text)
    if found is not None:
        raise ValueError(
            f"a module holds {found[0]!r}, which would end the script inside a page; write it in two parts."
        )
    return text


def _style(static: Path) -> str:
    sheets = [name for name in names_in(static) if name.endswith(".css")]
    sheets.sort(key=lambda name: name != _STYLE_FIRST)
    text = "\n".join((static / name).read_text("utf-8").replace("\r\n", "\n") for name in sheets)
    found = _LOADS_OR_ENDS_STYLE.search(text)
    if found is not None:
        raise ValueError(f"a style sheet holds {found[0]!r}; in one file there is nothing to load.")
    return f"\n{text}\n"


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _json(data: Mapping[str, Any]) -> str:
    try:
        # ASCII only: what is no Unicode, such as half of a pair in a file's name, stays what it is.
        return json.dumps(data, allow_nan=False, separators=(",", ":")).translate(_ESCAPED)
    except (TypeError, ValueError) as reason:
        for place, fault in _faults(data, "data"):
            raise type(reason)(f"{place} is {fault}") from None
        raise


def _faults(value: Any, place: str) -> Iterator[tuple[str, str]]:
    """(where, what) of the values that strict JSON cannot hold."""
    if isinstance(value, Mapping) and isinstance(value, dict):
        for name, part in value.items():
            yield from _faults(part, f"{place}[{name!r}]")
    elif isinstance(value, (list, tuple)):
        for index, part in enumerate(value):
            yield from _faults(part, f"{place}[{index}]")
    elif isinstance(value, float):
        if value != value or value in (float("inf"), float("-inf")):
            yield place, f'{value!r}, which JSON has no number for; give the string "NaN", "Infinity" or "-Infinity".'
    elif value is not None and not isinstance(value, (str, int)):
        yield place, f"of type {type(value).__name__}; give plain Python types, e.g. float(x) of a NumPy number."


def _without_surrogates(text: str) -> str:
    return text.encode("utf-8", "replace").decode()

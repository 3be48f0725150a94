"""One tensor of an event file, from its bytes to the values that may be shown."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from .payload_kinds import KINDS
from .payload_values import PayloadError, field, fields, text, whole

SCHEMA_VERSION = 1
MOST_BYTES = 4 * 2**20  # of one payload, inflated
_MOST_HEADER_BYTES = 4_096
_MOST_LEVELS = 12
# Strings (one that does not end reaches to the end), opening and closing brackets; possessive, so linear in the text.
_BRACKETS = re.compile(rb'"(?:[^"\\]++|\\.)*+"?|([\[{])|[\]}]', re.DOTALL)


@dataclass(frozen=True)
class Header:
    """What a series says it is.

    Attributes:
      name: the callback's name.
      attack: the attack's name.
      kind: one of `KINDS`.
    """

    name: str
    attack: str
    kind: str


def header_of(content: bytes) -> Header:
    """The plugin content of a series.

    Raises:
      PayloadError: if it is damaged, or of a newer schema version.
    """
    if len(content) > _MOST_HEADER_BYTES:
        raise PayloadError(f"its description has {len(content):,} bytes")
    held = fields(_parsed(content), "description")
    version = field(held, "schema_version", whole)
    if version != SCHEMA_VERSION:
        raise PayloadError(f"it is of schema version {version}; a newer version of this package shows it")
    found = Header(*(field(held, name, text) for name in ("name", "attack", "kind")))
    if not (found.name and found.attack):
        raise PayloadError("it names no callback or no attack")
    if found.kind not in KINDS:
        raise PayloadError(f"its kind {found.kind[:50]!r} is unknown; a newer version of this package may show it")
    return found


def payload_of(kind: str, tensor: bytes) -> dict[str, Any]:
    """What the tensor of a series of this kind holds.

    Raises:
      PayloadError: if it is damaged, or holds something else than it should.
    """
    held: Mapping[str, Any] = fields(_parsed(_inflated(tensor)), "content")
    try:
        return KINDS[kind](held)
    except PayloadError:
        raise
    except (ArithmeticError, LookupError, RecursionError, TypeError, ValueError) as reason:
        # One odd piece must not hide all others.
        raise PayloadError(f"it holds something unexpected ({type(reason).__name__})") from None


def tensor_bytes(tensor: Any) -> bytes | None:
    """The one string that a tensor holds; None if it holds anything else."""
    array = np.asarray(tensor)
    held = array.reshape(-1)[0] if array.size == 1 else None
    return bytes(held) if isinstance(held, bytes) else None


def inflated_size(tensor: bytes) -> int:
    """How many bytes a tensor holds, counted up to `MOST_BYTES`; 0 of one that is damaged."""
    try:
        return len(_inflated(tensor))
    except PayloadError:
        return 0


def _inflated(tensor: bytes) -> bytes:
    """Never more than `MOST_BYTES`, whatever the tensor claims to be."""
    inflating = zlib.decompressobj()
    try:
        found = inflating.decompress(tensor, MOST_BYTES)
    except zlib.error:
        raise PayloadError("it is no compressed text, or was changed") from None
    if inflating.unconsumed_tail:
        raise PayloadError(f"it holds more than {MOST_BYTES // 2**20} MiB")
    if not inflating.eof:
        raise PayloadError("it was cut short")
    return found


def _parsed(written: bytes) -> Any:
    depth = 0
    for bracket in _BRACKETS.finditer(written):
        if bracket[1]:
            depth += 1
            if depth > _MOST_LEVELS:
                raise PayloadError(f"it is nested deeper than {_MOST_LEVELS} levels")
        elif bracket[0] in b"]}":
            depth -= 1
    try:
        return json.loads(written, parse_constant=_refused)
    except (ValueError, RecursionError):
        raise PayloadError("it is no JSON") from None


def _refused(name: str) -> Any:
    raise ValueError(f"a bare {name}")

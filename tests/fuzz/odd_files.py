"""Files as they come back from disks, mails and editors: cut short, with flipped bytes, or with other values in their fields."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import strategies as st

DEEP = 100_000
VALUES: list[Any] = [
    *(None, True, False, 0, 1, -1, 2, 2.0, 0.5, -0.5, 1e308, 5e-324),
    *(10**30, -(10**30), 10**400, 2**63, 2**53 + 1),
    *(
        "",
        "a",
        "NaN",
        "Infinity",
        "-Infinity",
        "1",
        "0.5",
        "\ud800",
        "\0",
        "../../x",
        "/etc/passwd",
        "a" * 10_000,
        "<b>&",
    ),
    *([], {}, [[]], [None], [1, "a"], {"": 1}, {"value": 0.5}, {"value": 0.5, "level": 0.95}, [0.5] * 3),
]
# Text that stands for a value but no writer of JSON would write.
RAW = [
    "NaN",
    "-Infinity",
    "1e999",
    "-1e999",
    "1" * 5_000,
    "01",
    "'a'",
    '"\\ud800"',
    "[" * DEEP,
    '{"a":' * DEEP,
    "",
    "\0",
    "0x1",
]
_MARK = "@@ here @@"


def places(value: Any, place: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where a value stands in a nest of lists and fields: every field and item, however deep."""
    inside: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        inside = list(value.items())
    elif isinstance(value, list):
        inside = list(enumerate(value))
    found = [place] if place else []
    return found + [deeper for name, part in inside for deeper in places(part, (*place, name))]


def replaced(value: Any, place: tuple[Any, ...], by: Any) -> Any:
    """The nest with another value at a place; the original stays as it is."""
    if not place:
        return by
    name, *rest = place
    if isinstance(value, dict):
        return {**value, name: replaced(value[name], tuple(rest), by)}
    return [replaced(part, tuple(rest), by) if index == name else part for index, part in enumerate(value)]


def without(value: Any, place: tuple[Any, ...]) -> Any:
    """The nest without the field or item at a place."""
    name, *rest = place
    if rest:
        return replaced(value, (name,), without(value[name], tuple(rest)))
    if isinstance(value, dict):
        return {key: part for key, part in value.items() if key != name}
    return [part for index, part in enumerate(value) if index != name]


@st.composite
def odd_values(draw: Any, value: Any) -> Any:
    """A nest as it was, but for one to three places."""
    for _ in range(draw(st.integers(1, 3))):
        known = places(value)
        if not known:
            return value
        place = draw(st.sampled_from(known))
        kind = draw(st.sampled_from(["value", "value", "value", "gone", "renamed", "more", "swapped"]))
        if kind == "value":
            value = replaced(value, place, draw(st.sampled_from(VALUES)))
        elif kind == "swapped":
            other = draw(st.sampled_from(known))
            if place[: len(other)] != other and other[: len(place)] != place:
                value = replaced(value, place, at(value, other))
        elif kind == "gone":
            value = without(value, place)
        elif isinstance(at(value, place[:-1]), dict):
            holder = at(value, place[:-1])
            more = {draw(st.sampled_from(["", "x", "\ud800", "tpr_at_fpr_x", "tpr_at_fpr_nan"])): at(value, place)}
            kept = without(holder, place[-1:]) if kind == "renamed" else holder
            value = replaced(value, place[:-1], {**kept, **more})
    return value


def at(value: Any, place: tuple[Any, ...]) -> Any:
    """What stands at a place."""
    for name in place:
        value = value[name]
    return value


@st.composite
def odd_json(draw: Any, value: Any) -> bytes:
    """A JSON file that once held the value."""
    kind = draw(st.sampled_from(["values", "values", "values", "raw", "twice", "bytes"]))
    if kind == "values":
        return json.dumps(draw(odd_values(value))).encode()
    if kind == "bytes":
        return draw(odd_bytes(json.dumps(value).encode()))
    place = draw(st.sampled_from(places(value)))
    text = json.dumps(replaced(value, place, _MARK))
    if kind == "raw":
        return text.replace(json.dumps(_MARK), draw(st.sampled_from(RAW))).encode()
    name, again = json.dumps(place[-1]), json.dumps(draw(st.sampled_from(VALUES)))
    old = json.dumps(at(value, place))
    twice = f"{old}, {name}: {again}" if isinstance(place[-1], str) else old
    return text.replace(json.dumps(_MARK), twice).encode()


@st.composite
def odd_bytes(draw: Any, content: bytes) -> bytes:
    """The content cut short, with bytes flipped, put in, taken out or doubled, or something else altogether."""
    kind = draw(st.sampled_from(["cut", "flip", "flip", "flip", "in", "out", "double", "other"]))
    start = draw(st.integers(0, len(content)))
    if kind == "cut":
        return content[:start]
    if kind == "flip":
        changed = bytearray(content)
        for _ in range(draw(st.integers(1, 4))):
            changed[draw(st.integers(0, len(content) - 1))] ^= 1 << draw(st.integers(0, 7))
        return bytes(changed)
    if kind == "in":
        put = draw(
            st.sampled_from([b"\0", b"\xff\xfe", b"{", b"]", b'"', b"\n", b"\xed\xa0\x80", b"9" * 50, b"\r", b"\t: *a"])
        )
        return content[:start] + put + content[start:]
    if kind == "out":
        return content[:start] + content[start + draw(st.integers(1, 30)) :]
    if kind == "double":
        return content + content[start:]
    return draw(
        st.sampled_from([b"", b"\0" * 100, b"PK\x03\x04", b"\x80\x04N.", b"[" * DEEP, b"null", b"\xff", content[::-1]])
    )

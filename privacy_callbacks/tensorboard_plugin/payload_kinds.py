"""What each kind of payload must hold; whatever else it holds is left out."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping
from functools import partial
from itertools import islice, pairwise
from typing import Any

from .payload_epsilon import epsilon
from .payload_values import (
    MOST_EXACT,
    MOST_TEXTS,
    PayloadError,
    count,
    counts,
    field,
    fields,
    flag,
    items,
    number,
    numbers,
    or_none,
    sentence,
    sentences,
    text,
    texts,
    whole,
)

NEWEST_REPORT = 2
_PNG = b"\x89PNG\r\n\x1a\n"
_MOST_PIXELS = 4_096
_METRICS = ("auc", "advantage", "youden_j", "balanced_accuracy", "mutual_information")
_LOW_FPR = "tpr_at_fpr_"
_ESTIMATE = ("value", "low", "high", "level", "null_level")
_MOST_FIGURES = 20  # of an estimate beside those, and rates of a report
_MOST_DIGITS = 40  # of a whole number in a table


def audit(held: Mapping[str, Any]) -> dict[str, Any]:
    """`report`, `headline`, `words`."""
    return {
        "report": field(held, "report", report),
        "headline": field(held, "headline", flag),
        "words": field(held, "words", text),
    }


def details(held: Mapping[str, Any]) -> dict[str, Any]:
    """`roc`, `scores`, `slices`, `slices_left_out`."""
    return {
        "roc": field(held, "roc", or_none(_roc)),
        "scores": field(held, "scores", or_none(_scores)),
        "slices": [_slice(one, "slice") for one in field(held, "slices", items)],
        "slices_left_out": field(held, "slices_left_out", count),
    }


def training(held: Mapping[str, Any]) -> dict[str, Any]:
    """`logs`: figures by name; what is no number is left out."""
    logs = field(held, "logs", fields)
    return {"logs": {text(name, "logs"): _number_or_none(value) for name, value in logs.items()}}


def records(held: Mapping[str, Any]) -> dict[str, Any]:
    """`columns` and `rows`."""
    columns = field(held, "columns", texts)
    return {"columns": columns, "rows": [_row(one, columns) for one in field(held, "rows", items)]}


def pictures(held: Mapping[str, Any]) -> dict[str, Any]:
    """`pictures` by row: PNG and nothing else, since they become part of the page."""
    found = field(held, "pictures", fields)
    return {"pictures": {_row_number(row): _picture(one, "picture") for row, one in found.items()}}


def verdict(held: Mapping[str, Any]) -> dict[str, Any]:
    """`text`, `detected`, `void`."""
    detected = field(held, "detected", fields)
    return {
        "text": field(held, "text", text),
        "detected": {text(attack, "detected"): or_none(whole)(step, "'detected'") for attack, step in detected.items()},
        "void": field(held, "void", or_none(text)),
    }


def ranges(held: Mapping[str, Any]) -> dict[str, Any]:
    """`label`, `sizes`, and a report a size in each of the `curves`."""
    sizes = field(held, "sizes", numbers)
    curves = []
    for one in field(held, "curves", items):
        curve = fields(one, "curve")
        reports = [report(each, "report") for each in field(curve, "reports", items, "curve")]
        if len(reports) != len(sizes):
            raise PayloadError(f"a curve has {len(reports)} reports, where {len(sizes)}, one a size, were expected")
        curves.append({"name": field(curve, "name", text, "curve"), "reports": reports})
    return {"label": field(held, "label", text), "sizes": sizes, "curves": curves}


# A kind's payload as it is -> what of it may be shown.
KINDS: Mapping[str, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "audit": audit,
    "details": details,
    "training": training,
    "records": records,
    "pictures": pictures,
    "verdict": verdict,
    "ranges": ranges,
}


def report(value: Any, what: str = "report") -> dict[str, Any]:
    """A report as `LeakageReport.to_dict` gives it and `from_dict` takes it, numbers to 6 significant digits."""
    held = fields(value, what)
    read = partial(field, held, holder=what)
    version = read("schema_version", whole)
    if not 1 <= version <= NEWEST_REPORT:
        raise PayloadError(f"its report is of schema version {version}; a newer version of this package shows it")
    held = {"p_value": None, "holm_p_value": None, "void": None, "folds": 1, **held}
    read = partial(field, held, holder=what)
    rates = [name for name in held if name.startswith(_LOW_FPR) and len(name) < 30][:_MOST_FIGURES]
    names = [*_METRICS, *rates]
    found = {
        "schema_version": version,
        "attack": read("attack", text),
        "slice": read("slice", text),
        "step": read("step", or_none(whole)),
        "num_members": read("num_members", count),
        "num_nonmembers": read("num_nonmembers", count),
        "failed": read("failed", flag),
        **{name: read(name, or_none(_estimate)) for name in names},
        "p_value": read("p_value", or_none(number)),
        "holm_p_value": read("holm_p_value", or_none(number)),
        "warnings": read("warnings", sentences),
        "notes": read("notes", sentences),
        "refusals": read("refusals", _texts_by_name),
        "void": read("void", or_none(text)),
        "folds": read("folds", count),
    }
    if "epsilon" in held:
        found["epsilon"] = read("epsilon", partial(epsilon, estimate=_estimate))
    if found["failed"] != (found["auc"] is None):
        raise PayloadError("its report says of itself whether the audit failed, and its AUC says otherwise")
    return found


def _estimate(value: Any, what: str) -> dict[str, Any]:
    held = fields(value, what)
    known = [name for name in _ESTIMATE if name in held]
    further = islice((name for name in held if name not in _ESTIMATE), _MOST_FIGURES)
    found = {text(name, what): number(held[name], what) for name in [*known, *further]}
    for name in ("value", "level"):
        if name not in found:
            raise PayloadError(f"its {what} has no {name!r}")
    return found


def _roc(value: Any, what: str) -> dict[str, Any]:
    held = fields(value, what)
    rates = partial(numbers, least=0.0, most=1.0)
    read = partial(field, held, holder="ROC")
    found = {"fpr": read("fpr", rates), "tpr": read("tpr", rates)}
    found |= {end: read(end, or_none(_ends)) for end in ("low", "high")}
    sizes = {len(column) for column in found.values() if column is not None}
    if len(sizes) != 1 or found["fpr"] != sorted(found["fpr"]):
        raise PayloadError("its ROC has columns of different lengths, or rates that do not ascend")
    sides = {side: read(side, count) for side in ("num_members", "num_nonmembers")}
    return {**found, "level": read("level", number), **sides}


def _ends(value: Any, what: str) -> list[float | None]:
    """Rates; None at points without an honest interval."""
    known = iter(numbers([one for one in items(value, what) if one is not None], what, least=0.0, most=1.0))
    return [None if one is None else next(known) for one in value]


def _scores(value: Any, what: str) -> dict[str, Any]:
    held = fields(value, what)
    read = partial(field, held, holder="scores")
    edges = read("edges", partial(numbers, exact=True))  # those of scores that lie close together differ late
    if any(left >= right for left, right in pairwise(edges)):
        raise PayloadError("its scores have edges that do not ascend")
    bins = partial(counts, size=max(0, len(edges) - 1))
    pair = partial(counts, size=2)
    inside = {"members": read("members", bins), "nonmembers": read("nonmembers", bins)}
    ranks = or_none(flag)(held.get("ranks"), "'ranks' of the scores")
    return {"edges": edges, **inside, "below": read("below", pair), "above": read("above", pair), "ranks": bool(ranks)}


def _slice(value: Any, what: str) -> dict[str, Any]:
    held = fields(value, what)
    read = partial(field, held, holder=what)
    return {
        "slice": read("slice", text),
        "num_members": read("num_members", count),
        "num_nonmembers": read("num_nonmembers", count),
        "auc": read("auc", or_none(_estimate)),
        "p_value": read("p_value", or_none(number)),
        "holm_p_value": read("holm_p_value", or_none(number)),
        "reason": read("reason", or_none(text)),
    }


def _row(value: Any, columns: list[str]) -> dict[str, Any]:
    held = fields(value, "row")
    shown = {name: _cell(held[name]) for name in columns if name in held and name != "row"}
    return {"row": field(held, "row", count, "row"), **shown}


def _cell(value: Any) -> Any:
    if value is None or isinstance(value, bool):
        return None if value is None else str(value).lower()
    if type(value) is int and MOST_EXACT < abs(value) < 10**_MOST_DIGITS:
        return str(value)  # an id, as older logs hold them: a browser would round it
    return text(value, "cell") if isinstance(value, str) else number(value, "cell")


def _picture(value: Any, what: str) -> dict[str, Any]:
    held = fields(value, what)
    encoded = field(held, "png", lambda png, _: png, what)
    try:
        png = base64.b64decode(encoded, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise PayloadError("a picture is no base64 text") from None
    if not png.startswith(_PNG):
        raise PayloadError("a picture is no PNG")
    sides = {side: field(held, side, whole, what) for side in ("width", "height")}
    if not all(1 <= side <= _MOST_PIXELS for side in sides.values()):
        raise PayloadError(f"a picture has a side outside 1 … {_MOST_PIXELS} pixels")
    return {"png": base64.b64encode(png).decode(), **sides}


def _row_number(name: str) -> str:
    if not (name.isascii() and name.isdigit() and len(name) < 16):
        raise PayloadError("a picture belongs to no row")
    return name


def _texts_by_name(value: Any, what: str) -> dict[str, str]:
    some = islice(fields(value, what).items(), MOST_TEXTS)
    return {sentence(name, what): sentence(one, what) for name, one in some}


def _number_or_none(value: Any) -> float | str | None:
    try:
        return number(value, "figure")
    except PayloadError:
        return None

"""What pydantic found wrong in a configuration, in sentences with the field and its line."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

from .config_fields import Misfit
from .located_yaml import Place, named


def refusals(found: ValidationError, root: type[BaseModel], path: Path, lines: Mapping[Place, int]) -> list[str]:
    """A sentence for each fault, each once.

    Args:
      found: what pydantic says.
      root: the model of the whole file.
      path: of the file.
      lines: see `LocatedYaml`.
    """
    told = [_sentence(error, root) for error in found.errors()]
    return list(dict.fromkeys(_located(path, place, text, lines) for place, text in told))


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The sections that a field may hold."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for inner in get_args(annotation):
        yield from models_in(inner)


def kind_of(model: type[BaseModel]) -> str | None:
    """What stands in a section's `kind`; None if it has none."""
    spec = model.model_fields.get("kind")
    return None if spec is None else get_args(spec.annotation)[0]


def _sentence(error: Any, root: type[BaseModel]) -> tuple[Place, str]:
    """The field a pydantic error is about, and what to say of it."""
    place, model, here = _place_of(error["loc"], root)
    kind, given = error["type"], error["input"]
    kinds = ", ".join(map(str, map(kind_of, here)))
    if kind == "extra_forbidden":
        known = list(model.model_fields)
        return place, f"is no field here; {_nearest(str(place[-1]), known)}known are {', '.join(known)}."
    if kind == "missing":
        # An item of a pair is told of as the field that holds the pair.
        spec = next((model.model_fields[part] for part in reversed(place) if part in model.model_fields), None)
        return place, "is missing." if spec is None else f"is missing. {spec.description}"
    if kind == "union_tag_not_found":
        return (*place, "kind"), f"is missing; give one of {kinds}."
    if kind == "union_tag_invalid":
        return (*place, "kind"), f"is {error['ctx']['tag']!r}; give one of {kinds}."
    reason = (error.get("ctx") or {}).get("error")
    if isinstance(reason, Misfit):
        inner = reason.place if reason.place[:1] == place[:1] else (*place, *reason.place)
        return inner, str(reason)
    if kind == "value_error" and isinstance(given, (dict, BaseModel)):
        return place, str(reason)
    message = str(reason) if isinstance(reason, ValueError) else error["msg"]
    return place, f"is {_shown(given)}; {_lowered(message)}"


def _place_of(loc: tuple[Any, ...], root: type[BaseModel]) -> tuple[Place, Any, list[type[BaseModel]]]:
    """Where a location of pydantic lies in the file: without the kinds that it names on the way.

    Returns:
      The place, the section that holds it, and what sections it may be itself.
    """
    place: list[Any] = []
    model: Any = root
    here: list[type[BaseModel]] = [root]
    for part in loc:
        chosen = next((each for each in here if len(here) > 1 and kind_of(each) == part), None)
        if chosen is not None:
            here = [chosen]
        elif part != "[key]":
            place.append(part)
            if isinstance(part, str):
                model = here[0] if len(here) == 1 else model
                spec = model.model_fields.get(part)
                here = [] if spec is None else list(models_in(spec.annotation))
    model = here[0] if len(here) == 1 and len(loc) and kind_of(here[0]) == loc[-1] else model
    return tuple(place), model, here


def _nearest(given: str, known: list[str]) -> str:
    near = difflib.get_close_matches(given, known, 1)
    return f"did you mean {near[0]}? " if near else ""


def _shown(given: Any) -> str:
    text = json.dumps(given) if isinstance(given, (bool, str, list, dict, type(None))) else repr(given)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _lowered(message: str) -> str:
    message = message.removeprefix("Value error, ").removesuffix(".")
    replaced = message.replace("Input should be", "it should be").replace("Field required", "it is missing")
    return f"{replaced[0].lower()}{replaced[1:]}."


def _located(path: Path, place: Place, text: str, lines: Mapping[Place, int]) -> str:
    line = next((lines[place[:end]] for end in range(len(place), 0, -1) if place[:end] in lines), None)
    where = f"{path}" if line is None else f"{path}, line {line}"
    joint = " " if text.startswith(("is ", "or ")) else ": "
    return f"{where}: {named(place)}{joint}{text}"

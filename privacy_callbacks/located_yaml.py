"""YAML in which every field knows its line, and none stands twice. Needs PyYAML (the extra `cli`)."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import yaml

Place = tuple[str | int, ...]
_MERGE = "tag:yaml.org,2002:merge"
# Aliases of aliases can stand for more values than any machine holds.
_MOST_FIELDS = 100_000


class ConfigError(ValueError):
    """A configuration that cannot be run; its text says what came, what was expected and what to do, a line each."""


class LocatedYaml(NamedTuple):
    """What a YAML file holds.

    Attributes:
      values: dictionaries, lists, texts and numbers.
      lines: the line (from 1) of each field, by its place: ("range", "radius"), ("ranges", 0, "kind").
    """

    values: Any
    lines: dict[Place, int]


def read_yaml(path: Path) -> LocatedYaml:
    """Reads one document, safely: nothing but plain values is made.

    Raises:
      ConfigError: if the file cannot be read, is no YAML, or a key is no text, stands twice, or holds itself; if there is more
        than a configuration holds, written out or by aliases.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as reason:
        raise ConfigError(
            f"{path} cannot be read ({reason}); give the path of a YAML file, e.g. configs/range.yaml."
        ) from None
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
        lines: dict[Place, int] = {}
        if root is not None:
            _locate(root, (), lines, path, ())
        return LocatedYaml(yaml.safe_load(text), lines)
    except ConfigError:
        raise
    # Those after the first: of dates that no calendar has, and of tags (`!!int ''`) whose text is no such value.
    except (yaml.YAMLError, ValueError, LookupError, AttributeError, ArithmeticError, TypeError) as reason:
        mark = getattr(reason, "problem_mark", None)
        where = "" if mark is None else f", line {mark.line + 1}"
        what = getattr(reason, "problem", None) or str(reason)
        raise ConfigError(f"{path}{where}: this is no YAML ({what}); mend the line, indented with spaces.") from None
    except RecursionError:
        raise ConfigError(f"{path}: values stand in each other too deeply; no configuration needs that.") from None


def _locate(node: yaml.Node, place: Place, lines: dict[Place, int], path: Path, above: tuple[int, ...]) -> None:
    if id(node) in above:
        raise ConfigError(f"{path}, line {node.start_mark.line + 1}: an alias holds itself; write the values out.")
    if len(lines) > _MOST_FIELDS:
        raise ConfigError(
            f"{path}, line {node.start_mark.line + 1}: there are more than {_MOST_FIELDS:,} fields, aliases written out; put "
            "data into files of its own."
        )
    above = (*above, id(node))
    if isinstance(node, yaml.SequenceNode):
        for index, item in enumerate(node.value):
            lines[(*place, index)] = item.start_mark.line + 1
            _locate(item, (*place, index), lines, path, above)
    elif isinstance(node, yaml.MappingNode):
        seen: dict[str, int] = {}
        for key, value in node.value:
            line = key.start_mark.line + 1
            if key.tag == _MERGE:
                _locate(value, place, lines, path, above)
                continue
            if key.tag != "tag:yaml.org,2002:str":
                raise ConfigError(f"{path}, line {line}: the key {_shown(key)} is no text; write it in quotes.")
            if key.value in seen:
                raise ConfigError(
                    f"{path}, line {line}: {named((*place, key.value))} stands here and in line {seen[key.value]}; keep one."
                )
            seen[key.value] = line
            lines[(*place, key.value)] = line
            _locate(value, (*place, key.value), lines, path, above)


def _shown(key: yaml.Node) -> str:
    return repr(key.value) if isinstance(key, yaml.ScalarNode) else "that is a list or a mapping"


def named(place: Place) -> str:
    """`ranges[0].radius` for ("ranges", 0, "radius")."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
    return text.removeprefix(".")

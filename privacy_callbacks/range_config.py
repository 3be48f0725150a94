"""The configuration of `privacy-audit range`: every field, its limits, and which of them fit together.

Checked as a whole before data are read or anything is trained. Needs pydantic and PyYAML (the extra `cli`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator, model_validator

from privacy_callbacks.attacks.attack import needs

from .attack_kinds import AnyAggregate, AnyAttack, TrimmedMean
from .config_data import Data, check_counts
from .config_fields import CALLABLE, Count, Misfit
from .config_sections import LIMITS_TEXT, Limits, Model, Run, Shadows, WholeConfig, check_shadows, read_config
from .located_yaml import Place, named
from .range_kinds import AnyRange, default_name

SHADOWS_TO_TUNE = 4


class RangeConfig(WholeConfig):
    """The whole configuration."""

    run: Run = Field(default_factory=lambda: Run.model_validate({}), description="Name, seed, folders.")
    data: Data = Field(description="The records.")
    model: Model = Field(description="The target.")
    shadow_models: Shadows = Field(
        default_factory=lambda: Shadows.model_validate({}), description="Models to compare with, for attacks that do."
    )
    range: AnyRange | None = Field(None, description="The range around each record; or several `ranges`.")
    ranges: list[AnyRange] | None = Field(
        None, min_length=1, description="Several, e.g. of growing radius; each is audited by itself."
    )
    centre: AnyRange | None = Field(
        None,
        description="A range from which the query is drawn that the attacker holds instead of the record; null = the records.",
    )
    attack: AnyAttack = Field(description="What scores points; a kind alone, or with its options.")
    queries: Count = Field(16, description="Points of each range.")
    aggregate: AnyAggregate = Field(
        default_factory=lambda: TrimmedMean.model_validate({"kind": "trimmed_mean"}),
        description="How a range's scores become one; a kind alone, or with its options. Default: the mean of all.",
    )
    audit_size: Count = Field(1_000, description="The most records to audit on each side.")
    limits: Limits = Field({}, description=LIMITS_TEXT)

    @field_validator("attack", "aggregate", "range", "centre", mode="before")
    @classmethod
    def _kind_alone(cls, given: Any) -> Any:
        return {"kind": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _fitting(self) -> RangeConfig:
        for check in (_check_ranges, _check_attack, _check_data):
            check(self)
        check_shadows(self.shadow_models, self.model)
        return self

    @property
    def named_ranges(self) -> dict[str, Any]:
        """The ranges by name, in their order."""
        if self.range is not None:
            return {self.range.name or default_name(self.range): self.range}
        return {each.name or default_name(each): each for each in self.ranges or ()}

    def described(self) -> str:
        """What would be done."""
        return f"{self.attack.kind} on {', '.join(self.named_ranges)}"


def referenced_files(config: RangeConfig) -> dict[str, str]:
    """The files that a configuration reads, by field."""
    found: dict[str, Any] = {f"data.{name}": path for name, path in config.data.files.items()}
    found["model.target"] = config.model.target
    for place, each in _placed_ranges(config):
        embed = getattr(each, "embed", None)
        found |= {named((*place, name)): getattr(each, name, None) for name in ("mask", "vocabulary")}
        found[named((*place, "embed"))] = embed if embed and embed.endswith(".keras") else None
    return {field: path for field, path in found.items() if isinstance(path, str)}


def referenced_functions(config: RangeConfig) -> dict[str, str]:
    """The functions that a configuration names as `package.module:function`, by field."""
    found: dict[str, str | None] = {"data.factory": config.data.factory}
    if config.model.train is not None:
        found["model.train.architecture"] = config.model.train.architecture
    for place, each in _placed_ranges(config):
        found |= {named((*place, name)): getattr(each, name, None) for name in ("embed", "imputer")}
        for index, name in enumerate(getattr(each, "transformations", ())):
            found[named((*place, "transformations", index))] = name
    return {field: name for field, name in found.items() if name and CALLABLE.fullmatch(name)}


def load_config(path: Path) -> RangeConfig:
    """The configuration in a YAML file.

    Raises:
      ConfigError: if anything in it is unknown, missing, out of range, or does not fit the rest; with places and lines.
    """
    return read_config(path, RangeConfig, "configs/range.yaml")


def _check_ranges(config: RangeConfig) -> None:
    if (config.range is None) == (config.ranges is None):
        both = "both are given" if config.range else "neither is given"
        raise Misfit(("range",), f"or ranges: {both}; give one range, or a list of ranges.")
    seen: set[str] = set()
    for index, each in enumerate(config.ranges or ()):
        name = each.name or default_name(each)
        if name in seen:
            raise Misfit(("ranges", index), f"is called {name!r}, as one before it; give it a name of its own.")
        seen.add(name)
    if config.centre is not None:
        for each in (config.centre, *config.named_ranges.values()):
            if each.kind in ("missing_features", "same_owner"):
                raise Misfit(("centre",), f"draws whole records, which {each.kind} does not have; leave centre out.")


def _check_attack(config: RangeConfig) -> None:
    wish, count = needs(config.attack.made()), config.shadow_models.num_models
    kind = config.attack.kind
    if wish.shadows and not count:
        raise Misfit(
            ("attack",),
            f"{kind} compares with shadow models, and there are none; give shadow_models: {{num_models: 8}}.",
        )
    if count and not wish.shadows:
        raise Misfit(
            ("shadow_models", "num_models"),
            f"is {count}, but attack {kind} does not use any; give 0, or another attack.",
        )
    if wish.population and config.data.population is None:
        raise Misfit(
            ("data", "population"),
            f"is missing, and attack {kind} compares with records that no model trained on; give some.",
        )
    if config.aggregate.kind == "tuned" and not wish.shadows:
        raise Misfit(
            ("aggregate",), f"tuned learns from shadow models, and attack {kind} has none; give trimmed_mean, or rmia."
        )
    if config.aggregate.kind == "tuned" and count < SHADOWS_TO_TUNE:
        raise Misfit(("shadow_models", "num_models"), f"is {count}; aggregate tuned needs at least {SHADOWS_TO_TUNE}.")


def _check_data(config: RangeConfig) -> None:
    data = config.data
    for place, each in _placed_ranges(config):
        if each.kind == "missing_features" and each.imputer != "uniform" and data.population is None:
            raise Misfit(
                (*place, "imputer"),
                f"is {each.imputer}, which learns from records the attacker holds; give data.population.",
            )
        from_owners = data.file is not None or data.factory is not None
        if each.kind == "same_owner" and (not from_owners or data.held_out is None):
            lacking = "data.held_out" if from_owners else "data.file with owners"
            raise Misfit(place, f"same_owner asks about held-out records of owners; give {lacking}.")
        if each.kind == "transformations" and data.flatten:
            raise Misfit(("data", "flatten"), "makes rows of numbers, and transformations need images; leave it out.")
        if each.kind == "missing_features" and data.builtin is not None and not data.flatten:
            raise Misfit(
                ("data", "flatten"),
                f"is missing: {data.builtin} are images, missing_features needs a table; give true.",
            )
    check_counts(data)


def _placed_ranges(config: RangeConfig) -> Iterator[tuple[Place, Any]]:
    for name in ("range", "centre"):
        if getattr(config, name) is not None:
            yield (name,), getattr(config, name)
    for index, each in enumerate(config.ranges or ()):
        yield ("ranges", index), each

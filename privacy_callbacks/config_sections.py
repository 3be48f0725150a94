"""Sections that configurations of several commands have in common. Needs pydantic (the extra `cli`)."""

from __future__ import annotations

from pathlib import Path
from typing import Literal, TypeVar

import yaml
from pydantic import Field, ValidationError, field_validator, model_validator

from privacy_callbacks.attacks.attack import check_name

from .config_fields import Architecture, Count, Misfit, Positive, Section, Share, Text, Whole
from .config_refusals import refusals
from .located_yaml import ConfigError, read_yaml

LIMITED = ("auc", "balanced_accuracy", "youden_j", "tpr_at_fpr_1e-1", "tpr_at_fpr_1e-2", "tpr_at_fpr_1e-3")
Limits = dict[Literal[LIMITED], Share]  # type: ignore[valid-type]
LIMITS_TEXT = (
    "By metric (`auc`, `balanced_accuracy`, `youden_j`, `tpr_at_fpr_1e-1`, `tpr_at_fpr_1e-2`, `tpr_at_fpr_1e-3`): exceeded, and "
    "exit code 1, if the lower end of any attack's interval lies above."
)
AnyConfig = TypeVar("AnyConfig", bound="WholeConfig")


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
        None,
        description="A folder where a killed run goes on, and where later runs find the models; null = `shadow_models/` of the "
        "results.",
    )


class WholeConfig(Section):
    """A whole configuration file."""

    def to_yaml(self) -> str:
        """The configuration with every default filled in; it can be read again."""
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def read_config(path: Path, kind: type[AnyConfig], example: str) -> AnyConfig:
    """The configuration in a YAML file.

    Args:
      path: of the file.
      kind: what it must hold.
      example: the path of a configuration to start from, for messages.
    Raises:
      ConfigError: if anything in it is unknown, missing, out of range, or does not fit the rest; with places and lines.
    """
    held = read_yaml(path)
    if not isinstance(held.values, dict):
        raise ConfigError(f"{path} holds {type(held.values).__name__}, no fields; start from {example}.")
    try:
        return kind.model_validate(held.values)
    except ValidationError as refused:
        raise ConfigError("\n".join(refusals(refused, kind, path, held.lines))) from None


def check_shadows(shadows: Shadows, model: Model) -> None:
    """Nothing, if it can be told how shadow models are to be trained.

    Raises:
      Misfit: otherwise.
    """
    if shadows.num_models and model.target is not None:
        for name in ("epochs", "batch_size"):
            if getattr(shadows, name) is None:
                raise Misfit(
                    ("shadow_models", name), "is missing, and cannot be told from a model in a file; give the target's."
                )

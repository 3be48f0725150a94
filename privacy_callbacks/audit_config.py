"""The configuration of `privacy-audit run`: every field, its limits, and which of them fit together.

Checked as a whole before data are read or anything is trained. Needs pydantic and PyYAML (the extra `cli`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, model_validator

from privacy_callbacks.attacks.attack import needs
from privacy_callbacks.attacks.epsilon_audit import EpsilonAudit

from .attack_kinds import AnyPointAttack, attack_section
from .config_data import Data, check_counts
from .config_fields import Count, Flag, Misfit, Positive, Section, Share, Text
from .config_sections import LIMITS_TEXT, Limits, Model, Run, Shadows, WholeConfig, check_shadows, read_config

_EXAMPLE = "configs/audit.yaml"


class AuditRun(Run):
    """What the run is called, and where its results go. Paths are relative to the working directory."""

    name: Text = Field("mia", description="The prefix of log keys and tags: letters, digits, `_`, `-`, `.`.")
    out: Text = Field("results/run", description="The folder for results; `--out` stands above it.")


class Epsilon(Section):
    """A lower bound on the ε of the training, beside the one that it claims."""

    delta: Share = Field(1e-5, description="Of the (ε, δ) that is bounded.")
    level: Share = Field(0.95, description="The probability by which the bound holds, over all audits together.")
    method: Literal["one_run", "fdp", "split", "grid", "gdp"] = Field(
        "one_run", description="`one_run`, `fdp`, `split`, `grid` or `gdp`; the last three give estimates here."
    )
    claimed: Positive | None = Field(None, description="The ε that the training claims at `delta`; null = none.")
    coins: Flag = Field(
        False,
        description="Deal members and non-members anew, by fair coins: only then the number is a bound and no estimate. For "
        "targets that are trained here.",
    )

    @model_validator(mode="after")
    def _can_be_made(self) -> Epsilon:
        self.made(0)
        return self

    def made(self, seed: int) -> EpsilonAudit:
        """The plan of the audit."""
        return EpsilonAudit(self.delta, self.level, self.method, claimed=self.claimed, seed=seed)


class AuditConfig(WholeConfig):
    """The whole configuration."""

    run: AuditRun = Field(default_factory=lambda: AuditRun.model_validate({}), description="Name, seed, folders.")
    data: Data = Field(description="The records.")
    model: Model = Field(description="The target.")
    shadow_models: Shadows = Field(
        default_factory=lambda: Shadows.model_validate({}), description="Models to compare with, for attacks that do."
    )
    attacks: list[Annotated[AnyPointAttack, BeforeValidator(attack_section)]] | None = Field(
        None,
        min_length=1,
        description="What scores records, the headline first: kinds, signals (a threshold on each), or kinds with options; null "
        "= a threshold on each signal that fits, and with shadow models LiRA and RMIA.",
    )
    slices: list[Literal["class", "correct", "loss_percentile"]] = Field(
        [], description="Parts of the records to judge by themselves: `class`, `correct`, `loss_percentile`."
    )
    epsilon: Epsilon | None = Field(None, description="A lower bound on the training's ε; null = none.")
    audit_size: Count = Field(2_000, description="The most records to audit on each side.")
    every: Count | None = Field(
        None, description="Audit each k-th epoch of the target's training; null = the trained target alone."
    )
    limits: Limits = Field({}, description=LIMITS_TEXT)

    @model_validator(mode="after")
    def _fitting(self) -> AuditConfig:
        _check_attacks(self)
        check_shadows(self.shadow_models, self.model)
        check_counts(self.data)
        for field, given in (("every", self.every), ("epsilon.coins", self.epsilon is not None and self.epsilon.coins)):
            if given and self.model.train is None:
                place = tuple(field.split("."))
                raise Misfit(
                    place, "speaks of a training, and the target comes from a file; leave it out, or give model.train."
                )
        if self.epsilon is not None and self.epsilon.coins and self.data.held_out is not None:
            raise Misfit(("data", "held_out"), "has no use here; leave it out.")
        return self

    def described(self) -> str:
        """What would be done."""
        attacks = "the default attacks" if self.attacks is None else ", ".join(each.kind for each in self.attacks)
        return f"{attacks} on {'the target in ' + self.model.target if self.model.target else 'a target to be trained'}"


def load_audit(path: Path) -> AuditConfig:
    """The configuration in a YAML file.

    Raises:
      ConfigError: if anything in it is unknown, missing, out of range, or does not fit the rest; with places and lines.
    """
    return read_config(path, AuditConfig, _EXAMPLE)


def referenced_files(config: AuditConfig) -> dict[str, str]:
    """The files that a configuration reads, by field."""
    found = {f"data.{name}": path for name, path in config.data.files.items()}
    return found | ({} if config.model.target is None else {"model.target": config.model.target})


def referenced_functions(config: AuditConfig) -> dict[str, str]:
    """The functions that a configuration names as `package.module:function`, by field."""
    train = config.model.train
    named = {
        "data.factory": config.data.factory,
        "model.train.architecture": None if train is None else train.architecture,
    }
    return {field: name for field, name in named.items() if name is not None and ":" in name}


def _check_attacks(config: AuditConfig) -> None:
    count = config.shadow_models.num_models
    made = [each.made() for each in config.attacks or ()]
    for index, (each, attack) in enumerate(zip(config.attacks or (), made, strict=True)):
        if needs(attack).shadows and not count:
            raise Misfit(
                ("attacks", index),
                f"{each.kind} compares with shadow models, and there are none; give shadow_models: {{num_models: 8}}.",
            )
        if each.kind == "trajectory" and config.every is None:
            raise Misfit(
                ("attacks", index), "trajectory reads a course of losses, and only one audit is made; give every: 1."
            )
    if count and made and not any(needs(attack).shadows for attack in made):
        raise Misfit(
            ("shadow_models", "num_models"), f"is {count}, but no attack uses any; give 0, or lira or rmia as well."
        )

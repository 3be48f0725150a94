"""The fields of a configuration as Markdown, for configs/README.md."""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel

from .attack_kinds import AnyAggregate, AnyPointAttack
from .audit_config import AuditConfig, Epsilon
from .config_data import Data
from .config_refusals import kind_of, models_in
from .config_sections import Model, Run, Shadows, Train
from .range_config import RangeConfig
from .range_kinds import AnyRange
from .unlearn_config import UnlearnConfig, Unlearned


def documented_sections() -> dict[str, type[BaseModel]]:
    """Every section that a file may have, by its heading in configs/README.md."""
    plain: dict[str, type[BaseModel]] = {
        "`run`: the whole file": AuditConfig,
        "`run`: section `epsilon`": Epsilon,
        "`range`: the whole file": RangeConfig,
        "`unlearn`: the whole file": UnlearnConfig,
        "`unlearn`: section `models`": Unlearned,
        "`run`": Run,
        "`data`": Data,
        "`model`": Model,
        "`model.train`": Train,
        "`shadow_models`": Shadows,
    }
    found = dict(plain)
    for name, union in (("range", AnyRange), ("attack", AnyPointAttack), ("aggregate", AnyAggregate)):
        found |= {f"`{name}` of kind `{kind_of(model)}`": model for model in models_in(union)}
    return found


def field_table(model: type[BaseModel]) -> str:
    """Markdown: one row a field of a section, with its default."""
    rows = ["| field | default | meaning |", "|---|---|---|"]
    for name, spec in model.model_fields.items():
        rows.append(f"| `{name}` | {_default(spec)} | {spec.description} |")
    return "\n".join(rows)


def _default(spec: Any) -> str:
    if spec.is_required():
        return "required"
    value = spec.get_default(call_default_factory=True)
    if isinstance(value, BaseModel):
        return "see below"
    return f"`{json.dumps(value)}`"

"""The ranges and the attacks that a configuration names."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from privacy_callbacks.attacks.audit_set import AuditSet
from privacy_callbacks.range_queries import aggregation
from privacy_callbacks.range_queries.base_range import Range
from privacy_callbacks.range_queries.ramia import TUNED, RaMIA

from .config_values import array_from, function_named
from .configured_data import ConfiguredData
from .located_yaml import ConfigError
from .range_config import RangeConfig


class RangeAttacks(NamedTuple):
    """The attacks on one range.

    Attributes:
      range: what the configuration calls it.
      size: (what its size is, how large), or None.
      around: the range attack.
      beside: the point attack at the centres of the ranges.
    """

    range: str
    size: tuple[str, float] | None
    around: RaMIA
    beside: RaMIA


def configured_attacks(config: RangeConfig, data: ConfiguredData, audit_set: AuditSet) -> list[RangeAttacks]:
    """A range attack and its point attack for each range.

    Raises:
      ConfigError, ValueError: if a file cannot be read, or a range refuses what it is given or does not fit the records.
    """
    ranges, seed = config.named_ranges, config.run.seed
    rows = rows_of(audit_set, data)
    centre = None if config.centre is None else _made(config.centre, "centre", config, data, rows)
    reduce = _reduction(config.aggregate)
    found = []
    for name, section in ranges.items():
        called = config.run.name if len(ranges) == 1 else f"{config.run.name}_{name}"
        made = _made(section, f"range {name}", config, data, rows)
        around = RaMIA(config.attack.made(), made, config.queries, reduce, centre, seed, called)
        found.append(RangeAttacks(name, section.size, around, around.at_centres()))
    return found


def _reduction(aggregate: Any) -> Any:
    if aggregate.kind == "tuned":
        return TUNED
    options = aggregate.model_dump(exclude={"kind"})
    function = getattr(aggregation, aggregate.kind)
    return partial(function, **options) if options else function


def _made(section: Any, place: str, config: RangeConfig, data: ConfiguredData, rows: NDArray[np.int64]) -> Range:
    try:
        return _MAKERS[section.kind](section, config, data, rows)
    except ConfigError:
        raise
    except (TypeError, ValueError) as reason:
        raise ConfigError(f"{place} ({section.kind}): {reason}") from None


def _ball(section: Any, config: RangeConfig, data: ConfiguredData, rows: NDArray[np.int64]) -> Range:
    from privacy_callbacks.range_queries import LpBall

    radius = int(section.radius) if section.p == "hamming" else section.radius
    return LpBall(
        radius, section.p, section.domain, section.margin, section.values, include_centre=section.include_centre
    )


def _transformations(section: Any, config: RangeConfig, data: ConfiguredData, rows: NDArray[np.int64]) -> Range:
    from privacy_callbacks.range_queries import Transformations

    given = [function_named(name, "range.transformations") if ":" in name else name for name in section.transformations]
    options = section.model_dump(exclude={"kind", "name", "transformations"})
    return Transformations(*given, **options, seed=config.run.seed)


def _missing_features(section: Any, config: RangeConfig, data: ConfiguredData, rows: NDArray[np.int64]) -> Range:
    from privacy_callbacks.range_queries import MissingFeatures, Numeric
    from privacy_callbacks.range_queries.imputers import Nearest

    if data.x.ndim != 2:
        raise ConfigError(
            f"missing_features needs a table, and a record has shape {list(data.x.shape[1:])}; give data.flatten: true."
        )
    width = data.x.shape[1]
    reference = data.part("population")[0] if len(data.rows["population"]) else None
    imputer: Any = Nearest(section.neighbours) if section.imputer == "knn" else section.imputer
    if ":" in section.imputer:
        imputer = function_named(section.imputer, "range.imputer")(reference)
    columns = None if section.low is None else [Numeric(section.low, section.high, section.integer)] * width
    return MissingFeatures(
        _mask(section, config.run.seed, len(data.x), width, rows),
        section.values,
        columns,
        imputer,
        None if section.imputer == "uniform" else reference,
        np.unique(data.y) if section.missing_label else None,
    )


def _mask(section: Any, seed: int, total: int, width: int, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
    if section.mask is not None:
        mask = array_from(section.mask, "mask")
        if mask.dtype != bool or mask.shape not in ((width,), (total, width)):
            raise ConfigError(
                f"mask: {section.mask} holds {mask.dtype}{list(mask.shape)}; give booleans [{width}] or [{total}, {width}], "
                "true = missing."
            )
        return mask if mask.ndim == 1 else mask[rows]
    if section.columns is not None:
        if max(section.columns, default=0) >= width:
            raise ConfigError(f"columns names {max(section.columns)}; the data have columns 0 … {width - 1}.")
        mask = np.zeros(width, bool)
        mask[section.columns] = True
        return mask
    if section.missing >= width:
        raise ConfigError(f"missing is {section.missing}; the data have {width} columns, of which one must be seen.")
    # By row of the data, so that a record misses the same columns whatever else is audited.
    order = np.random.default_rng([seed, 0x3155]).random((total, width)).argsort(axis=1)
    return (order < section.missing)[rows]


def _same_owner(section: Any, config: RangeConfig, data: ConfiguredData, rows: NDArray[np.int64]) -> Range:
    from privacy_callbacks.range_queries import SameOwner

    assert data.owners is not None
    return SameOwner(*data.part("held_out"), data.owners[data.rows["held_out"]])


def _tokens(section: Any, config: RangeConfig, data: ConfiguredData, rows: NDArray[np.int64]) -> Range:
    from privacy_callbacks.range_queries import Tokens

    vocabulary = section.vocabulary
    if isinstance(vocabulary, str):
        try:
            vocabulary = list(dict.fromkeys(Path(vocabulary).read_text(encoding="utf-8").split()))
        except (OSError, UnicodeDecodeError) as reason:
            raise ConfigError(
                f"vocabulary: {section.vocabulary} cannot be read ({reason}); give a text file."
            ) from None
    return Tokens(
        section.edits,
        vocabulary,
        section.edit,
        section.mask_token,
        padding=section.padding,
        up_to=section.up_to,
    )


def _near(section: Any, config: RangeConfig, data: ConfiguredData, rows: NDArray[np.int64]) -> Range:
    from privacy_callbacks.range_queries import Near

    embed: Any = None
    if section.embed is not None and section.embed.endswith(".keras"):
        import keras

        try:
            embed = keras.saving.load_model(section.embed)
        except Exception as reason:  # of a damaged file, or of layers that are not known here
            raise ConfigError(f"embed: {section.embed} cannot be loaded ({reason}); give a .keras file.") from None
    elif section.embed is not None:
        embed = function_named(section.embed, "embed")
    return Near(section.radius, embed, section.p, section.scale)


_MAKERS: Mapping[str, Any] = {
    "ball": _ball,
    "transformations": _transformations,
    "missing_features": _missing_features,
    "same_owner": _same_owner,
    "tokens": _tokens,
    "near": _near,
}


def rows_of(audit_set: AuditSet, data: ConfiguredData) -> NDArray[np.int64]:
    """int64[n], the rows of the data that are audited."""
    sides = [data.rows[side] for side in ("members", "nonmembers")]
    count = audit_set.num_members
    return np.concatenate([sides[0][audit_set.positions[:count]], sides[1][audit_set.positions[count:]]])

"""The complete records that an attacker holds, which imputers learn from: whether they fit mask, values and queries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from .table_columns import Schema, may_hold
from .tables import check_alike, check_table, column, keys_of, num_rows


def check_given(reference: Any, imputer: str) -> None:
    """Nothing, if there is a reference.

    Raises:
      ValueError: otherwise.
    """
    if reference is None:
        raise ValueError(f"imputer {imputer!r} learns from records that the attacker holds; give them as reference.")


def check_reference(reference: Any, keys: list[Any], width: int | None, schema: Schema) -> None:
    """Nothing, if a table holds complete records with the missing columns, in which stand values that the schema lists.

    Args:
      keys: the columns that any query misses.
      width: how many columns queries have; None for a dict of columns.
    Raises:
      ValueError: otherwise.
    """
    check_table(reference, "reference")
    if (width is None) != isinstance(reference, Mapping) or width not in (None, len(keys_of(reference))):
        raise ValueError(
            f"reference has columns {keys_of(reference)[:5]}…, the mask {width or 'named ones'}; give records like the queries."
        )
    if not num_rows(reference):
        raise ValueError("reference holds no records; give some, or another imputer.")
    if unknown := [key for key in keys if key not in keys_of(reference)]:
        raise ValueError(f"reference has no column {unknown[0]!r}, which the mask says is missing; give it.")
    for key in keys_of(reference):
        values = column(reference, key)
        if values.dtype.kind == "f" and not np.isfinite(values).all():
            raise ValueError(f"reference holds NaN or infinity in column {key!r}; drop or fill such records.")
    for key in keys:
        held, values = schema[key], column(reference, key)
        if held is not None and not (possible := may_hold(held, values)).all():
            value = values[~possible][0]
            raise ValueError(
                f"reference holds {value!r} in column {key!r}, which is not among its values; add it there."
            )


def check_like_queries(reference: Any, x: Any, keys: list[Any]) -> None:
    """Nothing, if these columns of queries can hold the values of the reference.

    Raises:
      ValueError: otherwise, or if tables have different columns.
    """
    check_alike(x, reference, "reference")
    for key in keys:
        ours, theirs = column(x, key), column(reference, key)
        if ours.dtype.kind in "biu" and (theirs.astype(ours.dtype) != theirs).any():
            raise ValueError(f"reference holds values in column {key!r} that {ours.dtype} of the queries cannot hold.")

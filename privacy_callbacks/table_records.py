"""Records from a table in a file: columns of numbers, and one of labels."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .config_data import Data
from .data_records import Records
from .located_yaml import ConfigError


def records_of_table(path: str, data: Data, field: str) -> Records:
    """The rows of a `.csv` or `.parquet` file as records.

    Args:
      path: of the file.
      data: the section, which names the columns.
      field: that names the file, for messages.
    Returns:
      x float32[n, columns], y int64[n], float32[n] or texts, ids and owners if columns are named for them.
    Raises:
      ConfigError: if the file or a column cannot be had, or a column of features holds no numbers, or none in some row.
    """
    table = _read(path, field)
    assert data.label is not None
    named = {"label": data.label, "id": data.id, "owner": data.owner}
    for what, column in named.items():
        if column is not None:
            _check_column(column, table, f"data.{what}", path)
    kept = {column for column in named.values() if column is not None}
    features = data.features or [str(column) for column in table.columns if column not in kept]
    if not features:
        raise ConfigError(f"{field}: {path} has no column but {', '.join(sorted(kept))}; give columns of features.")
    for column in features:
        _check_column(column, table, "data.features", path)
    x = np.stack([_numbers(table[column], column, path) for column in features], axis=1)
    ids, owners = (None if name is None else table[name].to_numpy() for name in (data.id, data.owner))
    return Records(x, _labels(table[data.label], data.label, path), _texts(ids), _texts(owners))


def _read(path: str, field: str) -> Any:
    import pandas as pd

    try:
        table = pd.read_csv(path) if Path(path).suffix == ".csv" else pd.read_parquet(path)
    except ImportError:
        raise ConfigError(f"{field}: parquet files need pyarrow; run `pip install pyarrow`, or give a .csv.") from None
    except Exception as reason:  # damaged files fail in a dozen ways
        raise ConfigError(f"{field}: {path} cannot be read ({reason}); give a .csv or .parquet file.") from None
    if not len(table):
        raise ConfigError(f"{field}: {path} has no rows; give records.")
    twice = table.columns[table.columns.duplicated()]
    if len(twice):
        raise ConfigError(f"{field}: {path} has two columns {twice[0]!r}; rename one.")
    return table


def _check_column(column: str, table: Any, field: str, path: str) -> None:
    if column not in table.columns:
        known = [str(name) for name in table.columns]
        near = difflib.get_close_matches(column, known, 1)
        hint = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known[:20])}."
        raise ConfigError(f"{field}: {path} has no column {column!r}; {hint}")


def _numbers(values: Any, column: str, path: str) -> NDArray[np.float32]:
    if values.dtype.kind not in "fiub":
        raise ConfigError(
            f"data.features: column {column!r} of {path} holds {values.dtype}, no numbers; encode it, or name the columns to use."
        )
    with np.errstate(over="ignore"):  # infinite, and refused as such
        found = values.to_numpy(np.float32)
    missing = int(np.count_nonzero(~np.isfinite(found)))
    if missing:
        raise ConfigError(
            f"data.features: column {column!r} of {path} has no finite number in {missing:,} of {len(found):,} rows; fill or "
            "drop them."
        )
    return found


def _labels(values: Any, column: str, path: str) -> NDArray[Any]:
    """Whole numbers int64, other numbers float32, texts as they are."""
    if values.isna().any():
        raise ConfigError(f"data.label: column {column!r} of {path} lacks labels; drop these rows.")
    if values.dtype.kind == "u" and values.max() >= 2**63:
        raise ConfigError(
            f"data.label: column {column!r} of {path} holds {values.max()}, no class number; give others."
        )
    if values.dtype.kind in "iub":
        return values.to_numpy(np.int64)
    return values.to_numpy(np.float32) if values.dtype.kind == "f" else values.to_numpy().astype(str)


def _texts(values: Any) -> Any:
    """Ids as they are if numbers, as texts otherwise: nothing of another type is written into results."""
    return values if values is None or values.dtype.kind in "iu" else values.astype(str)

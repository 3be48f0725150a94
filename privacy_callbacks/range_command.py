"""`privacy-audit range`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from .config_command import config_command


def _load(path: Path) -> Any:
    from .range_config import load_config

    return load_config(path)


def _check(config: Any) -> None:
    from .range_config import referenced_files
    from .run_facts import check_files

    check_files(config, referenced_files(config))


def _run(config: Any, folder: Path, overwrite: bool, say: Callable[[str], Any], verbose: int) -> int:
    from .range_run import run_ranges

    return run_ranges(config, folder, overwrite, say, verbose)


range_command = config_command(
    "range",
    "Does the model remember anything near these records?\n\nExit codes: 0 = done, 1 = a limit is exceeded, 2 = refused, 130 = "
    "interrupted.",
    _load,
    _check,
    _run,
)

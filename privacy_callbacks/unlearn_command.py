"""`privacy-audit unlearn`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from .config_command import config_command


def _load(path: Path) -> Any:
    from .unlearn_config import load_unlearn

    return load_unlearn(path)


def _check(config: Any) -> None:
    from .run_facts import check_files
    from .unlearn_config import referenced_files

    check_files(config, referenced_files(config))


def _run(config: Any, folder: Path, overwrite: bool, say: Callable[[str], Any], verbose: int) -> int:
    from .unlearn_run import run_unlearn

    return run_unlearn(config, folder, overwrite, say, verbose)


unlearn_command = config_command(
    "unlearn",
    "Did the model forget these records?\n\nExit codes: 0 = done, 1 = the verdict is none of those that pass, 2 = refused, 130 = "
    "interrupted.",
    _load,
    _check,
    _run,
)

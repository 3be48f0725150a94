"""`privacy-audit run`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from .config_command import config_command


def _load(path: Path) -> Any:
    from .audit_config import load_audit

    return load_audit(path)


def _check(config: Any) -> None:
    from .audit_config import referenced_files
    from .run_facts import check_files

    check_files(config, referenced_files(config))


def _run(config: Any, folder: Path, overwrite: bool, say: Callable[[str], Any], verbose: int) -> int:
    from .audit_run import run_audit

    return run_audit(config, folder, overwrite, say, verbose)


run_command = config_command(
    "run",
    "How much of its training data does this model give away?\n\nTrains the target, or loads it, attacks it, and writes reports, "
    "a page and a section for a model card. A run that was killed goes on.\n\nExit codes: 0 = done, 1 = a limit is exceeded, 2 = "
    "refused, 130 = interrupted.",
    _load,
    _check,
    _run,
)

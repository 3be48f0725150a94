"""`privacy-audit selfcheck`: does this installation find what is there, and nothing else?"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

import click

from .printable import printable


@click.command("selfcheck")
@click.option(
    "--log-dir", type=click.Path(path_type=Path), help="Keep TensorBoard's files, in a new folder in this one."
)
@click.option(
    "--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of records, weights and points."
)
@click.pass_context
def selfcheck_command(context: click.Context, log_dir: Path | None, seed: int) -> None:
    """A planted leak is found, a clean model passes, on this installation. Takes less than a minute and no network.

    Exit codes: 0 = all checks hold, 1 = one does not, 130 = interrupted.
    """
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    try:
        if log_dir is not None:
            failed = _checked(log_dir, seed)
        else:
            with tempfile.TemporaryDirectory() as folder:
                failed = _checked(Path(folder), seed)
    except KeyboardInterrupt:
        context.exit(130)
    context.exit(int(failed > 0))


def _checked(log_dir: Path, seed: int) -> int:
    from .selfcheck import conclusion, run_checks, versions

    for line in versions():
        click.echo(printable(line))
    from .selfcheck_arrays import array_checks
    from .selfcheck_models import model_checks
    from .selfcheck_training import Workshop

    checks = [*model_checks(Workshop(seed, log_dir)), *array_checks(seed)]
    failed = run_checks(checks, click.echo)
    click.echo(conclusion(checks, failed))
    return failed

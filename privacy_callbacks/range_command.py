"""`privacy-audit range`: its options, and what becomes of what is refused."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click


@click.command("range")
@click.option(
    "--cf",
    "--config",
    "config_file",
    required=True,
    type=click.Path(dir_okay=False, path_type=Path),
    help="The configuration, a YAML file; every field stands in configs/README.md.",
)
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="The folder for results, instead of run.out."
)
@click.option("--check", is_flag=True, help="Validate the configuration and stop.")
@click.option("--overwrite", is_flag=True, help="Compute again, and over results of another configuration.")
@click.option("--quiet", is_flag=True, help="Say nothing but what is refused or exceeded.")
@click.pass_context
def range_command(
    context: click.Context, config_file: Path, out: Path | None, check: bool, overwrite: bool, quiet: bool
) -> None:
    """Does the model remember anything near these records?

    Exit codes: 0 = done, 1 = a limit is exceeded, 2 = refused, 130 = interrupted.
    """
    from .range_config import load_config

    # TensorFlow's own log says nothing that a reader of results wants to know.
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    said: list[str] = []
    try:
        config = load_config(config_file)
        folder = out or Path(config.run.out)
        if check:
            from .range_run import check_files

            check_files(config)
            ranges = ", ".join(config.named_ranges)
            click.echo(f"{config_file} is valid: {config.attack.kind} on {ranges}; results would go to {folder}.")
            return
        from .range_run import run_ranges

        say = said.append if quiet else click.echo
        # Elsewhere than on a terminal the bar would be a line an epoch.
        code = run_ranges(config, folder, overwrite, say, verbose=int(sys.stdout.isatty() and not quiet))
    except (ValueError, OSError) as reason:
        click.echo(f"refused: {reason}", err=True)
        code = 2
    except KeyboardInterrupt:
        code = 130
    if quiet and code:
        for line in said:
            if line.startswith("limit "):
                click.echo(line, err=True)
    context.exit(code)

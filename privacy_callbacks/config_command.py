"""What every command that reads a configuration has: its options, and what becomes of what is refused."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click


def config_command(
    name: str,
    about: str,
    load: Callable[[Path], Any],
    check: Callable[[Any], None],
    run: Callable[[Any, Path, bool, Callable[[str], Any], int], int],
) -> click.Command:
    """A command `privacy-audit NAME --cf FILE`.

    Args:
      name: of the command.
      about: its help.
      load: the configuration of a file.
      check: raises if the files it names are not there.
      run: of (configuration, folder, overwrite, say, verbose); the exit code.
    """

    @click.command(name, help=about)
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
    @click.option("--check", "--dry-run", "check_", is_flag=True, help="Validate the configuration and stop.")
    @click.option("--overwrite", is_flag=True, help="Compute again, and over results of another configuration.")
    @click.option("--quiet", is_flag=True, help="Say nothing but what is refused or exceeded.")
    @click.pass_context
    def command(
        context: click.Context, config_file: Path, out: Path | None, check_: bool, overwrite: bool, quiet: bool
    ) -> None:
        # TensorFlow's own log says nothing that a reader of results wants to know.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
        said: list[str] = []
        try:
            config = load(config_file)
            folder = out or Path(config.run.out)
            if check_:
                check(config)
                click.echo(f"{config_file} is valid: {config.described()}; results would go to {folder}.")
                return
            say = said.append if quiet else click.echo
            # Elsewhere than on a terminal the bar would be a line an epoch.
            code = run(config, folder, overwrite, say, int(sys.stdout.isatty() and not quiet))
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

    return command

"""What every command that reads a configuration has: its options, and what becomes of what is refused."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from pathlib import Path

import click


def config_command(name: str, about: str, configuration: str, load: str, runner: str, run: str) -> click.Command:
    """A command `privacy-audit NAME --cf FILE`. What is heavy is named, and imported when it is used.

    Args:
      name: of the command.
      about: its help.
      configuration: the module of this package with the configuration, which has `referenced_files`, too.
      load: its function that reads a file.
      runner: the module that runs a configuration.
      run: its function of (configuration, folder, overwrite, say, verbose), which returns the exit code.
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
            described = import_module(f".{configuration}", __package__)
            config = getattr(described, load)(config_file)
            folder = out or Path(config.run.out)
            if check_:
                from .run_facts import check_files

                check_files(config, described.referenced_files(config))
                click.echo(f"{config_file} is valid: {config.described()}; results would go to {folder}.")
                return
            say = said.append if quiet else click.echo
            # Elsewhere than on a terminal the bar would be a line an epoch.
            started = getattr(import_module(f".{runner}", __package__), run)
            code = started(config, folder, overwrite, say, int(sys.stdout.isatty() and not quiet))
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


_CODES = "Exit codes: 0 = done, 1 = {}, 2 = refused, 130 = interrupted."
_EXCEEDED = _CODES.format("a limit is exceeded")

run_command = config_command(
    "run",
    "How much of its training data does this model give away?\n\nTrains the target, or loads it, attacks it, and writes reports, "
    f"a page and a section for a model card. A run that was killed goes on.\n\n{_EXCEEDED}",
    "audit_config",
    "load_audit",
    "audit_run",
    "run_audit",
)
range_command = config_command(
    "range",
    f"Does the model remember anything near these records?\n\n{_EXCEEDED}",
    "range_config",
    "load_config",
    "range_run",
    "run_ranges",
)
unlearn_command = config_command(
    "unlearn",
    f"Did the model forget these records?\n\n{_CODES.format('the verdict is none of those that pass')}",
    "unlearn_config",
    "load_unlearn",
    "unlearn_run",
    "run_unlearn",
)

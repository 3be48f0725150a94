"""The command `privacy-audit`, a group that others join. Needs the extra `cli`."""

from __future__ import annotations

import importlib.util
import sys
import traceback
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import click

_NEEDED = {"click": "click", "yaml": "PyYAML", "pydantic": "pydantic"}
FAULT = 3


def privacy_audit() -> click.Group:
    """The group of all commands. Another one is a line here and a module of its own."""
    import click

    from . import __version__
    from .check_command import check_command
    from .config_command import range_command, run_command, unlearn_command
    from .outputs_command import outputs_command
    from .report_command import report_command
    from .selfcheck_command import selfcheck_command

    group = click.Group(
        "privacy-audit",
        help="How much of its training data would this model give away? Audits from configuration files, reports from logs.",
        no_args_is_help=True,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    group.add_command(check_command)
    group.add_command(outputs_command)
    group.add_command(range_command)
    group.add_command(report_command)
    group.add_command(run_command)
    group.add_command(selfcheck_command)
    group.add_command(unlearn_command)
    return click.version_option(__version__, prog_name="privacy-audit")(group)


def main() -> None:
    """The entry point: exit code 0 = done, 1 = a limit is exceeded, 2 = refused, 3 = a fault of the program."""
    missing = [package for module, package in _NEEDED.items() if importlib.util.find_spec(module) is None]
    if missing:
        print(f'privacy-audit needs {", ".join(missing)}: run `pip install "privacy-callbacks[cli]"`.', file=sys.stderr)
        sys.exit(2)
    try:
        privacy_audit().main(prog_name="privacy-audit")
    except Exception:  # Python's own exit code would be 1, which says that a limit is exceeded
        traceback.print_exc()
        sys.exit(FAULT)


if __name__ == "__main__":
    main()

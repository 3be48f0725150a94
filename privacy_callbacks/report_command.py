"""`privacy-audit report`: a log directory as one HTML file, and as a section of a model card."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import click

from .printable import printable

_ON_STDOUT = Path("-")


@click.command("report")
@click.argument("logdir")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="The HTML file; one that is there is replaced.")
@click.option("--markdown", type=click.Path(path_type=Path), help="A file for a model card's section; - = print it.")
@click.option("--title", default="Membership leakage", show_default=True, help="Of the page and the section.")
@click.option(
    "--most-audits",
    type=int,
    default=60,
    show_default=True,
    help="Curves, histograms and slices of at most so many audits an attack; of figures all.",
)
@click.pass_context
def report_command(
    context: click.Context, logdir: str, out: Path | None, markdown: Path | None, title: str, most_audits: int
) -> None:
    """Write what the audits in LOGDIR found, for people without TensorBoard.

    LOGDIR is the log_dir of a MIACallback, or any folder above. The page is one file: it opens offline and loads nothing.

    Exit codes: 0 = done, 2 = refused, 130 = interrupted.
    """
    try:
        _check_places(out, markdown)
        _write(logdir, out, markdown, title, most_audits)
    except (ValueError, OSError) as reason:
        click.echo(f"refused: {printable(str(reason))}", err=True)
        context.exit(2)
    except KeyboardInterrupt:
        context.exit(130)


def _check_places(out: Path | None, markdown: Path | None) -> None:
    """Nothing, if there is something to write and room for it.

    Raises:
      ValueError: otherwise, before any log is read.
    """
    files = [path for path in (out, markdown) if path is not None and path != _ON_STDOUT]
    if out == _ON_STDOUT:
        raise ValueError("-o - was given; a page is a file, so give its name, such as -o report.html.")
    if out is None and markdown is None:
        raise ValueError("there is nothing to write; give -o report.html, --markdown FILE, or both.")
    if len({path.resolve() for path in files}) < len(files):
        raise ValueError(f"{out} is to be both the page and the section; give two names.")
    for path in files:
        if path.is_dir():
            raise ValueError(f"{path} is a folder; give the name of a file, such as {path / 'report.html'}.")
        if not path.parent.is_dir():
            raise ValueError(f"the folder {path.parent} does not exist; make it, or give another place than {path}.")


def _write(logdir: str, out: Path | None, markdown: Path | None, title: str, most_audits: int) -> None:
    from .logged_reports import logged_runs
    from .tensorboard_plugin.log_directory import open_log_directory, page_data

    page = page_data(open_log_directory(logdir), most_audits, title=title)
    runs = list(logged_runs(page))
    # Written first, since it may be refused: then neither file is new.
    section = None if markdown is None else _section(runs, title)
    for problem in [*page["overview"]["problems"], *(sentence for run in runs for sentence in run.unreadable)]:
        click.echo(f"not readable: {printable(problem)}", err=True)
    # Where the section is printed, nothing else may be.
    aside = markdown == _ON_STDOUT
    for run in runs:
        click.echo(printable(f"{run.id}: {run.words}"), err=aside)
    if out is not None:
        _write_page(page, out, title)
        click.echo(f"written: {out} ({out.stat().st_size / 1e6:.1f} MB; {_contents(page)})", err=aside)
    if markdown is not None and section is not None:
        _write_section(section, markdown)


def _write_page(page: Mapping[str, Any], out: Path, title: str) -> None:
    from privacy_callbacks.privacy_page.one_file import one_file_page, write_page

    write_page(one_file_page(page, title), out)


def _write_section(section: str, markdown: Path) -> None:
    from privacy_callbacks.privacy_page.one_file import write_page

    if markdown == _ON_STDOUT:
        click.echo(section, nl=False)
        return
    write_page(section, markdown)
    click.echo(f"written: {markdown}")


def _section(runs: Iterable[Any], title: str) -> str:
    """One section a run; of several each says which.

    Raises:
      ValueError: if no run has a report.
    """
    from privacy_callbacks.attacks.report_markdown import reports_to_markdown

    told = [run for run in runs if run.reports]
    if not told:
        raise ValueError(
            "the logs hold no audit that a section could tell of, only ranges or damaged ones; give -o alone."
        )
    titles = [title if len(told) == 1 else f"{title}: {run.id}" for run in told]
    sections = [
        reports_to_markdown(run.reports, name, verdict=run.verdict) for run, name in zip(told, titles, strict=True)
    ]
    return "\n".join(sections)


def _contents(page: Mapping[str, Any]) -> str:
    overview = page["overview"]
    audits = sum(len(attack["steps"]) for run in overview["runs"] for attack in run["attacks"])
    counted = {"run": len(overview["runs"]), "audit": audits, "range curve": len(overview["ranges"])}
    return ", ".join(f"{count:,} {what}{'s' * (count != 1)}" for what, count in counted.items() if count)

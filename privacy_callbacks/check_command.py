"""`privacy-audit check`: may this model be released?"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .printable import printable

if TYPE_CHECKING:
    from privacy_callbacks.attacks.report import LeakageReport

    from .gate import Judgement

_WORDS = {True: "pass", False: "FAIL", None: "skip"}


@click.command("check")
@click.argument("paths", nargs=-1, required=True, metavar="LOGDIR|REPORTS.json...")
@click.option(
    "--max",
    "limits",
    multiple=True,
    required=True,
    metavar="[ATTACK.]METRIC=NUMBER",
    help="A limit, such as auc=0.6 or lira.tpr_at_fpr_1e-2=0.03; may be given several times.",
)
@click.option("--lenient", is_flag=True, help="Compare values with limits, not the upper ends of their intervals.")
@click.option("--slices", is_flag=True, help="Judge slices, too.")
@click.option("--every-audit", is_flag=True, help="Judge all audits that a file holds, not the newest of each attack.")
@click.option("--junit", type=click.Path(path_type=Path, dir_okay=False), help="Write JUnit XML into this file.")
@click.option("--annotations", type=click.Choice(["github"]), help="Print what fails as a workflow's annotations.")
@click.option("--json", "as_json", is_flag=True, help="Print the judgements as JSON.")
@click.option("--quiet", is_flag=True, help="Print nothing but what fails.")
@click.pass_context
def check_command(
    context: click.Context,
    paths: Sequence[str],
    limits: Sequence[str],
    lenient: bool,
    slices: bool,
    every_audit: bool,
    junit: Path | None,
    annotations: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Is leakage surely within limits?

    Of each attack the newest audit is judged. A limit holds if the upper end of the metric's interval does not exceed it; a
    metric without an interval (the advantage) is judged by its value. What was refused, failed or tells nothing does not pass.

    Exit codes: 0 = all limits hold, 1 = one does not, 2 = refused.
    """
    from .gate import judge, parse_limit

    try:
        wanted = [parse_limit(text) for text in limits]
        if junit is not None and not junit.parent.is_dir():
            raise ValueError(f"the folder {junit.parent} does not exist; make it, or give another place than {junit}.")
        found = judge(_reports(paths, every_audit), wanted, lenient=lenient, slices=slices)
        if junit is not None:
            from .gate_files import write_junit

            write_junit(found, junit)
    except (ValueError, OSError) as reason:
        click.echo(f"refused: {printable(str(reason))}", err=True)
        context.exit(2)
    _tell(found, len(paths), annotations, as_json, quiet)
    context.exit(int(any(one.passed is False for one in found)))


def _reports(paths: Sequence[str], every_audit: bool) -> dict[str, list[LeakageReport]]:
    """The reports by where they lie.

    Raises:
      ValueError: if a path holds none.
    """
    from .gate import newest_reports

    found: dict[str, list[LeakageReport]] = {}
    for path in dict.fromkeys(paths):
        for source, reports in _read(path).items():
            found[source] = reports if every_audit else newest_reports(reports)
    return found


def _read(path: str) -> dict[str, list[LeakageReport]]:
    place = Path(path)
    if place.is_dir() and (place / "reports.json").is_file():
        place = place / "reports.json"
    if not place.is_dir():
        if not place.is_file() and "://" not in path:
            raise ValueError(f"there is no {path}; give a file of save_reports, a folder of results, or a log_dir.")
        if place.is_file():
            from privacy_callbacks.attacks.report_files import load_reports

            return {path: load_reports(place)}
    from .logged_reports import logged_runs
    from .tensorboard_plugin.log_directory import open_log_directory, page_data

    page = page_data(open_log_directory(path), 2)
    runs = list(logged_runs(page))
    unreadable = [sentence for run in runs for sentence in run.unreadable] + page["overview"]["problems"]
    if unreadable:
        raise ValueError(
            f"{path}: not all can be read ({'; '.join(unreadable[:3])}); mend it, or name files of save_reports."
        )
    return {f"{path}: {run.id}": list(run.reports) for run in runs}


def _tell(found: Sequence[Judgement], sources: int, annotations: str | None, as_json: bool, quiet: bool) -> None:
    shown = [one for one in found if one.passed is False or not quiet]
    if as_json:
        click.echo(json.dumps([_plain(one) for one in shown], indent=1))
        return
    several = len({one.source for one in found}) > 1
    for one in shown:
        where = f"{one.source}: " if several else ""
        click.echo(printable(f"{_WORDS[one.passed]}  {where}{one.title}  {one.words}"))
    if annotations is not None:
        from .gate_files import github_annotations

        for line in github_annotations(found):
            click.echo(line)
    counts = {word: sum(one.passed is passed for one in found) for passed, word in _WORDS.items()}
    if not quiet:
        told = f"{counts['pass']} of {len(found)} hold, {counts['FAIL']} do not"
        click.echo(told + (f", {counts['skip']} on slices too small to judge." if counts["skip"] else "."))


def _plain(one: Judgement) -> dict[str, Any]:
    held = dataclasses.asdict(one)
    limit = held.pop("limit")
    return {**held, "metric": limit["metric"], "maximum": limit["maximum"]}

"""`privacy-audit outputs`: an audit of arrays alone, whatever the model was."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from .outputs_keys import key_lines
from .printable import printable

if TYPE_CHECKING:
    from privacy_callbacks.attacks.report import LeakageReport
    from privacy_callbacks.attacks.verdict import LeakVerdict

_MOST_SLICES = 12
_ABOUT = """How much do these outputs give away? Needs neither model nor TensorFlow.

FILE.npz is what np.savez('FILE.npz', logits=..., labels=..., is_member=...) writes (n records, c classes, m shadow models):

\b
{keys}

Or in pairs: members_logits and nonmembers_logits, and so on. Nothing in the file is unpickled.

Exit codes: 0 = done, 2 = refused, 130 = interrupted."""


def _names(context: click.Context, parameter: click.Parameter, given: str | None) -> tuple[str, ...] | None:
    return None if given is None else tuple(name.strip() for name in given.split(",") if name.strip())


@click.command("outputs", help=_ABOUT.format(keys="\n".join(key_lines())))
@click.argument("file", metavar="FILE.npz", type=click.Path(path_type=Path))
@click.option(
    "--attacks",
    callback=_names,
    metavar="NAME,...",
    help="loss, entropy, correct and other signals; lira, rmia, base, attack_r, difficulty_calibration; logistic_regression, "
    "random_forest and other classifiers; scores of the file. The first makes the headline. [default: all that fit]",
)
@click.option(
    "--slices", callback=_names, metavar="NAME,...", help="Judge parts: class, correct, loss_percentile, a column."
)
@click.option("-o", "--out", type=click.Path(path_type=Path), help="A .json file for the reports, or a folder for it.")
@click.option("--html", type=click.Path(path_type=Path), help="Write a page with the charts into this file.")
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True, help="Of halves and permutations.")
@click.option("--json", "as_json", is_flag=True, help="Print the reports as JSON, and nothing else.")
@click.pass_context
def outputs_command(
    context: click.Context,
    file: Path,
    attacks: Sequence[str] | None,
    slices: Sequence[str] | None,
    out: Path | None,
    html: Path | None,
    seed: int,
    as_json: bool,
) -> None:
    """See `_ABOUT`."""
    from privacy_callbacks.attacks.verdict import leak_verdict

    from .outputs_audit import audit_outputs
    from .outputs_file import read_outputs

    try:
        kept = _places(out, html, file)
        reports = audit_outputs(read_outputs(file), attacks, slices or (), seed)
        verdict = leak_verdict(reports)
        written = _write(reports, verdict, kept, html)
    except (ValueError, OSError) as reason:
        click.echo(f"refused: {printable(str(reason))}", err=True)
        context.exit(2)
    except KeyboardInterrupt:
        context.exit(130)
    if as_json:
        click.echo(json.dumps(_plain(reports, verdict), indent=1, allow_nan=False))
        return
    for line in [*_lines(reports), f"over all attacks: {verdict}", *written]:
        click.echo(printable(line))


def _places(out: Path | None, html: Path | None, file: Path) -> Path | None:
    """Where the reports go; None if nowhere.

    Raises:
      ValueError: if there is no room for what is to be written, before anything is computed.
    """
    kept = out if out is None or (out.suffix == ".json" and not out.is_dir()) else out / "reports.json"
    if kept is not None and kept != out and out is not None and out.exists() and not out.is_dir():
        raise ValueError(f"{out} is a file; give a folder, or the name of a file that ends in .json.")
    for path in (kept, html):
        if path is None:
            continue
        if path.resolve() == file.resolve():
            raise ValueError(f"{path} is what is to be read; give another place.")
        if path.is_dir():
            raise ValueError(f"{path} is a folder; give the name of a file, such as {path / 'report.html'}.")
        parent = path.parent
        if not parent.is_dir() and (path is html or (parent.exists() or not parent.parent.is_dir())):
            raise ValueError(f"the folder {parent} does not exist; make it, or give another place than {path}.")
    if kept is not None and html is not None and kept.resolve() == html.resolve():
        raise ValueError(f"{html} is to be both reports and page; give two names.")
    return kept


def _write(reports: Sequence[LeakageReport], verdict: LeakVerdict, kept: Path | None, html: Path | None) -> list[str]:
    """Writes what was asked for; a line for each file."""
    written = []
    if kept is not None:
        from privacy_callbacks.attacks.report_files import save_reports

        kept.parent.mkdir(exist_ok=True)
        save_reports(reports, kept)
        written.append(f"written: {kept} (privacy-audit check {kept} --max auc=0.6 judges it)")
    if html is not None:
        from privacy_callbacks.attacks.report_page import reports_to_html

        reports_to_html(reports, html, verdict=verdict)
        written.append(f"written: {html}")
    return written


def _lines(reports: Sequence[LeakageReport]) -> list[str]:
    """What is printed: a table, the surest slices, the headline in words, warnings and notes."""
    from privacy_callbacks.attacks.grouped_reports import strongest_of
    from privacy_callbacks.attacks.report_in_words import in_words

    from .audit_run import summary_lines

    whole = [report for report in reports if report.slice == "entire"]
    parts = [report for report in reports if report.slice != "entire"]
    lines = [*summary_lines(whole), *(_slice_lines(parts) if parts else []), "", in_words(whole[0])]
    headline, strongest = whole[0], strongest_of(whole)
    if strongest is not None and headline.void is None and headline.auc is not None:
        surely = headline.auc.high is not None and _low(strongest) > headline.auc.high
        lines += [in_words(strongest)] if surely else []
    lines += [f"! {sentence}" for sentence in _once(report.warnings for report in whole)]
    return [*lines, *(f"· {sentence}" for sentence in _once(report.notes for report in whole))]


def _slice_lines(parts: Sequence[LeakageReport]) -> list[str]:
    """The slices that leak most surely; the others are counted."""
    from dataclasses import replace

    from .audit_run import summary_lines

    told = sorted((part for part in parts if part.auc is not None), key=_low, reverse=True)
    shown = [replace(part, attack=f"{part.attack} on {part.slice}") for part in told[:_MOST_SLICES]]
    counts = {"more": len(told) - len(shown), "too small to judge": len(parts) - len(told)}
    others = "; ".join(f"{count:,} {what}" for what, count in counts.items() if count)
    lines = ["", "slices, the surest leak first (intervals hold for all slices of an attack together):"]
    return [*lines, *summary_lines(shown), *([f"({others}; -o keeps them all)"] if others else [])]


def _low(report: LeakageReport) -> float:
    assert report.auc is not None
    return float(report.auc if report.auc.low is None else report.auc.low)


def _once(sentences: Any) -> list[str]:
    return list(dict.fromkeys(sentence for several in sentences for sentence in several))


def _plain(reports: Sequence[LeakageReport], verdict: LeakVerdict) -> dict[str, Any]:
    from privacy_callbacks.attacks.report_in_words import in_words

    words = in_words(reports[0])
    return {"words": words, "verdict": str(verdict), "reports": [report.to_dict() for report in reports]}

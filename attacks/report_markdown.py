"""Reports as a section of a model card, in Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from privacy_callbacks.privacy_page.page_version import package_version

from .estimate import Estimate
from .grouped_reports import AttackAudit, audits_by_attack, strongest_of
from .interval_text import in_figures
from .low_fpr import low_fpr_name
from .markdown_text import as_markdown, table_row
from .report import LeakageReport
from .report_in_words import in_words

TITLE = "Membership leakage"
SLICES_TOLD = 10
_FPR = 0.01
_TITLES = {"auc": "AUC", "youden_j": "Youden's J"}
_HOW_TO_READ = (
    "**How to read.** AUC is how often an attacker, shown one training record (member) and one other (non-member), picks the "
    "right one: 0.5 is guessing, 1 is always. TPR at 1 % FPR is the share of training records recognised by an attacker who may "
    "accuse one in a hundred others wrongly: 0.01 is guessing. Advantage is the largest gap between true and false positive "
    "rate over all thresholds, chosen in hindsight: compare it with the null level beside it, which an audit of this size "
    "without any leak does not exceed {level} of the time. Brackets hold {level} confidence intervals{slices}. These are the "
    "attacks that were tried: not finding a leak is no proof that there is none."
)
_OF_SLICES = "; those of slices are widened so that they hold for all slices of an attack together"


def reports_to_markdown(reports: Iterable[LeakageReport], title: str = TITLE, *, verdict: object | None = None) -> str:
    """A section for a model card: what was found in words, a table of attacks and one of slices, doubts, how to read it.

    Of each attack the newest audit is told.

    Args:
      reports: of any audits, the headline attack's first, such as `mia.reports`.
      title: of the section, a heading of the second level.
      verdict: a sentence over all audits, such as `mia.verdict`; None = none.
    Raises:
      TypeError, ValueError: if something else than reports is given, or none.
    """
    attacks = audits_by_attack(reports)
    newest = {attack: audits[-1] for attack, audits in attacks.items()}
    wholes = {attack: audit.whole for attack, audit in newest.items()}
    blocks = [
        f"## {as_markdown(title)}",
        *_words(list(wholes.values())),
        *([as_markdown(f"Over all audits: {_closed(str(verdict))}")] if verdict is not None else []),
        "\n".join(_table(newest)),
        *_epsilons(wholes),
        *_slices(newest),
        *_listed("Warnings", wholes, lambda report: report.warnings),
        *_listed("Not computed", wholes, _refusals),
        *_listed("Notes", wholes, lambda report: report.notes),
        _how_to_read(newest.values()),
        f"Written by privacy-callbacks {package_version()}.",
    ]
    return "\n\n".join(blocks) + "\n"


def _words(reports: Sequence[LeakageReport]) -> list[str]:
    """The headline's words, and those of the strongest attack if it is another."""
    strongest = strongest_of(reports)
    told = [reports[0], *([strongest] if strongest not in (None, reports[0]) else [])]
    return [as_markdown(in_words(report)) for report in told if report is not None]


def _table(newest: dict[str, AttackAudit]) -> list[str]:
    heads = ("Attack", "AUC", "TPR at 1 % FPR", "Advantage (null level)", "Members / non-members", "Audited")
    rows = [table_row(*heads), table_row("---", *(["---:"] * 4), "---")]
    for attack, audit in newest.items():
        report = audit.whole
        figures = [_interval(report.auc, report), _interval(report.tpr_at_fpr.get(_FPR), report), _advantage(report)]
        rows.append(table_row(as_markdown(attack), *figures, _sides(report), _moment(report)))
    return rows


def _epsilons(reports: dict[str, LeakageReport]) -> list[str]:
    """A line for each attack whose audits speak of the training's ε."""
    return [
        as_markdown(f"ε of the training, by {attack}: {report.epsilon.line()}.")
        for attack, report in reports.items()
        if report.epsilon is not None
    ]


def _slices(newest: dict[str, AttackAudit]) -> list[str]:
    """A table of the worst slices, surest leak first; nothing if there are none."""
    parts = [(attack, part) for attack, audit in newest.items() for part in audit.sliced]
    if not parts:
        return []
    parts.sort(key=lambda pair: _surely(pair[1].auc), reverse=True)
    rows = [table_row("Slice", "Attack", "AUC", "Members / non-members"), table_row("---", "---", "---:", "---:")]
    for attack, part in parts[:SLICES_TOLD]:
        auc = f"no result: {as_markdown(next(iter(part.warnings), ''))}" if part.failed else _interval(part.auc, part)
        rows.append(table_row(as_markdown(part.slice), as_markdown(attack), auc, _sides(part)))
    more = [f"{len(parts) - SLICES_TOLD:,} more slices are not shown."] if len(parts) > SLICES_TOLD else []
    return ["### Slices, worst first", "\n".join(rows), *more]


def _surely(auc: Estimate | None) -> tuple[float, float]:
    if auc is None:
        return -1.0, -1.0
    return (float(auc) if auc.low is None else auc.low), float(auc)


def _listed(
    head: str, reports: dict[str, LeakageReport], sentences: Callable[[LeakageReport], Iterable[str]]
) -> list[str]:
    """The distinct sentences, each with the attacks that it is about unless it is about all; nothing if there are none."""
    about: dict[str, list[str]] = {}
    for attack, report in reports.items():
        for sentence in dict.fromkeys(sentences(report)):
            about.setdefault(sentence, []).append(attack)
    if not about:
        return []
    lines = []
    for sentence, attacks in about.items():
        only = "" if len(attacks) == len(reports) else f" ({', '.join(map(as_markdown, attacks))})"
        lines.append(f"* {as_markdown(sentence)}{only}")
    return [f"### {head}", "\n".join(lines)]


def _refusals(report: LeakageReport) -> list[str]:
    rates = {low_fpr_name(fpr) for fpr in report.tpr_at_fpr}
    titles = {name: name.replace("_", " ") for name in report.estimates()} | _TITLES
    # Reasons of rates name them already.
    return [
        reason if name in rates else f"{titles.get(name, name)}: {reason}" for name, reason in report.refusals.items()
    ]


def _interval(estimate: Estimate | None, report: LeakageReport) -> str:
    if estimate is not None:
        return in_figures(estimate)
    return "no result" if report.failed else "not computed"


def _advantage(report: LeakageReport) -> str:
    found = report.advantage
    if found is None:
        return _interval(None, report)
    return in_figures(found) if found.null_level is None else f"{in_figures(found)} ({found.null_level:.3f})"


def _sides(report: LeakageReport) -> str:
    return f"{report.num_members:,} / {report.num_nonmembers:,}"


def _moment(report: LeakageReport) -> str:
    return {None: "–", -1: "before training"}.get(report.step, f"after epoch {(report.step or 0) + 1:,}")


def _how_to_read(newest: Iterable[AttackAudit]) -> str:
    audits = list(newest)
    levels = {audit.whole.auc.level for audit in audits if audit.whole.auc is not None}
    level = " or ".join(f"{100 * known:.6g} %" for known in sorted(levels)) or "95 %"
    return _HOW_TO_READ.format(level=level, slices=_OF_SLICES if any(audit.sliced for audit in audits) else "")


def _closed(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."

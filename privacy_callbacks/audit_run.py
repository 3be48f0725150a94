"""What `privacy-audit run` does: data, target, audit; results in a folder."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from privacy_callbacks.attacks.attack import needs

from .audit_config import AuditConfig, referenced_files, referenced_functions
from .configured_data import ConfiguredData, configured_data
from .judged_limits import Say, judged, told
from .result_folder import ResultFolder
from .run_facts import Timer, check_files, described, figure, fleet_folder, identity, shadow_plan

if TYPE_CHECKING:
    import pandas as pd

    from privacy_callbacks.attacks.report import LeakageReport
    from privacy_callbacks.attacks.verdict import LeakVerdict


@dataclass(frozen=True)
class Found:
    """What an audit found.

    Attributes:
      reports: oldest first, each audit's attacks in their order and then its slices.
      records: the audited records, members most at risk first; None if the newest audit gave no scores.
      verdict: over all audits.
      warnings: sentences on the experiment.
      target: what `run.json` says of it.
      training: Keras' epoch logs, for the page; None if the training was not watched.
    """

    reports: Sequence[LeakageReport]
    records: pd.DataFrame | None
    verdict: LeakVerdict
    warnings: tuple[str, ...]
    target: dict[str, Any]
    training: dict[str, Any] | None = None


def run_audit(config: AuditConfig, out: Path, overwrite: bool = False, say: Say = print, verbose: int = 1) -> int:
    """Audits a target as configured and writes the results.

    Args:
      config: what to do.
      out: the folder for results. Target and shadow models are kept in it, so that a run that was killed goes on.
      overwrite: whether to compute again, or over results of another configuration.
      say: is told what happens.
      verbose: 1 = a progress bar over shadow models.
    Returns:
      The exit code: 0 = done, 1 = a limit is exceeded, 2 = a limit cannot be judged.
    Raises:
      ConfigError, ValueError: if something does not fit; nothing is written then.
    """
    files = referenced_files(config)
    check_files(config, files)
    folder = ResultFolder(out, {"command": "run", **identity(config, files, referenced_functions(config))})
    if not overwrite and folder.is_finished(say):
        from privacy_callbacks.attacks.report_files import load_reports

        return told(judged(last_of_all_records(load_reports(out / "reports.json")), config.limits), say)
    timer, about = Timer(), described("run", config.run)
    data = configured_data(config.data, config.run.seed, by_owner=False)
    data, records = _records(config, data)
    say(f"data: {data.counted}")
    timer.lap("data")

    with warnings.catch_warnings():
        from privacy_callbacks.attacks.audit_warning import AuditWarning

        warnings.simplefilter("ignore", AuditWarning)  # told at the end, and kept in run.json
        find = _afterwards if config.every is None else _watched
        found = find(config, data, records, folder, say, verbose)
    timer.lap("target and audit")

    about |= {"target": found.target, "data": {"sha256": data.digest, **data.counts}}
    about |= {"warnings": list(found.warnings), "seconds": timer.seconds}
    with folder.filled(about) as place:
        _write(place, config, found)
    last = last_of_all_records(found.reports)
    for line in (*summary_lines(last), *_words(found, last), f"results: {out}"):
        say(line)
    return told(judged(last, config.limits), say)


def summary_lines(reports: Sequence[LeakageReport]) -> list[str]:
    """A small table: one line an attack."""
    rows = [("attack", "AUC", "TPR at 1 % FPR", "advantage", "members", "non-members")]
    for report in reports:
        advantage = "refused" if report.advantage is None else f"{float(report.advantage):.3f}"
        sides = f"{report.num_members:,}", f"{report.num_nonmembers:,}"
        rows.append((report.attack, figure(report, "auc"), figure(report, "tpr_at_fpr_1e-2"), advantage, *sides))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _words(found: Found, last: Sequence[LeakageReport]) -> list[str]:
    from privacy_callbacks.attacks.report_in_words import in_words

    said = [in_words(last[0])]
    epsilon = last[0].epsilon
    if epsilon is not None:
        said.append(f"ε: {epsilon.line()}")
    return [*said, f"over all audits: {found.verdict}", *(f"! {doubt}" for doubt in found.warnings)]


def last_of_all_records(reports: Sequence[LeakageReport]) -> list[LeakageReport]:
    """The newest audit's reports on all records."""
    return [report for report in reports if report.slice == "entire" and report.step == reports[-1].step]


def _watched(
    config: AuditConfig, data: ConfiguredData, records: Any, folder: ResultFolder, say: Say, verbose: int
) -> Found:
    """Trains the target under the callback, which audits it epoch by epoch."""
    from .configured_target import accuracies, configured_target
    from .mia_callback import MIACallback

    mia = MIACallback(
        records,
        shadow_models=shadow_plan(config.shadow_models, config.model, config.run.seed, _fleet_folder(config, folder)),
        every=int(config.every or 1),
        log_dir=config.run.log_dir,
        name=config.run.name,
        on_error="raise",
        **_asked(config),
    )
    target = configured_target(config.model, data, config.run.seed, folder.path / "models", say, [mia])
    history = {name: course for name, course in (target.history or {}).items() if not name.startswith(config.run.name)}
    training = {
        "steps": list(range(len(next(iter(history.values()), [])))),
        "values": {name: [*map(float, course)] for name, course in history.items()},
    }
    facts = {"file": target.path, "accuracy": accuracies(target.model, data)}
    return Found(mia.reports, mia.records(), mia.verdict, _doubts(mia.reports), facts, training)


def _afterwards(
    config: AuditConfig, data: ConfiguredData, records: Any, folder: ResultFolder, say: Say, verbose: int
) -> Found:
    """Audits the target once, when it is trained or loaded."""
    from privacy_callbacks.attacks.verdict import leak_verdict

    from .after_the_fact import audit_set_for, audited
    from .configured_target import accuracies, configured_target
    from .records_at_risk import records_table

    seed, asked = config.run.seed, _asked(config)
    target = configured_target(config.model, data, seed, folder.path / "models", say)
    audit_set = audit_set_for(records, None, asked["attacks"], None, config.audit_size, seed)
    auditor, found, sentences = audited(
        target.model,
        audit_set,
        shadow_models=shadow_plan(config.shadow_models, config.model, seed, _fleet_folder(config, folder)),
        verbose=verbose,
        **asked,
    )
    if config.run.log_dir is not None:
        _log(config, found)
    headline = next(iter(found.scores.values()), None)
    table = None
    if headline is not None and found.loss is not None:
        table = records_table(audit_set, auditor, found.scores, [found.loss], [headline], seed)
    doubts = tuple(dict.fromkeys([*sentences, *_doubts(found.reports)]))
    facts = {"file": target.path, "accuracy": accuracies(target.model, data)}
    return Found(found.reports, table, leak_verdict(found.reports), doubts, facts)


def _fleet_folder(config: AuditConfig, folder: ResultFolder) -> Path:
    return fleet_folder(folder, config.run.seed, [each.made() for each in config.attacks or ()])


def _records(config: AuditConfig, data: ConfiguredData) -> tuple[ConfiguredData, Any]:
    """What is trained on and never seen, as the audit takes it: a `CanarySplit` if coins were asked for, else an `AuditSet`."""
    from privacy_callbacks.attacks.audit_set import AuditSet
    from privacy_callbacks.attacks.canary_split import randomised_membership

    seed = config.run.seed
    if config.epsilon is not None and config.epsilon.coins:
        rows = np.sort(np.concatenate([data.rows["members"], data.rows["nonmembers"]]))
        split = randomised_membership(data.x[rows], data.y[rows], seed=seed)
        sides = {"members": rows[split.included], "nonmembers": rows[~split.included]}
        return replace(data, rows={**data.rows, **sides}), split
    population: Any = data.part("population") if len(data.rows["population"]) else None
    if population is None and any(needs(each.made()).population for each in config.attacks or ()):
        population = 1 / 3
    ids = data.ids[data.rows["members"]], data.ids[data.rows["nonmembers"]]
    return data, AuditSet(data.part("members"), data.part("nonmembers"), population, config.audit_size, ids, seed)


def _asked(config: AuditConfig) -> dict[str, Any]:
    """What an audit takes, whenever it is made."""
    return {
        "attacks": None if config.attacks is None else [each.made() for each in config.attacks],
        "slices": list(config.slices) or None,
        "epsilon": None if config.epsilon is None else config.epsilon.made(config.run.seed),
        "seed": config.run.seed,
    }


def _doubts(reports: Sequence[LeakageReport]) -> tuple[str, ...]:
    """What the newest reports warn of, each sentence once."""
    return tuple(dict.fromkeys(sentence for report in last_of_all_records(reports) for sentence in report.warnings))


def _log(config: AuditConfig, found: Any) -> None:
    """Into TensorBoard, for its charts and the Privacy tab."""
    from privacy_callbacks.attacks.verdict import leak_verdict

    from .privacy_log import PrivacyLog
    from .tensorboard_log import TensorBoardLog

    log = TensorBoardLog(str(config.run.log_dir), config.run.name)
    try:
        tab = PrivacyLog(log, found.reports[0].attack)
        for report in found.whole:
            log.scalars(report, 0)
            log.text(report, "report", 0)
        tab.audit(found.whole, found.sliced, 0)
        tab.verdict(leak_verdict(found.reports), 0)
    finally:
        log.close()


def _write(place: Path, config: AuditConfig, found: Found) -> None:
    from privacy_callbacks.attacks.report_files import save_reports
    from privacy_callbacks.attacks.report_markdown import reports_to_markdown
    from privacy_callbacks.attacks.report_page import reports_to_html
    from privacy_callbacks.attacks.report_rows import report_table

    save_reports(found.reports, place / "reports.json")
    (place / "config.yaml").write_text(config.to_yaml(), encoding="utf-8")
    report_table(found.reports).to_csv(place / "summary.csv", index=False)
    if found.records is not None:
        found.records.to_csv(place / "records.csv", index=False)
    reports_to_html(found.reports, place / "report.html", verdict=found.verdict, training=found.training)
    (place / "report.md").write_text(reports_to_markdown(found.reports, verdict=found.verdict), encoding="utf-8")

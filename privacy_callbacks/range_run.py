"""What `privacy-audit range` does: data, target, ranges, audit; results in a folder."""

from __future__ import annotations

import importlib.util
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .configured_data import ConfiguredData, configured_data
from .judged_limits import Say, judged, told
from .located_yaml import ConfigError
from .range_config import RangeConfig, referenced_files, referenced_functions
from .result_folder import ResultFolder
from .run_facts import Timer, check_files, described, figure, fleet_folder, identity, shadow_plan

if TYPE_CHECKING:
    import pandas as pd

    from privacy_callbacks.attacks.audit_set import AuditSet
    from privacy_callbacks.attacks.report import LeakageReport

    from .configured_attacks import RangeAttacks
    from .range_audit import RangeAudit


def run_ranges(config: RangeConfig, out: Path, overwrite: bool = False, say: Say = print, verbose: int = 1) -> int:
    """Audits ranges as configured and writes the results.

    Args:
      config: what to do.
      out: the folder for results.
      overwrite: whether to compute again, or over results of another configuration.
      say: is told what happens.
      verbose: 1 = a progress bar over shadow models.
    Returns:
      The exit code: 0 = done, 1 = a limit is exceeded, 2 = a limit cannot be judged.
    Raises:
      ConfigError, ValueError: if something does not fit; nothing is written then.
    """
    check_files(config, referenced_files(config))
    folder = ResultFolder(out, identity(config, referenced_files(config), referenced_functions(config)))
    if not overwrite and folder.is_finished(say):
        from privacy_callbacks.attacks.report_files import load_reports

        return told(judged(load_reports(out / "reports.json"), config.limits), say)
    timer, about = Timer(), described("range", config.run)
    with_owners = any(each.kind == "same_owner" for each in config.named_ranges.values())
    data = configured_data(config.data, config.run.seed, with_owners)
    say(f"data: {data.counted}")
    timer.lap("data")

    audit_set = _audit_set(config, data, with_owners)
    from .configured_attacks import configured_attacks, rows_of

    attacks = configured_attacks(config, data, audit_set)
    truths, refused = _truths(attacks, audit_set)
    timer.lap("ranges")

    target, about["target"] = _target(config, data, out, say)
    timer.lap("target")

    asked = [each for each in attacks if each.range not in refused]
    kept = fleet_folder(folder, config.run.seed, [config.attack.made()], with_owners)
    found = _audited(config, target, audit_set, asked, truths, kept, verbose)
    reports = _in_order(attacks, found, refused)
    timer.lap("audit")

    about["data"] = {"sha256": data.digest, **data.counts, "audited_a_side": audit_set.num_members}
    about |= {"failed_ranges": refused, "warnings": list(found.warnings), "seconds": timer.seconds}
    with folder.filled(about) as place:
        _write(place, config, attacks, reports, _table(found, attacks, rows_of(audit_set, data)), say)
        timer.lap("results")
    if config.run.log_dir is not None:
        _log(config.run.log_dir, config.run.name, attacks, reports)
    doubts = (*(f"range {name}: {reason}" for name, reason in refused.items()), *found.warnings)
    for line in (*summary_lines(attacks, reports), *(f"! {doubt}" for doubt in doubts), f"results: {out}"):
        say(line)
    return told(judged(reports, config.limits), say)


def summary_lines(attacks: Sequence[RangeAttacks], reports: Sequence[LeakageReport]) -> list[str]:
    """A small table: one line an attack."""
    from privacy_callbacks.attacks.low_fpr import low_fpr_name

    of = _by_attack(attacks)
    # The lowest rate that these records resolve.
    resolved = (fpr for fpr in (0.01, 0.1) if any(report.tpr_at_fpr.get(fpr) is not None for report in reports))
    fpr = next(resolved, 0.1)
    rows = [("range", "attack", "AUC", f"TPR at {100 * fpr:g} % FPR", "holding", "not")]
    for report in reports:
        sides = f"{report.num_members:,}", f"{report.num_nonmembers:,}"
        cells = figure(report, "auc"), figure(report, low_fpr_name(fpr))
        rows.append((of[report.attack].range, report.attack, *cells, *sides))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _audit_set(config: RangeConfig, data: ConfiguredData, with_owners: bool) -> AuditSet:
    from privacy_callbacks.attacks.audit_set import AuditSet

    names = data.owners if with_owners and data.owners is not None else data.ids
    return AuditSet(
        data.part("members"),
        data.part("nonmembers"),
        data.part("population") if len(data.rows["population"]) else None,
        config.audit_size,
        (names[data.rows["members"]], names[data.rows["nonmembers"]]),
        config.run.seed,
    )


def _truths(attacks: Sequence[RangeAttacks], audit_set: AuditSet) -> tuple[dict[Any, Any], dict[str, str]]:
    """The truth of each range, and why a range has none to tell apart; now, as it takes no model.

    Raises:
      ConfigError: if no range has.
    """
    from privacy_callbacks.attacks.record_arrays import as_arrays
    from privacy_callbacks.attacks.true_membership import truth_of

    x, y = as_arrays((audit_set.x, audit_set.y))
    truths: dict[Any, Any] = {}
    refused: dict[str, str] = {}
    for each in attacks:
        try:
            relation = each.around.at(x, y, audit_set.ids).relation
            truths[relation] = truth_of(relation, audit_set)
        except ValueError as reason:
            refused[each.range] = str(reason)
    if len(refused) == len(attacks):
        raise ConfigError("\n".join(f"range {name}: {reason}" for name, reason in refused.items()))
    return truths, refused


def _target(config: RangeConfig, data: ConfiguredData, out: Path, say: Say) -> tuple[Any, dict[str, Any]]:
    """The target, and what run.json says of it."""
    from .configured_target import accuracies, configured_target

    target, path, _ = configured_target(config.model, data, config.run.seed, out / "models", say)
    accuracy = accuracies(target, data)
    if accuracy:
        say("target: accuracy " + ", ".join(f"{value:.3f} on {side}" for side, value in accuracy.items()))
    return target, {"file": path, "accuracy": accuracy}


def _audited(
    config: RangeConfig,
    target: Any,
    audit_set: AuditSet,
    asked: Sequence[RangeAttacks],
    truths: Mapping[Any, Any],
    kept: Path,
    verbose: int,
) -> RangeAudit:
    from privacy_callbacks.attacks.audit_warning import AuditWarning

    from .range_audit import audit_ranges

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AuditWarning)  # told at the end, and kept in run.json
        return audit_ranges(
            target,
            audit_set,
            attacks=[attack for each in asked for attack in (each.around, each.beside)],
            seed=config.run.seed,
            shadow_models=shadow_plan(config.shadow_models, config.model, config.run.seed, kept),
            truths=truths,
            verbose=verbose,
        )


def _in_order(attacks: Sequence[RangeAttacks], found: RangeAudit, refused: Mapping[str, str]) -> list[LeakageReport]:
    """Range attack and point attack of each range; marked as failed where there was nothing to tell apart."""
    from privacy_callbacks.attacks.report import failed_report

    known = {report.attack: report for report in found.reports if report.slice == "entire"}
    named = [(each.range, name) for each in attacks for name in (each.around.name, each.beside.name)]
    return [known[name] if name in known else failed_report(name, refused[within]) for within, name in named]


def _write(
    place: Path,
    config: RangeConfig,
    attacks: Sequence[RangeAttacks],
    reports: Sequence[LeakageReport],
    ranges: pd.DataFrame,
    say: Say,
) -> None:
    from privacy_callbacks.attacks.report_files import save_reports
    from privacy_callbacks.attacks.report_rows import report_table

    save_reports(reports, place / "reports.json")
    (place / "config.yaml").write_text(config.to_yaml(), encoding="utf-8")
    ranges.to_csv(place / "ranges.csv", index=False)
    summary = report_table(reports).drop(columns=["step", "slice"])
    of = [_by_attack(attacks)[report.attack] for report in reports]
    summary.insert(1, "range", [each.range for each in of])
    summary.insert(2, "size", [None if each.size is None else each.size[1] for each in of])
    summary.to_csv(place / "summary.csv", index=False)
    if importlib.util.find_spec("matplotlib") is None:
        say("no range.png: matplotlib is not installed; run `pip install 'privacy-callbacks[plots]'`.")
        return
    from .range_picture import range_picture

    range_picture(place / "range.png", attacks, reports)


def _table(found: RangeAudit, attacks: Sequence[RangeAttacks], rows: NDArray[np.int64]) -> pd.DataFrame:
    """The table of ranges, with the range's name and the record's row in the data."""
    of, table = _by_attack(attacks), found.ranges.copy()
    table.insert(1, "range", [of[name].range for name in table["attack"]])
    table.insert(3, "row", np.tile(rows, len(table) // len(rows)))
    return table


def _by_attack(attacks: Sequence[RangeAttacks]) -> dict[str, RangeAttacks]:
    return {name: each for each in attacks for name in (each.around.name, each.beside.name)}


def _log(log_dir: str, name: str, attacks: Sequence[RangeAttacks], reports: Sequence[LeakageReport]) -> None:
    """Into TensorBoard: attacks by the ranges' size, or if they have none to compare, each by itself."""
    from .range_picture import curve_of
    from .tensorboard_log import TensorBoardLog

    curve = curve_of(attacks, reports)
    if curve is not None:
        curve.log(log_dir, name)
        return
    log = TensorBoardLog(log_dir, name, "always 0")
    try:
        for report in reports:
            log.scalars(report, 0)
            log.text(report, "report", 0)
    finally:
        log.close()

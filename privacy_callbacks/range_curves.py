"""How far around its records a model gives them away: a range attack as ranges grow, the point attack beside it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from privacy_callbacks.attacks.attack import Attack
from privacy_callbacks.attacks.audit_warning import AuditWarning
from privacy_callbacks.attacks.record_arrays import as_arrays
from privacy_callbacks.attacks.report import LeakageReport, failed_report
from privacy_callbacks.attacks.shadow_models import ShadowModels
from privacy_callbacks.attacks.true_membership import QueryTruth, Relation, refuse_too_few, truth_of
from privacy_callbacks.range_queries.base_range import Range
from privacy_callbacks.range_queries.ramia import RaMIA

from .after_the_fact import audit_set_for, audited
from .plots_metric import BLUE, VERMILION, estimate_of, guessing_at, has_interval, least_range, metric_title
from .privacy_log import ranges_payload
from .tensorboard_log import TensorBoardLog

if TYPE_CHECKING:
    import pandas as pd

RANGE, POINT = "range attack", "point attack"


@dataclass(frozen=True)
class RangeCurve:
    """A range attack and a point attack by the size of the range.

    Attributes:
      label: what a size is, with its unit.
      sizes: in the order given.
      ranges: the range attack's report at each size; marked as failed where there was nothing to tell apart.
      points: that of the attack at the ranges' centres, on the same truth.
    """

    label: str
    sizes: tuple[float, ...]
    ranges: tuple[LeakageReport, ...]
    points: tuple[LeakageReport, ...]

    def table(self) -> pd.DataFrame:
        """A row a size and attack: `size`, `attack`, counts, and each metric with its interval; NaN where refused."""
        import pandas as pd

        rows = []
        for name, reports in ((RANGE, self.ranges), (POINT, self.points)):
            for size, report in zip(self.sizes, reports, strict=True):
                sides = {"holding": report.num_members, "not_holding": report.num_nonmembers}
                rows.append({"size": size, "attack": name, **sides, **report.scalars()})
        return pd.DataFrame(rows).sort_values(["size", "attack"], ignore_index=True)

    def plot(self, axes: Any, metric: str = "auc") -> None:
        """Draws both attacks against the size, with their intervals.

        Args:
          axes: of matplotlib.
          metric: its flat name, e.g. "auc" or "tpr_at_fpr_1e-2".
        Raises:
          ValueError: on a name that no report has.
        """
        for name, reports, colour, marker in (
            (RANGE, self.ranges, VERMILION, "o"),
            (POINT, self.points, BLUE, "s"),
        ):
            estimates = [None if report.failed else estimate_of(report, metric) for report in reports]
            found = [(size, one) for size, one in zip(self.sizes, estimates, strict=True) if one is not None]
            found.sort(key=lambda pair: pair[0])
            at, values = [size for size, _ in found], [float(one) for _, one in found]
            axes.plot(at, values, color=colour, marker=marker, label=name)
            if found and all(has_interval(one) for _, one in found):
                low, high = [one.low for _, one in found], [one.high for _, one in found]
                axes.fill_between(at, low, high, color=colour, alpha=0.2, linewidth=0)
        guessing = guessing_at(metric)
        if guessing is not None:
            axes.axhline(guessing, color="0.4", linestyle="--", linewidth=1, label="guessing")
        least, most = least_range(metric)
        axes.set_ylim(min(least, axes.get_ylim()[0]), max(most, axes.get_ylim()[1]))
        axes.set_xlabel(self.label)
        axes.set_ylabel(metric_title(metric))
        axes.legend(frameon=False)

    def log(self, log_dir: str | os.PathLike[str], name: str = "ranges") -> None:
        """Writes both attacks into TensorBoard: scalars whose step is the size (its place, where sizes are no whole numbers).

        The runs are `<log_dir>/<name>/range_attack` and `…/point_attack`, the tags `<name>/auc`, …; the table stands under Text.

        Args:
          log_dir: the directory that TensorBoard shows.
          name: of the group.
        """
        whole = all(float(size).is_integer() for size in self.sizes)
        steps = [int(size) for size in self.sizes] if whole else list(range(len(self.sizes)))
        meaning = (
            self.label if whole else f"the place of the {self.label} among {', '.join(f'{s:g}' for s in self.sizes)}"
        )
        log = TensorBoardLog(log_dir, name, meaning)
        try:
            for run, reports in (("range_attack", self.ranges), ("point_attack", self.points)):
                for step, report in zip(steps, reports, strict=True):
                    log.scalars(replace(report, attack=run), step)
            curves = {RANGE: self.ranges, POINT: self.points}
            log.plugin_data("range_attack", "ranges", ranges_payload(self.label, self.sizes, curves), 0)
            shown = [column for column in _SHOWN if column in self.table()]
            log.lines(self.table()[shown].to_string(index=False), "range_attack", "table", 0)
        finally:
            log.close()


_SHOWN = ("size", "attack", "holding", "not_holding", "auc", "auc_low", "auc_high", "tpr_at_fpr_1e-2")


def range_curve(
    model: Any,
    members: Any,
    nonmembers: Any = None,
    *,
    make_range: Callable[[Any], Range],
    sizes: Sequence[float],
    attack: Attack,
    label: str = "size of the range",
    queries: int = 16,
    make_centre: Callable[[Any], Range] | None = None,
    shadow_models: ShadowModels | int | None = None,
    audit_size: int = 2_000,
    seed: int = 0,
    population: Any = None,
    **options: Any,
) -> RangeCurve:
    """Asks a trained model about ranges of several sizes around the same records; shadow models are trained once for all.

    A size at which every range holds a training record, or none does, has reports that say so.

    Args:
      model, members, nonmembers, shadow_models, audit_size, seed, population: as for `audit`.
      make_range: a size -> the range, e.g. `LpBall`.
      sizes: radii, numbers of missing features, of words …; all different.
      attack: scores points.
      label: what a size is, with its unit.
      queries: points a range.
      make_centre: a size -> the range from which queries are drawn, so that they are no members; None = the records themselves.
      options: further ones of `RaMIA` (`aggregate`) and of `audit` (`loss`, `batch_size`, …).
    Raises:
      ValueError: if a size is given twice or none is, if at no size there is something to tell apart, and as `RaMIA`, `audit`.
    """
    try:
        different = len({float(size) for size in sizes})
    except (TypeError, ValueError):
        raise ValueError(f"sizes is {sizes!r}; give numbers, at least one, each once.") from None
    if not different or different < len(sizes):
        raise ValueError(f"sizes is {list(sizes)!r}; give at least one, each once.")
    if not callable(make_range):
        raise TypeError(f"make_range is {make_range!r}; give a function of a size, e.g. LpBall.")
    for_attack = {name: options.pop(name) for name in ("aggregate",) if name in options}
    attacks = [
        RaMIA(
            attack,
            make_range(size),
            queries,
            centre=None if make_centre is None else make_centre(size),
            seed=seed,
            name=f"range_{place}",
            **for_attack,
        )
        for place, size in enumerate(sizes)
    ]
    audit_set = audit_set_for(members, nonmembers, attacks, population, audit_size, seed)
    ids = None if audit_set.source_ids is None else audit_set.ids
    x, y = as_arrays((audit_set.x, audit_set.y))
    asked: list[Attack] = []
    truths: dict[Relation, QueryTruth] = {}
    refused: dict[str, str] = {}
    for one in attacks:
        both = one.at(x, y, ids), one.at_centres().at(x, y, ids)
        try:
            truths[both[0].relation] = truth_of(both[0].relation, audit_set)
            if one.needs_examples:
                refuse_too_few(truths[both[0].relation])
        except ValueError as reason:
            refused[one.name] = str(reason)
            continue
        asked += both
    if not asked:
        raise ValueError(f"at no size is there something to tell apart; at the first: {next(iter(refused.values()))}")
    _, found, sentences = audited(model, audit_set, asked, seed, shadow_models=shadow_models, truths=truths, **options)
    for sentence in sentences:
        warnings.warn(sentence, AuditWarning, stacklevel=2)
    reports = {report.attack: report for report in found.whole}
    wanted = [(one.name, one.at_centres().name) for one in attacks]
    empty = {"num_members": 0, "num_nonmembers": 0}
    return RangeCurve(
        label,
        tuple(float(size) for size in sizes),
        tuple(reports.get(name) or failed_report(name, refused[name], **empty) for name, _ in wanted),
        tuple(reports.get(point) or failed_report(point, refused[name], **empty) for name, point in wanted),
    )

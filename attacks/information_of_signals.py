"""How much signals tell about membership: bits, and the least error an attacker who reads them can have."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import partial
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from .attack import Attack, AttackContext, FittedAttack, Signals
from .auc import auc_value
from .cross_fitting import cross_fitted
from .estimate import LEVEL, Estimate, check_level, mean_estimate
from .folds import rows_of_folds
from .information import mutual_information
from .information_table import InformationView, SignalInformation
from .nearest_neighbour_error import doubled_ranks, nearest_neighbour_error
from .number_arrays import as_floats, group_codes
from .roc import RocCurve, check_scores
from .trained import Trained
from .youden import balanced_accuracy, youden_j

TOGETHER = "together"
_CHOICE_A_SIDE = 40  # to choose a classifier takes halves of halves, and ten of a side in each


def information_view(
    signals: Mapping[str, ArrayLike],
    is_member: ArrayLike,
    level: float = LEVEL,
    seed: int = 0,
    groups: ArrayLike | None = None,
    attack: Attack | None = None,
) -> InformationView:
    """What every signal alone, and all together, tell about membership: how near an attacker can come to the Bayes error.

    What bounds what, each at prior ½:

    * `binned_error`, (1 − V)/2 over 20 bins of the score, is the least error of an attacker who sees the bin. With ever
      more records that is an upper bound on the Bayes error, whose attacker sees the score itself; from few records V
      comes out too large and the error too small: without any leakage .38 on average at 100 of each, .44 at 500. Hence its
      null level.
    * `bits_between` follows from V, and bounds the plug-in mutual information over the same bins. The mutual information
      shown has the bias subtracted, so without leakage it may lie below both ends.
    * `nearest_neighbour_low` ≤ Bayes error ≤ `nearest_neighbour_high` holds for the limit of ever more records; with few, and
      many signals, the neighbour is far, both ends lie high, and chance moves the low end by much more than the high one.
    * `threshold_error`, (1 − J)/2, is the error of a threshold rule that was learned and judged on different records: an
      upper bound on the Bayes error, and unlike the others not optimistic. A signal that tells by both its tails has a
      Bayes error well below it.

    "together" is judged by a score that a classifier, fitted to one half of the records, gives those of the other: logistic
    regression or gradient boosting, whichever ranks better within the half that is learned from (below 40 records of a side
    always logistic regression). Each half is judged by itself, and values, ends of intervals and null levels are the means
    of both, since halves are lucky together. For bits and V their luck is nearly independent: without leakage these null
    levels are exceeded in about 1 % of audits at level .95, not in 5 %. A classifier that sees less than there is can only
    lose, so the errors of its scores are upper bounds on the Bayes error of all signals. The row's nearest neighbour needs
    no classifier and uses all records.

    Every row stays as it is if a signal is replaced by a monotone function of it.

    Args:
      signals: name → float[n] or [n, q], higher = more member-like, ±inf allowed; of several queries their mean.
      is_member: bool[n], at least one of each.
      level: of intervals and null levels.
      seed: decides halves, relabellings, and which record of a group is used.
      groups: [n], equal for records of one person, film, or original, which are no independent draws: one record of each
        is used. None = all records are independent.
      attack: another attack for "together", such as `Trained("svc")`; it gets the normal scores of the signals' ranks.
    Raises:
      ValueError: without signals, on NaN, lengths that differ, an empty side, or a signal called "together".
    Source: Cover & Hart 1967 (nearest neighbour); Lin 1991 (bits from V); Youden 1950; Miller 1955 (bias).
    """
    check_level(level)
    columns, truth = _checked(signals, is_member)
    if groups is not None:
        chosen = _one_of_each(group_codes(groups, "groups"), truth.size, seed)
        columns, truth = {name: values[chosen] for name, values in columns.items()}, truth[chosen]
        check_scores(np.zeros(truth.size), truth)
    every_row = [np.arange(truth.size)]
    rows = {name: _judged(values, truth, every_row, values, level, seed) for name, values in columns.items()}
    matrix = np.stack(list(columns.values()), axis=1)
    rows[TOGETHER] = _joint(matrix, truth, attack or _Best(_CLASSIFIERS), level, seed)
    members = int(truth.sum())
    return InformationView(MappingProxyType(rows), members, truth.size - members, level)


def _checked(
    signals: Mapping[str, ArrayLike], is_member: ArrayLike
) -> tuple[dict[str, NDArray[np.float64]], NDArray[np.bool_]]:
    """float[n] by name, and bool[n]."""
    columns: dict[str, NDArray[np.float64]] = {}
    truth = np.zeros(0, bool)
    for name, given in signals.items():
        values = as_floats(given, f"signal {name!r}")
        if values.ndim not in (1, 2) or values.shape[-1] == 0:
            raise ValueError(f"signal {name!r} has shape {values.shape}; give it as (records,) or (records, queries).")
        with np.errstate(invalid="ignore"):  # +inf and −inf have no mean: refused as NaN below
            values = values if values.ndim == 1 else values.mean(axis=1)
        try:
            columns[str(name)], truth = check_scores(values, is_member)
        except ValueError as reason:
            raise ValueError(f"signal {name!r}: {reason}") from reason
    if not columns or TOGETHER in columns:
        raise ValueError(f"the signals are {list(columns)}; give at least one, and call none {TOGETHER!r}.")
    return columns, truth


def _one_of_each(groups: NDArray[Any], count: int, seed: int) -> NDArray[np.intp]:
    """One record of each group, whichever comes first in a random order."""
    if groups.shape != (count,):
        raise ValueError(f"groups has shape {groups.shape}; give one group a record, {(count,)}.")
    shuffled = np.random.default_rng([seed, 0x6209]).permutation(count)
    return np.sort(shuffled[np.unique(groups[shuffled], return_index=True)[1]])


def _joint(
    matrix: NDArray[np.float64], truth: NDArray[np.bool_], attack: Attack, level: float, seed: int
) -> SignalInformation:
    normal = special.ndtri((doubled_ranks(matrix) - 1) / (2 * truth.size))
    known = Signals({f"signal_{column}": values[:, None] for column, values in enumerate(normal.T)})
    try:
        scored = cross_fitted(attack, known, truth, seed)
    except ValueError as reason:
        return _judged(None, truth, [], matrix, level, seed, str(reason))
    return _judged(scored.values, truth, rows_of_folds(scored.fold, truth), matrix, level, seed)


def _judged(
    scores: NDArray[np.float64] | None,
    truth: NDArray[np.bool_],
    folds: Sequence[NDArray[np.intp]],
    columns: NDArray[np.float64],
    level: float,
    seed: int,
    refusal: str = "",
) -> SignalInformation:
    """The row of one score, each fold judged by itself; without a score only its nearest neighbour, which reads the columns."""
    refusals: dict[str, str] = {}

    def cell(name: str, figure: Callable[[], Any]) -> Any:
        try:
            return figure()
        except ValueError as reason:
            refusals[name] = str(reason)
            return None

    nearest = cell("nearest_neighbour_error", partial(nearest_neighbour_error, columns, truth))
    if scores is None:
        judged_by_score = [spec.name for spec in fields(SignalInformation)]
        refusals |= {n: refusal for n in judged_by_score if n not in ("nearest_neighbour_error", "refusals")}
        return SignalInformation(nearest_neighbour_error=nearest, refusals=refusals)
    apart = [(scores[rows], truth[rows]) for rows in folds]
    curves = [RocCurve.from_scores(*fold) for fold in apart]
    told = [mutual_information(curve, level, seed) for curve in curves]
    bits, variation = mean_estimate(told), mean_estimate([_total_variation(one) for one in told])
    j = cell("youden_j", lambda: mean_estimate([youden_j(*fold, level, seed) for fold in apart]))
    if j is None:
        refusals["balanced_accuracy"] = refusals["youden_j"]
    return SignalInformation(bits, variation, nearest, j, None if j is None else balanced_accuracy(j), refusals)


def _total_variation(bits: Estimate) -> Estimate:
    """V over the bins of the mutual information, with its null level."""
    known = bits.details
    return Estimate(known["total_variation"], level=bits.level, null_level=known["total_variation_null_level"])


@dataclass(frozen=True)
class _Best:
    """Of several attacks the one that ranks best within the records it may learn from; of few records the first."""

    attacks: tuple[Attack, ...]
    name: str = "best"
    signals: tuple[str, ...] = ()
    needs_examples: bool = field(default=True, init=False)

    def fit(self, context: AttackContext) -> FittedAttack:
        known = context.known_examples()
        members = int(known.is_member.sum())
        if min(members, known.is_member.size - members) < _CHOICE_A_SIDE // 2:
            return self.attacks[0].fit(context)
        return max(self.attacks, key=partial(self._skill, context)).fit(context)

    @staticmethod
    def _skill(context: AttackContext, attack: Attack) -> float:
        """Its mean AUC over halves of what is known."""
        known = context.known_examples()
        scored = cross_fitted(attack, known.signals, known.is_member, context.seed)
        halves = rows_of_folds(scored.fold, known.is_member)
        return float(np.mean([auc_value(scored.values[rows], known.is_member[rows]) for rows in halves]))


_CLASSIFIERS = (Trained("logistic_regression"), Trained("gradient_boosting"))

"""Is it the model that makes the number, or the experiment? What can be known of that before anything is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from privacy_callbacks.attacks.audit_set import AuditSet
from privacy_callbacks.attacks.blind import MAX_A_SIDE, BlindBaseline, blind_baseline
from privacy_callbacks.attacks.label_mix import label_mix
from privacy_callbacks.attacks.low_fpr import nonmembers_needed
from privacy_callbacks.attacks.near_duplicates import near_groups
from privacy_callbacks.attacks.record_arrays import as_arrays, plain_leaves
from privacy_callbacks.attacks.seeded_stream import seeded_stream

from .publisher import HEADLINE_FPR

# Together with the null check of the untrained model (1 %) a sound experiment is doubted in at most 5 % of cases: the blind
# baseline's lower end errs in 2.5 %, the search for near copies hardly ever.
BLIND_LEVEL = 0.95
LABEL_MIX_ERROR = 0.005


@dataclass(frozen=True)
class Experiment:
    """What is known of an audit's records and model without any attack.

    Attributes:
      warnings: sentences that change what every number means.
      notes: sentences that help to read them.
      blind_baseline: a classifier that sees inputs and labels, never the model; None if it was not asked for or has too few
        records.
      void: why no leak can be told from these records, or None.
    """

    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    blind_baseline: BlindBaseline | None = None
    void: str | None = None


def look_at(
    audit_set: AuditSet, labels: NDArray[Any] | None, model: Any, loss: Any, *, blind: bool = True, seed: int = 0
) -> Experiment:
    """Looks at the records of an audit before any attack does.

    Args:
      audit_set: the records.
      labels: class numbers or targets [n, ...]; None = several a record.
      model: the model to be audited.
      loss: given instead of the compiled one, or None.
      blind: True to compute the blind baseline (about a second for 2,000 + 2,000 images).
      seed: decides its halves.
    """
    warnings = [*audit_set.warnings, *_too_few_records(audit_set), *_own_training(model, loss)]
    notes = list(audit_set.notes)
    void = None if labels is None else label_mix(labels, audit_set.is_member, LABEL_MIX_ERROR)
    if void is not None:
        warnings.append(void)
    if len(np.unique(audit_set.ids[audit_set.is_member])) < audit_set.num_members:
        notes.append(
            "several records share an id: they are no independent draws, so intervals and p-values are too sure."
        )
    if not blind:
        return Experiment(tuple(warnings), tuple(notes), void=void)
    try:
        baseline = _baseline(audit_set, seed)
    except (ValueError, np.linalg.LinAlgError) as reason:
        notes.append(f"no blind baseline: {reason}")
        return Experiment(tuple(warnings), tuple(notes), void=void)
    differ = _differ(baseline)
    warnings += [differ] if differ else []
    notes.append(
        f"blind baseline (a classifier that sees inputs and labels, never the model): AUC {_interval(baseline)}."
    )
    return Experiment(tuple(warnings), tuple(notes), baseline, void or differ)


def _baseline(audit_set: AuditSet, seed: int) -> BlindBaseline:
    rows = _some_of_each(audit_set.is_member, seed)
    inputs, labels = ([leaf[rows] for leaf in plain_leaves(as_arrays(nest))] for nest in (audit_set.x, audit_set.y))
    groups = near_groups(inputs, seed)
    owning = owners(audit_set)
    if owning is not None and len(np.unique(owning[rows])) < len(rows):
        groups = owning[rows]
    return blind_baseline(inputs, labels, audit_set.is_member[rows], BLIND_LEVEL, seed, groups)


def owners(audit_set: AuditSet) -> NDArray[np.intp] | None:
    """int[n], equal for records of one id; None if no two share one, or none were given."""
    if audit_set.source_ids is None:
        return None
    found, owning = np.unique(audit_set.ids.astype(str), return_inverse=True)
    return owning if len(found) < len(owning) else None


def _some_of_each(is_member: NDArray[np.bool_], seed: int) -> NDArray[np.intp]:
    """As many rows of each side as a blind baseline reads: time is bounded however many are audited."""
    stream = seeded_stream("blind baseline", seed)
    sides = [stream.permutation(np.flatnonzero(side))[:MAX_A_SIDE] for side in (is_member, ~is_member)]
    return np.sort(np.concatenate(sides))


def _differ(baseline: BlindBaseline) -> str | None:
    if baseline.auc.low is None or baseline.auc.low <= 0.5:
        return None
    return (
        "members and non-members differ without any model: the blind baseline, a classifier that sees inputs and labels alone, "
        f"reaches AUC {_interval(baseline)}; most telling is {baseline.most_telling}. Part of every number may be that "
        "difference, in either direction, and no leakage: draw both sides at random from one pool, prepared in the same way. (If "
        "records come in groups that stay on one side, persons or films, say so with AuditSet(ids=...).)"
    )


def _interval(baseline: BlindBaseline) -> str:
    return f"{baseline.auc:.3f} [{baseline.auc.low:.3f}, {baseline.auc.high:.3f}]"


def _own_training(model: Any, loss: Any) -> list[str]:
    if loss is not None or type(model).train_step is keras.Model.train_step:
        return []
    return [
        f"{type(model).__name__} overrides train_step; it is audited as model(x) with the compiled loss. If it trains on "
        "other inputs or another loss, give the audit a model of what is learned, or the loss with loss=."
    ]


def _too_few_records(audit_set: AuditSet) -> list[str]:
    needed = nonmembers_needed(HEADLINE_FPR)
    if audit_set.num_nonmembers >= needed:
        return []
    given = audit_set.available[1]
    short = [side for side, count in zip(("members", "nonmembers"), audit_set.available, strict=True) if count < needed]
    remedy = f"give more {' and '.join(short)}" if short else "raise audit_size (the size of an AuditSet)"
    return [
        f"{audit_set.num_nonmembers:,} audited non-members (of {given:,} given) cannot resolve a false positive rate of "
        f"{100 * HEADLINE_FPR:g} %, which needs {needed:,}: TPR at that rate is refused; {remedy}."
    ]

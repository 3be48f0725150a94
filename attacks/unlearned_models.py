"""Did the model forget these records? One question, asked of models and data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .agreement import tug_of_war
from .attack import Attack
from .auc import auc
from .estimate import LEVEL, Estimate, check_level
from .margin_divergence import klom, klom_floor, klom_percentiles
from .record_scorer import ScoredModel
from .roc import RocCurve
from .shadow_models import ShadowModels
from .u_lira import u_lira_scores
from .unlearning_evaluation import UnlearningEvaluation
from .unlearning_judge import UnlearningJudge
from .unlearning_sets import SIDES

_MARGINS = "scaled_logit"
_NOTHING_CHANGED = (
    "original has the very weights of unlearned: nothing was unlearned, or it was tuned in place; give a copy that was made "
    "before (keras.models.clone_model, then set_weights)."
)


def evaluate_unlearning(
    unlearned: Any,
    retain: Any,
    forget: Any,
    test: Any,
    original: Any = None,
    retrained: Any = None,
    *,
    attack: Attack | None = None,
    shadow_models: ShadowModels | int | None = None,
    population: Any = None,
    audit_size: int = 2_000,
    level: float = LEVEL,
    margin: float | None = None,
    seed: int = 0,
    loss: Any = None,
    output: str | int | None = None,
    batch_size: int | None = None,
    leave_out_copies: bool = False,
    verbose: int = 1,
) -> UnlearningEvaluation:
    """Judges whether a model forgot: by an attack's rates beside what perfect forgetting gives, not beside 0 or 1.

    The attacker's threshold is learned from one half of the retain and test records; rates come from the other half and from
    the whole forget set. The verdict is "forgotten" only if the forget set is shown to be like the test set, "residual" or
    "over-forgotten" if it is shown to be unlike it, "inconclusive" if the attacker is blind or the records too few. Where the
    forget set's classes come in other proportions than the test set's, the test records are drawn to match; where they cannot
    be, or nothing was kept of a class, a retrained model takes their place.

    Args:
      unlearned: the model that was made to forget, or several made in the same way: the first is judged, all are compared with
        the retrained ones.
      retain: what it may know, as (x, y) arrays, a finite `tf.data.Dataset` or a `keras.utils.PyDataset`.
      forget: what it should have forgotten.
      test: records of the same distribution as the forget set that no model was trained on.
      original: the model before.
      retrained: a model, or several, trained on `retain` alone: what perfect forgetting gives.
      attack: scores the records; None = a threshold on the loss. With `RaMIA(...)` the neighbours of the records are judged, and
        ranges that hold a record of the retain set are left out. One that learns from records of known membership gets half of
        the retain and test records, which are not judged then.
      shadow_models: `ShadowModels(16, epochs=..., batch_size=...)`, for attacks that compare with such.
      population: (x, y), records that no model trains on, for attacks that need some.
      audit_size: the most records of each set that are asked about.
      level: confidence level of every interval.
      margin: see `unlearning_report`; None = its default.
      seed: decides the records drawn, the attacker's halves and whatever is random in the attack.
      loss, batch_size, output: see `SignalPass`.
      leave_out_copies: True to leave out records that stand in two sets, rather than to refuse them.
      verbose: 0 = silent, 1 = a progress bar over shadow models.
    Returns:
      The report, with `table()` for the models side by side and `residuals()` record by record.
    Raises:
      TypeError, ValueError: on records or models that do not fit each other, sets that overlap, or are too small for the level.
    """
    unlearned_models = _listed(unlearned, "unlearned")
    retrained_models = [] if retrained is None else _listed(retrained, "retrained")
    check_level(level)
    _refuse_twins(unlearned_models, retrained_models)
    judge = UnlearningJudge(
        unlearned_models[0],
        retain,
        forget,
        test,
        original,
        retrained_models,
        attack=attack,
        shadow_models=shadow_models,
        population=population,
        audit_size=audit_size,
        margin=margin,
        level=level,
        seed=seed,
        loss=loss,
        output=output,
        batch_size=batch_size,
        leave_out_copies=leave_out_copies,
        verbose=verbose,
    )
    if original is not None and _same_weights(unlearned_models[0], original):
        judge.warnings.append(_NOTHING_CHANGED)
    scored = [judge.scored(model) for model in unlearned_models]
    return _beside_retrained(judge.evaluation(scored[0], level), judge, scored, level, seed)


def _listed(models: Any, what: str) -> list[Any]:
    found = list(models) if isinstance(models, (list, tuple)) else [models]
    if not found:
        raise ValueError(f"{what} is empty; give a model, or several.")
    return found


def _refuse_twins(unlearned: Sequence[Any], retrained: Sequence[Any]) -> None:
    """A model is no measure of itself: the difference would be 0, whatever it remembers.

    Raises:
      ValueError: if one has the weights of another that it is compared with.
    """
    for one in unlearned:
        if any(_same_weights(one, other) for other in retrained):
            raise ValueError(
                "retrained has the very weights of unlearned, so that nothing could be told from their difference; give a model "
                "that was trained on retain from the start."
            )


def _same_weights(one: Any, other: Any) -> bool:
    if one is other:
        return True
    ours, theirs = one.weights, other.weights
    return (
        len(ours) > 0
        and [weight.shape for weight in ours] == [weight.shape for weight in theirs]
        and all(np.array_equal(a.numpy(), b.numpy()) for a, b in zip(ours, theirs, strict=True))
    )


def _beside_retrained(
    found: UnlearningEvaluation, judge: UnlearningJudge, unlearned: Sequence[ScoredModel], level: float, seed: int
) -> UnlearningEvaluation:
    """The evaluation with what several models tell."""
    retrained = judge.retrained
    if not retrained:
        return found
    own, *others = (_accuracies(judge, scored) for scored in (unlearned[0], *retrained))
    tug = tug_of_war(own, others, level) if own else None
    if min(len(unlearned), len(retrained)) < 2 or any(_MARGINS not in scored.signals for scored in unlearned):
        return replace(found, tug_of_war=tug)
    ours, theirs = (
        np.stack([scored.signals[_MARGINS][:, 0] for scored in models]) for models in (unlearned, retrained)
    )
    told, floor, rows = klom(ours, theirs), klom_floor(theirs, len(ours), seed), judge.sets.rows
    percentiles = klom_percentiles(
        {side: told[rows[side]] for side in SIDES} | {f"floor_{side}": floor[:, rows[side]] for side in SIDES}
    )
    forget = judge.rows("forget")
    u_lira = _u_lira(ours[:, forget], theirs[:, forget], level)
    return replace(found, tug_of_war=tug, klom=percentiles, u_lira_auc=u_lira)


def _accuracies(judge: UnlearningJudge, scored: ScoredModel) -> dict[str, float]:
    """By side; {} where records have no classes."""
    known = judge.performance(scored)
    return {side: known[f"accuracy_{side}"] for side in SIDES if f"accuracy_{side}" in known}


def _u_lira(unlearned: NDArray[np.float64], retrained: NDArray[np.float64], level: float) -> Estimate | None:
    """How well the likelihood ratio tells the first unlearned model from the first retrained one, by their forget records.

    Both are judged by the same other models; None with fewer than two of these on a side.
    """
    if min(len(unlearned), len(retrained)) < 3:
        return None
    scores = [u_lira_scores(models[0], unlearned[1:], retrained[1:]) for models in (unlearned, retrained)]
    truth = np.arange(2 * len(scores[0])) < len(scores[0])
    return auc(RocCurve.from_scores(np.concatenate(scores), truth), level)

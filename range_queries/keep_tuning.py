"""Which points of a range count: the trimmed mean's share, chosen on shadow models as targets."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
from numpy.typing import NDArray

from privacy_callbacks.attacks.attack import AttackContext, Signals
from privacy_callbacks.attacks.auc import auc_value
from privacy_callbacks.attacks.shadow_assignment import without_pair

from .aggregation import trimmed_mean
from .points_and_ranges import reduced

# Shares of the points, lowest first; the last stands for the largest score alone. The first of equals is taken.
KEEPS = ((0.0, 1.0), (0.25, 1.0), (0.5, 1.0), (0.75, 1.0), (0.25, 0.75), (0.0, 0.5), (0.0, 0.75), (1.0, 1.0))
_SURROGATES = 4
LEAST_MODELS = 4


def tuned_keep(
    score_points: Callable[[AttackContext, Signals], NDArray[np.float64]], context: AttackContext
) -> tuple[float, float]:
    """The `keep` of the trimmed mean that tells best what shadow models trained on (mean AUC), each the target of the others.

    A surrogate's complement is left out with it. What they trained on was drawn by lot, apart from what the target trained on, so
    the audited ranges can be used.

    Args:
      score_points: what an attack, fitted to a context, makes of a model's answers: float[n, q], NaN where there is no score.
      context: with the shadow models' answers about ranges.
    Raises:
      ValueError: with fewer than four shadow models, or if none has ranges on both sides.
    """
    shadows = context.shadow_models()
    if shadows.num_models < LEAST_MODELS:
        raise ValueError(
            f"{shadows.num_models} shadow models are too few to tune on, at least 4 are needed: one plays the target, its "
            "complement is dropped, two remain."
        )
    reached, judged = np.zeros(len(KEEPS)), 0
    pairs = shadows.num_models // 2
    for surrogate in 2 * np.unique(np.linspace(0, pairs - 1, _SURROGATES).round().astype(int)):
        signals, truth, _ = shadows.as_target(int(surrogate))
        others = shadows.of_models(without_pair(shadows.trained_on, int(surrogate)))
        population = None
        if shadows.population is not None:
            population = Signals({name: array[surrogate] for name, array in shadows.population.items()})
        known = replace(context, shadows=others, population=population or context.population)
        scores = score_points(known, signals)
        rows = ~np.isnan(scores).all(axis=1)
        if truth[rows].all() or not truth[rows].any():
            continue
        judged += 1
        for index, keep in enumerate(KEEPS):
            reached[index] += auc_value(reduced(scores[rows], partial(trimmed_mean, keep=keep)), truth[rows])
    if not judged:
        raise ValueError(
            "no shadow model has trained on some of the ranges and not on others, so nothing can be tuned; give "
            "aggregate=trimmed_mean."
        )
    return KEEPS[int(np.argmax(reached))]

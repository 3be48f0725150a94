"""U-LiRA: is this answer what models give that unlearned the record, or models that never saw it?

Perfect unlearning leaves no difference between the two worlds, whatever the attacker knows, so an AUC of ½ is the aim: a
higher one says that unlearning can be recognised, be it because the record is still known or because it stands out for being
known too badly. Everything else is LiRA with other shadow models; its reasons for pooled spreads hold here, too.

Source: Kurmanji et al. 2023, arXiv:2302.09880; Hayes et al. 2024, arXiv:2403.01218.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .lira import VARIANCES, Side, check_choice, sides_of
from .number_arrays import as_floats
from .shadow_values import ShadowValues, refuse_large


def u_lira_scores(
    target: ArrayLike, unlearned: ArrayLike, never: ArrayLike, variance: str = "auto"
) -> NDArray[np.float64]:
    """How much more likely the target's answers are from models that unlearned a record than from models that never saw it.

    To ask instead whether a record is still recognisable as a *member*, which needs no shadow model to be unlearned, give the
    answers of shadow models that trained on it as `unlearned`; that is `lira_scores` with the unlearned model as target.

    Axes: n records, q queries a record, m unlearned shadow models, k shadow models that never saw the record.

    Args:
      target: float[n] or [n, q], the signal of the model to be judged (the scaled logit; any that is near Gaussian).
      unlearned: float[m, n] or [m, n, q], that of shadow models that trained on the record and then unlearned it, by the
        method and on forget sets such as the target's; the target is not among them, whose own answers it would find again.
        NaN where a model did not: that pair is left out.
      never: float[k, n] or [k, n, q], that of shadow models that did not train on it. NaN where a model did.
      variance: "auto", "pooled", "per_record" or "student_t"; see `lira_scores`.
    Returns:
      float64[n], log density ratio, the mean over queries; higher = more like a record that was trained on and unlearned. NaN
      where a record lacks the models: one on each side, two with "per_record".
    Raises:
      ValueError: on shapes that do not fit each other, infinite values, a target that is NaN, an unknown variance, or if no
        record has two models on a side, so that no spread can be told.
    Source: Hayes et al. 2024, arXiv:2403.01218.
    """
    check_choice("variance", variance, VARIANCES)
    answers = as_floats(target, "target")
    if answers.ndim not in (1, 2) or not answers.size:
        raise ValueError(f"target has shape {answers.shape}; give (records) or (records, queries), at least one.")
    bad = int(np.count_nonzero(~np.isfinite(answers)))
    if bad:
        raise ValueError(f"target holds {bad:,} values that are NaN or infinite; leave those records out.")
    refuse_large(answers, "target")
    sides = [
        _side(answers, as_floats(given, name), name, variance)
        for name, given in (("unlearned", unlearned), ("never", never))
    ]
    values = answers.reshape(len(answers), -1)
    return (sides[0].log_density(values) - sides[1].log_density(values)).mean(axis=1)


def _side(target: NDArray[np.float64], shadow: NDArray[np.float64], name: str, variance: str) -> Side:
    """The distribution of each record's signal over the models of one side."""
    if target.ndim == 1 and shadow.ndim == 3 and shadow.shape[2] == 1:
        shadow = shadow[:, :, 0]
    if shadow.ndim != target.ndim + 1 or shadow.shape[1:] != target.shape:
        raise ValueError(
            f"target has shape {target.shape} and {name} {shadow.shape}; give (records) and (shadow models, records), both with "
            "a trailing query axis or both without."
        )
    shadow = shadow.reshape(*shadow.shape[:2], math.prod(shadow.shape[2:]))
    infinite = int(np.count_nonzero(np.isinf(shadow)))
    if infinite:
        raise ValueError(f"{name} holds {infinite:,} infinite values; leave those records or shadow models out.")
    refuse_large(shadow, name)
    missing = np.isnan(shadow)
    absent = np.asarray(missing.all(axis=2), dtype=bool)
    if (missing.any(axis=2) & ~absent).any():
        raise ValueError(f"{name} is NaN for some queries of a record and not for others; give all of them or none.")
    if not len(shadow) or (~absent).sum(axis=0).max() < 2:
        raise ValueError(
            f"no record has two shadow models in {name} ({len(shadow)} were given), so their spread cannot be told; give at "
            "least 2, better 32."
        )
    values = ShadowValues(target.reshape(len(target), -1), np.where(missing, 0.0, shadow), absent)
    # LiRA's OUT side: the models that are not marked, here those whose answer is present.
    return sides_of(values, "offline", variance)[1]

"""LiRA, the likelihood-ratio attack: is this answer what models give that trained on the record, or that did not?

Assumes that over shadow models a record's scaled logit is close to Gaussian, once for the models that trained on it (IN)
and once for those that did not (OUT). Done differently from the authors' script, on purpose:

* offline it is one-sided. The script takes the two-sided density of OUT, so that a record which is *less* like a member
  than usual counts as one; and it takes the IN spread for OUT;
* pooled spreads are pooled residuals around each record's own mean, each world its own;
* a record without a shadow model on a side that is needed is not scored (NaN), rather than scored with zeros.

Source: Carlini, Chien, Nasr, Song, Terzis & Tramèr 2022, arXiv:2112.03570.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from .attack import AttackContext, Signals, check_name, check_signal
from .shadow_values import ShadowValues, mean_over, shadow_values

# From so many models on a side on, a record's own spread is known better than the records' common one.
PER_RECORD_FROM = 32
_SMALLEST_VARIANCE = 1e-12
# The prior of the Student-t variant: worth α0 observations for the spread, κ0 for the mean.
_ALPHA_0, _KAPPA_0 = 4.0, 0.25
MODES = ("online", "offline")
VARIANCES = ("auto", "pooled", "per_record", "student_t")


class Side(NamedTuple):
    """The distribution of a record's signal over the models of one side; [n, q] each.

    Attributes:
      loc: NaN where the side has no model (or, for a spread of its own, fewer than two).
      scale: its spread.
      df: degrees of freedom of a Student-t; inf = a Gaussian.
    """

    loc: NDArray[np.float64]
    scale: NDArray[np.float64]
    df: NDArray[np.float64]

    def log_density(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """float64[n, q], natural log."""
        z2 = ((values - self.loc) / self.scale) ** 2
        if np.isinf(self.df).all():
            return -0.5 * z2 - np.log(self.scale) - 0.5 * np.log(2 * np.pi)
        df = self.df
        constant = special.gammaln((df + 1) / 2) - special.gammaln(df / 2) - 0.5 * np.log(df * np.pi)
        return constant - np.log(self.scale) - (df + 1) / 2 * np.log1p(z2 / df)


def lira_scores(
    target: ArrayLike, shadow: ArrayLike, trained_on: ArrayLike, mode: str = "online", variance: str = "auto"
) -> NDArray[np.float64]:
    """How much more likely the target's answers are from models that trained on a record than from models that did not.

    Axes: n records, q queries a record, m shadow models.

    Args:
      target: float[n] or [n, q], the target model's signal (the scaled logit; any that is near Gaussian), higher = more
        member-like.
      shadow: float[m, n] or [m, n, q], the shadow models'.
      trained_on: bool[m, n].
      mode: "online": log density ratio IN over OUT; "offline": how far above OUT, in OUT's standard deviations; uses OUT
        models only.
      variance: "per_record": each record's own spread; "pooled": one spread a side and query, from residuals around
        each record's mean; "auto": per record on a side where every record has 32 models, else pooled; "student_t": the
        predictive distribution under a normal-inverse-gamma prior at the records' common mean and spread.
    Returns:
      float64[n], the mean over queries; higher = more member-like. NaN where a record lacks the models: one on each side
      that `mode` uses, two with "per_record".
    Raises:
      ValueError: on shapes that do not fit each other, NaN or infinite values, unknown names, or if no side has a record
        with two models, so that no spread can be told.
    """
    values = shadow_values(target, shadow, trained_on)
    return _scores(sides_of(values, mode, variance), values.target)


def sides_of(values: ShadowValues, mode: str, variance: str) -> tuple[Side | None, Side]:
    """The distributions of each record's signal: (IN, or None offline; OUT).

    Args:
      values: the signal; of the target's only the shape is used.
      mode, variance: see `lira_scores`.
    Raises:
      ValueError: on unknown names, or if no record has two models on a side that is needed.
    """
    check_choice("mode", mode, MODES)
    check_choice("variance", variance, VARIANCES)
    out_side = _side(values.shadow, ~values.trained_on, variance, "OUT")
    return (None if mode == "offline" else _side(values.shadow, values.trained_on, variance, "IN")), out_side


def _scores(sides: tuple[Side | None, Side], target: NDArray[np.float64]) -> NDArray[np.float64]:
    in_side, out_side = sides
    if in_side is None:
        return ((target - out_side.loc) / out_side.scale).mean(axis=1)
    return (in_side.log_density(target) - out_side.log_density(target)).mean(axis=1)


def _side(shadow: NDArray[np.float64], chosen: NDArray[np.bool_], variance: str, name: str) -> Side:
    counts = chosen.sum(axis=0)[:, None]
    means = mean_over(shadow, chosen)
    squares = np.sum((shadow - means) ** 2, axis=0, where=chosen[:, :, None])
    freedom = np.maximum(counts - 1, 0)
    if not freedom.any():
        raise ValueError(
            f"no record has two shadow models that are {name} for it, so their spread cannot be told; give at least 4 shadow "
            "models, or an attack that needs no spread (RMIA, AttackR, DifficultyCalibration)."
        )
    if variance == "auto":
        variance = "per_record" if counts.min() >= PER_RECORD_FROM else "pooled"
    pooled = np.maximum(squares.sum(axis=0) / freedom.sum(), _SMALLEST_VARIANCE)
    infinite = np.full_like(means, np.inf)
    if variance == "pooled":
        return Side(means, np.broadcast_to(np.sqrt(pooled), means.shape), infinite)
    if variance == "per_record":
        with np.errstate(invalid="ignore", divide="ignore"):
            own = np.where(freedom > 0, np.maximum(squares / freedom, _SMALLEST_VARIANCE), np.nan)
        return Side(means, np.sqrt(own), infinite)
    return _student_t(means, squares, counts, pooled)


def _student_t(
    means: NDArray[np.float64], squares: NDArray[np.float64], counts: NDArray[np.int64], pooled: NDArray[np.float64]
) -> Side:
    """The posterior predictive of a normal-inverse-gamma prior whose mean and spread are those of the records in common."""
    known = np.where(counts > 0, means, 0.0)
    prior_mean = known.sum(axis=0) / np.count_nonzero(counts)
    kappa, alpha = _KAPPA_0 + counts, _ALPHA_0 + counts / 2
    beta = _ALPHA_0 * pooled + squares / 2 + _KAPPA_0 * counts * (known - prior_mean) ** 2 / (2 * kappa)
    loc = (_KAPPA_0 * prior_mean + counts * known) / kappa
    scale = np.sqrt(beta * (kappa + 1) / (alpha * kappa))
    return Side(np.where(counts > 0, loc, np.nan), scale, np.broadcast_to(2 * alpha, means.shape))


def check_choice(name: str, value: str, known: tuple[str, ...]) -> None:
    """Raises ValueError, with what there is to choose from, if `value` is none of `known`."""
    if value not in known:
        raise ValueError(f"{name} is {value!r}; give one of {', '.join(map(repr, known))}.")


@dataclass(frozen=True)
class LiRA:
    """The likelihood-ratio attack on shadow models.

    Args:
      mode: "online" (IN and OUT models) or "offline" (OUT models only; for records that no shadow model trained on).
      variance: "auto", "pooled", "per_record" or "student_t"; see `lira_scores`.
      signal: which signal to compare; "loss" for models that are no classifiers.
      queries: functions of a batch of inputs, each asked instead of the record itself, deterministic: the paper's
        augmentations, e.g. `(lambda x: x, lambda x: x[:, :, ::-1])`; none = the record as it is.
      name: what to call the attack.
    Raises:
      ValueError: on an unknown mode, variance or signal.
    Source: Carlini et al. 2022, arXiv:2112.03570.
    """

    mode: str = "online"
    variance: str = "auto"
    signal: str = "scaled_logit"
    queries: tuple[Callable[[Any], Any], ...] = ()
    name: str = "lira"
    needs_shadows: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        check_choice("mode", self.mode, MODES)
        check_choice("variance", self.variance, VARIANCES)
        check_signal(self.signal)
        object.__setattr__(self, "queries", tuple(self.queries))
        check_name(self.name)

    @property
    def signals(self) -> tuple[str, ...]:
        """The signal it reads."""
        return (self.signal,)

    def fit(self, context: AttackContext) -> FittedLiRA:
        """Learns the distributions of each record's signal, IN and OUT."""
        shadows = context.shadow_models()
        values = shadow_values(np.zeros(shadows[self.signal].shape[1:]), shadows[self.signal], shadows.trained_on)
        return FittedLiRA(self.signal, *sides_of(values, self.mode, self.variance))


@dataclass(frozen=True)
class FittedLiRA:
    """LiRA's two worlds, record by record; `in_side` is None offline."""

    signal: str
    in_side: Side | None
    out_side: Side

    def score(self, signals: Signals) -> NDArray[np.float64]:
        """float64[n] for the records it was fitted on, in their order; NaN where shadow models are missing."""
        return _scores((self.in_side, self.out_side), signals[self.signal])

    def graph_score(self, values: Any) -> Any:
        """The same inside a `tf.function` or a `tf.data` pipeline, by tensorflow-probability: float64[n] of values [n, q]."""
        from .graph_likelihood import lira_in_graph

        return lira_in_graph(values, self.in_side, self.out_side)

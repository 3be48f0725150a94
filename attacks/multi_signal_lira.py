"""LiRA on several signals at once: their joint Gaussian, IN and OUT, instead of one signal's.

Assumes that over shadow models a record's signals are close to a multivariate Gaussian whose correlations are the records' in
common; means, and spreads on request, are each record's own. Signals are joint, queries are averaged, as in LiRA.

* Each world has its own correlations: of residuals around each record's mean, over all records, so that few models will do.
* A signal that those before it predict (loss and confidence of a classifier are one number) is left out, and correlations are
  shrunk a little towards none: what is said twice counts once, and nothing is divided by zero.
* Offline nobody knows how far apart membership moves each signal. The score is the best linear one if it moves all equally
  far, in their OUT standard deviations, among those in which no signal counts against membership: whatever signal rises, the
  score does not fall. If one signal alone moves, the others cost it power: up to a factor √k of its shift with k independent
  signals; so give it signals that are good by themselves.

What to expect: with two views whose noise is independent the shifts add up in squares. Each further signal also brings the
error of a record's means along one more direction, whether or not it tells anything: in a Gaussian world with 16 models a side
three queries that repeat each other reached AUC .717 as three signals, .745 averaged. And the signals of one classifier's
answer are no independent views. Measured once on the data sets of `benchmarks/power.py` (16 shadow models, online;
six and five targets, of which that benchmark draws others) φ and loss together
reached AUC .940 and TPR .405 at 1 % FPR on the synthetic one, where φ alone has .939 and .414; on Fashion-MNIST .581 and .040,
between φ (.577, .026) and loss (.589, .048). It insures against the worse signal; it seldom beats the better one.

Source: Carlini et al. 2022, arXiv:2112.03570 (their multivariate Gaussian is over augmentations).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import optimize

from .attack import AttackContext, Signals, check_name, check_signal
from .lira import MODES, Side, check_choice, sides_of
from .number_arrays import as_floats
from .shadow_values import ShadowValues, shadow_values

VARIANCES = ("auto", "pooled", "per_record")
_SHRINKAGE = 0.01
# Of a signal's residual variance; less than that beyond the signals before it says nothing new.
_NEWS = 1e-3


class JointSide(NamedTuple):
    """The distribution of a record's signals over the models of one side.

    Attributes:
      loc: [n, q, k]; NaN where the side has no model.
      scale: [n, q, k], standard deviations.
      correlation: [q, k, k].
    """

    loc: NDArray[np.float64]
    scale: NDArray[np.float64]
    correlation: NDArray[np.float64]

    def standardised(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """float64[n, q, k]: how many standard deviations each signal lies above its mean."""
        return (values - self.loc) / self.scale

    def shrunk(self, kept: Sequence[int], shrinkage: float) -> JointSide:
        """Of these signals alone, its correlations made smaller, so that they can be inverted."""
        correlation = (1 - shrinkage) * self.correlation[:, kept][:, :, kept] + shrinkage * np.eye(len(kept))
        return JointSide(self.loc[..., kept], self.scale[..., kept], correlation)

    def log_density(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """float64[n, q], natural log, of values [n, q, k]."""
        z = self.standardised(values)
        distance = np.einsum("nqk,qkl,nql->nq", z, np.linalg.inv(self.correlation), z)
        log_volume = np.linalg.slogdet(self.correlation).logabsdet / 2 + np.log(self.scale).sum(axis=2)
        return -0.5 * distance - log_volume - z.shape[2] / 2 * np.log(2 * np.pi)

    def one_sided(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """float64[n, q]: the best non-negative combination of the standardised signals, standard normal on this side."""
        weights = np.stack([_weights(correlation) for correlation in self.correlation])
        return np.einsum("nqk,qk->nq", self.standardised(values), weights)


def multi_signal_lira_scores(
    target: ArrayLike,
    shadow: ArrayLike,
    trained_on: ArrayLike,
    mode: str = "online",
    variance: str = "auto",
    shrinkage: float = _SHRINKAGE,
) -> NDArray[np.float64]:
    """How much more likely the target's signals are, together, from models that trained on a record than from others.

    Axes: n records, q queries a record, m shadow models, k signals. With one signal it is `lira_scores`.

    Args:
      target: float[n, k] or [n, q, k], the target model's signals, each higher = more member-like.
      shadow: float[m, n, k] or [m, n, q, k], the shadow models'.
      trained_on: bool[m, n].
      mode: "online": log density ratio IN over OUT; "offline": how far above OUT, one-sided, in standard deviations; uses
        OUT models only.
      variance: whose standard deviations: "per_record", "pooled" or "auto", as in `lira_scores`. Correlations are pooled.
      shrinkage: in (0, 1], how much of each correlation is taken away; 1 = signals are taken as independent.
    Returns:
      float64[n], the mean over queries; higher = more member-like. NaN where a record lacks the models, as in `lira_scores`.
    Raises:
      ValueError: on shapes that do not fit each other, NaN or infinite values, unknown names, a shrinkage out of range, or
        if no side has a record with two models.
    """
    ours, theirs = as_floats(target, "target"), as_floats(shadow, "shadow")
    if ours.ndim not in (2, 3) or theirs.shape[1:] != ours.shape:
        raise ValueError(
            f"target has shape {ours.shape} and shadow {theirs.shape}; give (records, signals) and (shadow models, records, "
            "signals), both with a query axis before the signals or both without."
        )
    if ours.ndim == 2:
        ours, theirs = ours[:, None], theirs[:, :, None]
    return _joint_sides(ours, theirs, trained_on, mode, variance, shrinkage).scores(ours)


class JointSides(NamedTuple):
    """A record's two worlds.

    Attributes:
      in_side: None offline.
      out_side: as `in_side`.
      kept: the numbers of the signals that they are of.
    """

    in_side: JointSide | None
    out_side: JointSide
    kept: list[int]

    def scores(self, target: NDArray[np.float64]) -> NDArray[np.float64]:
        """float64[n] of all signals of the target [n, q, k]."""
        target = target[..., self.kept]
        if self.in_side is None:
            return self.out_side.one_sided(target).mean(axis=1)
        return (self.in_side.log_density(target) - self.out_side.log_density(target)).mean(axis=1)


def _joint_sides(
    target: NDArray[np.float64],
    shadow: NDArray[np.float64],
    trained_on: ArrayLike,
    mode: str,
    variance: str,
    shrinkage: float,
) -> JointSides:
    """From signals [m, n, q, k]; the target's [n, q, k] are checked beside them, no more."""
    _check_options(mode, variance, shrinkage)
    records, shape = len(target), target.shape
    # A signal of a query is to a single-signal LiRA one query more.
    values = shadow_values(
        target.reshape(records, -1), shadow.reshape(len(shadow), records, shape[1] * shape[2]), trained_on
    )
    in_side, out_side = sides_of(values, mode, variance)
    out, common = _joined(out_side, values, ~values.trained_on, shape)
    if in_side is None:
        kept = _telling(common)
        return JointSides(None, out.shrunk(kept, shrinkage), kept)
    inside, common_inside = _joined(in_side, values, values.trained_on, shape)
    kept = _telling(np.concatenate([common, common_inside]))
    return JointSides(inside.shrunk(kept, shrinkage), out.shrunk(kept, shrinkage), kept)


def _joined(
    side: Side, values: ShadowValues, chosen: NDArray[np.bool_], shape: tuple[int, ...]
) -> tuple[JointSide, NDArray[np.float64]]:
    """The side's distribution, and the correlations [q, k, k] of residuals that no record's own spread divides."""
    counts = chosen.sum(axis=0)
    # A single model has no residual; a spread of its own it lacks, too.
    known = counts >= 2
    own, common = np.zeros((2, shape[1], shape[2], shape[2]))
    for answers, trained in zip(values.shadow, chosen, strict=True):
        rows = trained & known
        residuals = (answers[rows] - side.loc[rows]).reshape(-1, *shape[1:])
        common += np.einsum("nqk,nql->qkl", residuals, residuals)
        residuals = residuals / side.scale[rows].reshape(-1, *shape[1:])
        own += np.einsum("nqk,nql->qkl", residuals, residuals)
    return JointSide(side.loc.reshape(shape), side.scale.reshape(shape), _correlations(own)), _correlations(common)


def _correlations(products: NDArray[np.float64]) -> NDArray[np.float64]:
    """[q, k, k] from sums of products; a signal that never varies correlates with itself alone."""
    diagonal = np.arange(products.shape[1])
    spread = np.sqrt(products[:, diagonal, diagonal])
    spread = np.where(spread > 0, spread, 1.0)
    found = products / spread[:, :, None] / spread[:, None, :]
    found[:, diagonal, diagonal] = 1.0
    return found


def _telling(every: NDArray[np.float64]) -> list[int]:
    """The numbers of the signals that vary, by one of these correlations [·, k, k], beyond what those before them tell."""
    kept: list[int] = []
    for signal in range(every.shape[1]):
        known, own = every[:, kept][:, :, kept], every[:, kept, signal]
        explained = np.einsum("qk,qk->q", own, np.linalg.solve(known, own[..., None])[..., 0]) if kept else np.zeros(1)
        if (1 - explained).max() > _NEWS:
            kept.append(signal)
    return kept


def _weights(correlation: NDArray[np.float64]) -> NDArray[np.float64]:
    """float64[k], non-negative: of the combinations of unit variance that which moves most if every signal moves by 1."""
    root = np.linalg.cholesky(correlation)
    # Minimising w'Rw − 2·1'w over w >= 0 gives the direction; as least squares: |L'w − L⁻¹1|².
    weights, _ = optimize.nnls(root.T, np.linalg.solve(root, np.ones(len(root))))
    return weights / np.linalg.norm(root.T @ weights)


def _check_options(mode: str, variance: str, shrinkage: float) -> None:
    check_choice("mode", mode, MODES)
    check_choice("variance", variance, VARIANCES)
    if not 0 < shrinkage <= 1:
        raise ValueError(f"shrinkage is {shrinkage!r}; give a number above 0, up to 1.")


@dataclass(frozen=True)
class MultiSignalLiRA:
    """The likelihood-ratio attack on several signals together.

    Args:
      signals: which, at least one; good ones that differ from each other.
      mode: "online" (IN and OUT models) or "offline" (OUT models only; for records that no shadow model trained on).
      variance: "auto", "pooled" or "per_record"; see `multi_signal_lira_scores`.
      shrinkage: of the correlations.
      queries: functions of a batch of inputs, each asked instead of the record itself, as for `LiRA`; their scores are
        averaged.
      name: what to call the attack.
    Raises:
      ValueError: on an unknown mode, variance or signal, none or one twice, or a shrinkage out of range.
    Source: Carlini et al. 2022, arXiv:2112.03570.
    """

    signals: tuple[str, ...] = ("scaled_logit", "loss")
    mode: str = "online"
    variance: str = "auto"
    shrinkage: float = _SHRINKAGE
    queries: tuple[Callable[[Any], Any], ...] = ()
    name: str = "multi_signal_lira"
    needs_shadows: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        names = (self.signals,) if isinstance(self.signals, str) else tuple(self.signals)
        if not names or len(set(names)) < len(names):
            raise ValueError(f"signals is {names!r}; give at least one, and none twice.")
        for signal in names:
            check_signal(signal)
        _check_options(self.mode, self.variance, self.shrinkage)
        object.__setattr__(self, "signals", names)
        object.__setattr__(self, "queries", tuple(self.queries))
        check_name(self.name)

    def fit(self, context: AttackContext) -> FittedMultiSignalLiRA:
        """Learns the joint distributions of each record's signals, IN and OUT."""
        shadows = context.shadow_models()
        answers = np.stack([shadows[name].astype(np.float64) for name in self.signals], axis=-1)
        nobody = np.zeros(answers.shape[1:])
        sides = _joint_sides(nobody, answers, shadows.trained_on, self.mode, self.variance, self.shrinkage)
        return FittedMultiSignalLiRA(self.signals, sides)


@dataclass(frozen=True)
class FittedMultiSignalLiRA:
    """The two worlds, record by record."""

    signals: tuple[str, ...]
    sides: JointSides

    def score(self, signals: Signals) -> NDArray[np.float64]:
        """float64[n] for the records it was fitted on, in their order; NaN where shadow models are missing."""
        return self.sides.scores(np.stack([signals[name] for name in self.signals], axis=-1))

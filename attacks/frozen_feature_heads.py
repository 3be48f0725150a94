"""Shadow heads: a record's difficulty from linear heads in closed form, fitted to random halves of the judged records.

EXPERIMENTAL. RMIA's ratio with its reference model replaced by heads that cost some seconds. Who is a member is never
read: members and non-members alike are dealt out to the heads, and a record is answered by those that did not learn from it.

What was found (`benchmarks/shadow_heads.py`; AUC and TPR at 1 % FPR, means of five targets, standard errors up to .011): it
does not hold against RMIA with one reference, and stays experimental.

                              loss          RMIA, 1 reference   heads on inputs   heads on the last layer
    Fashion-MNIST, MLP        .566  .012    .651  .060          .656  .065        .618  .029
    Fashion-MNIST, CNN        .543  .013    .605  .037          .600  .027        .585  .021
    MNIST (4,000), MLP        .559  .010    .642  .056          .607  .056        .582  .014
    digits, MLP               .527  .009    .604  .051          .553  .034        .550  .030
    purchase-like, MLP        .810  .026    .851  .221          .843  .215        .768  .062

On random features of the inputs the heads equal a trained reference for one model of four on real data, the MLP on
Fashion-MNIST, and beat the loss everywhere. On the target's own last layer they are weaker throughout; presumably because its
features were learned from the members, so that heads find a member easy that they did not learn from. What heads read and how
they are compared was chosen on these very data sets, which flatters them a little. Residuals of φ given the heads' margin (by
a line, monotone, by neighbours), as first proposed, reach TPR .01 to .02 on real data, hardly more than the loss. One head for
all other records, by leave-one-out, did as well as halves, and eight heads nearly as well as 32
(tried before; not in the benchmark).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .attack import AttackContext, Signals, check_name
from .number_arrays import as_floats, as_plain_array, group_codes
from .ridge_head import RidgeHead, best_ridge
from .rmia import rmia_scores

MAX_COLUMNS = 4_096
_LEAST_RECORDS = 20
_FEATURES = ("inputs", "last_layer")
_ROWS_A_HEAD = 5_000  # a head of a thousand columns learns little from more, at a cost that grows with them
_ROWS_A_BLOCK = 8_192
# Random features of the inputs: fewer where there are no more records, or where all together exceed so many numbers.
_WIDTH, _LEAST_WIDTH, _NUMBERS = 1_024, 64, 2**26
_BIAS = 0.3  # spread of the random features' offsets, the inputs' own being 1
_LOG_SCALES = (-5.0, 7.0)


def shadow_head_scores(
    phi: ArrayLike,
    features: ArrayLike,
    labels: ArrayLike,
    num_heads: int = 8,
    ridge: float | None = None,
    seed: int = 0,
) -> NDArray[np.float64]:
    """How much surer the target is of each record than linear heads are that did not learn from it. Experimental.

    Every pair of heads halves the records: each is a ridge regression of the one-hot label, in closed form, on one half
    (5,000 records at most), and answers for the other. The mean answer of a record's heads, times one number that makes the
    likelihood of all labels largest, gives p_OUT by a softmax. The score is RMIA's with a = 0, which takes models that
    trained on a record to be certain of it: log p_θ − log ½(1 + p_OUT).

    Axes: n records, d columns, c classes.

    Args:
      phi: float[n], the target's scaled logit (log-odds of the true label); ±inf are ordinary extremes.
      features: float[n, d], d ≤ 4,096: what frozen layers make of the records. None of them may know the label.
      labels: int[n] or [n, 1], or one-hot [n, c].
      num_heads: an even number; half of them answer for each record.
      ridge: above 0, in units of the mean variance of a column; None = what answers best for the half that the first
        head did not learn from.
      seed: decides the halves.
    Returns:
      float64[n], higher = more member-like. The order of the records decides nothing.
    Raises:
      ValueError: on shapes that do not fit, NaN, features that are not finite, fewer than 20 records or two classes, or
        arguments out of range.
    Source: RMIA: Zarifzadeh et al. 2024, arXiv:2312.03262; heads in place of shadow models: this package.
    """
    return _scores(phi, features, labels, num_heads, ridge, seed, width=None)


@dataclass(frozen=True)
class ShadowHeads:
    """The target's confidence in a record against that of closed-form heads; no shadow models, no population. Experimental.

    It takes classifiers of one output with one class a record. Four thousand records cost 3 to 6 CPU seconds an audit on
    inputs, about 1 on a last layer of 128 columns.

    Args:
      features: what the heads read. "last_layer": what the target's last layer reads, at most 4,096 numbers a record, which
        leave the device as float32. "inputs": 1,024 random features of the record itself (rectified random projections), which
        do not depend on the model's weights; the stronger of the two, where it was measured.
      num_heads, ridge: see `shadow_head_scores`.
      name: what to call the attack.
    Raises:
      ValueError: on arguments out of range, or a name that cannot stand in log keys.
    """

    features: str = "last_layer"
    num_heads: int = 8
    ridge: float | None = None
    name: str = "shadow_heads"

    def __post_init__(self) -> None:
        check_name(self.name)
        if self.features not in _FEATURES:
            raise ValueError(f"features is {self.features!r}; give 'inputs' or 'last_layer'.")
        _check_heads(self.num_heads, self.ridge)

    @property
    def signals(self) -> tuple[str, ...]:
        """The signal it reads."""
        return ("scaled_logit",)

    @property
    def needs_features(self) -> str:
        """Which `Signals.features` it reads."""
        return self.features

    @property
    def notes(self) -> tuple[str, ...]:
        """For its reports."""
        return ("shadow heads are experimental: their strength is known from small data sets only.",)

    def fit(self, context: AttackContext) -> FittedShadowHeads:
        """Nothing to learn beforehand: heads are fitted to the records they are asked about."""
        return FittedShadowHeads(self, context.seed)


@dataclass(frozen=True)
class FittedShadowHeads:
    """`attack` with the seed of its halves."""

    attack: ShadowHeads
    seed: int

    def score(self, signals: Signals) -> NDArray[np.float64]:
        """float64[n]; of several queries the mean.

        Raises:
          ValueError: without features or single classes, or as `shadow_head_scores`.
        """
        if signals.features is None or signals.labels is None:
            raise ValueError(
                "shadow heads learn one class a record from its features; the signals stand without "
                f"{'features' if signals.features is None else 'labels of a single class'}."
            )
        attack, phi = self.attack, signals["scaled_logit"].mean(axis=1)
        width = _WIDTH if attack.features == "inputs" else None
        return _scores(phi, signals.features, signals.labels, attack.num_heads, attack.ridge, self.seed, width)


def _scores(
    phi: ArrayLike,
    features: ArrayLike,
    labels: ArrayLike,
    num_heads: int,
    ridge: float | None,
    seed: int,
    width: int | None,
) -> NDArray[np.float64]:
    """`shadow_head_scores`, on `width` random features of the columns given; None = these columns themselves."""
    _check_heads(num_heads, ridge)
    values, rows, classes = _checked(phi, features, labels)
    # One order whatever the records come in, so that seeds deal them out alike and sums round alike.
    key = rows @ np.random.default_rng([seed, 0x51]).normal(size=rows.shape[1])
    order = np.lexsort((key, classes, values))
    rows, classes = rows[order], classes[order]
    if width is not None:
        rows = _random_features(rows, min(width, max(_LEAST_WIDTH, min(len(rows), _NUMBERS // len(rows)))), seed)
    log_out = np.empty(len(rows))
    log_out[order] = _log_likelihood(_out_answers(rows, classes, num_heads, ridge, seed), classes)
    confidence = -np.logaddexp(0.0, -values)
    return rmia_scores(confidence, log_out[None], np.zeros((1, len(rows)), bool), a=0.0)


def _checked(
    phi: ArrayLike, features: ArrayLike, labels: ArrayLike
) -> tuple[NDArray[np.float64], NDArray[np.float32], NDArray[np.int64]]:
    """float64[n], float32[n, d] and the classes as 0 … c − 1, or the reason why they cannot be read."""
    values, rows = as_floats(phi, "phi"), as_plain_array(features, "features")
    given = as_plain_array(labels, "labels")
    if values.ndim != 1 or rows.ndim != 2 or len(rows) != len(values) or not rows.shape[1]:
        raise ValueError(
            f"phi has shape {values.shape} and features {rows.shape}; give (records,) and (records, columns)."
        )
    if rows.shape[1] > MAX_COLUMNS:
        raise ValueError(f"features has {rows.shape[1]:,} columns; project them to {MAX_COLUMNS:,} at most.")
    if np.isnan(values).any():
        raise ValueError(f"phi is NaN for {np.isnan(values).sum()} of {len(values)} records; leave such records out.")
    if rows.dtype.kind not in "fiub" or not np.isfinite(rows).all():
        raise ValueError(
            f"features holds values that are not finite numbers (its type is {rows.dtype}); fill or encode them."
        )
    if given.ndim == 2 and given.shape[1] > 1:
        if not (np.isin(given, (0, 1)).all() and (given.sum(axis=1) == 1).all()):
            raise ValueError(f"labels has shape {given.shape} and is not one-hot; give one class a record.")
        given = given.argmax(axis=1)
    if given.size != len(values) or given.shape[:1] != values.shape:
        raise ValueError(f"labels has shape {given.shape} for {len(values)} records; give one class a record.")
    if given.dtype.kind == "f" and (given != np.round(given)).any():
        raise ValueError("labels holds numbers that are no classes; give one whole number a record, or one-hot rows.")
    classes = group_codes(given.reshape(-1), "labels")
    num_classes = len(np.unique(classes))
    if len(values) < _LEAST_RECORDS or num_classes < 2:
        raise ValueError(
            f"{len(values)} records of {num_classes} classes are too few for heads to learn from half of them; give at least "
            f"{_LEAST_RECORDS} of two classes."
        )
    peak = float(np.abs(rows).max()) or 1.0  # what matters is the columns' ratio; squares must not overflow
    return values, (rows / peak).astype(np.float32), classes.astype(np.int64)


def _check_heads(num_heads: int, ridge: float | None) -> None:
    if not isinstance(num_heads, (int, np.integer)) or num_heads < 2 or num_heads % 2:
        raise ValueError(f"num_heads is {num_heads!r}; give an even number, as heads come in pairs of halves.")
    if ridge is not None and not 0 < ridge < np.inf:
        raise ValueError(f"ridge is {ridge!r}; give a number above 0, or None to have it chosen.")


def _random_features(rows: NDArray[np.float32], width: int, seed: int) -> NDArray[np.float32]:
    """float32[n, width]: rectified random projections, a random layer such as networks begin with."""
    rng = np.random.default_rng([seed, 0xF0])
    centre = rows.mean(axis=0, dtype=np.float64)
    norm = np.sqrt(np.mean([np.square(block - centre).sum(axis=1).mean() for block in _blocks(rows)])) or 1.0
    projection, offset = rng.normal(size=(rows.shape[1], width)) / norm, _BIAS * rng.normal(size=width)
    parts = [np.maximum((block - centre) @ projection + offset, 0).astype(np.float32) for block in _blocks(rows)]
    return np.concatenate(parts)


def _out_answers(
    rows: NDArray[np.float32], classes: NDArray[np.int64], num_heads: int, ridge: float | None, seed: int
) -> NDArray[np.float64]:
    """float64[n, c]: the mean answer of the heads that did not learn from a record."""
    rng = np.random.default_rng([seed, 0x4EAD])
    targets = np.eye(int(classes.max()) + 1)
    count = len(rows)
    total = np.zeros((count, len(targets)))
    for _ in range(num_heads // 2):
        shuffled = rng.permutation(count)
        halves = shuffled[: count // 2], shuffled[count // 2 :]
        for learn, answer in (halves, halves[::-1]):
            some = learn[:_ROWS_A_HEAD]
            known = rows[some].astype(np.float64), targets[classes[some]]
            if ridge is None:
                others = answer[:_ROWS_A_HEAD]
                ridge = best_ridge(*known, rows[others].astype(np.float64), targets[classes[others]])
            head = RidgeHead.fitted(*known, ridge)
            total[answer] += np.concatenate([head(block) for block in _blocks(rows, answer)])
    return total / (num_heads // 2)


def _log_likelihood(answers: NDArray[np.float64], classes: NDArray[np.int64]) -> NDArray[np.float64]:
    """float64[n]: log p of each record's class by a softmax of the answers, times what makes their mean largest."""
    from scipy import optimize, special

    def at(log_scale: float) -> NDArray[np.float64]:
        scaled = np.exp(log_scale) * answers
        return np.minimum(scaled[np.arange(len(scaled)), classes] - special.logsumexp(scaled, axis=1), 0.0)

    found = optimize.minimize_scalar(lambda log_scale: -at(log_scale).mean(), bounds=_LOG_SCALES, method="bounded")
    return at(float(found.x))


def _blocks(rows: NDArray[np.float32], chosen: NDArray[np.intp] | None = None) -> Iterator[NDArray[np.float64]]:
    """These rows in 64 bits, some thousands at a time."""
    count = len(rows) if chosen is None else len(chosen)
    for start in range(0, count, _ROWS_A_BLOCK):
        part = slice(start, start + _ROWS_A_BLOCK)
        yield (rows[part] if chosen is None else rows[chosen[part]]).astype(np.float64)

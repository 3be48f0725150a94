"""A scikit-learn classifier of membership: checked, seeded, scaled, and deaf to infinities."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .attack import Signals
from .random_state import own_random_state


def check_classifier(classifier: Any) -> None:
    """Nothing, if it is an unfitted scikit-learn classifier that can rank records.

    Raises:
      TypeError: otherwise.
    """
    if isinstance(classifier, type) or not all(hasattr(classifier, name) for name in ("fit", "get_params")):
        raise TypeError(f"classifier is {classifier!r}; give an instance of a scikit-learn classifier.")
    if not (hasattr(classifier, "predict_proba") or hasattr(classifier, "decision_function")):
        raise TypeError(
            f"{classifier!r} has neither predict_proba nor decision_function, so it cannot rank records "
            "(an SVC has decision_function)."
        )


# Its square is still finite, summed over all records.
_LARGEST = 1e140


@dataclass(frozen=True)
class MembershipClassifier:
    """A fitted classifier and the range of each feature that it has seen.

    Attributes:
      features: the signals it sees, in order; of several queries their mean.
      model: the fitted pipeline, scaling included.
      limits: the lowest and highest finite value of each feature: an infinite one counts as the most extreme seen.
      seed: of whatever the classifier draws when it scores.
    """

    features: tuple[str, ...]
    model: Any
    limits: tuple[NDArray[np.float64], NDArray[np.float64]]
    seed: int = 0

    @classmethod
    def fitted(
        cls, classifier: Any, features: Sequence[str], rows: NDArray[np.float64], truth: NDArray[np.bool_], seed: int
    ) -> MembershipClassifier:
        """Fits a clone of the classifier behind a scaler.

        Args:
          classifier: see `check_classifier`; a `random_state` parameter that is None is set to `seed`.
          features: the names of the columns.
          rows: float[n, features], without NaN.
          truth: bool[n], True = trained on.
          seed: see above.
        """
        with own_random_state(seed):  # a user's classifier may draw from it
            return cls._fitted(classifier, tuple(features), rows, truth, seed)

    @classmethod
    def _fitted(
        cls, classifier: Any, features: tuple[str, ...], rows: NDArray[np.float64], truth: NDArray[np.bool_], seed: int
    ) -> MembershipClassifier:
        from sklearn.base import clone
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        seeded = clone(classifier)
        unset = [key for key, value in seeded.get_params().items() if key.endswith("random_state") and value is None]
        seeded.set_params(**dict.fromkeys(unset, seed))
        # Rows may come sorted by their answers; what cuts them in consecutive parts must not see that.
        mixed = np.random.default_rng([seed, 0x3C5]).permutation(len(rows))
        rows, truth, limits = rows[mixed], truth[mixed], _finite_range(rows)
        pipeline = make_pipeline(StandardScaler(), seeded)
        with _one_thread():
            pipeline.fit(np.clip(rows, *limits), truth)
        return cls(features, pipeline, limits, seed)

    def score(self, signals: Signals) -> NDArray[np.float64]:
        """float[n]: log-odds (or whatever the classifier ranks by) that a model trained on the record."""
        rows = np.clip(columns_of(signals, self.features), *self.limits)
        with own_random_state(self.seed), _one_thread():
            if hasattr(self.model, "decision_function"):
                found = self.model.decision_function(rows)
            else:
                found = self.model.predict_proba(rows)[:, list(self.model.classes_).index(True)]
        scores = np.asarray(found, dtype=np.float64)
        if scores.shape != (len(rows),):
            raise ValueError(
                f"{self.model[-1]!r} gives scores of shape {scores.shape} for {len(rows)} records; it must give one a record."
            )
        return scores


def _one_thread() -> Any:
    """Within it OpenMP has one thread: rows are too few to share, and threads would wait for each other and for training's."""
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1, user_api="openmp")


def columns_of(signals: Signals, features: Sequence[str]) -> NDArray[np.float64]:
    """float[n, features]: these signals, averaged over queries."""
    with np.errstate(invalid="ignore", over="ignore"):
        columns = np.stack([signals[name].mean(axis=1) for name in features], axis=1)
    missing = np.flatnonzero(np.isnan(columns).any(axis=1))
    if missing.size:
        raise ValueError(
            f"signals are NaN for {missing.size} of {len(columns)} records (first: position {missing[0]}), which a classifier "
            "cannot read; leave such records out."
        )
    return columns


def _finite_range(rows: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    finite = np.isfinite(rows)
    low = np.min(rows, axis=0, where=finite, initial=np.inf)
    high = np.max(rows, axis=0, where=finite, initial=-np.inf)
    ends = np.where(np.isfinite(low), low, 0.0), np.where(np.isfinite(high), high, 0.0)
    return np.clip(ends[0], -_LARGEST, _LARGEST), np.clip(ends[1], -_LARGEST, _LARGEST)

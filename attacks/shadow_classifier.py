"""The first shadow-model attack: a classifier learns, from shadow models, what a trained-on record looks like.

It is fitted on the shadow models' answers alone, where IN and OUT are known, and then applied to the target's: no
membership of the target's records is used. Source: Shokri et al. 2017, arXiv:1610.05820.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .attack import AttackContext, check_name, check_signal
from .membership_classifier import MembershipClassifier, check_classifier
from .shadow_signals import ShadowSignals

_FEATURES = ("loss", "scaled_logit", "margin", "entropy", "modified_entropy", "correct")


@dataclass(frozen=True)
class ShadowClassifier:
    """Any scikit-learn classifier, fitted on the shadow models' answers to records they did and did not train on.

    Args:
      classifier: an unfitted scikit-learn classifier with `predict_proba` or `decision_function`; it is cloned. None = a
        logistic regression. A `random_state` parameter that is None is set from the audit's seed.
      features: the signals it sees.
      max_rows: at most so many (model, record) answers are learned from, half of them IN; drawn with the audit's seed.
      name: what to call the attack.
    Raises:
      TypeError: if it is no scikit-learn classifier.
      ValueError: on unknown signals, or too few rows.
    Source: Shokri et al. 2017, arXiv:1610.05820.
    """

    classifier: Any = None
    features: tuple[str, ...] = _FEATURES
    max_rows: int = 20_000
    name: str = "shadow_classifier"
    needs_shadows: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        if not self.features:
            raise ValueError("features is empty; name at least one signal.")
        for signal in self.features:
            check_signal(signal)
        if self.max_rows < 2:
            raise ValueError(f"max_rows is {self.max_rows}; give at least 2.")
        if self.classifier is not None:
            check_classifier(self.classifier)
        check_name(self.name)

    @property
    def signals(self) -> tuple[str, ...]:
        """The signals it reads."""
        return tuple(self.features)

    def fit(self, context: AttackContext) -> MembershipClassifier:
        """Fits the classifier on the shadow models' answers.

        Raises:
          ValueError: if the shadow models trained on all records or on none.
        """
        from sklearn.linear_model import LogisticRegression

        rows, is_in = self._rows(context.shadow_models(), context.seed)
        classifier = self.classifier if self.classifier is not None else LogisticRegression(max_iter=1_000)
        return MembershipClassifier.fitted(classifier, self.signals, rows, is_in, context.seed)

    def _rows(self, shadows: ShadowSignals, seed: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """float[rows, features] and bool[rows], as many IN as OUT."""
        rng = np.random.default_rng(seed)
        is_in = shadows.trained_on.ravel()
        sides = np.flatnonzero(is_in), np.flatnonzero(~is_in)
        most = min(self.max_rows // 2, *(len(side) for side in sides))
        if most < 1:
            raise ValueError("the shadow models trained on all audited records or on none; there is nothing to learn.")
        chosen = np.concatenate([rng.choice(side, most, replace=False) for side in sides])
        flat = [shadows[name].mean(axis=2, dtype=np.float64).ravel()[chosen] for name in self.features]
        return np.stack(flat, axis=1), is_in[chosen]

"""Trained attackers: a classifier learns from half of the records what a member's answers look like; the others judge it.

So the attacker is one who knows the membership of some records already. Where shadow models can be had, `ShadowClassifier`
learns the same without knowing any.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .attack import AttackContext, check_name
from .membership_classifier import MembershipClassifier, check_classifier, columns_of
from .random_state import own_random_state

_FEATURES = ("loss", "scaled_logit", "margin", "entropy", "modified_entropy", "correct", "top_1", "top_2", "top_3")
_NEEDED = 10  # records of each side to learn from


@dataclass(frozen=True)
class Trained:
    """Any scikit-learn classifier, fitted to records of known membership and judged on others.

    Two halves of the audited records are each scored by the classifier fitted to the other half. What it learns from is
    balanced by leaving out records of the larger side at random; features are scaled by the half that is learned from.

    Args:
      classifier: "logistic_regression", "svc", "mlp", "random_forest", "knn", "gradient_boosting", or an unfitted
        scikit-learn classifier with `predict_proba` or `decision_function`, which is cloned. A `random_state` parameter that
        is None is set from the audit's seed.
      features: the signals it sees; None = all that it is given, which in an audit are the loss, φ, margin, entropies,
        correctness and the three largest log-probabilities, as far as they fit the model's head.
      search: True to choose among a few settings (of the named classifiers) by three-fold cross-validation within the half
        that is learned from; takes about ten times as long.
      max_rows: at most so many records are learned from, half of them members, drawn with the audit's seed. None = all,
        for "svc" 4,000, whose cost grows with their square.
      name: what to call the attack; default: the classifier's name, "trained" for one of your own.
    Raises:
      TypeError: if it is no scikit-learn classifier.
      ValueError: on an unknown name, a search among the settings of a classifier of your own, or `max_rows` below 20.
    Source: Salem et al. 2019, arXiv:1806.01246 (their third adversary); Song & Mittal 2021, arXiv:2003.10595.
    """

    classifier: Any = "logistic_regression"
    features: tuple[str, ...] | None = None
    search: bool = False
    max_rows: int | None = None
    name: str = ""
    needs_examples: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        named = isinstance(self.classifier, str)
        if named and self.classifier not in _CLASSIFIERS:
            raise ValueError(
                f"classifier is {self.classifier!r}; give one of {', '.join(_CLASSIFIERS)}, or a scikit-learn classifier."
            )
        if not named:
            check_classifier(self.classifier)
            if self.search:
                raise ValueError("search= knows the named classifiers only; give a GridSearchCV of your own instead.")
        if isinstance(self.features, str) or (self.features is not None and not self.features):
            raise ValueError(
                f"features is {self.features!r}; give a tuple of at least one signal's name, or None for all."
            )
        if self.max_rows is not None and not (
            isinstance(self.max_rows, (int, np.integer)) and self.max_rows >= 2 * _NEEDED
        ):
            raise ValueError(f"max_rows is {self.max_rows}; give at least {2 * _NEEDED}, or None for all.")
        object.__setattr__(self, "name", check_name(self.name or (self.classifier if named else "trained")))

    @property
    def signals(self) -> tuple[str, ...]:
        """The signals it must have."""
        return tuple(self.features) if self.features is not None else ("loss",)

    def with_features_of(self, fitting: Collection[str]) -> Trained:
        """The same, its features named: unless they were, those of its usual ones that fit a model."""
        if self.features is not None:
            return self
        return replace(self, features=tuple(name for name in _FEATURES if name in fitting))

    def fit(self, context: AttackContext) -> MembershipClassifier:
        """Fits the classifier to the examples.

        Raises:
          ValueError: if there are none, or fewer than ten of a side.
        """
        known = context.known_examples()
        features = self.features if self.features is not None else tuple(known.signals)
        rng = np.random.default_rng([context.seed, 0x7BA1])
        chosen = _balanced(known.is_member, self._most(), rng)
        rows, truth = columns_of(known.signals, features)[chosen], known.is_member[chosen]
        with own_random_state(context.seed):  # what scikit-learn imports may draw from it
            classifier = self._made(len(rows), context.seed)
        return MembershipClassifier.fitted(classifier, features, rows, truth, context.seed)

    def _most(self) -> int | None:
        named = self.classifier if isinstance(self.classifier, str) else ""
        return self.max_rows if self.max_rows is not None else _MOST_ROWS.get(named)

    def _made(self, rows: int, seed: int) -> Any:
        if not isinstance(self.classifier, str):
            return self.classifier
        classifier = _CLASSIFIERS[self.classifier](rows)
        if not self.search:
            return classifier
        from sklearn.model_selection import GridSearchCV, StratifiedKFold

        parts = StratifiedKFold(3, shuffle=True, random_state=seed)  # rows come in the order of their answers
        return GridSearchCV(classifier, _grid(self.classifier, rows), scoring="roc_auc", cv=parts)


def _balanced(is_member: NDArray[np.bool_], most: int | None, rng: np.random.Generator) -> NDArray[np.intp]:
    """Rows to learn from, as many members as non-members."""
    sides = np.flatnonzero(is_member), np.flatnonzero(~is_member)
    count = min(len(side) for side in sides)
    if count < _NEEDED:
        raise ValueError(
            f"{len(sides[0])} members and {len(sides[1])} non-members are too few to learn from; a trained attacker needs "
            f"{_NEEDED} of each in each half."
        )
    if most is not None:
        count = min(count, most // 2)
    drawn = [side if len(side) == count else rng.choice(side, count, replace=False) for side in sides]
    return np.sort(np.concatenate(drawn))


def _logistic_regression(rows: int) -> Any:
    from sklearn.linear_model import LogisticRegression

    # Shrunk more than by default: of thousands of records it learns the same, of hundreds it learns better.
    return LogisticRegression(C=0.1, max_iter=2_000)


def _svc(rows: int) -> Any:
    from sklearn.svm import SVC

    # Softer than by default: few records are separable, and of hundreds it learns better.
    return SVC(C=0.3)


def _mlp(rows: int) -> Any:
    from sklearn.neural_network import MLPClassifier

    # Weights are shrunk until it converges without learning by heart. Early stopping, which reads the accuracy on a tenth of
    # the records, stopped before a faint signal was learned.
    return MLPClassifier((32,), alpha=2.0, learning_rate_init=3e-3, max_iter=2_000)


def _random_forest(rows: int) -> Any:
    from sklearn.ensemble import RandomForestClassifier

    # Half of the records a tree: as strong as all of them, in half the time. Of a few dozen no half is left to learn from.
    share = 0.5 if rows >= 100 else None
    return RandomForestClassifier(100, min_samples_leaf=_leaf(rows), max_samples=share)


def _knn(rows: int) -> Any:
    from sklearn.neighbors import KNeighborsClassifier

    return KNeighborsClassifier(_neighbours(rows))


def _gradient_boosting(rows: int) -> Any:
    from sklearn.ensemble import HistGradientBoostingClassifier

    # Larger trees were weaker wherever the signal was faint, trees of four leaves where only pairs of signals told.
    return HistGradientBoostingClassifier(
        max_iter=60, learning_rate=0.08, max_leaf_nodes=6, min_samples_leaf=_leaf(rows), early_stopping=False
    )


def _leaf(rows: int) -> int:
    """Records in a leaf, at least: membership is a faint signal, and small leaves learn records by heart."""
    return max(5, rows // 50)


def _neighbours(rows: int) -> int:
    """Records that are asked: 2·√rows, as five or seven would answer with noise."""
    return min(rows // 2, max(5, int(2 * np.sqrt(rows)) | 1))


_CLASSIFIERS: Mapping[str, Callable[[int], Any]] = {
    "logistic_regression": _logistic_regression,
    "svc": _svc,
    "mlp": _mlp,
    "random_forest": _random_forest,
    "knn": _knn,
    "gradient_boosting": _gradient_boosting,
}
_MOST_ROWS = {"svc": 4_000}


def _grid(name: str, rows: int) -> Mapping[str, list[Any]]:
    """A few settings to choose from."""
    grids: dict[str, Mapping[str, list[Any]]] = {
        "logistic_regression": {"C": [0.01, 0.1, 1.0]},
        "svc": {"C": [0.03, 0.3, 3.0]},
        "mlp": {"hidden_layer_sizes": [(16,), (64,)], "alpha": [0.5, 5.0]},
        "random_forest": {"min_samples_leaf": [max(2, _leaf(rows) // 4), _leaf(rows), 4 * _leaf(rows)]},
        "knn": {
            "n_neighbors": [max(1, _neighbours(rows) // 4), _neighbours(rows), min(rows // 2, 4 * _neighbours(rows))]
        },
        "gradient_boosting": {"max_leaf_nodes": [3, 12], "learning_rate": [0.03, 0.1]},
    }
    return grids[name]

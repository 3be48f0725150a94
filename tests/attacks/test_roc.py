import numpy as np
import pytest
from sklearn.metrics import roc_curve

from privacy_callbacks.attacks.roc import RocCurve


@pytest.mark.parametrize("decimals", [None, 1, 0])
def test_the_curve_is_scikit_learns(decimals):
    rng = np.random.default_rng(0)
    is_member = rng.random(300) < 0.3
    scores = rng.normal(size=300) + is_member
    if decimals is not None:
        scores = np.round(scores, decimals)
    fpr, tpr, thresholds = roc_curve(is_member, scores, drop_intermediate=False)
    curve = RocCurve.from_scores(scores, is_member)
    np.testing.assert_allclose(curve.fpr, fpr)
    np.testing.assert_allclose(curve.tpr, tpr)
    np.testing.assert_array_equal(curve.thresholds, thresholds)


def test_infinite_scores_are_ordinary_extremes():
    curve = RocCurve.from_scores([np.inf, 0.0, -np.inf], [1, 1, 0])
    np.testing.assert_array_equal(curve.true_positives, [0, 1, 2, 2])
    np.testing.assert_array_equal(curve.false_positives, [0, 0, 0, 1])


def test_scores_are_neither_changed_nor_kept_writable():
    scores = np.array([2.0, 1.0, 3.0])
    curve = RocCurve.from_scores(scores, [1, 0, 1])
    np.testing.assert_array_equal(scores, [2.0, 1.0, 3.0])
    with pytest.raises(ValueError, match="read-only"):
        curve.thresholds[0] = 0


@pytest.mark.parametrize(
    ("scores", "is_member", "message"),
    [
        ([1.0, 2.0], [1], "one score and one 0/1 flag a record"),
        ([[1.0], [2.0]], [1, 0], "both of shape"),
        ([1.0, np.nan], [1, 0], r"NaN for 1 of 2 records \(first: position 1\)"),
        ([1.0, 2.0], [1, 2], "values other than 0 and 1"),
        ([1.0, 2.0], [1, 1], "2 members and 0 non-members"),
        ([1.0, 2.0], [0, 0], "0 members and 2 non-members"),
        ([], [], "0 members and 0 non-members"),
    ],
)
def test_what_cannot_be_judged_is_refused(scores, is_member, message):
    with pytest.raises(ValueError, match=message):
        RocCurve.from_scores(scores, is_member)

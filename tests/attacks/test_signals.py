"""Every signal against a naive computation in extended precision, at its edges, and in its orientation."""

import numpy as np
import pytest

from privacy_callbacks.attacks.attack import SIGNAL_NAMES
from privacy_callbacks.attacks.signals import CLASSIFIER_SIGNALS, scaled_logit, two_class_logits


def naive(name, logits, label):
    z = np.asarray(logits, np.longdouble)
    z = z - z.max()
    weights = np.exp(z)
    p = weights / weights.sum()
    rest = np.array([np.delete(weights, j).sum() / weights.sum() for j in range(len(z))])
    others = np.arange(len(z)) != label
    return {
        "confidence": np.log(p[label]),
        "scaled_logit": np.log(p[label]) - np.log(rest[label]),
        "margin": z[label] - z[others].max(),
        "entropy": np.sum(p * np.log(p)),
        "modified_entropy": rest[label] * np.log(p[label]) + np.sum(p[others] * np.log(rest[others])),
        "correct": float(np.argmax(z) == label),
    }[name]


@pytest.mark.parametrize("name", CLASSIFIER_SIGNALS)
@pytest.mark.parametrize("classes", [2, 3, 100])
def test_a_signal_is_its_formula(name, classes):
    rng = np.random.default_rng(0)
    logits = rng.normal(0, 5, (50, classes))
    labels = rng.integers(0, classes, 50)
    expected = [naive(name, z, y) for z, y in zip(logits, labels, strict=True)]
    found = CLASSIFIER_SIGNALS[name](logits, labels).numpy()
    np.testing.assert_allclose(found, np.array(expected, float), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", CLASSIFIER_SIGNALS)
def test_a_signal_stays_finite_for_huge_logits_right_or_wrong(name):
    for logits in ([1e4, 0, -1e4], [-1e4, 1e4, 0], [30, 0, 0], [1e4, 1e4, -1e4]):
        for label in range(3):
            assert np.isfinite(CLASSIFIER_SIGNALS[name](np.float32([logits]), [label]).numpy()).all()


@pytest.mark.parametrize("name", sorted(set(CLASSIFIER_SIGNALS) - {"entropy"}))
def test_the_better_known_label_scores_higher(name):
    logits = np.array([[4.0, 1.0, 0.0]])
    known, unknown = (CLASSIFIER_SIGNALS[name](logits, [label]).numpy()[0] for label in (0, 2))
    assert known > unknown


def test_a_surer_answer_has_a_higher_negative_entropy():
    sure, unsure = CLASSIFIER_SIGNALS["entropy"](np.array([[9.0, 0, 0], [1.0, 0, 0]]), [0, 0]).numpy()
    assert 0 > sure > unsure > -np.log(3)


def test_float32_logits_do_not_saturate():
    assert scaled_logit(np.float32([[30, 0, 0]]), [0]).numpy()[0] == pytest.approx(30 - np.log(2))
    loss = -CLASSIFIER_SIGNALS["confidence"](np.float32([[20, 0, 0]]), [0]).numpy()[0]
    assert loss == pytest.approx(4.122307e-9, rel=1e-5)


@pytest.mark.parametrize("gap", [5, 25, 37, 60])
def test_a_confident_right_answer_keeps_its_digits(gap):
    """With nine others at 0 their weight is w = 9·exp(−gap); to first order entropy and Mentr are known in w."""
    logits, w = np.array([[gap, *[0] * 9]], float), 9 * np.exp(-gap)
    p, other = 1 / (1 + w), np.exp(-gap) / (1 + w)
    log_p, rest = -np.log1p(w), w / (1 + w)
    expected_entropy = p * log_p + 9 * other * (-gap + log_p)
    expected_modified = rest * log_p + 9 * other * np.log1p(-other)
    assert CLASSIFIER_SIGNALS["entropy"](logits, [0]).numpy()[0] == pytest.approx(expected_entropy, rel=1e-10)
    assert CLASSIFIER_SIGNALS["modified_entropy"](logits, [0]).numpy()[0] == pytest.approx(expected_modified, rel=1e-10)


def test_a_column_of_labels_is_refused_not_broadcast():
    with pytest.raises(ValueError, match="one label a prediction"):
        scaled_logit(np.zeros((4, 3)), np.zeros((4, 1), int))


def test_a_binary_head_is_a_two_class_head():
    z = np.array([-2.0, 0.5, 30.0])
    y = np.array([0, 0, 1])
    np.testing.assert_allclose(scaled_logit(two_class_logits(z), y).numpy(), (2 * y - 1) * z, rtol=1e-12)


def test_masked_classes_do_not_spoil_the_entropy():
    found = CLASSIFIER_SIGNALS["entropy"](np.array([[0.0, 0.0, -np.inf]]), [0]).numpy()
    np.testing.assert_allclose(found, [-np.log(2)])


def test_one_class_is_refused():
    with pytest.raises(ValueError, match="two or more"):
        scaled_logit(np.zeros((2, 1)), [0, 0])


def test_every_named_signal_has_a_formula():
    assert set(SIGNAL_NAMES) == {"loss", *CLASSIFIER_SIGNALS}

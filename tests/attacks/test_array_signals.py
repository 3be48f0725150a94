"""Signals from arrays: those of the graph, to the last digits, from logits or probabilities and labels of every shape."""

import subprocess
import sys

import numpy as np
import pytest

from privacy_callbacks.attacks import array_signals, signals
from privacy_callbacks.attacks.array_signals import signals_from_arrays
from privacy_callbacks.attacks.attack import SIGNAL_NAMES

RNG = np.random.default_rng(0)


def softmax(logits):
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def column(found, name):
    assert found[name].shape[1] == 1
    return found[name][:, 0]


@pytest.mark.parametrize("name", signals.CLASSIFIER_SIGNALS)
@pytest.mark.parametrize("classes", [2, 3, 100])
@pytest.mark.parametrize("scale", [1, 30, 1e4])
def test_every_signal_is_that_of_the_graph(name, classes, scale):
    logits, labels = RNG.normal(0, scale, (200, classes)), RNG.integers(0, classes, 200)
    if scale == 1e4:
        logits = np.sign(logits) * scale * (RNG.random(logits.shape) < 0.7)  # ties and zeros among ±1e4
    expected = signals.CLASSIFIER_SIGNALS[name](logits, labels).numpy()
    found = column(signals_from_arrays(labels, logits=logits), name)
    np.testing.assert_allclose(found, expected, rtol=1e-11, atol=1e-300)
    assert np.isfinite(found).all()


def test_both_modules_have_the_same_signals():
    assert list(array_signals.CLASSIFIER_SIGNALS) == list(signals.CLASSIFIER_SIGNALS)
    assert set(signals_from_arrays([0], logits=[[1.0, 2.0]])) == set(SIGNAL_NAMES)


def test_masked_classes_give_what_the_graph_gives():
    logits, labels = np.array([[0.0, 0.0, -np.inf], [1.0, 0.0, -np.inf]]), [0, 2]
    found = signals_from_arrays(labels, logits=logits)
    for name, formula in signals.CLASSIFIER_SIGNALS.items():
        np.testing.assert_allclose(column(found, name), formula(logits, labels).numpy(), rtol=1e-12)


def test_the_loss_is_the_cross_entropy_to_full_precision():
    """At z = (20, 0, 0) it is log(1 + 2·exp(−20)), which float32 rounds to 0."""
    found = signals_from_arrays([0, 1], logits=np.float32([[20, 0, 0], [20, 0, 0]]))
    np.testing.assert_allclose(-column(found, "loss"), [np.log1p(2 * np.exp(-20)), 20 + np.log1p(2 * np.exp(-20))])


@pytest.mark.parametrize("name", SIGNAL_NAMES)
def test_probabilities_say_what_their_logits_say(name):
    logits, labels = RNG.normal(0, 3, (300, 5)), RNG.integers(0, 5, 300)
    by_logits = signals_from_arrays(labels, logits=logits)
    by_probs = signals_from_arrays(labels, probs=softmax(logits))
    np.testing.assert_allclose(column(by_probs, name), column(by_logits, name), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("kind", [np.float64, np.float32, np.int64])
def test_probabilities_of_0_and_1_are_extremes_not_nan(kind):
    found = signals_from_arrays([0, 1, 0, 1], probs=np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 0]], kind))
    for name in SIGNAL_NAMES:
        values = column(found, name)
        assert np.isfinite(values).all()
        np.testing.assert_allclose(values[[0, 1]], values[[3, 2]])
        assert name == "entropy" or values[0] > values[1]
    binary = signals_from_arrays([1, 0, 1, 0], probs=np.array([1, 1, 0, 0], kind))
    assert np.isfinite(np.concatenate(list(binary.values()))).all()
    assert column(binary, "loss")[0] == column(binary, "loss")[3] > column(binary, "loss")[1]


def test_phi_of_probabilities_sums_the_others_and_so_does_not_saturate():
    """1 − p_y of these float32 rows rounds to 0, the sum of the others does not."""
    row = np.array([[1.0, 3e-30, 1e-30]], np.float32)
    found = column(signals_from_arrays([0], probs=row), "scaled_logit")
    np.testing.assert_allclose(found, -np.log(4e-30), rtol=1e-6)


def test_object_arrays_are_read_as_the_numbers_in_them():
    logits, labels = RNG.normal(size=(40, 3)), RNG.integers(0, 3, 40)
    expected = signals_from_arrays(labels, logits=logits)
    found = signals_from_arrays(labels.astype(object), logits=logits.astype(object))
    assert all(np.array_equal(found[name], expected[name]) for name in SIGNAL_NAMES)


def test_a_common_shift_of_logits_costs_no_digits():
    """Signals see differences of logits alone; these are exact multiples of 1/8."""
    logits, labels = RNG.integers(-80, 80, (200, 5)) / 8, RNG.integers(0, 5, 200)
    near, far = (signals_from_arrays(labels, logits=logits + shift) for shift in (0, 2.0**40))
    assert all(np.array_equal(near[name], far[name]) for name in SIGNAL_NAMES)


def test_labels_of_every_shape_mean_the_same():
    logits, labels = RNG.normal(size=(40, 3)), RNG.integers(0, 3, 40)
    expected = signals_from_arrays(labels, logits=logits)
    for same in (
        labels[:, None],
        labels.astype(np.float32),
        np.eye(3)[labels],
        np.eye(3, dtype=bool)[labels],
        list(labels),
    ):
        found = signals_from_arrays(same, logits=logits)
        assert all(np.array_equal(found[name], expected[name]) for name in SIGNAL_NAMES)
        np.testing.assert_array_equal(found.labels, labels)


@pytest.mark.parametrize("shape", [(-1,), (-1, 1)])
def test_a_binary_head_is_a_two_class_head(shape):
    z, y = RNG.normal(0, 3, 60), RNG.integers(0, 2, 60)
    expected = signals_from_arrays(y, logits=np.stack([np.zeros(60), z], axis=1))
    by_logits = signals_from_arrays(y, logits=z.reshape(shape))
    by_probs = signals_from_arrays(y.reshape(shape), probs=(1 / (1 + np.exp(-z))).reshape(shape))
    for name in SIGNAL_NAMES:
        np.testing.assert_array_equal(by_logits[name], expected[name])
        np.testing.assert_allclose(by_probs[name], expected[name], rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(column(by_logits, "scaled_logit"), (2 * y - 1) * z)


@pytest.mark.parametrize("name", SIGNAL_NAMES)
def test_a_multi_label_signal_is_the_sum_over_labels(name):
    logits, labels = RNG.normal(size=(30, 4)), RNG.integers(0, 2, (30, 4))
    alone = [signals_from_arrays(labels[:, i], logits=logits[:, i])[name] for i in range(4)]
    expected = np.mean(alone, axis=0) if name == "correct" else np.sum(alone, axis=0)
    np.testing.assert_allclose(signals_from_arrays(labels, logits=logits)[name], expected, rtol=1e-12)


def test_one_hot_rows_are_classes_unless_said_otherwise():
    logits, rows = RNG.normal(size=(20, 3)), np.eye(3)[RNG.integers(0, 3, 20)]
    one_class, several = (signals_from_arrays(rows, logits=logits, multi_label=said) for said in (None, True))
    assert not np.allclose(one_class["loss"], several["loss"])
    sigmoid_loss = np.sum(np.logaddexp(0, -(2 * rows - 1) * logits), axis=1)
    np.testing.assert_allclose(-column(several, "loss"), sigmoid_loss)
    assert several.labels is None


def test_a_known_loss_or_entropy_has_its_sign_turned_and_comes_first():
    found = signals_from_arrays(None, loss=[1.0, 2.0], entropy=[[0.5], [0.1]])
    assert set(found) == {"loss", "entropy"}
    np.testing.assert_array_equal(column(found, "loss"), [-1, -2])
    np.testing.assert_array_equal(column(found, "entropy"), [-0.5, -0.1])
    beside = signals_from_arrays([0, 1], logits=np.zeros((2, 2)), loss=[7.0, np.inf])
    np.testing.assert_array_equal(column(beside, "loss"), [-7, -np.inf])
    np.testing.assert_allclose(column(beside, "confidence"), -np.log(2))


def test_without_labels_the_entropy_remains():
    found = signals_from_arrays(None, logits=np.zeros((2, 4)))
    assert list(found) == ["entropy"]
    np.testing.assert_allclose(column(found, "entropy"), -np.log(4))


def test_a_squared_loss_is_the_mean_over_a_records_targets():
    found = signals_from_arrays([1.0, 0.0], logits=[[3.0], [0.5]], loss_function="squared")
    assert list(found) == ["loss"]
    np.testing.assert_allclose(column(found, "loss"), [-4, -0.25])
    wide = signals_from_arrays([[1.0, 2.0]], probs=[[0.0, 0.0]], loss_function="squared")
    np.testing.assert_allclose(column(wide, "loss"), [-2.5])


REFUSED = {
    "nothing": ({"labels": [0]}, "nothing to read"),
    "both answers": ({"labels": [0], "logits": [[1, 2]], "probs": [[0.5, 0.5]]}, "both given"),
    "nan logits": ({"labels": [0], "logits": [[1, np.nan]]}, "NaN or infinite for 1 records"),
    "infinite logits": ({"labels": [0], "logits": [[1, np.inf]]}, "NaN or infinite for 1 records"),
    "no finite logit": ({"labels": [0], "logits": [[-np.inf, -np.inf]]}, "NaN or infinite for 1 records"),
    "rank": ({"labels": [0], "logits": np.zeros((1, 2, 3))}, "logits has shape"),
    "length": ({"labels": [0, 1], "logits": np.zeros((3, 2))}, "2 labels were given for 3 answers"),
    "class number": ({"labels": [0, 3], "logits": np.zeros((2, 3))}, r"out of range in 1 records \(first: 3\)"),
    "negative label": ({"labels": [0, -1], "logits": np.zeros((2, 3))}, r"class numbers from 0 to 2"),
    "binary label": ({"labels": [0, 2], "logits": np.zeros(2)}, "from 0 to 1"),
    "fraction": ({"labels": [0, 0.5], "logits": np.zeros((2, 3))}, "labels hold 0.5"),
    "nan labels": ({"labels": [0, np.nan], "logits": np.zeros((2, 3))}, "labels are NaN"),
    "words": ({"labels": ["a"], "logits": np.zeros((1, 3))}, "labels has dtype"),
    "texts": ({"labels": None, "loss": ["1"]}, "loss has dtype <U1; give numbers"),
    "objects": ({"labels": None, "loss": [object()]}, "loss holds objects that are no numbers"),
    "rows": ({"labels": [0, 1], "logits": [[1, 2], [1]]}, "logits has rows of different lengths"),
    "label columns": ({"labels": np.eye(2), "logits": np.zeros((2, 3))}, "one 0/1 label a column"),
    "soft labels": ({"labels": [[2, 0, 0]], "logits": np.zeros((1, 3))}, "values other than 0 and 1"),
    "not one-hot": ({"labels": [[1, 1]], "logits": np.zeros((1, 2)), "multi_label": False}, "several 1s"),
    "not multi-hot": ({"labels": [1], "logits": np.zeros((1, 2)), "multi_label": True}, "needs 0/1 rows"),
    "no probabilities": ({"labels": [0], "probs": [[3.0, -2.0]]}, "probs range from -2 to 3"),
    "sums": ({"labels": [0], "probs": [[0.9, 0.8]]}, "sum to between 1.7 and 1.7"),
    "nan loss": ({"labels": None, "loss": [np.nan]}, "loss is NaN in 1 places"),
    "loss rank": ({"labels": None, "loss": np.zeros((1, 1, 1))}, "loss has shape"),
    "loss length": ({"labels": [0, 1], "loss": [1.0]}, "numbers of records differ"),
    "loss function": ({"labels": [0], "logits": [[1, 2]], "loss_function": "hinge"}, "loss_function is 'hinge'"),
    "no targets": ({"labels": None, "logits": [1.0], "loss_function": "squared"}, "no labels to compare"),
    "target shape": (
        {"labels": [1.0], "logits": [[1, 2]], "loss_function": "squared"},
        "targets of the answers' shape",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_read_is_refused_in_one_sentence(case):
    given, said = REFUSED[case]
    labels = given["labels"]
    with pytest.raises(ValueError, match=said):
        signals_from_arrays(labels, **{name: value for name, value in given.items() if name != "labels"})


def test_inputs_stay_as_they_are():
    given = {"logits": RNG.normal(size=(9, 3)), "loss": RNG.random(9), "entropy": RNG.random(9)}
    labels = RNG.integers(0, 3, 9)
    before = [array.copy() for array in (labels, *given.values())]
    signals_from_arrays(labels, **given)
    for array, copy in zip((labels, *given.values()), before, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("module", ["array_signals", "tf_privacy"])
def test_importing_brings_in_nothing_heavy(module):
    code = (
        f"import sys, privacy_callbacks.attacks.{module}\n"
        "assert not {'tensorflow', 'keras', 'sklearn', 'pandas'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

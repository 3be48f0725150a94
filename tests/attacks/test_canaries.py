import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from privacy_callbacks.attacks.canaries import mislabelled, random_inputs
from privacy_callbacks.attacks.canary_split import randomised_membership

N = 200


def numbered(seed=0, classes=4):
    """Inputs that tell which record they are."""
    return np.arange(N), np.random.default_rng(seed).integers(0, classes, N)


def one_hot(y, dtype):
    return np.eye(4, dtype=dtype)[y]


def test_mislabelled_canaries_are_distinct_records_with_a_wrong_label():
    x, y = numbered()
    before = y.copy()
    rows, labels = mislabelled(x, y, 150)
    assert len(np.unique(rows)) == len(rows) == len(labels) == 150
    assert (labels != y[rows]).all()
    assert set(labels) == {0, 1, 2, 3}
    np.testing.assert_array_equal(y, before)
    everyone, _ = mislabelled(x, y, N)
    np.testing.assert_array_equal(np.sort(everyone), x)


def test_wrong_labels_are_uniform_over_the_other_classes():
    x = np.arange(30_000)
    _, labels = mislabelled(x, np.full(30_000, 2), 30_000, seed=1, num_classes=4)
    counts = np.bincount(labels, minlength=4)
    assert counts[2] == 0
    assert stats.chisquare(counts[[0, 1, 3]]).pvalue > 1e-4


def test_a_seed_decides_the_canaries():
    x, y = numbered()
    np.testing.assert_array_equal(mislabelled(x, y, 9, seed=3), mislabelled(x, y, 9, seed=3))
    assert (mislabelled(x, y, 9, seed=3)[0] != mislabelled(x, y, 9, seed=4)[0]).any()


@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32", "float16", "bool"])
def test_one_hot_labels_stay_one_hot_and_of_their_type(dtype):
    x, y = numbered()
    rows, labels = mislabelled(x, one_hot(y, dtype), 60)
    assert labels.dtype == dtype
    assert (labels.sum(axis=1) == 1).all()
    assert (labels.argmax(axis=1) != y[rows]).all()


@pytest.mark.parametrize(
    "form",
    [
        lambda y: y.astype("uint8"),
        lambda y: y.astype("float32"),
        lambda y: y[:, None],
        lambda y: y - 2,
        lambda y: y % 2 == 0,
        lambda y: np.array(["ant", "bee", "cow", "dog"])[y],
        lambda y: np.array(["ant", "bee", "cow", "dog"], object)[y],
    ],
)
def test_class_numbers_and_names_keep_their_form(form):
    x, y = numbered()
    given = form(y)
    rows, labels = mislabelled(x, given, 60)
    assert labels.dtype == given.dtype
    assert labels.shape == (60, *given.shape[1:])
    assert (labels != given[rows]).all()
    assert set(labels.ravel()) <= set(given.ravel())


def test_inputs_of_a_mislabelled_canary_stay_what_they_are():
    x, y = numbered()
    inputs = {"number": tf.constant(x), "text": x.astype(str)}
    drawn, labels = mislabelled(inputs, tf.constant(y, tf.int8), 20)
    np.testing.assert_array_equal(drawn["number"].numpy().astype(str), drawn["text"])
    assert tf.is_tensor(labels)
    assert labels.dtype == tf.int8
    ragged = tf.ragged.constant([[row] * (row % 3) for row in range(N)])
    assert mislabelled(ragged, y, 20)[0].nrows() == 20


@pytest.mark.parametrize(
    ("y", "arguments", "words"),
    [
        (np.zeros(N, int), {}, "1 class occurs, so no label is wrong; say num_classes"),
        (np.zeros(N, int), {"num_classes": 1}, "1 class occurs"),
        (np.arange(N) % 4, {"num_classes": 3}, "labels run from 0 to 3; with num_classes=3"),
        (np.arange(N) % 4 - 1, {"num_classes": 4}, "labels run from -1 to 2"),
        (np.array(["a", "b"] * (N // 2)), {"num_classes": 2}, "labels run from a to b"),
        ((np.arange(N) % 4).astype("uint8"), {"num_classes": 300}, "uint8 cannot name 300 classes"),
        (np.linspace(0, 1, N), {}, "no whole numbers; targets of a regression"),
        (np.full(N, np.nan), {}, "no whole numbers"),
        (np.full((N, 2), 0.5), {}, "several columns that are not one-hot"),
        (np.ones((N, 2), int), {}, "several columns that are not one-hot"),
        (np.eye(2)[np.arange(N) % 2], {"num_classes": 3}, "num_classes is 3, but one-hot labels have 2 columns"),
        (np.zeros((N, 2, 2)), {}, r"labels have shape \(200, 2, 2\); give one class a record"),
        (np.arange(N) % 4, {"count": 0}, "count is 0; ask for one canary at least"),
        (np.arange(N) % 4, {"count": N + 1}, "count is 201, but 200 records were given"),
    ],
)
def test_labels_without_a_wrong_one_are_refused(y, arguments, words):
    with pytest.raises(ValueError, match=words):
        mislabelled(np.arange(N), y, **{"count": 5, **arguments})


def test_several_outputs_have_no_one_label():
    x, y = numbered()
    for labels in ({"a": y, "b": y}, (y, y)):
        with pytest.raises(TypeError, match="y holds several outputs; give the labels of one"):
            mislabelled(x, labels, 5)
    with pytest.raises(TypeError):
        mislabelled(x, y, 2.5)


def test_random_inputs_are_uniform_over_each_feature_s_range():
    x = np.stack([np.linspace(-1, 3, N), np.linspace(100, 101, N), np.full(N, 7.0)], axis=1)
    before = x.copy()
    inputs, labels = random_inputs((x, np.arange(N) % 3), 20_000)
    assert inputs.dtype == x.dtype
    assert inputs.shape == (20_000, 3)
    for column, low, width in ((0, -1, 4), (1, 100, 1)):
        assert stats.kstest((inputs[:, column] - low) / width, "uniform").pvalue > 1e-4
    assert (inputs[:, 2] == 7).all()
    assert abs(np.corrcoef(inputs[:, 0], inputs[:, 1])[0, 1]) < 0.03
    assert stats.chisquare(np.bincount(labels)).pvalue > 1e-4
    np.testing.assert_array_equal(x, before)


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int64", "uint64", "bool", "float16", "float32", "float64"])
def test_random_inputs_stay_in_range_and_type_up_to_the_ends_of_a_type(dtype):
    if dtype == "bool":
        ends = np.array([False, True])
    else:
        info = np.finfo(dtype) if dtype.startswith("float") else np.iinfo(dtype)
        ends = np.array([info.min, info.max], dtype)
    x = np.stack([ends, ends[::-1], ends[[0, 0]]], axis=1)
    inputs, _ = random_inputs((x, [0, 1]), 500)
    assert inputs.dtype == x.dtype
    assert (inputs >= x.min(axis=0)).all()
    assert (inputs <= x.max(axis=0)).all()
    assert len(np.unique(inputs[:, 0])) > (1 if dtype == "bool" else 50)


def test_random_images_keep_their_shape_and_constant_pixels():
    images = np.random.default_rng(0).integers(0, 256, (N, 8, 8, 1)).astype(np.uint8)
    images[:, 0] = 0
    inputs, labels = random_inputs((images, np.eye(4, dtype="float32")[np.arange(N) % 4]), 50)
    assert inputs.shape == (50, 8, 8, 1)
    assert inputs.dtype == np.uint8
    assert (inputs[:, 0] == 0).all()
    assert labels.shape == (50, 4)
    assert (labels.sum(axis=1) == 1).all()
    assert labels.dtype == np.float32


def test_random_inputs_of_a_nest_keep_its_structure():
    words = np.array([["red", "big"], ["blue", "big"], ["green", "small"]])
    x = {"words": words, "number": (tf.constant([1.0, 2.0, 4.0]), np.array([b"x", b"y", b"x"], object))}
    inputs, labels = random_inputs((x, {"a": np.array([1, 5, 5]), "b": tf.constant([[0.5], [0.1], [0.5]])}), 90)
    tf.nest.assert_same_structure(inputs, x)
    assert set(inputs["words"][:, 0]) == {"red", "blue", "green"}
    assert set(inputs["words"][:, 1]) == {"big", "small"}
    number, letter = inputs["number"]
    assert tf.is_tensor(number)
    assert number.dtype == tf.float32
    assert 1 <= float(tf.reduce_min(number)) < float(tf.reduce_max(number)) <= 4
    assert set(letter) == {b"x", b"y"}
    # Uniform over the distinct labels, however often each occurs: 45 ± 4.7 of 90.
    assert abs(np.mean(labels["a"] == 1) - 0.5) < 0.2
    assert labels["b"].shape == (90, 1)
    assert set(labels["b"].numpy().ravel()) == {np.float32(0.5), np.float32(0.1)}


def test_tensors_of_text_stay_tensors():
    text = tf.constant([["a"], ["b"], ["c"]])
    inputs, labels = random_inputs((text, text), 30)
    assert tf.is_tensor(inputs)
    assert inputs.dtype == tf.string
    assert set(labels.numpy().ravel()) == {b"a", b"b", b"c"}


def test_a_seed_decides_the_random_inputs_and_not_the_coins_that_deal_them():
    """Or the first input would tell its record's coin."""
    like = (np.linspace(0, 1, N), np.arange(N) % 2)
    for seed in range(5):
        x, y = random_inputs(like, 2_000, seed=seed)
        np.testing.assert_array_equal(x, random_inputs(like, 2_000, seed=seed)[0])
        included = randomised_membership(x, y, seed=seed).included
        assert abs(np.mean(included == (x < 0.5)) - 0.5) < 0.06


@pytest.mark.parametrize(
    ("like", "count", "error", "words"),
    [
        (np.zeros(3), 5, TypeError, r"like is a ndarray; give \(x, y\)"),
        ((np.zeros((0, 2)), np.zeros(0)), 5, ValueError, "no records were given"),
        ((np.ones((9, 2)), np.zeros(9)), 5, ValueError, "do not vary from record to record"),
        ((np.ones((1, 2)), np.zeros(1)), 5, ValueError, "do not vary"),
        ((np.array([0, np.nan, 1]), np.zeros(3)), 5, ValueError, "NaN or infinite in some places"),
        ((np.array([0, np.inf, 1]), np.zeros(3)), 5, ValueError, "NaN or infinite in some places"),
        ((np.arange(3), np.zeros(4)), 5, ValueError, r"leaves of \[3, 4\] rows"),
        ((np.arange(3), np.zeros(3)), 0, ValueError, "count is 0; ask for one canary at least"),
        ((np.arange(3) * 1j, np.zeros(3)), 5, TypeError, "inputs have dtype complex128; give numbers or text"),
        ((tf.ragged.constant([[1], [2, 3]]), [0, 1]), 5, TypeError, "a ragged array has no range a feature"),
    ],
)
def test_what_has_no_range_is_refused(like, count, error, words):
    with pytest.raises(error, match=words):
        random_inputs(like, count)

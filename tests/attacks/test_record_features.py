"""Records become finite, bounded, repeatable columns, whatever they are made of."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from privacy_callbacks.attacks.record_features import (
    MAX_COLUMNS,
    FeatureMap,
    label_classes,
    record_features,
    record_statistics,
    standardised,
)

rng = np.random.default_rng(0)
KINDS = {
    "floats": rng.normal(size=(30, 5)),
    "one column": rng.normal(size=30),
    "half floats": rng.normal(size=(30, 2, 3)).astype(np.float16),
    "images": rng.integers(0, 256, (30, 8, 8, 3)).astype(np.uint8),
    "wide images": rng.integers(0, 256, (30, 64, 64, 3)).astype(np.uint8),
    "classes": rng.integers(0, 9, 30),
    "tokens": rng.integers(0, 10_000, (30, 40)),
    "negative": rng.integers(-5, 5, (30, 3)),
    "flags": rng.random((30, 4)) < 0.3,
    "text": np.array([f"record {i % 7} says {'yes' * (i % 3)}" for i in range(30)]),
    "objects": np.array([["a", "bc"], ["", "d"]] * 15, object),
    "bytes": np.array([b"abc", b"\xff\xfe", b""] * 10, object),
    "constant": np.full((30, 3), 7.0),
    "huge and tiny": rng.normal(size=(30, 4)) * np.array([1e300, 1e-300, 1e30, 1.0]),
    "the largest": np.where(rng.random((30, 2)) < 0.5, 1, -1) * np.finfo(np.float32).max,
    "not finite": np.where(rng.random((30, 4)) < 0.2, np.nan, np.inf),
    "no columns": np.zeros((30, 0)),
}


@pytest.mark.parametrize("kind", KINDS)
def test_any_kind_gives_finite_bounded_columns_and_statistics(kind):
    leaf = KINDS[kind]
    features = record_features([leaf], seed=3)
    assert features.dtype == np.float32
    assert len(features) == 30
    assert features.shape[1] <= MAX_COLUMNS + 512
    assert np.isfinite(features).all()
    np.testing.assert_array_equal(features, record_features([leaf], seed=3))
    for name, values in record_statistics([leaf], [leaf]).items():
        assert values.shape == (30,), name
        assert np.isfinite(values).all(), name


@given(arrays.arrays(np.float64, st.tuples(st.integers(2, 9), st.integers(1, 5)), elements=st.floats(width=64)))
def test_any_float_at_all_gives_standardised_columns(leaf):
    features = record_features([leaf]).astype(np.float64)
    assert np.isfinite(features).all()
    np.testing.assert_allclose(features.mean(axis=0), 0, atol=1e-3)
    np.testing.assert_allclose(features.std(axis=0), 1, atol=1e-3)


def test_the_unit_of_a_column_does_not_matter():
    columns = rng.normal(size=(200, 3))
    np.testing.assert_allclose(
        record_features([columns]), record_features([columns * [1e30, 1e-30, -2] + [0, 0, 5]]) * [1, 1, -1], atol=1e-3
    )


def test_constant_columns_are_left_out():
    columns = np.concatenate([rng.normal(size=(50, 2)), np.full((50, 3), 1e30)], axis=1)
    assert standardised(columns).shape == record_features([columns]).shape == (50, 2)


def test_a_projection_keeps_squared_distances_on_average():
    """Random signs: E|S(a − b)|² = |a − b|². Over 1,200 pairs of 3,000 columns the mean ratio is 1 within .02."""
    leaf = rng.normal(size=(50, 3_000))
    whole = FeatureMap([leaf[:, :1_000]]).measured([leaf[:, :1_000]])
    assert whole.shape == (50, 1_000)  # narrow enough to be kept
    thirds = [FeatureMap([part]).measured([part]) for part in np.split(leaf, 3, axis=1)]
    projected = FeatureMap([leaf]).measured([leaf])
    assert projected.shape == (50, MAX_COLUMNS)
    i, j = np.triu_indices(50, 1)
    truth = sum(np.square(part[i] - part[j]).sum(axis=1) for part in thirds)
    ratio = np.square(projected[i] - projected[j]).sum(axis=1) / truth
    assert ratio.mean() == pytest.approx(1, abs=0.02)
    assert ratio.std() < 0.1  # √(2 / 1,024) = .044 for pairs that share nothing


def test_a_map_reads_each_record_alone():
    leaves = [KINDS["floats"], KINDS["tokens"], KINDS["text"], KINDS["wide images"]]
    fitted = FeatureMap(leaves, seed=1)
    some = [leaf[4:9] for leaf in leaves]
    np.testing.assert_array_equal(fitted.measured(leaves)[4:9], fitted.measured(some))
    np.testing.assert_array_equal(fitted.counted(leaves)[4:9], fitted.counted(some))


def test_counted_distances_count_edits():
    """One replaced token moves one count from a bucket to another: squared distance 2, or 0 where both share a bucket."""
    tokens = rng.integers(1, 10_000, (200, 60))
    edited = tokens.copy()
    edited[:, 0] = 10_000 + np.arange(200)
    fitted = FeatureMap([tokens])
    apart = np.square(fitted.counted([tokens]) - fitted.counted([edited])).sum(axis=1)
    assert set(apart) <= {0.0, 2.0}
    assert (apart == 2).mean() > 0.95  # 127 of 128 buckets differ


def test_padding_is_not_counted():
    tokens = np.pad(rng.integers(1, 99, (10, 20)), ((0, 0), (0, 30)))
    np.testing.assert_array_equal(FeatureMap([tokens]).counted([tokens]).sum(axis=1), 20)
    statistics = record_statistics([tokens], [])
    np.testing.assert_array_equal(statistics["number of non-zero entries of the inputs"], 20)


def test_statistics_are_what_their_names_say():
    x = np.array([[0.0, 3.0, 0.0, 1.0], [2.0, 2.0, 2.0, 2.0]])
    got = record_statistics([x, np.array(["four", b"xy"], object)], [np.array([3, 7])])
    want = {
        "mean of input 1": [1, 2],
        "spread of input 1": [np.sqrt(1.5), 0],
        "minimum of input 1": [0, 2],
        "maximum of input 1": [3, 2],
        "share of zeros in input 1": [0.5, 0],
        "length in characters of input 2": [4, 2],
        "class 3": [1, 0],
        "class 7": [0, 1],
    }
    assert got.keys() == want.keys()
    for name, values in want.items():
        np.testing.assert_allclose(got[name], values, err_msg=name)


@pytest.mark.parametrize(
    "labels",
    [
        np.array([0, 2, 1]),
        np.array([[0], [2], [1]]),
        np.eye(3)[[0, 2, 1]],
        np.array([0.0, 2.0, 1.0]),
        np.array(list("021")),
    ],
)
def test_all_forms_of_class_labels_give_the_same_classes(labels):
    names, codes = label_classes(labels)
    assert (names, codes.tolist()) == (["0", "1", "2"], [0, 2, 1])


@pytest.mark.parametrize(
    "targets", [np.array([0.1, 2.0, 3.5]), np.arange(40.0), np.array([[1, 1, 0], [0, 0, 0], [0, 1, 0]])]
)
def test_targets_and_multi_hot_rows_are_no_classes(targets):
    assert label_classes(targets) is None


def test_nothing_heavy_is_imported_and_global_random_state_stays():
    code = (
        "import sys, privacy_callbacks.attacks.record_features, privacy_callbacks.attacks.blind, "
        "privacy_callbacks.attacks.near_duplicates; "
        "sys.exit(bool({'tensorflow', 'keras', 'sklearn'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    before = np.random.get_state()[1].copy()
    record_features([KINDS["wide images"], KINDS["text"]])
    np.testing.assert_array_equal(before, np.random.get_state()[1])

"""Copies are found by their values, whatever the type they are held in."""

import ml_dtypes
import numpy as np
import pytest

from privacy_callbacks.attacks.duplicates import matching_rows, record_hashes
from privacy_callbacks.attacks.record_arrays import Records

TOKENS = np.random.default_rng(0).integers(0, 200, (50, 7))
LABELS = np.arange(50) % 3


@pytest.mark.parametrize("kind", ["int8", "uint8", "int32", "uint64", "float32", "float64", ml_dtypes.bfloat16])
def test_equal_numbers_are_equal_records(kind):
    tokens = TOKENS % 100
    ours, theirs = (tokens, LABELS), (tokens.astype(kind), LABELS.astype(kind))
    np.testing.assert_array_equal(record_hashes(ours), record_hashes(theirs))
    found = matching_rows(Records(*ours), Records(*theirs))
    np.testing.assert_array_equal(found, np.arange(50))


def test_a_hash_depends_on_the_record_alone():
    """Not on what else stands in the batch: one large number must not change how the others are read."""
    small = np.array([[1, 2], [3, 4]])
    large = np.array([[1, 2], [2**40 + 1, 4]])
    assert record_hashes((small,))[0] == record_hashes((large,))[0]


@pytest.mark.parametrize("kind", ["int64", "uint64"])
def test_large_whole_numbers_that_a_32_bit_float_rounds_stay_apart(kind):
    ids = (2**40 + np.arange(100)).astype(kind)[:, None]
    assert len(np.unique(ids.astype(np.float32))) == 1
    assert len(np.unique(record_hashes((ids,)))) == 100
    found = matching_rows(Records(ids[:1], LABELS[:1]), Records(ids[1:4], LABELS[1:4] * 0))
    assert found.tolist() == [-1]


def test_signed_and_unsigned_large_numbers_are_compared_by_value():
    ids = 2**40 + np.arange(5)[:, None]
    np.testing.assert_array_equal(record_hashes((ids,)), record_hashes((ids.astype(np.uint64),)))
    assert len(np.unique(record_hashes((np.concatenate([ids, -ids]),)))) == 10


def test_wide_and_narrow_floats_of_one_decimal_are_equal_and_so_are_zeros():
    wide = np.array([[0.1, -0.0], [0.3, 0.0]])
    np.testing.assert_array_equal(record_hashes((wide,)), record_hashes((wide.astype(np.float32) + 0,)))


def test_places_matter():
    assert len(np.unique(record_hashes((np.array([[1, 2], [2, 1], [1, 1], [2**30, 2], [2, 2**30]]),)))) == 5

"""The join on observed columns, against a loop over all pairs."""

import numpy as np
import pytest

from privacy_callbacks.range_queries import observed_join
from privacy_callbacks.range_queries.observed_join import agreeing_pairs
from privacy_callbacks.range_queries.tables import column, keys_of, num_rows


def found(x, observed, training):
    parts = list(agreeing_pairs(x, observed, training))
    assert all(part.certain.all() and len(part.rows) for part in parts)
    pairs = [(int(i), int(j)) for part in parts for i, j in zip(part.rows, part.hits, strict=True)]
    assert len(set(pairs)) == len(pairs)
    return set(pairs)


def by_brute_force(x, observed, training):
    seen = np.broadcast_to(observed, (num_rows(x), observed.shape[1]))
    columns = [(column(x, key), column(training, key)) for key in keys_of(x)]
    return {
        (i, j)
        for i in range(num_rows(x))
        for j in range(num_rows(training))
        if all(one[i] == other[j] for (one, other), looked in zip(columns, seen[i], strict=True) if looked)
    }


@pytest.fixture(params=["one block", "small blocks"])
def blocks(request, monkeypatch):
    if request.param == "small blocks":
        monkeypatch.setattr(observed_join, "_CELLS_AT_ONCE", 40)
        monkeypatch.setattr(observed_join, "_PAIRS_AT_ONCE", 5)
        monkeypatch.setattr(observed_join, "_MASKS_AT_ONCE", 3)


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("dtype", [bool, np.uint8, np.int64, np.float16, np.float32, np.float64])
@pytest.mark.parametrize("rows", [1, 20])
def test_tables_of_numbers(dtype, rows):
    rng = np.random.default_rng(rows)
    x, training = (rng.integers(0, 2, (n, 7)).astype(dtype) for n in (20, 60))
    observed = rng.random((rows, 7)) < 0.6
    wanted = by_brute_force(x, observed, training)
    assert found(x, observed, training) == wanted
    assert 0 < len(wanted) < 20 * 60


@pytest.mark.usefixtures("blocks")
def test_dicts_of_columns_of_several_types():
    rng = np.random.default_rng(0)

    def records(n, text, whole):
        return {
            "text": rng.choice(np.array(["a", "bb", "é"]), n).astype(text).reshape(-1, 1),
            "age": rng.integers(0, 3, n).astype(whole),
            "flag": rng.random(n) < 0.5,
            "share": rng.integers(0, 2, n) / np.float32(3),
        }

    x, training = records(15, object, np.int64), records(50, str, np.float32)
    training["text"][3] = "nobody has it"
    observed = rng.random((15, 4)) < 0.6
    wanted = by_brute_force(x, observed, training)
    assert found(x, observed, training) == wanted
    assert wanted


def test_bytes_are_equal_to_strings():
    x, training = np.array([[b"a", b"b"]], object), np.array([["a", "c"], ["c", "b"]])
    assert found(x, np.array([[True, False]]), training) == {(0, 0)}


def test_zero_is_minus_zero_and_nan_is_nothing():
    x, training = np.array([[0.0, 1.0]]), np.array([[-0.0, 1.0], [np.nan, 1.0], [0.0, np.nan]])
    assert found(x, np.array([[True, True]]), training) == {(0, 0)}
    assert found(x, np.array([[False, True]]), training) == {(0, 0), (0, 1)}


def test_floats_of_two_types_are_compared_in_the_less_precise_one():
    x, training = np.array([[0.1]], np.float32), np.array([[0.1], [0.10001]])
    assert found(x, np.array([[True]]), training) == {(0, 0)}
    assert found(training, np.array([[True]]), x) == {(0, 0)}


def test_large_whole_numbers_are_told_apart():
    x = np.array([[2**62, 5]])
    training = np.array([[2**62 + 1, 5], [2**62, 5], [2**62, 6]])
    assert found(x, np.array([[True, True]]), training) == {(0, 1)}


def test_what_is_not_observed_is_not_read():
    rng = np.random.default_rng(0)
    x, training = (rng.integers(0, 2, (n, 5)).astype(np.float32) for n in (10, 30))
    observed = rng.random((10, 5)) < 0.5
    changed = np.where(observed, x, np.nan).astype(np.float32)
    assert found(changed, observed, training) == found(x, observed, training)


def test_equal_sums_alone_are_no_match(monkeypatch):
    monkeypatch.setattr(observed_join, "_mixed", np.zeros_like)
    rng = np.random.default_rng(0)
    x, training = (rng.integers(0, 2, (n, 5)) for n in (10, 30))
    observed = rng.random((10, 5)) < 0.8
    assert found(x, observed, training) == by_brute_force(x, observed, training)


def test_the_hashes_of_wide_tables_stay_exact():
    rng = np.random.default_rng(0)
    training = rng.integers(0, 2, (20, 5000), dtype=np.uint8)
    x = training[:5].copy()
    observed = rng.random((5, 5000)) < 0.5
    x[~observed] ^= 1
    assert found(x, observed, training) == {(i, i) for i in range(5)}


def test_few_pairs_are_compared_cell_by_cell(monkeypatch):
    rng = np.random.default_rng(0)
    x, training = rng.integers(0, 2, (200, 60)), rng.integers(0, 2, (2000, 60))
    observed = rng.random((200, 60)) < 0.9
    compared, agree = [], observed_join._agree
    monkeypatch.setattr(observed_join, "_agree", lambda *given: compared.append(len(given[3])) or agree(*given))
    found(x, observed, training)
    assert sum(compared) < 60  # of 400,000; a sum of 18 bits collides once in about 2^18

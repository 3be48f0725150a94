"""The join of equal entries, against a brute force one."""

import numpy as np
import pytest

from privacy_callbacks.range_queries.equal_join import equal_entries, spans


def joined(ours, theirs, **options):
    return sorted(
        (int(i), int(j)) for part in equal_entries(ours, theirs, **options) for i, j in zip(*part, strict=True)
    )


@pytest.mark.parametrize("count", [1, 2, 40])
@pytest.mark.parametrize("at_once", [1, 7, 10_000])
def test_every_pair_of_equal_entries_comes_once(count, at_once):
    rng = np.random.default_rng(count)
    ours, theirs = np.sort(rng.integers(0, 9, count)), rng.integers(0, 9, 50)
    wanted = [(i, j) for i in range(count) for j in range(50) if ours[i] == theirs[j]]
    assert joined(ours, theirs, at_once=at_once) == wanted


def test_parts_are_no_larger_than_asked():
    parts = [len(rows) for rows, _ in equal_entries(np.zeros(30), np.zeros(20), at_once=64)]
    assert sum(parts) == 600
    assert max(parts) == 64


def test_strings_join_too_and_nothing_in_common_yields_nothing():
    assert joined(np.array(["a", "b"]), np.array(["b", "c", "b"])) == [(1, 0), (1, 2)]
    assert joined(np.array([1, 2]), np.array([3])) == []
    assert joined(np.array([1, 2]), np.zeros(0, int)) == []


@pytest.mark.parametrize("at_once", [1, 3, 8, 100])
def test_spans_are_laid_end_to_end(at_once):
    starts, counts = np.array([5, 2, 9, 0, 7]), np.array([2, 0, 7, 1, 0])
    parts = list(spans(starts, counts, at_once))
    assert max(len(which) for which, _ in parts) <= at_once
    found = [(int(i), int(j)) for part in parts for i, j in zip(*part, strict=True)]
    assert found == [(i, j) for i in range(5) for j in range(starts[i], starts[i] + counts[i])]


def test_no_spans_hold_nothing():
    assert list(spans(np.zeros(0, int), np.zeros(0, int))) == []
    assert list(spans(np.zeros(3, int), np.zeros(3, int))) == []

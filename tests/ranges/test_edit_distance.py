"""Pairs of token sequences within so many edits."""

import numpy as np
import pytest

from privacy_callbacks.range_queries.edit_distance import (
    Sequences,
    hamming_distances,
    levenshtein_distances,
    pairs_within_edits,
)


def levenshtein(left, right):
    """The textbook's table."""
    row = list(range(len(right) + 1))
    for number, token in enumerate(left, 1):
        above, row = row, [number]
        for place, other in enumerate(right, 1):
            row.append(min(above[place] + 1, row[-1] + 1, above[place - 1] + (token != other)))
    return row[-1]


def packed(lists):
    lengths = np.array([len(one) for one in lists], np.int64)
    tokens = np.zeros((len(lists), max(lengths, default=0)), np.int64)
    for row, one in enumerate(lists):
        tokens[row, : len(one)] = one
    return Sequences(tokens, lengths)


def random_lists(rng, count, longest, size):
    return [rng.integers(-2, size - 2, rng.integers(0, longest + 1)).tolist() for _ in range(count)]


@pytest.mark.parametrize("edits", [1, 2, 5])
def test_levenshtein_distances_up_to_the_edits_are_the_textbooks(edits):
    rng = np.random.default_rng(edits)
    left, right = random_lists(rng, 400, 9, 3), random_lists(rng, 400, 9, 3)
    wide = [packed([*side, [0] * 9]).take(slice(400)) for side in (left, right)]
    found = levenshtein_distances(*wide, edits)
    expected = np.array([levenshtein(one, other) for one, other in zip(left, right, strict=True)])
    near = expected <= edits
    assert 0 < near.sum() < 400
    np.testing.assert_array_equal(found <= edits, near)
    np.testing.assert_array_equal(found[near], expected[near])


def test_hamming_distances_are_of_one_length():
    left, right = packed([[1, 2, 3], [1, 2], [5, 5, 5]]), packed([[1, 2, 4], [1, 2, 3], [6, 5, 6]])
    left = Sequences(np.pad(left.tokens, ((0, 0), (0, 0))), left.lengths)
    found = hamming_distances(left, right, 2)
    assert found[[0, 2]].tolist() == [1, 2]
    assert found[1] > 1000


@pytest.mark.parametrize("distance", ["levenshtein", "hamming"])
@pytest.mark.parametrize(("edits", "longest", "size"), [(1, 6, 3), (2, 25, 40), (4, 3, 2), (3, 12, 2)])
def test_pairs_are_those_of_brute_force(monkeypatch, distance, edits, longest, size):
    from privacy_callbacks.range_queries import edit_distance

    monkeypatch.setattr(edit_distance, "_QUERY_ROWS", 13)
    monkeypatch.setattr(edit_distance, "_TRAINING_ROWS", 17)
    monkeypatch.setattr(edit_distance, "_PAIR_CELLS", 200)
    rng = np.random.default_rng(longest)
    left, right = random_lists(rng, 40, longest, size), random_lists(rng, 50, longest, size)
    right[:30] = [one[1:] + [7] * (row % 2) for row, one in enumerate(left[:30])]
    found = np.zeros((40, 50), bool)
    for rows, hits in pairs_within_edits(packed(left), packed(right), edits, distance):
        assert not found[rows, hits].any()
        found[rows, hits] = True
    for row, one in enumerate(left):
        for hit, other in enumerate(right):
            if distance == "levenshtein":
                expected = levenshtein(one, other) <= edits
            else:
                expected = len(one) == len(other) and sum(a != b for a, b in zip(one, other, strict=True)) <= edits
            assert found[row, hit] == expected, (one, other)


def test_few_pairs_of_long_sequences_are_compared(monkeypatch):
    from privacy_callbacks.range_queries import edit_distance

    compared = []
    own = edit_distance.levenshtein_distances
    monkeypatch.setattr(
        edit_distance,
        "levenshtein_distances",
        lambda left, right, edits: compared.append(len(left.lengths)) or own(left, right, edits),
    )
    rng = np.random.default_rng(0)
    training = rng.zipf(1.3, (2000, 120)) % 5000
    queries = training[:50].copy()
    queries[:, 60] = -1
    sides = (Sequences(side, np.full(len(side), 120, np.int64)) for side in (queries, training))
    found = [np.stack(pair) for pair in pairs_within_edits(*sides, 2, "levenshtein")]
    assert np.concatenate(found, axis=1).tolist() == [list(range(50))] * 2
    assert sum(compared) < 1000  # of 100,000


def test_nothing_on_a_side_gives_no_pairs():
    assert list(pairs_within_edits(packed([[1]]), packed([]), 1, "hamming")) == []
    (found,) = pairs_within_edits(packed([[], [1]]), packed([[]]), 1, "levenshtein")
    assert found[0].tolist() == [0, 1]

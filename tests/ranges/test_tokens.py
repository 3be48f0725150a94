"""Ranges of texts with a few edits."""

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats

from privacy_callbacks.range_queries.base_range import RangeRecords
from privacy_callbacks.range_queries.tokens import Tokens

RNG = np.random.default_rng(0)
WORDS = ["red", "green", "blue", "grey", "pink"]


def rows(n=50, length=12):
    """int32[n, length] in 1 … 19, of many lengths, 0 = padding."""
    x = RNG.integers(1, 20, (n, length)).astype(np.int32)
    x[np.arange(length) >= RNG.integers(0, length + 1, n)[:, None]] = 0
    return x


X = rows()
TEXTS = np.array([" ".join(RNG.choice(WORDS, RNG.integers(0, 9))) for _ in range(50)])
CASES = [
    (Tokens(3, 20), X),
    (Tokens(3, edit="drop"), X),
    (Tokens(2, edit="mask", mask_token=99), X),
    (Tokens(3, 20, up_to=True), X),
    (Tokens(2, WORDS), TEXTS),
    (Tokens(2, edit="drop", up_to=True), TEXTS),
    (Tokens(2, edit="mask", mask_token="[MASK]"), TEXTS[:, None]),
]
IDS = ["replace", "drop", "mask", "up to", "words", "drop words", "mask words"]


def edited(given, x, q=6, seed=3):
    points = given.sample(x, q, seed)
    assert points.shape == (len(x), q, *x.shape[1:])
    return points


def split(text):
    return (text.decode() if isinstance(text, bytes) else text).split()


class TestTokenRows:
    @pytest.mark.parametrize("edits", [1, 3, 40])
    def test_exactly_so_many_tokens_are_replaced_by_others(self, edits):
        points = edited(Tokens(edits, 20), X)
        counts = (X != 0).sum(axis=1)
        assert points.dtype == np.int32
        assert ((points != X[:, None]).sum(axis=2) == np.minimum(edits, counts)[:, None]).all()
        assert ((points == 0) == (X[:, None] == 0)).all()
        assert points.max() < 20

    def test_padding_is_found_wherever_it_stands(self):
        x = np.array([[0, 0, 5, 0, 6]], np.int64)
        points = edited(Tokens(1, [7, 8], padding=0), x, 200)[0]
        changed = np.argmax(points != x, axis=1)
        assert set(changed) == {2, 4}
        assert 60 < (changed == 2).sum() < 140

    def test_without_padding_every_token_counts(self):
        points = edited(Tokens(4, 9, padding=None), np.zeros((3, 4), np.uint8))
        assert (points != 0).all()
        assert points.dtype == np.uint8

    def test_places_and_replacements_are_uniform(self):
        x = np.tile(np.arange(1, 7), (4000, 1))
        points = Tokens(2, 10).sample(x, 1, seed=1)[:, 0]
        changed = points != x
        _, pairs = np.unique(changed @ (1 << np.arange(6)), return_counts=True)
        assert len(pairs) == 15
        assert stats.chisquare(pairs).pvalue > 1e-3
        third = points[changed[:, 2], 2]  # of 1 … 9 it was 3
        values, times = np.unique(third, return_counts=True)
        assert values.tolist() == [1, 2, 4, 5, 6, 7, 8, 9]
        assert stats.chisquare(times).pvalue > 1e-3

    def test_a_token_outside_of_the_vocabulary_may_become_any_of_it(self):
        points = Tokens(1, [3, 4, 5]).sample(np.full((3000, 1), 9), 1)
        _, times = np.unique(points, return_counts=True)
        assert len(times) == 3
        assert stats.chisquare(times).pvalue > 1e-3

    def test_up_to_so_many_is_uniform_in_how_many(self):
        x = np.tile(np.arange(1, 7), (3000, 1))
        counts = (Tokens(3, 10, up_to=True).sample(x, 1)[:, 0] != x).sum(axis=1)
        assert stats.chisquare(np.bincount(counts)[1:]).pvalue > 1e-3

    def test_dropping_keeps_the_order_and_fills_with_padding(self):
        points = edited(Tokens(3, edit="drop"), X)
        for x, own in zip(X, points, strict=True):
            tokens = x[x != 0].tolist()
            for point in own:
                kept = point[point != 0].tolist()
                assert len(kept) == (max(1, len(tokens) - 3) if tokens else 0)
                assert (point[len(kept) :] == 0).all()
                rest = iter(tokens)
                assert all(token in rest for token in kept)  # a subsequence

    def test_padding_may_stand_at_the_start(self):
        (points,) = edited(Tokens(1, edit="drop", padded="start"), np.array([[0, 1, 2, 3]]), 30)
        assert {tuple(point) for point in points.tolist()} == {(0, 0, 2, 3), (0, 0, 1, 3), (0, 0, 1, 2)}

    def test_masks_stand_where_tokens_stood(self):
        points = edited(Tokens(2, edit="mask", mask_token=99), X)
        assert ((points == 99).sum(axis=2) == np.minimum(2, (X != 0).sum(axis=1))[:, None]).all()
        assert ((points == X[:, None]) | (points == 99)).all()

    def test_of_a_nest_one_leaf_is_edited(self):
        nest = {"tokens": X, "mask": X != 0}
        points = Tokens(1, 20, leaf="tokens").sample(nest, 2)
        np.testing.assert_array_equal(points["mask"][:, 1], X != 0)
        assert (points["tokens"] != X[:, None]).any()
        np.testing.assert_array_equal(Tokens(1, 20, leaf=1).sample((X != 0, X), 2)[1], points["tokens"])


class TestTexts:
    def test_so_many_words_are_replaced_by_others(self):
        for text, own in zip(TEXTS, edited(Tokens(2, WORDS), TEXTS), strict=True):
            words = text.split()
            for point in own:
                assert sum(a != b for a, b in zip(words, split(point), strict=True)) == min(2, len(words))
                assert set(split(point)) <= set(WORDS)

    def test_words_are_dropped_in_place(self):
        points = edited(Tokens(1, edit="drop"), np.array(["a  b\tc"]), 40)[0]
        assert set(points) == {b"a b", b"a c", b"b c"}

    def test_masks_are_words(self):
        points = edited(Tokens(1, edit="mask", mask_token="[MASK]"), np.array([["a b"]]), 40)[0]
        assert set(points.ravel()) == {b"[MASK] b", b"a [MASK]"}

    def test_empty_texts_stay(self):
        for given in (Tokens(2, WORDS), Tokens(2, edit="drop")):
            assert set(edited(given, np.array(["", " "])).ravel()) == {b""}

    def test_words_of_other_alphabets_are_words(self):
        points = edited(Tokens(1, ["größe", "日本"]), np.array(["größe"]), 5)
        assert {point.decode() for point in points.ravel()} == {"日本"}


class TestInGraphs:
    @pytest.mark.parametrize(("given", "x"), CASES, ids=IDS)
    def test_points_are_the_same_in_a_graph_in_whatever_chunk(self, given, x):
        traced = []

        @tf.function
        def drawn(part, index, first):
            traced.append(1)
            return given.draw(part, 6, index, 3, first)

        whole = given.sample(x, 6, 3)
        spec = tf.TensorSpec([None, *x.shape[1:]], tf.convert_to_tensor(x).dtype)
        ask = drawn.get_concrete_function(spec, tf.TensorSpec([], tf.int32), tf.TensorSpec([], tf.int32))
        for index in range(6):
            part = ask(tf.convert_to_tensor(x[30:40]), tf.constant(index), tf.constant(30))
            np.testing.assert_array_equal(part, whole[30:40, index])
        assert len(traced) == 1

    @pytest.mark.parametrize(("given", "x"), CASES, ids=IDS)
    def test_they_serve_a_data_set(self, given, x):
        data = tf.data.Dataset.from_tensors(x).map(lambda part: given.sample(part, 4, seed=1))
        np.testing.assert_array_equal(data.get_single_element(), given.sample(x, 4, seed=1))


class TestProposals:
    def test_they_are_asked_once_a_point_with_the_places_that_will_be_edited(self):
        asked = []

        def propose(sequences, places):
            asked.append((sequences, places))
            return [
                [[100 + place, row[place], 200 + place] for place in own]
                for row, own in zip(sequences, places, strict=True)
            ]

        x = rows(9)
        bound = Tokens(2, propose=propose).at(RangeRecords(x))
        draw = tf.function(lambda part, index, first: bound.draw(part, 3, index, 5, first))
        points = np.stack([draw(tf.constant(x), tf.constant(i), tf.constant(0)).numpy() for i in range(3)], axis=1)
        part = draw(tf.constant(x[4:7]), tf.constant(1), tf.constant(4))
        np.testing.assert_array_equal(part, points[4:7, 1])
        assert len(asked) == 3
        for index, (sequences, places) in enumerate(asked):
            assert places.shape == (9, 2)
            np.testing.assert_array_equal(sequences, x)
            for row, own in enumerate(places):
                changed = np.flatnonzero(points[row, index] != x[row])
                assert sorted(own[own >= 0]) == changed.tolist()
                assert all(points[row, index, place] - place in (100, 200) for place in changed)

    def test_they_serve_texts(self):
        def propose(texts, places):
            return [[["kite"] for _ in own] for own in places]

        points = Tokens(1, propose=propose).sample(np.array(["a b", "", "kite"]), 30)
        assert set(points[0]) == {b"kite b", b"a kite"}
        assert set(points[1]) == {b""}
        assert set(points[2]) == {b"kite"}  # nothing else was proposed

    def test_tensors_alone_cannot_be_proposed_for(self):
        with pytest.raises(ValueError, match="bind the range to them"):
            Tokens(1, propose=lambda texts, places: []).sample(tf.constant(X), 2)

    def test_too_few_candidates_are_refused(self):
        with pytest.raises(ValueError, match="propose returned candidates for 1 sequences of 50"):
            Tokens(1, propose=lambda texts, places: [[]]).sample(X, 2)


class TestTruth:
    @pytest.mark.parametrize(("given", "x"), CASES, ids=IDS)
    def test_points_as_training_records_lie_in_the_range(self, given, x):
        points = given.sample(x, 1)[:, 0]
        assert given.contains(x, points).all()
        bound = given.at(RangeRecords(x))
        found = {(row, hit) for part in bound.pairs(x, points) for row, hit in zip(part.rows, part.hits, strict=True)}
        assert {(row, row) for row in range(50)} <= found

    def test_hamming_asks_for_as_many_tokens_wherever_padding_is(self):
        x, training = np.array([[1, 2, 3, 0]]), np.array([[0, 1, 9, 3], [1, 2, 0, 0], [1, 2, 3, 4], [9, 9, 3, 0]])
        (part,) = Tokens(1, 10).pairs(x, training)
        assert part.hits.tolist() == [0]
        assert part.certain.all()
        (part,) = Tokens(1, 10, distance="levenshtein").pairs(x, training)
        assert part.hits.tolist() == [0, 1, 2]

    def test_words_are_compared_in_bytes_or_text(self):
        x, training = np.array(["the cat sat", "a"]), np.array([b"the  cat", b"the dog ran"], object)
        assert Tokens(1, edit="drop").contains(x, training).tolist() == [True, False]
        assert Tokens(2, WORDS).contains(x, training).tolist() == [True, False]


class TestRefusals:
    @pytest.mark.parametrize(
        ("arguments", "said"),
        [
            ({"edits": 0, "vocabulary": 5}, "edits is 0"),
            ({"edits": 1.5, "vocabulary": 5}, "edits is 1.5"),
            ({"edits": 1}, "with no vocabulary and no propose"),
            ({"edits": 1, "edit": "drop", "vocabulary": 5}, "edit is 'drop' with a vocabulary"),
            ({"edits": 1, "edit": "mask"}, "mask_token None"),
            ({"edits": 1, "edit": "swap"}, "edit is 'swap'; give one of 'replace'"),
            ({"edits": 1, "vocabulary": 5, "distance": "l2"}, "distance is 'l2'"),
            ({"edits": 1, "vocabulary": 5, "padded": "left"}, "padded is 'left'"),
            ({"edits": 1, "vocabulary": 2}, "vocabulary has 1 different entries"),
            ({"edits": 1, "vocabulary": ["a", "a"]}, "1 different entries among 2"),
            ({"edits": 1, "vocabulary": ["a b", "c"]}, "no single words"),
            ({"edits": 1, "vocabulary": 0.5}, "give a list of words or tokens"),
        ],
    )
    def test_arguments_that_do_not_fit_are_refused(self, arguments, said):
        with pytest.raises(ValueError, match=said):
            Tokens(**arguments)

    @pytest.mark.parametrize(
        ("given", "x", "said"),
        [
            (Tokens(1, 5), X.astype(np.float32), "are no tokens"),
            (Tokens(1, 5), X[0], "give whole numbers"),
            (Tokens(1, 5), TEXTS, "vocabulary holds 1, the inputs are texts"),
            (Tokens(1, WORDS), X, "vocabulary holds 'red', the inputs are whole numbers"),
            (Tokens(1, edit="mask", mask_token="?"), X, "mask_token holds '\\?'"),
            (Tokens(1, edit="drop", padding=None), X, "give padding="),
            (Tokens(1, 5), {"a": X, "b": X}, "say by leaf="),
            (Tokens(1, 5, leaf="c"), {"a": X, "b": X}, r"leaf is 'c', but inputs are \['a', 'b'\]"),
            (Tokens(1, 5, leaf=2), (X, X), "count from 0"),
        ],
    )
    def test_inputs_that_do_not_fit_are_refused(self, given, x, said):
        with pytest.raises(ValueError, match=said):
            given.sample(x, 2)

    def test_training_records_of_another_kind_are_refused(self):
        with pytest.raises(ValueError, match="give one kind"):
            Tokens(1, 5).contains(X, TEXTS)


def test_the_digest_says_what_they_are():
    given = [
        *(Tokens(1, 5), Tokens(2, 5), Tokens(1, 6), Tokens(1, WORDS), Tokens(1, 5, up_to=True), Tokens(1, edit="drop")),
        *(Tokens(1, 5, distance="levenshtein"), Tokens(1, propose=lambda a, b: a), Tokens(1, 5, padding=None)),
    ]
    assert len({one.digest for one in given}) == len(given)
    assert Tokens(1, 5) == given[0]


def test_no_global_random_state_is_touched():
    import random

    numpy_state, python_state = np.random.get_state()[1].copy(), random.getstate()
    Tokens(2, 20).sample(X, 3)
    assert (np.random.get_state()[1] == numpy_state).all()
    assert random.getstate() == python_state

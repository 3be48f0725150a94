"""Which records lie within queries, block by block; which point of which range is asked."""

from types import SimpleNamespace

import numpy as np
import tensorflow as tf
from ranges.small_ranges import Cube, Steps

from privacy_callbacks import AuditSet
from privacy_callbacks.attacks import AttackContext, ShadowSignals, Signals, Threshold, true_membership
from privacy_callbacks.attacks.record_arrays import Records
from privacy_callbacks.attacks.record_source import open_source
from privacy_callbacks.attacks.true_membership import Pairs, QueryTruth, found_within, rows_within, trained_within
from privacy_callbacks.range_queries import keep_tuning
from privacy_callbacks.range_queries.base_range import RangeRecords
from privacy_callbacks.range_queries.ramia import RaMIA
from privacy_callbacks.range_queries.range_points import RangePoints, RangeRelation, moved_centres


class SameId:
    """Queries 0 … 4 hold the records whose id is theirs; pairs come in two parts, queries descending."""

    centres = None
    shared = False
    others = None

    def pairs(self, records, ids):
        for half in (slice(None, None, 2), slice(1, None, 2)):
            hits = np.arange(len(records))[half]
            hits = hits[np.argsort(-ids[hits], kind="stable")]
            yield Pairs(ids[hits], hits, np.ones(len(hits), bool))


def many(count=50):
    ids = np.random.default_rng(0).integers(0, 5, count)
    return Records(np.arange(count, dtype=np.float32)[:, None], np.zeros(count, int)), ids


def test_who_lies_within_does_not_depend_on_blocks(monkeypatch):
    records, ids = many()
    monkeypatch.setattr(true_membership, "_RECORDS_AT_ONCE", 7)
    rows, hits = rows_within(SameId(), records, ids)
    assert (np.diff(rows) >= 0).all()
    np.testing.assert_array_equal(ids[hits], rows)
    assert sorted(hits) == list(range(50))
    assignment = np.random.default_rng(1).random((4, 50)) < 0.1
    expected = np.stack([[(trained & (ids == query)).any() for query in range(5)] for trained in assignment])
    np.testing.assert_array_equal(trained_within(assignment, (rows, hits), 5), expected)


def test_owners_follow_their_records_through_blocks(monkeypatch):
    records, _ = many()
    ids = np.minimum(np.arange(50) // 12, 3)  # query 4 holds none, query 3 only records of late blocks
    monkeypatch.setattr(true_membership, "_RECORDS_AT_ONCE", 7)
    source = open_source(tf.data.Dataset.from_tensor_slices(tuple(records[:2])).batch(5), "records")
    np.testing.assert_array_equal(found_within(SameId(), source, ids, 5).inside, [True] * 4 + [False])


def test_of_unions_the_complement_is_the_one_of_the_deal():
    """Ranges of two pool records each: halves of a pair cover all, others leave some out."""
    from privacy_callbacks.attacks.shadow_assignment import balanced_assignment, complement_of

    rng = np.random.default_rng(0)
    assignment = balanced_assignment(8, 400, seed=1)
    held = trained_within(assignment, (np.repeat(np.arange(300), 2), rng.integers(0, 400, 600)), 300)
    assert [complement_of(held, model) for model in range(8)] == [1, 0, 3, 2, 5, 4, 7, 6]


def test_a_model_that_trained_in_every_range_is_nobodys_complement():
    from privacy_callbacks.attacks.shadow_assignment import complement_of

    held = np.array([[1, 1, 1, 1], [1, 0, 1, 0], [0, 1, 1, 1]], bool)
    assert complement_of(held, 1) == 2


def test_a_surrogate_brings_its_own_answers_about_the_population():
    rng = np.random.default_rng(0)
    halves = rng.random((2, 20)) < 0.5
    trained_on = np.stack([halves, ~halves], axis=1).reshape(4, 20)
    population = np.arange(4, dtype=float)[:, None, None] * np.ones((4, 5, 1))
    shadows = ShadowSignals({"loss": rng.normal(size=(4, 20, 3))}, trained_on, {"loss": population})
    seen = []

    def score(known, signals):
        seen.append(float(known.population["loss"][0, 0]))
        assert float(known.shadows.population["loss"].min()) not in seen[-1:]
        return signals["loss"]

    keep_tuning.tuned_keep(score, AttackContext(Signals({"loss": np.full((5, 1), 9.0)}), shadows=shadows))
    assert seen == [0.0, 2.0]


def test_an_attack_that_learns_learns_what_ranges_hold():
    """Half of the non-members' ranges hold a training record: examples must say so."""
    from privacy_callbacks.judging import scored

    x = np.random.default_rng(0).normal(size=(80, 3)).astype(np.float32)
    audit_set = AuditSet((x[:40], np.zeros(40, int)), (x[40:], np.zeros(40, int)))
    inside = np.arange(80) < 60
    truth = QueryTruth(inside, np.arange(80) != 5, audit_set.is_member & inside, inside & ~audit_set.is_member)
    seen = []

    class Learning:
        name, signals, needs_examples = "learning", ("loss",), True

        def fit(self, context):
            known = context.examples
            seen.append((known.signals["loss"][:, 0], known.is_member))
            return SimpleNamespace(score=lambda signals: signals["loss"][:, 0])

    scored(Learning(), Signals({"loss": np.arange(80.0)[:, None]}), audit_set, AttackContext(), truth)
    rows = np.concatenate([values for values, _ in seen]).astype(int)
    np.testing.assert_array_equal(np.concatenate([known for _, known in seen]), inside[rows])
    assert sorted(rows) == [row for row in range(80) if row != 5]


def test_slices_of_the_users_follow_the_truth_of_ranges_and_leave_out_the_unknown():
    from privacy_callbacks.attacks.slices import Slice
    from privacy_callbacks.judging import ScoredRecords, judged

    x = np.random.default_rng(0).normal(size=(80, 3)).astype(np.float32)
    audit_set = AuditSet((x[:40], np.zeros(40, int)), (x[40:], np.zeros(40, int)))
    inside, known = np.arange(80) < 60, np.arange(80) % 8 != 0
    exact = np.arange(80) < 30
    truth = QueryTruth(inside & known, known, exact & known, inside & ~audit_set.is_member)
    given = ScoredRecords(np.random.default_rng(1).normal(size=80), None)
    whole, part, *kinds = judged(
        "a", Threshold("loss"), given, audit_set, [Slice("all", np.ones(80, bool))], 0, (), truth
    )
    for report in (whole, part):
        assert (report.num_members, report.num_nonmembers) == (
            int((inside & known).sum()),
            int((~inside & known).sum()),
        )
    assert [report.num_nonmembers for report in kinds] == [int((~inside & known).sum())] * 2


def test_centres_and_points_are_drawn_apart():
    """With one stream for both, point 0 would lie twice as far in the very direction in which the centre was moved."""
    x, y = np.random.default_rng(0).normal(size=(200, 6)).astype(np.float32), np.zeros(200, int)
    placed = RaMIA(Threshold("loss"), Cube(0.2), 2, centre=Cube(0.2)).at(x, y)
    moved = placed.relation.centres.x - x
    point = placed.points(tf.constant(x), 0, 0).numpy() - placed.relation.centres.x
    assert abs(np.corrcoef(moved.ravel(), point.ravel())[0, 1]) < 0.1


class Labelled(Cube):
    """Labels 0, 1, 2 in turn; points are others' records or x itself."""

    def label_index(self, q, index, seed, rows, first=0):
        return tf.fill([rows], tf.cast(index % 3, tf.int64))


def test_labels_and_others_go_by_points_not_by_queries_of_the_attack_within():
    x, y = np.zeros((4, 2), np.float32), np.zeros(4, int)
    bound = Labelled(0.1)
    object.__setattr__(bound, "others", Records(np.arange(6, dtype=np.float32)[:, None], np.zeros(6, int)))
    object.__setattr__(bound, "label_values", np.arange(3))
    object.__setattr__(bound, "chosen", lambda centres, q, seed: np.tile(np.arange(3), (4, 1)))
    points = RangePoints(bound, RangeRecords(x, y), 3, 0, inner=(tf.identity, tf.negative))
    np.testing.assert_array_equal(points.chosen[0], [0, 0, 1, 1, 2, 2])
    assert [int(points.label_index(index, 1, 0)[0]) for index in range(6)] == [0, 0, 1, 1, 2, 2]


def test_a_truth_differs_with_labels_and_owners():
    x = np.zeros((4, 2), np.float32)
    relations = [
        RangeRelation(Cube(0.1), RangeRecords(x, y, ids))
        for y in (np.zeros(4), np.ones(4))
        for ids in (None, np.arange(4))
    ]
    assert len(set(relations)) == 4


def test_variations_of_an_enumerated_range_are_all_taken():
    found = moved_centres(RangeRecords(np.zeros((300, 1), np.float32)), Steps(3), 0).x[:, 0]
    for most in range(3):
        assert set(found[most::3]) == set(range(most + 1))

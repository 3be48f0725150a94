"""Range attacks from records to reports: what each part is told, and what it is not."""

import warnings
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from ranges.small_ranges import Cube

from privacy_callbacks import AuditSet, AuditWarning, audit_ranges, range_curve
from privacy_callbacks.attacks import AttackContext, Signals, Threshold
from privacy_callbacks.attacks.true_membership import QueryTruth
from privacy_callbacks.range_queries.point import Point
from privacy_callbacks.range_queries.ramia import RaMIA
from privacy_callbacks.range_queries.same_owner import SameOwner
from privacy_callbacks.range_queries.unlearned_neighbourhood import forgotten_neighbours


def records(count=60, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(count, 6)).astype(np.float32), rng.integers(0, 3, count)


@pytest.fixture(scope="module")
def model():
    made = keras.Sequential([keras.Input((6,)), keras.layers.Dense(3)])
    made.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return made


def test_ranges_of_one_owner_share_a_half():
    from privacy_callbacks.judging import scored

    x = np.random.default_rng(0).normal(size=(80, 3)).astype(np.float32)
    owners = np.arange(40) // 4, 100 + np.arange(40) // 4
    audit_set = AuditSet((x[:40], np.zeros(40, int)), (x[40:], np.zeros(40, int)), ids=owners)
    truth = QueryTruth(audit_set.is_member, np.arange(80) != 0, audit_set.is_member, np.zeros(80, bool))
    attack = SimpleNamespace(
        name="learning",
        signals=("loss",),
        needs_examples=True,
        fit=lambda context: SimpleNamespace(score=lambda signals: signals["loss"][:, 0]),
    )
    fold = scored(attack, Signals({"loss": np.arange(80.0)[:, None]}), audit_set, AttackContext(), truth).fold
    for owner in np.unique(audit_set.ids):
        assert len(set(fold[(audit_set.ids == owner) & truth.known])) == 1


def test_points_that_are_others_records_do_not_carry_the_audited_ones_labels():
    """The held-out records of an owner have labels of their own."""
    seen = []

    class Reading:
        name, signals = "reading", ("loss",)

        def fit(self, context):
            def score(signals):
                seen.append(signals.labels)
                return signals["loss"][:, 0]

            return SimpleNamespace(score=score)

    x, y = records(4)
    for around, known in ((Cube(0.1), True), (SameOwner(*records(8, 1), np.arange(8) // 2), False)):
        placed = RaMIA(Reading(), around, 2).at(x, y, np.arange(4))
        placed.fit(AttackContext()).score(Signals({"loss": np.zeros((4, 2))}).beside(labels=np.arange(4)))
        assert (seen[-1] is not None) == known


def test_ranges_of_which_it_is_not_known_whether_they_hold_a_retain_or_forget_record_are_left_out(model):
    forget, retain, never_seen = records(20), records(20, seed=2), records(20, seed=1)
    retain[0][:5] = forget[0][:5] + 0.15  # in the margin
    never_seen[0][:3] = forget[0][5:8] + 0.15
    found = forgotten_neighbours({"before": model}, forget, never_seen, retain, Cube(0.1, 0.1), Threshold("loss"))
    assert found.excluded == (5 + 3, 3)  # of the pairs in the margin both


def test_the_table_says_the_truth_of_ranges_and_where_it_is_not_known(model):
    members, nonmembers = records(100), records(100, seed=1)
    nonmembers[0][:60], nonmembers[1][:60] = members[0][:60] + 0.05, members[1][:60]
    nonmembers[0][60:70] = members[0][60:70] + 0.15
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AuditWarning)
        attack = RaMIA(Threshold("loss"), Cube(0.1, 0.1), 2)
        ranges = audit_ranges(model, members, nonmembers, attack, blind_baseline=False).ranges
    assert ranges.holds_training_record.isna().sum() == 10
    assert ranges.member_probability[ranges.holds_training_record.isna()].isna().all()
    assert ranges.holds_training_record[~ranges.member_centre].sum() == 60


def test_probabilities_in_the_table_are_those_of_ranges(model):
    """The score is the truth of ranges, plus little: the probability follows it, not the side of the centre."""
    from privacy_callbacks.range_audit import _table

    truth = np.arange(400) < 360
    audit_set = SimpleNamespace(ids=np.arange(400), is_member=np.arange(400) < 200)
    known = QueryTruth(truth, np.ones(400, bool), truth, truth & ~audit_set.is_member)
    table = _table("a", known, truth + 1e-3 * np.random.default_rng(0).random(400), audit_set, 0)
    assert table.member_probability[200:360].mean() > 0.65  # by the side of the centre about .53
    assert table.member_probability[360:].mean() < 0.35


def test_a_curve_takes_the_seed(model):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AuditWarning)
        aucs = [
            float(
                range_curve(
                    model,
                    records(),
                    records(seed=1),
                    make_range=Cube,
                    sizes=[1.0],
                    attack=Threshold("loss"),
                    queries=1,
                    seed=seed,
                    blind_baseline=False,
                )
                .ranges[0]
                .auc
            )
            for seed in (0, 1)
        ]
    assert aucs[0] != aucs[1]


def test_zlib_is_refused_of_points():
    from privacy_callbacks.attacks import signals_of

    made = keras.Sequential([keras.Input((5,), dtype="int32"), keras.layers.Embedding(7, 4), keras.layers.Dense(7)])
    made.compile(loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    x = np.random.default_rng(0).integers(0, 7, (10, 5)).astype(np.int32)
    placed = RaMIA(Threshold("zlib"), Point(), 2).at(x, x)
    with pytest.raises(ValueError, match="weighs a record by its own size"):
        signals_of(made, x, x, signals="zlib", queries=placed.queries)


def test_one_point_of_a_range_is_not_its_centre():
    x, y = records(4)
    one = RaMIA(Threshold("loss"), Cube(0.2), 1)
    assert one.at(x, y).queries != one.at_centres().at(x, y).queries


def test_candidates_at_the_edge_are_left_out(model):
    from privacy_callbacks.range_queries.reconstruction import evaluate_reconstruction

    x, y = records(20, seed=3)
    training = records(20)
    x[:5], y[:5] = training[0][:5], training[1][:5]
    x[5:9] = training[0][5:9] + 0.15
    found = evaluate_reconstruction(
        model, (x, y), training, records(20, seed=1), [0.1], Threshold("loss"), make_range=lambda size: Cube(size, 0.1)
    )
    report = found.reports["range"][0]
    assert (report.num_members, report.num_nonmembers) == (5, 11)
    assert report.notes[0].startswith("4 candidates are left out")

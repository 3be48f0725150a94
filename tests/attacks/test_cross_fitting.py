"""Attackers who know the membership of half of the records, and reports that judge each half by itself."""

from dataclasses import dataclass, field

import numpy as np
import pytest
from gaussian_world import GaussianWorld

from privacy_callbacks.attacks import AttackContext, LeakageReport, Signals, cross_fitted

RNG = np.random.default_rng(0)


@dataclass(frozen=True)
class Spy:
    """Scores a record by how many known records equal it, and keeps what it was shown."""

    seen: list = field(default_factory=list)
    name: str = "spy"
    signals: tuple = ("loss",)
    needs_examples: bool = True

    def fit(self, context):
        self.seen.append(context)
        known = context.examples

        @dataclass(frozen=True)
        class Fitted:
            def score(self, signals):
                return (signals["loss"] == known.signals["loss"].T).sum(axis=1).astype(float)

        return Fitted()


def world(members=30, nonmembers=50, rng=RNG):
    is_member = np.arange(members + nonmembers) < members
    return Signals({"loss": rng.normal(size=(members + nonmembers, 1))}), is_member


def test_no_record_is_scored_by_an_attack_that_saw_it():
    spy, (signals, is_member) = Spy(), world()
    found = cross_fitted(spy, signals, is_member, seed=5)
    np.testing.assert_array_equal(found.values, 0)  # every loss is distinct: none was among the known ones
    for half, context in enumerate(spy.seen):
        known = context.examples
        np.testing.assert_array_equal(
            np.sort(known.signals["loss"][:, 0]), np.sort(signals["loss"][found.fold != half, 0])
        )
        place = [np.flatnonzero(signals["loss"][:, 0] == value)[0] for value in known.signals["loss"][:, 0]]
        np.testing.assert_array_equal(known.is_member, is_member[place])
        assert context.seed == 5


def test_each_side_is_halved():
    signals, is_member = world()
    fold = cross_fitted(Spy(), signals, is_member).fold
    assert [np.count_nonzero(fold[is_member] == half) for half in (0, 1)] == [15, 15]
    assert [np.count_nonzero(fold[~is_member] == half) for half in (0, 1)] == [25, 25]


def test_the_halves_follow_the_records_and_the_seed():
    signals, is_member = world()
    order = RNG.permutation(80)
    there = cross_fitted(Spy(), signals, is_member, seed=1).fold
    back = cross_fitted(Spy(), signals.of(order), is_member[order], seed=1).fold
    np.testing.assert_array_equal(there[order], back)
    assert (there != cross_fitted(Spy(), signals, is_member, seed=2).fold).any()


def test_records_of_one_group_share_a_half():
    signals, is_member = world()
    groups = np.arange(80) // 4
    fold = cross_fitted(Spy(), signals, is_member, groups=groups).fold
    assert all(len(set(fold[groups == group])) == 1 for group in range(20))
    assert 0 < fold[is_member].mean() < 1


def test_copies_share_a_half_unless_answers_are_few():
    signals, is_member = world(40, 40)
    values = np.concatenate([signals["loss"], signals["loss"]])
    found = cross_fitted(Spy(), Signals({"loss": values}), np.tile(is_member, 2))
    np.testing.assert_array_equal(found.values, 0)
    few = cross_fitted(Spy(), Signals({"loss": np.round(values)}), np.tile(is_member, 2))
    assert (few.values > 0).mean() > 0.9


def test_what_else_is_known_travels_with_the_records():
    signals, is_member = world()
    labels = np.arange(80)
    spy = Spy()
    cross_fitted(
        spy, signals.beside(labels=labels), is_member, context=AttackContext(population=signals, seed=9), seed=9
    )
    known = spy.seen[0].examples.signals
    np.testing.assert_array_equal(signals["loss"][known.labels, 0], known["loss"][:, 0])
    assert spy.seen[0].population is signals


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: cross_fitted(Spy(), *world(3, 50)), "3 members and 50 non-members are too few to learn from one half"),
        (lambda: cross_fitted(Spy(), world()[0], np.ones(5)), r"is_member \(5,\)"),
        (lambda: cross_fitted(Spy(), *world(), groups=np.zeros(3)), "give one group a record"),
        (lambda: Signals({"loss": np.zeros((3, 1))}, labels=[1, 2]), "labels has shape"),
        (lambda: Signals({"loss": np.zeros((3, 1))}, course=np.zeros((3, 2))), "course has shape"),
        (lambda: Signals({"loss": np.zeros((3, 1))}, features=np.zeros(3)), "features has shape"),
    ],
)
def test_what_cannot_be_cross_fitted_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def folded(gain=1.0, count=400, seed=0):
    rng = np.random.default_rng(seed)
    scores, is_member = GaussianWorld(gain).draw(count, count, rng)
    fold = rng.integers(0, 2, 2 * count)
    return scores + 1_000 * fold, is_member, fold  # the second attacker's scale is another


def test_every_number_is_the_mean_of_the_halves():
    scores, is_member, fold = folded()
    joined = LeakageReport.from_scores(scores, is_member, folds=fold, seed=2)
    apart = [LeakageReport.from_scores(scores[fold == half], is_member[fold == half], seed=2) for half in (0, 1)]
    for name, estimate in joined.estimates().items():
        if estimate is None:
            assert None in [report.estimates()[name] for report in apart]
            assert name in joined.refusals
            continue
        for part in ("real", "low", "high", "null_level"):
            parts = [getattr(report.estimates()[name], part) for report in apart]
            assert getattr(estimate, part) == (None if None in parts else pytest.approx(np.mean(parts)))
    assert joined.p_value == min(1, 2 * min(report.p_value for report in apart))
    assert (joined.num_members, joined.num_nonmembers, joined.folds) == (400, 400, 2)
    false_positives = [report.tpr_at_fpr[0.1].details["false_positives"] for report in apart]
    assert joined.tpr_at_fpr[0.1].details["false_positives"] == sum(false_positives)
    # The curve compares no score of one attacker with one of the other.
    assert float(joined.auc) == pytest.approx(LeakageReport.from_scores(scores - 1_000 * fold, is_member).auc, abs=0.01)
    assert abs(np.trapezoid(joined.roc.tpr, joined.roc.fpr) - joined.auc) < 0.01


def test_the_interval_of_two_halves_is_that_of_half_of_the_records():
    scores, is_member, fold = folded()
    wide = LeakageReport.from_scores(scores, is_member, folds=fold).auc
    narrow = LeakageReport.from_scores(scores - 1_000 * fold, is_member).auc
    assert (wide.high - wide.low) / (narrow.high - narrow.low) == pytest.approx(np.sqrt(2), rel=0.05)


@pytest.mark.parametrize(
    ("folds", "message"),
    [
        (np.zeros(3), "give one fold a record"),
        (np.arange(40) < 20, "a fold has 0 members and 20 non-members"),
    ],
)
def test_folds_that_do_not_fit_are_refused(folds, message):
    with pytest.raises(ValueError, match=message):
        LeakageReport.from_scores(np.arange(40.0), np.arange(40) < 20, folds=folds)


@pytest.mark.parametrize("noise", [0.0, 1e-7])
def test_records_that_stand_three_times_on_both_sides_share_a_half_but_for_rounding(noise):
    signals, is_member = world(40, 40)
    values = np.tile(signals["loss"], (3, 1)) + noise * RNG.normal(size=(240, 1))
    fold = cross_fitted(Spy(), Signals({"loss": values}), np.tile(is_member, 3)).fold.reshape(3, 80)
    np.testing.assert_array_equal(fold[0], fold[1])
    np.testing.assert_array_equal(fold[0], fold[2])


def test_a_value_that_most_members_share_is_no_copy():
    """A hinge loss is 0 for most of what was trained on: both halves must get their part of it."""
    signals, is_member = world(100, 100)
    values = np.where(np.arange(200) < 85, 5.0, signals["loss"][:, 0])[:, None]
    fold = cross_fitted(Spy(), Signals({"loss": values}), is_member).fold
    assert 0.3 < fold[:85].mean() < 0.7
    assert [np.count_nonzero(fold[is_member] == half) for half in (0, 1)] == [50, 50]


def test_infinite_answers_are_values_too():
    signals, is_member = world(100, 100)
    values = np.where(np.arange(200) % 3 == 0, np.inf, signals["loss"][:, 0])[:, None]
    fold = cross_fitted(Spy(), Signals({"loss": values}), is_member).fold
    assert 0.25 < fold[::3].mean() < 0.75


def test_one_owner_a_side_cannot_be_halved():
    signals, is_member = world(30, 30)
    with pytest.raises(ValueError, match="records of one group share a half, which leaves one with"):
        cross_fitted(Spy(), signals, is_member, groups=is_member)


def test_the_level_asked_for_is_that_of_both_halves():
    scores, is_member, fold = folded()
    wide, usual = (LeakageReport.from_scores(scores, is_member, folds=fold, level=level).auc for level in (0.999, 0.95))
    assert wide.level == 0.999
    assert wide.low < usual.low < usual.high < wide.high


def test_ranks_of_unequal_halves_fill_the_same_scale():
    scores, is_member, _ = folded()
    joined = LeakageReport.from_scores(scores, is_member, folds=np.arange(800) % 5 == 0)
    assert 0.99 < joined.roc.thresholds[1] < 1
    assert 0 < joined.roc.thresholds[-1] < 0.01


def test_both_halves_get_their_members_however_few():
    for seed in range(50):
        signals, is_member = world(8, 200)
        fold = cross_fitted(Spy(), signals, is_member, seed=seed).fold
        assert np.count_nonzero(fold[is_member]) == 4

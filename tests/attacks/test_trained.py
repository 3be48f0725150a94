"""Trained attackers: what they learn from one half of the records tells on the other, and nothing where there is nothing."""

import random
from typing import ClassVar

import numpy as np
import pytest
from sklearn.base import BaseEstimator, ClassifierMixin
from slow_params import study_unless

from privacy_callbacks.attacks import LeakageReport, Trained
from privacy_callbacks.attacks.attack import AttackContext, Examples, Signals
from privacy_callbacks.attacks.cross_fitting import cross_fitted

NAMED = ("logistic_regression", "svc", "mlp", "random_forest", "knn", "gradient_boosting")


class Listener(ClassifierMixin, BaseEstimator):
    """A classifier that ranks by its first column and keeps what it was shown."""

    heard: ClassVar[list] = []

    def __init__(self, random_state=None):
        self.random_state = random_state

    def fit(self, rows, truth):
        self.classes_ = np.unique(truth)
        self.heard.append((rows.copy(), truth.copy()))
        return self

    def decision_function(self, rows):
        self.heard.append((rows.copy(), None))
        return rows[:, 0]


@pytest.fixture
def listener(monkeypatch):
    monkeypatch.setattr(Listener, "heard", [])
    return Listener()


def world(members, nonmembers, gain=0.0, seed=0):
    """Three signals that share most of what they say, one of them 0 or 1; membership adds `gain`."""
    rng = np.random.default_rng([seed, 7])
    is_member = np.arange(members + nonmembers) < members
    loss = rng.normal(size=is_member.size) + gain * is_member
    noise = rng.normal(size=(2, is_member.size))
    correct = (loss + noise[1] / 2 > -1).astype(float)
    return signals_of(loss=loss, entropy=loss + noise[0], correct=correct), is_member


def signals_of(**columns):
    return Signals({name: np.asarray(column)[:, None] for name, column in columns.items()})


def own(name):
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.ensemble import ExtraTreesClassifier

    return {"linear": LinearDiscriminantAnalysis(), "trees": ExtraTreesClassifier(30, min_samples_leaf=5)}[name]


def attack_of(classifier):
    return Trained(classifier if classifier in NAMED else own(classifier))


def judged(found, is_member, seed=0):
    return LeakageReport.from_scores(found.values, is_member, folds=found.fold, seed=seed)


EVERY = (*NAMED, "linear", "trees")


@pytest.mark.parametrize("classifier", EVERY)
def test_a_leak_is_seen_and_the_same_seed_sees_the_same(classifier):
    signals, is_member = world(150, 150, gain=1.0)
    found, again = (cross_fitted(attack_of(classifier), signals, is_member, seed=3) for _ in range(2))
    assert judged(found, is_member).auc.low > 0.5
    np.testing.assert_array_equal(found.values, again.values)
    np.testing.assert_array_equal(found.fold, again.fold)


@pytest.mark.parametrize("classifier", EVERY)
def test_permuting_records_permutes_scores(classifier):
    signals, is_member = world(60, 50, gain=1.0)
    order = np.random.default_rng(1).permutation(is_member.size)
    found = cross_fitted(attack_of(classifier), signals, is_member, seed=3)
    moved = cross_fitted(attack_of(classifier), signals.of(order), is_member[order], seed=3)
    np.testing.assert_array_equal(moved.fold, found.fold[order])
    # Matrix products round the last digit by a record's place among the others.
    np.testing.assert_allclose(moved.values, found.values[order], rtol=0, atol=0)


@pytest.mark.parametrize("classifier", ["svc", "mlp", "random_forest", "knn", "gradient_boosting"])
def test_what_only_two_signals_together_tell_is_learned(classifier):
    """Members have two signals of equal sign: neither alone says anything, and no linear rule does."""
    rng = np.random.default_rng(0)
    loss, entropy = rng.normal(size=(2, 600))
    is_member = rng.random(600) < np.where(loss * entropy > 0, 0.85, 0.15)
    signals = signals_of(loss=loss, entropy=entropy)
    assert judged(cross_fitted(Trained(classifier), signals, is_member), is_member).auc.low > 0.6
    linear = judged(cross_fitted(Trained("logistic_regression"), signals, is_member), is_member)
    assert float(linear.auc) < 0.6


@pytest.mark.parametrize("classifier", EVERY)
def test_arguments_random_states_and_thread_pools_stay_as_they_are(classifier):
    import joblib
    import threadpoolctl

    signals, is_member = world(40, 40)
    cross_fitted(attack_of(classifier), signals, is_member)  # loads the libraries that have pools
    attack = attack_of(classifier)

    def outside():
        backend, jobs = joblib.parallel.get_active_backend()
        return [
            *(column.tobytes() for column in signals.values()),
            is_member.tobytes(),
            repr(attack),
            *(str(part) for part in np.random.get_state()),
            np.random.get_state()[1].tobytes(),
            random.getstate(),
            threadpoolctl.threadpool_info(),
            (type(backend), jobs),
        ]

    before = outside()
    cross_fitted(attack, signals, is_member, seed=5)
    assert outside() == before
    assert not hasattr(attack.classifier, "classes_")  # a classifier of the user's own is cloned, not fitted


def test_records_are_scored_by_a_classifier_that_never_saw_them(listener):
    signals, is_member = world(60, 60)
    cross_fitted(Trained(listener, features=("loss",)), signals, is_member)
    assert len(Listener.heard) == 4
    for (learned, _), (scored, nothing) in (Listener.heard[:2], Listener.heard[2:]):
        assert nothing is None
        assert len(learned) == len(scored) == 60
        within = (scored > learned.min()) & (scored < learned.max())  # others count as the most extreme one seen
        assert within.sum() > 50
        assert not np.isin(scored[within], learned).any()


def test_unequal_sides_are_learned_from_in_equal_shares(listener):
    signals, is_member = world(1_000, 100, gain=1.0)
    cross_fitted(Trained(listener), signals, is_member)
    shown = [truth for _, truth in Listener.heard if truth is not None]
    assert [(len(truth), int(truth.sum())) for truth in shown] == [(100, 50), (100, 50)]


@pytest.mark.parametrize("classifier", NAMED)
def test_a_leak_is_seen_with_unequal_sides(classifier):
    signals, is_member = world(1_000, 100, gain=1.0)
    report = judged(cross_fitted(Trained(classifier), signals, is_member), is_member)
    assert (report.num_members, report.num_nonmembers, report.folds) == (1_000, 100, 2)
    assert report.auc.low > 0.5


def test_at_most_max_rows_are_learned_from_half_of_them_members(listener):
    signals, is_member = world(200, 200)
    cross_fitted(Trained(listener, max_rows=31), signals, is_member)
    shown = [truth for _, truth in Listener.heard if truth is not None]
    assert [(len(truth), int(truth.sum())) for truth in shown] == [(30, 15), (30, 15)]


def test_an_svc_learns_from_four_thousand_records_unless_told_otherwise():
    signals, is_member = world(2_500, 2_500)
    known = AttackContext(examples=Examples(signals, is_member))
    default, all_of_them = Trained("svc").fit(known), Trained("svc", max_rows=5_000).fit(known)
    assert (default.model[-1].shape_fit_[0], all_of_them.model[-1].shape_fit_[0]) == (4_000, 5_000)


@pytest.mark.parametrize("classifier", EVERY)
def test_infinite_answers_count_as_the_most_extreme_and_constant_ones_as_nothing(classifier):
    signals, is_member = world(60, 60, gain=1.0)
    loss = signals["loss"][:, 0].copy()
    rng = np.random.default_rng(2)
    loss[rng.permutation(60)[:6]], loss[60 + rng.permutation(60)[:6]] = np.inf, -np.inf
    with_infinite = signals_of(loss=loss, margin=np.full(120, 3.0), entropy=np.full(120, np.inf), noise=rng.random(120))
    found = cross_fitted(attack_of(classifier), with_infinite, is_member)
    assert np.isfinite(found.values).all()
    assert float(judged(found, is_member).auc) > 0.5


def test_scores_are_higher_for_members_whatever_the_classifier_ranks_by():
    from sklearn.naive_bayes import GaussianNB
    from sklearn.svm import LinearSVC

    signals, is_member = world(100, 100, gain=2.0)
    for classifier in (GaussianNB(), LinearSVC()):  # predict_proba alone, decision_function alone
        assert judged(cross_fitted(Trained(classifier), signals, is_member), is_member).auc.low > 0.7


# --- copies and groups ---


def twice_the_members(seed):
    """Without a leak, every member stands there twice."""
    signals, _ = world(60, 120, seed=seed)
    rows = np.concatenate([np.arange(60), np.arange(180)])
    return signals.of(rows), np.arange(240) < 120


def test_a_copy_in_the_other_half_does_not_give_a_member_away():
    """One nearest neighbour learns by heart: dealt out one by one, the members would be known by their copies."""
    from sklearn.neighbors import KNeighborsClassifier

    by_heart = Trained(KNeighborsClassifier(1))
    found = {"together": [], "one by one": []}
    for seed in range(20):
        signals, is_member = twice_the_members(seed)
        for kind, groups in (("together", None), ("one by one", np.arange(240))):
            scored = cross_fitted(by_heart, signals, is_member, seed, groups=groups)
            found[kind].append(float(judged(scored, is_member).auc))
    together = np.array(found["together"])
    assert abs(together.mean() - 0.5) < 4 * together.std(ddof=1) / np.sqrt(20)
    assert np.mean(found["one by one"]) > 0.6


@pytest.mark.parametrize("classifier", ["logistic_regression", "knn"])
def test_copies_among_the_members_are_no_leak(classifier):
    alarms = []
    for seed in range(25):
        signals, is_member = twice_the_members(seed)
        alarms.append(judged(cross_fitted(Trained(classifier), signals, is_member, seed), is_member).auc.low > 0.5)
    assert np.mean(alarms) <= 0.12


def test_a_group_is_in_one_half():
    signals, is_member = world(60, 60)
    groups = np.tile(np.arange(30), 4)
    fold = cross_fitted(Trained(), signals, is_member, groups=groups).fold
    assert all(len(set(fold[groups == group])) == 1 for group in range(30))
    assert 0.4 <= fold.mean() <= 0.6


def test_few_distinct_answers_are_values_and_no_copies():
    rng = np.random.default_rng(0)
    is_member = np.arange(200) < 100
    correct = (rng.random(200) < np.where(is_member, 0.9, 0.5)).astype(float)
    found = cross_fitted(Trained("knn"), signals_of(correct=correct), is_member)
    assert judged(found, is_member).auc.low > 0.5


@pytest.mark.parametrize("classifier", NAMED)
def test_answers_that_tie_are_not_settled_by_the_order_of_the_records(classifier):
    """All of a hundred records tie with about seventy others; neighbours by their place would be non-members only."""
    areas = []
    for seed in range(5):
        rng = np.random.default_rng(seed)
        is_member = np.arange(200) < 100
        correct = (rng.random(200) < np.where(is_member, 0.95, 0.4)).astype(float)
        found = cross_fitted(Trained(classifier), signals_of(correct=correct), is_member, seed)
        areas.append(float(judged(found, is_member).auc))
    assert np.mean(areas) == pytest.approx(0.775, abs=0.05)  # (1 + .95 − .4) / 2


# --- settings ---


@pytest.mark.parametrize("classifier", NAMED)
def test_search_chooses_among_settings_within_the_half_that_is_learned_from(classifier):
    signals, is_member = world(60, 60, gain=1.5)
    known = AttackContext(examples=Examples(signals, is_member), seed=1)
    first, again = (Trained(classifier, search=True).fit(known) for _ in range(2))
    assert len(first.model[-1].cv_results_["params"]) >= 3
    others, truth = world(100, 100, gain=1.5, seed=1)
    np.testing.assert_array_equal(first.score(others), again.score(others))
    assert LeakageReport.from_scores(first.score(others), truth).auc.low > 0.7


@pytest.mark.parametrize("classifier", NAMED)
def test_the_least_that_can_be_learned_from_is_enough_for_each(classifier):
    signals, is_member = world(20, 20, gain=1.0)
    for search in (False, True):
        found = cross_fitted(Trained(classifier, search=search), signals, is_member)
        assert np.isfinite(found.values).all()


def test_a_random_state_is_kept_and_a_missing_one_comes_from_the_audits_seed():
    from sklearn.ensemble import RandomForestClassifier

    known = AttackContext(examples=Examples(*world(20, 20)), seed=11)
    kept, seeded = RandomForestClassifier(5, random_state=7), RandomForestClassifier(5)
    assert Trained(kept).fit(known).model[-1].random_state == 7
    assert Trained(seeded).fit(known).model[-1].random_state == 11
    assert seeded.random_state is None


def test_it_sees_the_features_named_or_all_that_are_given(listener):
    signals, is_member = world(20, 20)
    for attack, columns in ((Trained(listener), 3), (Trained(listener, features=("entropy",)), 1)):
        Listener.heard.clear()
        cross_fitted(attack, signals, is_member)
        assert {rows.shape[1] for rows, _ in Listener.heard} == {columns}
    assert Trained(features=("entropy",)).signals == ("entropy",)
    fitting = Trained().with_features_of(("loss", "top_1", "min_k"))
    assert fitting.features == fitting.signals == ("loss", "top_1")
    assert Trained(features=("entropy",)).with_features_of(("loss",)).features == ("entropy",)


def test_it_is_called_after_its_classifier():
    assert (Trained().name, Trained("knn").name, Trained(own("linear")).name) == (
        "logistic_regression",
        "knn",
        "trained",
    )
    assert Trained("knn", name="neighbours").name == "neighbours"


# --- refusals ---


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            {"classifier": "xgboost"},
            r"classifier is 'xgboost'; give one of logistic_regression, .*gradient_boosting, or a",
        ),
        ({"features": ()}, "features is .*; give a tuple of at least one signal"),
        ({"max_rows": 19}, "max_rows is 19; give at least 20, or None for all"),
        ({"classifier": Listener(), "search": True}, r"search= knows the named classifiers only; give a GridSearchCV"),
        ({"name": "a b"}, "name is 'a b'"),
    ],
)
def test_what_it_cannot_be_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        Trained(**arguments)


def test_what_is_no_classifier_is_refused():
    from sklearn.linear_model import LinearRegression

    for classifier in (Listener, 3, None):
        with pytest.raises(TypeError, match="give an instance of a scikit-learn classifier"):
            Trained(classifier)
    with pytest.raises(TypeError, match="neither predict_proba nor decision_function"):
        Trained(LinearRegression())


def test_without_examples_it_says_where_they_come_from():
    with pytest.raises(ValueError, match=r"learns from records of known membership; score with cross_fitted\(\)"):
        Trained().fit(AttackContext())


def test_too_few_records_are_refused():
    with pytest.raises(
        ValueError, match=r"9 members and 10 non-members are too few to learn from; .* needs 10 of each"
    ):
        Trained().fit(AttackContext(examples=Examples(*world(9, 10))))
    with pytest.raises(ValueError, match=r"10 members and 3 non-members are too few .* give at least 4 of each"):
        cross_fitted(Trained(), *world(10, 3))
    with pytest.raises(ValueError, match=r"groups has shape \(3,\); give one group a record, \(40,\)"):
        cross_fitted(Trained(), *world(20, 20), groups=np.arange(3))


# --- no leak ---


@pytest.mark.slow
@pytest.mark.parametrize("classifier", study_unless(["logistic_regression", "knn"], NAMED))
def test_without_a_leak_intervals_hold_their_level(classifier):
    """300 worlds of 60 + 60 records; .93 and .075 lie 1.6 and 2.0 binomial standard errors from the nominal .95 and .05."""
    reports = []
    for seed in range(300):
        signals, is_member = world(60, 60, seed=seed)
        reports.append(judged(cross_fitted(Trained(classifier), signals, is_member, seed), is_member, seed))
    assert np.mean([report.auc.low <= 0.5 <= report.auc.high for report in reports]) >= 0.93
    assert np.mean([report.balanced_accuracy.low <= 0.5 <= report.balanced_accuracy.high for report in reports]) >= 0.93
    assert np.mean([report.p_value <= 0.05 for report in reports]) <= 0.075

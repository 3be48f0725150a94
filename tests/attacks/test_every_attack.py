"""What any attack must satisfy. Each exported attack stands in `ATTACKS`; the last test makes sure."""

import inspect

import numpy as np
import pytest
from gaussian_world import GaussianWorld

import privacy_callbacks.attacks as package
from privacy_callbacks.attacks import Attack, AttackContext, LeakageReport, Signals, Threshold
from privacy_callbacks.attacks.attack import SIGNAL_NAMES, Scores, named_attacks

ATTACKS = [Threshold(name) for name in SIGNAL_NAMES]
every_attack = pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.name)


def score(attack, values):
    values = np.asarray(values, float)
    signals = Signals({name: values.reshape(len(values), -1) for name in SIGNAL_NAMES})
    return attack.fit(AttackContext(seed=0)).score(signals)


@every_attack
def test_it_is_an_attack(attack):
    assert isinstance(attack, Attack)


@every_attack
def test_permuting_records_permutes_scores(attack):
    rng = np.random.default_rng(0)
    values, order = rng.normal(size=50), rng.permutation(50)
    np.testing.assert_array_equal(score(attack, values)[order], score(attack, values[order]))


@every_attack
def test_the_same_inputs_give_the_same_scores_and_stay_as_they_are(attack):
    values = np.random.default_rng(1).normal(size=50)
    kept = values.copy()
    np.testing.assert_array_equal(score(attack, values), score(attack, values))
    np.testing.assert_array_equal(values, kept)


@every_attack
def test_extreme_signals_stay_finite(attack):
    assert np.isfinite(score(attack, [-1e4, 0, 1e4])).all()


@every_attack
@pytest.mark.parametrize("gain", [0.0, 1.0])
def test_the_interval_covers_one_half_without_a_leak_and_lies_above_it_with_one(attack, gain):
    values, is_member = GaussianWorld(gain).draw(1_000, 1_000, np.random.default_rng(3))
    auc = LeakageReport.from_scores(score(attack, values), is_member).auc
    assert auc.low <= 0.5 <= auc.high if gain == 0 else auc.low > 0.5


@every_attack
def test_the_gaussian_world_reaches_its_closed_form(attack):
    world = GaussianWorld(1.0, 2.0)
    values, is_member = world.draw(50_000, 50_000, np.random.default_rng(4))
    assert float(LeakageReport.from_scores(score(attack, values), is_member).auc) == pytest.approx(world.auc, abs=0.006)


@every_attack
def test_swapping_members_and_nonmembers_mirrors_the_auc(attack):
    values, is_member = GaussianWorld(1.0).draw(100, 150, np.random.default_rng(5))
    there, back = (LeakageReport.from_scores(score(attack, values), truth).auc for truth in (is_member, ~is_member))
    assert float(there) == pytest.approx(1 - back)


def test_every_exported_attack_stands_in_the_table():
    exported = {
        value
        for name in package.__all__
        if inspect.isclass(value := getattr(package, name)) and hasattr(value, "fit") and value is not Attack
    }
    assert exported == {type(attack) for attack in ATTACKS}


def test_several_queries_are_averaged():
    np.testing.assert_allclose(score(Threshold("loss"), [[1.0, 3.0], [5.0, 5.0]]), [2.0, 5.0])


def test_two_attacks_of_a_kind_get_names_of_their_own():
    assert list(named_attacks([Threshold(), Threshold(), Threshold("loss", name="mine")])) == ["loss", "loss_2", "mine"]


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: Threshold("losss"), ValueError, "not a signal; choose one of loss, confidence"),
        (lambda: Threshold("loss", name="a/b"), ValueError, "folder and a log key"),
        (lambda: named_attacks([Threshold]), TypeError, "give instances such as"),
        (lambda: named_attacks(["loss"]), TypeError, "is not an attack"),
        (lambda: Signals({"loss": np.zeros(3)}), ValueError, r"\(records, queries\)"),
        (lambda: Signals({"a": np.zeros((3, 1)), "b": np.zeros((2, 1))}), ValueError, "signal 'b' has shape"),
        (lambda: Scores(np.zeros(2), np.array([1, 0]), np.arange(3)), ValueError, "3 ids were given for 2 scores"),
    ],
)
def test_what_does_not_fit_is_refused(make, error, message):
    with pytest.raises(error, match=message):
        make()

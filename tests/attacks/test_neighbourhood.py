"""Neighbourhood comparison: what is easy anyway cancels, what training did to the record remains."""

import numpy as np
import pytest
from scipy import stats

from privacy_callbacks import audit
from privacy_callbacks.attacks import LeakageReport, Neighbourhood, Signals, Threshold
from privacy_callbacks.attacks.attack import AttackContext


def scored(attack, values):
    return attack.fit(AttackContext()).score(Signals({"loss": values}))


def test_it_is_the_signal_less_the_mean_of_the_neighbours():
    attack = Neighbourhood(noise=0.1, draws=2)
    np.testing.assert_allclose(scored(attack, [[1.0, 3.0, 5.0], [5.0, 5.0, 5.0]]), [-3.0, 0.0])


def test_difficulty_cancels_as_the_closed_form_says():
    """Signal = difficulty + gain of members + noise; neighbours share the difficulty: AUC Φ(gain / √(2(1 + 1/q)))."""
    rng = np.random.default_rng(0)
    records, neighbours, gain = 20_000, 4, 1.0
    is_member = np.arange(2 * records) < records
    values = 5 * rng.normal(size=(2 * records, 1)) + rng.normal(size=(2 * records, 1 + neighbours))
    values[:, 0] += gain * is_member
    by_neighbours = LeakageReport.from_scores(scored(Neighbourhood(noise=0.1, draws=neighbours), values), is_member)
    expected = stats.norm.cdf(gain / np.sqrt(2 * (1 + 1 / neighbours)))
    assert float(by_neighbours.auc) == pytest.approx(expected, abs=0.01)
    by_signal = LeakageReport.from_scores(values[:, 0], is_member)
    assert float(by_signal.auc) == pytest.approx(stats.norm.cdf(gain / np.sqrt(2 * 26)), abs=0.01)


def test_the_record_is_asked_first_and_once():
    noisy = Neighbourhood(noise=0.5, draws=3, seed=2).queries
    assert len(noisy) == 4
    assert len(set(noisy)) == 4
    assert noisy[0]("x") == "x"
    assert Neighbourhood(queries=noisy).queries == noisy


def test_signals_without_neighbours_are_refused():
    with pytest.raises(ValueError, match=r"\(2, 1\); give the record first, then its neighbours"):
        scored(Neighbourhood(noise=0.1), [[1.0], [2.0]])


@pytest.mark.filterwarnings("ignore:.*cannot resolve a false positive rate:UserWarning")
def test_on_a_model_its_scores_are_those_of_asking_by_hand(blobs, make_model):
    (x, y), others = blobs
    model = make_model()
    model.fit(x, y, epochs=30, verbose=0)
    attacks = [
        Neighbourhood(noise=0.3, draws=4),
        Threshold("loss"),
        Neighbourhood(queries=(lambda x: x + 0.1,), name="moved"),
    ]
    found = {report.attack: report for report in audit(model, (x, y), others, attacks=attacks, verbose=0)}
    assert list(found) == ["neighbourhood", "loss", "moved"]

    def loss(x, y):
        return -np.log(model.predict(x, verbose=0)[np.arange(len(y)), y].astype(float))

    # The audit draws as many of either side: all 90 non-members, and 90 of the members.
    moved = [loss(x + np.float32(0.1), y) - loss(x, y) for x, y in (blobs[0], others)]
    is_member = np.arange(210) < 120
    by_hand = LeakageReport.from_scores(np.concatenate(moved), is_member)
    assert float(found["moved"].auc) == pytest.approx(float(by_hand.auc), abs=0.05)
    assert found["neighbourhood"].num_nonmembers == found["moved"].num_nonmembers

"""The calibration study's thin slice: intervals hold the truth and alarms are rare, as far as 200 worlds a cell can tell."""

from pathlib import Path

import numpy as np
import pytest
from scipy import stats

ROOT = Path(__file__).parent.parent
UNLIKELY = 1e-6  # for one of some 120 rows


@pytest.fixture
def study(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import calibration

    return calibration


@pytest.fixture
def laws(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT / "benchmarks"))
    import calibration_worlds

    return calibration_worlds.LAWS


@pytest.mark.slow
def test_no_interval_misses_and_no_alarm_sounds_more_often_than_it_says(study):
    wrong, rows = [], 0
    for world, simulated in study.studies(thin=True):
        tally = simulated()
        for name, answers in tally.found.items():
            rows += 1
            count, worlds = int(np.sum(answers)), len(answers)
            if name in tally.widths:
                likely = stats.binom.cdf(count, worlds, study.LEAST)
            elif name.startswith("("):
                likely = 1.0
            else:
                likely = stats.binom.sf(count - 1, worlds, study.ERROR)
            if likely < UNLIKELY:
                wrong.append((world, name, count / worlds))
    assert not wrong
    assert rows > 100


def test_the_closed_forms_are_what_many_records_show(laws):
    """The study would praise any interval that holds a wrong truth."""
    rng = np.random.default_rng(0)
    for law in laws:
        scores, is_member = law.draw(200_000, 200_000, rng)
        members, nonmembers = scores[is_member], scores[~is_member]
        ranks = stats.rankdata(scores)
        area = (ranks[is_member].mean() - (len(members) + 1) / 2) / len(nonmembers)
        assert area == pytest.approx(law.auc, abs=0.004), law.name
        for threshold in (-2.0, 0.0, 2.0, 4.0) if law.grid else (-0.5, 0.0, 1.0, 2.0):  # learned ones are scores
            j = (members >= threshold).mean() - (nonmembers >= threshold).mean()
            assert j == pytest.approx(law.j_of(threshold), abs=0.008), (law.name, threshold)
        for fpr in (0.1, 0.01):
            lowest = np.sort(nonmembers)[-int(fpr * len(nonmembers)) - 1]
            if law.grid is None:
                assert (members > lowest).mean() == pytest.approx(law.tpr_at(fpr), abs=0.008), (law.name, fpr)
            else:
                allowed = [law.above(v, 1) for v in np.unique(scores) if law.above(v, 0) <= fpr]
                assert max(allowed) == pytest.approx(law.tpr_at(fpr)), (law.name, fpr)


def test_an_interval_that_is_too_narrow_and_an_alarm_that_is_too_frequent_are_marked(study):
    from privacy_callbacks.attacks.estimate import Estimate

    tally, rng = study.Tally(), np.random.default_rng(0)
    for _ in range(1_000):
        found = rng.normal()
        tally.covers("narrow", Estimate(found, found - 1.6, found + 1.6, 0.95), 0.0)
        tally.covers("right", Estimate(found, found - 1.96, found + 1.96, 0.95), 0.0)
        tally.covers("AUC", Estimate(found, found - 2.5, found + 2.5, 0.95), 0.0)
        tally.alarms("frequent", rng.random() < 0.09)
        tally.alarms("rare", rng.random() < 0.04)
    assert {name: marked for name, *_, marked in tally.rows()} == {
        "narrow": True,
        "right": False,
        "AUC": True,
        "frequent": True,
        "rare": False,
    }

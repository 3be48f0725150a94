"""The report on an unlearned model: each number beside its floor, refused where it would mean nothing, and whole in a file."""

import json
import subprocess
import sys

import numpy as np
import pytest
from unlearning_worlds import WORLDS, UnlearningWorld

from privacy_callbacks.attacks.roc import RocCurve
from privacy_callbacks.attacks.unlearning_outcome import UnlearningReport, unlearning_report


def report(world=None, records=500, seed=0, **options):
    sides = (world or UnlearningWorld()).draw(records, records, records, np.random.default_rng(seed))
    return unlearning_report(*sides, **options)


def test_the_numbers_are_those_of_the_definitions():
    found = report(UnlearningWorld(shift=0.4))
    tpr, fpr, forget_rate = float(found.tpr), float(found.fpr), float(found.forget_rate)
    assert float(found.mia_efficacy) == pytest.approx(1 - forget_rate)
    assert float(found.efficacy_floor) == pytest.approx(1 - fpr)
    assert float(found.psi) == pytest.approx(forget_rate / tpr)
    assert float(found.psi_floor) == pytest.approx(fpr / tpr)
    assert float(found.forgetting) == pytest.approx((tpr - forget_rate) / (tpr - fpr))
    assert float(found.attacker_gap) == pytest.approx(tpr - fpr)


def test_areas_count_pairs_of_all_records():
    retain, forget, test = UnlearningWorld(shift=0.4).draw(40, 30, 50, np.random.default_rng(0))
    found = unlearning_report(retain, forget, test)
    assert float(found.forget_auc) == pytest.approx(np.mean(forget[:, None] > test))
    assert float(found.attacker_auc) == pytest.approx(np.mean(retain[:, None] > test))


@pytest.mark.parametrize("name", WORLDS)
def test_large_sets_reach_what_the_world_holds(name):
    world, verdict = WORLDS[name]
    found = report(world, 40_000)
    tpr, forget_rate, fpr = world.rates_at(found.threshold)
    assert float(found.forgetting) == pytest.approx((tpr - forget_rate) / (tpr - fpr), abs=0.04)
    assert float(found.psi) == pytest.approx(forget_rate / tpr, abs=0.02)
    assert float(found.forget_auc) == pytest.approx(world.forget_auc, abs=0.01)
    assert float(found.attacker_auc) == pytest.approx(world.attacker_auc, abs=0.01)
    assert found.threshold == pytest.approx(world.gain / 2, abs=0.3)  # where the two densities cross
    assert found.verdict == verdict


def test_a_forgotten_set_meets_its_floors_and_not_1_and_0():
    found = report(records=3_000)
    assert found.verdict == "forgotten"
    assert found.mia_efficacy.low < found.efficacy_floor < found.mia_efficacy.high < 0.9
    assert 0.2 < found.psi.low < found.psi_floor < found.psi.high
    assert found.forgetting.low < 1 < found.forgetting.high


def test_a_blind_attacker_has_no_forgetting():
    found = report(UnlearningWorld(gain=0.0))
    assert (found.verdict, found.forgetting) == ("inconclusive", None)
    assert "may be nothing at all" in found.refusals["forgetting"]
    assert found.forget_auc is not None


def test_where_nobody_is_called_a_member_psi_is_refused():
    """The one retained record that outscores all tests helps to choose the threshold, and none of the judged reaches it."""
    retain, test = np.zeros(20), np.zeros(20)
    retain[0] = 1.0
    found = [unlearning_report(retain, np.zeros(10), test, seed=seed) for seed in range(20)]
    refused = [one for one in found if one.psi is None]
    assert refused
    for one in refused:
        assert (one.psi_floor, one.forgetting, one.verdict) == (None, None, "inconclusive")
        assert "no retained record is called a member" in one.refusals["psi"]
        assert "refused" in one.summary()
        assert UnlearningReport.from_json(one.to_json()).to_dict() == one.to_dict()


def test_monotone_transformations_change_nothing_but_the_threshold():
    sides = UnlearningWorld(shift=0.4).draw(200, 150, 100, np.random.default_rng(0))
    plain, changed = (unlearning_report(*map(f, sides)).to_dict() for f in (np.asarray, np.exp))
    assert changed.pop("threshold") == np.exp(plain.pop("threshold"))
    assert changed == plain


def test_records_may_come_in_any_order_as_far_as_areas_and_the_forget_set_go():
    retain, forget, test = UnlearningWorld().draw(200, 150, 100, np.random.default_rng(0))
    one, other = unlearning_report(retain, forget, test), unlearning_report(retain, forget[::-1], test)
    assert one.to_dict() == other.to_dict()
    turned = unlearning_report(retain[::-1], forget, test[::-1])
    assert (turned.forget_auc, turned.attacker_auc) == (one.forget_auc, one.attacker_auc)


def test_the_seed_decides_and_neither_inputs_nor_random_state_change():
    sides = UnlearningWorld().draw(200, 150, 100, np.random.default_rng(0))
    copies, state = [side.copy() for side in sides], np.random.get_state()[1].copy()
    one = unlearning_report(*sides, seed=1)
    assert one.to_dict() == unlearning_report(*sides, seed=1).to_dict()
    assert one.to_dict() != unlearning_report(*sides, seed=2).to_dict()
    assert all(np.array_equal(side, copy) for side, copy in zip(sides, copies, strict=True))
    assert np.array_equal(state, np.random.get_state()[1])


@pytest.mark.parametrize("value", [0.0, np.inf, -np.inf])
def test_equal_scores_everywhere_are_inconclusive(value):
    found = unlearning_report(*(np.full(50, value) for _ in range(3)))
    assert (found.verdict, float(found.forget_auc)) == ("inconclusive", 0.5)


def test_infinite_scores_are_judged_as_extremes():
    retain, forget, test = UnlearningWorld(gain=3.0).draw(300, 300, 300, np.random.default_rng(0))
    with_ends = unlearning_report(np.append(retain, np.inf), np.append(forget, -np.inf), np.append(test, -np.inf))
    finite = unlearning_report(np.append(retain, 99.0), np.append(forget, -99.0), np.append(test, -99.0))
    assert with_ends.to_dict() == finite.to_dict()


def test_higher_levels_have_wider_intervals():
    narrow, wide = (report(level=level).estimates() for level in (0.9, 0.99))
    for name, number in narrow.items():
        assert number.level == 0.9
        assert wide[name].low < number.low <= number <= number.high < wide[name].high, name


def test_a_report_comes_back_from_json_bit_for_bit():
    found = report(UnlearningWorld(shift=-1.0))
    text = found.to_json()
    again = UnlearningReport.from_json(text)
    assert again.to_dict() == found.to_dict()
    assert again.psi.low == found.psi.low
    assert again.summary() == found.summary()
    assert json.loads(text)["schema_version"] == 1


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"schema_version": 2}, "schema version 2"),
        ({"verdict": "fine"}, "should be one of forgotten, residual"),
        ({"psi": 0.5}, "is no estimate"),
        ({"forget_auc": None}, "is no estimate"),
        ({"counts": {"retain": 1, "forget": -1, "test": 1}}, "a whole number, 0 or more"),
        ({"counts": {"retain": 1}}, "has no field 'forget'"),
        ({"warnings": "none"}, "a list of strings"),
    ],
)
def test_what_is_no_report_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        UnlearningReport.from_dict(report().to_dict() | change)


def test_a_missing_field_is_named():
    held = report().to_dict()
    del held["psi_floor"]
    with pytest.raises(ValueError, match="has no field 'psi_floor'"):
        UnlearningReport.from_dict(held)


def test_the_summary_shows_the_verdict_the_numbers_and_what_forgetting_gives():
    found = report(UnlearningWorld(shift=0.5))
    lines = found.summary().splitlines()
    assert lines[0] == "residual · 500 retain, 500 forget, 500 test records · 95 % intervals"
    assert found.reason in lines[1]
    assert f"forgotten: {found.efficacy_floor:.3f}" in next(line for line in lines if "MIA-efficacy" in line)
    assert repr(found.summary()) == found.summary()
    assert repr(found).startswith("<UnlearningReport 'residual': forget AUC 0.6")


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ((0, 10, 20), "retain has 0 records; give at least 20"),
        ((20, 9, 20), "forget has 9 records; give at least 10"),
        ((20, 10, 1), "test has 1 records; give at least 20"),
    ],
)
def test_too_few_records_are_refused(sizes, message):
    with pytest.raises(ValueError, match=message):
        unlearning_report(*(np.zeros(size) for size in sizes))


def test_a_level_that_so_few_cannot_reach_is_refused():
    with pytest.raises(ValueError, match="retain has 20 records; give at least 30"):
        unlearning_report(np.zeros(20), np.zeros(20), np.zeros(20), level=0.9999)


@pytest.mark.parametrize("side", range(3))
def test_nan_is_refused_by_name(side):
    sides = [np.zeros(30) for _ in range(3)]
    sides[side][4] = np.nan
    with pytest.raises(ValueError, match=f"{('retain', 'forget', 'test')[side]} is NaN for 1 of 30 records"):
        unlearning_report(*sides)


@pytest.mark.parametrize("margin", [0.0, 0.5, -0.1, np.nan, np.inf])
def test_a_margin_out_of_range_is_refused(margin):
    with pytest.raises(ValueError, match="give how far an AUC may lie from ½"):
        report(margin=margin)


@pytest.mark.parametrize("level", [0.0, 1.0, 95, np.nan])
def test_a_level_out_of_range_is_refused(level):
    with pytest.raises(ValueError, match="confidence level between 0 and 1"):
        report(level=level)


def test_the_forget_auc_is_the_area_that_any_curve_of_the_same_scores_has():
    retain, forget, test = UnlearningWorld(shift=0.3).draw(50, 60, 70, np.random.default_rng(0))
    curve = RocCurve.from_scores(np.concatenate([forget, test]), np.arange(130) < 60)
    area = np.trapezoid(curve.tpr, curve.fpr)
    assert float(unlearning_report(retain, forget, test).forget_auc) == pytest.approx(area)


def test_it_takes_numpy_alone():
    code = (
        "import sys, privacy_callbacks.attacks.unlearning_outcome, privacy_callbacks.attacks.usage_inference; "
        "print(*({'tensorflow', 'keras', 'sklearn', 'pandas'} & set(sys.modules)))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == ""

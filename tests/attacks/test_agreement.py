"""Tug of war: its formula, its ends, and what retraining itself reaches."""

import numpy as np
import pytest

from privacy_callbacks.attacks.agreement import tug_of_war


def accuracies(forget, retain, test):
    return {"forget": forget, "retain": retain, "test": test}


BASE = accuracies(0.8, 0.9, 0.75)


def test_it_is_the_product_of_the_three_agreements():
    found = tug_of_war(accuracies(1.0, 0.8, 0.75), accuracies(0.75, 0.9, 0.7))
    assert found == pytest.approx(0.75 * 0.9 * 0.95)
    assert (found.low, found.high) == (None, None)
    assert dict(found.details) == {"retrained_models": 1}


def test_equal_models_pull_nowhere_and_opposite_ones_tear_it_apart():
    assert tug_of_war(BASE, BASE) == 1
    assert tug_of_war(accuracies(1, 1, 1), accuracies(0, 1, 1)) == 0


def test_the_sides_may_be_swapped_and_the_models_too():
    other = accuracies(0.6, 0.85, 0.9)
    assert tug_of_war(BASE, other) == pytest.approx(float(tug_of_war(other, BASE)))
    turned = [{"forget": m["test"], "retain": m["forget"], "test": m["retain"]} for m in (BASE, other)]
    assert tug_of_war(BASE, other) == pytest.approx(float(tug_of_war(*turned)))


def test_of_several_retrained_models_it_is_the_mean_with_students_interval():
    """Means 0.9, 0.8, 0.7 of one side: standard error 0.1 / √3, t = 4.302653 at two degrees of freedom."""
    found = tug_of_war(BASE, [BASE | {"forget": forget} for forget in (0.7, 0.6, 0.5)])
    assert found == pytest.approx(0.8)
    assert found.low == pytest.approx(0.8 - 4.302653 * 0.1 / np.sqrt(3))
    assert found.high == 1.0
    narrower = tug_of_war(BASE, [BASE | {"forget": forget} for forget in (0.7, 0.6, 0.5)], level=0.5)
    assert narrower.low > found.low
    assert narrower.level == 0.5


def test_the_floor_is_what_pairs_of_retrained_models_reach():
    found = tug_of_war(BASE, [BASE | {"forget": forget} for forget in (0.7, 0.6, 0.4)])
    assert dict(found.details) == {"retrained_models": 3, "floor": pytest.approx((0.9 + 0.7 + 0.8) / 3)}


def test_identical_values_show_no_more_than_so_few_can():
    """The chance of three alike is 2.5 % where each is so with probability 0.025^(1/3) = 0.292."""
    found = tug_of_war(BASE, [BASE] * 3)
    assert (float(found), found.low, found.high) == (1.0, pytest.approx(0.2924, abs=1e-4), 1.0)
    wider = tug_of_war(accuracies(0.3, 0.9, 0.75), [BASE] * 3)
    assert wider.low == pytest.approx(0.5 * 0.2924, abs=1e-4)
    assert wider.high == pytest.approx(0.5 * 0.2924 + 1 - 0.2924, abs=1e-4)


def test_with_an_attack_in_the_forget_sets_place_it_is_tow_mia():
    ours, theirs = BASE | {"mia_efficacy": 0.4}, BASE | {"mia_efficacy": 0.7, "forget": 0.0}
    assert tug_of_war(ours, theirs, forget="mia_efficacy") == pytest.approx(0.7)


def test_numbers_of_numpy_are_numbers_and_other_names_are_not_read():
    ours = {name: np.float32(value) for name, value in BASE.items()} | {"loss": 7.0}
    assert tug_of_war(ours, BASE) == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: tug_of_war({"forget": 0.5}, BASE), "unlearned lacks retain, test; give a number for each of forget"),
        (lambda: tug_of_war(BASE, [BASE, {"retain": 1.0}]), "retrained lacks forget, test"),
        (lambda: tug_of_war(BASE, BASE, forget="mia_efficacy"), "unlearned lacks mia_efficacy"),
        (lambda: tug_of_war(BASE | {"test": 80.0}, BASE), "test = 80.0; give a share from 0 to 1, not a percentage"),
        (lambda: tug_of_war(BASE, BASE | {"retain": np.nan}), "retrained has retain = nan"),
        (lambda: tug_of_war(BASE, BASE | {"retain": -np.inf}), "retrained has retain = -inf"),
        (lambda: tug_of_war(BASE, BASE | {"forget": None}), "retrained has forget = None"),
        (lambda: tug_of_war(BASE, []), "retrained is empty"),
        (lambda: tug_of_war(BASE, BASE, 95), "level is 95"),
    ],
)
def test_what_does_not_fit_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.slow
@pytest.mark.parametrize("models", [2, 5])
@pytest.mark.parametrize("shift", [0.0, 0.3])
def test_the_95_percent_interval_covers_the_mean_over_all_retrained_models_in_at_least_92_percent_of_1000_runs(
    models, shift
):
    rng = np.random.default_rng([models, int(10 * shift)])
    ours = BASE | {"forget": 0.6 + shift}

    def retrained(count):
        return np.clip([0.6, 0.9, 0.75] + 0.02 * rng.normal(size=(count, 3)), 0, 1)

    every = retrained(200_000)
    truth = np.prod(1 - np.abs(every - [ours["forget"], 0.9, 0.75]), axis=1).mean()
    covered = 0
    for _ in range(1_000):
        found = tug_of_war(ours, [accuracies(*row) for row in retrained(models)])
        covered += found.low <= truth <= found.high
    assert covered >= 920

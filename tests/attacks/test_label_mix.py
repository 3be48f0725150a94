"""The two sides' labels: a sentence where they differ, silence at the stated rate where they do not."""

import numpy as np
import pytest
from scipy import stats

from privacy_callbacks.attacks.label_mix import label_mix

TRUTH = np.arange(400) < 200


def drawn(seed, shares, others=None):
    rng = np.random.default_rng(seed)
    sides = [rng.choice(len(shares), 200, p=p) for p in (shares, others or shares)]
    return np.concatenate(sides)


@pytest.mark.parametrize(
    "form", [np.asarray, lambda y: y[:, None], lambda y: y.astype("float32"), lambda y: y.astype(str)]
)
def test_another_mix_is_told_with_the_class_that_differs_most(form):
    said = label_mix(form(drawn(0, [0.5, 0.3, 0.2], [0.3, 0.3, 0.4])), TRUTH)
    assert said.startswith("the mix of classes differs between the sides (class ")
    assert "% of members" in said and "same share of each class" in said  # noqa: PT018


def test_other_targets_are_told():
    targets = np.random.default_rng(0).normal(size=400) + 0.5 * TRUTH
    assert label_mix(targets, TRUTH).startswith("targets differ between the sides (median 0.")


@pytest.mark.parametrize(
    "labels",
    [
        np.zeros(400, int),
        np.eye(3)[drawn(0, [0.5, 0.3, 0.2], [0.2, 0.3, 0.5])],
        np.random.default_rng(0).permutation(400),
        np.array([0, 1, 0, 1]),
    ],
    ids=["one class", "several a record", "all different", "four records"],
)
def test_nothing_to_compare_says_nothing(labels):
    assert label_mix(labels, TRUTH if len(labels) == 400 else np.array([True, True, False, False])) is None


@pytest.mark.parametrize(
    ("low", "high"), [((0, 1_000), (1_000, 2_000)), ((0, 10_000), (3_000, 13_000)), ((20, 90), (40, 110))]
)
def test_amounts_and_ages_as_integers_are_compared_as_numbers(low, high):
    rng = np.random.default_rng(0)
    targets = np.concatenate([rng.integers(*low, 200), rng.integers(*high, 200)])
    assert label_mix(targets, TRUTH).startswith("targets differ between the sides (median ")


def test_a_rare_class_is_not_taken_for_a_difference():
    """Two of 200 against none: the chi-square law does not hold for so few."""
    labels = np.zeros(400, int)
    labels[:2] = 1
    assert label_mix(labels, TRUTH, error=0.3) is None


@pytest.mark.parametrize("shares", [[0.5, 0.5], [0.9, 0.06, 0.04], [0.02] * 50])
def test_equal_mixes_are_doubted_in_at_most_the_error_allowed(shares):
    alarms = sum(label_mix(drawn(seed, shares), TRUTH, error=0.05) is not None for seed in range(400))
    assert alarms <= stats.binom.ppf(0.999, 400, 0.05)


def test_equal_targets_are_doubted_in_at_most_the_error_allowed():
    alarms = sum(
        label_mix(np.random.default_rng(seed).normal(size=400), TRUTH, error=0.05) is not None for seed in range(400)
    )
    assert alarms <= stats.binom.ppf(0.999, 400, 0.05)

"""Scripts written for TensorFlow Privacy's membership inference library, run through the door.

Expected values come from naive peers below (loops over pairs, thresholds and classes in extended precision) or from hand.
"""

import datetime
import json
import pickle
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from privacy_callbacks.attacks import tf_privacy as mia
from privacy_callbacks.attacks.tf_privacy import (
    AttackInputData,
    AttackResults,
    AttackResultsCollection,
    AttackType,
    DataSize,
    LossFunction,
    PrivacyMetric,
    PrivacyReportMetadata,
    RocCurve,
    SingleAttackResult,
    SingleMembershipProbabilityResult,
    SingleSliceSpec,
    SlicingFeature,
    SlicingSpec,
)

TRAINED = [one for one in AttackType if one.is_trained_attack]
THRESHOLDS = [AttackType.THRESHOLD_ATTACK, AttackType.THRESHOLD_ENTROPY_ATTACK]
LOSSES = {"loss_train": [1.0, 2.0], "loss_test": [3.0, 4.0]}


def naive_loss(logits, label):
    z = np.asarray(logits, np.longdouble)
    return float(np.log(np.sum(np.exp(z - z.max()))) + z.max() - z[label])


def naive_modified_entropy(logits, label):
    z = np.asarray(logits, np.longdouble)
    p = np.exp(z - z.max()) / np.sum(np.exp(z - z.max()))
    others = [-p[j] * np.log(1 - p[j]) for j in range(len(p)) if j != label]
    return float(-(1 - p[label]) * np.log(p[label]) + sum(others))


def naive_auc(members, nonmembers):
    """The share of pairs in which the member has the smaller value, ties one half."""
    gap = np.subtract.outer(np.asarray(nonmembers), np.asarray(members))
    return np.mean((gap > 0) + (gap == 0) / 2)


def naive_advantage(members, nonmembers):
    gaps = [np.mean(members <= t) - np.mean(nonmembers <= t) for t in (*members, *nonmembers)]
    return np.max(np.abs(gaps))


def outputs(train=120, test=90, classes=4, gain=1.5, seed=0):
    """Logits and labels of both sides; members' own class stands out by `gain` more."""
    rng = np.random.default_rng(seed)
    found = {}
    for side, count, own in (("train", train, 1 + gain), ("test", test, 1)):
        labels = rng.integers(0, classes, count)
        logits = rng.normal(size=(count, classes))
        logits[np.arange(count), labels] += own
        found |= {f"labels_{side}": labels, f"logits_{side}": logits}
    return found


def softmax(logits):
    weights = np.exp(logits - logits.max(axis=1, keepdims=True))
    return weights / weights.sum(axis=1, keepdims=True)


def as_probs(given):
    probs = {name.replace("logits", "probs"): softmax(value) for name, value in given.items() if "logits" in name}
    return {name: value for name, value in given.items() if "labels" in name} | probs


def only(results):
    (result,) = results.single_attack_results
    return result


def sizes(results):
    return [tuple(result.data_size) for result in results.single_attack_results]


# --- values ---


def test_losses_and_entropies_are_the_formulas():
    given = outputs()
    data = AttackInputData(**given)
    for side, loss, entropy in (
        ("train", data.get_loss_train(), data.get_entropy_train()),
        ("test", data.get_loss_test(), data.get_entropy_test()),
    ):
        pairs = list(zip(given[f"logits_{side}"], given[f"labels_{side}"], strict=True))
        np.testing.assert_allclose(loss, [naive_loss(*pair) for pair in pairs], rtol=1e-12)
        np.testing.assert_allclose(entropy, [naive_modified_entropy(*pair) for pair in pairs], rtol=1e-9)
    probs = AttackInputData(**as_probs(given))
    np.testing.assert_allclose(probs.get_loss_test(), data.get_loss_test(), rtol=1e-9)
    np.testing.assert_allclose(probs.get_entropy_test(), data.get_entropy_test(), rtol=1e-9)


@pytest.mark.parametrize("read", [lambda given: given, as_probs], ids=["logits", "probs"])
def test_threshold_attacks_reach_the_naive_auc_and_advantage(read):
    given = outputs()
    results = mia.run_attacks(AttackInputData(**read(given)), attack_types=THRESHOLDS)
    for result, formula in zip(results.single_attack_results, (naive_loss, naive_modified_entropy), strict=True):
        members, nonmembers = (
            np.array([formula(z, y) for z, y in zip(given[f"logits_{side}"], given[f"labels_{side}"], strict=True)])
            for side in ("train", "test")
        )
        assert result.get_auc() == pytest.approx(naive_auc(members, nonmembers), abs=1e-9)
        assert result.get_attacker_advantage() == pytest.approx(naive_advantage(members, nonmembers), abs=1e-9)
        assert result.roc_curve.get_auc() == result.get_auc() == result.report.auc
        np.testing.assert_allclose(result.membership_scores_train, -members, rtol=1e-9)
        for threshold, tpr, fpr in zip(
            result.roc_curve.thresholds, result.roc_curve.tpr, result.roc_curve.fpr, strict=True
        ):
            assert tpr == np.mean(result.membership_scores_train >= threshold)
            assert fpr == np.mean(result.membership_scores_test >= threshold)


def test_given_losses_by_hand():
    """Of 2 · 3 pairs the members win 4 and tie 1; at loss <= 1 both members and one of three others are called."""
    result = only(
        mia.run_attacks(AttackInputData(loss_train=np.array([0.5, 1.0]), loss_test=np.array([1.0, 2.0, 0.1])))
    )
    assert result.get_auc() == pytest.approx((3 - 1 + 1.5) / 6)
    assert result.get_attacker_advantage() == pytest.approx(1 - 2 / 3)
    np.testing.assert_array_equal(result.roc_curve.thresholds, [np.inf, -0.1, -0.5, -1, -2])
    np.testing.assert_allclose(result.roc_curve.fpr, [0, 1 / 3, 1 / 3, 2 / 3, 1])
    np.testing.assert_allclose(result.roc_curve.tpr, [0, 0, 0.5, 1, 1])


def test_a_given_entropy_is_read_before_a_computed_one_and_lower_means_member():
    data = AttackInputData(**outputs(3, 3), entropy_train=[0.1, 0.2, 1.3], entropy_test=[1.1, 1.2, 1.3])
    result = only(mia.run_attacks(data, attack_types=AttackType.THRESHOLD_ENTROPY_ATTACK))
    assert result.get_auc() == pytest.approx(naive_auc([0.1, 0.2, 1.3], [1.1, 1.2, 1.3]))
    np.testing.assert_array_equal(result.membership_scores_train, [-0.1, -0.2, -1.3])


def test_without_labels_the_entropy_attack_reads_the_plain_entropy():
    given = {name: value for name, value in outputs().items() if "logits" in name}
    data = AttackInputData(**given)
    p = softmax(given["logits_train"])
    np.testing.assert_allclose(data.get_entropy_train(), -np.sum(p * np.log(p), axis=1))
    result = only(mia.run_attacks(data, attack_types=[AttackType.THRESHOLD_ENTROPY_ATTACK]))
    assert result.report.attack == "entropy"


def test_logits_whose_rows_sum_to_one_are_still_logits():
    logits = np.array([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    data = AttackInputData(logits_train=logits, logits_test=logits, labels_train=[0, 0], labels_test=[0, 0])
    np.testing.assert_allclose(data.get_entropy_train(), [naive_modified_entropy(z, 0) for z in logits])


def test_confident_float32_answers_do_not_tie():
    given = outputs(400, 400, gain=3)
    given |= {name: (value + 20 * np.eye(4)[given[name.replace("logits", "labels")]]).astype(np.float32)
              for name, value in given.items() if "logits" in name}  # fmt: skip
    result = only(mia.run_attacks(AttackInputData(**given)))
    assert len(np.unique(result.membership_scores_train)) == 400
    losses = [
        np.array([naive_loss(z, y) for z, y in zip(given[f"logits_{side}"], given[f"labels_{side}"], strict=True)])
        for side in ("train", "test")
    ]
    assert result.get_auc() > 0.8
    assert result.get_auc() == pytest.approx(naive_auc(*losses), abs=1e-3)  # which loses digits at 1e-19


def test_labels_in_a_column_or_one_hot_give_the_same():
    given = outputs()
    expected = only(mia.run_attacks(AttackInputData(**given))).get_auc()
    for shaped in (lambda labels: labels[:, None], lambda labels: np.eye(4, dtype=int)[labels], list):
        same = {name: shaped(value) if "labels" in name else value for name, value in given.items()}
        assert only(mia.run_attacks(AttackInputData(**same))).get_auc() == expected


def test_binary_heads_are_judged_right_by_their_sign():
    z, y = np.array([2.0, -1.0, 3.0, -2.0]), np.array([1, 1, 1, 0])
    for shape in ((-1,), (-1, 1)):
        data = AttackInputData(
            logits_train=z.reshape(shape), logits_test=-z.reshape(shape), labels_train=y, labels_test=y
        )
        np.testing.assert_allclose(data.get_loss_train(), np.log1p(np.exp(-(2 * y - 1) * z)))
        found = mia.run_attacks(data, SlicingSpec(entire_dataset=False, by_classification_correctness=True))
        assert sizes(found) == [(3, 1), (1, 3)]
        assert found.privacy_report_metadata.accuracy_train == 0.75


def test_multi_label_losses_stay_apart_and_are_summed_for_the_attack():
    rng = np.random.default_rng(0)
    given = {f"labels_{side}": rng.integers(0, 2, (30, 3)) for side in ("train", "test")}
    given |= {f"logits_{side}": rng.normal(size=(30, 3)) for side in ("train", "test")}
    data = AttackInputData(**given)
    signed = (2 * given["labels_train"] - 1) * given["logits_train"]
    np.testing.assert_allclose(data.get_loss_train(), np.log1p(np.exp(-signed)))
    assert data.is_multilabel_data()
    assert data.num_classes == 3
    found = mia.run_attacks(data, SlicingSpec(by_class=1), attack_types=THRESHOLDS)
    np.testing.assert_allclose(
        found.single_attack_results[0].membership_scores_train, -np.log1p(np.exp(-signed)).sum(axis=1)
    )
    assert sizes(found)[2] == tuple(int(given[f"labels_{side}"][:, 1].sum()) for side in ("train", "test"))
    assert found.privacy_report_metadata.accuracy_train == pytest.approx(np.mean(signed > 0))
    assert found.privacy_report_metadata.loss_train == pytest.approx(np.mean(np.log1p(np.exp(-signed))))
    known = AttackInputData(loss_train=[[1.0, 3.0]], loss_test=[[2.0, 1.0]], force_multilabel_data=True)
    assert only(mia.run_attacks(known)).membership_scores_train == [-4]


# --- losses of one's own, weights ---


def regression():
    rng = np.random.default_rng(1)
    targets = {f"labels_{side}": rng.normal(size=200) for side in ("train", "test")}
    answers = {"logits_train": targets["labels_train"] + rng.normal(size=200) / 3}
    return targets | answers | {"logits_test": targets["labels_test"] + rng.normal(size=200)}


@pytest.mark.parametrize("loss_function", ["squared", LossFunction.SQUARED, lambda y, z: (y - z) ** 2])
def test_a_slice_keeps_the_loss_function(loss_function):
    given = regression()
    whole = np.zeros(200, int)
    spec = SlicingSpec(all_custom_train_indices=[whole], all_custom_test_indices=[whole], by_percentiles=True)
    found = mia.run_attacks(AttackInputData(**given, loss_function=loss_function), spec).single_attack_results
    losses = [(given[f"labels_{side}"] - given[f"logits_{side}"]) ** 2 for side in ("train", "test")]
    assert found[0].get_auc() == pytest.approx(naive_auc(*losses), abs=1e-9)
    assert found[-1].get_auc() == found[0].get_auc()
    edges = np.quantile(np.concatenate(losses), [0, 0.1])
    lowest = [loss[(loss >= edges[0]) & (loss <= edges[1])] for loss in losses]
    assert tuple(found[1].data_size) == tuple(len(part) for part in lowest)
    assert found[1].get_auc() == pytest.approx(naive_auc(*lowest), abs=1e-9)


@pytest.mark.parametrize("name", ["cross_entropy", "xe", LossFunction.CROSS_ENTROPY])
def test_the_cross_entropy_has_names(name):
    data = AttackInputData(**outputs(), loss_function=name)
    np.testing.assert_array_equal(data.get_loss_train(), AttackInputData(**outputs()).get_loss_train())


def test_sample_weights_multiply_computed_losses_only():
    given = outputs()
    weights = {f"sample_weight_{side}": np.linspace(0, 2, len(given[f"labels_{side}"])) for side in ("train", "test")}
    plain = AttackInputData(**given).get_loss_train()
    columns = {name: value[:, None] for name, value in weights.items()}
    for shaped in (weights, columns):
        np.testing.assert_allclose(
            AttackInputData(**given, **shaped).get_loss_train(), plain * weights["sample_weight_train"]
        )
    known = AttackInputData(**given, **weights, loss_train=plain, loss_test=np.ones(90))
    np.testing.assert_array_equal(known.get_loss_train(), plain)
    squared = AttackInputData(**given, **weights, loss_function=lambda y, z: np.ones(len(y)))
    np.testing.assert_array_equal(squared.get_loss_train(), weights["sample_weight_train"])
    own = AttackInputData(**given, **weights, loss_function=lambda y, z, w: 5 - w)
    np.testing.assert_array_equal(own.get_loss_train(), 5 - weights["sample_weight_train"])


def test_a_callable_on_class_labels_leaves_the_other_signals():
    data = AttackInputData(**as_probs(outputs()), loss_function=lambda y, p: 1 - p[np.arange(len(y)), y])
    found = mia.run_attacks(data, SlicingSpec(by_classification_correctness=True), THRESHOLDS)
    assert len(found.single_attack_results) == 6


# --- slices ---


def test_slices_in_the_order_of_that_library_with_its_counts():
    given = outputs(200, 150)
    spec = SlicingSpec(entire_dataset=True, by_class=True, by_percentiles=True, by_classification_correctness=True)
    found = mia.run_attacks(AttackInputData(**given), spec, min_num_samples=1)
    names = ["Entire dataset", *[f"CLASS={c}" for c in range(4)]]
    names += [f"Loss percentiles: {p}-{p + 10}" for p in range(0, 100, 10)]
    names += ["CORRECTLY_CLASSIFIED=True", "CORRECTLY_CLASSIFIED=False"]
    shown = [str(result.slice_spec) for result in found.single_attack_results]
    assert shown == names
    expected = {"Entire dataset": (200, 150)}
    for c in range(4):
        expected[f"CLASS={c}"] = tuple(int(np.sum(given[f"labels_{side}"] == c)) for side in ("train", "test"))
    right = [given[f"logits_{side}"].argmax(axis=1) == given[f"labels_{side}"] for side in ("train", "test")]
    expected["CORRECTLY_CLASSIFIED=True"] = tuple(int(side.sum()) for side in right)
    for name, size in expected.items():
        assert sizes(found)[shown.index(name)] == size


def test_percentile_slices_have_that_librarys_edges_and_share_no_record():
    losses = np.random.default_rng(0).normal(size=(2, 95)) ** 2
    data = AttackInputData(loss_train=losses[0], loss_test=losses[1])
    spec = SlicingSpec(entire_dataset=False, by_percentiles=True)
    found = mia.run_attacks(data, spec, return_slice_indices=True)
    edges = np.percentile(losses, np.arange(0, 101, 10))
    for part, result in enumerate(found.single_attack_results):
        both = [np.flatnonzero((side <= edges[part + 1]) & ((side > edges[part]) | (part == 0))) for side in losses]
        np.testing.assert_array_equal(result.train_indices, both[0])
        np.testing.assert_array_equal(result.test_indices, both[1])
    assert np.sum(sizes(found)) == 190


def test_tied_losses_are_in_one_percentile_slice_only():
    losses = np.maximum(np.random.default_rng(0).normal(size=1_000), 0)  # half of them 0
    data = AttackInputData(loss_train=losses[:500], loss_test=losses[500:])
    found = mia.run_attacks(data, SlicingSpec(entire_dataset=False, by_percentiles=True))
    assert np.sum(sizes(found)) == 1_000
    assert sum(sizes(found)[0]) == np.sum(losses == 0)
    assert sum("0 training and 0 test examples" in line for line in found.skipped) == 4


@pytest.mark.parametrize(
    ("by_class", "classes"),
    [
        (False, []), (True, [0, 1, 2, 3]), (np.True_, [0, 1, 2, 3]), (0, [0]), (3, [3]), (np.int64(2), [2]),
        (np.array(2), [2]), ((1, 3), [1, 3]), (np.array([3, 1]), [3, 1]), ([1, 1], [1]),
    ],
)  # fmt: skip
def test_classes_are_all_one_or_some(by_class, classes):
    found = mia.run_attacks(AttackInputData(**outputs()), SlicingSpec(entire_dataset=False, by_class=by_class))
    assert [result.slice_spec.value for result in found.single_attack_results] == classes


def test_custom_slices_have_names_and_need_both_sides():
    data = AttackInputData(loss_train=[1.0, 2.0, 3.0], loss_test=[1.0, 2.0])
    spec = SlicingSpec(
        entire_dataset=False,
        all_custom_train_indices=[np.array([2, 1, 2]), np.array([0, 0, 1])],
        all_custom_test_indices=[np.array([1, 2]), np.array([1, 0])],
        custom_slices_names={0: "zero", 1: "one", 2: "two"},
    )
    found = mia.run_attacks(data, spec, return_slice_indices=True).single_attack_results
    assert [str(result.slice_spec) for result in found] == [
        "Custom indices: slice_name = one",
        "Custom indices: slice_name = two",
        "Custom indices: slice_name = zero, column = 1",
        "Custom indices: slice_name = one, column = 1",
    ]
    assert [(list(r.train_indices), list(r.test_indices)) for r in found] == [
        ([1], [0]), ([0, 2], [1]), ([0, 1], [1]), ([2], [0]),
    ]  # fmt: skip
    assert found[1].report.slice == "two"


def groups_of(train, test, names=None):
    """The groups of one custom column of three records a side, and their rows."""
    spec = SlicingSpec(
        entire_dataset=False,
        all_custom_train_indices=[train],
        all_custom_test_indices=[test],
        custom_slices_names=names,
    )
    data = AttackInputData(loss_train=[1.0, 2.0, 3.0], loss_test=[1.0, 2.0, 3.0])
    found = mia.run_attacks(data, spec, return_slice_indices=True).single_attack_results
    return {r.slice_spec.value.group: (list(r.train_indices), list(r.test_indices)) for r in found}


NEW_YEAR = datetime.date(2020, 1, 1)
CUSTOM = {
    "strings": (["a", "b", "a"], ["b", "c", "b"], {"b": ([1], [0, 2])}),
    "pandas strings": (pd.Series(["a", "b", "a"]), pd.Series(["b", "c", "b"]), {"b": ([1], [0, 2])}),
    "categories": (pd.Series(["a", "b", "a"], dtype="category"), np.array(["b", "c", "b"]), {"b": ([1], [0, 2])}),
    "object numbers": (np.array([1, 2, 1], object), np.array([2, 3, 2], object), {2: ([1], [0, 2])}),
    "numbers and strings": (np.array([1, "b", 1], object), [1, 3, 2], {1: ([0, 2], [0])}),
    "large numbers": ([2**70, 1, 2], [2**70, 3, 4], {2**70: ([0], [0])}),
    "a column": ([[1], [2], [1]], [[2], [3], [2]], {2: ([1], [0, 2])}),
    "dates": (np.array([NEW_YEAR, 0, 1], object), [NEW_YEAR, 5, 6], {"2020-01-01": ([0], [0])}),
    "bytes": ([b"a", b"b", b"a"], [b"b", b"c", b"b"], {"b'b'": ([1], [0, 2])}),
}  # fmt: skip


@pytest.mark.parametrize("case", CUSTOM)
def test_custom_groups_are_numbers_or_strings_of_any_kind(case):
    train, test, expected = CUSTOM[case]
    found = groups_of(train, test)
    assert found == expected
    assert [type(group) for group in found] == [type(group) for group in expected]


def test_groups_named_by_objects_find_their_names():
    spec = SlicingSpec(
        entire_dataset=False,
        all_custom_train_indices=iter([[NEW_YEAR, NEW_YEAR]]),  # read once, kept for the next run
        all_custom_test_indices=iter([[NEW_YEAR, NEW_YEAR]]),
        custom_slices_names={NEW_YEAR: "the first"},
    )
    for _ in range(2):
        assert only(mia.run_attacks(AttackInputData(**LOSSES), spec)).slice_spec.value.name == "the first"


def test_a_slice_too_small_is_left_out_and_named():
    given = outputs(40, 40)
    types = [AttackType.THRESHOLD_ATTACK, AttackType.LOGISTIC_REGRESSION]
    found = mia.run_attacks(AttackInputData(**given), SlicingSpec(by_class=0), types, min_num_samples=5)
    shown = [(str(r.slice_spec), r.attack_type) for r in found.single_attack_results]
    assert shown[:2] == [("Entire dataset", one) for one in types]
    assert ("CLASS=0", AttackType.LOGISTIC_REGRESSION) not in shown
    assert "LOGISTIC_REGRESSION on slice CLASS=0" in found.skipped[-1]
    assert "20 of each needed" in found.skipped[-1]
    assert found.summary().endswith(found.skipped[-1])


def test_a_slice_with_too_few_distinct_records_to_learn_from_is_left_out_and_named():
    """Twenty non-members are three records, eight, eight and four times: halves have four or eight of them at least once."""
    data = AttackInputData(loss_train=np.random.default_rng(0).random(60), loss_test=np.repeat([5.0, 6, 7], [8, 8, 4]))
    types = [AttackType.THRESHOLD_ATTACK, AttackType.K_NEAREST_NEIGHBORS]
    found = mia.run_attacks(data, attack_types=types)
    assert [result.attack_type for result in found.single_attack_results] == types[:1]
    assert "K_NEAREST_NEIGHBORS on slice Entire dataset: " in found.skipped[0]
    assert "too few to learn from" in found.skipped[0]


# --- attacks ---


def test_threshold_attacks_read_every_record_and_draw_nothing():
    data = AttackInputData(**outputs(500, 60))
    first, second = (mia.run_attacks(data, attack_types=THRESHOLDS, seed=seed) for seed in (0, 1))
    for one, other in zip(first.single_attack_results, second.single_attack_results, strict=True):
        assert (len(one.membership_scores_train), len(one.membership_scores_test)) == (500, 60)
        assert one.get_auc() == other.get_auc()
        assert one.get_auc().low == other.get_auc().low


@pytest.mark.parametrize("kind", TRAINED)
@pytest.mark.parametrize("read", [lambda given: given, as_probs], ids=["logits", "probs"])
def test_trained_attacks_find_a_leak_and_none_where_there_is_none(kind, read):
    leak = only(mia.run_attacks(AttackInputData(**read(outputs(300, 200, gain=3))), attack_types=[kind]))
    none = only(mia.run_attacks(AttackInputData(**read(outputs(300, 200, gain=0))), attack_types=[kind]))
    assert leak.get_auc().low > 0.5
    assert none.get_auc().low < 0.5 < none.get_auc().high
    assert (len(leak.membership_scores_train), len(leak.membership_scores_test)) == (300, 200)
    assert leak.report.folds == 2


def test_trained_attacks_are_seeded_and_leave_the_global_random_state():
    data = AttackInputData(**outputs())
    before = np.random.get_state()[1].copy()
    one, same, other = (
        only(mia.run_attacks(data, attack_types=AttackType.RANDOM_FOREST, seed=seed)).membership_scores_train
        for seed in (3, 3, 4)
    )
    np.testing.assert_array_equal(one, same)
    assert not np.array_equal(one, other)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_a_trained_attack_sees_extra_features():
    rng = np.random.default_rng(0)
    blind = {"loss_train": rng.random(100), "loss_test": rng.random(100)}
    tells = {"extra_features_train": rng.normal(1, 1, (100, 2)), "extra_features_test": rng.normal(-1, 1, (100, 2))}
    kind = AttackType.LOGISTIC_REGRESSION
    assert only(mia.run_attacks(AttackInputData(**blind, **tells), attack_types=kind)).get_auc() > 0.9
    assert only(mia.run_attacks(AttackInputData(**blind), attack_types=kind)).get_auc() < 0.7
    assert list(AttackInputData(**blind, **tells).features()) == ["loss", "extra_0", "extra_1"]


def test_features_are_the_signals_and_the_sorted_logits():
    given = outputs()
    columns = AttackInputData(**given).features()
    assert list(columns) == ["loss", "scaled_logit", "entropy", "correct", *(f"sorted_{i}" for i in range(4))]
    joined = np.concatenate([given["logits_train"], given["logits_test"]])
    np.testing.assert_array_equal(np.stack([columns[f"sorted_{i}"][:, 0] for i in range(4)], 1), -np.sort(-joined))


def test_object_arrays_of_numbers_are_the_numbers():
    given = outputs()
    objects = {name: value.astype(object) for name, value in given.items()}
    spec = SlicingSpec(by_class=True, by_percentiles=True)
    for one, other in zip(
        mia.run_attacks(AttackInputData(**given), spec).single_attack_results,
        mia.run_attacks(AttackInputData(**objects), spec).single_attack_results,
        strict=True,
    ):
        assert (one.slice_spec, one.get_auc()) == (other.slice_spec, other.get_auc())


def test_a_first_run_of_every_attack_leaves_the_global_random_states():
    """In a process of its own: what scikit-learn imports for the first time draws from them, too."""
    code = """
import random
import numpy as np
random.seed(1)
np.random.seed(1)
before = random.getstate(), np.random.get_state()
from privacy_callbacks.attacks import tf_privacy as mia
rng = np.random.default_rng(0)
sides = {f"{name}_{side}": rng.random(40) for name in ("loss", "entropy") for side in ("train", "test")}
found = mia.run_attacks(mia.AttackInputData(**sides), attack_types=mia.AttackType)
assert len(found.single_attack_results) == 6, found.skipped
assert random.getstate() == before[0], "Python"
for one, other in zip(np.random.get_state(), before[1]):
    np.testing.assert_array_equal(one, other)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# --- results ---


def test_intervals_hold_for_all_results_of_a_run_together():
    data = AttackInputData(**outputs(300, 300))
    alone = only(mia.run_attacks(data)).get_auc()
    among = mia.run_attacks(data, SlicingSpec(by_class=True)).single_attack_results
    assert alone.level == 0.95
    assert among[0].get_auc() == alone
    assert among[0].get_auc().level == pytest.approx(1 - 0.05 / 5)
    assert among[0].get_auc().low < alone.low < alone < alone.high < among[0].get_auc().high
    p_values = [result.report.p_value for result in among]
    assert min(result.report.holm_p_value for result in among) == pytest.approx(min(1, 5 * min(p_values)))


def test_the_ppv_needs_a_threshold_and_a_prior():
    """Scores -1, -2, -3 of members and -1.5, -4 of others: at -2 two of three members and one of two others are called."""
    result = only(mia.run_attacks(AttackInputData(loss_train=[1.0, 2.0, 3.0], loss_test=[1.5, 4.0])))
    found = result.get_ppv(threshold=-2, prior=0.1)
    assert found == pytest.approx(0.1 * 2 / 3 / (0.1 * 2 / 3 + 0.9 * 1 / 2))
    assert found.low < found < found.high
    with pytest.raises(TypeError, match=r"stated beforehand.*get_max_ppv_over_thresholds"):
        result.get_ppv()
    assert result.get_max_ppv_over_thresholds() == 1
    by_hand = RocCurve(np.array([np.inf, -2, -9]), np.array([0, 2 / 3, 1]), np.array([0, 1 / 2, 1]), 2 / 3)
    assert by_hand.get_ppv(-2, 0.1) == pytest.approx(found)
    assert by_hand.get_max_ppv_over_thresholds() == pytest.approx(2 / 3)  # TP / (TP + FP) = 2 / 3 of 3 accused
    with pytest.raises(ValueError, match="no record reaches"):
        by_hand.get_ppv(5, 0.1)
    for curve in (result, by_hand):
        with pytest.raises(ValueError, match="prior is 2; give the share of members"):
            curve.get_ppv(-2, 2)
        with pytest.raises(ValueError, match="threshold is NaN"):
            curve.get_ppv(np.nan, 0.1)


def test_the_largest_ppv_is_one_in_half_of_all_runs_on_noise():
    rng = np.random.default_rng(0)
    best = [
        only(mia.run_attacks(AttackInputData(loss_train=rng.random(20), loss_test=rng.random(20))))
        .get_max_ppv_over_thresholds()
        for _ in range(100)
    ]  # fmt: skip
    assert 0.35 < np.mean(np.array(best) == 1) < 0.65


def test_what_is_not_offered_says_why():
    results = mia.run_attacks(AttackInputData(loss_train=[1.0], loss_test=[2.0]))
    with pytest.raises(NotImplementedError, match="get_result_with_max_ppv_over_thresholds"):
        results.get_result_with_max_ppv()
    with pytest.raises(NotImplementedError, match="drawn at random"):
        only(results).get_epsilon_lower_bound()
    assert results.get_result_with_max_ppv_over_thresholds() is only(results)


def hand_made(tpr, fpr, spec=None):
    curve = RocCurve(tpr=np.array(tpr), fpr=np.array(fpr), thresholds=np.array([2, 1, 0]), test_train_ratio=1.0)
    return SingleAttackResult(
        slice_spec=spec or SingleSliceSpec(None),
        attack_type=AttackType.THRESHOLD_ATTACK,
        roc_curve=curve,
        data_size=DataSize(ntrain=1, ntest=1),
    )


def test_curves_made_by_hand_are_summarised_like_there():
    perfect = hand_made([0, 1, 1], [0, 0, 1], SingleSliceSpec(SlicingFeature.CORRECTLY_CLASSIFIED, True))
    guessing = hand_made([0, 0.5, 1], [0, 0.5, 1])
    assert (perfect.get_auc(), perfect.get_attacker_advantage()) == (1, 1)
    assert (guessing.get_auc(), guessing.get_attacker_advantage()) == (0.5, 0)
    assert hand_made([1, 1, 0], [1, 0, 0]).get_auc() == 1
    results = AttackResults([guessing, perfect])
    assert results.get_result_with_max_auc() is results.get_result_with_max_attacker_advantage() is perfect
    one = "  THRESHOLD_ATTACK (with 1 training and 1 test examples) achieved "
    assert results.summary(by_slices=True).split("\n") == [
        "Best-performing attacks over all slices",
        one + "an AUC of 1.00 on slice CORRECTLY_CLASSIFIED=True",
        one + "an advantage of 1.00 on slice CORRECTLY_CLASSIFIED=True",
        "",
        'Best-performing attacks over slice: "Entire dataset"',
        one + "an AUC of 0.50",
        one + "an advantage of 0.00",
        "",
        'Best-performing attacks over slice: "CORRECTLY_CLASSIFIED=True"',
        one + "an AUC of 1.00",
        one + "an advantage of 1.00",
    ]
    with pytest.raises(ValueError, match="in order"):
        hand_made([0, 1, 1], [0, 1, 0]).get_auc()


def test_the_summary_says_how_sure_it_is():
    lines = mia.run_attacks(AttackInputData(**outputs(500, 500))).summary().split("\n")
    head = "  THRESHOLD_ATTACK (with 500 training and 500 test examples) achieved "
    assert lines[1].startswith(head + "an AUC of 0.8")
    assert " on slice Entire dataset; 95 % interval: 0." in lines[1]
    assert "; without a leak at most 0.09 with probability 95 %" in lines[2]
    many = mia.run_attacks(AttackInputData(**outputs()), SlicingSpec(by_class=True)).summary(by_slices=True)
    assert many.count("95 % interval over all 5 results") == 6


def test_a_run_without_results_says_so():
    results = mia.run_attacks(AttackInputData(loss_train=[1.0], loss_test=[2.0]), min_num_samples=2)
    assert results.get_result_with_max_auc() is None
    assert results.summary(by_slices=True).split("\n")[1] == "  no attack could be run"
    assert len(results.calculate_pd_dataframe()) == 0
    assert mia.get_flattened_attack_metrics(results) == ([], [], [], [])


def test_the_table_has_that_librarys_columns_and_the_uncertainty_beside_them():
    results = mia.run_attacks(AttackInputData(**outputs()), SlicingSpec(by_class=2, by_percentiles=True))
    table = results.calculate_pd_dataframe()
    names = ["slice feature", "slice value", "train size", "test size", "attack type", "Attacker advantage", "AUC"]
    assert list(table.columns)[:7] == names
    assert list(table["slice feature"][:3]) == ["Entire dataset", "class", "percentile"]
    assert list(table["slice value"][:3]) == ["", "2", "(0, 10)"]
    first = results.single_attack_results[0]
    row = table.iloc[0]
    assert row[str(PrivacyMetric.AUC)] == first.get_auc()
    assert (row["AUC low"], row["AUC high"]) == (first.get_auc().low, first.get_auc().high)
    assert row["Attacker advantage null level"] == first.get_attacker_advantage().null_level
    types, slices, metrics, values = mia.get_flattened_attack_metrics(results)
    assert (types[0], slices[0], metrics[:2]) == ("THRESHOLD_ATTACK", "Entire dataset", ["adv", "auc"])
    assert values[1] == first.get_auc()


def test_attack_types_are_those_of_that_library():
    assert {one.name: one.value for one in AttackType} == {
        "LOGISTIC_REGRESSION": "lr",
        "MULTI_LAYERED_PERCEPTRON": "mlp",
        "RANDOM_FOREST": "rf",
        "K_NEAREST_NEIGHBORS": "knn",
        "THRESHOLD_ATTACK": "threshold",
        "THRESHOLD_ENTROPY_ATTACK": "threshold-entropy",
    }
    assert [one for one in AttackType if not one.is_trained_attack] == THRESHOLDS
    assert str(AttackType.LOGISTIC_REGRESSION) == "LOGISTIC_REGRESSION"


def test_metadata_is_completed_in_a_copy():
    given = outputs()
    known = PrivacyReportMetadata(accuracy_train=0.25, epoch_num=3)
    found = mia.run_attacks(AttackInputData(**given), privacy_report_metadata=known).privacy_report_metadata
    assert known == PrivacyReportMetadata(accuracy_train=0.25, epoch_num=3)
    right = given["logits_test"].argmax(axis=1) == given["labels_test"]
    assert (found.accuracy_train, found.accuracy_test, found.epoch_num) == (0.25, np.mean(right), 3)
    assert found.loss_test == pytest.approx(np.mean(AttackInputData(**given).get_loss_test()))


def test_inputs_stay_as_they_are():
    given = outputs()
    given |= {f"sample_weight_{side}": np.ones(len(given[f"labels_{side}"])) for side in ("train", "test")}
    before = {name: value.copy() for name, value in given.items()}
    data = AttackInputData(**given)
    fields = dict(vars(data))
    spec = SlicingSpec(by_class=True, by_percentiles=True)
    mia.run_attacks(data, spec, [AttackType.THRESHOLD_ATTACK, AttackType.LOGISTIC_REGRESSION])
    assert vars(data) == fields
    assert all(np.array_equal(value, before[name]) for name, value in given.items())


# --- files ---


def several():
    given = outputs()
    halves = [np.arange(len(given[f"labels_{side}"])) % 2 for side in ("train", "test")]
    spec = SlicingSpec(
        by_class=1,
        by_percentiles=True,
        all_custom_train_indices=halves[:1],
        all_custom_test_indices=halves[1:],
        custom_slices_names={0: "even", 1: "odd"},
    )
    types = [AttackType.THRESHOLD_ATTACK, AttackType.LOGISTIC_REGRESSION]
    return mia.run_attacks(
        AttackInputData(**given), spec, types, PrivacyReportMetadata(epoch_num=2), return_slice_indices=True
    )


def same(one, other):
    assert one.privacy_report_metadata == other.privacy_report_metadata
    assert one.skipped == other.skipped
    assert one.summary(by_slices=True) == other.summary(by_slices=True)
    for left, right in zip(one.single_attack_results, other.single_attack_results, strict=True):
        assert (left.slice_spec, left.data_size, left.attack_type) == (
            right.slice_spec, right.data_size, right.attack_type,
        )  # fmt: skip
        assert left.report.to_dict() == right.report.to_dict()
        assert left.report.folds == right.report.folds
        for name in ("membership_scores_train", "membership_scores_test", "train_indices", "test_indices"):
            np.testing.assert_array_equal(getattr(left, name), getattr(right, name))
        for name in ("thresholds", "tpr", "fpr", "test_train_ratio"):
            np.testing.assert_array_equal(getattr(left.roc_curve, name), getattr(right.roc_curve, name))


def test_results_come_back_as_they_were_saved(tmp_path):
    results = several()
    assert results.skipped
    results.save(tmp_path / "results.pickle")  # whatever the script calls it
    same(results, AttackResults.load(tmp_path / "results.pickle"))
    assert [path.name for path in tmp_path.iterdir()] == ["results.pickle"]


def test_a_file_names_its_schema_and_holds_no_pickle(tmp_path):
    several().save(tmp_path / "results.npz")
    with np.load(tmp_path / "results.npz", allow_pickle=False) as archive:
        assert all(archive[name].dtype != object for name in archive.files)
        assert json.loads(archive["header"].tobytes())["schema_version"] == 1


def test_results_made_by_hand_come_back_too(tmp_path):
    AttackResults([hand_made([0, 0.5, 1], [0, 0.25, 1])]).save(tmp_path / "by hand")
    found = AttackResults.load(tmp_path / "by hand")
    assert only(found).get_auc() == hand_made([0, 0.5, 1], [0, 0.25, 1]).get_auc()
    assert found.privacy_report_metadata is None


def test_groups_and_numbers_of_any_kind_can_be_saved(tmp_path):
    spec = SlicingSpec(
        all_custom_train_indices=[[NEW_YEAR, NEW_YEAR], [b"a", b"a"]], all_custom_test_indices=[[NEW_YEAR, 0], [b"a", b"b"]]
    )  # fmt: skip
    known = PrivacyReportMetadata(np.array(0.5), np.float32(0.25), np.inf, -np.inf, "NaN", np.int64(3))
    results = mia.run_attacks(AttackInputData(**LOSSES), spec, privacy_report_metadata=known)
    by_hand = hand_made([0, 0.5, 1], [0, 0.25, 1], SingleSliceSpec(SlicingFeature.CLASS, NEW_YEAR))
    results.single_attack_results.append(by_hand)
    results.save(tmp_path / "kept")
    found = AttackResults.load(tmp_path / "kept")
    assert found.privacy_report_metadata == PrivacyReportMetadata(0.5, 0.25, np.inf, -np.inf, "NaN", 3)
    specs = [result.slice_spec for result in results.single_attack_results[:3]]
    specs.append(SingleSliceSpec(SlicingFeature.CLASS, "2020-01-01"))
    assert [result.slice_spec for result in found.single_attack_results] == specs


def test_a_file_may_have_the_longest_name_that_there_is(tmp_path):
    results = mia.run_attacks(AttackInputData(**LOSSES))
    name = "n" * 255
    results.save(tmp_path / name)
    assert [path.name for path in tmp_path.iterdir()] == [name]
    same(results, AttackResults.load(tmp_path / name))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[]", "is no list of files"),
        ("null", "is no list of files"),
        ("{", "is no JSON"),
        ('{"schema_version": 1}', "has no field 'files'"),
        ('{"schema_version": 1, "files": [3]}', "should be a list of strings"),
        ('{"schema_version": 2, "files": []}', "of schema version 2"),
    ],
)
def test_a_damaged_list_of_a_collection_is_refused_in_one_sentence(tmp_path, text, said):
    (tmp_path / "attack_results.json").write_text(text)
    with pytest.raises(ValueError, match=f"holds no collection of attack results .*{said}"):
        AttackResultsCollection.load(tmp_path)


def test_pickles_other_files_and_other_versions_are_refused(tmp_path):
    class Trap:
        def __reduce__(self):
            return (pytest.fail, ("unpickled",))

    (tmp_path / "old").write_bytes(pickle.dumps(Trap()))
    np.savez(tmp_path / "other.npz", header=np.frombuffer(b'{"schema_version": 9}', np.uint8))
    np.savez(tmp_path / "objects.npz", header=np.array([None]))
    for name, said in (
        ("old", "pickles of TensorFlow Privacy"),
        ("other.npz", "version 9"),
        ("objects.npz", "holds no"),
    ):
        with pytest.raises(ValueError, match=said):
            AttackResults.load(tmp_path / name)
    with pytest.raises(FileNotFoundError):
        AttackResults.load(tmp_path / "none")


def test_a_failed_save_leaves_the_former_file(tmp_path, monkeypatch):
    results = mia.run_attacks(AttackInputData(loss_train=[1.0], loss_test=[2.0]))
    results.save(tmp_path / "kept")

    def disk_is_full(file, **arrays):
        file.write(b"half")
        raise OSError("no space left")

    monkeypatch.setattr(np, "savez_compressed", disk_is_full)
    with pytest.raises(OSError, match="no space left"):
        results.save(tmp_path / "kept")
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    same(results, AttackResults.load(tmp_path / "kept"))


def test_a_collection_keeps_its_order_and_knows_its_files(tmp_path):
    collection = AttackResultsCollection([])
    for epoch in range(12):
        data = AttackInputData(loss_train=[1.0], loss_test=[2.0])
        collection.append(mia.run_attacks(data, privacy_report_metadata=PrivacyReportMetadata(epoch_num=epoch)))
    folder = tmp_path / "new" / "folder"
    collection.save(folder)
    collection.attack_results_list = collection.attack_results_list[:11]
    collection.save(folder)
    (folder / "notes.txt").write_text("of the user's own")
    found = AttackResultsCollection.load(folder)
    assert [one.privacy_report_metadata.epoch_num for one in found.attack_results_list] == list(range(11))
    with pytest.raises(ValueError, match="no collection"):
        AttackResultsCollection.load(tmp_path)


# --- membership probability ---


def test_membership_probabilities_are_the_shares_in_bins_of_log_loss():
    """Five decades in 15 bins: three members share the lowest, 10 and 100 are contested, the rest is not members'."""
    data = AttackInputData(loss_train=[1.0, 1, 1, 10, 100], loss_test=[10.0, 100, 100, 1_000, 10_000])
    (found,) = mia.run_membership_probability_analysis(data).membership_prob_results
    np.testing.assert_allclose(found.train_membership_probs, [1, 1, 1, 1 / 2, 1 / 3])
    np.testing.assert_allclose(found.test_membership_probs, [1 / 2, 1 / 3, 1 / 3, 0, 0])


def test_membership_probabilities_of_any_losses_are_those_of_a_naive_histogram():
    rng = np.random.default_rng(0)
    sides = rng.gamma(1, 1, 300), rng.gamma(2, 1, 200)
    data = AttackInputData(loss_train=sides[0], loss_test=sides[1])
    (found,) = mia.run_membership_probability_analysis(data).membership_prob_results
    logs = [np.log(side) for side in sides]
    low, high = min(map(np.min, logs)), max(map(np.max, logs))
    bins = [np.minimum(((log - low) / (high - low) * 15).astype(int), 14) for log in logs]
    for own, probabilities in zip(bins, (found.train_membership_probs, found.test_membership_probs), strict=True):
        for index, probability in zip(own, probabilities, strict=True):
            member, other = (np.mean(side == index) for side in bins)
            assert probability == pytest.approx(member / (member + other))


def test_probability_thresholds_by_hand():
    result = SingleMembershipProbabilityResult(
        SingleSliceSpec(), np.array([0.91, 1, 0.92, 0.82, 0.75]), np.array([0.81, 0.7, 0.75, 0.25, 0.3])
    )
    kept, precision, recall = result.attack_with_varied_thresholds([0.8, 0.7, 1.5])
    assert (list(kept), list(precision), list(recall)) == ([0.8, 0.7], [0.8, 0.625], [0.8, 1])
    text = mia.MembershipProbabilityResults([result]).summary([0.8])
    assert 'Membership probability analysis over slice: "Entire dataset"' in text
    assert (
        "with 0.8000 as the threshold on membership probability, the precision-recall pair is (0.8000, 0.8000)" in text
    )
    assert "achieved an AUC of 0.9" in text


def test_probabilities_of_slices_and_entropies():
    data = AttackInputData(entropy_train=[0.1, 0.1, 3.0], entropy_test=[3.0, 0.1, 3.0])
    spec = SlicingSpec(all_custom_train_indices=[np.array([0, 0, 1])], all_custom_test_indices=[np.array([0, 1, 1])])
    whole, first, _ = mia.run_membership_probability_analysis(data, spec).membership_prob_results
    np.testing.assert_allclose(whole.train_membership_probs, [2 / 3, 2 / 3, 1 / 3])
    np.testing.assert_allclose(first.train_membership_probs, [1, 1])
    with pytest.raises(ValueError, match="infinite"):
        mia.run_membership_probability_analysis(AttackInputData(loss_train=[np.inf], loss_test=[1.0]))


# --- refusals ---

REFUSED = {
    "no outputs": ({"labels_train": [0], "labels_test": [1]}, "no outputs are given"),
    "nothing": ({}, "no outputs are given"),
    **{
        f"one-sided {name}": ({**LOSSES, f"{name}_train": [1.0, 1.0]}, f"{name}_train is given but {name}_test is not")
        for name in ("logits", "probs", "labels", "entropy", "sample_weight", "extra_features")
    },
    "one-sided loss": ({"loss_test": [1.0]}, "loss_test is given but loss_train is not"),
    "both answers": (
        {**outputs(), "probs_train": np.ones((120, 4)) / 4, "probs_test": np.ones((90, 4)) / 4}, "both given"
    ),
    "length": ({**outputs(), "loss_train": [1.0], "loss_test": np.ones(90)}, "train side has arrays of different lengths"),
    "widths": ({"logits_train": np.zeros((2, 3)), "logits_test": np.zeros((2, 4))}, "of equal width"),
    "rank": ({"logits_train": np.zeros((2, 3, 1)), "logits_test": np.zeros((2, 3, 1))}, "logits has shape"),
    "nan": ({"loss_train": [np.nan], "loss_test": [1.0]}, "loss is NaN"),
    "nan answers": ({"logits_train": [[np.nan, 1]], "logits_test": [[0, 1]]}, "NaN or infinite for 1 records"),
    "weights": ({**LOSSES, "sample_weight_train": [1, -1], "sample_weight_test": [1, 1]}, "negative, NaN or infinite for 1"),
    "weight columns": (
        {**LOSSES, "sample_weight_train": np.ones((2, 2)), "sample_weight_test": np.ones((2, 2))}, "one weight a record"
    ),
    "labels": ({**outputs(), "labels_test": np.full(90, 4)}, "out of range in 90 records"),
    "loss columns": ({"loss_train": np.ones((2, 3)), "loss_test": np.ones((2, 3))}, "say multilabel_data=True"),
    "loss name": ({**outputs(), "loss_function": "hinge"}, "loss_function is 'hinge'"),
    "reduced loss": ({**outputs(), "loss_function": lambda y, z: 1.0}, r"returned shape \(\) for 120 records"),
    "wide loss": ({**outputs(), "loss_function": lambda y, z: z}, "returned 4 numbers a record"),
    "no logits": ({**as_probs(outputs()), "loss_function_using_logits": True}, "logits are not given"),
    "no probs": ({**outputs(), "loss_function_using_logits": False}, "probs are not given"),
    "no targets": ({"logits_train": [1.0], "logits_test": [1.0], "loss_function": "squared"}, "give labels_train"),
    "extra": ({**LOSSES, "extra_features_train": [np.nan, 1], "extra_features_test": [1, 1]}, "extra_features is NaN"),
    **{
        f"{name} of strings": (
            {**LOSSES, f"{name}_train": ["1", "2"], f"{name}_test": ["1", "2"]}, f"{name}_train has dtype <U1; give"
        )
        for name in ("loss", "sample_weight", "extra_features", "entropy", "logits", "labels")
    },
    "objects": ({"loss_train": [object()], "loss_test": [1.0]}, "loss_train holds objects that are no numbers"),
    "none": ({"loss_train": [1.0, None], "loss_test": [1.0]}, "loss is NaN in 1 places"),
    "ragged": ({"logits_train": [[1, 2], [1]], "logits_test": [[1, 2]]}, "logits_train has rows of different lengths"),
    "one number": ({"loss_train": 1.0, "loss_test": 2.0}, r"loss_train has shape \(\)"),
    "no members": ({"loss_train": [], "loss_test": [1.0]}, "loss_train has 0 records; an attack is judged on"),
    "no non-members": (
        {"logits_train": np.zeros((1, 3)), "logits_test": np.zeros((0, 3)), "labels_train": [0], "labels_test": []},
        "test has 0 records",
    ),
    "no columns": ({"loss_train": np.zeros((2, 0)), "loss_test": np.zeros((2, 0))}, r"loss has shape \(4, 0\)"),
    "strings for a loss": ({**outputs(), "loss_function": lambda y, z: ["a"] * len(y)}, "loss_function's result has dtype"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_inputs_that_do_not_fit_are_refused_in_one_sentence(case):
    given, said = REFUSED[case]
    with pytest.raises(ValueError, match=said):
        mia.run_attacks(AttackInputData(**given), attack_types=[AttackType.THRESHOLD_ATTACK])
    with pytest.raises(ValueError, match=said):
        AttackInputData(**given).validate()


LOGITS_ALONE = {name: value for name, value in outputs().items() if "logits" in name}
ONE_LABEL = {"multilabel_data": True} | {
    name: np.eye(4, dtype=int)[value] if "labels" in name else value for name, value in outputs().items()
}
UNFIT = {
    "no loss": (LOGITS_ALONE, {"attack_types": THRESHOLDS[0]}, "the threshold attack reads the losses"),
    "no entropy": (LOSSES, {"attack_types": THRESHOLDS[1]}, "there is no entropy to read"),
    "classes": (LOSSES, {"slicing_spec": SlicingSpec(by_class=True)}, "give labels_train and labels_test"),
    "class": (LOSSES, {"slicing_spec": SlicingSpec(by_class=1)}, "needs class labels"),
    "label": (ONE_LABEL, {"slicing_spec": SlicingSpec(by_class=4)}, "names class 4, but there are 4 classes"),
    "class number": (outputs(), {"slicing_spec": SlicingSpec(by_class=[1, 9])}, "names class 9, but there are 4 classes"),
    "percentiles": (LOGITS_ALONE, {"slicing_spec": SlicingSpec(by_percentiles=True), "attack_types": THRESHOLDS[1]}, "losses"),
    "correctness": (LOSSES, {"slicing_spec": SlicingSpec(by_classification_correctness=True)}, "needs logits or probs"),
    "several labels": (ONE_LABEL, {"slicing_spec": SlicingSpec(by_classification_correctness=True)}, "of one class"),
    "custom length": (
        LOSSES, {"slicing_spec": SlicingSpec(all_custom_train_indices=[[1]], all_custom_test_indices=[[1, 1]])}, "one number"
    ),
    "custom name": (
        LOSSES,
        {
            "slicing_spec": SlicingSpec(
                all_custom_train_indices=[[1, 1]], all_custom_test_indices=[[1, 1]], custom_slices_names={0: "a"}
            )
        },
        "no name for group 1",
    ),
    "custom groups": (
        LOSSES, {"slicing_spec": SlicingSpec(all_custom_train_indices=[["1", "2"]], all_custom_test_indices=[[1, 2]])},
        r"all_custom_train_indices\[0\] and all_custom_test_indices\[0\] share no group",
    ),
    "few": (LOSSES, {"min_num_samples": 0}, "min_num_samples is 0; give a whole number from 1 up"),
    "negative seed": (LOSSES, {"seed": -1}, "seed is -1; give a whole number from 0 to 4294967295"),
    "large seed": (LOSSES, {"seed": 2**32}, "seed is 4294967296; give a whole number from 0"),
    "no types": (LOSSES, {"attack_types": []}, "attack_types is empty"),
}  # fmt: skip


@pytest.mark.parametrize("case", UNFIT)
def test_attacks_and_slices_that_lack_something_are_refused(case):
    given, asked, said = UNFIT[case]
    with pytest.raises(ValueError, match=said):
        mia.run_attacks(AttackInputData(**given), **asked)


OF_ANOTHER_TYPE = {
    "attack type": ({"attack_types": ["lr"]}, "'lr' is no attack type"),
    "name of a type": ({"attack_types": "threshold"}, "attack_types is 'threshold'; give members of AttackType"),
    "no types": ({"attack_types": None}, "attack_types is None; give members of AttackType"),
    "count as text": ({"min_num_samples": "3"}, "min_num_samples is '3'; give a whole number from 1 up"),
    "count and a half": ({"min_num_samples": 2.5}, "min_num_samples is 2.5; give a whole number"),
    "no seed": ({"seed": None}, "seed is None; give a whole number from 0"),
    "seed as a flag": ({"seed": True}, "seed is True; give a whole number"),
    "specification": ({"slicing_spec": {"by_class": True}}, "slicing_spec is a dict; give an instance of SlicingSpec, or None"),
    "metadata": ({"privacy_report_metadata": "model"}, "privacy_report_metadata is 'model'; give an instance of"),
    "data": ({"attack_input": LOSSES}, "attack_input is a dict; give an instance of AttackInputData"),
}  # fmt: skip


@pytest.mark.parametrize("case", OF_ANOTHER_TYPE)
def test_arguments_of_another_type_are_refused_before_anything_is_computed(case, monkeypatch):
    asked, said = OF_ANOTHER_TYPE[case]
    monkeypatch.setattr(AttackInputData, "snapshot", lambda data: pytest.fail("computing"))
    if case != "specification":  # whose check comes with that of the data
        with pytest.raises(TypeError, match=said):
            mia.run_attacks(**{"attack_input": AttackInputData(**LOSSES), **asked})
    if case in ("specification", "data"):
        with pytest.raises(TypeError, match=said):
            mia.run_membership_probability_analysis(**{"attack_input": AttackInputData(**LOSSES), **asked})


UNREADABLE_SPECS = {
    "half a class": ({"by_class": [1.5]}, TypeError, r"by_class is \[1.5\]; give True, False, a class number"),
    "float": ({"by_class": 1.0}, TypeError, "by_class is 1.0; give"),
    "text": ({"by_class": "ab"}, TypeError, "by_class is 'ab'; give"),
    "bytes": ({"by_class": b"ab"}, TypeError, "by_class is b'ab'; give"),
    "none": ({"by_class": None}, TypeError, "by_class is None; give"),
    "flags": ({"by_class": [True, False]}, TypeError, r"by_class is \[True, False\]; give"),
    "no class": ({"by_class": []}, ValueError, r"by_class is \[\]; name at least one class"),
    "negative class": ({"by_class": [0, -1]}, ValueError, r"by_class is \[0, -1\]; name at least one class, numbered from 0"),
    "one side": ({"all_custom_train_indices": [[1]]}, ValueError, "1 columns and all_custom_test_indices 0"),
    "flat": ({"all_custom_train_indices": [0, 1]}, ValueError, r"all_custom_train_indices\[0\] has shape \(\); give a list of"),
    "flat array": ({"all_custom_test_indices": np.arange(3)}, ValueError, r"all_custom_test_indices\[0\] has shape \(\)"),
    "text indices": ({"all_custom_train_indices": "abc"}, TypeError, "all_custom_train_indices is 'abc'; give a list"),
    "a number": ({"all_custom_train_indices": 5}, TypeError, "all_custom_train_indices is 5; give a list"),
    "ragged": ({"all_custom_train_indices": [[1, [2]]]}, ValueError, "has rows of different lengths; give one group a record"),
    "missing": ({"all_custom_train_indices": [[1, None]]}, ValueError, r"\[0\] is missing \(NaN, None\) for 1 records"),
    "not a number": ({"all_custom_train_indices": [[1, np.nan]]}, ValueError, r"is missing \(NaN, None\) for 1 records"),
    "missing in pandas": (
        {"all_custom_train_indices": [pd.Series(["a", None], dtype="string")]}, ValueError, "is missing .* for 1 records"
    ),
    "no time": ({"all_custom_train_indices": [np.array(["NaT"], "M8[D]")]}, ValueError, "is missing .* for 1 records"),
    "list of names": ({"custom_slices_names": ["a"]}, TypeError, r"custom_slices_names is \['a'\]; give a dictionary"),
}  # fmt: skip


@pytest.mark.parametrize("case", UNREADABLE_SPECS)
def test_specifications_that_cannot_be_read_are_refused_in_one_sentence(case):
    given, error, said = UNREADABLE_SPECS[case]
    with pytest.raises(error, match=said):
        SlicingSpec(**given)


def test_the_number_of_classes_needs_class_numbers():
    assert AttackInputData(labels_train=[0, 2], labels_test=[1, 1]).num_classes == 3
    for labels, said in (
        (None, "give labels_train"),
        (["a"], "labels_train has dtype <U1"),
        ([0.5], "no whole numbers"),
    ):
        with pytest.raises(ValueError, match=said):
            _ = AttackInputData(labels_train=labels, labels_test=labels).num_classes


# --- whole scripts ---


def test_the_script_of_that_librarys_first_page_runs():
    given = outputs(400, 300, gain=2, seed=5)
    data = AttackInputData(**given)
    attack_input = AttackInputData(**given, loss_train=data.get_loss_train(), loss_test=data.get_loss_test())
    slicing_spec = SlicingSpec(
        entire_dataset=True, by_class=True, by_percentiles=False, by_classification_correctness=True
    )
    attack_types = [AttackType.THRESHOLD_ATTACK, AttackType.LOGISTIC_REGRESSION]
    attacks_result = mia.run_attacks(attack_input=attack_input, slicing_spec=slicing_spec, attack_types=attack_types)
    assert len(attacks_result.single_attack_results) == 2 * (1 + 4 + 2) - len(attacks_result.skipped)
    text = attacks_result.summary(by_slices=True)
    assert text.startswith("Best-performing attacks over all slices\n")
    assert 'Best-performing attacks over slice: "CORRECTLY_CLASSIFIED=False"' in text
    best = attacks_result.get_result_with_max_auc()
    line = f"Attack type with max AUC: {best.attack_type}, AUC of {best.roc_curve.get_auc():.2f}"
    assert line.startswith("Attack type with max AUC: ")
    assert best.get_auc() == max(result.get_auc() for result in attacks_result.single_attack_results)
    assert attacks_result.get_result_with_max_attacker_advantage() in attacks_result.single_attack_results
    whole = attacks_result.single_attack_results[0]
    losses = data.get_loss_train(), data.get_loss_test()
    assert whole.get_auc() == pytest.approx(naive_auc(*losses), abs=1e-9)
    assert whole.get_attacker_advantage() == pytest.approx(naive_advantage(*losses), abs=1e-9)


def test_the_script_of_that_librarys_codelab_runs(tmp_path):
    """Four clusters, a classifier, a run every two epochs, a collection, files, tables."""
    rng = np.random.default_rng(0)
    centres = 2 * np.array([[0, 0, 0], [1, 0, 0], [0, 1, 0], [0, 0, 1]])
    labels = np.repeat(np.arange(4), 60).astype("uint8")
    train, test = (centres[labels] + 2 * rng.normal(size=(240, 3)) for _ in range(2))

    def predict(features, epochs):
        """Ever closer to the nearest training record: what an overfitted model does."""
        distances = np.linalg.norm(features[:, None] - train[None], axis=2)
        closeness = np.exp(-distances * epochs)
        votes = np.stack([closeness[:, labels == c].sum(axis=1) for c in range(4)], axis=1) + 1e-12
        return (votes / votes.sum(axis=1, keepdims=True)).astype(np.float32)

    def crossentropy(true_labels, predictions):
        own = np.eye(4)[true_labels]
        p = np.clip(predictions, 1e-7, 1 - 1e-7).astype(np.float64)
        return -np.mean(own * np.log(p) + (1 - own) * np.log(1 - p), axis=1)

    epoch_results = AttackResultsCollection([])
    for epochs in (2, 4, 6):
        training_pred, test_pred = predict(train, epochs), predict(test, epochs)
        attack_results = mia.run_attacks(
            AttackInputData(
                labels_train=labels,
                labels_test=labels,
                probs_train=training_pred,
                probs_test=test_pred,
                loss_train=crossentropy(labels, training_pred),
                loss_test=crossentropy(labels, test_pred),
            ),
            SlicingSpec(entire_dataset=True, by_class=True),
            attack_types=(AttackType.THRESHOLD_ATTACK, AttackType.LOGISTIC_REGRESSION),
            privacy_report_metadata=PrivacyReportMetadata(
                accuracy_train=np.mean(training_pred.argmax(axis=1) == labels),
                accuracy_test=np.mean(test_pred.argmax(axis=1) == labels),
                epoch_num=epochs,
                model_variant_label="nearest records",
            ),
        )
        epoch_results.append(attack_results)
        sides = crossentropy(labels, training_pred), crossentropy(labels, test_pred)
        assert attack_results.single_attack_results[0].get_auc() == pytest.approx(naive_auc(*sides), abs=1e-9)
        for c in range(4):
            of_class = [side[labels == c] for side in sides]
            found = attack_results.single_attack_results[2 + 2 * c]
            assert (found.slice_spec, found.data_size) == (SingleSliceSpec(SlicingFeature.CLASS, c), (60, 60))
            assert found.get_auc() == pytest.approx(naive_auc(*of_class), abs=1e-9)

    attack_results.save(tmp_path / "results.pickle")
    assert AttackResults.load(tmp_path / "results.pickle").summary() == attack_results.summary(by_slices=False)
    epoch_results.save(tmp_path / "epochs")
    tables = []
    for results in AttackResultsCollection.load(tmp_path / "epochs").attack_results_list:
        table = results.calculate_pd_dataframe()
        table.insert(0, "Epoch", results.privacy_report_metadata.epoch_num)
        tables.append(table[table["slice feature"] == mia.ENTIRE_DATASET_SLICE_STR])
    assert [list(table["Epoch"]) for table in tables] == [[2, 2], [4, 4], [6, 6]]
    aucs = [float(table[str(PrivacyMetric.AUC)].iloc[0]) for table in tables]
    assert 0.7 < aucs[0] < aucs[1] < aucs[2]
    assert epoch_results.attack_results_list[-1].privacy_report_metadata.accuracy_train == 1


def test_the_snippets_on_migrating_run(capsys):
    text = (Path(__file__).parents[2] / "docs" / "migrating.md").read_text(encoding="utf-8")
    exec("\n".join(re.findall(r"```python\n(.*?)```", text, re.DOTALL)), {})
    assert "Best-performing attacks over all slices" in capsys.readouterr().out

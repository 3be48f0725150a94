"""What scores say, against counts of pairs by exact whole numbers, for scores of any kind; and what must not change it."""

from contextlib import nullcontext
from fractions import Fraction

import numpy as np
import pytest
from fuzz.odd_arrays import FUZZED
from hypothesis import assume, example, given
from hypothesis import strategies as st

from privacy_callbacks.attacks import LeakageReport, RocCurve, RocSketch, exposure, ppv
from privacy_callbacks.attacks.advantage import advantage
from privacy_callbacks.attacks.auc import auc, auc_value
from privacy_callbacks.attacks.low_fpr import tpr_at_fpr
from privacy_callbacks.range_queries import largest, log_mean_exp, mean, top_k, trimmed_mean

EXTREMES = [np.inf, -np.inf, 0.0, -0.0, 5e-324, 1.7e308, -1.7e308, 1.0, np.nextafter(1.0, 2.0), 2.0**53]
NUMBERS = st.one_of(st.floats(allow_nan=False), st.sampled_from(EXTREMES), st.integers(-3, 3).map(float))


@st.composite
def records(draw, least=1, most=30):
    """(scores, flags), at least one record a side; few distinct scores, or any."""
    flags = draw(st.lists(st.booleans(), min_size=2 * least, max_size=most))
    assume(least <= sum(flags) <= len(flags) - least)
    scores = draw(st.lists(NUMBERS, min_size=len(flags), max_size=len(flags)))
    return np.array(scores), np.array(flags)


def pairs_won(scores, flags):
    """The share of (member, non-member) pairs that the member wins, ties one half: exactly."""
    members, others = scores[flags].tolist(), scores[~flags].tolist()
    twice = sum(2 * (one > other) + (one == other) for one in members for other in others)
    return Fraction(twice, 2 * len(members) * len(others))


@FUZZED
@given(records())
@example((np.array([0.0, -0.0]), np.array([True, False])))
@example((np.array([np.inf, np.inf, -np.inf]), np.array([True, False, True])))
def test_the_auc_is_the_share_of_pairs_won(judged):
    scores, flags = judged
    exact = pairs_won(scores, flags)
    found = auc(RocCurve.from_scores(scores, flags))
    assert float(found) == float(exact)
    assert 0 <= found.low <= found <= found.high <= 1
    assert abs(auc_value(scores, flags) - float(exact)) < 1e-12


@FUZZED
@given(records(), st.sampled_from(["int8", "int16", "int32", "int64", "uint8", "uint32", "uint64"]), st.data())
def test_whole_numbers_of_any_type_are_ranked_exactly_or_refused(judged, kind, data):
    _, flags = judged
    limits = np.iinfo(kind)
    ends = [
        limits.min,
        limits.max,
        limits.max - 1,
        limits.max // 2,
        0,
        1,
        min(2**53, limits.max),
        min(2**53 + 1, limits.max),
    ]
    whole = data.draw(st.lists(st.sampled_from(ends), min_size=len(flags), max_size=len(flags)))
    rounded = any(float(number) != number for number in whole)
    with pytest.raises(ValueError, match="would round") if rounded else nullcontext():
        found = auc(RocCurve.from_scores(np.array(whole, kind), flags))
        assert float(found) == float(pairs_won(np.array(whole, object), flags))


def curve_of(scores, flags):
    roc = RocCurve.from_scores(scores, flags)
    return roc.true_positives.tolist(), roc.false_positives.tolist()


@FUZZED
@given(records(), st.randoms(use_true_random=False))
def test_neither_the_order_of_records_nor_a_rising_function_of_the_scores_changes_the_curve(judged, random):
    scores, flags = judged
    expected = curve_of(scores, flags)
    order = list(range(len(scores)))
    random.shuffle(order)
    assert curve_of(scores[order], flags[order]) == expected
    ranks = np.unique(scores, return_inverse=True)[1]
    assert curve_of(ranks, flags) == expected
    assert curve_of(ranks.astype("uint8"), flags.tolist()) == expected


@FUZZED
@given(records(least=4))
def test_swapping_the_sides_mirrors_every_area(judged):
    scores, flags = judged
    ours, theirs = (LeakageReport.from_scores(scores, side) for side in (flags, ~flags))
    for one, other in zip(
        (ours.auc, ours.auc.low, ours.auc.high), (theirs.auc, theirs.auc.high, theirs.auc.low), strict=True
    ):
        np.testing.assert_allclose(one, 1 - other, atol=1e-9)
    assert float(ours.advantage) == float(theirs.advantage)
    np.testing.assert_allclose(
        ours.mutual_information.details["total_variation"], theirs.mutual_information.details["total_variation"]
    )
    assert (ours.num_members, ours.num_nonmembers) == (theirs.num_nonmembers, theirs.num_members)


@FUZZED
@given(records())
def test_the_advantage_is_the_largest_gap_at_any_threshold(judged):
    scores, flags = judged
    gaps = [np.mean(scores[flags] >= t) - np.mean(scores[~flags] >= t) for t in [*scores, np.inf]]
    np.testing.assert_allclose(
        float(advantage(RocCurve.from_scores(scores, flags))), np.max(np.abs([*gaps, 0.0])), atol=1e-12
    )


@FUZZED
@given(records(), st.sampled_from([0.1, 0.2, 0.5, 0.9]))
def test_the_tpr_at_a_rate_is_that_of_members_above_the_first_score_with_too_many_others(judged, rate):
    scores, flags = (np.tile(column, 100) for column in judged)  # enough for the rate, and ties everywhere
    members, others = scores[flags], np.sort(scores[~flags])[::-1]
    first_beyond = others[int(np.floor(rate * others.size + 1e-9))]
    found = tpr_at_fpr(RocCurve.from_scores(scores, flags), rate)
    assert float(found) == np.mean(members > first_beyond)
    assert found.low <= found <= found.high


@FUZZED
@given(records(), NUMBERS)
def test_the_ppv_counts_the_accused(judged, threshold):
    scores, flags = judged
    accused = scores >= threshold
    assume(accused.any())
    tpr, fpr = np.mean(accused[flags]), np.mean(accused[~flags])
    found = ppv(RocCurve.from_scores(scores, flags), threshold)
    np.testing.assert_allclose(float(found), tpr / (tpr + fpr))
    assert found.low <= found + 1e-12
    assert found <= found.high + 1e-12


@FUZZED
@given(records(), st.integers(1, 20))
def test_a_sketch_that_holds_everything_is_the_curve(judged, parts):
    scores, flags = judged
    sketch = RocSketch(64)
    for rows in np.array_split(np.arange(len(scores)), parts):
        sketch.add(scores[rows], flags[rows])
    exact = RocCurve.from_scores(scores, flags)
    assert curve_of(scores, flags) == (sketch.roc().true_positives.tolist(), sketch.roc().false_positives.tolist())
    assert float(sketch.auc()) == float(auc(exact))


@FUZZED
@given(st.lists(NUMBERS, min_size=1, max_size=20), NUMBERS)
def test_exposure_counts_the_references_that_score_as_high(references, canary):
    above = sum(reference >= canary for reference in references)
    np.testing.assert_allclose(exposure(canary, references), np.log2((len(references) + 1) / (above + 1)))


@FUZZED
@given(st.lists(st.lists(NUMBERS, min_size=3, max_size=3), min_size=1, max_size=6))
@example([[1.7976931348623157e308] * 3])
@example([[-1.7e308, 1.7e308, 1.7e308]])
@example([[np.inf, -np.inf, 0.0]])
@example([[-np.inf, -np.inf, -np.inf]])
def test_what_a_range_scores_lies_between_its_least_and_largest_point(rows):
    values = np.array(rows)
    for reduce in (mean, largest, log_mean_exp, top_k, lambda scores: trimmed_mean(scores, (0.25, 1.0))):
        found = reduce(values)
        assert found.shape == (len(values),)
        assert not np.isnan(found).any()
        least, most = values.min(axis=1), values.max(axis=1)
        with np.errstate(over="ignore", invalid="ignore"):
            assert ((found >= least) | np.isclose(found, least)).all()
            assert ((found <= most) | np.isclose(found, most)).all()
    assert (largest(values) == values.max(axis=1)).all()

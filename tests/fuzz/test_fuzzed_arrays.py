"""Whatever arrays a public function is given, it answers, or refuses in words of its own, and leaves them as they were."""

import numpy as np
import pytest
from fuzz.array_doors import DOORS, FLAGS, LOGITS, SCORES, SHADOW, TARGET, TRAINED_ON, N
from fuzz.odd_arrays import FUZZED, GUISES, Refusal, asked, edits, figures
from hypothesis import given
from hypothesis import strategies as st

from privacy_callbacks import attacks, range_queries

# A function that fits something takes tenths of a second.
_SLOW = {"quantile_regression gaussian", "quantile_regression pinball", "information_view", "exposure_estimate"}

_OBJECTS_ARE_TEXTS = {"blind_baseline", "mislabelled", "random_inputs", "randomised_membership"}


def odd(edit, array):
    """What the edit makes of the array; None where it makes nothing of it."""
    try:
        return edit(array.copy())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None


def same(ours, theirs):
    """True if they are equal but for the order in which numbers were summed."""
    if ours.dtype.kind == "f" and theirs.dtype.kind == "f":
        return ours.shape == theirs.shape and np.allclose(ours, theirs, rtol=1e-9, atol=1e-12, equal_nan=True)
    return np.array_equal(ours, theirs)


@pytest.mark.parametrize("door", DOORS)
@FUZZED
@given(st.data())
def test_odd_arrays_are_answered_or_refused_in_a_sentence(door, data):
    call, arrays = DOORS[door]
    name = data.draw(st.sampled_from(sorted(arrays)))
    _, edit = data.draw(edits())
    if door in _SLOW and data.draw(st.integers(0, 3)):
        return
    try:
        asked(call, {**arrays, name: odd(edit, arrays[name])})
    except Refusal:
        pass


@pytest.mark.parametrize("door", sorted(set(DOORS) - _SLOW))
def test_the_same_numbers_in_another_guise_say_the_same(door):
    call, arrays = DOORS[door]
    expected = figures(call(**arrays))
    for name, array in arrays.items():
        for guise, edit in GUISES.items():
            given_so = odd(edit, array)
            if given_so is None or (guise == "object" and door in _OBJECTS_ARE_TEXTS):
                continue
            try:
                found = figures(asked(call, {**arrays, name: given_so}))
            except Refusal:
                continue
            assert len(found) == len(expected), (name, guise)
            for ours, theirs in zip(found, expected, strict=True):
                assert same(ours, theirs), f"{name} as {guise}: {ours} for {theirs}"


MISTAKEN = {
    "a scale": lambda array: array.astype("complex64"),
    "dates": lambda array: array.astype("datetime64[s]"),
    "words": lambda array: array.astype(str),
    "masked": lambda array: np.ma.masked_array(array, np.arange(array.size).reshape(array.shape) == 0),
    "not exact": lambda array: (2**53 + np.arange(array.size)).reshape(array.shape),
}


@pytest.mark.parametrize("mistake", MISTAKEN)
@pytest.mark.parametrize(
    "door",
    [
        "RocCurve.from_scores",
        "LeakageReport.from_scores",
        "RocSketch.add",
        "lira online pooled",
        "attack_p",
        "exposure",
        "klom",
    ],
)
def test_what_numpy_would_read_wrongly_is_refused(door, mistake):
    call, arrays = DOORS[door]
    name = next(iter(arrays))
    with pytest.raises(Refusal, match=name):
        asked(call, {**arrays, name: MISTAKEN[mistake](arrays[name])})


@pytest.mark.parametrize(
    ("call", "arguments", "said"),
    [
        (attacks.lira_scores, (TARGET * 1e300, SHADOW, TRAINED_ON), "target holds numbers as large as"),
        (attacks.u_lira_scores, (TARGET, SHADOW * 1e300, SHADOW), "unlearned holds numbers as large as"),
        (attacks.klom_floor, (SHADOW * 1e300, 4), "retrained holds numbers as large as"),
        (attacks.klom_percentiles, ({"forget": [np.inf, 1.0]},), "all finite"),
        (attacks.tune_rmia, (SHADOW, TRAINED_ON, []), "candidates is empty"),
        (attacks.by_percentile, ([],), r"losses have shape \(0,\)"),
        (attacks.by_column, ("sex", ["male", "female"], "male"), "give a list of single values"),
        (attacks.by_class, ([0, 1], [[0, 1]]), "give a list of single values"),
        (attacks.signals_from_arrays, ([1e300, 0.0],), "nothing to read"),
        (attacks.Signals, ({"loss": np.zeros((4, 0))},), "at least one query"),
        (attacks.balanced_assignment, (2, 3, 0, [0, "a", None]), "missing, or cannot be told apart"),
        (attacks.balanced_assignment, (2, 3, 0, [0.0, 1.0, np.nan]), "groups is missing"),
        (attacks.blind_baseline, (LOGITS, np.arange(N), ["yes"] * N), "is_member has dtype <U3"),
        (attacks.tug_of_war, ({"forget": "a", "retain": 1, "test": 1}, {}), "give a share from 0 to 1"),
        (attacks.sliced_reports, (SCORES, FLAGS, attacks.by_class([0, 1])), "give one of each a record"),
        (range_queries.mean, ([[1.0, 2 + 1j]],), "scores has dtype complex128"),
    ],
)
def test_the_refusal_says_what_came(call, arguments, said):
    with pytest.raises(ValueError, match=said):
        call(*arguments)


def test_a_cross_fitted_classifier_refuses_records_without_a_signal():
    signals = attacks.Signals({"loss": np.where(np.arange(N) == 3, np.nan, SCORES)[:, None]})
    with pytest.raises(ValueError, match="signals are NaN for 1 of"):
        attacks.cross_fitted(attacks.Trained(features=("loss",)), signals, FLAGS)


def test_lists_may_be_judged_slice_by_slice():
    (of_arrays, *_), (of_lists, *_) = (
        attacks.sliced_reports(scores, flags, attacks.by_correctness(FLAGS | (np.arange(N) > 10)))
        for scores, flags in ((SCORES, FLAGS), (SCORES.tolist(), FLAGS.tolist()))
    )
    assert of_arrays.to_json() == of_lists.to_json()

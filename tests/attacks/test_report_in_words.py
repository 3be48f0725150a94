"""Words for somebody who decides: what is claimed is what the interval says, and no number claims more than it may."""

import re
from dataclasses import replace

import hypothesis
import numpy as np
import pytest
from gaussian_world import GaussianWorld
from hypothesis import strategies as st

from privacy_callbacks.attacks import Estimate, LeakageReport
from privacy_callbacks.attacks.interval_text import in_figures, in_percent
from privacy_callbacks.attacks.report import failed_report
from privacy_callbacks.attacks.report_in_words import FORGET_FOR_MEMBERS, RETAIN_FOR_MEMBERS, in_words


def of(auc, *, tpr=None, **described):
    """A report with this AUC and these true positive rates."""
    return LeakageReport(attack="lira", num_members=100, num_nonmembers=100, auc=auc, tpr_at_fpr=tpr or {}, **described)


LEAK = of(Estimate(0.612, 0.592, 0.631), tpr={0.1: Estimate(0.2, 0.1, 0.3), 0.01: Estimate(0.103, 0.081, 0.129)})
NONE_SHOWN = of(Estimate(0.503, 0.481, 0.524), tpr={0.01: Estimate(0.011, 0.004, 0.02)})


def test_a_leak_is_told_with_its_interval_and_what_guessing_would_do():
    assert in_words(LEAK) == (
        "Shown one training record and one other, an attacker (lira) picks the training record 61 % of the time (59 % to 64 %; a "
        "coin: 50 %). Allowed one false alarm in a hundred, they recognise 10 % of the training records (8 % to 13 %; guessing: "
        "1 %)."
    )


def test_where_no_leak_can_be_shown_nothing_is_called_safe():
    assert in_words(NONE_SHOWN) == (
        "It cannot be shown that an attacker (lira) does better than guessing: shown one training record and one other, they "
        "pick the training record 50 % of the time (48 % to 53 %; a coin: 50 %). That is no proof that nothing leaks."
    )


def test_records_that_stand_out_are_told_though_the_average_shows_nothing():
    words = in_words(
        of(Estimate(0.503, 0.481, 0.524), tpr={0.01: Estimate(0.01, 0.0, 0.02), 0.001: Estimate(0.02, 0.01, 0.04)})
    )
    assert words.startswith("On the whole it cannot be shown that an attacker (lira) does better than guessing: ")
    assert words.endswith(
        "But some stand out: allowed one false alarm in a thousand, they recognise 2 % of the training records (1 % to "
        "4 %; guessing: 0.1 %)."
    )


def test_worse_than_guessing_is_a_sign_that_something_is_wrong():
    words = in_words(of(Estimate(0.4, 0.38, 0.42)))
    assert words.startswith("An attacker (lira) does worse than guessing: ")
    assert "the two sides may differ in something else than training, or the signal points the wrong way" in words


def test_void_records_tell_nothing_and_the_reason_is_given():
    words = in_words(of(Estimate(0.9, 0.8, 0.95), void="the mix of classes differs between the sides."))
    assert words == (
        "Nothing can be concluded from the attack lira, whatever its numbers say: the mix of classes differs between the sides."
    )


def test_a_failed_audit_says_why():
    assert in_words(failed_report("loss", "outputs are\nNaN")) == (
        "The attack loss gave no result, so it tells nothing: outputs are NaN."
    )
    assert in_words(LeakageReport(attack="x")).endswith("no reason was given.")


def test_the_untrained_model_and_slices_are_named_first():
    assert in_words(of(LEAK.auc, step=-1)).startswith("Before this training: shown one training record")
    assert in_words(of(LEAK.auc, slice="class 3")).startswith("Among class 3: shown one training record")
    both = in_words(of(NONE_SHOWN.auc, slice="class\n3", step=-1))
    assert both.startswith("Before this training, among class 3: it cannot be shown")


def test_the_rate_at_more_false_alarms_speaks_where_the_usual_one_was_refused():
    assert "Allowed one false alarm in ten, they recognise 20 %" in in_words(of(LEAK.auc, tpr={0.01: None, **_tenth()}))
    none = of(LEAK.auc, tpr={0.01: None, 0.1: None})
    assert "at few false alarms is not known: was not computed." in in_words(none)
    refused = replace(
        none, refusals={"tpr_at_fpr_1e-2": "TPR at FPR 0.01 needs 100 non-members to be resolved, 12 were audited"}
    )
    assert (
        "at few false alarms is not known: TPR at FPR 0.01 needs 100 non-members to be resolved, 12 were"
        in in_words(refused)
    )


def _tenth():
    return {0.1: Estimate(0.2, 0.15, 0.25)}


@pytest.mark.parametrize("shift", [-3.0, -0.3, 0.0, 0.05, 0.3, 1.0, 8.0])
@pytest.mark.parametrize("size", [2, 30, 1_000])
def test_the_claim_is_that_of_the_interval(shift, size):
    scores, is_member = GaussianWorld(abs(shift)).draw(size, size, np.random.default_rng(7))
    report = LeakageReport.from_scores(scores if shift >= 0 else -scores, is_member)
    words = in_words(report)
    shown = "cannot be shown" in words
    assert shown == (report.auc.low <= 0.5 <= report.auc.high)
    assert ("worse than guessing" in words) == (report.auc.high < 0.5)
    assert words.startswith("Shown") == (report.auc.low > 0.5)
    assert "safe" not in words.lower()
    assert words.endswith(".")
    assert "\n" not in words


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e300, -0.1])
def test_a_damaged_number_tells_nothing(value):
    assert "its AUC is no number from 0 to 1" in in_words(of(Estimate(value, 0.1, 0.9)))
    assert "tells nothing" in in_words(of(Estimate(value)))
    with_damaged_rate = in_words(of(LEAK.auc, tpr={0.01: Estimate(value, 0.0, 1.0), **_tenth()}))
    assert "one false alarm in ten" in with_damaged_rate
    assert in_figures(Estimate(value)) == "no number"


def test_without_an_interval_the_words_say_so():
    assert in_words(of(Estimate(0.612))).endswith("61 % of the time (a coin: 50 %). How sure that is was not computed.")


# ------------------------------------------------------------------------------------------------- figures that may stand


@pytest.mark.parametrize(
    ("estimate", "reference", "expected"),
    [
        (Estimate(0.612, 0.592, 0.631), 0.5, ("61 %", "59 %", "64 %")),
        (Estimate(0.59, 0.58, 0.6), 0.5, ("59 %", "58 %", "60 %")),
        (Estimate(1.0, 0.975, 1.0), 0.5, ("100 %", "97 %", "100 %")),
        (Estimate(0.0, 0.0, 0.03), 0.01, ("0 %", "0 %", "3 %")),
        (Estimate(0.997, 0.99, 0.999), 0.5, ("99.7 %", "99.0 %", "99.9 %")),
        (Estimate(0.9999, 0.9995, 1.0), 0.5, ("99.99 %", "99.95 %", "100 %")),
        (Estimate(0.99999, 0.9, 0.999999), 0.5, ("more than 99.9 %", "90.0 %", "more than 99.9 %")),
        (Estimate(0.00001, 0.000001, 0.03), 0.01, ("less than 0.1 %", "less than 0.1 %", "3.0 %")),
        (Estimate(0.511, 0.503, 0.52), 0.5, ("51.1 %", "50.3 %", "52.0 %")),
        (Estimate(0.51, 0.50001, 0.52), 0.5, ("51.0 %", "just over 50 %", "52.0 %")),
        (Estimate(0.49, 0.48, 0.49999), 0.5, ("49.0 %", "48.0 %", "just under 50 %")),
        (Estimate(0.49998, 0.499, 0.49999), 0.5, ("just under 50 %", "49.9 %", "just under 50 %")),
        (Estimate(0.50002, 0.50001, 0.5001), 0.5, ("just over 50 %", "just over 50 %", "50.1 %")),
        (Estimate(0.498, 0.45, 0.55), 0.5, ("50 %", "45 %", "55 %")),
        (Estimate(-0.0, -0.0, 0.03), 0.01, ("0 %", "0 %", "3 %")),
        (Estimate(0.002, 0.00101, 0.01), 0.001, ("0.2 %", "just over 0.1 %", "1.0 %")),
        (Estimate(0.612), 0.5, ("61 %", None, None)),
        (Estimate(0.612, float("nan"), 0.7), 0.5, ("61 %", None, None)),
    ],
)
def test_percentages_have_as_many_decimals_as_honesty_needs(estimate, reference, expected):
    assert tuple(in_percent(estimate, reference)) == expected


@pytest.mark.parametrize(
    ("estimate", "expected"),
    [
        (Estimate(0.6141, 0.5921, 0.6361), "0.614 [0.592, 0.637]"),
        (Estimate(0.9999, 0.9985, 1.0), ">0.999 [0.998, 1.000]"),
        (Estimate(0.0001, 0.0, 0.0002), "<0.001 [0.000, 0.001]"),
        (Estimate(0.25), "0.250"),
        (Estimate(-0.0), "0.000"),
    ],
)
def test_figures_are_never_rounded_to_certainty(estimate, expected):
    assert in_figures(estimate) == expected


def percent(text):
    """The number of a percentage; of words the one that they compare with."""
    return float(re.search(r"[\d.]+", text)[0]) / 100


@hypothesis.given(
    st.lists(st.floats(0, 1), min_size=3, max_size=3).map(sorted), st.sampled_from([0.5, 0.1, 0.01, 0.001])
)
def test_what_is_printed_keeps_its_promises_for_any_rate(rates, reference):
    low, rate, high = rates
    texts = in_percent(Estimate(rate, low, high), reference)
    for text, exact in zip(texts, (rate, low, high), strict=True):
        assert (text == "100 %") == (exact == 1)
        assert (text == "0 %") == (exact == 0)
        assert abs(percent(text) - exact) < 0.011
    assert percent(texts.low) <= percent(texts.value) <= percent(texts.high)
    if low > reference:
        assert all(percent(text) > reference or text.startswith("just over") for text in texts[:2])
    if high < reference:
        assert all(percent(text) < reference or re.match("just under|less than", text) for text in (texts[0], texts[2]))
    else:
        assert percent(texts.high) >= min(reference, 0.999)


def test_ranges_are_spoken_of_as_ranges():
    truth = np.arange(2_400) < 1_200
    scores = np.random.default_rng(0).normal(size=2_400) + truth
    note = "truth by range: 1,200 of 2,400 ranges hold a training record; 0 of the queries are training records themselves."
    said = in_words(LeakageReport.from_scores(scores, truth, "ramia", notes=(note,)))
    assert said.startswith(
        "Shown a range around a training record and one around none, an attacker (ramia) picks the one that holds"
    )
    assert "of the ranges that hold a training record" in said


def test_records_that_stand_out_are_told_even_where_the_whole_is_worse_than_guessing():
    rng = np.random.default_rng(0)
    truth = np.arange(4_000) < 2_000
    scores = rng.normal(size=4_000) - 0.5 * truth
    scores[:200] += 10
    said = in_words(LeakageReport.from_scores(scores, truth, "loss"))
    assert "does worse than guessing" in said
    assert "But some stand out: allowed one false alarm in a hundred" in said


@pytest.mark.parametrize(
    ("note", "begins", "these"),
    [
        (
            FORGET_FOR_MEMBERS,
            "Shown one record that was to be forgotten and one never seen",
            "of the records to be forgotten",
        ),
        (RETAIN_FOR_MEMBERS, "Shown one kept record and one never seen", "of the kept records"),
    ],
)
def test_sets_of_an_unlearning_are_called_what_they_are(note, begins, these):
    said = in_words(replace(LEAK, notes=("something else.", f"{note}, the test set for the non-members.")))
    assert said.startswith(begins)
    assert these in said
    assert "training record" not in said

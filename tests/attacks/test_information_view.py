"""What signals tell about membership: closed forms, brute force, and silence where nothing leaks."""

import itertools
import json

import numpy as np
import pytest
from gaussian_world import GaussianWorld
from scipy import integrate, special

from privacy_callbacks.attacks.attack import Signals
from privacy_callbacks.attacks.cross_fitting import cross_fitted
from privacy_callbacks.attacks.information_of_signals import information_view
from privacy_callbacks.attacks.nearest_neighbour_error import cover_hart_bracket, nearest_neighbour_error
from privacy_callbacks.attacks.report import LeakageReport
from privacy_callbacks.attacks.trained import Trained


def sides(members, nonmembers):
    return np.arange(members + nonmembers) < members


def xor(count, rng):
    """Two signals, each alike on both sides; members have both of one sign, non-members of two."""
    truth = sides(count, count)
    first = rng.normal(size=2 * count)
    second = np.abs(rng.normal(size=2 * count)) * np.sign(first) * np.where(truth, 1, -1)
    return {"first": first, "second": second}, truth


def shift_integral(gain, of):
    """∫ of(p, q) for the densities p of N(gain, 1) and q of N(0, 1)."""

    def density(x):
        return np.exp(-(x**2) / 2) / np.sqrt(2 * np.pi)

    return integrate.quad(lambda x: of(density(x - gain), density(x)), -9, 9 + gain)[0]


# The nearest neighbour


def by_drawing(columns, truth, draws, rng):
    """The larger side thinned at random, ties broken at random, many times over."""
    wrong = {True: [], False: []}
    columns = np.asarray(columns, float).reshape(len(truth), -1)
    ranks = np.stack([[np.mean(c < v) + np.mean(c <= v) for v in c] for c in columns.T], axis=1)
    for record in range(len(truth)):
        own = [i for i in range(len(truth)) if i != record and truth[i] == truth[record]]
        other = [i for i in range(len(truth)) if truth[i] != truth[record]]
        size = min(len(own), len(other))
        distance = np.round(((ranks - ranks[record]) ** 2).sum(axis=1), 9)
        missed = 0
        for _ in range(draws):
            left = [*rng.choice(own, size, replace=False), *rng.choice(other, size, replace=False)]
            missed += truth[min(left, key=lambda i: (distance[i], rng.random()))] != truth[record]
        wrong[bool(truth[record])].append(missed / draws)
    return (np.mean(wrong[True]) + np.mean(wrong[False])) / 2


@pytest.mark.parametrize(
    ("members", "nonmembers", "values", "columns"),
    [(4, 4, 99, 1), (5, 4, 3, 1), (3, 7, 2, 1), (2, 9, 5, 2), (6, 6, 3, 2), (8, 3, 99, 2)],
)
def test_the_nearest_neighbour_error_is_the_mean_over_thinned_sides_and_broken_ties(
    members, nonmembers, values, columns
):
    rng = np.random.default_rng(members)
    x = rng.integers(0, values, (members + nonmembers, columns))
    truth = sides(members, nonmembers)
    assert nearest_neighbour_error(x, truth) == pytest.approx(by_drawing(x, truth, 400, rng), abs=0.025)


@pytest.mark.parametrize("members", [2, 3, 5])
@pytest.mark.parametrize("values", [1, 2, 4, 99])
def test_over_all_ways_to_name_the_members_its_mean_is_one_half(members, values):
    x = np.random.default_rng(values).integers(0, values, (8, 2))
    errors = [
        nearest_neighbour_error(x, np.isin(np.arange(8), named)) for named in itertools.combinations(range(8), members)
    ]
    assert np.mean(errors) == pytest.approx(0.5, abs=1e-12)


def test_separated_sides_are_mistaken_at_the_border_alone_and_constant_columns_tell_nothing():
    truth = sides(30, 50)
    assert nearest_neighbour_error(truth + np.linspace(0, 0.1, 80), truth) <= (1 / 30 + 1 / 50) / 4
    assert nearest_neighbour_error(np.ones((80, 3)), truth) == pytest.approx(0.5, abs=0.01)


def test_monotone_transforms_and_more_columns_that_rank_alike_change_nothing():
    rng = np.random.default_rng(0)
    x, truth = rng.normal(size=(90, 2)), sides(40, 50)
    stretched = np.stack([np.exp(3 * x[:, 0]), np.where(x[:, 1] == x[:, 1].max(), np.inf, x[:, 1])], axis=1)
    for columns in (stretched, np.concatenate([x, stretched, np.ones((90, 1))], axis=1)):
        assert nearest_neighbour_error(columns, truth) == nearest_neighbour_error(x, truth)


@pytest.mark.parametrize(("members", "nonmembers"), [(6_000, 6_000), (30_000, 3_000)])
def test_it_tends_to_the_limit_of_cover_and_hart_also_on_unequal_sides(members, nonmembers):
    scores, truth = GaussianWorld(1.5).draw(members, nonmembers, np.random.default_rng(0))
    limit = shift_integral(1.5, lambda p, q: p * q / (p + q))
    assert nearest_neighbour_error(scores, truth) == pytest.approx(limit, abs=0.02)
    low, high = cover_hart_bracket(limit)
    assert low < special.ndtr(-0.75) < high


def test_one_record_has_no_neighbour_on_its_side():
    with pytest.raises(ValueError, match=r"1 members and 3 non-members.*two a side"):
        nearest_neighbour_error(np.arange(4), sides(1, 3))


# The table


def test_a_gaussian_shift_reaches_its_closed_forms():
    gain = 1.0
    scores, truth = GaussianWorld(gain).draw(8_000, 8_000, np.random.default_rng(1))
    row = information_view({"shifted": scores}, truth)["shifted"]
    bits = 1 - shift_integral(gain, lambda p, q: (p + q) / 2 * special.entr([p / (p + q), q / (p + q)]).sum()) / np.log(
        2
    )
    variation, bayes = GaussianWorld(gain).best_j, special.ndtr(-gain / 2)
    assert row.mutual_information == pytest.approx(bits, abs=0.01)
    assert row.mutual_information.null_level < 0.002
    assert row.total_variation == pytest.approx(variation, abs=0.02)
    assert row.binned_error == pytest.approx(bayes, abs=0.01)
    assert row.threshold_error == pytest.approx(bayes, abs=0.015)
    assert row.youden_j.low < variation < row.youden_j.high
    low, high = row.nearest_neighbour_bracket
    assert low < bayes < high
    assert row.bits_between[0] < bits < row.bits_between[1]


def test_a_signal_that_tells_by_both_tails_has_errors_below_its_best_threshold():
    rng = np.random.default_rng(0)
    truth = sides(3_000, 3_000)
    row = information_view({"wide": rng.normal(size=6_000) * np.where(truth, 6, 1)}, truth)["wide"]
    # Where N(0, 36) and N(0, 1) are equally likely: x² = 36·ln 36 / 35.
    crossing = np.sqrt(36 * np.log(36) / 35)
    bayes = (1 - (2 * special.ndtr(crossing) - 2 * special.ndtr(crossing / 6))) / 2
    assert row.binned_error == pytest.approx(bayes, abs=0.03)
    assert row.nearest_neighbour_bracket[0] < bayes < row.nearest_neighbour_bracket[1]
    assert row.threshold_error > bayes + 0.1


def test_together_finds_what_no_signal_tells_alone():
    signals, truth = xor(400, np.random.default_rng(0))
    view = information_view(signals, truth)
    for name in signals:
        assert view[name].mutual_information < 0.05
        assert view[name].youden_j.low < 0.05
    together = view["together"]
    assert together.mutual_information > 0.6
    assert together.mutual_information > together.mutual_information.null_level
    assert together.threshold_error < 0.1
    assert together.nearest_neighbour_error < 0.1


def test_many_faint_signals_tell_more_together_than_any_alone():
    rng = np.random.default_rng(0)
    truth = sides(1_500, 1_500)
    signals = {f"s{i}": rng.normal(size=3_000) + 0.4 * truth for i in range(8)}
    view = information_view(signals, truth)
    # The best score sums them: a shift of 0.4·√8.
    assert view["together"].threshold_error == pytest.approx(special.ndtr(-0.4 * np.sqrt(8) / 2), abs=0.03)
    assert view["together"].youden_j.low > max(view[name].youden_j for name in signals)


def test_a_row_holds_the_numbers_of_the_signals_own_report():
    scores, truth = GaussianWorld(1.0).draw(60, 45, np.random.default_rng(2))
    row, report = information_view({"s": scores}, truth, seed=3)["s"], LeakageReport.from_scores(scores, truth, seed=3)
    assert repr(row.mutual_information) == repr(report.mutual_information)
    assert repr(row.youden_j) == repr(report.youden_j)
    assert repr(row.balanced_accuracy) == repr(report.balanced_accuracy)
    details = report.mutual_information.details
    assert row.total_variation == details["total_variation"]
    assert row.binned_error == details["bayes_error"]
    assert row.bits_between == pytest.approx((details["sandwich_low"], details["sandwich_high"]))
    assert row.threshold_error == pytest.approx(1 - report.balanced_accuracy)


def test_together_is_the_mean_of_two_halves_each_judged_by_itself():
    rng = np.random.default_rng(0)
    truth = sides(50, 70)
    signals = {"a": rng.normal(size=120) + truth, "b": rng.normal(size=120)}
    attack = Trained("logistic_regression")
    row = information_view(signals, truth, seed=5, attack=attack)["together"]
    normal = {n: special.ndtri((np.argsort(np.argsort(v)) + 0.5) / 120)[:, None] for n, v in signals.items()}
    scored = cross_fitted(attack, Signals(normal), truth, seed=5)
    report = LeakageReport.from_scores(scored.values, truth, seed=5, folds=scored.fold)
    assert row.mutual_information == pytest.approx(report.mutual_information)
    assert row.mutual_information.null_level == pytest.approx(report.mutual_information.null_level)
    assert row.youden_j == pytest.approx(report.youden_j)
    assert (row.youden_j.low, row.youden_j.high) == pytest.approx((report.youden_j.low, report.youden_j.high))


def test_a_monotone_function_of_a_signal_tells_as_much():
    rng = np.random.default_rng(0)
    truth = sides(50, 60)
    signals = {"a": rng.normal(size=110) + truth, "b": np.round(rng.normal(size=110), 1)}
    stretched = {"a": np.exp(signals["a"]), "b": np.where(signals["b"] < -1, signals["b"] - 5, signals["b"])}
    assert information_view(signals, truth).to_dict() == information_view(stretched, truth).to_dict()


def test_queries_are_averaged_and_signals_of_a_model_taken_as_they_are():
    rng = np.random.default_rng(0)
    answers, truth = rng.normal(size=(60, 3)), sides(30, 30)
    expected = information_view({"loss": answers.mean(axis=1)}, truth).to_dict()
    assert information_view(Signals({"loss": answers}), truth).to_dict() == expected
    assert information_view({"loss": answers.mean(axis=1, keepdims=True)}, truth).to_dict() == expected


def test_one_record_of_each_group_is_used():
    rng = np.random.default_rng(0)
    persons = np.repeat(np.arange(120), 5)
    truth, habit = persons < 60, rng.normal(size=120)[persons] + 1e-3 * rng.normal(size=600)
    # A person's other records give it away, whatever the model knows.
    assert information_view({"s": habit}, truth)["s"].nearest_neighbour_error < 0.2
    view = information_view({"s": habit}, truth, groups=[f"person {p}" for p in persons])
    assert (view.num_members, view.num_nonmembers) == (60, 60)
    assert view["s"].nearest_neighbour_error == pytest.approx(0.5, abs=0.15)


def test_infinite_and_constant_signals_are_ordinary():
    rng = np.random.default_rng(0)
    truth = sides(60, 60)
    told = np.where(rng.random(120) < 0.9, np.where(truth, np.inf, -np.inf), 0.0)
    view = information_view({"infinite": told, "constant": np.zeros(120)}, truth)
    assert view["infinite"].mutual_information > 0.7
    assert view["together"].mutual_information > 0.6
    constant = view["constant"]
    assert (constant.mutual_information, constant.total_variation, constant.youden_j) == (0, 0, 0)
    assert constant.nearest_neighbour_error == pytest.approx(0.5)
    assert np.isfinite(view.to_frame().to_numpy()).all()


def test_nothing_but_constant_signals_tells_nothing():
    view = information_view({"a": np.zeros(80), "b": np.ones(80)}, sides(40, 40))
    assert view["together"].mutual_information == 0
    assert view["together"].threshold_error == 0.5


def test_what_few_records_cannot_tell_is_an_empty_cell_with_a_reason():
    view = information_view({"s": [3.0, 2.0, 1.0, 0.0]}, [1, 0, 1, 0])
    assert view["s"].refusals == {}
    assert view["together"].mutual_information is None
    assert "too few to learn from" in view["together"].refusals["mutual_information"]
    assert view["together"].nearest_neighbour_error is not None
    assert "! together: 2 members and 2 non-members are too few" in str(view)

    view = information_view({"s": [3.0, 2.0]}, [1, 0])
    row = view["s"]
    assert row.youden_j is row.balanced_accuracy is row.nearest_neighbour_error is row.threshold_error is None
    assert set(row.refusals) == {"youden_j", "balanced_accuracy", "nearest_neighbour_error"}
    assert row.mutual_information is not None
    assert np.isnan(view.to_frame().loc["s", "youden_j"])


def test_the_table_is_printed_framed_and_written():
    scores, truth = GaussianWorld(1.0).draw(200, 150, np.random.default_rng(0))
    view = information_view({"loss": scores, "a_longer_name": -scores}, truth, level=0.9)
    frame = view.to_frame()
    assert list(frame.index) == ["loss", "a_longer_name", "together"]
    assert frame.dtypes.map(str).unique().tolist() == ["float64"]
    assert frame.loc["loss", "youden_j_low"] == view["loss"].youden_j.low
    assert json.loads(json.dumps(view.to_dict()))["rows"]["loss"]["binned_error"] == view["loss"].binned_error
    lines = str(view).splitlines()
    assert "200 members against 150 non-members" in lines[0]
    assert len({len(line) for line in lines[2:6]}) == 1
    assert max(map(len, lines)) <= 140
    assert "in 90 % of leak-free audits" in str(view)


def test_inputs_and_global_random_state_are_left_alone():
    signals, truth = xor(40, np.random.default_rng(0))
    kept = {name: values.copy() for name, values in signals.items()}
    before = np.random.get_state()[1].copy()
    first = information_view(signals, truth, seed=1)
    assert (np.random.get_state()[1] == before).all()
    assert all((signals[name] == kept[name]).all() for name in kept)
    assert first.to_dict() == information_view(signals, truth, seed=1).to_dict()
    assert first.to_dict() != information_view(signals, truth, seed=2).to_dict()


@pytest.mark.parametrize(
    ("signals", "is_member", "text"),
    [
        ({}, [0, 1], "give at least one"),
        ({"together": [1, 2]}, [0, 1], "call none 'together'"),
        ({"s": [1.0, np.nan]}, [0, 1], "signal 's': scores is NaN for 1 of 2 records"),
        ({"s": [[np.inf, -np.inf], [0, 0]]}, [0, 1], "signal 's': scores is NaN"),
        ({"s": [1.0, 2.0]}, [1, 1], "2 members and 0 non-members"),
        ({"s": [1.0, 2.0, 3.0]}, [1, 0], "signal 's':"),
        ({"s": np.zeros((2, 2, 2))}, [1, 0], r"shape \(2, 2, 2\); give it as \(records,\)"),
        ({"s": np.zeros((2, 0))}, [1, 0], r"shape \(2, 0\)"),
    ],
)
def test_what_cannot_be_judged_is_refused(signals, is_member, text):
    with pytest.raises(ValueError, match=text):
        information_view(signals, is_member)


def test_levels_and_groups_are_checked():
    with pytest.raises(ValueError, match=r"level is 1\.5"):
        information_view({"s": [1.0, 2.0]}, [0, 1], level=1.5)
    with pytest.raises(ValueError, match="give one group a record"):
        information_view({"s": [1.0, 2.0]}, [0, 1], groups=[1, 2, 3])
    with pytest.raises(ValueError, match=r"members and . non-members"):
        information_view({"s": [1.0, 2.0]}, [0, 1], groups=["a", "a"])


def leak_free(seeds, members, nonmembers):
    """(alarms and figures by name, one a seed) of a continuous signal and of all together, a rounded one beside it."""
    found = {"alone": [], "together": []}
    for seed in range(seeds):
        rng = np.random.default_rng([seed, members])
        signals = {"alone": rng.normal(size=members + nonmembers)}
        signals["rounded"] = np.round(rng.normal(size=members + nonmembers))
        view = information_view(signals, sides(members, nonmembers), seed=seed)
        for name, rows in found.items():
            row = view[name]
            rows.append(
                (
                    row.mutual_information > row.mutual_information.null_level,
                    row.total_variation > row.total_variation.null_level,
                    row.youden_j.low > 0,
                    row.nearest_neighbour_error,
                    float(row.mutual_information),
                )
            )
    return {name: np.array(rows, float) for name, rows in found.items()}


def test_without_leakage_little_is_said():
    found = leak_free(12, 60, 60)
    for rows in found.values():
        assert rows[:, :3].sum(axis=0).max() <= 4  # P(more than 4 of 12 at 5 %) = .0002
        # Five standard errors of .71/√120, over 12 audits.
        assert rows[:, 3].mean() == pytest.approx(0.5, abs=5 * 0.71 / np.sqrt(120 * 12))


@pytest.mark.slow
@pytest.mark.parametrize(("members", "nonmembers"), [(100, 100), pytest.param(60, 240, marks=pytest.mark.study)])
def test_without_leakage_null_levels_hold(members, nonmembers):
    seeds = 300
    found = leak_free(seeds, members, nonmembers)
    most = 0.05 + 3 * np.sqrt(0.05 * 0.95 / seeds)
    for rows in found.values():
        assert (rows[:, :3].mean(axis=0) <= most).all()
        assert rows[:, 3].mean() == pytest.approx(0.5, abs=0.01)
        assert rows[:, 4].mean() == pytest.approx(0, abs=4 * rows[:, 4].std() / np.sqrt(seeds))
    # Not by saying nothing ever: the levels of one signal alone are exceeded about as often as they say.
    assert (found["alone"][:, :2].mean(axis=0) >= 0.05 - 3 * np.sqrt(0.05 * 0.95 / seeds)).all()

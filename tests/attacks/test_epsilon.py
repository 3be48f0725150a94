"""The door to all bounds of ε, and the number that comes out of it."""

import copy
import json
import subprocess
import sys

import numpy as np
import pytest

from privacy_callbacks.attacks.epsilon import epsilon_lower_bound
from privacy_callbacks.attacks.epsilon_bound import METHODS, EpsilonBound, check_delta
from privacy_callbacks.attacks.epsilon_by_threshold import grid_epsilon, split_epsilon
from privacy_callbacks.attacks.epsilon_fdp import fdp_epsilon
from privacy_callbacks.attacks.epsilon_gdp import gdp_epsilon
from privacy_callbacks.attacks.epsilon_one_run import one_run_epsilon

ALL = pytest.mark.parametrize("method", METHODS)


def leaking(records=600, seed=0):
    """Scores of an attack that tells members from non-members rather well."""
    rng = np.random.default_rng(seed)
    is_member = rng.random(records) < 0.5
    return rng.normal(0, 1, records) + 3 * is_member, is_member


def bound(**changed):
    fields = {"value": 0.5224, "method": "one_run", "delta": 1e-5, "level": 0.95}
    return EpsilonBound(**fields | changed)


# The number


def test_a_bound_is_a_float_that_says_what_it_is():
    found = bound()
    assert found + 1 == 1.5224
    assert f"{found:.2f}" == "0.52"
    assert str(found) == "0.5224"
    assert repr(found) == "0.5224 (at least, 95 %, one_run, delta 1e-05)"
    assert repr(bound(value=0.0, delta=0)) == "0 (at least, 95 %, one_run, delta 0)"


def test_a_bound_is_read_only():
    with pytest.raises(AttributeError, match="read-only; cannot set 'delta'"):
        bound().delta = 0.1
    with pytest.raises(TypeError):
        bound(details={"mu": 1.0}).details["mu"] = 2.0


@pytest.mark.parametrize("value", [-0.1, np.nan, np.inf])
def test_what_cannot_be_a_bound_is_refused(value):
    with pytest.raises(ValueError, match="give a finite number, 0 or more"):
        bound(value=value)


def test_every_method_says_what_it_assumes_and_a_mu_says_gaussian():
    for method in ("split", "grid", "gdp"):
        assert "independent trials" in bound(method=method).assumes
    for method in ("one_run", "fdp"):
        assert "independent fair coin" in bound(method=method).assumes
    assert ["Gaussian-DP" in bound(method=method).assumes for method in METHODS] == [m == "gdp" for m in METHODS]
    assert "Gaussian-DP" in bound(method="fdp", details={"mu": 0.3}).assumes


@pytest.mark.parametrize(
    "given",
    [
        {},
        {"value": 0.0, "reason": "too few", "ceiling": 0.0, "details": {}},
        {"ceiling": 7.25, "details": {"threshold": -np.inf, "true_positives": 3, "share": 1 / 3}},
    ],
)
def test_a_bound_survives_strict_json_and_copy(given):
    original = bound(**given)
    for twin in (
        EpsilonBound.from_dict(json.loads(json.dumps(original.to_dict(), allow_nan=False))),
        copy.deepcopy(original),
        copy.copy(original),
    ):
        assert float(twin) == float(original)
        for name in ("method", "delta", "level", "ceiling", "reason", "details", "assumes"):
            assert getattr(twin, name) == getattr(original, name)
    assert set(bound().to_dict()) == {"value", "method", "delta", "level"}


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"method": None}, "'method' of the ε bound is None and should be a string"),
        ({"method": "guess"}, "give one of split, grid, one_run, fdp, gdp"),
        ({"level": "high"}, "'level' of the ε bound is 'high' and should be a number"),
        ({"details": {"mu": "large"}}, "'mu' of the details is 'large' and should be a number"),
        ({"details": 3}, "'details' of the ε bound is 3 and should be numbers by name"),
        ({"value": -1}, "give a finite number, 0 or more"),
    ],
)
def test_a_changed_file_is_refused_in_words(changed, said):
    with pytest.raises(ValueError, match=said):
        EpsilonBound.from_dict(bound().to_dict() | changed)


def test_a_file_cut_short_is_refused_in_words():
    with pytest.raises(ValueError, match="has no field 'delta'"):
        EpsilonBound.from_dict({"value": 1.0, "method": "grid"})
    with pytest.raises(ValueError, match="is no ε bound, which has fields by name"):
        EpsilonBound.from_dict(3)


# The door


def test_each_method_is_its_own_function():
    values, truth = leaking()
    for method, found in {
        "split": split_epsilon(values, truth, 1e-3, 0.9, 7),
        "grid": grid_epsilon(values, truth, 1e-3, 0.9),
        "gdp": gdp_epsilon(values, truth, 1e-3, 0.9),
        "one_run": one_run_epsilon(values, truth, 1e-3, 0.9, (100, 50), 7),
        "fdp": fdp_epsilon(values, truth, 1e-3, 0.9, (100, 50), 7),
    }.items():
        guesses = (100, 50) if method in ("one_run", "fdp") else None
        same = epsilon_lower_bound(values, truth, 1e-3, 0.9, method, 7, guesses=guesses)
        assert same.to_dict() == found.to_dict()
        assert same.method == method


def test_the_defaults_are_a_split_at_95_percent_without_delta():
    found = epsilon_lower_bound(*leaking())
    assert (found.method, found.level, found.delta) == ("split", 0.95, 0.0)
    assert found > 1


@ALL
def test_lists_of_numbers_do_and_infinite_scores_are_ordinary_extremes(method):
    scores, is_member = [np.inf] * 40 + [-np.inf] * 40, [1] * 40 + [0] * 40
    found = epsilon_lower_bound(scores, is_member, 1e-6, method=method)
    assert float(found) == pytest.approx(found.ceiling)
    assert found > 1


@ALL
def test_a_bound_of_zero_has_a_reason_and_others_have_none(method):
    values, truth = leaking()
    assert epsilon_lower_bound(values, truth, 1e-6, method=method).reason is None
    for scores, flags in ((-truth.astype(float), truth), ([1.0, 0.0], [1, 0])):
        found = epsilon_lower_bound(scores, flags, 1e-6, method=method)
        assert float(found) == 0.0
        assert len(found.reason) > 20


@ALL
def test_inputs_and_the_global_random_state_stay_as_they_are(method):
    values, truth = leaking()
    values.flags.writeable = truth.flags.writeable = False
    state = np.random.get_state()[1].tolist()
    epsilon_lower_bound(values, truth, 1e-6, method=method)
    assert np.random.get_state()[1].tolist() == state


@ALL
def test_nearly_all_delta_or_level_leaves_nothing(method):
    values, truth = leaking()
    assert float(epsilon_lower_bound(values, truth, np.nextafter(1, 0), method=method)) == 0.0
    assert epsilon_lower_bound(values, truth, 1e-6, 1 - 1e-12, method=method) < epsilon_lower_bound(
        values, truth, 1e-6, method=method
    )


@pytest.mark.parametrize("delta", [-1e-9, 1, 1.0, 2, np.nan, np.inf])
def test_a_delta_that_is_none_is_refused(delta):
    with pytest.raises(ValueError, match="0 or more and below 1, such as 1e-5"):
        check_delta(delta)
    with pytest.raises(ValueError, match="0 or more and below 1, such as 1e-5"):
        epsilon_lower_bound([1.0, 0.0], [1, 0], delta)


@pytest.mark.parametrize("level", [0, 1, 95, np.nan])
def test_a_level_that_is_none_is_refused(level):
    with pytest.raises(ValueError, match=r"between 0 and 1, such as 0\.95"):
        epsilon_lower_bound([1.0, 0.0], [1, 0], level=level)


@pytest.mark.parametrize("method", ["best", "one-run", "", None])
def test_a_method_that_there_is_not_is_refused(method):
    with pytest.raises(ValueError, match="give one of split, grid, one_run, fdp, gdp"):
        epsilon_lower_bound([1.0, 0.0], [1, 0], method=method)


@pytest.mark.parametrize("method", ["split", "grid", "gdp"])
def test_guesses_with_a_threshold_are_refused(method):
    with pytest.raises(ValueError, match=f"the method '{method}' guesses by a threshold; leave guesses out"):
        epsilon_lower_bound([1.0, 0.0], [1, 0], method=method, guesses=1)


@ALL
@pytest.mark.parametrize(
    ("scores", "is_member", "said"),
    [
        ([1.0, np.nan], [1, 0], "scores is NaN for 1 of 2 records"),
        ([1.0, 0.0], [1, 1], "2 members and 0 non-members were given"),
        ([1.0, 0.0], [0, 0], "0 members and 2 non-members were given"),
        ([], [], "0 members and 0 non-members were given"),
        ([1.0, 0.0, 0.0], [1, 0], "one 0/1 flag a record"),
        ([[1.0, 0.0]], [[1, 0]], "one 0/1 flag a record"),
        ([1.0, 0.0], [1, 2], "values other than 0 and 1"),
    ],
)
def test_scores_that_cannot_be_judged_are_refused(method, scores, is_member, said):
    with pytest.raises(ValueError, match=said):
        epsilon_lower_bound(scores, is_member, method=method)


def test_it_loads_without_tensorflow():
    seen = "import privacy_callbacks.attacks.epsilon, sys; print('tensorflow' in sys.modules, 'keras' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", seen], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]

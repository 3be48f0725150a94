import copy
import json
import pickle

import numpy as np
import pytest
from scipy import stats

from privacy_callbacks.attacks.estimate import (
    Estimate,
    check_level,
    clopper_pearson_high,
    clopper_pearson_low,
    order_quantile,
    simulations_for,
)


def test_an_estimate_is_a_float_with_its_interval():
    estimate = Estimate(0.6, 0.5, 0.7, details={"attained_fpr": 0.01})
    assert estimate + 1 == 1.6
    assert np.mean([estimate, 0.8]) == pytest.approx(0.7)
    assert f"{estimate:.2f}" == "0.60"
    assert (estimate.low, estimate.high, estimate.level, estimate.null_level) == (0.5, 0.7, 0.95, None)
    assert repr(estimate) == "0.6 [0.5, 0.7]"
    assert str(estimate) == "0.6"


def test_an_estimate_survives_json_pickle_and_copy():
    estimate = Estimate(0.6, 0.5, 0.7, 0.9, details={"k": 2.0})
    assert json.loads(json.dumps({"auc": estimate})) == {"auc": 0.6}
    for twin in (pickle.loads(pickle.dumps(estimate)), copy.deepcopy(estimate)):
        assert twin.to_dict() == estimate.to_dict() == {"value": 0.6, "low": 0.5, "high": 0.7, "level": 0.9, "k": 2.0}


def test_an_estimate_is_read_only():
    with pytest.raises(AttributeError, match="read-only"):
        Estimate(0.6).low = 0.1
    with pytest.raises(TypeError):
        Estimate(0.6, details={"a": 1.0}).details["a"] = 2.0


@pytest.mark.parametrize("successes", [0, 1, 7, 19, 20])
def test_clopper_pearson_agrees_with_scipys_exact_interval(successes):
    exact = stats.binomtest(successes, 20).proportion_ci(0.9, method="exact")
    assert clopper_pearson_low(successes, 20, 0.05) == pytest.approx(exact.low)
    assert clopper_pearson_high(successes, 20, 0.05) == pytest.approx(exact.high)


@pytest.mark.parametrize("level", [0, 1, 95, float("nan")])
def test_a_level_that_is_no_confidence_level_is_refused(level):
    with pytest.raises(ValueError, match=r"between 0 and 1, such as 0\.95"):
        check_level(level)


@pytest.mark.parametrize(("level", "expected"), [(0.95, 240), (0.99, 240), (0.999, 2_000), (0.999999, 20_000)])
def test_as_many_simulations_as_resolve_a_level_and_no_more_than_can_be_afforded(level, expected):
    assert simulations_for(level, least=240) == expected
    assert order_quantile(np.arange(float(expected)), level) <= expected - 1

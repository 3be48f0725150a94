"""Imputers by name, their laws of single columns, and the guesses of neighbours."""

import numpy as np
import pytest

from privacy_callbacks.range_queries.imputers import Conditional, Marginal, Nearest, Query, Slots, Uniform, imputer_from
from privacy_callbacks.range_queries.table_columns import Categorical, Numeric, Schema

UNKNOWN = Schema({})


def test_uniform_takes_every_value_alike():
    laws = Uniform().laws([0, 1], Schema({0: Categorical([3, 5]), 1: Numeric(0, 1)}), None)
    assert laws[0].values == (3, 5)
    assert laws[0].weights.tolist() == [1, 1]
    assert laws[1] == Numeric(0, 1)
    with pytest.raises(ValueError, match="column 2 may be missing, but neither values nor columns"):
        Uniform().laws([2], Schema({0: Categorical([3, 5])}), None)


def test_marginal_counts_the_reference():
    reference = {"a": np.array([2, 2, 7]), "s": np.array([["u"], [b"v"], ["u"]], object)}
    laws = Marginal().laws(["a", "s"], UNKNOWN, reference)
    assert laws["a"].values == [2, 7]
    assert laws["a"].weights.tolist() == [2, 1]
    assert laws["s"].values == ["u", "v"]
    assert laws["s"].weights.tolist() == [2, 1]


def test_marginal_keeps_quantiles_of_many_numbers():
    values = np.random.default_rng(0).normal(size=(20_000, 1))
    law = Marginal().laws([0], UNKNOWN, values)[0]
    assert len(law.values) == 4096
    assert np.isin(law.values, values).all()
    ranks = np.searchsorted(np.sort(values[:, 0]), law.values) / 20_000
    np.testing.assert_allclose(ranks, (np.arange(4096) + 0.5) / 4096, atol=1 / 4096)


def test_neighbours_give_all_missing_values_jointly():
    reference = np.array([[0.0, 1, 2, 3], [10, 11, 12, 13], [20, 21, 22, 23]])
    x = np.array([[1.0, 0, 0, 0], [0, 19, 0, 0]])
    observed = np.array([[True, False, False, True], [False, True, True, True]])
    x[0, 3], x[1, 2:] = 3, (22, 23)
    slots = [Slots("float32", [0, 1, 2], np.array([[1, 2], [0, 3]]))]
    (cells,) = Nearest(2).donors(Query(x, observed), slots, UNKNOWN, reference)
    assert cells.dtype == np.float32
    assert cells[0].tolist() == [[1, 2], [11, 12]]
    assert cells[1][:, 0].tolist() == [20, 10]


def test_too_few_reference_records_are_refused():
    query = Query(np.zeros((1, 2)), np.array([[True, False]]))
    with pytest.raises(ValueError, match="reference has 3 records, but 5 neighbours"):
        Nearest().rows(query, UNKNOWN, np.zeros((3, 2)))
    with pytest.raises(ValueError, match="give them as reference"):
        Nearest().rows(query, UNKNOWN, None)
    with pytest.raises(ValueError, match="neighbours is 0"):
        Nearest(0)


def test_imputers_have_names_and_models_become_imputers():
    assert imputer_from("uniform") == Uniform()
    assert imputer_from("marginal") == Marginal()
    assert imputer_from("knn") == Nearest(5)
    assert imputer_from(Nearest(3)) == Nearest(3)
    assert imputer_from(len) == Conditional(len)


def test_what_is_no_imputer_is_refused():
    from sklearn.impute import SimpleImputer

    with pytest.raises(ValueError, match="imputer is 'mean'; give 'uniform'"):
        imputer_from("mean")
    with pytest.raises(ValueError, match="imputer is 3; give"):
        imputer_from(3)
    with pytest.raises(ValueError, match="class Marginal; give one of its objects"):
        imputer_from(Marginal)
    with pytest.raises(ValueError, match="SimpleImputer gives one value each time"):
        imputer_from(SimpleImputer())
    with pytest.raises(ValueError, match="draws is 0"):
        Conditional(len, draws=0)

"""Masks, values, references, labels and queries that do not fit each other."""

import numpy as np
import pytest
import tensorflow as tf
from ranges.partial_records import COLUMNS, MASKS, RANGES, REFERENCE, TABLE

from privacy_callbacks.range_queries.base_range import RangeRecords
from privacy_callbacks.range_queries.missing_features import MissingFeatures, Numeric


@pytest.mark.parametrize("name", ["uniform", "knn", "conditional"])
def test_a_batch_of_unknown_queries_is_refused_where_they_must_be_known(name):
    x, ranges = RANGES[name]
    with pytest.raises(ValueError, match=r"bind the range with arrays first: range.at"):
        ranges.sample(tf.constant(x), 4)
    ranges = MissingFeatures(MASKS[1], imputer="knn", reference=REFERENCE)
    with pytest.raises(ValueError, match="imputer Nearest needs to know all queries"):
        ranges.sample(tf.constant(x), 4)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"mask": [0, 1]}, "mask has dtype int64; give booleans"),
        ({"mask": np.zeros((2, 2, 2), bool)}, r"mask has shape \(2, 2, 2\)"),
        ({"mask": np.zeros((0, 2), bool)}, r"mask has shape \(0, 2\)"),
        ({"mask": {}}, "names no column"),
        ({"mask": {"a": [True], "b": [True, False]}}, r"columns of \[1, 2\] rows"),
        ({"mask": {"a": [[True]]}}, "mask of column 'a' has shape"),
        ({"mask": [True, False]}, "column 0 may be missing, but neither"),
        ({"mask": [True, False], "values": [[0, 1]]}, "1 entries, but the mask has 2"),
        ({"mask": ["a"], "values": [[0, 1]]}, "give a dict by their names"),
        ({"mask": [True, False], "values": [0, 1], "columns": [[0, 1], None]}, "values and columns both"),
        ({"mask": [True, False], "values": [0, 0]}, "repeat"),
        ({"mask": [True, False], "imputer": "marginal"}, "'marginal' learns from .* reference"),
        ({"mask": [True, False], "imputer": "knn"}, "'knn' learns from .* reference"),
        ({"mask": [True, False], "imputer": "median"}, "imputer is 'median'"),
        ({"mask": [True, False], "values": [0, 1], "reference": np.zeros((3, 3))}, "the mask 2"),
        ({"mask": ["a"], "values": [0, 1], "reference": np.zeros((3, 3))}, "the mask named ones"),
        ({"mask": ["a"], "values": [0, 1], "reference": {"b": np.zeros(2)}}, "reference has no column 'a'"),
        ({"mask": [True, False], "values": [0, 1], "reference": np.zeros((0, 2))}, "holds no records"),
        (
            {"mask": [True, False], "values": [0, 1], "reference": np.full((2, 2), np.nan)},
            "NaN or infinity in column 0",
        ),
        ({"mask": [True, False], "values": [0, 1], "reference": np.full((2, 2), 5)}, "5.* not among its values"),
        ({"mask": [True, False], "values": Numeric(0, 1), "reference": np.full((2, 2), 5)}, "5.* not among its values"),
        ({"mask": [True, False], "values": [0, 1], "labels": []}, r"labels have shape \(0,\)"),
        ({"mask": [True, False], "values": [0, 1], "labels": np.zeros((1, 2, 2))}, "labels have shape"),
        ({"mask": [True, False], "values": [0, 1], "labels": [1, 1]}, "labels repeat"),
    ],
)
def test_what_does_not_fit_is_refused_at_once(arguments, said):
    with pytest.raises(ValueError, match=said):
        MissingFeatures(**arguments)


@pytest.mark.parametrize(
    ("ranges", "x", "said"),
    [
        (RANGES["uniform"][1], TABLE[:9], "mask has 50 rows, but there are 9 queries"),
        (RANGES["uniform"][1], TABLE[:, :5], r"shape \(50, 5\), but the mask covers 8"),
        (RANGES["uniform"][1], COLUMNS, "queries are a dict of columns, but the mask is an array"),
        (RANGES["dict"][1], TABLE, "queries are a table, but the mask is one of named columns"),
        (RANGES["dict"][1], {"age": COLUMNS["age"]}, "no column '(town|rent)'; they have 'age'"),
        (MissingFeatures([True, True], [0, 1]), np.zeros((3, 2)), "query 0 has no observed column"),
        (MissingFeatures([True, False], [0, 1]), np.array([[0, np.nan]]), "column 1 holds NaN where"),
        (MissingFeatures([True, False], [0, 0.5]), np.zeros((3, 2), int), "int64, which 0.5 is not"),
        (MissingFeatures([True, False], Numeric(0, 1)), np.zeros((3, 2), int), "integer=True"),
        (MissingFeatures([True, False], [0, 1]), np.zeros((3, 2, 1)), r"shape \(3, 2, 1\)"),
        (
            MissingFeatures([True, False], imputer="marginal", reference=np.full((2, 2), 0.5)),
            np.zeros((3, 2), int),
            "that int64 of the queries cannot hold",
        ),
        (
            MissingFeatures(["a"], imputer="knn", reference={"a": np.zeros(9)}),
            {"a": np.zeros(3), "b": np.zeros(3)},
            "reference have columns 'a', but the queries have 'a', 'b'",
        ),
    ],
)
def test_queries_that_do_not_fit_are_refused(ranges, x, said):
    with pytest.raises(ValueError, match=said):
        ranges.at(RangeRecords(x))
    with pytest.raises(ValueError, match=said):
        ranges.sample(x, 3)


def test_training_records_with_other_columns_are_refused():
    with pytest.raises(ValueError, match="training records have columns 3, but the queries have 2"):
        MissingFeatures([True, False], [0, 1]).contains(np.zeros((1, 2)), np.zeros((1, 3)))

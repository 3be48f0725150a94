"""What columns may hold."""

import numpy as np
import pytest

from privacy_callbacks.range_queries.table_columns import Categorical, Numeric, check_fits, schema_from


def test_sizes_count_the_values():
    assert Categorical(["a", "b"]).size == 2
    assert Numeric(-1, 3, integer=True).size == 5
    assert Numeric(0, 1).size == np.inf


def test_values_that_are_equal_make_equal_columns():
    assert Categorical([0, 1]) == Categorical(np.array([0, 1]))
    assert Categorical([b"a"]) == Categorical(["a"])


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ([], "have shape \\(0,\\); give at least one"),
        ([[1, 2]], "have shape \\(1, 2\\)"),
        ([1, 1], "repeat"),
        ([0.0, np.nan], "finite"),
        ([0.0, np.inf], "finite"),
    ],
)
def test_values_that_no_column_has_are_refused(values, said):
    with pytest.raises(ValueError, match=said):
        Categorical(values)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((1, 1), "lower one first"),
        ((2, 1), "lower one first"),
        ((0, np.inf), "finite"),
        ((np.nan, 1), "finite"),
        ((0.5, 3, True), "whole ends"),
        ((0, 2.0**40, True), "at most 2\\^31"),
    ],
)
def test_ranges_that_hold_no_numbers_are_refused(arguments, said):
    with pytest.raises(ValueError, match=said):
        Numeric(*arguments)


def test_one_set_of_values_is_for_all_columns_and_a_list_of_them_for_each():
    assert schema_from([0, 1], None, 3)[2] == Categorical([0, 1])
    each = schema_from([[0, 1], [5, 6, 7], None], None, 3)
    assert each[1] == Categorical([5, 6, 7])
    assert each[2] is None
    assert schema_from(np.array([[0, 1], [2, 3]]), None, 2)[1] == Categorical([2, 3])
    assert schema_from(None, {"age": Numeric(0, 90), "sex": ["f", "m"]}, None)["sex"] == Categorical(["f", "m"])
    assert schema_from(Numeric(0, 1), None, 2)[0] == Numeric(0, 1)
    assert schema_from(None, None, 2)[0] is None


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (([0, 1], [Numeric(0, 1)], 1), "values and columns both"),
        (([[0, 1]], None, 2), "1 entries, but the mask has 2"),
        (([[0, 1]], None, None), "give a dict by their names"),
        ((None, [(0, 1), 3], 2), "column 1 is said to hold 3"),
        ((None, {5: [0, 1]}, 2), "speaks of column 5"),
    ],
)
def test_schemas_that_do_not_fit_are_refused(arguments, said):
    with pytest.raises(ValueError, match=said):
        schema_from(*arguments)


@pytest.mark.parametrize(
    ("held", "kind", "said"),
    [
        (Categorical([0, 0.5]), "int64", "0.5 is not"),
        (Categorical(["a"]), "float32", "'a' is not"),
        (Categorical([1]), "string", "1 is not"),
        (Categorical([0, 2]), "bool", "2 is not"),
        (Categorical([0, 300]), "uint8", "300 is not"),
        (Numeric(0, 1), "string", "list them"),
        (Numeric(0, 1), "int32", "integer=True"),
        (Numeric(-1, 1, integer=True), "uint8", "does not reach"),
    ],
)
def test_values_that_a_column_cannot_hold_are_refused(held, kind, said):
    with pytest.raises(ValueError, match=said):
        check_fits(held, "c", kind)


def test_values_that_a_column_can_hold_pass():
    for held, kind in [
        (Categorical([0, 1]), "bool"),
        (Categorical([0.0, 1.0]), "int8"),
        (Numeric(0, 1), "float16"),
        (Numeric(0, 255, integer=True), "uint8"),
        (Categorical(["a"]), "string"),
    ]:
        check_fits(held, "c", kind)

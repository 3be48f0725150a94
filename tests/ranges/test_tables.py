"""Which tables are taken, and how their columns are read."""

import numpy as np
import pytest

from privacy_callbacks.range_queries.tables import as_text, check_alike, check_table, types_of


@pytest.mark.parametrize(
    ("x", "said"),
    [
        (np.zeros(3), "shape \\(3,\\)"),
        (np.zeros((3, 2, 2)), "shape \\(3, 2, 2\\)"),
        ((np.zeros((3, 2)), np.zeros((3, 2))), "a tuple"),
        ({}, "no columns"),
        ({"a": np.zeros((3, 2))}, "shape \\(3, 2\\) in column 'a'"),
        ({"a": np.zeros(3), "b": np.zeros(2)}, "of \\[2, 3\\] records"),
        (np.zeros((3, 2), complex), "complex128"),
    ],
)
def test_what_is_no_table_is_refused(x, said):
    with pytest.raises(ValueError, match=said):
        check_table(x, "queries")


def test_tables_with_other_columns_or_kinds_are_refused():
    with pytest.raises(ValueError, match="columns 3, but the queries have 2"):
        check_alike(np.zeros((4, 2)), np.zeros((4, 3)), "training records")
    with pytest.raises(ValueError, match="'b', but the queries have 'a'"):
        check_alike({"a": np.zeros(2)}, {"b": np.zeros(2)}, "training records")
    with pytest.raises(ValueError, match="hold string where the queries hold float64"):
        check_alike({"a": np.zeros(2)}, {"a": np.array(["x"])}, "training records")
    check_alike(np.zeros((4, 2)), np.zeros((9, 2), int), "training records")


def test_columns_are_sorted_by_what_they_hold():
    x = {"b": np.zeros(1), "a": np.array(["u"]), "c": np.array([b"u"]), "d": np.zeros(1)}
    assert types_of(x) == {"string": ["a", "c"], "float64": ["b", "d"]}


def test_bytes_and_strings_are_the_same_text_and_other_objects_are_refused():
    assert as_text(np.array([b"\xc3\xa9", "é"], object)).tolist() == ["é", "é"]
    with pytest.raises(ValueError, match="holds None among strings"):
        as_text(np.array(["a", None], object))

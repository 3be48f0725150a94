"""The reference records that are nearest by what is observed, against all distances."""

import numpy as np
import pytest

from privacy_callbacks.range_queries import observed_neighbours
from privacy_callbacks.range_queries.imputers import Nearest, Query
from privacy_callbacks.range_queries.table_columns import Categorical, Schema

UNKNOWN = Schema({})


def distances(x, observed, reference, scale):
    """Squared, over numbers in units of `scale`; [n, r]."""
    apart = np.where(observed[:, None, :], x[:, None, :] - reference[None], 0) / scale
    return np.square(apart).sum(axis=2)


@pytest.fixture(params=["one block", "small blocks"])
def blocks(request, monkeypatch):
    if request.param == "small blocks":
        monkeypatch.setattr(observed_neighbours, "_CELLS_AT_ONCE", 64)


@pytest.mark.usefixtures("blocks")
def test_nearest_records_by_numbers_are_those_of_brute_force():
    rng = np.random.default_rng(0)
    scale = np.array([1, 100, 0.01, 5])
    x, reference = rng.normal(size=(12, 4)) * scale + 3, rng.normal(size=(50, 4)) * scale + 3
    observed = rng.random((12, 4)) < 0.6
    observed[:, 0] = True
    rows = Nearest(7).rows(Query(np.where(observed, x, 1e300), observed), UNKNOWN, reference)
    apart = distances(x, observed, reference, reference.std(axis=0))
    np.testing.assert_array_equal(rows, np.argsort(apart, axis=1)[:, :7])


@pytest.mark.usefixtures("blocks")
@pytest.mark.parametrize("categories", [2, 4])
def test_nearest_records_by_categories_differ_in_fewest(categories):
    rng = np.random.default_rng(0)
    x, reference = rng.integers(0, categories, (12, 9)), rng.integers(0, categories, (40, 9))
    x[0, 0] = 9  # the reference has no such value: it differs from all
    observed = rng.random((12, 9)) < 0.7
    differ = ((x[:, None] != reference[None]) & observed[:, None]).sum(axis=2)
    for schema, table, other in (
        (Schema({}, Categorical(range(categories))), x, reference),
        (UNKNOWN, x.astype(str), reference.astype(str)),
    ):
        rows = Nearest(5).rows(Query(table, observed), schema, other)
        assert all(len(set(row)) == 5 for row in rows.tolist())
        np.testing.assert_array_equal(np.take_along_axis(differ, rows, 1), np.sort(differ, axis=1)[:, :5])


def test_numbers_and_categories_of_a_dict_count_together():
    rng = np.random.default_rng(1)

    def records(n):
        return {
            "flag": rng.random(n) < 0.5,
            "size": rng.normal(size=n) * 30,
            "town": rng.choice(["a", "b", "c"], (n, 1)),
            "gone": rng.random(n),
        }

    x, reference = records(10), records(60)
    observed = np.array([[True, False, True, True]])  # flag, gone, size, town
    rows = Nearest(4).rows(Query(x, observed), UNKNOWN, reference)
    apart = np.square((x["size"][:, None] - reference["size"]) / reference["size"].std())
    apart += x["flag"][:, None] != reference["flag"]
    apart += x["town"] != reference["town"].T
    np.testing.assert_array_equal(rows, np.argsort(apart, axis=1)[:, :4])

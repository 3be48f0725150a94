"""What models are asked for missing values, and what their guesses become."""

import numpy as np
import pytest

from privacy_callbacks.range_queries import model_guesses
from privacy_callbacks.range_queries.imputers import Conditional, Query, Slots
from privacy_callbacks.range_queries.table_columns import Categorical, Numeric, Schema

UNKNOWN = Schema({})


def slots(kind, keys, chosen):
    return [Slots(kind, keys, np.array(chosen, np.int32))]


class Shifted:
    """Guesses the sum of what is observed, plus the number of the draw."""

    def sample(self, x, mask, q, seed):
        assert np.isnan(x[mask]).all()
        assert not np.isnan(x[~mask]).any()
        filled = np.where(mask, np.nansum(x, axis=1, keepdims=True), x)
        return filled[:, None, :] + np.arange(q)[None, :, None]


@pytest.mark.parametrize("copies", [40, 1 << 22])
def test_a_model_is_told_what_is_observed_and_asked_for_the_rest(monkeypatch, copies):
    monkeypatch.setattr(model_guesses, "_COPIES_AT_ONCE", copies)
    x = np.array([[1.0, 2, 99], [99, 5, 7], [1, 1, 1]], np.float32)
    missing = np.array([[False, False, True], [True, False, False], [False, False, False]])
    chosen = [[1], [0], [2]]
    (cells,) = Conditional(Shifted(), draws=3).donors(
        Query(x, ~missing), slots("float32", [0, 2], chosen), UNKNOWN, None
    )
    assert cells.dtype == np.float32
    assert cells[..., 0].tolist() == [[3, 4, 5], [12, 13, 14], [0, 0, 0]]


def test_guesses_become_values_that_the_columns_hold():
    def guess(x, mask, q, seed):
        return np.broadcast_to(np.array([[0.4, 7.6, 300.0, 2.5, 0.7]]), (len(x), q, 5))

    schema = Schema({0: Categorical([0, 1]), 1: Categorical([10, 5, 1]), 3: Numeric(0, 2)})
    query = Query(np.zeros((1, 5)), np.zeros((1, 5), bool))
    everything = [[0, 1, 2, 3, 4]]
    for kind, wanted in (("float64", [0, 10, 300, 2, 0.7]), ("uint8", [0, 10, 255, 2, 1])):
        (cells,) = Conditional(guess, draws=1).donors(query, slots(kind, [0, 1, 2, 3, 4], everything), schema, None)
        assert cells[0, 0].tolist() == wanted
    (cells,) = Conditional(guess, draws=1).donors(query, slots("bool", [0, 4], [[0, 1]]), UNKNOWN, None)
    assert cells[0, 0].tolist() == [False, True]


def test_each_block_of_records_gets_a_seed_of_its_own(monkeypatch):
    monkeypatch.setattr(model_guesses, "_COPIES_AT_ONCE", 1)
    seeds = []

    def guess(x, mask, q, seed):
        seeds.append(seed)
        return np.zeros((len(x), q, x.shape[1]))

    query = Query(np.zeros((3, 2)), np.array([[True, False]]))
    for seed in (0, 0, 1):
        Conditional(guess, 2, seed).donors(query, slots("float64", [1], [[0]]), UNKNOWN, None)
    assert seeds[:3] == seeds[3:6]
    assert len(set(seeds)) == 6


def posterior_imputer(**options):
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401
    from sklearn.impute import IterativeImputer

    return IterativeImputer(sample_posterior=True, random_state=0, **options)


def test_scikit_learn_samples_from_its_posterior():
    rng = np.random.default_rng(0)
    first = rng.normal(size=(2_000, 1))
    reference = np.concatenate([first, 2 * first + rng.normal(size=(2_000, 1)) / 2], axis=1)
    model = posterior_imputer(max_iter=2)
    query = Query(np.array([[1.0, 55], [-2.0, 55]]), np.array([[True, False]]))
    asked = (query, slots("float64", [1], [[0]]), UNKNOWN, reference)
    (cells,) = Conditional(model, draws=200).donors(*asked)
    means, spreads = cells[..., 0].mean(axis=1), cells[..., 0].std(axis=1)
    np.testing.assert_allclose(means, [2, -4], atol=4 * 0.5 / np.sqrt(200))
    np.testing.assert_allclose(spreads, 0.5, atol=4 * 0.5 / np.sqrt(400))
    assert not hasattr(model, "random_state_")  # the user's object is not fitted, ours is

    state = (fitted := posterior_imputer(max_iter=2).fit(reference)).random_state_.get_state()[1].copy()
    (again,) = Conditional(fitted, draws=200).donors(*asked[:3], None)
    np.testing.assert_array_equal(again, cells)
    np.testing.assert_array_equal(fitted.random_state_.get_state()[1], state)


def test_an_unfitted_imputer_asks_for_a_reference():
    query = Query(np.zeros((1, 2)), np.array([[True, False]]))
    with pytest.raises(ValueError, match=r"IterativeImputer' learns from records .* give them as reference"):
        Conditional(posterior_imputer()).donors(query, slots("float64", [1], [[0]]), UNKNOWN, None)


@pytest.mark.parametrize(
    ("guess", "said"),
    [
        (lambda x, mask, q, seed: np.zeros((len(x), q)), "gave shape \\(1, 64\\)"),
        (lambda x, mask, q, seed: np.full((len(x), q, 2), np.nan), "gave NaN"),
    ],
)
def test_guesses_that_are_none_are_refused(guess, said):
    query = Query(np.zeros((1, 2)), np.array([[True, False]]))
    with pytest.raises(ValueError, match=said):
        Conditional(guess).donors(query, slots("float64", [1], [[0]]), UNKNOWN, None)


def test_strings_are_refused_for_a_fitted_model():
    query = Query({"a": np.array(["u"]), "b": np.zeros(1)}, np.array([[True, False]]))
    with pytest.raises(ValueError, match="column 'a' holds strings"):
        Conditional(Shifted()).donors(query, slots("float64", ["b"], [[0]]), UNKNOWN, None)

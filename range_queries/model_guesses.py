"""Guesses of missing values by a model that samples: what it is asked, and what its answers become."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .missing_slots import Query, Slots
from .reference_records import check_given
from .table_columns import Categorical, Numeric, Schema
from .tables import entries, keys_of, num_rows, slices, stacked, types_of

IMPUTERS = "'uniform', 'marginal', 'knn', or a model that samples (see Conditional)"
_COPIES_AT_ONCE = 1 << 22


def check_samples(model: Any) -> None:
    """Nothing, if guesses can be had of the model; see `Conditional`.

    Raises:
      ValueError: otherwise.
    """
    if _has(model, "sample"):
        return
    if _has(model, "transform", "fit"):
        parameters = model.get_params() if hasattr(model, "get_params") else {}
        if not parameters.get("sample_posterior"):
            raise ValueError(
                f"{type(model).__name__} gives one value each time, not samples; set sample_posterior=True, or give a "
                "function (x, mask, q, seed) -> [n, q, d]."
            )
    elif not callable(model):
        raise ValueError(f"imputer is {model!r}; give {IMPUTERS}.")


def guesses_of(
    model: Any, query: Query, slots: list[Slots], schema: Schema, reference: Any, draws: int, seed: int
) -> list[NDArray[Any]]:
    """For each of `slots`, [n, draws, k]: guesses in place of what is missing, as values that the columns can hold.

    Args:
      model: see `Conditional`.
      reference: a table that an unfitted model is fitted on.
    Raises:
      ValueError: on columns of strings, no reference where one is needed, or guesses of another shape or that are not finite.
    """
    x, observed = query
    keys = keys_of(x)
    strings = [key for group in slots if group.kind == "string" for key in group.keys] or types_of(x).get("string")
    if strings:
        raise ValueError(f"column {strings[0]!r} holds strings, but a fitted imputer takes numbers; give codes.")
    sample = _sampler(model, reference)
    place_of = {key: place for place, key in enumerate(keys)}
    parts: list[list[NDArray[Any]]] = [[] for _ in slots]
    for rows in slices(num_rows(x), _COPIES_AT_ONCE // (draws * len(keys))):
        table = stacked(x, keys, rows).astype(np.float64)
        missing = np.broadcast_to(~entries(observed, rows), table.shape)
        drawn = _drawn(sample, np.where(missing, np.nan, table), missing, draws, [seed, rows.start])
        for group, held in zip(slots, parts, strict=True):
            columns = [place_of[key] for key in group.keys]
            held.append(_taken(drawn, group, entries(group.chosen, rows), columns, schema))
    return [np.concatenate(held) for held in parts]


def _drawn(
    sample: Callable[..., Any], x: NDArray[np.float64], missing: NDArray[np.bool_], draws: int, seeds: list[int]
) -> NDArray[np.float64]:
    seed = int(np.random.SeedSequence(seeds).generate_state(1)[0] >> 1)
    drawn = np.asarray(sample(x, missing.copy(), draws, seed), np.float64)
    wanted = (len(x), draws, x.shape[1])
    if drawn.shape != wanted:
        raise ValueError(f"the imputer gave shape {drawn.shape}, but (records, draws, columns) is {wanted}.")
    if not np.isfinite(drawn).all(axis=1, where=missing[:, None, :]).all():
        raise ValueError("the imputer gave NaN or infinity for a missing value; give finite guesses.")
    return drawn


def _taken(
    drawn: NDArray[np.float64], group: Slots, chosen: NDArray[np.int32], columns: list[int], schema: Schema
) -> NDArray[Any]:
    """[b, c, k], guesses for the slots."""
    chosen = np.broadcast_to(chosen, (len(drawn), chosen.shape[1]))
    places = np.array([*columns, 0])[chosen]
    cells = np.take_along_axis(drawn, places[:, None, :], axis=2)
    for number, key in enumerate(group.keys):
        rows, slots = np.nonzero(chosen == number)
        cells[rows, :, slots] = _nearest_possible(cells[rows, :, slots], schema[key], group.kind)
    return np.where((chosen == len(columns))[:, None, :], 0, cells).astype(group.kind)


def _nearest_possible(
    guesses: NDArray[np.float64], held: Categorical | Numeric | None, kind: str
) -> NDArray[np.float64]:
    if isinstance(held, Categorical):
        values = np.sort(np.array(held.values, np.float64))
        return values[np.searchsorted((values[1:] + values[:-1]) / 2, guesses)]
    if held is not None:
        guesses = np.clip(guesses, held.low, held.high)
        return np.rint(guesses) if held.integer else guesses
    if kind == "bool":
        return (guesses >= 0.5).astype(np.float64)
    if kind.startswith(("float", "bfloat")):
        return guesses
    limits = np.iinfo(kind)
    return np.clip(np.rint(guesses), limits.min, limits.max)


def _sampler(model: Any, reference: Any) -> Callable[..., Any]:
    if _has(model, "sample"):
        return model.sample
    return _posterior(model, reference) if _has(model, "transform", "fit") else model


def _posterior(model: Any, reference: Any) -> Callable[..., NDArray[np.float64]]:
    """Samples from what a scikit-learn imputer thinks of missing values; the caller's object is not touched."""
    from sklearn.base import clone
    from sklearn.exceptions import NotFittedError
    from sklearn.utils import check_random_state
    from sklearn.utils.validation import check_is_fitted

    try:
        check_is_fitted(model)
        fitted = copy.deepcopy(model)
    except NotFittedError:
        check_given(reference, type(model).__name__)
        fitted = clone(model).fit(stacked(reference, keys_of(reference)).astype(np.float64))

    def sample(x: NDArray[np.float64], mask: NDArray[np.bool_], q: int, seed: int) -> NDArray[np.float64]:
        # What scikit-learn's imputer takes its samples from when it transforms.
        fitted.random_state_ = check_random_state(seed)
        return np.stack([fitted.transform(x) for _ in range(q)], axis=1)

    return sample


def _has(model: Any, *methods: str) -> bool:
    return all(callable(getattr(model, name, None)) for name in methods)

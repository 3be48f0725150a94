"""What may stand in the place of missing values: where an attacker takes guesses from.

Two kinds. `Uniform` and `Marginal` know a distribution for each column, from which every point is drawn in the graph.
`Nearest` and `Conditional` look at what is observed of a record and give all its missing values jointly; they find them once
for all queries, before the model is asked, and keep those of missing columns alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from .column_laws import Bars, marginal_law, uniform_law
from .missing_slots import Query, Slots
from .model_guesses import IMPUTERS, check_samples, guesses_of
from .observed_neighbours import nearest_rows
from .reference_records import check_given
from .table_columns import Numeric, Schema
from .tables import as_text, column, num_rows, values_as


@runtime_checkable
class ColumnImputer(Protocol):
    """Draws missing values column by column, whatever is observed."""

    def laws(self, keys: list[Any], schema: Schema, reference: Any) -> dict[Any, Bars | Numeric]:
        """The distribution of each of these columns: `Bars`, or a `Numeric` for a uniform one.

        Raises:
          ValueError: if schema or reference do not say enough.
        """
        ...


@runtime_checkable
class RecordImputer(Protocol):
    """Gives all missing values of a record jointly."""

    in_turn: bool  # whether its c guesses are all there are, so that they may be asked one after the other

    @property
    def guesses(self) -> int:
        """c, how many guesses a record."""
        ...

    def donors(self, query: Query, slots: list[Slots], schema: Schema, reference: Any) -> list[NDArray[Any]]:
        """For each of `slots`, [n, c, k]: the guesses for each record.

        Raises:
          ValueError: if they cannot be had.
        """
        ...


@dataclass(frozen=True)
class Uniform:
    """Each value of a column is equally likely; a numeric column is uniform between its ends."""

    def laws(self, keys: list[Any], schema: Schema, reference: Any) -> dict[Any, Bars | Numeric]:
        """See `ColumnImputer`."""
        found = {key: uniform_law(held) for key in keys if (held := schema[key]) is not None}
        if unknown := [key for key in keys if key not in found]:
            raise ValueError(
                f"column {unknown[0]!r} may be missing, but neither values nor columns say what it may hold; say so, or let the "
                "imputer learn it from a reference ('marginal', 'knn')."
            )
        return found


@dataclass(frozen=True)
class Marginal:
    """Each column as often as it has each value in the reference, independent of the others.

    Kept are frequencies, of numbers with more than 4,096 different values 4,096 quantiles.
    """

    def laws(self, keys: list[Any], schema: Schema, reference: Any) -> dict[Any, Bars | Numeric]:
        """See `ColumnImputer`."""
        check_given(reference, "marginal")
        return {key: marginal_law(column(reference, key)) for key in keys}


@dataclass(frozen=True)
class Nearest:
    """The missing values of one of the reference records that are nearest by what is observed ("knn").

    Squared distance: of numbers in units of the reference's standard deviations; 1 for each category that differs (strings,
    booleans, and columns of listed values).

    Args:
      neighbours: how many to choose from.
    Raises:
      ValueError: if that is none.
    """

    neighbours: int = 5
    in_turn = True

    def __post_init__(self) -> None:
        _check_count("neighbours", self.neighbours)

    @property
    def guesses(self) -> int:
        """See `RecordImputer`."""
        return self.neighbours

    def donors(self, query: Query, slots: list[Slots], schema: Schema, reference: Any) -> list[NDArray[Any]]:
        """See `RecordImputer`."""
        nearest = self.rows(query, schema, reference)
        found = []
        for group in slots:
            held = [values_as(as_text(column(reference, key)), group.kind) for key in group.keys]
            columns = np.minimum(group.chosen, len(group.keys) - 1)
            found.append(np.stack(held, axis=1)[nearest[:, :, None], columns[:, None, :]])
        return found

    def rows(self, query: Query, schema: Schema, reference: Any) -> NDArray[np.int64]:
        """int64[n, c]: rows of the nearest reference records, the nearest first."""
        check_given(reference, "knn")
        if (known := num_rows(reference)) < self.neighbours:
            raise ValueError(f"reference has {known} records, but {self.neighbours} neighbours are asked; give more.")
        return nearest_rows(query, reference, schema, self.neighbours)


@dataclass(frozen=True)
class Conditional:
    """Guesses of a model that was fitted to data like these.

    Where the schema says what a column may hold, its guesses are moved to the nearest value it can hold; elsewhere those of
    whole numbers and booleans are rounded.

    Args:
      model: an object with `sample(x, mask, q, seed) -> [n, q, d]`, a function of that form, or an imputer of scikit-learn
        with `sample_posterior=True` (fitted, or to be fitted on the reference). It is given numbers, float64[n, d], with NaN
        in the place of everything missing; columns of a dict in alphabetical order.
      draws: how many guesses a record are drawn, once and before the model is asked; at least as many as queries.
      seed: for these.
    Raises:
      ValueError: on fewer than 1 draw, or something that cannot sample.
    """

    model: Any
    draws: int = 64
    seed: int = 0
    in_turn = False

    def __post_init__(self) -> None:
        _check_count("draws", self.draws)
        check_samples(self.model)

    @property
    def guesses(self) -> int:
        """See `RecordImputer`."""
        return self.draws

    def donors(self, query: Query, slots: list[Slots], schema: Schema, reference: Any) -> list[NDArray[Any]]:
        """See `RecordImputer`."""
        return guesses_of(self.model, query, slots, schema, reference, self.draws, self.seed)


def imputer_from(given: Any) -> ColumnImputer | RecordImputer:
    """An imputer from its name, or from a model that samples.

    Raises:
      ValueError: on anything else.
    """
    named: dict[Any, ColumnImputer | RecordImputer] = {"uniform": Uniform(), "marginal": Marginal(), "knn": Nearest()}
    if isinstance(given, str):
        if given not in named:
            raise ValueError(f"imputer is {given!r}; give {IMPUTERS}.")
        return named[given]
    if isinstance(given, type):
        raise ValueError(f"imputer is the class {given.__name__}; give one of its objects: {given.__name__}().")
    return given if isinstance(given, (ColumnImputer, RecordImputer)) else Conditional(given)


def _check_count(name: str, given: Any) -> None:
    if isinstance(given, bool) or not isinstance(given, (int, np.integer)) or given < 1:
        raise ValueError(f"{name} is {given!r}; give a whole number, at least 1.")

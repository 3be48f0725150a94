"""Many models' answers, and who saw what."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .attack import Signals
from .number_arrays import as_numbers
from .shadow_assignment import check_trained_on, without_pair


class ShadowSignals(Mapping[str, NDArray[np.float32]]):
    """The shadow models' answers: name → float32[m, n, q], all of one shape; higher = more member-like. Read-only.

    Records stand in the order in which they were asked about: of `AuditSet`'s x and y, or of what `ShadowModels.fit` was given.

    Axes: m shadow models, n audited records, q queries a record, z population records.

    Args:
      values: the signals by name.
      trained_on: bool[m, n], True where a model trained on a record (IN), False where it did not (OUT).
      population: the signals of records that no model trained on: name → float[m, z, q]; None = none.
      warnings: sentences about the shadow models that change what a number means.
    Attributes:
      trained_on: as given.
      population: as given, read-only.
      warnings: as given.
    Raises:
      ValueError: on shapes that do not fit each other.
    """

    def __init__(
        self,
        values: Mapping[str, ArrayLike],
        trained_on: ArrayLike,
        population: Mapping[str, ArrayLike] | None = None,
        warnings: tuple[str, ...] = (),
    ) -> None:
        self.warnings = tuple(warnings)
        self._values = _one_shape(values, "signal")
        if not self._values:
            raise ValueError("values is empty; give at least one signal.")
        models, records = next(iter(self._values.values())).shape[:2]
        self.trained_on = check_trained_on(trained_on, models, records)
        self.trained_on.flags.writeable = False
        self.population: Mapping[str, NDArray[np.float32]] | None = None
        if population is not None:
            self.population = _one_shape(population, "population signal")
            if any(len(array) != models for array in self.population.values()):
                raise ValueError(f"the population's signals must have one row for each of the {models} shadow models.")

    def __getitem__(self, name: str) -> NDArray[np.float32]:
        return self._values[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def __repr__(self) -> str:
        shape = next(iter(self._values.values())).shape
        return f"ShadowSignals({', '.join(self)}: {shape[0]} models × {shape[1]:,} records × {shape[2]} queries)"

    @property
    def num_models(self) -> int:
        """m."""
        return len(self.trained_on)

    def of_models(self, chosen: ArrayLike) -> ShadowSignals:
        """These shadow models alone (indices or a mask)."""
        rows = np.asarray(chosen)
        population = self.population
        return ShadowSignals(
            {name: array[rows] for name, array in self._values.items()},
            self.trained_on[rows],
            None if population is None else {name: array[rows] for name, array in population.items()},
            self.warnings,
        )

    def with_warnings(self, warnings: tuple[str, ...]) -> ShadowSignals:
        """The same signals, with these sentences."""
        return ShadowSignals(self._values, self.trained_on, self.population, warnings)

    def as_target(self, model: int) -> tuple[Signals, NDArray[np.bool_], ShadowSignals]:
        """Lets a shadow model play the target.

        Its complement is dropped with it; see `without_pair`.

        Args:
          model: which one.
        Returns:
          Its signals, bool[n] whether it trained on each record, and the other models' signals.
        """
        signals = Signals({name: array[model] for name, array in self._values.items()})
        return signals, self.trained_on[model], self.of_models(without_pair(self.trained_on, model))


def _one_shape(values: Mapping[str, ArrayLike], what: str) -> Mapping[str, NDArray[np.float32]]:
    arrays: dict[str, NDArray[np.float32]] = {}
    for name, given in values.items():
        with np.errstate(over="ignore"):  # beyond 1e38 infinite
            array = as_numbers(given, f"{what} {name!r}").astype(np.float32)
        if array.ndim != 3 or any(array.shape != known.shape for known in arrays.values()):
            raise ValueError(
                f"{what} {name!r} has shape {array.shape}; give every one as (shadow models, records, queries)."
            )
        array.flags.writeable = False
        arrays[name] = array
    return arrays

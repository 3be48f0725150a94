"""What the score functions take: one signal of the target and of its shadow models, checked once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .number_arrays import as_floats
from .shadow_assignment import check_trained_on

_LARGEST = 1e140


class ShadowValues(NamedTuple):
    """One signal, as float64.

    Attributes:
      target: [n, q].
      shadow: [m, n, q].
      trained_on: bool[m, n].
    """

    target: NDArray[np.float64]
    shadow: NDArray[np.float64]
    trained_on: NDArray[np.bool_]


def shadow_values(target: ArrayLike, shadow: ArrayLike, trained_on: ArrayLike, infinite: bool = False) -> ShadowValues:
    """Checks the arrays of a score function; a missing query axis is one query.

    Args:
      target: float[n] or [n, q].
      shadow: float[m, n] or [m, n, q] ([m, n, 1] goes with a target [n], too).
      trained_on: bool[m, n].
      infinite: True where ±inf has a meaning.
    Raises:
      ValueError: on shapes that do not fit each other, no shadow model, NaN, or infinite values without a meaning.
    """
    ours, theirs = as_floats(target, "target"), as_floats(shadow, "shadow")
    if ours.ndim == 1 and theirs.ndim == 3 and theirs.shape[2] == 1:
        theirs = theirs[:, :, 0]
    if ours.ndim not in (1, 2) or theirs.ndim != ours.ndim + 1 or theirs.shape[1:] != ours.shape:
        raise ValueError(
            f"target has shape {ours.shape} and shadow {theirs.shape}; give (records) and (shadow models, records), both with "
            "a trailing query axis or both without."
        )
    if not len(theirs) or not ours.size:
        raise ValueError(f"shadow has shape {theirs.shape}; give at least one shadow model, record and query.")
    if ours.ndim == 1:
        ours, theirs = ours[:, None], theirs[:, :, None]
    for name, array in (("target", ours), ("shadow", theirs)):
        bad = np.isnan(array) if infinite else ~np.isfinite(array)
        if not infinite:
            refuse_large(array, name)
        if bad.any():
            raise ValueError(
                f"{name} holds {int(bad.sum()):,} values that are {'NaN' if infinite else 'NaN or infinite'}; leave those "
                "records or shadow models out."
            )
    return ShadowValues(ours, theirs, check_trained_on(trained_on, *theirs.shape[:2]))


def refuse_large(values: NDArray[np.float64], name: str) -> None:
    """Nothing, if squares of the numbers, in units of the smallest spread, are finite; NaN and ±inf are not looked at.

    Raises:
      ValueError: otherwise.
    """
    largest = np.max(np.abs(values), where=np.isfinite(values), initial=0.0)
    if largest > _LARGEST:
        raise ValueError(
            f"{name} holds numbers as large as {largest:.3g}, whose squares a 64-bit float cannot hold; scale all alike."
        )


def mean_over(values: NDArray[np.float64], chosen: NDArray[np.bool_]) -> NDArray[np.float64]:
    """float64[n, q], the mean over the chosen models; NaN where there is none.

    Args:
      values: [m, n, q].
      chosen: bool[m, n].
    """
    counts = chosen.sum(axis=0)[:, None]
    # An einsum over float masks would turn inf·0 into NaN; `where` leaves the others out.
    sums = np.sum(values, axis=0, where=chosen[:, :, None])
    with np.errstate(invalid="ignore"):
        return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)

"""Families of transformations, each with one setting that varies, from what a user says of them."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import keras
import numpy as np

from privacy_callbacks.attacks.perturbations import Shifted, Unaltered

from .image_transforms import Brightened, Composed, Contrasted, Cropped, Rotated, Saturated
from .layer_draws import LayerDraw, seed_states
from .transformation_names import NAMED
from .transformed_batch import Transformation

Family = list[Transformation]

_MOST = 1024


def _is_factor(factor: float) -> bool:
    return factor > 0 and factor != 1


# Made of a number, the numbers that fit, and what they are.
_OF_NUMBERS: dict[str, tuple[Callable[[float], Transformation], Callable[[float], bool], str]] = {
    "rotations": (Rotated, lambda degrees: degrees % 360 != 0, "degrees other than whole turns"),
    "crops": (Cropped, lambda share: 0 < share < 1, "shares between 0 and 1"),
    "brightness": (Brightened, _is_factor, "positive factors other than 1"),
    "contrast": (Contrasted, _is_factor, "positive factors other than 1"),
    "saturation": (Saturated, lambda factor: _is_factor(factor) or factor == 0, "factors other than 1"),
}


def family_of(given: str | Transformation, draws: int, seed: int) -> Family:
    """What a name, function or layer stands for; of a layer that draws, so many draws.

    Raises:
      TypeError: if it is neither.
      ValueError: if there is no such name.
    """
    if isinstance(given, keras.Layer):
        return [LayerDraw(given, seed, draw) for draw in range(draws if seed_states(given) else 1)]
    if isinstance(given, str):
        if given not in NAMED:
            raise ValueError(f"there is no transformation {given!r}; give one of {', '.join(NAMED)}, or a function.")
        return [NAMED[given]]
    if isinstance(given, type) or not callable(given):
        raise TypeError(
            f"{given!r} is no transformation; give one of {', '.join(NAMED)}, a function of a batch or a Keras layer."
        )
    return [given]


def image_families(
    flips: bool | str | Iterable[str], shifts: int, numbers: Mapping[str, float | Iterable[float]]
) -> list[Family]:
    """Families of images' transformations.

    Args:
      flips, shifts: see `Transformations`.
      numbers: degrees, shares and factors by the names of `Transformations`' arguments.
    Raises:
      ValueError: on what is out of range.
    """
    made = {name: _of_numbers(name, given) for name, given in numbers.items()}
    aside = range(-shifts, shifts + 1)
    moved: Family = [Shifted(down, right) for down in aside for right in aside if 0 < abs(down) + abs(right) <= shifts]
    order: dict[str, Family] = {"flips": _flips(flips), "rotations": [], "crops": [], "shifts": moved}
    return list((order | made).values())


def combined(families: Iterable[Family]) -> Family:
    """All products of families, with at most one of each.

    Raises:
      ValueError: if they are more than 1024.
    """
    given = [[one for one in family if one != Unaltered()] for family in families]
    count = int(np.prod([len(family) + 1 for family in given], dtype=object))
    if count > _MOST:
        raise ValueError(f"combine=True makes {count} transformations; give fewer, there may be {_MOST}.")
    found: Family = []
    for chosen in itertools.product(*([None, *family] for family in given)):
        parts = tuple(one for one in chosen if one is not None)
        if parts:
            found.append(parts[0] if len(parts) == 1 else Composed(parts))
    return found


def _flips(flips: bool | str | Iterable[str]) -> Family:
    if isinstance(flips, bool):
        flips = ("left-right",) if flips else ()
    given = (flips,) if isinstance(flips, str) else tuple(flips)
    if not set(given) <= {"left-right", "up-down"}:
        raise ValueError(f"flips is {flips!r}; give True, 'left-right', 'up-down' or several of these.")
    return [NAMED[name] for name in given]


def _of_numbers(what: str, given: Any) -> Family:
    make, fits, expected = _OF_NUMBERS[what]
    try:
        numbers = [float(one) for one in np.atleast_1d(np.asarray(given, float))]
    except (TypeError, ValueError):
        numbers = [np.nan]
    if not all(np.isfinite(one) and fits(one) for one in numbers):
        raise ValueError(f"{what} is {given!r}; give {expected}, such as {what}=(0.9,).")
    return [make(one) for one in numbers]

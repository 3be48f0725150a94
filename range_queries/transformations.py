"""Ranges of variations: what a finite, recorded list of deterministic transformations makes of a record."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from privacy_callbacks.attacks.perturbations import Mirrored, Noisy, Shifted, Unaltered
from privacy_callbacks.attacks.seeded_stream import seeded_stream

from .base_range import Pairs, Range, RangeRecords
from .content_digest import content_digest
from .equal_records import Leaves, flat
from .image_transforms import (
    Brightened,
    Composed,
    Contrasted,
    Cropped,
    Rotated,
    Saturated,
    UpsideDown,
    is_image,
    is_text,
)
from .layer_draws import LayerDraw, seed_states
from .transform_closure import Transformation, TransformClosure

NAMED: dict[str, Transformation] = {
    "unaltered": Unaltered(),
    "left-right": Mirrored(),
    "up-down": UpsideDown(),
    "rotated-90": Rotated(90),
    "rotated-180": Rotated(180),
    "rotated-270": Rotated(270),
    "grey": Saturated(0.0),
}
MOST = 1024
_DEFAULT = {"flips": ("left-right",), "shifts": 1, "rotations": (-5.0, 5.0), "brightness": (0.9, 1.1)}
_OF_IMAGES = (Mirrored, UpsideDown, Shifted, Rotated, Cropped, Brightened, Contrasted, Saturated)
_OWN = (*_OF_IMAGES, Unaltered, Noisy, LayerDraw)


@dataclass(frozen=True, eq=False, init=False)
class Transformations(Range):
    """Variations of a record, the record itself first; with no arguments: mirrored, one pixel aside, ±5°, ±10% brightness.

    They act on the leaves [n, height, width(, channels)] of a nest and leave the others alone; noise and layers act on inputs
    that are no images, too. Types are kept: images of whole numbers are worked on in floats, rounded, and stay within the limits
    of their type. With at most q transformations they are asked in turn, and again from the first; otherwise q of them are drawn
    without replacement, the same for all records.

    A training record z lies in the range of x if z is a transformation of x, or x one of z (shifts and crops have no inverse).

    Args:
      transformations: names of `NAMED`; functions of a batch (and of its nest), deterministic, of TensorFlow operations, that
        treat each record by itself; Keras layers, of whose draws in training mode `draws` are fixed.
      flips: of "left-right", "up-down"; True = the first.
      shifts: by up to so many pixels, down and right together.
      rotations: degrees, counter-clockwise.
      crops: shares of either side that are kept, from the middle; see `Cropped` for others.
      brightness, contrast, saturation: factors, 1 = unchanged; see `image_transforms`.
      noise: standard deviation of Gaussian noise, in the inputs' unit; None = none.
      draws: how many draws of noise and of a layer.
      unaltered: whether the record itself is one of them.
      combine: True for all products of the families given (each argument, each function or layer, is one), at most 1024.
      domain: (low, high), the limits of values: records lie within, transformed ones are clipped; None = those of the type.
      tolerance: up to which difference of a value records count as equal; ten times as much is uncertain. None = exactly equal
        whole numbers; floats up to a millionth of what the queries' values range over (2 steps of a 16-bit type), for arithmetic
        that rounds otherwise elsewhere.
      seed: of noise and layers.
    Raises:
      TypeError: if something given is neither name, function nor layer.
      ValueError: on arguments out of range, or if nothing is left.
    """

    kind = "transformations"

    transformations: tuple[Transformation, ...]
    domain: tuple[float, float] | None
    tolerance: float | None

    def __init__(
        self,
        *transformations: str | Transformation,
        flips: bool | str | Iterable[str] = (),
        shifts: int = 0,
        rotations: Iterable[float] = (),
        crops: Iterable[float] = (),
        brightness: Iterable[float] = (),
        contrast: Iterable[float] = (),
        saturation: Iterable[float] = (),
        noise: float | None = None,
        draws: int = 4,
        unaltered: bool = True,
        combine: bool = False,
        domain: tuple[float, float] | None = None,
        tolerance: float | None = None,
        seed: int = 0,
    ) -> None:
        _check_numbers(draws, seed, shifts, noise, domain, tolerance)
        several: dict[str, Any] = {
            "flips": _flips(flips),
            "shifts": shifts,
            "rotations": _numbers("rotations", rotations, lambda d: d % 360 != 0, "degrees other than whole turns"),
            "crops": _numbers("crops", crops, lambda share: 0 < share < 1, "shares between 0 and 1"),
            "brightness": _numbers("brightness", brightness, _is_factor, "positive factors other than 1"),
            "contrast": _numbers("contrast", contrast, _is_factor, "positive factors other than 1"),
            "saturation": _numbers("saturation", saturation, lambda f: _is_factor(f) or f == 0, "factors other than 1"),
        }
        if not transformations and noise is None and not any(several.values()):
            several |= _DEFAULT
        families = [*(_named(given, draws, seed) for given in transformations), *_families(**several)]
        if noise is not None:
            families.append([Noisy(float(noise), seed * draws + draw) for draw in range(draws)])
        made = _combined(families) if combine else list(itertools.chain.from_iterable(families))
        made = list(dict.fromkeys([Unaltered(), *made] if unaltered else made))
        if not made:
            raise ValueError("no transformation is left; give some, or unaltered=True.")
        object.__setattr__(self, "transformations", tuple(made))
        object.__setattr__(self, "domain", None if domain is None else (float(domain[0]), float(domain[1])))
        object.__setattr__(self, "tolerance", None if tolerance is None else float(tolerance))
        self._keep()

    @property
    def names(self) -> tuple[str, ...]:
        """What the transformations are, in words."""
        return tuple(map(name_of, self.transformations))

    @property
    def digest(self) -> str:
        """See `Range.digest`; of the settings, not of what is kept about centres."""
        return content_digest(type(self).__qualname__, {one.name: getattr(self, one.name) for one in fields(self)})

    def draw(self, x: Any, q: int, index: Any, seed: int, first: Any = 0) -> Any:
        """See `Range.draw`; the transformations of all points are in the graph, one of them runs."""
        asked = self.asked(q, seed)
        if tf.executing_eagerly() or not tf.is_tensor(index):
            return self._applied(asked[int(index) % len(asked)], x)
        branches = [lambda one=one: self._applied(one, x) for one in asked]
        return tf.switch_case(index % len(asked), branches) if len(branches) > 1 else branches[0]()

    def asked(self, q: int, seed: int) -> tuple[Transformation, ...]:
        """The transformations that are the first q points, each once."""
        count = len(self.transformations)
        if count <= q:
            return self.transformations
        chosen = seeded_stream("transformations", int(seed)).permutation(count)[:q]
        return tuple(self.transformations[row] for row in sorted(chosen))

    def sizes(self, x: Any, q: int) -> NDArray[np.int64] | None:
        """How many transformations there are, if at most q."""
        count = len(self.transformations)
        return np.full(len(tf.nest.flatten(x)[0]), count, np.int64) if count <= q else None

    def check(self, x: Any) -> None:
        """Tries each transformation on two records.

        Raises:
          ValueError: if one fails, changes shape or type, or gives something else when asked again; if the domain excludes a
            record.
        """
        self._check_domain(x)
        few = tf.nest.map_structure(lambda leaf: tf.convert_to_tensor(leaf[:2]), x)
        images = any(map(is_image, tf.nest.flatten(few)))
        for one in self.transformations:
            if not images and isinstance(one, _OF_IMAGES):
                shapes = [tuple(leaf.shape) for leaf in tf.nest.flatten(few)]
                raise ValueError(
                    f"{name_of(one)} takes images [n, height, width(, channels)], these have shapes {shapes}; give noise= or "
                    "functions of yours."
                )
            made = self._tried(one, few)
            if not isinstance(one, (*_OF_IMAGES, Unaltered, Noisy, LayerDraw)) and not _equal(
                made, self._tried(one, few)
            ):
                raise ValueError(
                    f"{name_of(one)} gives something else when it is asked again; draw with tf.random.stateless_* from a fixed "
                    "seed, or give a Keras layer itself."
                )

    def at(self, centres: RangeRecords) -> Transformations:
        """A copy that keeps the queries' keys (32 bytes a query and transformation) once `pairs` has asked for them."""
        self.check(centres.x)
        bound = object.__new__(type(self))
        for one in fields(self):
            object.__setattr__(bound, one.name, getattr(self, one.name))
        bound._keep(centres.x)
        return bound

    def pairs(self, x: Any, training: Any) -> Iterator[Pairs]:
        """See the class; each transformation is made of each record once, in blocks."""
        closure: TransformClosure = vars(self)["_closure"]
        return closure.pairs(x, training, self._tolerances(flat(x)))

    def _applied(self, one: Transformation, x: Any) -> Any:
        """The batch, transformed and clipped; in its own structure, shapes and types."""
        leaves = tf.nest.flatten(x)
        made = [tf.convert_to_tensor(leaf) for leaf in tf.nest.flatten(_changed(one, x))]
        if self.domain is not None:
            acted = _acted_on(leaves)
            made = [_clipped(leaf, self.domain) if place in acted else leaf for place, leaf in enumerate(made)]
        for leaf, given in zip(made, leaves, strict=True):
            if leaf.dtype != given.dtype:
                raise ValueError(f"made {leaf.dtype.name} of {given.dtype.name}")
        same = [tf.ensure_shape(leaf, given.shape) for leaf, given in zip(made, leaves, strict=True)]
        return tf.nest.pack_sequence_as(x, same)

    def _tried(self, one: Transformation, few: Any) -> Any:
        try:
            return self._applied(one, few)
        except Exception as reason:
            said = " ".join(str(reason).split())[:300]
            raise ValueError(
                f"{name_of(one)} cannot be used on these inputs: {type(reason).__name__}: {said}; a transformation takes a batch "
                "and keeps structure, shape and type."
            ) from reason

    def _check_domain(self, x: Any) -> None:
        if self.domain is None:
            return
        leaves = [np.asarray(leaf) for leaf in tf.nest.flatten(x)]
        for place in _acted_on(leaves):
            leaf = leaves[place]
            inside = (leaf >= self.domain[0]) & (leaf <= self.domain[1])
            outside = np.flatnonzero(~inside.reshape(len(leaf), -1).all(axis=1))
            if len(outside):
                raise ValueError(
                    f"{len(outside)} of {len(leaf)} records (the first: {outside[0]}) have values outside of the domain "
                    f"{self.domain}; give a domain that holds all records."
                )

    def _tolerances(self, queries: Leaves) -> list[float]:
        acted = _acted_on(queries)
        if self.tolerance is not None:
            return [self.tolerance if place in acted else 0.0 for place in range(len(queries))]
        found = []
        for place, leaf in enumerate(queries):
            floats = place in acted and leaf.dtype.kind == "f" and leaf.size
            low, high = self.domain or ((np.nanmin(leaf), np.nanmax(leaf)) if floats else (0, 0))
            step = max(1e-6, 2 * float(np.finfo(leaf.dtype).eps)) if floats else 0.0
            found.append(step * (float(high) - float(low)))
        return found

    def _keep(self, centres: Any = None) -> None:
        """Sets what is kept beside the settings, and decides about no result."""
        object.__setattr__(self, "_closure", TransformClosure(self.transformations, self._applied, centres))

    def __getstate__(self) -> dict[str, Any]:
        return {one.name: getattr(self, one.name) for one in fields(self)}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            object.__setattr__(self, name, value)
        self._keep()


def name_of(transformation: Transformation) -> str:
    """A transformation in a few words."""
    if isinstance(transformation, Composed):
        return ", ".join(map(name_of, transformation.parts))
    for name, one in NAMED.items():
        if one == transformation:
            return name
    match transformation:
        case Shifted(down, right):
            return f"shifted ({down}, {right})"
        case Rotated(degrees):
            return f"rotated {degrees:g}°"
        case Cropped(share, down, right):
            return f"cropped {share:g}" + (f" at ({down:g}, {right:g})" if down or right else "")
        case Brightened(factor):
            return f"brightness {factor:g}"
        case Contrasted(factor):
            return f"contrast {factor:g}"
        case Saturated(factor):
            return f"saturation {factor:g}"
        case Noisy(scale, seed):
            return f"noise {scale:g}, draw {seed}"
        case LayerDraw(layer, _, draw):
            return f"{type(layer).__name__}, draw {draw}" if seed_states(layer) else type(layer).__name__
    return getattr(transformation, "__qualname__", None) or repr(transformation)


def _named(given: str | Transformation, draws: int, seed: int) -> list[Transformation]:
    """The family that a name, function or layer stands for."""
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


def _families(
    flips: tuple[str, ...],
    shifts: int,
    rotations: tuple[float, ...],
    crops: tuple[float, ...],
    brightness: tuple[float, ...],
    contrast: tuple[float, ...],
    saturation: tuple[float, ...],
) -> list[list[Transformation]]:
    aside = range(-shifts, shifts + 1)
    return [
        [NAMED[name] for name in flips],
        [Rotated(degrees) for degrees in rotations],
        [Cropped(share) for share in crops],
        [Shifted(down, right) for down in aside for right in aside if 0 < abs(down) + abs(right) <= shifts],
        [Brightened(factor) for factor in brightness],
        [Contrasted(factor) for factor in contrast],
        [Saturated(factor) for factor in saturation],
    ]


def _combined(families: list[list[Transformation]]) -> list[Transformation]:
    """All products of families, with at most one of each."""
    given = [[one for one in family if one != Unaltered()] for family in families]
    count = int(np.prod([len(family) + 1 for family in given], dtype=object))
    if count > MOST:
        raise ValueError(f"combine=True makes {count} transformations; give fewer, there may be {MOST}.")
    found: list[Transformation] = []
    for chosen in itertools.product(*([None, *family] for family in given)):
        parts = tuple(one for one in chosen if one is not None)
        if parts:
            found.append(parts[0] if len(parts) == 1 else Composed(parts))
    return found


def _flips(flips: bool | str | Iterable[str]) -> tuple[str, ...]:
    if isinstance(flips, bool):
        return ("left-right",) if flips else ()
    given = (flips,) if isinstance(flips, str) else tuple(flips)
    if not set(given) <= {"left-right", "up-down"}:
        raise ValueError(f"flips is {flips!r}; give True, 'left-right', 'up-down' or several of these.")
    return given


def _numbers(what: str, given: Any, fits: Callable[[float], bool], expected: str) -> tuple[float, ...]:
    try:
        numbers = tuple(float(one) for one in np.atleast_1d(np.asarray(given, float)))
    except (TypeError, ValueError):
        numbers = (np.nan,)
    if not all(np.isfinite(one) and fits(one) for one in numbers):
        raise ValueError(f"{what} is {given!r}; give {expected}, such as {what}=(0.9,).")
    return numbers


def _is_factor(factor: float) -> bool:
    return factor > 0 and factor != 1


def _check_numbers(draws: Any, seed: Any, shifts: Any, noise: Any, domain: Any, tolerance: Any) -> None:
    whole = all(isinstance(value, (int, np.integer)) for value in (draws, seed, shifts))
    if not whole or min(draws - 1, seed, shifts) < 0:
        raise ValueError(
            f"shifts is {shifts!r}, draws {draws!r}, seed {seed!r}; give whole numbers of at least 0, draws of at least 1."
        )
    if noise is not None and not 0 < noise < np.inf:
        raise ValueError(f"noise is {noise!r}; give a positive standard deviation, or None.")
    if tolerance is not None and not 0 <= tolerance < np.inf:
        raise ValueError(f"tolerance is {tolerance!r}; give a difference of at least 0, or None.")
    if domain is not None and not (len(domain) == 2 and -np.inf < domain[0] < domain[1] < np.inf):
        raise ValueError(f"domain is {domain!r}; give (low, high), or None.")


def _changed(one: Transformation, x: Any) -> Any:
    """The batch, transformed; the library's own transformations are given its images only, where there are any."""
    if isinstance(one, Composed):
        for part in one.parts:
            x = _changed(part, x)
        return x
    leaves = tf.nest.flatten(x)
    images = [place for place, leaf in enumerate(leaves) if is_image(leaf)]
    if isinstance(one, _OWN) and images and len(images) < len(leaves):
        for place, leaf in zip(images, one([leaves[place] for place in images]), strict=True):
            leaves[place] = leaf
        return tf.nest.pack_sequence_as(x, leaves)
    made = one(x)
    tf.nest.assert_same_structure(made, x)
    return made


def _acted_on(leaves: list[Any]) -> list[int]:
    """Places of the images; of all numbers, if there is none."""
    images = [place for place, leaf in enumerate(leaves) if is_image(leaf)]
    return images or [place for place, leaf in enumerate(leaves) if not is_text(leaf)]


def _clipped(leaf: Any, domain: tuple[float, float]) -> Any:
    if leaf.dtype == tf.bool:
        return leaf
    return tf.clip_by_value(leaf, tf.cast(domain[0], leaf.dtype), tf.cast(domain[1], leaf.dtype))


def _equal(left: Any, right: Any) -> bool:
    sides = zip(tf.nest.flatten(left), tf.nest.flatten(right), strict=True)
    return all(np.array_equal(one.numpy(), other.numpy()) for one, other in sides)

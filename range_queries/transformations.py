"""Ranges of variations: what a finite, recorded list of deterministic transformations makes of a record."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from privacy_callbacks.attacks.perturbations import Noisy, Unaltered
from privacy_callbacks.attacks.seeded_stream import seeded_stream

from .base_range import Pairs, Range, RangeRecords
from .content_digest import content_digest
from .image_transforms import is_image
from .transform_closure import TransformClosure
from .transformation_families import combined, family_of, image_families
from .transformation_names import name_of
from .transformed_batch import OF_IMAGES, OWN, Transformation, TransformGraphs, acted_on, transformed

_DEFAULT: dict[str, Any] = {"flips": True, "shifts": 1, "numbers": {"rotations": (-5, 5), "brightness": (0.9, 1.1)}}


@dataclass(frozen=True, eq=False, init=False)
class Transformations(Range):
    """Variations of a record, the record itself first; with no arguments: mirrored, one pixel aside, ±5°, ±10% brightness.

    They act on the leaves [n, height, width(, channels)] of a nest and leave the others alone; noise and layers act on inputs
    that are no images, too. Types are kept: images of whole numbers are worked on in floats, rounded, and stay within the limits
    of their type. With at most q transformations they are asked in turn, and again from the first; otherwise q of them are drawn
    without replacement, the same for all records.

    A training record z lies in the range of x if z is a transformation of x, or x one of z (shifts and crops have no inverse).

    Args:
      transformations: names, see `transformation_names.NAMED`; functions of a batch (and of its nest), deterministic, of
        TensorFlow operations, that treat each record by itself; Keras layers, of whose draws in training mode `draws` are fixed.
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
        numbers = {
            "rotations": rotations,
            "crops": crops,
            "brightness": brightness,
            "contrast": contrast,
            "saturation": saturation,
        }
        families = [family_of(given, draws, seed) for given in transformations]
        families += image_families(flips, shifts, numbers)
        if noise is not None:
            families.append([Noisy(float(noise), seed * draws + draw) for draw in range(draws)])
        if not any(families):
            families = image_families(**_DEFAULT)
        made = combined(families) if combine else list(itertools.chain.from_iterable(families))
        made = list(dict.fromkeys([Unaltered(), *made] if unaltered else made))
        if not made:
            raise ValueError("no transformation is left; give some, or unaltered=True.")
        object.__setattr__(self, "transformations", tuple(made))
        object.__setattr__(self, "domain", None if domain is None else (float(domain[0]), float(domain[1])))
        object.__setattr__(self, "tolerance", None if tolerance is None else float(tolerance))
        graphs = TransformGraphs(self.domain)
        # Kept beside the settings; these decide about no result.
        object.__setattr__(self, "_graphs", graphs)
        object.__setattr__(self, "_closure", TransformClosure(self.transformations, graphs, self.tolerance))

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
        if tf.executing_eagerly():
            return vars(self)["_graphs"](asked[int(index) % len(asked)], x)
        if not tf.is_tensor(index):
            return transformed(asked[index % len(asked)], x, self.domain)
        branches = [lambda one=one: transformed(one, x, self.domain) for one in asked]
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
            if not images and isinstance(one, OF_IMAGES):
                shapes = [tuple(leaf.shape) for leaf in tf.nest.flatten(few)]
                raise ValueError(
                    f"{name_of(one)} takes images [n, height, width(, channels)], these have shapes {shapes}; give noise= or "
                    "functions of yours."
                )
            made = self._tried(one, few)
            if not isinstance(one, OWN) and not _equal(made, self._tried(one, few)):
                raise ValueError(
                    f"{name_of(one)} gives something else when it is asked again; draw with tf.random.stateless_* from a fixed "
                    "seed, or give a Keras layer itself."
                )

    def at(self, centres: RangeRecords) -> Transformations:
        """A copy that keeps the queries' keys (32 bytes a query and transformation) once `pairs` has asked for them."""
        self.check(centres.x)
        bound = copy.copy(self)
        closure = TransformClosure(self.transformations, vars(self)["_graphs"], self.tolerance, centres.x)
        object.__setattr__(bound, "_closure", closure)
        return bound

    def pairs(self, x: Any, training: Any) -> Iterator[Pairs]:
        """See the class; each transformation is made of each record once, in blocks."""
        yield from vars(self)["_closure"].pairs(x, training)

    def _tried(self, one: Transformation, few: Any) -> Any:
        try:
            return transformed(one, few, self.domain)
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
        for place in acted_on(leaves):
            leaf = leaves[place]
            inside = (leaf >= self.domain[0]) & (leaf <= self.domain[1])
            outside = np.flatnonzero(~inside.reshape(len(leaf), -1).all(axis=1))
            if len(outside):
                raise ValueError(
                    f"{len(outside)} of {len(leaf)} records (the first: {outside[0]}) have values outside of the domain "
                    f"{self.domain}; give a domain that holds all records."
                )


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


def _equal(left: Any, right: Any) -> bool:
    sides = zip(tf.nest.flatten(left), tf.nest.flatten(right), strict=True)
    return all(np.array_equal(one.numpy(), other.numpy()) for one, other in sides)

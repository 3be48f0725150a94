"""What a transformation makes of a batch, and how often it is traced."""

import copy
import logging

import numpy as np
import pytest
import tensorflow as tf

from privacy_callbacks.attacks.perturbations import Mirrored
from privacy_callbacks.range_queries.base_range import RangeRecords
from privacy_callbacks.range_queries.image_transforms import Brightened, Rotated
from privacy_callbacks.range_queries.transformations import Transformations
from privacy_callbacks.range_queries.transformed_batch import TransformGraphs, acted_on, transformed

IMAGES = np.random.default_rng(0).random((21, 6, 6, 1)).astype(np.float32)


def test_many_ranges_warn_of_no_retracing(caplog):
    """The first test of this file: TensorFlow warns twice in a process, then no more."""
    logger = logging.getLogger("tensorflow")
    logger.addHandler(caplog.handler)
    try:
        for count in range(1, 9):
            Transformations(flips=True).contains(IMAGES[:count], IMAGES[: 2 * count])
    finally:
        logger.removeHandler(caplog.handler)
    assert "retracing" not in caplog.text


@pytest.mark.parametrize("nest", [IMAGES, (IMAGES, IMAGES[:, 0, 0]), {"b": IMAGES, "a": np.array(["x"] * 21)}])
def test_graphs_make_what_is_made_without_them(nest):
    graphs, tensors = TransformGraphs((0.1, 0.9)), tf.nest.map_structure(tf.convert_to_tensor, nest)
    for one in (Mirrored(), Rotated(5.0), Brightened(1.3)):
        pairs = zip(
            tf.nest.flatten(graphs(one, nest)), tf.nest.flatten(transformed(one, tensors, (0.1, 0.9))), strict=True
        )
        for made, expected in pairs:
            if made.dtype == tf.string:
                np.testing.assert_array_equal(made, expected)
            else:
                np.testing.assert_allclose(made, expected, atol=1e-6)


def test_images_are_acted_on_or_else_all_numbers():
    numbers, strings = IMAGES[:, 0, 0], np.array(["x"] * 21)
    assert acted_on([numbers, IMAGES, strings, IMAGES]) == [1, 3]
    assert acted_on([strings, numbers, numbers]) == [1, 2]


def test_each_is_traced_once_for_a_kind_of_batch_whatever_is_asked_of_a_range():
    traced = []

    def darker(x):
        if not tf.executing_eagerly():
            traced.append(1)
        return 0.5 * x

    given = Transformations(darker, flips=True, shifts=1)
    for count in range(1, 8):
        bound = given.at(RangeRecords(IMAGES[:count]))
        bound.sample(IMAGES[:count], 7)
        for stop in (3, 9, 21):
            list(bound.pairs(IMAGES[:count], IMAGES[:stop]))
    assert len(traced) == 1
    given.sample(IMAGES[..., 0], 7)
    assert len(traced) == 2


def test_ranges_can_be_copied_after_use():
    given = Transformations(flips=True, domain=(0, 1))
    bound = given.at(RangeRecords(IMAGES))
    inside = [bound.contains(IMAGES, IMAGES[:5])]
    for other in (copy.copy(bound), copy.deepcopy(bound)):
        assert other == given
        inside.append(other.contains(IMAGES, IMAGES[:5]))
        np.testing.assert_array_equal(other.sample(IMAGES, 2), given.sample(IMAGES, 2))
    assert (np.array(inside) == inside[0]).all()

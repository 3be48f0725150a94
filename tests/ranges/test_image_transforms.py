"""Single variations of images."""

import numpy as np
import pytest
import tensorflow as tf

from privacy_callbacks.range_queries.image_transforms import (
    Brightened,
    Composed,
    Contrasted,
    Cropped,
    Rotated,
    Saturated,
    UpsideDown,
    in_type,
)

IMAGES = np.random.default_rng(0).random((5, 9, 9, 3)).astype(np.float32)
ALL = [UpsideDown(), Rotated(90), Rotated(7.0), Cropped(0.8), Brightened(0.9), Contrasted(1.2), Saturated(0.5)]


@pytest.mark.parametrize("quarters", [1, 2, 3, 4, -1])
@pytest.mark.parametrize(
    "images", [IMAGES, IMAGES[..., 0], (255 * IMAGES).astype(np.uint8)], ids=["rgb", "grey", "uint8"]
)
def test_quarter_turns_are_exact(images, quarters):
    np.testing.assert_array_equal(Rotated(90 * quarters)(images), np.rot90(images, quarters, (1, 2)))


@pytest.mark.parametrize("size", [(8, 8), (9, 9)])
def test_a_turn_by_nearly_a_quarter_is_nearly_a_quarter_turn(size):
    images = np.random.default_rng(1).random((2, *size, 1)).astype(np.float32)
    np.testing.assert_allclose(Rotated(89.999)(images), np.rot90(images, 1, (1, 2)), atol=1e-3)


def test_a_crop_of_nearly_everything_is_the_image():
    np.testing.assert_allclose(Cropped(1 - 1e-6)(IMAGES), IMAGES, atol=1e-4)


def test_a_crop_shows_a_ramp_more_slowly():
    ramp = np.tile(np.arange(16, dtype=np.float32), (1, 16, 1))
    middle = Cropped(0.5)(ramp).numpy()[0, 0]
    np.testing.assert_allclose(middle, 7.5 + 0.5 * (np.arange(16) - 7.5), atol=1e-5)
    left = Cropped(0.5, right=-1)(ramp).numpy()[0, 0]
    np.testing.assert_allclose(
        left[1:], middle[1:] - 4, atol=1e-5
    )  # a quarter of the width; the first is beyond the edge


def test_upside_down_twice_is_the_image():
    np.testing.assert_array_equal(UpsideDown()(IMAGES), IMAGES[:, ::-1])
    np.testing.assert_array_equal(UpsideDown()(UpsideDown()(IMAGES)), IMAGES)


def test_contrast_keeps_the_mean_of_each_channel_and_scales_what_is_around_it():
    mean = IMAGES.mean(axis=(1, 2), keepdims=True)
    np.testing.assert_allclose(Contrasted(0.5)(IMAGES), mean + 0.5 * (IMAGES - mean), atol=1e-6)


def test_grey_has_equal_channels_and_full_saturation_is_the_image():
    grey = Saturated(0.0)(IMAGES).numpy()
    np.testing.assert_array_equal(grey[..., 0], grey[..., 2])
    np.testing.assert_allclose(grey[..., 0], IMAGES @ np.array([0.299, 0.587, 0.114]), atol=1e-6)
    np.testing.assert_allclose(Saturated(1.0)(IMAGES), IMAGES, atol=1e-6)


@pytest.mark.parametrize("dtype", ["uint8", "int32", "float16", "float32", "float64", "bool", "int8"])
@pytest.mark.parametrize("change", ALL, ids=lambda one: type(one).__name__)
def test_types_and_shapes_are_kept(change, dtype):
    images = (IMAGES * 100).astype(dtype)
    made = change(tf.constant(images))
    assert made.dtype.name == dtype
    assert made.shape == images.shape


def test_bytes_are_rounded_and_kept_within_their_limits():
    images = tf.constant(np.array([0, 3, 101, 255], np.uint8).reshape(1, 2, 2))
    assert Brightened(1.5)(images).numpy().ravel().tolist() == [0, 4, 152, 255]  # 4.5 and 151.5 to even
    assert in_type(tf.constant([-3.0, 1e30]), tf.int64).numpy()[0] == -3
    assert in_type(tf.constant([1e30]), tf.int64).numpy()[0] > 9e18
    assert in_type(tf.constant([-7.0, 0.2, 0.8]), tf.bool).numpy().tolist() == [False, False, True]


@pytest.mark.parametrize("change", ALL, ids=lambda one: type(one).__name__)
def test_a_record_gets_the_same_bits_alone_and_among_others(change):
    images = tf.constant(np.random.default_rng(3).normal(size=(33, 15, 15, 3)).astype(np.float32))
    whole = change(images).numpy()
    for start, stop in ((0, 1), (7, 8), (5, 22)):
        np.testing.assert_array_equal(change(images[start:stop]), whole[start:stop])


def test_other_leaves_stay_and_parts_follow_each_other():
    nest = {"image": IMAGES, "age": np.arange(5.0)}
    made = Composed((UpsideDown(), Rotated(180)))(nest)
    np.testing.assert_array_equal(made["image"], IMAGES[:, :, ::-1])
    assert made["age"] is nest["age"]


def test_what_is_no_image_is_refused():
    with pytest.raises(ValueError, match="have no height and width"):
        Rotated(3.0)(np.zeros((4, 7), np.float32))
    with pytest.raises(ValueError, match="no 3 channels to saturate"):
        Saturated(0.5)(IMAGES[..., :2])

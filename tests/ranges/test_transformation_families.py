"""Which transformations there are: from what a user says of them, and in words."""

import keras
import pytest

from privacy_callbacks.attacks.perturbations import Mirrored, Noisy, Shifted, Unaltered
from privacy_callbacks.range_queries.image_transforms import Composed, Cropped, Rotated, UpsideDown
from privacy_callbacks.range_queries.transformation_names import name_of
from privacy_callbacks.range_queries.transformations import Transformations


def test_without_arguments_they_are_small_variations_after_the_record_itself():
    names = Transformations().names
    assert names == (
        *("unaltered", "left-right", "rotated -5°", "rotated 5°", "shifted (-1, 0)", "shifted (0, -1)"),
        *("shifted (0, 1)", "shifted (1, 0)", "brightness 0.9", "brightness 1.1"),
    )


def test_what_is_given_is_what_there_is():
    assert Transformations("unaltered").transformations == (Unaltered(),)
    assert Transformations("up-down", flips=True).transformations == (Unaltered(), UpsideDown(), Mirrored())
    given = Transformations(crops=0.9, noise=0.1, draws=2, seed=3, unaltered=False)
    assert given.transformations == (Cropped(0.9), Noisy(0.1, 6), Noisy(0.1, 7))


def test_combined_they_are_all_products():
    given = Transformations(flips=True, rotations=(-5, 5), shifts=1, combine=True)
    assert len(given.transformations) == 2 * 3 * 5
    assert given.transformations[0] == Unaltered()
    assert Composed((Mirrored(), Rotated(5.0), Shifted(1, 0))) in given.transformations
    assert given.names[-1] == "left-right, rotated 5°, shifted (1, 0)"


def test_names_are_readable():
    def my_blur(x):
        return x

    assert name_of(my_blur).endswith("my_blur")
    assert name_of(Cropped(0.5, 1, 0)) == "cropped 0.5 at (1, 0)"
    given = Transformations(keras.layers.RandomFlip(), keras.layers.Rescaling(0.5), draws=2, unaltered=False)
    assert given.names == ("RandomFlip, draw 0", "RandomFlip, draw 1", "Rescaling")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ({"rotations": (360,)}, "degrees other than whole turns"),
        ({"rotations": float("nan")}, "rotations is nan"),
        ({"crops": (1.0,)}, "shares between 0 and 1"),
        ({"brightness": (0.0,)}, "positive factors other than 1"),
        ({"contrast": ("much",)}, "contrast is"),
        ({"flips": "diagonal"}, "'left-right', 'up-down'"),
        ({"noise": 0.0}, "noise is 0.0"),
        ({"shifts": -1}, "shifts is -1"),
        ({"draws": 0}, "draws 0"),
        ({"domain": (1, 0)}, "domain is"),
        ({"domain": (0, float("nan"))}, "domain is"),
        ({"tolerance": -1.0}, "tolerance is -1.0"),
        ({"rotations": range(1, 180), "shifts": 3, "combine": True}, "combine=True makes 4500 transformations"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments, said):
    with pytest.raises(ValueError, match=said):
        Transformations(**arguments)


def test_what_is_no_transformation_is_refused():
    with pytest.raises(ValueError, match="no transformation 'sideways'; give one of unaltered"):
        Transformations("sideways")
    with pytest.raises(TypeError, match="3 is no transformation"):
        Transformations(3)
    with pytest.raises(TypeError, match="is no transformation"):
        Transformations(keras.layers.RandomFlip)

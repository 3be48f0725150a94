"""Arrays as users really bring them: of other types, shapes, memory layouts and with values that no formula likes."""

from __future__ import annotations

import copy
import linecache
import os
import re
import traceback
import warnings
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import pandas as pd
from hypothesis import settings
from hypothesis import strategies as st

import privacy_callbacks
import privacy_callbacks.attacks
import privacy_callbacks.range_queries

# Fast by default; a long search is asked for: FUZZ_EXAMPLES=300.
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "25"))
FUZZED = settings(max_examples=EXAMPLES, deadline=None, derandomize=True)

_OURS = tuple(
    str(Path(str(module.__file__)).resolve().parent)
    for module in (privacy_callbacks, privacy_callbacks.attacks, privacy_callbacks.range_queries)
)

DTYPES = [
    *("bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64"),
    *("float16", "float32", "float64", "longdouble", "complex64", "complex128"),
    *("object", "U8", "S8", "datetime64[s]", "timedelta64[s]"),
    ml_dtypes.bfloat16,
    ml_dtypes.float8_e4m3fn,
]
NUMBERS = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-320, 1e-300, -1e300, 1.7e308, -1.7e308, 0.5, 1.0, -1.0, 1e15, 2.0**53]
WHOLE = [2**53, 2**53 + 1, 2**53 + 2, -(2**53) - 1, 2**62, -(2**62), 2**63 - 1, 0, 1]
HUGE = [2**64 - 1, 2**64 - 2, 2**63, 2**53 + 1, 0, 1]
OBJECTS = [None, "a", "1.5", 10**400, 10**20, -(10**20), b"x", 1 + 2j, np.nan, (1,), [1, 2], {}, pd.NA, pd.NaT, True]

Edit = Callable[[np.ndarray], Any]


class Refusal(Exception):
    """What was asked was refused, in a sentence of our own."""


def _typed(array: np.ndarray, kind: Any) -> Any:
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return array.astype(kind)


def _sprinkled(array: np.ndarray, places: list[int], values: list[Any], kind: Any) -> Any:
    mixed = _typed(array, kind).copy()
    for place, value in zip(places, values, strict=False):
        if mixed.size:
            with np.errstate(all="ignore"):
                mixed.reshape(-1)[place % mixed.size] = value
    return mixed


def _objects(array: np.ndarray, places: list[int], values: list[Any]) -> Any:
    mixed = array.astype(object)
    flat = mixed.reshape(-1)
    for place, value in zip(places, values, strict=False):
        if flat.size:
            flat[place % flat.size] = value
    return mixed


def _strided(array: np.ndarray) -> Any:
    wide = np.repeat(array, 2, axis=0) if array.ndim else array
    return wide[::2] if array.ndim else wide


def _read_only(array: np.ndarray) -> Any:
    frozen = array.copy()
    frozen.flags.writeable = False
    return frozen


def _tensor(array: np.ndarray) -> Any:
    import tensorflow as tf

    return tf.constant(array)


def _ragged(array: np.ndarray) -> Any:
    return [*array.tolist()[:-1], [1.0, 2.0, 3.0]] if array.ndim else [[1], [1, 2]]


# The same values in another guise: whatever is read from them must stay the same.
GUISES: dict[str, Edit] = {
    "list": lambda array: array.tolist(),
    "tuple": lambda array: tuple(array.tolist()) if array.ndim else array.tolist(),
    "strided": _strided,
    "backwards": lambda array: array[::-1].copy()[::-1] if array.ndim else array,
    "fortran": lambda array: np.asfortranarray(array),
    "big-endian": lambda array: array.astype(array.dtype.newbyteorder(">")),
    "read-only": _read_only,
    "object": lambda array: array.astype(object),
    "pandas": lambda array: pd.Series(array) if array.ndim == 1 else pd.DataFrame(array) if array.ndim == 2 else array,
    "pandas nullable": lambda array: pd.Series(array, dtype="Float64" if array.dtype.kind == "f" else "boolean"),
    "tensor": _tensor,
    "longdouble": lambda array: array.astype(np.longdouble) if array.dtype.kind == "f" else array,
}

_RESHAPED: dict[str, Edit] = {
    "column": lambda array: array[..., None],
    "row": lambda array: array[None],
    "flat": lambda array: array.reshape(-1),
    "empty": lambda array: array[:0],
    "no columns": lambda array: array[..., :0],
    "one": lambda array: array[:1],
    "two": lambda array: array[:2],
    "shorter": lambda array: array[:-1],
    "longer": lambda array: np.concatenate([array, array[:1]]),
    "transposed": lambda array: array.T,
    "constant": lambda array: np.full_like(array, array.flat[0]),
    "zeros": lambda array: np.zeros_like(array),
    "ones": lambda array: np.ones_like(array),
    "huge": lambda array: array * 1e300,
    "huge offset": lambda array: array + 1e300,
    "tiny": lambda array: array * 1e-310,
    "number": lambda array: array.flat[0],
    "ragged": _ragged,
    "masked": lambda array: np.ma.masked_array(array, np.arange(array.size).reshape(array.shape) == 0),
    "nothing": lambda array: None,
    "text": lambda array: "scores",
    "mapping": lambda array: {"a": 1},
    "generator": lambda array: (value for value in array),
    "set": lambda array: set(array.reshape(-1).tolist()),
    "strings": lambda array: array.astype(str),
}


@st.composite
def edits(draw: Any) -> tuple[str, Edit]:
    """A name, and what makes an odd array of an ordinary one of float64 or bool."""
    places = draw(st.lists(st.integers(0, 10**6), min_size=1, max_size=5))
    kind = draw(st.sampled_from(["dtype", "numbers", "whole", "huge", "objects", "guise", "shape"]))
    if kind == "dtype":
        of = draw(st.sampled_from(DTYPES))
        return f"as {of}", lambda array: _typed(array, of)
    if kind == "numbers":
        values = draw(st.lists(st.sampled_from(NUMBERS), min_size=1, max_size=5))
        of = draw(st.sampled_from(["float64", "float64", "float32", "float16", "longdouble"]))
        return f"{values} in {of}", lambda array: _sprinkled(array, places, values, of)
    if kind in ("whole", "huge"):
        values = draw(st.lists(st.sampled_from(WHOLE if kind == "whole" else HUGE), min_size=1, max_size=5))
        of = "int64" if kind == "whole" else "uint64"
        return f"{values} in {of}", lambda array: _sprinkled(array, places, values, of)
    if kind == "objects":
        values = draw(st.lists(st.sampled_from(OBJECTS), min_size=1, max_size=3))
        return f"{values!r} among objects", lambda array: _objects(array, places, values)
    name = draw(st.sampled_from(sorted(GUISES if kind == "guise" else _RESHAPED)))
    return name, (GUISES if kind == "guise" else _RESHAPED)[name]


def asked(call: Callable[..., Any], arguments: Mapping[str, Any]) -> Any:
    """What the call gives; `Refusal` if it refuses in words of its own.

    Fails if it lets an error of NumPy's or Python's pass, warns, or writes to what it was given.
    """
    before = {name: _kept(value) for name, value in arguments.items()}
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            warnings.filterwarnings("ignore", "distutils Version", DeprecationWarning)  # TensorFlow Probability's own
            found = call(**arguments)
    except (ValueError, TypeError) as reason:
        if not said_by_us(reason):
            raise AssertionError(f"no words of ours: {_where(reason)}") from reason
        raise Refusal(str(reason)) from None
    except Exception as reason:
        raise AssertionError(f"neither an answer nor a refusal: {_where(reason)}") from reason
    finally:
        for name, value in arguments.items():
            assert _same(before[name], value), f"{name} was changed"
    return found


def read_or_refused(
    read: Callable[..., Any], *arguments: Any, names: Any = "", kind: type[Exception] = ValueError
) -> Any:
    """What was read; None where it was refused in a sentence of ours that names the file."""
    try:
        return read(*arguments)
    except kind as refused:
        reason = refused
    assert said_by_us(reason), repr(reason)
    assert str(names) in str(reason)
    return None


def _where(reason: BaseException) -> str:
    frames = [
        f
        for f in traceback.extract_tb(reason.__traceback__)
        if "odd_arrays" not in f.filename and "test_fuzz" not in f.filename
    ]
    said = [
        f"{Path(frame.filename).name}:{frame.lineno} {frame.line}"
        for frame in frames
        if frame.filename.startswith(_OURS)
    ]
    return f"{type(reason).__name__}: {reason!s:.200}\n    " + "\n    ".join(said[-3:])


def said_by_us(reason: BaseException) -> bool:
    """True for a sentence that a line of this package raised."""
    last = traceback.extract_tb(reason.__traceback__)[-1]
    line = linecache.getline(last.filename, last.lineno or 0)
    ours = last.filename.startswith(_OURS) and re.match(r"\s*raise\b", line) is not None
    return ours and len(str(reason).split()) >= 4


def _kept(value: Any) -> Any:
    if isinstance(value, np.ndarray):
        return copy.deepcopy(value) if value.dtype == object else value.copy()
    return copy.deepcopy(value) if isinstance(value, (list, tuple, set, pd.Series, pd.DataFrame)) else None


def _same(kept: Any, value: Any) -> bool:
    if kept is None:
        return True
    if isinstance(value, np.ndarray):
        if value.dtype == object:
            return repr(kept) == repr(value)
        return kept.shape == value.shape and kept.tobytes() == value.tobytes()
    return kept == value if isinstance(value, set) else repr(kept) == repr(value)


def figures(found: Any) -> list[np.ndarray]:
    """The arrays and numbers that an answer consists of, in their order."""
    if isinstance(found, Mapping):
        return [array for value in found.values() for array in figures(value)]
    if isinstance(found, (list, tuple)):
        return [array for value in found for array in figures(value)]
    if isinstance(found, (bool, int, float, str, np.generic, np.ndarray, type(None))):
        return [np.asarray(found)]
    if hasattr(found, "__array__"):
        return [np.asarray(found)]
    if hasattr(found, "__dict__") and not isinstance(found, Enum):
        return [array for name, value in sorted(vars(found).items()) for array in figures(value)]
    return [np.asarray(found)]

"""What something is made of, as a number: equal for equal contents, whatever it is called or wherever it stands."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import sys
import types
from collections.abc import Mapping
from typing import Any

import numpy as np

# Whose functions are known by their names.
_LIBRARIES = {
    "numpy",
    "scipy",
    "pandas",
    "sklearn",
    "tensorflow",
    "keras",
    "tensorflow_probability",
    *sys.stdlib_module_names,
}


def content_digest(*values: Any) -> str:
    """SHA-256, as 64 hexadecimal digits, of numbers, strings, arrays, tensors, functions, Keras layers and nests of these.

    Functions count by their code, defaults, what they close over and the globals they read, those of libraries by name; layers
    by configuration and weights; other objects by what `copy.copy` would take over.
    """
    found = hashlib.sha256()
    _add(found, values, {})
    return found.hexdigest()


def _add(found: Any, value: Any, seen: dict[int, tuple[int, Any]]) -> None:
    if value is None or isinstance(value, (bool, int, float, complex, str, bytes, np.dtype)):
        return _told(found, type(value).__name__, repr(value))
    if id(value) in seen:
        return _told(found, "again", str(seen[id(value)][0]))
    seen[id(value)] = len(seen), value  # kept alive: a number of something gone may be given again
    if isinstance(value, np.generic):
        return _add(found, np.asarray(value), seen)
    if isinstance(value, np.ndarray) or (hasattr(value, "__array__") and hasattr(value, "dtype")):
        return _add_array(found, np.asarray(value), seen)
    if isinstance(value, Mapping):
        _told(found, "mapping", str(len(value)))
        for key in sorted(value, key=repr):
            _add(found, (key, value[key]), seen)
        return None
    if isinstance(value, (set, frozenset)):
        return _told(found, "set", repr(sorted(content_digest(one) for one in value)))
    if isinstance(value, (list, tuple)):
        _told(found, type(value).__name__, str(len(value)))
        for one in value:
            _add(found, one, seen)
        return None
    return _add_object(found, value, seen)


def _add_array(found: Any, array: np.ndarray, seen: dict[int, tuple[int, Any]]) -> None:
    _told(found, "array", f"{array.dtype.str if array.dtype != object else 'object'} {array.shape}")
    if array.dtype == object:
        for one in array.ravel():
            _add(found, one, seen)
    else:
        found.update(np.ascontiguousarray(array).tobytes())


def _add_object(found: Any, value: Any, seen: dict[int, tuple[int, Any]]) -> None:
    _told(found, "object", f"{type(value).__module__}.{type(value).__qualname__}")
    if isinstance(value, functools.partial):
        return _add(found, (value.func, value.args, value.keywords), seen)
    if isinstance(value, types.MethodType):
        return _add(found, (value.__func__, value.__self__), seen)
    if isinstance(value, types.FunctionType):
        held = [_held_in(cell) for cell in value.__closure__ or ()], value.__defaults__, value.__kwdefaults__
        if (value.__module__ or "").partition(".")[0] in _LIBRARIES:
            return _add(found, (value.__module__, value.__qualname__, *held), seen)
        return _add(found, (value.__code__, _read_by(value.__code__, value.__globals__), *held), seen)
    if isinstance(value, types.CodeType):
        names = value.co_names, value.co_varnames[: value.co_argcount]
        return _add(found, (value.co_code, value.co_consts, names), seen)
    if isinstance(value, (type, types.ModuleType, types.BuiltinFunctionType)):
        return _told(found, "named", f"{getattr(value, '__module__', '')}.{value.__name__}")
    if hasattr(value, "get_config") and hasattr(value, "get_weights"):
        config = {key: part for key, part in value.get_config().items() if key != "name"}
        return _add(found, (config, value.get_weights()), seen)
    if dataclasses.is_dataclass(value):
        return _add(found, {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}, seen)
    try:
        state = value.__reduce_ex__(4)
    except TypeError:
        state = repr(type(value))
    return _add(found, state, seen)


def _read_by(code: types.CodeType, known: Mapping[str, Any]) -> dict[str, Any]:
    """The global names that code reads, within inner functions, too, and what they stand for."""
    found = {name: known[name] for name in code.co_names if name in known}
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            found |= _read_by(inner, known)
    return found


def _held_in(cell: Any) -> Any:
    try:
        return cell.cell_contents
    except ValueError:  # not filled yet
        return None


def _told(found: Any, kind: str, content: str) -> None:
    found.update(f"{kind}:{len(content)}:{content};".encode())

"""What something is made of, as a number: equal for equal contents, whatever it is called or wherever it stands."""

from __future__ import annotations

import copyreg
import dataclasses
import functools
import hashlib
import sys
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

_OF_ANY_CLASS = {
    "_abc_impl",
    "__abstractmethods__",
    "__dataclass_fields__",
    "__dataclass_params__",
    "__match_args__",
    "__static_attributes__",
    "__parameters__",
    "__dict__",
    "__weakref__",
    "__doc__",
    "__module__",
    "__qualname__",
    "__annotations__",
    "__firstlineno__",
}
_DESCRIPTORS = (types.GetSetDescriptorType, types.MemberDescriptorType, types.WrapperDescriptorType)
# Whose functions are known by their names.
_LIBRARIES = {
    "privacy_callbacks",
    "numpy",
    "scipy",
    "pandas",
    "sklearn",
    "tensorflow",
    "keras",
    "tensorflow_probability",
    *(set(sys.stdlib_module_names) - {"__main__"}),
}


def content_digest(*values: Any) -> str:
    """SHA-256, as 64 hexadecimal digits, of numbers, strings, arrays, tensors, functions, Keras layers and nests of these.

    Functions and classes count by their code, defaults, what they close over and the globals they read, those of libraries by
    name; layers by configuration and weights; other objects by what `copy.copy` would take over.

    Raises:
      ValueError: if something holds what cannot be told (a table of TensorFlow's, an open file).
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
    if isinstance(value, np.ma.MaskedArray):
        return _add(found, ("masked", value.filled(0), np.ma.getmaskarray(value)), seen)
    if isinstance(value, np.ndarray) or (hasattr(value, "numpy") and hasattr(value, "dtype")):
        try:
            return _add_array(found, np.asarray(value), seen)
        except Exception:
            raise _unknown(value) from None
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
    kind = "object" if array.dtype == object else array.dtype.descr if array.dtype.names else array.dtype.str
    _told(found, "array", f"{kind} {array.shape}")
    if array.dtype == object:
        for one in array.ravel():
            _add(found, one, seen)
    else:
        found.update(np.ascontiguousarray(array).tobytes())


def _add_object(found: Any, value: Any, seen: dict[int, tuple[int, Any]]) -> None:
    if isinstance(value, type):
        return _add_class(found, value, seen)
    _told(found, "object", "")
    _add_class(found, type(value), seen)
    if isinstance(value, functools.partial):
        return _add(found, (value.func, value.args, value.keywords), seen)
    if isinstance(value, types.MethodType):
        return _add(found, (value.__func__, value.__self__), seen)
    if isinstance(value, types.FunctionType):
        held = [_held_in(cell) for cell in value.__closure__ or ()], value.__defaults__, value.__kwdefaults__
        if _is_known(value.__module__):
            made = held if "<locals>" in value.__qualname__ else ()
            return _add(found, (value.__module__, value.__qualname__, *made), seen)
        return _add(found, (value.__code__, _read_by(value.__code__, value.__globals__), *held), seen)
    if isinstance(value, types.CodeType):
        names = value.co_names, value.co_varnames[: value.co_argcount]
        return _add(found, (value.co_code, value.co_consts, names), seen)
    if isinstance(value, types.BuiltinFunctionType):
        holder = value.__self__ if not isinstance(value.__self__, types.ModuleType) else None
        return _add(found, (value.__module__, value.__qualname__, holder), seen)
    if isinstance(value, types.ModuleType):
        file = None if _is_known(value.__name__) else getattr(value, "__file__", None)
        return _add(found, (value.__name__, None if file is None else Path(file).read_bytes()), seen)
    if isinstance(value, (staticmethod, classmethod)):
        return _add(found, value.__func__, seen)
    if isinstance(value, property):
        return _add(found, (value.fget, value.fset), seen)
    if hasattr(value, "__wrapped__"):
        return _add(found, value.__wrapped__, seen)
    if hasattr(value, "get_config") and hasattr(value, "get_weights"):
        config = {key: part for key, part in value.get_config().items() if key != "name"}
        return _add(found, (config, value.get_weights()), seen)
    if dataclasses.is_dataclass(value):
        named = {one.name: getattr(value, one.name) for one in dataclasses.fields(value)}
        return _add(found, {**named, **getattr(value, "__dict__", {})}, seen)
    return _add(found, _state_of(value), seen)


def _add_class(found: Any, value: type, seen: dict[int, tuple[int, Any]]) -> None:
    """A class by name; one of the user's by what it and the user's classes that it is made from say, too."""
    _told(found, "class", f"{value.__module__}.{value.__qualname__}")
    for each in value.__mro__:
        if _is_known(each.__module__) or -id(each) in seen:  # its number alone says that it was named
            continue
        seen[-id(each)] = len(seen), each
        own = {name: part for name, part in vars(each).items() if name not in _OF_ANY_CLASS}
        _add(found, {name: part for name, part in own.items() if not isinstance(part, _DESCRIPTORS)}, seen)


def _state_of(value: Any) -> Any:
    try:
        reduce = copyreg.dispatch_table.get(type(value))
        return value.__reduce_ex__(4) if reduce is None else reduce(value)
    except Exception:
        raise _unknown(value) from None


def _unknown(value: Any) -> ValueError:
    return ValueError(
        f"what a {type(value).__module__}.{type(value).__qualname__} holds cannot be told, so that a range made of it could be "
        "taken for another; give functions that hold plain values, arrays or Keras layers."
    )


def _is_known(module: str | None) -> bool:
    return (module or "").partition(".")[0] in _LIBRARIES


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

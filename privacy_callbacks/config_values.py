"""What a configuration refers to: arrays in files, functions in modules."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .located_yaml import ConfigError


def array_from(path: str, field: str) -> NDArray[Any]:
    """The array in a `.npy` file, or the only one in a `.npz` file.

    Raises:
      ConfigError: if there is no such; `field` names it in the message.
    """
    try:
        with Path(path).open("rb") as file:
            held = np.load(file, allow_pickle=False)
            if isinstance(held, np.ndarray):
                return held
            if len(held.files) == 1 and isinstance(held[held.files[0]], np.ndarray):
                return held[held.files[0]]
            raise ConfigError(
                f"{field}: {path} holds {', '.join(held.files) or 'nothing'}; give a file with one array."
            )
    except ConfigError:
        raise
    except Exception as reason:  # damaged archives fail in a dozen ways
        raise ConfigError(f"{field}: {path} cannot be read ({reason}); give a .npy or .npz file.") from None


def function_named(name: str, field: str) -> Any:
    """What `package.module:function` names; modules in the working directory are found, too.

    Raises:
      ConfigError: if there is no such; `field` names it in the message.
    """
    module, _, attribute = name.partition(":")
    here = str(Path.cwd())
    if here not in sys.path:
        sys.path.insert(0, here)
    try:
        found = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as reason:
        raise ConfigError(f"{field}: {name} cannot be had ({reason}); give package.module:function.") from None
    if not callable(found):
        raise ConfigError(f"{field}: {name} is {type(found).__name__}, no function; name one.")
    return found

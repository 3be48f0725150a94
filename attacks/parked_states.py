"""Where shadow models wait between epochs: in memory, and beyond a limit in temporary files."""

from __future__ import annotations

import os
import tempfile
from typing import Any

import tensorflow as tf


class ParkedStates:
    """States of models by number. A state is a list of tensors.

    Args:
      memory_limit: bytes to hold in memory; None = everything.
    """

    def __init__(self, memory_limit: int | None = None) -> None:
        self._limit = memory_limit
        self._here: dict[int, list[Any]] = {}
        self._bytes: dict[int, int] = {}
        self._types: dict[int, list[Any]] = {}
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    @property
    def parked(self) -> int:
        """How many states are in files."""
        return len(self._types)

    def __getitem__(self, number: int) -> list[Any]:
        if number in self._here:
            return self._here[number]
        return [
            tf.io.parse_tensor(tf.io.read_file(self._path(number, index)), dtype)
            for index, dtype in enumerate(self._types[number])
        ]

    def __setitem__(self, number: int, state: list[Any]) -> None:
        size = sum(_bytes(value) for value in state)
        held = sum(self._bytes.values()) - self._bytes.get(number, 0)
        if number not in self._types and (self._limit is None or held + size <= self._limit):
            self._here[number], self._bytes[number] = state, size
            return
        types = []
        for index, value in enumerate(state):
            tensor = tf.convert_to_tensor(value)
            types.append(tensor.dtype)
            path = self._path(number, index)
            tf.io.write_file(f"{path}.new", tf.io.serialize_tensor(tensor))
            os.replace(f"{path}.new", path)
        self._here.pop(number, None)
        self._bytes.pop(number, None)
        self._types[number] = types

    def __delitem__(self, number: int) -> None:
        self._here.pop(number, None)
        self._bytes.pop(number, None)
        for index in range(len(self._types.pop(number, []))):
            os.remove(self._path(number, index))

    def close(self) -> None:
        """Removes the files."""
        self._here, self._bytes, self._types = {}, {}, {}
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _path(self, number: int, index: int) -> str:
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="shadow-models-")
        return f"{self._folder.name}/{number}-{index}"


def _bytes(value: Any) -> int:
    return int(getattr(value, "nbytes", 0) or tf.size(value).numpy() * value.dtype.size)

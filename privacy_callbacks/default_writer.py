"""A summary writer made TensorFlow's default for a moment, and given back whatever happens."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import tensorflow as tf


@contextlib.contextmanager
def writing_to(writer: Any, step: int) -> Iterator[None]:
    """Summaries go to this writer, and are recorded: Keras' own TensorBoard callback switches recording off between its epochs.

    `as_default` alone flushes when it is left, and if that fails, as on a full disk, the writer stays the default: whatever the
    training writes next would go to it, and fail. So nothing is flushed here; flush by hand.

    Args:
      writer: of `tf.summary.create_file_writer`.
      step: of the summaries.
    """
    writer.flush = _later
    try:
        with writer.as_default(step), tf.summary.record_if(True):
            yield
    finally:
        del writer.flush


def _later() -> None:
    """What the writer does in place of flushing."""

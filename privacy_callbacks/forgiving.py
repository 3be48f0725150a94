"""What callbacks of ours have in common: a failing audit never ends a training run, unless the user asked for that."""

from __future__ import annotations

import contextlib
import re
import warnings
from collections.abc import Iterator

import tensorflow as tf

from privacy_callbacks.attacks.audit_warning import AuditWarning

_OF_A_NODE = re.compile(r"\{\{function_node .*?\}\}")  # TensorFlow's name for the place in its own code


class Forgiving:
    """The manners of a callback; it brings the attributes.

    Attributes:
      name: what the user calls the callback.
    """

    name: str
    _strict: bool
    _failures_told: set[tuple[type, str]]  # in this fit

    @contextlib.contextmanager
    def _training_goes_on(self) -> Iterator[None]:
        """Whatever fails inside is a warning, once a fit, or ends the training if the user asked for that."""
        try:
            yield
        except Exception as error:
            if self._strict:
                raise
            said = " ".join(_OF_A_NODE.sub("", str(error)).split())
            # A disk that is full is so at every write, in other words each time.
            kind = type(error), "" if isinstance(error, (OSError, tf.errors.OpError)) else said
            if kind not in self._failures_told:
                self._failures_told.add(kind)
                self._warn(f"auditing failed ({type(error).__name__}: {said}); training goes on.")

    def _warn(self, sentence: str) -> None:
        warnings.warn(f"{type(self).__name__} {self.name!r}: {sentence}", AuditWarning, stacklevel=3)

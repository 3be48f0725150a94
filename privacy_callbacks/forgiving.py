"""What callbacks of ours have in common: a failing audit never ends a training run, unless the user asked for that."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Iterator

from privacy_callbacks.attacks.audit_warning import AuditWarning


class Forgiving:
    """The manners of a callback; it brings the attributes.

    Attributes:
      name: what the user calls the callback.
    """

    name: str
    _strict: bool

    @contextlib.contextmanager
    def _training_goes_on(self) -> Iterator[None]:
        """Whatever fails inside is a warning, or ends the training if the user asked for that."""
        try:
            yield
        except Exception as error:
            if self._strict:
                raise
            self._warn(f"auditing failed ({type(error).__name__}: {error}); training goes on.")

    def _warn(self, sentence: str) -> None:
        warnings.warn(f"{type(self).__name__} {self.name!r}: {sentence}", AuditWarning, stacklevel=3)

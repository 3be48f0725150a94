"""What attacks have in common that read one signal."""

from __future__ import annotations

from dataclasses import dataclass

from .attack import check_name, check_signal


@dataclass(frozen=True)
class OneSignalAttack:
    """The description of such an attack; subclasses give the defaults, and `fit`.

    Args:
      signal: which signal to read.
      name: what to call the attack.
    Raises:
      ValueError: on an unknown signal, or a name that cannot stand in log keys.
    """

    signal: str
    name: str

    def __post_init__(self) -> None:
        check_signal(self.signal)
        check_name(self.name)

    @property
    def signals(self) -> tuple[str, ...]:
        """The signal it reads."""
        return (self.signal,)

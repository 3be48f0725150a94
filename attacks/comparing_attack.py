"""What attacks have in common that compare one signal with that of shadow models."""

from __future__ import annotations

from dataclasses import dataclass, field

from .attack import check_name, check_signal


@dataclass(frozen=True)
class ComparingAttack:
    """The description of such an attack; subclasses give the defaults, and `fit`.

    Args:
      signal: which signal to compare.
      name: what to call the attack.
    Raises:
      ValueError: on an unknown signal, or a name that cannot stand in log keys.
    """

    signal: str
    name: str
    needs_shadows: bool = field(default=True, init=False)

    def __post_init__(self) -> None:
        check_signal(self.signal)
        check_name(self.name)

    @property
    def signals(self) -> tuple[str, ...]:
        """The signal it reads."""
        return (self.signal,)

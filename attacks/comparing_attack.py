"""What attacks have in common that compare one signal with that of shadow models."""

from __future__ import annotations

from dataclasses import dataclass, field

from .one_signal import OneSignalAttack


@dataclass(frozen=True)
class ComparingAttack(OneSignalAttack):
    """The description of such an attack; subclasses give the defaults, and `fit`. See `OneSignalAttack`."""

    needs_shadows: bool = field(default=True, init=False)

"""What runs through the door of TensorFlow Privacy's names are asked, checked before anything is computed."""

from __future__ import annotations

import reprlib
from collections.abc import Iterable
from numbers import Integral, Number
from typing import Any

from .tf_privacy_single import AttackType


def check_type(name: str, given: Any, wanted: type, optional: bool = False) -> None:
    """Nothing, if it is an instance of the class, or None and that is allowed.

    Raises:
      TypeError: otherwise.
    """
    if not (isinstance(given, wanted) or (optional and given is None)):
        or_none = ", or None" if optional else ""
        raise TypeError(f"{name} is {_shown(given)}; give an instance of {wanted.__name__}{or_none}.")


def check_whole(name: str, given: Any, least: int, largest: int | None = None) -> None:
    """Nothing, if it is a whole number within the limits, both included.

    Raises:
      TypeError: if it is something else.
      ValueError: if it lies outside.
    """
    limits = f"from {least} up" if largest is None else f"from {least} to {largest}"
    if isinstance(given, bool) or not isinstance(given, Integral):
        raise TypeError(f"{name} is {_shown(given)}; give a whole number {limits}.")
    if int(given) < least or (largest is not None and int(given) > largest):
        raise ValueError(f"{name} is {given}; give a whole number {limits}.")


def _shown(given: Any) -> str:
    """What was given, if that is short to say: a number, a text, a class; else of which type it is."""
    short = given is None or isinstance(given, (str, bytes, Number, type))
    return reprlib.repr(given) if short else f"a {type(given).__name__}"


def attack_types_of(attack_types: AttackType | Iterable[AttackType]) -> list[AttackType]:
    """The attacks asked for, in their order.

    Raises:
      TypeError: if something else is among them.
      ValueError: if there are none.
    """
    if isinstance(attack_types, AttackType):
        return [attack_types]
    if isinstance(attack_types, (str, bytes)) or not isinstance(attack_types, Iterable):
        raise TypeError(f"attack_types is {_shown(attack_types)}; give members of AttackType, one or a list of them.")
    types = list(attack_types)
    for wanted in types:
        if not isinstance(wanted, AttackType):
            raise TypeError(f"{wanted!r} is no attack type; give members of AttackType.")
    if not types:
        raise ValueError("attack_types is empty; give at least one member of AttackType.")
    return types

"""What fields of a configuration may hold, and sections of them. Needs pydantic (the extra `cli`)."""

from __future__ import annotations

import re
from functools import partial
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, Strict

from .located_yaml import Place

CALLABLE = re.compile(r"[A-Za-z_][\w.]*:[A-Za-z_]\w*")


class Misfit(ValueError):
    """Two fields that do not fit each other.

    Attributes:
      place: the field to look at.
    """

    def __init__(self, place: Place, text: str) -> None:
        super().__init__(text)
        self.place = place


def number(given: Any) -> Any:
    """A number, also one that YAML reads as a text: 1e-3."""
    if isinstance(given, bool):
        raise ValueError("give a number")
    if isinstance(given, str):
        try:
            return float(given)
        except ValueError:
            raise ValueError("give a number") from None
    return given


def _count_or_path(given: Any) -> Any:
    whole = isinstance(given, int) and not isinstance(given, bool)
    if (whole and given >= 1) or (isinstance(given, str) and given.endswith((".npy", ".npz"))):
        return given
    raise ValueError("give how many records (at least 1), or the path of a .npy or .npz file of row numbers")


def norm(given: Any) -> Any:
    """1, 2, "inf" or "hamming"."""
    given = "inf" if given == float("inf") else given
    if isinstance(given, bool) or given not in (1, 2, "inf", "hamming"):
        raise ValueError("give 1, 2, inf or hamming")
    return given if isinstance(given, str) else int(given)


def _number_or_text(given: Any) -> Any:
    if isinstance(given, bool) or not isinstance(given, (int, str)):
        raise ValueError("give a whole number or a text")
    return given


def _one_of(known: tuple[str, ...], given: Any) -> Any:
    if given not in known and not (isinstance(given, str) and CALLABLE.fullmatch(given)):
        raise ValueError(f"give {', '.join(known)} or package.module:function")
    return given


Count = Annotated[int, Strict(), Field(ge=1)]
Whole = Annotated[int, Strict(), Field(ge=0)]
Flag = Annotated[bool, Strict()]
Text = Annotated[str, Strict(), Field(min_length=1)]
Number = Annotated[float, BeforeValidator(number), Field(allow_inf_nan=False)]
Positive = Annotated[float, BeforeValidator(number), Field(gt=0, allow_inf_nan=False)]
Share = Annotated[float, BeforeValidator(number), Field(ge=0, le=1)]
Choice = Annotated[int | str, BeforeValidator(_count_or_path)]
Token = Annotated[int | str, BeforeValidator(_number_or_text)]
Norm = Annotated[Literal[1, 2, "inf", "hamming"], BeforeValidator(norm)]
Architecture = Annotated[str, BeforeValidator(partial(_one_of, ("mlp", "cnn")))]
Imputing = Annotated[str, BeforeValidator(partial(_one_of, ("uniform", "marginal", "knn")))]


class Section(BaseModel):
    """Part of the configuration; keys that it does not know are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)

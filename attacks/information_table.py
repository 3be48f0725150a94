"""What signals tell about membership, as a table to read and to print."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy import special

from .estimate import Estimate
from .nearest_neighbour_error import cover_hart_bracket


@dataclass(frozen=True)
class SignalInformation:
    """What one signal, or all of them together, tells about membership, at prior ½. What is refused is None.

    Attributes:
      mutual_information: bits, bias-corrected, with its null level and no interval; see `mutual_information`.
      total_variation: V between the sides over the same bins, not bias-corrected, with its null level.
      nearest_neighbour_error: leave-one-out, at prior ½; see the function of that name.
      youden_j: of a threshold learned on other records, with interval.
      balanced_accuracy: the same as a share of right guesses.
      refusals: the reason why something is None, by its name.
    """

    mutual_information: Estimate | None = None
    total_variation: Estimate | None = None
    nearest_neighbour_error: float | None = None
    youden_j: Estimate | None = None
    balanced_accuracy: Estimate | None = None
    refusals: Mapping[str, str] = field(default_factory=dict)

    @property
    def bits_between(self) -> tuple[float, float] | None:
        """1 − h₂((1 − V)/2) ≤ plug-in mutual information ≤ V, over the bins (Lin 1991)."""
        if self.total_variation is None:
            return None
        v = float(self.total_variation)
        return 1 - float(special.entr((1 + v) / 2) + special.entr((1 - v) / 2)) / np.log(2), v

    @property
    def binned_error(self) -> float | None:
        """(1 − V)/2, the least error of an attacker who sees the bin."""
        return None if self.total_variation is None else (1 - float(self.total_variation)) / 2

    @property
    def binned_error_null_level(self) -> float | None:
        """A leak-free audit's `binned_error` does not fall below it with probability `level`."""
        v = self.total_variation
        return None if v is None or v.null_level is None else (1 - v.null_level) / 2

    @property
    def nearest_neighbour_bracket(self) -> tuple[float, float] | None:
        """Cover and Hart's (low, high) of the Bayes error."""
        return None if self.nearest_neighbour_error is None else cover_hart_bracket(self.nearest_neighbour_error)

    @property
    def threshold_error(self) -> float | None:
        """(1 − J)/2, the error of the best threshold rule, which says "member" at or above some value."""
        return None if self.youden_j is None else (1 - float(self.youden_j)) / 2

    def cells(self) -> dict[str, float | None]:
        """Plain numbers by column; None where refused."""
        low, high = self.bits_between or (None, None)
        nearest_low, nearest_high = self.nearest_neighbour_bracket or (None, None)
        return {
            **_parts("mutual_information", self.mutual_information, "null_level"),
            "bits_low": low,
            "bits_high": high,
            **_parts("total_variation", self.total_variation, "null_level"),
            "binned_error": self.binned_error,
            "binned_error_null_level": self.binned_error_null_level,
            "nearest_neighbour_error": self.nearest_neighbour_error,
            "nearest_neighbour_low": nearest_low,
            "nearest_neighbour_high": nearest_high,
            "threshold_error": self.threshold_error,
            **_parts("balanced_accuracy", self.balanced_accuracy, "low", "high"),
            **_parts("youden_j", self.youden_j, "low", "high"),
        }


@dataclass(frozen=True, repr=False)
class InformationView:
    """The table of `information_view`; it prints as it is.

    Attributes:
      rows: one a signal, then "together".
      num_members, num_nonmembers: how many records were judged.
      level: of intervals and null levels.
    """

    rows: Mapping[str, SignalInformation]
    num_members: int
    num_nonmembers: int
    level: float

    def __getitem__(self, name: str) -> SignalInformation:
        return self.rows[name]

    def to_frame(self) -> Any:
        """A pandas DataFrame of plain floats, one row a signal; NaN where refused."""
        import pandas as pd

        return pd.DataFrame.from_dict({name: row.cells() for name, row in self.rows.items()}, "index", dtype=float)

    def to_dict(self) -> dict[str, Any]:
        """Plain types that JSON can hold."""
        return {
            "num_members": self.num_members,
            "num_nonmembers": self.num_nonmembers,
            "level": self.level,
            "rows": {name: row.cells() | {"refusals": dict(row.refusals)} for name, row in self.rows.items()},
        }

    def __str__(self) -> str:
        return "\n".join(_lines(self))

    __repr__ = __str__


def _parts(name: str, estimate: Estimate | None, *ends: str) -> dict[str, float | None]:
    found: dict[str, float | None] = {name: None if estimate is None else float(estimate)}
    return found | {f"{name}_{end}": getattr(estimate, end, None) for end in ends}


def _lines(view: InformationView) -> list[str]:
    width = max(len(name) for name in view.rows)
    sides = f"{view.num_members:,} members against {view.num_nonmembers:,} non-members"
    lines = [f"what signals tell about membership · {sides}"]
    for row, heads in enumerate(zip(*(column[:2] for column in _COLUMNS), strict=True)):
        cells = [f"{head:>{column[2]}}" for head, column in zip(heads, _COLUMNS, strict=True)]
        lines.append((("" if row == 0 else "signal").ljust(width) + "".join(cells)).rstrip())
    for name, found in view.rows.items():
        lines.append(name.ljust(width) + "".join(f"{text(found):>{size}}" for *_, size, text in _COLUMNS))
    lines.append(
        f"  · no leak: in {100 * view.level:g} % of leak-free audits the bits are not above, the error over 20 bins not below"
    )
    lines.append("  · between: bounds on the bits over 20 bins before bias is subtracted; 1-NN: with ever more records")
    reasons = {reason: name for name, row in view.rows.items() for reason in row.refusals.values()}
    return lines + [f"  ! {name}: {reason}" for reason, name in reasons.items()]


def _number(value: float | None) -> str:
    return "–" if value is None else f"{float(value):.3f}"


def _bracket(ends: tuple[float, float] | None) -> str:
    return "–" if ends is None else f"[{ends[0]:.2f}, {ends[1]:.2f}]"


def _with_interval(estimate: Estimate | None) -> str:
    if estimate is None or estimate.low is None or estimate.high is None:
        return "–"
    return f"{_number(estimate)} {_bracket((estimate.low, estimate.high))}"


# Two lines of heading, the width, and what stands there.
_COLUMNS: tuple[tuple[str, str, int, Callable[[SignalInformation], str]], ...] = (
    ("", "bits", 8, lambda row: _number(row.mutual_information)),
    ("", "no leak", 9, lambda row: _number(getattr(row.mutual_information, "null_level", None))),
    ("", "between", 14, lambda row: _bracket(row.bits_between)),
    ("least error:", "20 bins", 14, lambda row: _number(row.binned_error)),
    ("", "no leak", 9, lambda row: _number(row.binned_error_null_level)),
    ("", "1-NN", 14, lambda row: _bracket(row.nearest_neighbour_bracket)),
    ("", "threshold", 11, lambda row: _number(row.threshold_error)),
    ("", "balanced accuracy", 20, lambda row: _with_interval(row.balanced_accuracy)),
    ("", "Youden's J", 22, lambda row: _with_interval(row.youden_j)),
)

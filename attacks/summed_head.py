"""Several outputs read as one: the sum of losses that training minimises."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .head import Head


@dataclass(frozen=True)
class SummedHead:
    """The heads of several outputs, of which an audit reads the weighted sum of their losses.

    Attributes:
      names: of the outputs.
      heads: one an output.
      weights: of each loss in the sum.
    """

    names: tuple[str, ...]
    heads: tuple[Head, ...]
    weights: tuple[float, ...]

    kind = "several outputs"
    signals = ("loss",)
    further_signals = ("weight_gradient_norm",)
    labels = None
    by_model = False

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on how the signal is made."""
        terms = (
            name if weight == 1 else f"{weight:g} × {name}"
            for name, weight in zip(self.names, self.weights, strict=True)
        )
        return (f"loss is the sum over outputs, {' + '.join(terms)}; output= audits one of them by all its signals.",)

    @property
    def label_arrays(self) -> tuple[Any, ...]:
        """Each head's class numbers, None for those without."""
        return tuple(head.labels for head in self.heads)

    def compute(self, name: str, outputs: Sequence[Any], y: Any, labels: Sequence[Any], valid: Sequence[Any]) -> Any:
        """float64[n]; see `Head.compute`, everything one an output."""
        each = zip(self.weights, self.heads, outputs, y, labels, valid, strict=True)
        return sum(weight * head.compute(name, *given) for weight, head, *given in each)

    def valid_positions(self, outputs: Sequence[Any], y: Sequence[Any], weights: Sequence[Any]) -> list[Any]:
        """See `Head.valid_positions`, one an output."""
        return [head.valid_positions(*given) for head, *given in zip(self.heads, outputs, y, weights, strict=True)]

"""Which of many audits a page keeps in full."""

from __future__ import annotations

from collections.abc import Sequence


def evenly_spread(steps: Sequence[int], most: int) -> list[int]:
    """At most so many of the steps, in their order and evenly spread over it, the first and the last among them.

    Args:
      steps: ascending.
      most: at least 2.
    Raises:
      ValueError: if `most` is less.
    """
    if most < 2:
        raise ValueError(f"{most} audits were asked for; the first and the last are always kept, so give 2 or more.")
    last = len(steps) - 1
    if last < most:
        return list(steps)
    return [steps[(place * last + (most - 1) // 2) // (most - 1)] for place in range(most)]


def thinned_sentence(kept: int, audits: int) -> str | None:
    """What a page says of the audits that it does not hold in full; None if it holds all."""
    if kept >= audits:
        return None
    return (
        f"Curves, histograms and slices are in this file for {kept:,} of {audits:,} audits, evenly spread; the course of every "
        "metric is complete."
    )

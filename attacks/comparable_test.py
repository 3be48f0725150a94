"""Which of the records never seen may the forget set be compared with? Those of the same classes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .label_mix import label_mix
from .matched_labels import matched_labels


class ComparableTest(NamedTuple):
    """Test records that show what forgetting would look like.

    Attributes:
      rows: of the records never seen.
      exchangeable: False if they are no measure of it.
      notes: sentences on how they were chosen.
      warnings: sentences that change what a number means.
    """

    rows: NDArray[np.intp]
    exchangeable: bool
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def comparable_test(
    labels: NDArray[np.int64] | None, rows: Mapping[str, NDArray[np.intp]], seed: int = 0
) -> ComparableTest:
    """Of the same classes as the forget set, in the same proportions, where the forget set's differ by more than chance.

    Args:
      labels: int[n], class numbers of all records; None = they have no single one.
      rows: of "retain", "forget" and "test".
      seed: decides which records of a class are taken.
    """
    test, forget = rows["test"], rows["forget"]
    if labels is None:
        return ComparableTest(test, True)
    both, is_forget = np.concatenate([forget, test]), np.arange(len(forget) + len(test)) < len(forget)
    if label_mix(labels[both], is_forget) is None:
        return ComparableTest(test, True)
    chosen = test[matched_labels(labels[forget], labels[test], seed)]
    if not chosen.size:
        lacking = (
            "the forget set has classes that the test set lacks: what forgetting would look like cannot be told from the test "
            "set; give test records of these classes, or a retrained model."
        )
        return ComparableTest(test, False, (), (lacking,))
    matched = (
        f"the forget set's classes come in other proportions than the test set's: it is compared with {len(chosen):,} of "
        f"{len(test):,} test records, drawn to match."
    )
    if np.isin(labels[forget], labels[rows["retain"]]).all():
        return ComparableTest(chosen, True, (matched,))
    gone = (
        "the forget set has classes of which nothing was kept: kept and test records differ by their classes, too, so the "
        "attacker looks better than it is; only a retrained model tells what forgetting would look like."
    )
    return ComparableTest(chosen, False, (matched,), (gone,))

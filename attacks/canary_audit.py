"""An audit of all records that were dealt by coins, so that what holds for coins holds for it."""

from __future__ import annotations

from typing import Any

from .audit_set import AuditSet
from .canary_split import CanarySplit


def canary_audit_set(split: CanarySplit, population: Any = None, seed: int = 0) -> AuditSet:
    """Every record of the split, however unequal the sides; ids are rows of the records that were dealt.

    Args:
      split: see `randomised_membership`.
      population: further records that no model trains on, for attacks that need some; none are set aside from the split's.
      seed: see `AuditSet`.
    Raises:
      ValueError: if `population` is a share of the non-members: without them the coins would be others.
    """
    if isinstance(population, (int, float)):
        raise ValueError(
            f"population is {population!r}, a share of the non-members, and all records that were dealt by coins must be judged; "
            "give other records (x, y)."
        )
    ids = split.member_ids, split.nonmember_ids
    audit_set = AuditSet(split.members, split.nonmembers, population, size=None, ids=ids, seed=seed)
    audit_set.coin = split.p
    return audit_set

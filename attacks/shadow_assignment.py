"""Which shadow model trains on which record."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .number_arrays import as_flags, as_plain_array, group_codes
from .seeded_stream import seeded_stream


def balanced_assignment(
    num_models: int, num_records: int, seed: int = 0, groups: ArrayLike | None = None
) -> NDArray[np.bool_]:
    """Every record IN for exactly half of the shadow models, in complementary pairs: models 2i and 2i + 1.

    Args:
      num_models: an even number m of shadow models.
      num_records: n.
      seed: decides the halves.
      groups: [n], records of one group (one owner's, say) are IN or OUT together; None = every record by itself.
    Returns:
      bool[m, n]: True where a model trains on a record. Without groups each model trains on ⌊n/2⌋ or ⌈n/2⌉ records, with
      groups on as near to half as a random order of the groups allows.
    Raises:
      ValueError: if m is odd or below 2, or there are fewer than two records or groups.
    Source: Carlini et al. 2022, arXiv:2112.03570 (each record in half of the models).
    """
    if num_models < 2 or num_models % 2:
        raise ValueError(
            f"num_models is {num_models}; give an even number, at least 2: each record is IN for exactly half of them."
        )
    members_of = np.arange(num_records) if groups is None else group_codes(groups, "groups")
    if members_of.shape != (num_records,):
        raise ValueError(f"groups has shape {members_of.shape} for {num_records} records; give one group a record.")
    sizes = np.bincount(members_of)
    if len(sizes) < 2:
        raise ValueError(
            f"the pool holds {len(sizes)} {'record' if groups is None else 'group'}; shadow models need at least two."
        )
    trained_on = np.empty((num_models, num_records), bool)
    for pair in range(num_models // 2):
        order = seeded_stream("shadow halves", seed, pair).permutation(len(sizes))
        so_far = np.cumsum(sizes[order])
        # The cut nearest to one half, but never an empty side.
        cut = int(np.argmin(np.abs(so_far[:-1] - num_records / 2))) + 1
        chosen = np.zeros(len(sizes), bool)
        chosen[order[:cut]] = True
        trained_on[2 * pair] = chosen[members_of]
        trained_on[2 * pair + 1] = ~trained_on[2 * pair]
    return trained_on


def complement_of(trained_on: NDArray[np.bool_], model: int) -> int | None:
    """The shadow model that trained on exactly those records, of all that any trained on, that `model` did not; None if none did.

    Where queries hold several records, one that trained on some record of each query of which `model` trained on none.

    Args:
      trained_on: bool[m, n].
      model: a row of it.
    """
    # A record that none of them trained on says nothing (it lies outside of the pool).
    dealt = trained_on[:, trained_on.any(axis=0)]
    complements = np.flatnonzero((dealt != dealt[model]).all(axis=1)) if dealt.size else np.empty(0)
    if not complements.size and dealt.size:
        # Of a query that holds several records either half of a pair has trained on one, and maybe both have.
        either = (dealt | dealt[model]).all(axis=1) & ~dealt.all(axis=1)
        complements = np.flatnonzero(either) if not dealt[model].all() else complements
    return int(complements[0]) if complements.size else None


def without_pair(trained_on: NDArray[np.bool_], model: int) -> NDArray[np.bool_]:
    """bool[m], the shadow models that may know nothing of `model`: all but itself and its complement.

    In a balanced design the others would tell, by being IN once more or less often than half, what it had trained on, if its
    complement stayed among them.
    """
    others = np.ones(len(trained_on), bool)
    others[model] = False
    complement = complement_of(trained_on, model)
    if complement is not None:
        others[complement] = False
    return others


def check_trained_on(trained_on: Any, num_models: int, num_records: int) -> NDArray[np.bool_]:
    """bool[m, n], after making sure that it is one.

    Raises:
      ValueError: on another shape, or values that are not 0 and 1.
    """
    array = as_plain_array(trained_on, "trained_on")
    want = num_models, num_records
    if array.shape != want:
        raise ValueError(
            f"trained_on has shape {array.shape}, but the shadow values cover (shadow models, records) = {want}; give one "
            "row per shadow model."
        )
    # A copy, which the caller may change.
    return as_flags(array, "trained_on", "give True where a model trained on a record.").copy()

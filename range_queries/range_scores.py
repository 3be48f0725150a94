"""Range attacks on any queries, members or not: candidates of a reconstruction, neighbours of records to be forgotten."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from privacy_callbacks.attacks.attack import named_attacks
from privacy_callbacks.attacks.record_scorer import RecordScorer, of_none_asked
from privacy_callbacks.attacks.record_source import open_source
from privacy_callbacks.attacks.shadow_models import ShadowModels
from privacy_callbacks.attacks.shadow_pool import pool_from_records
from privacy_callbacks.attacks.true_membership import Found, found_within

from .ramia import PlacedRaMIA, RaMIA


@dataclass(frozen=True)
class RangeScores:
    """What range attacks make of queries; the truth about them is asked for apart.

    Attributes:
      scores: by attack, float[n], higher = the range rather holds a training record; NaN where it could not be scored.
      attacks: by the same names, placed on the queries.
      notes: sentences on how the scores were made.
    """

    scores: Mapping[str, NDArray[np.float64]]
    attacks: Mapping[str, PlacedRaMIA]
    notes: tuple[str, ...] = ()

    def found_in(self, name: str, records: Any, ids: ArrayLike | None = None) -> Found:
        """Which of an attack's ranges hold one of these records: training records, for the truth.

        Args:
          name: of the attack.
          records: (x, y) in any form that `AuditSet` takes; read once.
          ids: [t], their owners, or None.
        """
        if name not in self.attacks:
            raise ValueError(f"there is no attack {name!r}; give one of {', '.join(map(repr, self.attacks))}.")
        owners = None if ids is None else np.asarray(ids)
        return found_within(
            self.attacks[name].relation, open_source(records, "records"), owners, len(self.scores[name])
        )


class RangeScorer:
    """Range attacks on the same queries, asked of one model after the other; shadow models are trained once.

    Args:
      model: a built Keras model, compiled or with `loss` given; shadow models take after it.
      x, y: n queries and their labels, arrays or nests of them.
      attacks: range attacks on them.
      ids: [n], owners of the queries; None = unknown.
      shadow_models: `ShadowModels(16, epochs=..., batch_size=...)` for attacks that compare with such.
      pool: (x, y), records to deal out to shadow models; queries need not be among them. One is IN for a range if it
        trained on a record within it.
      pool_ids: [p], owners of the pool's records, for `SameOwner`; those of one owner go to the same shadow models.
      population: (x, y), records that no model trained on, for attacks that need some.
      seed: for whatever is random in an attack.
      loss, batch_size, output: see `SignalPass`.
      verbose: 0 = silent, 1 = a progress bar over shadow models.
    Raises:
      TypeError, ValueError: if attacks, queries and model do not fit each other, an attack learns from records of known
        membership, or shadow models or their pool are missing.
    """

    def __init__(
        self,
        model: Any,
        x: Any,
        y: Any,
        attacks: Sequence[RaMIA] | RaMIA,
        *,
        ids: ArrayLike | None = None,
        shadow_models: ShadowModels | int | None = None,
        pool: Any = None,
        pool_ids: ArrayLike | None = None,
        population: Any = None,
        seed: int = 0,
        loss: Any = None,
        batch_size: int | None = None,
        output: str | int | None = None,
        verbose: int = 1,
    ) -> None:
        for attack in named_attacks(attacks).values():
            if not isinstance(attack, RaMIA):
                raise TypeError(f"{attack!r} is no range attack; give RaMIA(RMIA(), LpBall(0.5)) or the like.")
        records = pool_from_records(x, y).records
        dealt = None
        if pool is not None:
            of_pool = None if pool_ids is None else np.asarray(pool_ids)
            dealt = replace(pool_from_records(pool[0], pool[1], of_pool), ids=of_pool)
        self._scorer = RecordScorer(
            model,
            records,
            attacks,
            ids=ids,
            shadow_models=shadow_models,
            pool=None if dealt is None else of_none_asked(dealt, len(records)),
            population=population,
            seed=seed,
            loss=loss,
            batch_size=batch_size,
            output=output,
            verbose=verbose,
        )

    @property
    def notes(self) -> tuple[str, ...]:
        """Sentences on how the scores were made."""
        return self._scorer.notes

    def __call__(self, model: Any) -> RangeScores:
        """The scores of the queries by what this model answers; of the same inputs and outputs as the first."""
        return RangeScores(self._scorer(model).scores, dict(self._scorer.attacks), self.notes)

"""Shadow models in training: moved on by an epoch at a time, and asked what the target is asked."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .asked_queries import Queries
from .fleet_files import Answers, FleetFiles
from .shadow_signals import ShadowSignals
from .shadow_training import Rates, ShadowRequest, Training
from .true_membership import trained_within


class Site(Protocol):
    """Where shadow models are trained: in this process (`FleetHere`), or in several.

    Attributes:
      engine_name: what trains them.
    """

    engine_name: str

    def train(
        self, epoch: int, rates: Rates, alive: Sequence[int], done: Callable[[int], None]
    ) -> dict[int, float | str]:
        """See `FleetHere.train`."""

    def ask(
        self, epochs: int, request: ShadowRequest, queries: Queries, final: bool, alive: Sequence[int]
    ) -> tuple[dict[int, Answers], dict[int, str]]:
        """See `FleetHere.ask`."""

    def close(self) -> None:
        """Lets everything go."""


class Fleet:
    """Some shadow models and where they stand.

    Args:
      training: how they are trained.
      audited: int[n], the row of each audited record in the pool; −1 for one that is not there.
      site: trains and asks them.
      files: where the fleet is kept, if anywhere.
      within: of queries that hold more than the audited record, which records of the pool; see `rows_within`.
    Attributes:
      training: as given.
      epoch: how many epochs the fleet has been trained.
      failures: why a shadow model was left out, by its number.
      losses: the mean training loss of each model in the newest epoch; NaN for those left out.
      other_rates: epochs (from 0) that had been trained before, with other learning rates than were wanted now.
    """

    def __init__(
        self,
        training: Training,
        audited: NDArray[np.int64],
        site: Site,
        files: FleetFiles | None = None,
        within: Mapping[Queries, tuple[Any, Any]] | None = None,
    ) -> None:
        self.epoch = 0
        self.failures: dict[int, str] = {}
        self.losses = np.full(len(training.assignment), np.nan)
        self.other_rates: list[int] = []
        self.training, self._audited, self._site, self._files = training, audited, site, files
        self._within = within or {}

    @property
    def num_models(self) -> int:
        """m, failed ones included."""
        return len(self.training.assignment)

    @property
    def engine(self) -> str:
        """The engine's name."""
        return self._site.engine_name

    @property
    def alive(self) -> list[int]:
        """The shadow models that have not failed."""
        return [shadow for shadow in range(self.num_models) if shadow not in self.failures]

    @property
    def steps_per_epoch(self) -> int:
        """Training steps of the shadow model with the most records."""
        return self.training.steps_per_epoch

    @property
    def kept_epochs(self) -> int:
        """How many epochs have been begun in the fleet's files, in this run or before."""
        kept = 0
        while self._files is not None and self._files.rates(kept) is not None:
            kept += 1
        return kept

    @property
    def trouble(self) -> str:
        """Why the fleet's files could not be written; "" if they could."""
        return "" if self._files is None else self._files.trouble

    def train_epoch(self, rates: Rates = None, done: Callable[[int], None] = lambda count: None) -> None:
        """Moves every shadow model on by one epoch.

        A model whose loss is NaN or infinite, or whose training fails, is left out from then on and named in `failures`.

        Args:
          rates: float[steps], the learning rate of each of the target's steps; None = the optimizer's own.
          done: called with the number of models trained so far.
        Raises:
          RuntimeError: if no model is left.
        """
        self.note_rates(self.epoch, rates)
        self.losses = np.full(self.num_models, np.nan)
        found = self._site.train(self.epoch, rates, self.alive, done)
        for shadow in sorted(found):
            outcome = found[shadow]
            if isinstance(outcome, str):
                self._fail(shadow, f"in epoch {self.epoch + 1}", outcome)
            else:
                self.losses[shadow] = outcome
        self.epoch += 1
        if not self.alive:
            raise RuntimeError(self._all_failed())

    def rates_of(self, epoch: int, otherwise: Rates) -> Rates:
        """The learning rates with which an epoch (from 0) was begun in the fleet's files, or else those given."""
        known = None if self._files is None else self._files.rates(epoch)
        return otherwise if known is None else known[0]

    def note_rates(self, epoch: int, rates: Rates) -> None:
        """Keeps the learning rates of an epoch (from 0) in the fleet's files, if there are any and they know none."""
        if self._files is None:
            return
        known = self._files.rates(epoch)
        if known is None:
            self._files.keep_rates(epoch, rates)
        elif not _same_rates(known[0], rates) and epoch not in self.other_rates:
            self.other_rates.append(epoch)

    def signals(self, request: ShadowRequest, queries: Queries = (), final: bool = False) -> ShadowSignals:
        """The shadow models' answers as they stand; failed models are left out.

        Args:
          request: names of signals.
          queries: see `SignalPass.signals`.
          final: ask with the weights that `fit` would leave behind if it ended here; see `Engine.weights`.
        Raises:
          RuntimeError: if no model gives finite answers.
        """
        answers, failures = self._site.ask(self.epoch, request, queries, final, self.alive)
        for shadow, reason in sorted(failures.items()):
            self._fail(shadow, f"asked after epoch {self.epoch}", reason)
        if not answers:
            raise RuntimeError(self._all_failed())
        shadows = sorted(answers)
        assignment = self.training.assignment[np.array(shadows)]
        if queries in self._within:
            trained_on = trained_within(assignment, self._within[queries], len(self._audited))
        else:
            trained_on = assignment[:, np.maximum(self._audited, 0)] & (self._audited >= 0)
        own = {name: np.stack([answers[shadow].own[name] for shadow in shadows]) for name in request.names}
        population: dict[str, Any] = {
            name: np.stack([answers[shadow].population[name] for shadow in shadows])
            for name in request.population_names
        }
        return ShadowSignals(own, trained_on, population or None)

    def close(self) -> None:
        """Lets everything go; the fleet can be neither trained nor asked afterwards."""
        self._site.close()
        if self._files is not None:
            self._files.close()

    def _all_failed(self) -> str:
        return f"all {self.num_models} shadow models failed; the first: {self.failures[min(self.failures)]}."

    def _fail(self, shadow: int, when: str, reason: str) -> None:
        said = " ".join(reason.split()).rstrip(".")
        self.failures[shadow] = f"{when}: {said}"


def _same_rates(one: Rates, other: Rates) -> bool:
    if one is None or other is None:
        return one is other
    return np.array_equal(one, other)

"""One forget set, one attack, and as many models as there are to be judged by them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .attack import Attack, named_attacks, needs
from .comparable_test import comparable_test
from .estimate import LEVEL, Estimate, check_level
from .paired_auc import auc_difference
from .record_scorer import RecordScorer, ScoredModel
from .record_source import open_source
from .report import LeakageReport
from .report_in_words import FORGET_FOR_MEMBERS, RETAIN_FOR_MEMBERS
from .shadow_models import ShadowModels, as_shadow_models
from .threshold import Threshold
from .true_membership import found_within
from .unlearning_beside import NO_MEASURE, PairedScores, judge_beside_retrained
from .unlearning_evaluation import ORIGINAL, RETRAINED, UNLEARNED, ForgottenRecords, UnlearningEvaluation, as_evaluation
from .unlearning_outcome import UnlearningReport, check_margin, unlearning_report
from .unlearning_rates import least_records
from .unlearning_sets import SIDES, shadow_pool_of, unlearning_sets
from .unlearning_verdict import MARGIN

_BESIDE = ("loss", "correct", "scaled_logit")


class UnlearningJudge:
    """Draws the records and asks the models that stay as they are once; call it with what was made of the original.

    Args:
      model: any of the models, built; compiled, or with `loss` given. Shadow models take after it.
      retain, forget, test, original, retrained, attack, shadow_models, population, audit_size, margin, level, seed, loss,
        output, batch_size, leave_out_copies, verbose: see `evaluate_unlearning`. The level is looked at for whether there are
        enough records for it.
    Attributes:
      attack: the attack's name.
      exchangeable: False if test records are no measure of what forgetting would look like.
      sets: the records.
      notes: sentences on how they are judged.
      warnings: sentences that change what a number means.
    Raises:
      TypeError, ValueError: as `evaluate_unlearning`.
    """

    def __init__(
        self,
        model: Any,
        retain: Any,
        forget: Any,
        test: Any,
        original: Any = None,
        retrained: Sequence[Any] = (),
        *,
        attack: Attack | None = None,
        shadow_models: ShadowModels | int | None = None,
        population: Any = None,
        audit_size: int = 2_000,
        margin: float | None = None,
        level: float = LEVEL,
        seed: int = 0,
        loss: Any = None,
        output: str | int | None = None,
        batch_size: int | None = None,
        leave_out_copies: bool = False,
        verbose: int = 1,
    ) -> None:
        self._seed, self._margin = seed, check_margin(MARGIN if margin is None else margin)
        given = Threshold("loss") if attack is None else attack
        if not isinstance(given, Attack):
            raise TypeError(f"attack is {attack!r}; give one attack, such as Threshold('loss') or LiRA().")
        ((self.attack, given),) = named_attacks(given).items()
        self.sets = unlearning_sets(retain, forget, test, audit_size, seed, leave_out_copies=leave_out_copies)
        self.notes: list[str] = list(self.sets.notes)
        self.warnings: list[str] = []
        learned, self._rows = self._learned_from(given)
        self.check_counts(level)
        plan = as_shadow_models(shadow_models)
        pool = None if plan is None else shadow_pool_of((retain, forget, test), self.sets)
        self._scorer = RecordScorer(
            model,
            self.sets.records,
            given,
            shadow_models=plan,
            pool=pool,
            population=population,
            learned_from=learned,
            beside=_BESIDE,
            seed=seed,
            loss=loss,
            batch_size=batch_size,
            output=output,
            verbose=verbose,
        )
        self.warnings += self._scorer.notes
        self._leave_out_ranges(retain)
        self._head: tuple[str, Any] | None = None
        first = self._scored(model, "the model")
        comparable = comparable_test(first.labels, self._rows, seed)
        self._matched, self.exchangeable = comparable.rows, comparable.exchangeable
        self.notes += comparable.notes
        self.warnings += comparable.warnings
        self._original = None if original is None else self._scored(original, ORIGINAL)
        self.retrained = [self._scored(one, RETRAINED) for one in retrained]

    def check_counts(self, level: float) -> None:
        """Nothing, if there are records enough to be judged at a level.

        Raises:
          ValueError: otherwise.
        """
        least = least_records(check_level(level))
        for side in SIDES:
            there, needed = len(self._rows[side]), least if side == "forget" else 2 * least
            if there < needed:
                raise ValueError(
                    f"{side} has {there:,} records; give at least {needed}, fewer show nothing at this level."
                )

    def __call__(self, model: Any, level: float = LEVEL) -> UnlearningEvaluation:
        """The evaluation of one unlearned model.

        Args:
          model: of the same inputs and outputs as the others.
          level: confidence level of every interval.
        Raises:
          ValueError: if its head is another, its outputs are NaN or infinite, or there are too few records for the level.
        """
        return self.evaluation(self._scored(model, UNLEARNED), level)

    def scored(self, model: Any) -> ScoredModel:
        """What the attack makes of a further unlearned model."""
        return self._scored(model, UNLEARNED)

    def evaluation(self, found: ScoredModel, level: float = LEVEL) -> UnlearningEvaluation:
        """The evaluation of a model that was scored already."""
        check_level(level)
        others = {} if self._original is None else {ORIGINAL: self._original}
        others |= {RETRAINED: self.retrained[0]} if self.retrained else {}
        models = {ORIGINAL: others.get(ORIGINAL), UNLEARNED: found, RETRAINED: others.get(RETRAINED)}
        asked = {name: scored for name, scored in models.items() if scored is not None}
        reports = {name: self._report(scored, level) for name, scored in asked.items()}
        own = reports[UNLEARNED]
        risk = self._auc(found, "retain", level)
        change = None if self._original is None else self._difference(found, self._original, "retain", level)
        beside = self._difference(found, self.retrained[0], "forget", level) if self.retrained else None
        return as_evaluation(
            own,
            **self._verdict(found, own, beside, level),
            attack=self.attack,
            models=reports,
            performance={name: self.performance(scored) for name, scored in asked.items()},
            forgotten=self._forgotten(asked),
            retain_risk=risk,
            retain_risk_change=change,
            beside_retrained=beside,
            warnings=(*own.warnings, *self._unscored(found), *self.warnings),
        )

    def _verdict(
        self, found: ScoredModel, own: UnlearningReport, beside: Estimate | None, level: float
    ) -> dict[str, str]:
        """What takes the place of the report's own verdict, where test records are no measure of forgetting."""
        if self.exchangeable:
            return {}
        if beside is None:
            return {"verdict": "inconclusive", "reason": NO_MEASURE}
        scores = self._paired(found, self.retrained[0])
        judged = judge_beside_retrained(scores, own.attacker_auc, own.attacker_gap, own.margin, level)
        return {"verdict": judged.name, "reason": judged.reason}

    def performance(self, scored: ScoredModel) -> dict[str, float]:
        """`accuracy_<side>` and `loss_<side>` of a model, means over the records drawn; accuracy only where there are classes."""
        found: dict[str, float] = {}
        for name, signal, sign in (("accuracy", "correct", 1.0), ("loss", "loss", -1.0)):
            if signal in scored.signals:
                values = sign * scored.signals[signal][:, 0]
                found |= {f"{name}_{side}": float(values[self.sets.rows[side]].mean()) for side in SIDES}
        return found

    def leakage(self, found: ScoredModel, step: int | None, level: float = LEVEL) -> list[LeakageReport]:
        """What the attack tells of the forget set, and as `<attack>_on_retain` of the kept records, against those never seen."""
        reports = []
        for side, name, note in (
            ("forget", self.attack, f"{FORGET_FOR_MEMBERS}, the test set for the non-members."),
            ("retain", f"{self.attack}_on_retain", f"{RETAIN_FOR_MEMBERS}, the test set for the non-members."),
        ):
            known, new = self._values(found, side), self._values(found, "test")
            truth = np.arange(len(known) + len(new)) < len(known)
            reports.append(
                LeakageReport.from_scores(
                    np.concatenate([known, new]),
                    truth,
                    name,
                    self._seed,
                    step=step,
                    level=level,
                    notes=(note, *self.notes),
                    warnings=tuple(self.warnings),
                )
            )
        return reports

    def rows(self, side: str) -> NDArray[np.intp]:
        """The records of a side that are judged."""
        return self._matched if side == "test" else self._rows[side]

    def _scored(self, model: Any, what: str) -> ScoredModel:
        found = self._scorer(model)
        if self._head is None:
            self._head = found.head
        elif found.head != self._head:
            raise ValueError(
                f"{what} has a head of kind {found.head[0]} with outputs {found.head[1]}, the first model {self._head[0]} with "
                f"{self._head[1]}; give models of the same outputs."
            )
        return found

    def _learned_from(self, attack: Attack) -> tuple[Any, dict[str, NDArray[np.intp]]]:
        """What an attack that learns from known records is given, and what is left to be judged."""
        rows = dict(self.sets.rows)
        if not needs(attack).examples:
            return None, rows
        rng = np.random.default_rng([self._seed, 0xA77AC])
        learned = {}
        for side in ("retain", "test"):
            shuffled = rng.permutation(rows[side])
            half = len(shuffled) // 2
            if half < 2:
                raise ValueError(
                    f"{len(shuffled)} records of {side} are too few to learn from half of them; give more."
                )
            learned[side], rows[side] = np.sort(shuffled[:half]), np.sort(shuffled[half:])
        self.notes.append("the attacker knows half of the retain and test records, which are not judged.")
        both = np.concatenate([learned["retain"], learned["test"]])
        return (both, np.arange(len(both)) < len(learned["retain"])), rows

    def _leave_out_ranges(self, retain: Any) -> None:
        """Ranges around records of the forget or the test set that hold a record still trained on: the model may know them."""
        (attack,) = self._scorer.attacks.values()
        relation = needs(attack).relation
        if relation is None:
            return
        found = found_within(relation, open_source(retain, "retain"), None, len(self.sets.records))
        clean = found.known & ~found.inside
        for side in ("forget", "test"):
            rows = self._rows[side]
            self._rows[side] = rows[clean[rows]]
            left_out = len(rows) - len(self._rows[side])
            if left_out == len(rows):
                raise ValueError(
                    f"every range around a {side} record holds a record of the retain set; give smaller ones."
                )
            if left_out:
                self.notes.append(
                    f"{left_out:,} ranges around {side} records hold a record of the retain set and are left out."
                )

    def _values(self, found: ScoredModel, side: str) -> NDArray[np.float64]:
        values = found.scores[self.attack][self.rows(side)]
        return values[~np.isnan(values)]

    def _unscored(self, found: ScoredModel) -> list[str]:
        """A sentence if the attack left records without a score: what it cannot score it may know best."""
        missing = {side: int(np.isnan(found.scores[self.attack][self.rows(side)]).sum()) for side in SIDES}
        told = ", ".join(f"{count:,} of {len(self.rows(side)):,} of {side}" for side, count in missing.items() if count)
        return [f"the attack could not score {told} records: nothing is said of these."] if told else []

    def _report(self, found: ScoredModel, level: float) -> UnlearningReport:
        retain, forget, test = (self._values(found, side) for side in SIDES)
        return unlearning_report(retain, forget, test, level, self._seed, margin=self._margin)

    def _auc(self, found: ScoredModel, side: str, level: float) -> Estimate | None:
        known, new = self._values(found, side), self._values(found, "test")
        scores = np.concatenate([known, new])
        return LeakageReport.from_scores(scores, np.arange(len(scores)) < len(known), seed=self._seed, level=level).auc

    def _difference(self, found: ScoredModel, other: ScoredModel, side: str, level: float) -> Estimate:
        """By how much the AUC of a side against the test records differs between two models."""
        rows = np.concatenate([self.rows(side), self.rows("test")])
        truth = np.arange(len(rows)) < len(self.rows(side))
        first, second = found.scores[self.attack][rows], other.scores[self.attack][rows]
        known = ~(np.isnan(first) | np.isnan(second))
        return auc_difference(first[known], second[known], truth[known], level)

    def _paired(self, found: ScoredModel, other: ScoredModel) -> PairedScores:
        """Both models' scores of the forget and the test records that both could be asked about."""
        both = []
        for side in ("forget", "test"):
            ours, theirs = (model.scores[self.attack][self.rows(side)] for model in (found, other))
            known = ~(np.isnan(ours) | np.isnan(theirs))
            both.append((ours[known], theirs[known]))
        (forget, other_forget), (test, other_test) = both
        return PairedScores(forget, test, other_forget, other_test)

    def _forgotten(self, asked: Mapping[str, ScoredModel]) -> ForgottenRecords:
        rows = self._rows["forget"]
        new = np.sort(self._values(asked[UNLEARNED], "test"))
        own = asked[UNLEARNED].scores[self.attack][rows]
        as_high = len(new) - np.searchsorted(new, own, side="left")
        labels = asked[UNLEARNED].labels
        start = self.sets.rows["forget"][0]
        return ForgottenRecords(
            self.sets.positions["forget"][rows - start],
            {name: scored.scores[self.attack][rows] for name, scored in asked.items()},
            np.where(np.isnan(own), np.nan, (as_high + 1) / (len(new) + 1)),
            None if labels is None else labels[rows],
        )

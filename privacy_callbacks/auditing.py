"""One audit: a model, a set of records and some attacks in, reports out. When to audit is the callback's business."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from privacy_callbacks.attacks.asked_queries import Queries
from privacy_callbacks.attacks.attack import Attack, Signals, named_attacks, needs
from privacy_callbacks.attacks.audit_set import AuditSet
from privacy_callbacks.attacks.compiled_pass import SignalPass
from privacy_callbacks.attacks.report import LeakageReport, failed_report
from privacy_callbacks.attacks.shadow_requests import known_to, shadow_relations, shadow_requests
from privacy_callbacks.attacks.shadow_signals import ShadowSignals
from privacy_callbacks.attacks.shadow_training import ShadowRequest
from privacy_callbacks.attacks.slices import Slice
from privacy_callbacks.attacks.true_membership import QueryTruth, Relation

from .adversary_knowledge import AdversaryKnowledge, class_numbers
from .attack_choice import completed, default_attacks, placed, pointing_at_the_strongest, refuse_unfit
from .audit_outcome import Audit
from .experiment import look_at
from .judging import ScoredRecords, judged
from .slicing import SlicePlan
from .time_limit import TookTooLong, within
from .weight_fingerprint import fingerprint

_POSTPONED = "not audited at this step: shadow models are trained after the target."

# What shadow models answered, by the queries they were asked.
ShadowAnswers = Mapping[Queries, ShadowSignals]


class _First(NamedTuple):
    """What was found before training, if the weights are still those."""

    fingerprint: str
    answers: dict[Queries, Signals]
    scores: Mapping[str, ScoredRecords]


class Auditor:
    """Everything about an audit that stays the same from epoch to epoch.

    Args:
      model, audit_set, loss, batch_size, output: see `SignalPass`.
      attacks: instances of attacks, the headline first; None = a threshold on each signal that fits the model's head,
        the loss first, and with shadow models LiRA and (for classifiers) RMIA.
      seed: for halves, permutations and whatever is random in an attack.
      with_shadows: True if there will be shadow models.
      blind_baseline: True to compute one.
      slices: see `SlicePlan`.
      in_fit: False if there is one audit, and no course of audits.
      truths: what is known already of attacks' queries, by their relation.
      timeout: the seconds that one attack may take at one audit; one that takes longer is not asked again. None = no limit.
    Attributes:
      attacks: by name.
      warnings: sentences about the experiment; they go into every report.
      void: why no leak can be told from these records, or None.
      remarks: sentences for the user alone.
      experiment: what is known of records and model without any attack.
    Raises:
      TypeError, ValueError: if model, records and attacks do not fit each other, or the model's outputs on the records
        are NaN or infinite.
    """

    def __init__(
        self,
        model: Any,
        audit_set: AuditSet,
        attacks: Sequence[Attack] | Attack | None = None,
        *,
        loss: Any = None,
        batch_size: int | None = None,
        seed: int = 0,
        with_shadows: bool = False,
        output: str | int | None = None,
        blind_baseline: bool = True,
        slices: Any = None,
        in_fit: bool = True,
        truths: Mapping[Relation, QueryTruth] | None = None,
        timeout: float | None = None,
    ) -> None:
        self._pass = SignalPass(model, audit_set, loss, batch_size, output)
        self._model, self._audit_set, self._seed, self._timeout = model, audit_set, seed, timeout
        self._given_up: dict[str, TookTooLong] = {}
        if attacks is None:
            attacks = default_attacks(self._pass.head.signals, with_shadows)
        given = completed(named_attacks(attacks), self._pass.head)
        refuse_unfit(given, self._pass.head, with_shadows)
        self.attacks = placed(given, audit_set)
        self._plan = SlicePlan(slices, audit_set, class_numbers(self._pass.head.labels), self.has_classes)
        # The loss is always kept: its course over the epochs ranks the members at risk.
        always = ("loss", *self._plan.signals)
        self.remarks = list(self._pass.remarks)
        self.experiment = look_at(audit_set, self.labels, model, loss, blind=blind_baseline, seed=seed)
        self.warnings, self.void = list(self.experiment.warnings), self.experiment.void
        self._knowledge = AdversaryKnowledge(self._pass, audit_set, self.attacks.values(), always, seed, truths)
        # Asked and tried once now, so that whatever does not fit is refused before training.
        answers = self._knowledge.answers()
        self._plan.slices(answers[()])
        self._first: _First | None = _First(fingerprint(model), answers, self._tried(answers, in_fit))

    @property
    def labels(self) -> NDArray[Any] | None:
        """[n, ...], class numbers where the head has classes, else the targets as given; None for those of several outputs."""
        labels = self._pass.head.labels
        if labels is not None:
            return labels
        return None if isinstance(self._audit_set.y, (dict, tuple)) else self._audit_set.y.numpy()

    @property
    def has_classes(self) -> bool:
        """True if the model's outputs are read as those of a classifier."""
        return self._pass.head.labels is not None

    @property
    def traces(self) -> int:
        """How often the model's Python code has run."""
        return self._pass.traces

    @property
    def shadow_requests(self) -> Mapping[Queries, ShadowRequest]:
        """What shadow models must be asked for; empty if no attack wants to know."""
        return shadow_requests(self.attacks.values())

    @property
    def relations(self) -> Mapping[Queries, Relation]:
        """Which records lie within those queries to shadow models that are more than the audited record."""
        return shadow_relations(self.attacks.values())

    def run(
        self,
        step: int | None,
        strict: bool = False,
        notes: tuple[str, ...] = (),
        shadows: ShadowAnswers | Exception | None = None,
        course: Sequence[NDArray[Any]] | None = None,
    ) -> Audit:
        """Audits the model with the weights it holds now.

        Args:
          step: what to write into the reports.
          strict: raise what goes wrong; otherwise it marks the reports of the attacks concerned.
          notes: sentences for the reports.
          shadows: what shadow models answer at this stage of training, why they cannot, or None if they are not there yet.
          course: float[n] an earlier audit of this training, minus each record's loss; None = not known.
        """
        weights = fingerprint(self._model)
        try:
            answers, known_scores = self._answers_now(weights)
            populations = self._knowledge.populations()
        except Exception as error:
            if strict:
                raise
            return Audit(step, tuple(self._failed(name, error, step) for name in self.attacks), {}, None, weights)
        course = None if course is None else [*course, answers[()]["loss"][:, 0]]
        slices, remarks = self._slices_now(answers[()], strict)
        reports: list[LeakageReport] = []
        sliced: list[LeakageReport] = []
        scores: dict[str, NDArray[np.float64]] = {}
        for name, attack in self.attacks.items():
            wish = needs(attack)
            try:
                if wish.shadows and shadows is None:
                    reports.append(self._marked(name, _POSTPONED, step))
                    continue
                if wish.shadows and isinstance(shadows, Exception):
                    raise shadows
                known = known_to(wish, shadows) if wish.shadows and isinstance(shadows, Mapping) else None
                found = known_scores.get(name) or self._scored(name, answers, populations, course, known)
                told = () if known is None else (f"{known.num_models} shadow models.", *known.warnings)
                whole, *parts = judged(
                    name,
                    attack,
                    found,
                    self._audit_set,
                    slices,
                    self._seed,
                    (*notes, *told, *remarks, *self._pass.notes, *self.experiment.notes),
                    self._knowledge.truth_of(attack),
                    step=step,
                    warnings=tuple(self.warnings),
                    void=self.void,
                )
                reports.append(whole)
                sliced += parts
                scores[name] = found.values
            except Exception as error:
                if strict:
                    raise
                reports.append(self._failed(name, error, step))
        reports = [*pointing_at_the_strongest(reports), *sliced]
        postponed = frozenset(
            name for name, attack in self.attacks.items() if needs(attack).shadows and shadows is None
        )
        unsliced = next(iter(remarks), None)
        return Audit(step, tuple(reports), scores, answers[()], weights, postponed, len(sliced), unsliced)

    def try_attacks(self, shadows: ShadowAnswers) -> None:
        """Raises what keeps an attack from working with these shadow models, whatever they answer."""
        for name, attack in self.attacks.items():
            wish = needs(attack)
            if not wish.shadows:
                continue
            answers = self._first.answers if self._first is not None else self._knowledge.answers()
            course, known = [answers[()]["loss"][:, 0]], known_to(wish, shadows)
            try:
                found = self._scored(name, answers, self._knowledge.populations(), course, known).values
            except TookTooLong:
                continue
            except ValueError as reason:
                raise ValueError(f"attack {name!r} cannot work with these shadow models: {reason}") from reason
            if np.isnan(found).all():
                raise ValueError(
                    f"attack {name!r} can score no record: none has the shadow models it compares with. Records outside of pool "
                    "have no model that trained on them; use an offline attack, e.g. LiRA(mode='offline')."
                )

    def _failed(self, attack: str, error: Exception, step: int | None) -> LeakageReport:
        said, kind = str(error).strip(), type(error).__name__
        # Ours speak in sentences; "0", or "'x'", would say nothing without its kind.
        reason = (said if isinstance(error, (ValueError, TookTooLong)) else f"{said} ({kind})") if said else kind
        return self._marked(attack, f"audit failed: {reason}", step)

    def _marked(self, attack: str, reason: str, step: int | None) -> LeakageReport:
        audited = self._audit_set
        return failed_report(
            attack, reason, step=step, num_members=audited.num_members, num_nonmembers=audited.num_nonmembers
        )

    def _answers_now(self, weights: str) -> tuple[dict[Queries, Signals], Mapping[str, ScoredRecords]]:
        first, self._first = self._first, None
        if first is not None and first.fingerprint == weights:
            return first.answers, first.scores
        return self._knowledge.answers(), {}

    def _tried(self, answers: dict[Queries, Signals], in_fit: bool) -> dict[str, ScoredRecords]:
        """What attacks of this package find now that need no shadow models: what they miss, they say before training."""
        populations, found = self._knowledge.populations(), {}
        course = [answers[()]["loss"][:, 0]] if in_fit else None
        for name, attack in self.attacks.items():
            if needs(attack).shadows or not type(attack).__module__.startswith(f"{__package__}."):
                continue
            try:
                found[name] = self._scored(name, answers, populations, course)
            except TookTooLong:
                continue  # its reports say so
            except ValueError as reason:
                raise ValueError(f"attack {name!r}: {reason}") from reason
        return found

    def _scored(
        self,
        name: str,
        answers: Mapping[Queries, Signals],
        populations: Mapping[Queries, Signals],
        course: Sequence[NDArray[Any]] | None,
        shadows: ShadowSignals | None = None,
    ) -> ScoredRecords:
        """What the attack finds, in the time that it has."""
        if name in self._given_up:
            raise self._given_up[name]
        attack = self.attacks[name]
        try:
            return within(self._timeout, lambda: self._knowledge.scored(attack, answers, populations, course, shadows))
        except TookTooLong as reason:
            self._given_up[name] = TookTooLong(f"{reason} (attack_timeout), and is not asked again in this fit")
            raise self._given_up[name] from None

    def _slices_now(self, signals: Signals, strict: bool) -> tuple[list[Slice], tuple[str, ...]]:
        """The slices, and a sentence for the reports where they cannot be cut."""
        try:
            return self._plan.slices(signals), ()
        except Exception as reason:
            if strict:
                raise
            return [], (f"no slices: {reason or type(reason).__name__}",)

    def truth_of(self, name: str) -> QueryTruth | None:
        """What is true of an attack's queries; None if that is the records' membership."""
        return self._knowledge.truth_of(self.attacks[name])

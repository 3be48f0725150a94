"""One audit: a model, a set of records and some attacks in, reports out. When to audit is the callback's business."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from privacy_callbacks.attacks.attack import Attack, AttackContext, Scores, Signals, named_attacks, needs
from privacy_callbacks.attacks.audit_set import AuditSet
from privacy_callbacks.attacks.compiled_pass import Queries, SignalPass
from privacy_callbacks.attacks.fleet import ShadowRequest
from privacy_callbacks.attacks.head import Head
from privacy_callbacks.attacks.lira import LiRA
from privacy_callbacks.attacks.report import LeakageReport, failed_report
from privacy_callbacks.attacks.rmia import RMIA
from privacy_callbacks.attacks.shadow_signals import ShadowSignals
from privacy_callbacks.attacks.summed_head import SummedHead
from privacy_callbacks.attacks.threshold import Threshold

from .experiment import look_at
from .weight_fingerprint import fingerprint

_POSTPONED = "not audited at this step: shadow models are trained after the target."

# What shadow models answered, by the queries they were asked.
ShadowAnswers = Mapping[Queries, ShadowSignals]


@dataclass(frozen=True)
class Audit:
    """What one audit found.

    Attributes:
      step: the epoch it belongs to; −1 = before training, None = outside of any.
      reports: one an attack, the headline's first.
      scores: by attack, for those that succeeded: float[n], NaN for records that the attack could not score.
      loss: float[n], minus each record's loss; None if the model gave no finite outputs.
      fingerprint: of the weights it speaks of.
      postponed: attacks that wait for shadow models; their reports say so.
    """

    step: int | None
    reports: tuple[LeakageReport, ...]
    scores: Mapping[str, NDArray[np.float64]]
    loss: NDArray[np.float64] | None
    fingerprint: str
    postponed: frozenset[str] = frozenset()


class Auditor:
    """Everything about an audit that stays the same from epoch to epoch.

    Args:
      model, audit_set, loss, batch_size, output: see `SignalPass`.
      attacks: instances of attacks, the headline first; None = a threshold on each signal that fits the model's head,
        the loss first, and with shadow models LiRA and (for classifiers) RMIA.
      seed: for halves, permutations and whatever is random in an attack.
      with_shadows: True if there will be shadow models.
      blind_baseline: True to compute one.
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
    ) -> None:
        self._pass = SignalPass(model, audit_set, loss, batch_size, output)
        self._model, self._audit_set, self._seed = model, audit_set, seed
        if attacks is None:
            attacks = _default_attacks(self._pass.head.signals, with_shadows)
        self.attacks = named_attacks(attacks)
        without = [name for name, attack in self.attacks.items() if needs(attack).shadows and not with_shadows]
        if without:
            raise ValueError(f"attack {without[0]!r} compares with shadow models; give shadow_models=16, say.")
        _refuse_unfit(self.attacks, self._pass.head)
        if with_shadows and not any(needs(attack).shadows for attack in self.attacks.values()):
            raise ValueError(
                "shadow models would be trained for nobody: none of the attacks compares with them; add LiRA() or RMIA(), say, "
                "or leave shadow_models out."
            )
        # The loss is always kept: its course over the epochs ranks the members at risk.
        self._wanted: dict[Queries, tuple[str, ...]] = {(): ("loss",)}
        for attack in self.attacks.values():
            asked = needs(attack).queries
            self._wanted[asked] = tuple(dict.fromkeys([*self._wanted.get(asked, ()), *attack.signals]))
        self.remarks = list(self._pass.remarks)
        self.experiment = look_at(audit_set, self.labels, model, loss, blind=blind_baseline, seed=seed)
        self.warnings, self.void = list(self.experiment.warnings), self.experiment.void
        # Asked once now, so that whatever does not fit is refused before training.
        self._first: tuple[str, dict[Queries, Signals]] | None = (fingerprint(model), self._answers())
        self._populations()

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
        asking = [(needs(attack), attack.signals) for attack in self.attacks.values() if needs(attack).shadows]
        found: dict[Queries, ShadowRequest] = {}
        for wish, names in asking:
            known = found.get(wish.queries, ShadowRequest((), ()))
            further = names if wish.population else ()
            found[wish.queries] = ShadowRequest(
                tuple(dict.fromkeys([*known.names, *names])), tuple(dict.fromkeys([*known.population_names, *further]))
            )
        return found

    def run(
        self,
        step: int | None,
        strict: bool = False,
        notes: tuple[str, ...] = (),
        shadows: ShadowAnswers | Exception | None = None,
    ) -> Audit:
        """Audits the model with the weights it holds now.

        Args:
          step: what to write into the reports.
          strict: raise what goes wrong; otherwise it marks the reports of the attacks concerned.
          notes: sentences for the reports.
          shadows: what shadow models answer at this stage of training, why they cannot, or None if they are not there yet.
        """
        weights = fingerprint(self._model)
        try:
            answers = self._answers_now(weights)
            populations = self._populations()
        except Exception as error:
            if strict:
                raise
            return Audit(step, tuple(self._failed(name, error, step) for name in self.attacks), {}, None, weights)
        reports: list[LeakageReport] = []
        scores: dict[str, NDArray[np.float64]] = {}
        for name, attack in self.attacks.items():
            try:
                wish = needs(attack)
                if wish.shadows and shadows is None:
                    reports.append(self._marked(name, _POSTPONED, step))
                    continue
                if wish.shadows and isinstance(shadows, Exception):
                    raise shadows
                known = shadows[wish.queries] if wish.shadows and isinstance(shadows, Mapping) else None
                context = AttackContext(populations.get(wish.queries) if wish.population else None, self._seed, known)
                found = np.asarray(attack.fit(context).score(answers[wish.queries]), dtype=np.float64)
                reports.append(self._judged(name, found, step, notes, known))
                scores[name] = found
            except Exception as error:
                if strict:
                    raise
                reports.append(self._failed(name, error, step))
        reports = _pointing_at_the_strongest(reports)
        postponed = frozenset(
            name for name, attack in self.attacks.items() if needs(attack).shadows and shadows is None
        )
        return Audit(step, tuple(reports), scores, answers[()]["loss"][:, 0], weights, postponed)

    def try_attacks(self, shadows: ShadowAnswers) -> None:
        """Raises what keeps an attack from working with these shadow models, whatever they answer."""
        for name, attack in self.attacks.items():
            wish = needs(attack)
            if not wish.shadows:
                continue
            answers = self._first[1] if self._first is not None else self._answers()
            context = AttackContext(self._populations().get(wish.queries), self._seed, shadows[wish.queries])
            try:
                found = attack.fit(context).score(answers[wish.queries])
            except ValueError as reason:
                raise ValueError(f"attack {name!r} cannot work with these shadow models: {reason}") from reason
            if np.isnan(found).all():
                raise ValueError(
                    f"attack {name!r} can score no record: none has the shadow models it compares with. Records outside of pool "
                    "have no model that trained on them; use an offline attack, e.g. LiRA(mode='offline')."
                )

    def _judged(
        self,
        attack: str,
        found: NDArray[np.float64],
        step: int | None,
        notes: tuple[str, ...],
        shadows: ShadowSignals | None,
    ) -> LeakageReport:
        audited = self._audit_set
        if found.shape != audited.is_member.shape:
            raise ValueError(f"the attack gave scores of shape {found.shape} for {len(audited)} records.")
        # Only shadow models that failed leave records without the comparison that an attack needs.
        scored = ~np.isnan(found) if shadows is not None else np.ones(len(found), bool)
        if not scored.all():
            left_out = int(np.count_nonzero(~scored))
            notes = (
                *notes,
                f"{left_out:,} of {len(found):,} records lack the shadow models this attack compares with.",
            )
        if shadows is not None:
            notes = (*notes, f"{shadows.num_models} shadow models.", *shadows.warnings)
        scores = Scores(found[scored], audited.is_member[scored], audited.ids[scored])
        return LeakageReport.from_scores(
            scores.values,
            scores.is_member,
            attack,
            self._seed,
            step=step,
            warnings=tuple(self.warnings),
            void=self.void,
            notes=(*notes, *self._pass.notes, *self.experiment.notes),
        )

    def _failed(self, attack: str, error: Exception, step: int | None) -> LeakageReport:
        return self._marked(attack, f"audit failed: {str(error).strip() or type(error).__name__}", step)

    def _marked(self, attack: str, reason: str, step: int | None) -> LeakageReport:
        audited = self._audit_set
        return failed_report(
            attack, reason, step=step, num_members=audited.num_members, num_nonmembers=audited.num_nonmembers
        )

    def _answers_now(self, weights: str) -> dict[Queries, Signals]:
        first, self._first = self._first, None
        if first is not None and first[0] == weights:
            return first[1]
        return self._answers()

    def _answers(self) -> dict[Queries, Signals]:
        return {queries: self._pass.signals(names, queries) for queries, names in self._wanted.items()}

    def _populations(self) -> dict[Queries, Signals]:
        """The population's signals, for each kind of queries of which an attack wants to know them."""
        wanted: dict[Queries, tuple[str, ...]] = {}
        for attack in self.attacks.values():
            if needs(attack).population:
                asked = needs(attack).queries
                wanted[asked] = tuple(dict.fromkeys([*wanted.get(asked, ()), *attack.signals]))
        return {queries: self._pass.population_signals(names, queries) for queries, names in wanted.items()}


def _refuse_unfit(attacks: Mapping[str, Attack], head: Head | SummedHead) -> None:
    for name, attack in attacks.items():
        unfit = [signal for signal in attack.signals if signal not in head.signals]
        if unfit:
            raise ValueError(
                f"attack {name!r} reads the signal {unfit[0]!r}, which does not fit this model's head ({head.kind}); it has "
                f"{', '.join(head.signals)}. Leave the attack out, or let it read another (LiRA(signal='loss'), say)."
            )


def shadow_attacks(attacks: Mapping[str, Attack]) -> list[str]:
    """The names of those that compare with shadow models."""
    return [name for name, attack in attacks.items() if needs(attack).shadows]


def _default_attacks(signals: Sequence[str], with_shadows: bool) -> list[Attack]:
    attacks: list[Attack] = [Threshold(name) for name in signals]
    if not with_shadows:
        return attacks
    if "scaled_logit" not in signals:
        return [*attacks, LiRA(signal="loss")]
    return [*attacks, LiRA(), RMIA()]


def _pointing_at_the_strongest(reports: list[LeakageReport]) -> list[LeakageReport]:
    """The reports, the first of them with a note if another attack surely recognises more."""
    headline = reports[0].auc
    if headline is None or headline.high is None:
        return reports
    others = {report.attack: report.auc for report in reports[1:] if report.auc is not None}
    above = {name: auc for name, auc in others.items() if auc.low is not None and auc.low > headline.high}
    if not above:
        return reports
    name, best = max(above.items(), key=lambda one: float(one[1]))
    note = (
        f"attack {name!r} recognises more: AUC {best:.3f} [{best.low:.3f}, {best.high:.3f}]; list it first to make it the "
        "headline."
    )
    return [replace(reports[0], notes=(*reports[0].notes, note)), *reports[1:]]

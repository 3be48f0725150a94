"""One audit: a model, a set of records and some attacks in, reports out. When to audit is the callback's business."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray

from privacy_callbacks.attacks.attack import Attack, AttackContext, Scores, Signals, named_attacks
from privacy_callbacks.attacks.auc import auc
from privacy_callbacks.attacks.audit_set import AuditSet
from privacy_callbacks.attacks.audit_warning import AuditWarning
from privacy_callbacks.attacks.compiled_pass import SignalPass
from privacy_callbacks.attacks.low_fpr import nonmembers_needed
from privacy_callbacks.attacks.report import LeakageReport, failed_report
from privacy_callbacks.attacks.threshold import Threshold

HEADLINE_FPR = 0.01
NULL_CHECK_ERROR = 0.01


@dataclass(frozen=True)
class Audit:
    """What one audit found.

    Attributes:
      step: the epoch it belongs to; −1 = before training, None = outside of any.
      reports: one an attack, the headline's first.
      scores: by attack, for those that succeeded.
      loss: float[n], minus each record's loss; None if the model gave no finite outputs.
      fingerprint: of the weights it speaks of.
    """

    step: int | None
    reports: tuple[LeakageReport, ...]
    scores: Mapping[str, Scores]
    loss: NDArray[np.float64] | None
    fingerprint: str


class Auditor:
    """Everything about an audit that stays the same from epoch to epoch.

    Args:
      model, audit_set, loss, batch_size: see `SignalPass`.
      attacks: instances of attacks, the headline first; None = a threshold on each signal that fits the model's head,
        the loss first.
      seed: for halves, permutations and whatever is random in an attack.
    Attributes:
      attacks: by name.
      warnings: sentences about the experiment; they go into every report.
    Raises:
      TypeError, ValueError: if model, records and attacks do not fit each other, or the model's outputs on the records
        are NaN or infinite.
    """

    def __init__(
        self,
        model: Any,
        audit_set: AuditSet,
        attacks: Sequence[Attack] | Attack | None = None,
        loss: Any = None,
        batch_size: int | None = None,
        seed: int = 0,
    ) -> None:
        self._pass = SignalPass(model, audit_set, loss, batch_size)
        self._model, self._audit_set, self._seed = model, audit_set, seed
        if attacks is None:
            attacks = [Threshold(name) for name in self._pass.head.signals]
        self.attacks = named_attacks(attacks)
        wanted = [name for attack in self.attacks.values() for name in attack.signals]
        # The loss is always kept: its course over the epochs ranks the members at risk.
        self._signals = tuple(dict.fromkeys(["loss", *wanted]))
        self.warnings = [*audit_set.warnings, *_too_few_records(audit_set), *_own_training(model, loss)]
        # Asked once now, so that whatever does not fit is refused before training.
        self._first: tuple[str, Signals] | None = (fingerprint(model), self._pass.signals(self._signals))
        self._context()

    @property
    def labels(self) -> NDArray[Any]:
        """[n, ...], class numbers where the head has classes, else the targets as given."""
        labels = self._pass.head.labels
        return self._audit_set.y.numpy() if labels is None else labels

    @property
    def has_classes(self) -> bool:
        """True if the model's outputs are read as those of a classifier."""
        return self._pass.head.labels is not None

    @property
    def traces(self) -> int:
        """How often the model's Python code has run."""
        return self._pass.traces

    def run(self, step: int | None, strict: bool = False, notes: tuple[str, ...] = ()) -> Audit:
        """Audits the model with the weights it holds now.

        Args:
          step: what to write into the reports.
          strict: raise what goes wrong; otherwise it marks the reports of the attacks concerned.
          notes: sentences for the reports.
        """
        weights = fingerprint(self._model)
        try:
            signals = self._signals_now(weights)
            context = self._context()
        except Exception as error:
            if strict:
                raise
            return Audit(step, tuple(self._failed(name, error, step) for name in self.attacks), {}, None, weights)
        reports: list[LeakageReport] = []
        scores: dict[str, Scores] = {}
        for name, attack in self.attacks.items():
            try:
                found = Scores(attack.fit(context).score(signals), self._audit_set.is_member, self._audit_set.ids)
                reports.append(self._judged(name, found, step, notes))
                scores[name] = found
            except Exception as error:
                if strict:
                    raise
                reports.append(self._failed(name, error, step))
        return Audit(step, tuple(reports), scores, signals["loss"][:, 0], weights)

    def _judged(self, attack: str, scores: Scores, step: int | None, notes: tuple[str, ...]) -> LeakageReport:
        return LeakageReport.from_scores(
            scores.values,
            scores.is_member,
            attack,
            self._seed,
            step=step,
            warnings=tuple(self.warnings),
            notes=(*notes, *self._pass.head.notes),
        )

    def _failed(self, attack: str, error: Exception, step: int | None) -> LeakageReport:
        reason = f"audit failed: {str(error).strip() or type(error).__name__}"
        audited = self._audit_set
        return failed_report(
            attack, reason, step=step, num_members=audited.num_members, num_nonmembers=audited.num_nonmembers
        )

    def _signals_now(self, weights: str) -> Signals:
        first, self._first = self._first, None
        if first is not None and first[0] == weights:
            return first[1]
        return self._pass.signals(self._signals)

    def _context(self) -> AttackContext:
        asking = [attack for attack in self.attacks.values() if attack.needs_population]
        names = tuple(dict.fromkeys(name for attack in asking for name in attack.signals))
        return AttackContext(self._pass.population_signals(names) if asking else None, self._seed)


def audit(
    model: Any,
    members: Any,
    nonmembers: Any = None,
    attacks: Sequence[Attack] | Attack | None = None,
    audit_size: int = 2_000,
    seed: int = 0,
    *,
    population: Any = None,
    loss: Any = None,
    batch_size: int | None = None,
) -> list[LeakageReport]:
    """How much of its training data does this model give away? The callback's audit, after the fact.

    Args:
      model: a built Keras model; compiled, or with `loss` given.
      members, nonmembers: records it was, and was not, trained on, in any form that `AuditSet` takes; or one `AuditSet`.
      attacks: as for `MIACallback`.
      audit_size: the most records to audit on each side; an `AuditSet` brings its own.
      seed: decides sample, halves and permutations.
      population: see `AuditSet`; default: a third of the non-members if an attack needs one.
      loss: a loss to use instead of the compiled one.
      batch_size: the most records in one forward pass.
    Returns:
      One report an attack.
    Raises:
      TypeError, ValueError: see `AuditSet` and `Auditor`.
    """
    audit_set = audit_set_for(members, nonmembers, attacks, population, audit_size, seed)
    auditor = Auditor(model, audit_set, attacks, loss, batch_size, seed)
    for sentence in auditor.warnings:
        warnings.warn(sentence, AuditWarning, stacklevel=2)
    return list(auditor.run(None, strict=True).reports)


def audit_set_for(
    members: Any,
    nonmembers: Any,
    attacks: Sequence[Attack] | Attack | None,
    population: Any,
    audit_size: int,
    seed: int,
) -> AuditSet:
    """The given `AuditSet`, or one drawn from the two sides; a third of the non-members set aside if attacks need it."""
    if isinstance(members, AuditSet):
        if nonmembers is not None or population is not None:
            raise ValueError("members is an AuditSet already; leave nonmembers and population to it.")
        return members
    if nonmembers is None:
        raise ValueError("nonmembers is missing: an attack is judged by telling members from records never trained on.")
    if population is None:
        asking = attacks is not None and any(attack.needs_population for attack in named_attacks(attacks).values())
        population = 1 / 3 if asking else None
    return AuditSet(members, nonmembers, population, audit_size, seed=seed)


def null_check(untrained: Sequence[LeakageReport]) -> str | None:
    """A sentence if some attack tells the sides apart before training, which no leakage explains; else None.

    It fires for at most 1 % of experiments whose sides do come from one distribution (Bonferroni over the attacks).
    """
    level = 1 - NULL_CHECK_ERROR / max(1, len(untrained))
    for report in untrained:
        value = None if report.roc is None else auc(report.roc, level)
        if value is None or value.low is None or value.high is None or value.low <= 0.5 <= value.high:
            continue
        return (
            f"before any training the attack {report.attack!r} already has AUC {value:.3f} [{value.low:.3f}, "
            f"{value.high:.3f}] ({100 * level:.4g} %), so either these weights have seen the members before, or the two "
            "sides differ by themselves and part of every later number is that difference, not leakage: then draw both sides "
            "at random from one pool."
        )
    return None


def fingerprint(model: Any) -> str:
    """A digest of all weights: equal for equal weights, so that a report can be told from a stale one."""
    digest = hashlib.blake2b(digest_size=16)
    for value in model.get_weights():
        digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()


def _own_training(model: Any, loss: Any) -> list[str]:
    if loss is not None or type(model).train_step is keras.Model.train_step:
        return []
    return [
        f"{type(model).__name__} overrides train_step; it is audited as model(x) with the compiled loss. If it trains on "
        "other inputs or another loss, give the audit a model of what is learned, or the loss with loss=."
    ]


def _too_few_records(audit_set: AuditSet) -> list[str]:
    needed = nonmembers_needed(HEADLINE_FPR)
    if audit_set.num_nonmembers >= needed:
        return []
    given = audit_set.available[1]
    short = [side for side, count in zip(("members", "nonmembers"), audit_set.available, strict=True) if count < needed]
    remedy = f"give more {' and '.join(short)}" if short else "raise audit_size (the size of an AuditSet)"
    return [
        f"{audit_set.num_nonmembers:,} audited non-members (of {given:,} given) cannot resolve a false positive rate of "
        f"{100 * HEADLINE_FPR:g} %, which needs {needed:,}: TPR at that rate is refused; {remedy}."
    ]

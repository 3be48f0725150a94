"""Which attacks an audit runs, and whether model and records have what these read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from privacy_callbacks.attacks.attack import Attack, needs
from privacy_callbacks.attacks.audit_set import AuditSet
from privacy_callbacks.attacks.head import Head, fits, signals_listed
from privacy_callbacks.attacks.lira import LiRA
from privacy_callbacks.attacks.record_arrays import as_arrays
from privacy_callbacks.attacks.report import LeakageReport
from privacy_callbacks.attacks.rmia import RMIA
from privacy_callbacks.attacks.shadow_models import ShadowModels
from privacy_callbacks.attacks.summed_head import SummedHead
from privacy_callbacks.attacks.threshold import Threshold

# Columns of the table of records that are no attack's.
RECORD_COLUMNS = ("id", "is_member", "label", "member_probability", "loss_iqr", "risk_rank", "risk_stability")


def completed(attacks: Mapping[str, Attack], head: Head | SummedHead) -> Mapping[str, Attack]:
    """The attacks, those that read whatever fits the head told what that is."""
    fitting = (*head.signals, *head.further_signals)
    return {
        name: attack.with_features_of(fitting) if hasattr(attack, "with_features_of") else attack
        for name, attack in attacks.items()
    }


def placed(attacks: Mapping[str, Attack], audit_set: AuditSet) -> Mapping[str, Attack]:
    """The attacks, those that must know the audited records told these.

    Raises:
      ValueError: if one does not fit them.
    """
    ids = None if audit_set.source_ids is None else audit_set.ids
    found: dict[str, Attack] = {}
    for name, attack in attacks.items():
        place = getattr(attack, "at", None)
        try:
            found[name] = attack if place is None else place(as_arrays(audit_set.x), as_arrays(audit_set.y), ids)
        except (TypeError, ValueError) as reason:
            raise type(reason)(f"attack {name!r}: {reason}") from reason
    return found


def refuse_unfit(attacks: Mapping[str, Attack], head: Head | SummedHead, with_shadows: bool) -> None:
    """Nothing, if model and shadow models have what the attacks read, and shadow models have a reader.

    Raises:
      ValueError: otherwise.
    """
    without = [name for name, attack in attacks.items() if needs(attack).shadows and not with_shadows]
    if without:
        raise ValueError(f"attack {without[0]!r} compares with shadow models; give shadow_models=16, say.")
    if with_shadows and not shadow_attacks(attacks):
        raise ValueError(
            "shadow models would be trained for nobody: none of the attacks compares with them; add LiRA() or RMIA(), say, "
            "or leave shadow_models out."
        )
    for name, attack in attacks.items():
        if name in RECORD_COLUMNS:
            raise ValueError(f"attack {name!r} is called like a column of records(); give it another name=.")
        unfit = [signal for signal in attack.signals if not fits(head, signal)]
        if unfit:
            raise ValueError(
                f"attack {name!r} reads the signal {unfit[0]!r}, which does not fit this model's head ({head.kind}); it has "
                f"{signals_listed(head)}. Leave the attack out, or give one that reads another (Threshold('loss'), BASE('loss'))."
            )


def refuse_few_shadow_models(attacks: Iterable[Attack], plan: ShadowModels | None) -> None:
    """Nothing, if each attack has as many shadow models as it says it needs at least (`least_shadow_models`).

    Raises:
      ValueError: otherwise.
    """
    for attack in attacks:
        least = getattr(attack, "least_shadow_models", 0)
        if plan is not None and plan.num_models < least:
            raise ValueError(
                f"attack {attack.name!r} needs at least {least} shadow models to tune on, {plan.num_models} are too few; give "
                "more, or aggregate=trimmed_mean."
            )


def shadow_attacks(attacks: Mapping[str, Attack]) -> list[str]:
    """The names of those that compare with shadow models."""
    return [name for name, attack in attacks.items() if needs(attack).shadows]


def default_attacks(signals: Sequence[str], with_shadows: bool) -> list[Attack]:
    """A threshold on each signal, the loss first; with shadow models also LiRA and (for classifiers) RMIA."""
    attacks: list[Attack] = [Threshold(name) for name in signals]
    if not with_shadows:
        return attacks
    if "scaled_logit" not in signals:
        return [*attacks, LiRA(signal="loss")]
    return [*attacks, LiRA(), RMIA()]


def pointing_at_the_strongest(reports: list[LeakageReport]) -> list[LeakageReport]:
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

"""Attacks on arrays alone: from the signals of an outputs file to reports. Imports no TensorFlow."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from privacy_callbacks.attacks.attack import AttackContext, Signals, needs
from privacy_callbacks.attacks.by_slice import sliced_reports
from privacy_callbacks.attacks.cross_fitting import cross_fitted
from privacy_callbacks.attacks.report import LeakageReport, failed_report
from privacy_callbacks.attacks.slices import Slice, by_class, by_column, by_correctness, by_percentile

from .outputs_attacks import asked_attack, default_names, file_scores, is_softened, refuse_unknown_attacks
from .outputs_file import OutputArrays
from .outputs_signals import OutputSignals, signals_of_outputs

_LABEL_MIX_ERROR = 0.005
_TWO_HALVES = (
    "the attacker knows the membership of half of the records and is judged on the other half, and the other way round; "
    "numbers are the means of both."
)


def audit_outputs(
    outputs: OutputArrays, attacks: Sequence[str] | None = None, slices: Sequence[str] = (), seed: int = 0
) -> list[LeakageReport]:
    """How much do these arrays give away?

    Args:
      outputs: of `read_outputs`.
      attacks: names, see `outputs_attacks.NAMED`, of softened confidences, or of the file's scores; the first makes the
        headline. None = a threshold on each signal, the loss first, then LiRA and RMIA if there are shadow models, then all
        scores.
      slices: "class", "correct", "loss_percentile", or names of columns.
      seed: for halves, permutations and classifiers.
    Returns:
      One report an attack, then those on slices, attack by attack. An attack that was not asked for by name and cannot work with
      these arrays is there, failed, and says why.
    Raises:
      ValueError: if arrays, attacks and slices do not fit each other.
    """
    wanted = None if attacks is None else list(dict.fromkeys(attacks))
    if wanted is not None and not wanted:
        raise ValueError("no attack is named; give some, or leave --attacks out for all that fit.")
    scores = file_scores(outputs)
    refuse_unknown_attacks([] if wanted is None else wanted, scores)
    softened = [name for name in wanted or () if is_softened(name)]
    found = signals_of_outputs(outputs, softened)
    asked = {
        name: asked_attack(name, found, scores, outputs.is_member) for name in wanted or default_names(found, scores)
    }
    parts = _slices(slices, found, outputs)
    void = _void(found, outputs)
    warnings = () if void is None else (void,)
    whole: list[LeakageReport] = []
    sliced: list[LeakageReport] = []
    for name, one in asked.items():
        said = (*one.notes, *found.notes)
        doubts = found.warnings if _compares(one.attack) else ()
        try:
            values, fold, notes = _scored(one.attack, found, outputs.is_member, seed)
            told = {"notes": (*notes, *said), "void": void, "warnings": (*warnings, *doubts)}
            report, *others = _judged(name, values, fold, outputs.is_member, parts, seed, told)
        except ValueError as reason:
            if wanted is not None:
                raise ValueError(f"attack {name!r}: {reason}") from None
            members = int(np.count_nonzero(outputs.is_member))
            sides = {"num_members": members, "num_nonmembers": len(outputs.is_member) - members}
            report, others = failed_report(name, str(reason), **sides), []
        whole.append(report)
        sliced += others
    return [*whole, *sliced]


def _compares(attack: Any) -> bool:
    return not isinstance(attack, np.ndarray) and needs(attack).shadows


def _scored(
    attack: Any, found: OutputSignals, is_member: NDArray[np.bool_], seed: int
) -> tuple[NDArray[np.float64], NDArray[np.int64] | None, tuple[str, ...]]:
    """Scores [n], NaN where a record lacks shadow models; the fold of each where the attack learned; sentences."""
    if isinstance(attack, np.ndarray):
        return attack, None, ()
    assert found.own is not None
    own = Signals({name: found.own[name] for name in attack.signals}, labels=found.own.labels)
    if needs(attack).examples:
        crossed = cross_fitted(attack, own, is_member, seed)
        return crossed.values, crossed.fold, (_TWO_HALVES,)
    shadows = found.shadows if needs(attack).shadows else None
    values = attack.fit(AttackContext(None, seed, shadows)).score(own)
    lacking = int(np.count_nonzero(np.isnan(values)))
    notes = () if shadows is None else (f"{shadows.num_models} shadow models.",)
    if lacking:
        notes = (*notes, f"{lacking:,} of {len(values):,} records lack the shadow models this attack compares with.")
    return values, None, notes


def _judged(
    name: str,
    values: NDArray[np.float64],
    fold: NDArray[np.int64] | None,
    is_member: NDArray[np.bool_],
    slices: Sequence[Slice],
    seed: int,
    told: Mapping[str, Any],
) -> list[LeakageReport]:
    scored = ~np.isnan(values)
    if not is_member[scored].any() or is_member[scored].all():
        raise ValueError("the records that it can score are of one side only; give more shadow models.")
    folds = None if fold is None else fold[scored]
    whole = LeakageReport.from_scores(values[scored], is_member[scored], name, seed, folds=folds, **told)
    return [whole, *sliced_reports(values, is_member, slices, name, seed, folds=fold, **told)]


def _slices(wanted: Sequence[str], found: OutputSignals, outputs: OutputArrays) -> list[Slice]:
    parts: list[Slice] = []
    for name in dict.fromkeys(wanted):
        parts += _cut(name, found, outputs)
    return parts


def _cut(name: str, found: OutputSignals, outputs: OutputArrays) -> list[Slice]:
    own: Mapping[str, Any] = {} if found.own is None else found.own
    if name in outputs.columns:
        return by_column(name, outputs.columns[name])
    if name == "class":
        labels = _classes(found, outputs)
        if labels is None:
            raise ValueError(
                "slices has class, but records have no single class in the file; save labels, one number a record."
            )
        return by_class(labels)
    if name in ("correct", "loss_percentile"):
        signal = name if name == "correct" else "loss"
        if signal not in own:
            raise ValueError(
                f"slices has {name}, but the file does not tell the {signal} of a record; save logits and labels."
            )
        values = own[signal][:, 0]
        return by_correctness(values == 1) if name == "correct" else by_percentile(-values)
    known_slices = ["class", "correct", "loss_percentile", *outputs.columns]
    near = difflib.get_close_matches(name, known_slices, 1)
    raise ValueError(
        f"slices has {name!r}; {f'did you mean {near[0]}? ' if near else ''}give class, correct, loss_percentile, or a column "
        f"that the file holds as column_<name>{''.join(f', {column}' for column in outputs.columns)}."
    )


def _classes(found: OutputSignals, outputs: OutputArrays) -> NDArray[Any] | None:
    """[n], class numbers, whether the answers are known or not."""
    if found.own is not None and found.own.labels is not None:
        return found.own.labels
    labels = outputs.arrays.get("labels")
    if labels is None or labels.ndim > 2 or labels.shape[1:] not in ((), (1,)):
        return None
    return labels.reshape(len(labels))


def _void(found: OutputSignals, outputs: OutputArrays) -> str | None:
    """Why no leak can be told, if the sides have other labels; inputs are not known here, so nothing else is looked at."""
    labels = _classes(found, outputs)
    labels = outputs.arrays.get("targets") if labels is None else labels
    if labels is None:
        return None
    from privacy_callbacks.attacks.label_mix import label_mix

    return label_mix(labels, outputs.is_member, _LABEL_MIX_ERROR)

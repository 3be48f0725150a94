"""The attacks that `privacy-audit outputs` knows by name, and whether a file has what they read."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from privacy_callbacks.attacks.array_signals import known
from privacy_callbacks.attacks.attack import SIGNAL_NAMES, Attack, check_name
from privacy_callbacks.attacks.attack_r import AttackR
from privacy_callbacks.attacks.base_attack import BASE
from privacy_callbacks.attacks.difficulty_calibration import DifficultyCalibration
from privacy_callbacks.attacks.lira import LiRA
from privacy_callbacks.attacks.rmia import RMIA
from privacy_callbacks.attacks.shadow_signals import ShadowSignals
from privacy_callbacks.attacks.softening import Softening
from privacy_callbacks.attacks.threshold import Threshold
from privacy_callbacks.attacks.trained import Trained

from .outputs_file import OutputArrays
from .outputs_keys import SCORE
from .outputs_signals import OutputSignals

_TRAINED = ("logistic_regression", "svc", "mlp", "random_forest", "knn", "gradient_boosting")
_COMPARING = ("lira", "rmia", "base", "attack_r", "difficulty_calibration")
NAMED = (*SIGNAL_NAMES, *_TRAINED, *_COMPARING)
# Online LiRA leaves out records that lack a model on a side; of either kind of records so many must have both.
_MOST = 0.9


class Asked(NamedTuple):
    """One attack of an audit: an `Attack`, or scores that are judged as they are; and sentences on it."""

    attack: Any
    notes: tuple[str, ...] = ()


def file_scores(outputs: OutputArrays) -> dict[str, NDArray[np.float64]]:
    """The file's scores by what reports call them: `score_mine` is `mine`, unless an attack is called so.

    Raises:
      ValueError: on shapes other than one number a record, NaN, or names that cannot stand in reports.
    """
    found = {}
    for key, given in outputs.scores.items():
        short = key.removeprefix(SCORE)
        values = known(given, key)
        if values.shape[1] != 1:
            raise ValueError(f"{key} has shape {np.shape(given)}; give one number a record.")
        found[check_name(key if short in NAMED or short == "scores" else short)] = values[:, 0]
    return found


def refuse_unknown_attacks(names: Sequence[str], scores: Mapping[str, Any]) -> None:
    """Nothing, if all of these are attacks.

    Raises:
      ValueError: otherwise, with the nearest.
    """
    for name in names:
        if name in NAMED or name in scores or name.removeprefix(SCORE) in scores or is_softened(name):
            continue
        near = difflib.get_close_matches(name, [*NAMED, *scores], 1)
        raise ValueError(
            f"{name!r} is no attack on outputs; {f'did you mean {near[0]}? ' if near else ''}known are {', '.join(NAMED)}, "
            f"confidence_t2 (or another temperature){''.join(f', {own}' for own in scores)}."
        )


def is_softened(name: str) -> bool:
    """True for the name of a softened confidence, which is a signal."""
    return Softening.of(name) is not None


def default_names(found: OutputSignals, scores: Mapping[str, Any]) -> list[str]:
    """All that fits: thresholds, the loss first, LiRA and RMIA where there are shadow models, the file's scores."""
    names = [] if found.own is None else [name for name in SIGNAL_NAMES if name in found.own]
    if found.shadows is not None:
        names += ["lira"] if {"scaled_logit", "loss"} & set(found.shadows) else []
        names += ["rmia"] if "confidence" in found.shadows else []
    return [*names, *scores]


def asked_attack(name: str, found: OutputSignals, scores: Mapping[str, Any], is_member: NDArray[np.bool_]) -> Asked:
    """The attack of that name on this file.

    Raises:
      ValueError: if the file does not have what it reads.
    """
    own = scores.get(name, scores.get(name.removeprefix(SCORE)))
    if own is not None:
        return Asked(own, ("scores of the file, judged as they are.",))
    if found.own is None:
        raise ValueError(
            f"attack {name!r} reads a model's answers, and the file holds scores alone; save logits, too, or leave it out."
        )
    if name in _COMPARING:
        if found.shadows is None:
            raise ValueError(
                f"attack {name!r} compares with shadow models, and the file holds none; save shadow_logits (or shadow_losses) "
                "and trained_on, or leave it out."
            )
        asked = _COMPARISONS[name](found.shadows, is_member)
        _refuse_unread(name, asked.attack, found.shadows, "shadow models' arrays")
    elif name in _TRAINED:
        asked = Asked(Trained(name).with_features_of(list(found.own)))
    else:
        asked = Asked(Threshold(name))
    _refuse_unread(name, asked.attack, found.own, "arrays")
    return asked


def _refuse_unread(name: str, attack: Attack, signals: Mapping[str, Any], what: str) -> None:
    unread = [signal for signal in attack.signals if signal not in signals]
    if unread or not attack.signals:
        raise ValueError(
            f"attack {name!r} reads {unread[0] if unread else 'several signals'}, and these {what} tell "
            f"{', '.join(signals) or 'nothing'} only; leave it out, or save logits and labels."
        )


def _lira(shadows: ShadowSignals, is_member: NDArray[np.bool_]) -> Asked:
    counts, models = shadows.trained_on.sum(axis=0), shadows.num_models
    both = (counts > 0) & (counts < models)
    online = all(both[side].mean() >= _MOST for side in (is_member, ~is_member)) and (counts > 1).any()
    attack = LiRA("online" if online else "offline", signal=_of(shadows, "scaled_logit"))
    if online:
        return Asked(attack)
    lacking = int(np.count_nonzero(counts == 0))
    return Asked(
        attack, (f"offline: {lacking:,} of {len(counts):,} records have no shadow model that trained on them.",)
    )


def _of(shadows: ShadowSignals, preferred: str) -> str:
    return preferred if preferred in shadows else "loss"


_COMPARISONS: Mapping[str, Callable[[ShadowSignals, NDArray[np.bool_]], Asked]] = {
    "lira": _lira,
    "rmia": lambda shadows, is_member: Asked(RMIA()),
    "base": lambda shadows, is_member: Asked(BASE(_of(shadows, "confidence"))),
    "attack_r": lambda shadows, is_member: Asked(AttackR()),
    "difficulty_calibration": lambda shadows, is_member: Asked(DifficultyCalibration(_of(shadows, "scaled_logit"))),
}

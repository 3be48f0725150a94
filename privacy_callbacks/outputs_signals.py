"""What the arrays of an outputs file say of each record: signals of the audited model and of its shadow models."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from privacy_callbacks.attacks.array_signals import signals_from_arrays
from privacy_callbacks.attacks.attack import Signals
from privacy_callbacks.attacks.roc import RocCurve
from privacy_callbacks.attacks.shadow_signals import ShadowSignals

from .outputs_file import OutputArrays
from .outputs_keys import ANSWERS, SHADOW_ANSWERS

_ROUNDING = 1e-2  # of sums of probabilities in half precision
# Of the p-value that the numbers of IN models tell members from non-members: so seldom it warns of a sound design.
_TELLING = 1e-3


@dataclass(frozen=True, eq=False)
class OutputSignals:
    """The signals of one file.

    Attributes:
      own: of the audited model; None if the file holds scores alone.
      shadows: of the shadow models; None without.
      notes: sentences on how answers were read.
      warnings: sentences on shadow models that change what a number means.
    """

    own: Signals | None
    shadows: ShadowSignals | None
    notes: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


def signals_of_outputs(outputs: OutputArrays, softened: Iterable[str] = ()) -> OutputSignals:
    """Every signal that the arrays allow, higher = more member-like.

    Args:
      outputs: of `read_outputs`.
      softened: names of softened confidences wanted besides.
    Raises:
      ValueError: see `signals_from_arrays`; if shadow models answered for another number of classes, or like the audited one.
    """
    arrays = outputs.arrays
    answers = outputs.first_of(ANSWERS)
    if answers is None and not {"losses", "entropies"} & set(arrays):
        return OutputSignals(None, None)
    notes = []
    if answers is not None and not {"labels", "targets"} & set(arrays):
        notes.append("labels are not known, so of the answers only their entropy can be judged.")
    if answers == "predictions" and "targets" not in arrays:
        notes.append(f"predictions were read as {_kind(outputs, answers, arrays[answers])}.")
    own = _signals(outputs, answers, None if answers is None else arrays[answers], softened)
    if "trained_on" not in arrays:
        return OutputSignals(own, None, tuple(notes))
    shadows = _shadow_signals(outputs, own, softened)
    return OutputSignals(own, shadows, tuple(notes), _doubts(shadows.trained_on, outputs.is_member))


def _signals(outputs: OutputArrays, name: str | None, answers: Any, softened: Iterable[str]) -> Signals:
    arrays = outputs.arrays
    kind = None if name is None else _kind(outputs, name, answers)
    targets = "targets" in arrays
    return signals_from_arrays(
        arrays["targets"] if targets else arrays.get("labels"),
        logits=answers if kind == "logits" else None,
        probs=answers if kind == "probabilities" else None,
        loss=arrays.get("losses"),
        entropy=arrays.get("entropies"),
        loss_function="squared" if targets else "cross_entropy",
        softened=softened,
    )


def _kind(outputs: OutputArrays, name: str, answers: NDArray[Any]) -> str:
    """ "logits" or "probabilities".

    Raises:
      ValueError: if predictions may be either.
    """
    kind = name.removeprefix("shadow_")
    if kind != "predictions":
        return kind
    if "targets" in outputs.arrays or answers.dtype.kind not in "buif" or not answers.size:
        return "logits"
    if answers.min() < 0 or answers.max() > 1:
        return "logits"
    labels = outputs.arrays.get("labels")
    several = labels is not None and labels.ndim == 2 and labels.shape[1] > 1 and (labels.sum(axis=1) != 1).any()
    single = answers.ndim == 1 or answers.shape[-1] == 1
    if several or single or np.abs(answers.sum(axis=-1, dtype=np.float64) - 1).max() <= _ROUNDING:
        return "probabilities"
    raise ValueError(
        f"{name} lie between 0 and 1, but rows do not sum to 1, so they may be logits or sigmoids; save them as "
        f"{name.replace('predictions', 'logits')} or {name.replace('predictions', 'probabilities')}."
    )


def _shadow_signals(outputs: OutputArrays, own: Signals, softened: Iterable[str]) -> ShadowSignals:
    name = outputs.first_of(SHADOW_ANSWERS)
    trained_on = outputs.arrays["trained_on"]
    if name is None:
        losses = outputs.arrays["shadow_losses"]
        values = losses[:, :, 0] if losses.ndim == 3 and losses.shape[2] == 1 else losses
        if values.ndim != 2 or values.dtype.kind not in "buif" or np.isnan(values).any():
            raise ValueError(
                f"shadow_losses have shape {losses.shape} and dtype {losses.dtype}, or are NaN; give (shadow models, records)."
            )
        return ShadowSignals({"loss": -values[:, :, None].astype(np.float64)}, trained_on)
    answers = outputs.arrays[name]
    target = outputs.arrays[str(outputs.first_of(ANSWERS))]
    if answers.shape[1:] != target.shape:
        raise ValueError(
            f"{name} has shape {answers.shape}, and the audited model's answers {target.shape}; give the same of each model: "
            f"(shadow models, {', '.join(map(str, target.shape))})."
        )
    if not len(answers):
        raise ValueError(f"{name} has shape {answers.shape}; give at least two shadow models.")
    # Losses and entropies of one's own are the audited model's alone.
    plain = OutputArrays(
        outputs.is_member,
        {key: array for key, array in outputs.arrays.items() if key not in ("losses", "entropies")},
        {},
        {},
    )
    kept: dict[str, list[NDArray[Any]]] = {}
    for index, of_model in enumerate(answers):
        if np.array_equal(of_model, target):
            raise ValueError(f"{name}[{index}] are the audited model's own answers; leave it out, in trained_on, too.")
        try:
            found = _signals(plain, name, of_model, softened)
        except ValueError as reason:
            raise ValueError(f"{name}[{index}]: {reason}") from None
        for signal in found:
            if signal in own:
                kept.setdefault(signal, []).append(found[signal].astype(np.float32))
    own_losses = {"loss"} if "losses" in outputs.arrays else set()
    own_losses |= {"entropy"} if "entropies" in outputs.arrays else set()
    return ShadowSignals(
        {signal: np.stack(rows) for signal, rows in kept.items() if signal not in own_losses}, trained_on
    )


def _doubts(trained_on: NDArray[np.bool_], is_member: NDArray[np.bool_]) -> tuple[str, ...]:
    """What of the design tells membership by itself."""
    copies = [index for index, row in enumerate(trained_on) if (row == is_member).all() or (row != is_member).all()]
    if copies:
        return (
            f"shadow model {copies[0]} (from 0) trained on exactly the members, or on exactly the others (as a complement does, "
            "where the audited model is one of a balanced fleet): what it answers tells membership, which no attacker knows; "
            "leave it out.",
        )
    if not _tells(trained_on.sum(axis=0), is_member):
        return ()
    return (
        "how many shadow models trained on a record differs between members and non-members: numbers of attacks that compare may "
        "be that; deal records out to shadow models whatever they were to the audited model.",
    )


def _tells(counts: NDArray[Any], is_member: NDArray[np.bool_]) -> bool:
    from privacy_callbacks.attacks.p_value import p_value

    return any(p_value(RocCurve.from_scores(sign * counts, is_member)) < _TELLING / 2 for sign in (1, -1))

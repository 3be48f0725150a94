"""What looks wrong about the `fit` that is setting a callback up, before a number is spoiled by it.

Keras tells a callback neither the list it stands in nor the arguments of `fit`. Both are in the frames that call the hook,
and only looked at, to warn. Nothing depends on finding them: hooks may be driven by hand.
"""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import keras
import numpy as np
import tensorflow as tf

from privacy_callbacks.attacks.audit_set import AuditSet
from privacy_callbacks.attacks.duplicates import matching_rows
from privacy_callbacks.attacks.record_arrays import Records, as_arrays, records_from
from privacy_callbacks.attacks.record_source import ancestors, changing_maps, own_functions

_KERAS_BATCH_SIZE = 32  # of arrays, where fit is given none


class FitCall(NamedTuple):
    """The fit that is setting callbacks up.

    Attributes:
      callbacks: all of them, in order; empty if hooks are driven by hand.
      arguments: the names in fit's frame, its arguments among them; empty likewise.
    """

    callbacks: tuple[Any, ...]
    arguments: Mapping[str, Any]


def current_fit() -> FitCall:
    """Looks for a `CallbackList` among the callers and for the `fit` that called it."""
    frame = inspect.currentframe()
    callbacks: tuple[Any, ...] = ()
    while frame is not None:
        owner = frame.f_locals.get("self")
        if isinstance(owner, keras.callbacks.CallbackList):
            callbacks = tuple(owner.callbacks)
        elif callbacks and isinstance(owner, keras.Model) and frame.f_code.co_name == "fit":
            return FitCall(callbacks, dict(frame.f_locals))
        frame = frame.f_back
    return FitCall(callbacks, {})


def batch_size_of(fit: FitCall) -> int | None:
    """The batch size of a fit, where its arguments say it: `batch_size`, or that of a batched data set."""
    given = fit.arguments.get("batch_size")
    if isinstance(given, (int, np.integer)):
        return int(given)
    data = fit.arguments.get("x")
    if (
        data is not None
        and not isinstance(data, (tf.data.Dataset, keras.utils.PyDataset))
        and not hasattr(data, "__next__")
    ):
        return _KERAS_BATCH_SIZE
    if isinstance(data, keras.utils.PyDataset):
        size = getattr(data, "batch_size", None)
        return size if isinstance(size, int) else None
    while isinstance(data, tf.data.Dataset):
        size = getattr(data, "_batch_size", None)  # there is no public way to ask
        if size is not None:
            return int(size)
        inputs = data._inputs()
        data = inputs[0] if len(inputs) == 1 else None
    return None


def weights_records(fit: FitCall) -> bool | None:
    """True if fit is given a weight a record (or a position), beside the data or within it; None if that cannot be seen."""
    data = fit.arguments.get("x")
    if fit.arguments.get("sample_weight") is not None:
        return True
    if data is None or isinstance(data, keras.utils.PyDataset) or hasattr(data, "__next__"):
        return None
    return isinstance(data, tf.data.Dataset) and isinstance(data.element_spec, tuple) and len(data.element_spec) == 3


def doubts_about_members(num_members: int, steps: int | None, fit: FitCall) -> list[str]:
    """Sentences, for the reports, where members look like other records than those that fit trains on.

    Args:
      num_members: records in members.
      steps: of an epoch, if known.
      fit: from `current_fit`.
    """
    return [*_part_of_training(num_members, steps), *_held_out(num_members, steps, fit)]


def deciding_by_nonmembers(audit_set: AuditSet, fit: FitCall) -> list[str]:
    """Sentences about callbacks that choose an epoch or a model by the very records that stand for «never seen».

    Args:
      audit_set: its non-members are looked for in fit's validation data.
      fit: from `current_fit`.
    """
    deciders = {
        type(callback).__name__: callback.monitor for callback in fit.callbacks if _decides_by_validation(callback)
    }
    held_out = fit.arguments.get("validation_data")
    if not deciders or held_out is None:
        return []
    shared = _shared_nonmembers(audit_set, held_out)
    if not shared:
        return []
    named = " and ".join(f"{name} (by {monitor})" for name, monitor in deciders.items())
    return [
        f"{named} decides on {shared:,} of the {audit_set.num_nonmembers:,} audited non-members: what is chosen does well on "
        "them, so they look a little like members, which pulls every number towards «no leakage»; give other held-out records as "
        "validation_data, or as nonmembers."
    ]


def _decides_by_validation(callback: Any) -> bool:
    if isinstance(callback, keras.callbacks.ModelCheckpoint) and not callback.save_best_only:
        return False
    return str(getattr(callback, "monitor", "")).startswith("val_")


def _shared_nonmembers(audit_set: AuditSet, held_out: Any) -> int:
    """How many audited non-members stand in fit's validation data, as far as that can be told without reading a data set."""
    if isinstance(held_out, (tf.data.Dataset, keras.utils.PyDataset)):
        theirs, ours = ancestors(held_out), ancestors(audit_set.sources[1].given)
        return audit_set.num_nonmembers if any(one is other for one in theirs for other in ours) else 0
    if not isinstance(held_out, (tuple, list)) or len(held_out) not in (2, 3):
        return 0
    try:
        x, y = tf.nest.map_structure(_as_array, tuple(held_out[:2]))
        known = records_from(x, y, None, "validation_data")
        rows = np.flatnonzero(~audit_set.is_member)
        asked = Records(*as_arrays((audit_set.x, audit_set.y))).take(rows)
        return int(np.count_nonzero(matching_rows(asked, known) >= 0))
    except (TypeError, ValueError):
        return 0  # of another kind than the audited records


def _as_array(leaf: Any) -> Any:
    return leaf.numpy() if isinstance(leaf, tf.Tensor) else leaf


def altering_data(audit_set: AuditSet, fit: FitCall) -> list[str]:
    """Sentences where records are altered on their way into training, or on one side of the audit alone."""
    sentences = []
    data = fit.arguments.get("x")
    if isinstance(data, tf.data.Dataset) and changing_maps(data):
        sentences.append(
            "fit trains on randomly altered versions of the members (a random map in its data set), while the audit asks about "
            "the records as they are: an attacker who asks about altered versions, too, may recognise more (LiRA(queries=...))."
        )
    maps = [len(own_functions(source.given)) for source in audit_set.sources]
    if all(isinstance(source.given, tf.data.Dataset) for source in audit_set.sources) and maps[0] != maps[1]:
        sentences.append(
            f"members come through {maps[0]} functions of their data set, non-members through {maps[1]}: if one of them alters "
            "records (augmentation, another normalisation), attacks tell that and not training; prepare both sides alike."
        )
    return sentences


def readers_placed_too_early(callback: Any, keys: Sequence[str], fit: FitCall) -> list[str]:
    """Sentences about callbacks that read one of the keys `callback` writes, but stand before it."""
    before = fit.callbacks[: fit.callbacks.index(callback)] if callback in fit.callbacks else ()
    return [
        f"{type(reader).__name__} reads keys that this callback writes but stands before it in the list; place it after."
        for reader in before
        if _reads(reader, keys) or isinstance(reader, keras.callbacks.CSVLogger)
    ]


def readers_of_nothing(keys: Sequence[str], fit: FitCall) -> list[str]:
    """Sentences about callbacks that decide by keys which are NaN until training has ended."""
    return [
        f"{type(reader).__name__} decides by an attack whose shadow models are trained after the target, so that it has no "
        "number in any epoch; train them in lockstep, or let it monitor another key."
        for reader in fit.callbacks
        if _reads(reader, keys)
    ]


def _reads(reader: Any, keys: Sequence[str]) -> bool:
    names = {str(getattr(reader, "monitor", "")), str(getattr(reader, "leakage", ""))}
    return bool(names & set(keys)) or any(f"{{{key}" in str(getattr(reader, "filepath", "")) for key in keys)


def _part_of_training(num_members: int, steps: int | None) -> list[str]:
    """A callback sees the number of steps but not always the batch size: is there one that makes a pass over the members?"""
    # With a remainder batch kept, ⌈records / batch⌉ = steps; with it dropped, ⌊records / batch⌋ = steps.
    if not steps or steps == 1 or num_members // (steps + 1) < -(-num_members // (steps - 1)) - 1:
        return []
    return [
        f"an epoch of fit has {steps:,} steps, which no batch size makes of the {num_members:,} records in members: if fit "
        "sees more records than these, the numbers speak of these alone (fine for a random sample); if it sees others, "
        "they are wrong."
    ]


def _held_out(num_members: int, steps: int | None, fit: FitCall) -> list[str]:
    split = fit.arguments.get("validation_split")
    seen = (steps or 0) * (fit.arguments.get("batch_size") or 32)
    if not split or not seen or num_members <= seen:
        return []
    return [
        f"members holds {num_members:,} records, but validation_split={split:g} leaves at most {seen:,} of them to train on: "
        "the others are non-members in truth and pull every number towards «no leakage». Give as members what is trained "
        "on, and the held-out part as validation_data and nonmembers."
    ]

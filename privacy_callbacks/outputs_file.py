"""What `privacy-audit outputs` reads: a `.npz` file of a model's answers, and of who is a member. Never a pickle.

Two forms: arrays over all records with `is_member` beside them, or pairs `members_<key>` and `nonmembers_<key>`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .outputs_keys import (
    ANSWERS,
    BY_MODEL,
    COLUMN,
    KEYS,
    SCORE,
    SHADOW_ANSWERS,
    SIDES,
    bare,
    refuse_unknown_keys,
    saving,
)


@dataclass(frozen=True, eq=False)
class OutputArrays:
    """The arrays of a file, checked to be about the same records; members first if they came in pairs.

    Attributes:
      is_member: bool[n], some of either.
      arrays: by key, those of `KEYS` but `is_member` and `scores`.
      scores: float[n] by name, higher = more member-like.
      columns: [n] by name, to slice by.
    """

    is_member: NDArray[np.bool_]
    arrays: Mapping[str, NDArray[Any]]
    scores: Mapping[str, NDArray[Any]]
    columns: Mapping[str, NDArray[Any]]

    def first_of(self, names: Iterable[str]) -> str | None:
        """The key among these that the file has."""
        return next((name for name in names if name in self.arrays), None)


def read_outputs(path: Path) -> OutputArrays:
    """The arrays of a file that `np.savez` wrote.

    Raises:
      ValueError: if it cannot be read, holds an unknown key or one that is not about the same records, or lacks something.
    """
    arrays = _loaded(path)
    refuse_unknown_keys(arrays, path)
    joined = _joined(arrays, path)
    is_member = _membership(joined.pop("is_member"))
    _refuse_other_lengths(joined, len(is_member))
    scores = {name: array for name, array in joined.items() if name == "scores" or name.startswith(SCORE)}
    columns = {name.removeprefix(COLUMN): array for name, array in joined.items() if name.startswith(COLUMN)}
    others = {name: array for name, array in joined.items() if name in KEYS and name not in scores}
    _refuse_missing(others, bool(scores), path)
    return OutputArrays(is_member, others, scores, columns)


def _loaded(path: Path) -> dict[str, NDArray[Any]]:
    if path.is_dir():
        raise ValueError(f"{path} is a folder; give the name of a .npz file in it.")
    if not path.is_file():
        raise ValueError(
            f"there is no file {path}; save one with np.savez({path.name!r}, logits=..., labels=..., ...)."
        )
    # Opened here: np.load leaves a file open that it cannot read.
    with path.open("rb") as file:
        try:
            held = np.load(file, allow_pickle=False)
        except Exception as reason:  # a file can be damaged in many ways
            said = "it is another kind of file" if "pickle" in str(reason) else _first_line(reason)
            raise ValueError(f"{path} cannot be read ({said}); give a .npz file of np.savez.") from None
        if isinstance(held, np.ndarray):
            raise ValueError(
                f"{path} holds one array without a name; save several by name: np.savez('file.npz', logits=...)."
            )
        with held:
            return {name: _array(held, name, path) for name in held.files}


def _array(held: Any, name: str, path: Path) -> NDArray[Any]:
    try:
        array = held[name]
    except Exception as reason:
        if "allow_pickle" in str(reason):
            raise ValueError(
                f"{name} in {path} holds Python objects, which are not read; save plain numbers, such as np.asarray(..., float)."
            ) from None
        raise ValueError(f"{name} in {path} cannot be read ({_first_line(reason)}); save the file again.") from None
    if not isinstance(array, np.ndarray):
        raise ValueError(f"{name} in {path} is no array; save the file with np.savez.")
    return array


def _joined(arrays: Mapping[str, NDArray[Any]], path: Path) -> dict[str, NDArray[Any]]:
    """Every array over all records, with `is_member` beside them."""
    paired = dict.fromkeys(bare(name) for name in arrays if bare(name) != name)
    alone = [name for name in arrays if bare(name) == name]
    if not paired:
        if "is_member" not in arrays:
            raise ValueError(
                f"{path} holds {', '.join(arrays) or 'nothing'}, but not is_member; save it, too: 1 for each record that the "
                f"model trained on, 0 for others: {saving(arrays, 'is_member')}."
            )
        return dict(arrays)
    if alone:
        raise ValueError(
            f"{path} holds {alone[0]} beside {SIDES[0]}{next(iter(paired))}; give all arrays in pairs, members_<key> and "
            "nonmembers_<key>, or none, with is_member."
        )
    for key in paired:
        missing = [side + key for side in SIDES if side + key not in arrays]
        if missing:
            raise ValueError(f"{path} lacks {missing[0]}; save it beside its other half: {saving(arrays, *missing)}.")
    lengths = {side: len(_by_record(arrays[side + next(iter(paired))], next(iter(paired)))) for side in SIDES}
    for key in paired:
        for side in SIDES:
            found = len(_by_record(arrays[side + key], key))
            if found != lengths[side]:
                raise ValueError(
                    f"{side}{key} is about {found:,} records, {side}{next(iter(paired))} about {lengths[side]:,}; give "
                    "every array the same records in the same order."
                )
    is_member = np.arange(sum(lengths.values())) < lengths[SIDES[0]]
    return {"is_member": is_member, **{key: _both_sides(arrays, key) for key in paired}}


def _both_sides(arrays: Mapping[str, NDArray[Any]], key: str) -> NDArray[Any]:
    sides = [arrays[side + key] for side in SIDES]
    axis = int(key in BY_MODEL)
    widths = [side.shape[:axis] + side.shape[axis + 1 :] for side in sides]
    if widths[0] != widths[1]:
        raise ValueError(
            f"{SIDES[0]}{key} has shape {sides[0].shape} and {SIDES[1]}{key} {sides[1].shape}; all but the "
            f"{'second' if axis else 'first'} axis, the records, must agree."
        )
    return np.concatenate(sides, axis=axis)


def _by_record(array: NDArray[Any], key: str) -> NDArray[Any]:
    """The array with its records first."""
    axis = int(key in BY_MODEL)
    if array.ndim <= axis:
        form = "(shadow models, records, ...)" if axis else "(records, ...)"
        raise ValueError(f"{key} has shape {array.shape}; give {form}.")
    return np.moveaxis(array, axis, 0)


def _membership(given: NDArray[Any]) -> NDArray[np.bool_]:
    flags = given[:, 0] if given.ndim == 2 and given.shape[1] == 1 else given
    if flags.ndim != 1 or flags.dtype.kind not in "buif" or not np.isin(flags, (0, 1)).all():
        raise ValueError(
            f"is_member has shape {given.shape} and dtype {given.dtype}; give one 1 (trained on) or 0 (not) a record."
        )
    members = int(np.count_nonzero(flags))
    if not 0 < members < len(flags):
        raise ValueError(
            f"is_member says {members:,} members and {len(flags) - members:,} non-members; an attack is judged by telling one "
            "from the other, so give some of each."
        )
    return flags.astype(bool)


def _refuse_other_lengths(arrays: Mapping[str, NDArray[Any]], records: int) -> None:
    for name, array in arrays.items():
        found = len(_by_record(array, name))
        if found != records:
            turned = name in BY_MODEL and len(array) == records
            remedy = "the first axis is that of shadow models: swap the two" if turned else "give one row a record"
            raise ValueError(f"{name} has shape {array.shape}, and there are {records:,} records; {remedy}.")


def _refuse_missing(arrays: Mapping[str, NDArray[Any]], scores: bool, path: Path) -> None:
    def several(names: Iterable[str]) -> None:
        given = [name for name in names if name in arrays]
        if len(given) > 1:
            raise ValueError(f"{path} holds {' and '.join(given)}; give one of them.")

    several(ANSWERS)
    several((*SHADOW_ANSWERS, "shadow_losses"))
    several(("labels", "targets"))
    answers = next((name for name in ANSWERS if name in arrays), None)
    shadows = next((name for name in (*SHADOW_ANSWERS, "shadow_losses") if name in arrays), None)
    if not scores and answers is None and not {"losses", "entropies"} & set(arrays):
        raise ValueError(
            f"{path} holds nothing to judge; save the model's answers, with labels, its losses, or scores of your own: "
            f"{saving(arrays, 'logits', 'labels')}."
        )
    if (shadows is None) != ("trained_on" not in arrays):
        missing, there = ("trained_on", shadows) if shadows else ("shadow_logits", "trained_on")
        raise ValueError(f"{path} holds {there}, but not {missing}; save both: {saving(arrays, missing)}.")
    if shadows in SHADOW_ANSWERS and not {"labels", "targets"} & set(arrays):
        raise ValueError(f"{path} holds {shadows}, but no labels to read them by; save these, too.")
    if shadows in SHADOW_ANSWERS and answers is None:
        raise ValueError(f"{path} holds {shadows}, but not what the audited model answered; save its logits, too.")
    if shadows == "shadow_losses" and "losses" not in arrays and (answers is None or "labels" not in arrays):
        raise ValueError(f"{path} holds shadow_losses, but not the audited model's losses; save these, too.")
    if "targets" in arrays and answers != "predictions" and "losses" not in arrays:
        raise ValueError(f"{path} holds targets, but not what was predicted; save predictions, or losses.")


def _first_line(reason: Exception) -> str:
    return str(reason).partition("\n")[0].rstrip(".") or type(reason).__name__

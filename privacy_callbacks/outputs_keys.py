"""The keys that an outputs file may hold, and what is said of others."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping

ANSWERS = ("logits", "probabilities", "predictions")
SHADOW_ANSWERS = tuple(f"shadow_{name}" for name in ANSWERS)
# Axes: n records, c classes, m shadow models.
KEYS: Mapping[str, str] = {
    "is_member": "[n] 1 = trained on, 0 = not; left out where arrays come in pairs",
    "logits": "[n, c] the model's answers before softmax; [n] of a binary head",
    "probabilities": "[n, c] instead: after softmax or sigmoid",
    "predictions": "[n, c] instead: what model.predict gave, logits or probabilities",
    "labels": "[n] class numbers, or [n, c] rows of 0 and 1",
    "targets": "[n] or [n, d], of a regression, instead of labels; predictions beside them",
    "losses": "[n] each record's loss, lower = better known; instead of one computed here",
    "entropies": "[n] likewise",
    "shadow_logits": "[m, n, c] what shadow models answered; or shadow_probabilities, shadow_predictions",
    "shadow_probabilities": "",
    "shadow_predictions": "",
    "shadow_losses": "[m, n] instead: their losses",
    "trained_on": "[m, n] 1 where a shadow model trained on a record",
    "scores": "[n] or score_<name>, several: scores of your own, judged as they are; higher = more member-like",
}
SCORE, COLUMN = "score_", "column_"
SIDES = "members_", "nonmembers_"
BY_MODEL = (*SHADOW_ANSWERS, "shadow_losses", "trained_on")
_ALIASES = {
    "entropy": "entropies",
    "loss": "losses",
    "member": "is_member",
    "membership": "is_member",
    "outputs": "predictions",
    "probs": "probabilities",
    "score": "scores",
    "shadow_loss": "shadow_losses",
    "shadow_outputs": "shadow_predictions",
    "shadow_probs": "shadow_probabilities",
    "y": "labels",
    "y_pred": "predictions",
    "y_true": "labels",
}


def key_lines() -> list[str]:
    """What a file may hold, a line a key."""
    further = {f"{COLUMN}<name>": "[n] numbers or texts to slice by, with --slices <name>"}
    return [f"{name:<13} {meaning}" for name, meaning in {**KEYS, **further}.items() if meaning]


def bare(name: str) -> str:
    """The key without its side: `labels` of `members_labels`."""
    return next((name.removeprefix(side) for side in SIDES if name.startswith(side)), name)


def refuse_unknown_keys(names: Iterable[str], path: object) -> None:
    """Nothing, if a file may hold these keys.

    Raises:
      ValueError: otherwise, with the nearest.
    """
    for name in names:
        key = bare(name)
        named = any(key.startswith(prefix) and key != prefix for prefix in (SCORE, COLUMN))
        if not named and (key not in KEYS or (key == "is_member" and key != name)):
            raise ValueError(
                f"{path} holds {name}, which is no key here; {_nearest(name)}known are {', '.join(_known())}."
            )


def _known() -> list[str]:
    return [*KEYS, f"{SCORE}<name>", f"{COLUMN}<name>", "and members_<key> with nonmembers_<key>"]


def _nearest(name: str) -> str:
    """`did you mean labels? `, or nothing."""
    side, key = "", name.lower()
    for ending, beginning in (("_train", SIDES[0]), ("_test", SIDES[1]), ("_in", SIDES[0]), ("_out", SIDES[1])):
        if key.endswith(ending):
            side, key = beginning, key.removesuffix(ending)
    side = next((prefix for prefix in SIDES if key.startswith(prefix)), side)
    key = bare(key)
    near = [_ALIASES[key]] if key in _ALIASES else difflib.get_close_matches(key, KEYS, 1)
    return f"did you mean {side}{near[0]}? " if near else ""


def saving(there: Iterable[str], *missing: str) -> str:
    """How to save these keys together."""
    names = dict.fromkeys([*there, *missing])
    return f"np.savez('outputs.npz', {', '.join(f'{name}=...' for name in names)})"

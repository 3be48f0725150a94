"""Ranges of texts: what a record becomes when a few of its words or tokens are replaced, dropped or masked."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import tensorflow as tf

from privacy_callbacks.attacks.record_arrays import is_ragged

from .base_range import Pairs, Range, RangeRecords
from .content_digest import content_digest
from .edit_distance import pairs_within_edits
from .edited_places import PointDraw, chosen_ranks
from .replacements import Proposals, Propose, other_entries, vocabulary_from
from .token_rows import TokenRows, without_padding
from .word_texts import WordTexts, numbered_words

_CHOICES: dict[str, tuple[Any, ...]] = {
    "edit": ("replace", "drop", "mask"),
    "padded": ("end", "start"),
    "distance": (None, "hamming", "levenshtein"),
}


@dataclass(frozen=True, eq=False)
class Tokens(Range):
    """Token sequences (whole numbers [n, length]) or texts (strings [n] or [n, 1], words between spaces) with a few edits.

    The edited places are drawn uniformly, without replacement, among tokens that are no padding; where there are fewer, all of
    them (one is left by "drop"). A replacement is uniform over what is not there already. Edited texts have single spaces.

    A training record lies in the range if its tokens, without padding, are within `edits` by `distance`, whatever they are.

    Args:
      edits: how many places each point changes.
      vocabulary: tokens or words that replace others; for tokens also how many there are (0 … vocabulary − 1).
      edit: "replace", "drop" (what follows moves up; padding fills in) or "mask".
      mask_token: what masks; needed by "mask".
      propose: instead of a vocabulary, a function (sequences, places) -> candidates, on the host: a list of n token rows or
        texts, and int64[n, edits] (−1 = none; for texts numbers of words), to a nest [n][edits][any number] of replacements. It
        is asked once a point for all queries, before any other pass; one candidate that differs is drawn. Only these are kept,
        and the range must be bound (`at`, or `sample` of arrays).
      padding: the token that fills up; None = none.
      padded: at which end: "end" or "start".
      up_to: False = each point has exactly `edits`; True = 1 … edits, uniformly.
      distance: "hamming" (replacements alone) or "levenshtein"; None = as the edits are.
      leaf: which input of a nest holds the tokens: its name or number; None = the only one. It alone is edited and compared.
    Raises:
      ValueError: on arguments that do not fit each other.
    """

    edits: int
    vocabulary: Any = None
    edit: str = "replace"
    mask_token: Any = None
    propose: Propose | None = None
    padding: int | None = 0
    padded: str = "end"
    up_to: bool = False
    distance: str | None = None
    leaf: str | int | None = None

    kind = "tokens"

    def __post_init__(self) -> None:
        if isinstance(self.edits, bool) or not isinstance(self.edits, (int, np.integer)) or self.edits < 1:
            raise ValueError(f"edits is {self.edits!r}; give how many tokens are changed, at least 1.")
        for name, among in _CHOICES.items():
            if getattr(self, name) not in among:
                raise ValueError(f"{name} is {getattr(self, name)!r}; give one of {', '.join(map(repr, among))}.")
        if (self.edit == "mask") != (self.mask_token is not None):
            raise ValueError(
                f"edit is {self.edit!r} and mask_token {self.mask_token!r}; edit='mask' takes one, others none."
            )
        sources = [self.vocabulary is not None, self.propose is not None]
        if sum(sources) != (self.edit == "replace"):
            raise ValueError(
                f"edit is {self.edit!r} with {'a' if sources[0] else 'no'} vocabulary and {'a' if sources[1] else 'no'} propose; "
                "give one of the two to replace tokens, none otherwise."
            )
        if self.vocabulary is not None:
            object.__setattr__(self, "vocabulary", vocabulary_from(self.vocabulary, self.padding))
        if self.edit == "mask" and self.mask_token == self.padding:
            raise ValueError(
                f"mask_token and padding are both {self.mask_token!r}: what is masked would be gone; give two, or padding=None."
            )
        if self.distance is None:
            object.__setattr__(self, "distance", "levenshtein" if self.edit == "drop" else "hamming")
        object.__setattr__(self, "_proposals", None)

    @property
    def digest(self) -> str:
        """See `Range.digest`; of the settings alone."""
        return content_digest(type(self).__qualname__, {one.name: getattr(self, one.name) for one in fields(self)})

    def check(self, x: Any) -> None:
        """See `Range.check`."""
        held = self._tokens_of(x)
        if is_ragged(held):
            raise ValueError("the tokens are ragged; pad them to one length, with padding= for what fills up.")
        texts = held.dtype.kind in "OSU"
        if held.dtype.kind in "iu":
            if held.ndim != 2:
                raise ValueError(f"tokens have shape {held.shape}; give whole numbers [n, length].")
            if self.edit == "drop" and self.padding is None:
                raise ValueError("edit='drop' leaves room behind; give padding=, the token that fills it.")
        elif not (texts and held.shape[1:] in ((), (1,))):
            raise ValueError(
                f"inputs of type {held.dtype} and shape {held.shape} are no tokens; give whole numbers [n, length] or strings "
                "[n], and with several inputs say which by leaf=."
            )
        if not texts:
            self._check_numbers(held.dtype)
        first = None if self.vocabulary is None else self.vocabulary.tolist()[0]
        for what, given in (("mask_token", self.mask_token), ("vocabulary", first)):
            if given is not None and isinstance(given, (str, bytes)) != texts:
                raise ValueError(
                    f"{what} holds {given!r}, the inputs are {'texts' if texts else 'whole numbers'}; give the same kind."
                )

    def _check_numbers(self, dtype: Any) -> None:
        limits = np.iinfo(dtype)
        entries = [] if self.vocabulary is None else self.vocabulary.tolist()
        for entry in (*entries, self.mask_token, self.padding):
            if isinstance(entry, (int, np.integer)) and not limits.min <= entry <= limits.max:
                raise ValueError(
                    f"token {entry} does not fit the inputs' type {dtype}; give tokens of that type, or wider inputs."
                )

    def at(self, centres: RangeRecords) -> Tokens:
        """A copy that can ask `propose`; itself without it."""
        self.check(centres.x)
        if self.propose is None:
            return self
        bound = copy.copy(self)
        proposals = Proposals(self.propose, self._tokens_of(centres.x), self._chosen)
        object.__setattr__(bound, "_proposals", proposals)
        return bound

    def draw(self, x: Any, q: int, index: Any, seed: int, first: Any = 0) -> Any:
        """See `Range.draw`."""
        leaves, place = tf.nest.flatten(x), self._place(x)
        held, ranks, valid = self._chosen(leaves[place], index, seed, first)
        if self.edit == "drop":
            made = held.without(ranks, valid)
        else:
            point = PointDraw(seed, index, tf.shape(ranks)[0], first)
            made = held.replaced(ranks, valid, self._replacements(held.at(ranks), q, point))
        leaves[place] = tf.ensure_shape(made, leaves[place].shape)
        return tf.nest.pack_sequence_as(x, leaves)

    def pairs(self, x: Any, training: Any) -> Iterator[Pairs]:
        """See the class."""
        sides = [self._tokens_of(side) for side in (x, training)]
        texts = [side.dtype.kind in "OSU" for side in sides]
        if texts[0] != texts[1]:
            raise ValueError(
                f"training inputs are of type {sides[1].dtype}, queries of {sides[0].dtype}; give one kind."
            )
        numbers: dict[bytes, int] = {}
        left, right = (
            numbered_words(side, numbers) if texts[0] else without_padding(side, self.padding) for side in sides
        )
        for rows, hits in pairs_within_edits(left, right, int(self.edits), str(self.distance)):
            yield Pairs(rows, hits, np.ones(len(rows), bool))

    def _chosen(self, held: Any, index: Any, seed: int, first: Any = 0) -> tuple[Any, Any, Any]:
        """These token rows or texts (a tensor), and the ranks of their tokens that a point edits, see `chosen_ranks`."""
        found = WordTexts(held) if held.dtype == tf.string else TokenRows(held, self.padding, self.padded)
        point = PointDraw(seed, index, tf.shape(held)[0], first)
        return found, *chosen_ranks(found.counts, int(self.edits), point, int(self.edit == "drop"), self.up_to)

    def _replacements(self, current: Any, q: int, point: PointDraw) -> Any:
        """What replaces these tokens or words [n, edits]."""
        if self.edit == "mask":
            return tf.fill(tf.shape(current), tf.constant(self.mask_token))
        if self.propose is None:
            return other_entries(self.vocabulary, current, point)
        proposals: Proposals | None = vars(self)["_proposals"]
        if proposals is None:
            raise ValueError(
                "propose= asks about all queries at once; bind the range to them: range.at(RangeRecords(x))."
            )
        return proposals.of_point(q, point)

    def _place(self, x: Any) -> int:
        """The number of the leaf that holds the tokens."""
        leaves = tf.nest.flatten(x)
        if self.leaf is None:
            if len(leaves) != 1:
                raise ValueError(
                    f"there are {len(leaves)} inputs; say by leaf= which holds the tokens, its name or number."
                )
            return 0
        if isinstance(self.leaf, str):
            if not isinstance(x, dict) or self.leaf not in x:
                raise ValueError(
                    f"leaf is {self.leaf!r}, but inputs are {sorted(x) if isinstance(x, dict) else 'unnamed'}."
                )
            numbered = tf.nest.pack_sequence_as(x, list(range(len(leaves))))
            return int(numbered[self.leaf])
        if not 0 <= self.leaf < len(leaves):
            raise ValueError(f"leaf is {self.leaf}, but there are {len(leaves)} inputs; count from 0.")
        return int(self.leaf)

    def _tokens_of(self, x: Any) -> np.ndarray:
        return np.asarray(tf.nest.flatten(x)[self._place(x)])

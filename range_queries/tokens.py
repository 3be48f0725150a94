"""Ranges of texts: what a record becomes when a few of its words or tokens are replaced, dropped or masked."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from privacy_callbacks.attacks.record_arrays import is_ragged

from . import seeded_draws
from .base_range import Pairs, Range, RangeRecords
from .content_digest import content_digest
from .edit_distance import Sequences, pairs_within_edits

_PLACES, _FIRST, _SECOND, _COUNT, _PROPOSED = range(5)  # streams of random numbers


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
    propose: Callable[[list[Any], NDArray[np.int64]], Any] | None = None
    padding: int | None = 0
    padded: str = "end"
    up_to: bool = False
    distance: str | None = None
    leaf: str | int | None = None

    kind = "tokens"

    def __post_init__(self) -> None:
        if isinstance(self.edits, bool) or not isinstance(self.edits, (int, np.integer)) or self.edits < 1:
            raise ValueError(f"edits is {self.edits!r}; give how many tokens are changed, at least 1.")
        choices = {
            "edit": ("replace", "drop", "mask"),
            "padded": ("end", "start"),
            "distance": (None, "hamming", "levenshtein"),
        }
        for name, among in choices.items():
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
            object.__setattr__(self, "vocabulary", _vocabulary(self.vocabulary, self.padding))
        if self.distance is None:
            object.__setattr__(self, "distance", "levenshtein" if self.edit == "drop" else "hamming")
        self._keep(None)

    @property
    def digest(self) -> str:
        """See `Range.digest`; of the settings alone."""
        return content_digest(type(self).__qualname__, {one.name: getattr(self, one.name) for one in fields(self)})

    def check(self, x: Any) -> None:
        """See `Range.check`."""
        held = self._tokens_of(x)
        if is_ragged(held):
            raise ValueError("the tokens are ragged; pad them to one length, with padding= for what fills up.")
        if held.dtype.kind in "iu":
            if held.ndim != 2:
                raise ValueError(f"tokens have shape {held.shape}; give whole numbers [n, length].")
            if self.edit == "drop" and self.padding is None:
                raise ValueError("edit='drop' leaves room behind; give padding=, the token that fills it.")
        elif not (held.dtype.kind in "OSU" and held.shape[1:] in ((), (1,))):
            raise ValueError(
                f"inputs of type {held.dtype} and shape {held.shape} are no tokens; give whole numbers [n, length] or strings "
                "[n], and with several inputs say which by leaf=."
            )
        texts = held.dtype.kind in "OSU"
        given = (
            self.mask_token if self.edit == "mask" else None if self.vocabulary is None else self.vocabulary.tolist()[0]
        )
        if given is not None and isinstance(given, (str, bytes)) != texts:
            what = "mask_token" if self.edit == "mask" else "vocabulary"
            raise ValueError(
                f"{what} holds {given!r}, the inputs are {'texts' if texts else 'whole numbers'}; give the same kind."
            )

    def at(self, centres: RangeRecords) -> Tokens:
        """A copy that can ask `propose`; itself without it."""
        self.check(centres.x)
        if self.propose is None:
            return self
        bound = dataclasses.replace(self)
        bound._keep(self._tokens_of(centres.x))
        return bound

    def draw(self, x: Any, q: int, index: Any, seed: int, first: Any = 0) -> Any:
        """See `Range.draw`."""
        leaves, place = tf.nest.flatten(x), self._place(x)
        held = leaves[place]
        if held.dtype == tf.string:
            texts = tf.reshape(held, [-1])
            made = tf.reshape(self._edited_texts(texts, q, index, seed, first), tf.shape(held))
        else:
            made = self._edited_tokens(held, q, index, seed, first)
        leaves[place] = tf.ensure_shape(made, held.shape)
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
        left, right = (_words(side, numbers) if texts[0] else _without_padding(side, self.padding) for side in sides)
        for rows, hits in pairs_within_edits(left, right, int(self.edits), str(self.distance)):
            yield Pairs(rows, hits, np.ones(len(rows), bool))

    def _edited_tokens(self, held: Any, q: int, index: Any, seed: int, first: Any) -> Any:
        rows = tf.shape(held)[0]
        ranks, valid = self._chosen_places(self._token_counts(held), index, seed, rows, first)
        places = self._places_of(held, ranks)
        at = tf.stack([tf.broadcast_to(tf.range(rows)[:, tf.newaxis], tf.shape(places)), places], axis=2)
        if self.edit == "drop":
            return self._shortened(held, at, valid)
        current = tf.gather(held, places, batch_dims=1)
        new = tf.cast(self._replacements(current, q, index, seed, first), held.dtype)
        changed = tf.where(valid, new, current)
        # Places that are not valid repeat others: they must not be written.
        return tf.tensor_scatter_nd_update(held, tf.boolean_mask(at, valid), tf.boolean_mask(changed, valid))

    def _shortened(self, held: Any, at: Any, valid: Any) -> Any:
        dropped = tf.scatter_nd(at, tf.cast(valid, tf.int32), tf.shape(held)) > 0
        length = tf.shape(held)[1]
        target = tf.cumsum(tf.cast(~dropped, tf.int32), axis=1) - 1
        if self.padded == "start":
            target += tf.reduce_sum(tf.cast(dropped, tf.int32), axis=1, keepdims=True)
        rows = tf.broadcast_to(tf.range(tf.shape(held)[0])[:, tf.newaxis], tf.shape(held))
        kept = tf.boolean_mask(tf.stack([rows, target], axis=2), ~dropped)
        empty = tf.fill([tf.shape(held)[0], length], tf.cast(self.padding, held.dtype))
        return tf.tensor_scatter_nd_update(empty, kept, tf.boolean_mask(held, ~dropped))

    def _edited_texts(self, texts: Any, q: int, index: Any, seed: int, first: Any) -> Any:
        words = tf.strings.split(texts)
        counts = words.row_lengths()
        ranks, valid = self._chosen_places(counts, index, seed, tf.shape(texts)[0], first)
        total = tf.size(words.values, tf.int64)
        places = tf.where(valid, words.row_starts()[:, tf.newaxis] + ranks, total)
        written = tf.boolean_mask(places, valid)[:, tf.newaxis]
        if self.edit == "drop":
            dropped = tf.scatter_nd(written, tf.ones_like(written[:, 0]), [total]) > 0
            edited = tf.ragged.boolean_mask(words, words.with_values(~dropped))
        else:
            current = tf.gather(tf.concat([words.values, [""]], 0), places)
            new = self._replacements(current, q, index, seed, first)
            edited = words.with_values(tf.tensor_scatter_nd_update(words.values, written, tf.boolean_mask(new, valid)))
        return tf.strings.reduce_join(edited, axis=-1, separator=" ")

    def _chosen_places(self, counts: Any, index: Any, seed: int, rows: Any, first: Any) -> tuple[Any, Any]:
        """int64[rows, edits] among the tokens 0 … count − 1, and which of them are to be edited.

        Floyd's sampling: as many random numbers as edits, however long the sequence. Bentley & Floyd 1987.
        """
        edits, counts = int(self.edits), tf.cast(counts, tf.int64)[:, tf.newaxis]
        wanted = tf.minimum(counts - 1 if self.edit == "drop" else counts, edits)
        if self.up_to:
            wanted = tf.minimum(wanted, 1 + seeded_draws.whole_numbers(edits, (1,), seed, index, rows, first, _COUNT))
        steps = tf.range(edits, dtype=tf.int64)[tf.newaxis]
        valid = steps < wanted
        last = tf.where(valid, counts - wanted + steps, 0)
        drawn = seeded_draws.whole_numbers(last + 1, (edits,), seed, index, rows, first, _PLACES)
        chosen: list[Any] = []
        for step in range(edits):
            one = drawn[:, step]
            if chosen:
                taken = tf.reduce_any(tf.stack(chosen, axis=1) == one[:, tf.newaxis], axis=1)
                one = tf.where(taken, last[:, step], one)
            chosen.append(tf.where(valid[:, step], one, -1))
        return tf.maximum(tf.stack(chosen, axis=1), 0), valid

    def _token_counts(self, held: Any) -> Any:
        if self.padding is None:
            return tf.fill([tf.shape(held)[0]], tf.shape(held)[1])
        return tf.reduce_sum(tf.cast(held != tf.cast(self.padding, held.dtype), tf.int32), axis=1)

    def _places_of(self, held: Any, ranks: Any) -> Any:
        """int32[rows, edits], where the tokens of these ranks, padding left out, stand."""
        if self.padding is None:
            return tf.cast(ranks, tf.int32)
        reached = tf.cumsum(tf.cast(held != tf.cast(self.padding, held.dtype), tf.int64), axis=1)
        return tf.minimum(tf.searchsorted(reached, ranks + 1), tf.shape(held)[1] - 1)

    def _replacements(self, current: Any, q: int, index: Any, seed: int, first: Any) -> Any:
        """What replaces these tokens or words [rows, edits]."""
        rows = tf.shape(current)[0]
        if self.edit == "mask":
            return tf.fill(tf.shape(current), tf.constant(self.mask_token))
        if self.propose is not None:
            table = self._proposals(q, seed)
            own = tf.minimum(first + tf.range(rows), tf.shape(table)[0] - 1)
            return tf.gather_nd(table, tf.stack([own, tf.fill([rows], tf.cast(index, tf.int32))], axis=1))
        known, edits = tf.constant(self.vocabulary), (int(self.edits),)
        size = len(self.vocabulary)
        one = seeded_draws.whole_numbers(size, edits, seed, index, rows, first, _FIRST)
        other = seeded_draws.whole_numbers(size - 1, edits, seed, index, rows, first, _SECOND)
        # A draw that hits what is there already is made again among the others: uniform over all that differ.
        again = tf.gather(known, other + tf.cast(other >= one, tf.int64))
        drawn = tf.gather(known, one)
        return tf.where(drawn == tf.cast(current, drawn.dtype), again, drawn)

    def _proposals(self, q: int, seed: int) -> Any:
        """[n, q, edits], outside of any graph."""
        centres, tables = vars(self)["_bound"]
        if centres is None:
            raise ValueError(
                "propose= asks about all queries at once; bind the range to them: range.at(RangeRecords(x))."
            )
        if (q, seed) not in tables:
            with tf.init_scope():
                points = [self._proposed(centres, index, seed) for index in range(q)]
                tables[q, seed] = tf.convert_to_tensor(np.stack(points, axis=1))
        return tables[q, seed]

    def _proposed(self, centres: np.ndarray, index: int, seed: int) -> np.ndarray:
        assert self.propose is not None
        rows = len(centres)
        texts = centres.dtype.kind in "OSU"
        flat = centres.reshape(-1) if texts else centres
        sequences = [_text(one) for one in flat] if texts else list(flat)
        split = [text.encode().split() for text in sequences] if texts else []
        counts = tf.constant([len(one) for one in split], tf.int64) if texts else self._token_counts(tf.constant(flat))
        ranks, valid = self._chosen_places(counts, index, seed, rows, 0)
        places = np.where(valid, ranks if texts else self._places_of(tf.constant(flat), ranks), -1).astype(np.int64)
        candidates = self.propose(list(sequences), places.copy())
        drawn = seeded_draws.uniform((int(self.edits),), seed, index, rows, 0, _PROPOSED).numpy()
        if len(candidates) != rows or any(
            len(one) < (place >= 0).sum() for one, place in zip(candidates, places, strict=True)
        ):
            raise ValueError(
                f"propose returned candidates for {len(candidates)} sequences of {rows}, or for too few places of one; return "
                "a nest [n][edits][any number]."
            )
        found = np.empty(places.shape, object if texts else flat.dtype)
        for row, edit in np.ndindex(*places.shape):
            place = places[row, edit]
            if place < 0:
                found[row, edit] = b"" if texts else 0
                continue
            current: Any = split[row][place] if texts else flat[row, place]
            options = [_as_bytes(one) if texts else int(one) for one in candidates[row][edit]]
            options = [one for one in options if one != current] or [current]
            found[row, edit] = options[int(drawn[row, edit] * len(options))]
        return found

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

    def _keep(self, centres: np.ndarray | None) -> None:
        object.__setattr__(self, "_bound", (centres, {}))


def _vocabulary(given: Any, padding: int | None) -> np.ndarray:
    counted = isinstance(given, (int, np.integer)) and not isinstance(given, bool)
    held = np.arange(given, dtype=np.int64) if counted else np.asarray(given)
    if held.ndim != 1 or held.dtype.kind not in "iuUSO":
        raise ValueError(f"vocabulary is {given!r}; give a list of words or tokens, or how many tokens there are.")
    if held.dtype.kind in "iu":
        held = held[held != padding] if padding is not None else held
        held = held.astype(np.int64)
    else:
        held = np.array([_text(one) for one in held], object)
        if any(len(one.encode().split()) != 1 for one in held):
            raise ValueError("vocabulary holds entries that are no single words; give words without spaces.")
    if len(held) < 2 or len(set(held.tolist())) < len(held):
        raise ValueError(
            f"vocabulary has {len(set(held.tolist()))} different entries among {len(held)}, padding apart; give at least 2, each "
            "once."
        )
    return held


def _text(value: Any) -> str:
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)


def _as_bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()


def _words(texts: np.ndarray, numbers: dict[bytes, int]) -> Sequences:
    """Words as numbers, the same for the same word of either side."""
    split = [_text(one).encode("utf-8", "surrogateescape").split() for one in texts.reshape(-1)]
    lengths = np.array([len(one) for one in split], np.int64)
    tokens = np.zeros((len(split), int(lengths.max(initial=0))), np.int64)
    filled = np.arange(tokens.shape[1]) < lengths[:, None]
    tokens[filled] = [numbers.setdefault(word, len(numbers) + 1) for one in split for word in one]
    return Sequences(tokens, lengths)


def _without_padding(tokens: np.ndarray, padding: int | None) -> Sequences:
    used = np.ones(tokens.shape, bool) if padding is None else tokens != padding
    lengths = used.sum(axis=1)
    packed = np.zeros(tokens.shape, np.int64)
    packed[np.arange(tokens.shape[1]) < lengths[:, None]] = tokens[used]
    return Sequences(packed, lengths.astype(np.int64))

"""What replaces tokens or words: another of a vocabulary, or one of those that a user's function proposes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray

from .edited_places import FIRST, PROPOSED, SECOND, PointDraw
from .word_texts import text_of, words_of

Propose = Callable[[list[Any], NDArray[np.int64]], Any]


def vocabulary_from(given: Any, padding: int | None) -> np.ndarray:
    """int64[size] or str[size], without padding.

    Raises:
      ValueError: if it is neither a list of words or tokens nor how many tokens there are; on fewer than 2, or on repetitions.
    """
    counted = isinstance(given, (int, np.integer)) and not isinstance(given, bool)
    held = np.arange(given, dtype=np.int64) if counted else np.asarray(given)
    if held.ndim != 1 or held.dtype.kind not in "iuUSO":
        raise ValueError(f"vocabulary is {given!r}; give a list of words or tokens, or how many tokens there are.")
    if held.dtype.kind in "iu":
        held = (held if padding is None else held[held != padding]).astype(np.int64)
    else:
        held = np.array([text_of(one) for one in held], object)
        if any(len(words_of(one)) != 1 for one in held):
            raise ValueError("vocabulary holds entries that are no single words; give words without spaces.")
    if len(held) < 2 or len(set(held.tolist())) < len(held):
        raise ValueError(
            f"vocabulary has {len(set(held.tolist()))} different entries among {len(held)}, padding apart; give at least 2, each "
            "once."
        )
    return held


def other_entries(vocabulary: np.ndarray, current: Any, point: PointDraw) -> Any:
    """[n, edits] of the vocabulary, uniform over what differs from the current tokens [n, edits]."""
    known, size, edits = tf.constant(vocabulary), len(vocabulary), current.shape[1]
    one = point.whole_numbers(size, edits, FIRST)
    other = point.whole_numbers(size - 1, edits, SECOND)
    # A draw that hits what is there already is made again among the others: uniform over all that differ.
    again = tf.gather(known, other + tf.cast(other >= one, tf.int64))
    drawn = tf.gather(known, one)
    return tf.where(drawn == tf.cast(current, drawn.dtype), again, drawn)


class Proposals:
    """What a function proposes for all queries, asked for once a point and kept.

    Args:
      propose: see `Tokens`.
      centres: the queries' token rows or texts.
      chosen: (centres, index, seed) -> the sequences (`TokenRows` or `WordTexts`), ranks, valid: which tokens a point edits.
    """

    def __init__(
        self, propose: Propose, centres: np.ndarray, chosen: Callable[[Any, int, int], tuple[Any, Any, Any]]
    ) -> None:
        self._propose, self._centres, self._chosen = propose, centres, chosen
        self._tables: dict[tuple[int, int], Any] = {}

    def of_point(self, q: int, point: PointDraw) -> Any:
        """[rows, edits], what replaces the tokens of these records; of q points all are asked for at the first."""
        if (q, point.seed) not in self._tables:
            with tf.init_scope():
                points = [self._asked(index, point.seed) for index in range(q)]
                self._tables[q, point.seed] = tf.convert_to_tensor(np.stack(points, axis=1))
        table = self._tables[q, point.seed]
        own = tf.minimum(point.first + tf.range(point.rows), tf.shape(table)[0] - 1)
        return tf.gather_nd(table, tf.stack([own, tf.fill([point.rows], tf.cast(point.index, tf.int32))], axis=1))

    def _asked(self, index: int, seed: int) -> np.ndarray:
        centres, texts = self._centres, self._centres.dtype.kind in "OSU"
        held, ranks, valid = self._chosen(tf.convert_to_tensor(centres), index, seed)
        places = np.where(valid, held.places(ranks), -1).astype(np.int64)
        given = [text_of(one) for one in centres.reshape(-1)] if texts else list(centres)
        candidates = self._propose(given, places.copy())
        _check_candidates(candidates, places)
        current = held.at(ranks).numpy()
        drawn = PointDraw(seed, index, len(places)).uniform(places.shape[1], PROPOSED).numpy()
        found = np.zeros(places.shape, centres.dtype)
        if texts:
            found = np.full(places.shape, b"", object)
        for row, edit in zip(*np.nonzero(places >= 0), strict=True):
            options = [_as_bytes(one) if texts else int(one) for one in candidates[row][edit]]
            options = [one for one in options if one != current[row, edit]] or [current[row, edit]]
            found[row, edit] = options[int(drawn[row, edit] * len(options))]
        return found


def _check_candidates(candidates: Any, places: np.ndarray) -> None:
    wanted = (places >= 0).sum(axis=1)
    if len(candidates) != len(places) or any(len(one) < count for one, count in zip(candidates, wanted, strict=True)):
        raise ValueError(
            f"propose returned candidates for {len(candidates)} sequences of {len(places)}, or for too few places of one; return "
            "a nest [n][edits][any number]."
        )


def _as_bytes(value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode()

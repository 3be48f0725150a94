"""Texts, words between spaces: texts with some words replaced or dropped, and words as numbers."""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

from .edit_distance import Sequences


class WordTexts:
    """Texts in a graph or without one; edited ones have single spaces. Words are named by ranks, 0 for the first of a text.

    Args:
      held: strings [n] or [n, 1].
    Attributes:
      counts: int64[n], how many words a text has.
    """

    def __init__(self, held: Any) -> None:
        self._shape = tf.shape(held)
        self._words = tf.strings.split(tf.reshape(held, [-1]))
        self.counts = self._words.row_lengths()

    def places(self, ranks: Any) -> Any:
        """[n, edits]: places of words are their ranks."""
        return ranks

    def at(self, ranks: Any) -> Any:
        """strings [n, edits], the words of these ranks; an empty text has some other's, or none."""
        return tf.gather(tf.concat([self._words.values, [""]], 0), self._words.row_starts()[:, tf.newaxis] + ranks)

    def replaced(self, ranks: Any, valid: Any, new: Any) -> Any:
        """Texts with new words at valid ranks."""
        values = tf.tensor_scatter_nd_update(self._words.values, self._cells(ranks, valid), tf.boolean_mask(new, valid))
        return self._joined(self._words.with_values(values))

    def without(self, ranks: Any, valid: Any) -> Any:
        """Texts without the words at valid ranks."""
        cells = self._cells(ranks, valid)
        dropped = tf.scatter_nd(cells, tf.ones_like(cells[:, 0]), tf.shape(self._words.values, tf.int64)) > 0
        return self._joined(tf.ragged.boolean_mask(self._words, self._words.with_values(~dropped)))

    def _cells(self, ranks: Any, valid: Any) -> Any:
        """int64[cells, 1], numbers of the words at valid ranks among all words."""
        return tf.boolean_mask(self._words.row_starts()[:, tf.newaxis] + ranks, valid)[:, tf.newaxis]

    def _joined(self, words: Any) -> Any:
        return tf.reshape(tf.strings.reduce_join(words, axis=-1, separator=" "), self._shape)


def text_of(value: Any) -> str:
    """Text from text or bytes, whatever these are."""
    return value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else str(value)


def words_of(text: Any) -> list[bytes]:
    """Split as a graph splits: at spaces of ASCII."""
    return text_of(text).encode("utf-8", "surrogateescape").split()


def numbered_words(texts: np.ndarray, numbers: dict[bytes, int]) -> Sequences:
    """Words as numbers from 1.

    Args:
      texts: n texts.
      numbers: those given so far; new words are added.
    """
    split = [words_of(one) for one in texts.reshape(-1)]
    lengths = np.array([len(one) for one in split], np.int64)
    tokens = np.zeros((len(split), int(lengths.max(initial=0))), np.int64)
    filled = np.arange(tokens.shape[1]) < lengths[:, None]
    tokens[filled] = [numbers.setdefault(word, len(numbers) + 1) for one in split for word in one]
    return Sequences(tokens, lengths)

"""Records as a source gives them."""

from __future__ import annotations

from typing import Any, NamedTuple

from numpy.typing import NDArray


class Records(NamedTuple):
    """All records of a source.

    Attributes:
      x, y: [n, ...].
      ids: [n], or None.
      owners: [n], or None.
    """

    x: NDArray[Any]
    y: NDArray[Any]
    ids: NDArray[Any] | None = None
    owners: NDArray[Any] | None = None

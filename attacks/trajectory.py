"""Which members the model had to memorise: how far a record's loss travelled during training."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray


def loss_iqr(losses: ArrayLike) -> NDArray[np.float64]:
    """LT-IQR: the interquartile range of each record's loss over the audits.

    A ranking of risk *among members*, not a membership score: a typical record is learned early and once, a record that
    must be memorised keeps a high loss for long.

    Args:
      losses: float[t, n], a record's loss (or its negative) at each of t audits.
    Returns:
      float[n] in the loss's unit, higher = more at risk.
    Raises:
      ValueError: if it is not [t, n] with t >= 1.
    Source: arXiv:2411.05743.
    """
    values = np.asarray(losses, dtype=np.float64)
    if values.ndim != 2 or len(values) == 0:
        raise ValueError(f"losses has shape {values.shape}; give (audits, records) with at least one audit.")
    with np.errstate(invalid="ignore"):
        low, high = np.quantile(values, (0.25, 0.75), axis=0)
        travelled = high - low
    # A loss that was infinite in a quarter of the audits travelled as far as can be.
    return np.where(np.isnan(travelled), np.inf, travelled)

"""Does `fit` train on what the coins said? Only then does the split's ε speak of this training."""

from __future__ import annotations

from typing import Any

import keras
import numpy as np
import tensorflow as tf

from privacy_callbacks.attacks.canary_split import CanarySplit, count_records
from privacy_callbacks.attacks.duplicates import record_hashes

from .fit_doubts import FitCall, batch_size_of

_REMEDY = "what was dealt by coins is then not what decides who is a member; fit on split.training_set, all of it"


def doubt_about_split(split: CanarySplit, steps: int | None, fit: FitCall) -> str | None:
    """Why the coins do not decide who is trained on in this fit; None if nothing speaks against it.

    Arrays are compared record by record, whatever their order; of a data set only the number of steps is looked at.

    Args:
      split: whose training set it should be.
      steps: of an epoch, if known.
      fit: from `current_fit`.
    """
    wanted = count_records(split.training_set, "training_set")
    x, y = fit.arguments.get("x"), fit.arguments.get("y")
    # Within fit Keras' own names: x may be a data set made of the arrays by now.
    if x is None or y is None or isinstance(x, (tf.data.Dataset, keras.utils.PyDataset)) or hasattr(x, "__next__"):
        # Told how many steps to take, an epoch is no pass over the data.
        passes = fit.arguments.get("steps_per_epoch") is None
        return _doubt_by_steps(wanted, steps, batch_size_of(fit)) if passes else None
    try:
        given, trained = (
            record_hashes(tf.nest.map_structure(_as_array, side)) for side in ((x, y), split.training_set)
        )
    except (TypeError, ValueError):
        return None  # in another form than the split's
    if len(given) != len(trained):
        return f"fit is given {len(given):,} records, and the split's training set has {len(trained):,}: {_REMEDY}"
    strange = int(np.count_nonzero(~np.isin(given, trained)))
    if strange:
        return f"{strange:,} of the {len(given):,} records that fit is given are none of the split's training set: {_REMEDY}"
    return None


def _as_array(leaf: Any) -> Any:
    return leaf.numpy() if isinstance(leaf, tf.Tensor) else np.asarray(leaf)


def _doubt_by_steps(wanted: int, steps: int | None, batch: Any) -> str | None:
    if not steps or not batch:
        return None
    times = max(1, round(steps * batch / wanted))  # of a data set that repeats
    fitting = {
        -(-times * wanted // batch),
        times * wanted // batch,
        times * -(-wanted // batch),
        times * (wanted // batch),
    }
    if steps in fitting:
        return None
    return f"an epoch of fit has {steps:,} steps of {batch:,} records, and the split's training set has {wanted:,}: {_REMEDY}"

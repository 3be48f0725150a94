"""A tiny network that memorises wrong labels of real digits, watched; and one that learned from other digits."""

from __future__ import annotations

import os
import tempfile
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Side = tuple[NDArray[np.float32], NDArray[np.int64]]

SIDE = 400
SHADOW_MODELS, QUERIES = 4, 4
_EPOCHS, _BATCH = 40, 50
_WRONG = 0.4  # of labels: what cannot be understood must be memorised
_RADIUS, _MOVED = 0.5, 0.3


class Workshop:
    """What the checks look at, made when first asked for; what cannot be made says why to each check that asks.

    Args:
      seed: decides records, labels, weights and points.
      log_dir: where TensorBoard's files go.
    """

    def __init__(self, seed: int, log_dir: str | os.PathLike[str]) -> None:
        self._seed, self._log_dir = seed, log_dir
        self._made: dict[str, Any] = {}

    @property
    def sides(self) -> tuple[Side, Side, Side]:
        """Members of the leaking model, records that no model saw, and members of the clean one: digits drawn from one pool."""
        return self._once("sides", self._drawn)

    @property
    def watched(self) -> Any:
        """The `MIACallback` of the leaking model, after its fit."""
        return self._once("watched", self._fitted)

    @property
    def model(self) -> Any:
        """The leaking model."""
        return self.watched.model

    @property
    def clean(self) -> list[Any]:
        """Reports on the model that learned from other digits, as if it had been trained on the first side."""
        return self._once("clean", self._audited)

    @property
    def logs(self) -> Path:
        """The folder that the fit wrote into.

        Raises:
          OSError, ValueError: if it could not.
        """
        return self._once("logs", self._writable)

    def _once(self, name: str, make: Callable[[], Any]) -> Any:
        if name not in self._made:
            try:
                self._made[name] = make()
            except Exception as reason:
                self._made[name] = reason
        found = self._made[name]
        if isinstance(found, Exception):
            raise found
        return found

    def _drawn(self) -> tuple[Side, Side, Side]:
        from sklearn.datasets import load_digits

        held = load_digits()
        rng = np.random.default_rng([self._seed, 0x5E1F])
        order = rng.permutation(len(held.target))
        x, digits = (held.data[order] / 16).astype(np.float32), held.target[order].astype(np.int64)
        wrong = rng.random(len(digits)) < _WRONG
        y = np.where(wrong, (digits + rng.integers(1, 10, len(digits))) % 10, digits)
        parts = [slice(number * SIDE, (number + 1) * SIDE) for number in range(3)]
        return (x[parts[0]], y[parts[0]]), (x[parts[1]], y[parts[1]]), (x[parts[2]], y[parts[2]])

    def _writable(self) -> Path:
        from .tensorboard_log import check_writable

        check_writable(self._log_dir, "the folder for TensorBoard's files")
        Path(self._log_dir).mkdir(parents=True, exist_ok=True)
        return Path(tempfile.mkdtemp(prefix="selfcheck-", dir=self._log_dir))

    def _fitted(self) -> Any:
        from privacy_callbacks.attacks.lira import LiRA
        from privacy_callbacks.attacks.rmia import RMIA
        from privacy_callbacks.attacks.shadow_models import ShadowModels
        from privacy_callbacks.attacks.threshold import Threshold
        from privacy_callbacks.range_queries.lp_ball import LpBall
        from privacy_callbacks.range_queries.ramia import RaMIA

        from .mia_callback import MIACallback

        try:
            log_dir: Path | None = self.logs
        except (OSError, ValueError):  # said by the check of the logs
            log_dir = None
        members, others, _ = self.sides
        near = RaMIA(RMIA(), LpBall(_RADIUS), queries=QUERIES, centre=LpBall(_MOVED), seed=self._seed)
        watch = MIACallback(
            members,
            others,
            attacks=[Threshold("loss"), LiRA(), RMIA(), near],
            # One engine, not the fastest of several: those differ in the last digits.
            shadow_models=ShadowModels(SHADOW_MODELS, engine="stacked", seed=self._seed),
            every=_EPOCHS // 2,
            log_dir=log_dir,
            seed=self._seed,
            on_error="raise",
        )
        with _undisturbed():
            _network(self._seed).fit(*members, callbacks=[watch], **_fit())
        return watch

    def _audited(self) -> list[Any]:
        from privacy_callbacks.attacks.shadow_models import ShadowModels

        from .after_the_fact import audit

        members, others, elsewhere = self.sides
        model = _network(self._seed)
        plan = ShadowModels(SHADOW_MODELS, epochs=_EPOCHS // 2, batch_size=_BATCH, engine="stacked", seed=self._seed)
        with _undisturbed():
            model.fit(*elsewhere, **_fit())
            return audit(model, members, others, shadow_models=plan, seed=self._seed, verbose=0)


def _undisturbed() -> Any:
    """Within it nobody is told that so few records cannot show everything: that is known here."""
    return warnings.catch_warnings(action="ignore")


def _fit() -> dict[str, Any]:
    return {"epochs": _EPOCHS, "batch_size": _BATCH, "shuffle": False, "verbose": 0}


def _network(seed: int) -> Any:
    """A compiled MLP; its weights come from seeds of their own, and nobody's random state is touched."""
    import keras

    first, second = (keras.initializers.GlorotUniform(2 * seed + place) for place in (1, 2))
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((64,)),
            layers.Dense(64, activation="relu", kernel_initializer=first),
            layers.Dense(10, kernel_initializer=second),
        ]
    )
    model.compile(keras.optimizers.Adam(1e-2), keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    return model

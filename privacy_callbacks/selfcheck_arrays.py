"""Checks of the statistics, on arrays: no model, nothing that a device could round differently."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from privacy_callbacks.attacks.epsilon import epsilon_lower_bound
from privacy_callbacks.attacks.unlearning_outcome import unlearning_report

from .selfcheck import Check, Fault

# Of each bound: so seldom it is above 0 where membership is a coin that no score knows.
ERROR = 1e-5
_CANARIES = 2_000
_SURE = 3.0
_KEPT = 1.2  # how far retained records score above others, in standard deviations


def array_checks(seed: int) -> list[Check]:
    """The checks; `seed` decides coins, scores and halves."""
    return [
        Check("ε of coins that no score knows is 0", 2 * ERROR, lambda: _coins(seed)),
        Check("ε of coins that every score knows is not", 0.0, lambda: _known_coins(seed)),
        Check("unlearning: forgotten and remembered", 0.0, lambda: _unlearning(seed)),
    ]


def _coins(seed: int) -> str:
    rng = np.random.default_rng([seed, 0xC01])
    scores, coins = rng.normal(size=_CANARIES), rng.random(_CANARIES) < 0.5
    found = _bounds(scores, coins, seed)
    if any(bound > 0 for bound in found.values()):
        raise Fault(f"{_told(found)}, where no ε above 0 is needed: bounds are too large.")
    return _told(found)


def _known_coins(seed: int) -> str:
    rng = np.random.default_rng([seed, 0xC02])
    coins = rng.random(_CANARIES) < 0.5
    found = _bounds(coins + 1e-3 * rng.normal(size=_CANARIES), coins, seed)
    if min(found.values()) < _SURE:
        raise Fault(f"{_told(found)}, where every coin is known and at least {_SURE:g} was expected: bounds are lost.")
    return _told(found)


def _bounds(scores: NDArray[np.float64], coins: NDArray[np.bool_], seed: int) -> dict[str, float]:
    methods = "one_run", "split"
    return {name: float(epsilon_lower_bound(scores, coins, 0.0, 1 - ERROR, name, seed)) for name in methods}


def _told(bounds: dict[str, float]) -> str:
    return ", ".join(f"{name} ε ≥ {bound:.2f}" for name, bound in bounds.items())


def _unlearning(seed: int) -> str:
    """Scores are evenly spaced quantiles of a normal law, so that nothing is drawn but halves."""
    retain, test = _quantiles(2_500) + _KEPT, _quantiles(2_500)
    forgotten = unlearning_report(retain, _quantiles(1_500), test, seed=seed)
    remembered = unlearning_report(retain, _quantiles(1_500) + _KEPT, test, seed=seed)
    found = f"«{forgotten.verdict}» at AUC {forgotten.forget_auc:.3f}, «{remembered.verdict}» at {remembered.forget_auc:.3f}"
    if (forgotten.verdict, remembered.verdict) != ("forgotten", "residual"):
        raise Fault(f"{found}, where «forgotten» and «residual» were planted.")
    return found


def _quantiles(count: int) -> NDArray[np.float64]:
    from scipy import special

    return special.ndtri((np.arange(count) + 0.5) / count)

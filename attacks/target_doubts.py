"""What stands against training shadow models of a target, and what makes them unlike it."""

from __future__ import annotations

from typing import Any

import numpy as np

from .fresh_model import not_as_made
from .model_checks import check_model


def refuse_untrainable(model: Any) -> None:
    """Refuses a model that is not compiled, or distributed."""
    check_model(model)
    if not getattr(model, "compiled", False):
        raise ValueError("the model is not compiled; shadow models are trained as it is, so compile it first.")
    if model.distribute_strategy is not None and model.distribute_strategy.num_replicas_in_sync > 1:
        raise ValueError(
            "shadow models are trained on one device, and the model is distributed over several replicas; train it without them, "
            "load the saved model outside of the strategy's scope, and call audit(..., shadow_models=...)."
        )


def start_warning(model: Any, first: Any, second: Any) -> list[str]:
    """A sentence if the target does not start as its two fresh copies do."""
    differing = not_as_made(model, first, second)
    if not differing:
        return []
    return [
        f"the target does not start as a fresh model would ({', '.join(differing[:3])}): it was trained before, has pretrained "
        "or frozen weights, or adapted layers. Shadow models start without them, so the attacks compare it with models that have "
        "learned less; audit the first fit, or give ShadowModels(model_fn=...), which may set what belongs to the architecture."
    ]


def refuse_equal_models(first: Any, second: Any) -> None:
    """Refuses two shadow models that start from the same weights."""
    pairs = list(zip(first.trainable_variables, second.trainable_variables, strict=True))
    if pairs and all(np.array_equal(np.asarray(a), np.asarray(b)) for a, b in pairs):
        raise ValueError(
            "two shadow models start from the same weights; let model_fn (or the initializers) draw them afresh each time, "
            "without setting a global seed."
        )

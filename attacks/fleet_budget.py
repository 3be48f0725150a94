"""How many shadow models a budget pays for."""

from __future__ import annotations

from .engine_choice import EngineChoice

# Below four shadow models LiRA cannot tell a spread, and RMIA cannot tune; no budget lowers their number further.
_FEWEST = 4


def affordable_models(
    wanted: int, budget: float, choice: EngineChoice, target_steps: int, shadow_steps: int
) -> tuple[int, list[str]]:
    """How many shadow models a budget allows, an even number, at least four (or as many as are wanted).

    Args:
      wanted: how many are asked for.
      budget: how many times the target's own training they may cost.
      choice: the measured engine.
      target_steps, shadow_steps: training steps an epoch of the target and of one shadow model.
    Returns:
      Their number, and a sentence if it is not the one wanted.
    """
    assert choice.seconds_per_step is not None
    assert choice.fit_seconds_per_step is not None
    # A clock that stands still, or is set back, buys no infinity of models.
    seconds = max(choice.seconds_per_step, 1e-9)
    allowed = budget * target_steps * choice.fit_seconds_per_step / (shadow_steps * seconds)
    given = min(wanted, max(_FEWEST, 2 * int(allowed // 2)))
    if allowed < given:
        return given, [
            f"even {given} shadow models cost more than the budget of {budget:g} times the target's training (room for "
            f"{allowed:.2g}); they are trained all the same, of {wanted} asked for."
        ]
    if given == wanted:
        return given, []
    return given, [
        f"{given} shadow models are trained instead of {wanted}, to stay within {budget:g} times the target's training time."
    ]

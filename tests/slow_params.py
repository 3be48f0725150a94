"""Of many cases of one test, a few that represent them are fast; the others are marked slow."""

import pytest


def slow_unless(fast, cases):
    """The cases, for `pytest.mark.parametrize`: those in `fast` as they are, all others marked slow."""
    assert set(fast) <= set(cases), f"no such case: {set(fast) - set(cases)}"
    return [pytest.param(case, marks=() if case in fast else pytest.mark.slow) for case in cases]

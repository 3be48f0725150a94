"""Of many cases of one test, a few that represent them run by default (or in CI); the others are marked slow (or study)."""

import pytest


def slow_unless(fast, cases):
    """The cases, for `pytest.mark.parametrize`: those in `fast` as they are, all others marked slow."""
    return _marked_unless(fast, cases, pytest.mark.slow)


def study_unless(kept, cases):
    """The cases of a slow test: those in `kept` run in CI, all others in `make study` alone."""
    return _marked_unless(kept, cases, pytest.mark.study)


def _marked_unless(kept, cases, mark):
    assert set(kept) <= set(cases), f"no such case: {set(kept) - set(cases)}"
    return [pytest.param(case, marks=() if case in kept else mark) for case in cases]

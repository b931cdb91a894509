"""Marks tests that a whole run leaves out unless it is asked for them by --runslow, as CI asks."""

import pytest


def slow_after(count: int, values) -> list:
    """Gives the values of a parametrize; those after the first `count` make slow tests."""
    values = list(values)
    return [*values[:count], *(_slow(value) for value in values[count:])]


def _slow(value):
    return pytest.param(*(value if type(value) is tuple else [value]), marks=pytest.mark.slow)

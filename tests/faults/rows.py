"""Faults by name: a name is the id of a test and its row in docs/reliability.md (table.py)."""

import os

import pytest

# SCONS_BPF_FAULTS="rounds,seed" draws more faults than the suite does, or others.
ROUNDS, SEED = map(int, os.environ.get("SCONS_BPF_FAULTS", "0,1").split(","))


def rounds(count):
    """Returns how many faults one of `count` rows draws, that all together draw ROUNDS; one at least."""
    return max(1, -(-ROUNDS // count))


def rows(faults):
    """Parametrizes a test, whose argument is `fault`, by faults by name, or by names alone.

    The first line of the test's docstring says what happens then: right bytes, or one line.
    """
    values = list(faults.values()) if isinstance(faults, dict) else list(faults)
    return pytest.mark.parametrize("fault", values, ids=list(faults))


def only_line(error) -> str:
    """Returns an error's text, which is one line that a terminal may get; what follows it is indented."""
    first, *details = str(error).splitlines()
    assert first.isprintable() and all(line.startswith("  ") for line in details)
    return first

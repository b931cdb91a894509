"""Killed builds."""

import random
import signal

import pytest
from inject import IN_MEMORY, STAGES
from rows import SEED, rounds, rows

KILLED = [*(stage for stage in STAGES if stage != "cache"), *IN_MEMORY]  # test_cache_faults.py has that
LATEST = 0.003  # seconds from a moment that was drawn to the kill: so it strikes between moments, too


def strikes(staged, do, stage):
    """Yields the finished builds that were struck, each at a moment of the stage."""
    draw = random.Random(f"{SEED} {do} {stage}")
    for _ in range(rounds(len(KILLED))):
        staged.prepare(stage)
        at = draw.randint(1, max(1, int(0.8 * staged.moments[stage])))  # other threads' moments vary
        order = {"do": do, "stage": stage, "at": at, "later": draw.uniform(0, LATEST)}
        yield order, staged.build(order)


@pytest.mark.slow
@rows([f"kill -9 in {stage}" for stage in KILLED])
def test_a_killed_build(staged, fault):
    """What lies in its place is whole; the next plain build gives the right bytes and removes what else is left."""
    for order, done in strikes(staged, "kill", fault.removeprefix("kill -9 in ")):
        missed = done.returncode == 0  # it may end within LATEST
        assert missed or done.returncode == -signal.SIGKILL, (order, done.stdout + done.stderr)
        staged.require_whole()
        staged.require_right()
    if fault.endswith(("link", "scons")):  # what else they might leave costs a build, no more
        staged.require_null()


@rows([f"kill -9 in {stage}, and the edit taken back" for stage in ("link", "package")])
def test_a_killed_build_of_other_sources(staged, fault):
    """The next plain build gives what the sources are, nothing that the killed one made; the one after that is null."""
    for _, done in strikes(staged, "kill", fault.split()[3].removesuffix(",")):
        assert done.returncode == -signal.SIGKILL, done.stdout + done.stderr
        staged.edit()
        staged.require_right()
        staged.require_null()


@rows([f"kill -9 of what {stage} has started" for stage in ("compile", "link")])
def test_a_killed_program(staged, fault):
    """The build ends with one line or the right bytes, and the next plain build gives the right bytes."""
    for order, done in strikes(staged, "kill_children", fault.split()[4]):
        said = done.stdout + done.stderr
        assert "Traceback" not in said and (done.returncode == 0 or said.count("scons: ***") == 1), (order, said)
        staged.require_whole()
        staged.require_right()

"""A machine that runs out of something else than room on its disk."""

import errno
import os
import random

import pytest
from rows import SEED, rounds, rows

STAGES = ("fetch", "index", "compile", "sandbox", "link", "prove", "skeleton", "package", "papers", "ledger", "scons")
CALLS = {"EIO": "a disk that fails", "EAGAIN": "no process left", "ENOMEM": "no memory left"}
SHORT = {
    **{f"no open file left, from {stage} on": ("no_descriptor", stage, "EMFILE") for stage in STAGES},
    **{f"{what}, in {stage}": ("refuse", stage, code) for code, what in CALLS.items() for stage in STAGES[:-1]},
}


@pytest.mark.slow
@rows(SHORT)
def test_a_shortage(staged, fault):
    """One line names it and what to do, or the bytes are right; what lies in its place is whole, and the next build works."""
    do, stage, code = fault
    draw = random.Random(f"{SEED} {do} {stage} {code}")
    for _ in range(rounds(len(SHORT))):
        staged.prepare(stage)
        at = draw.randint(1, max(1, int(0.8 * staged.moments[stage])))
        order = {"do": do, "stage": stage, "at": at, "code": code}
        require_told(staged.build(order), order)
        staged.require_whole()
        staged.edit()  # a build with work in each folder removes what could not be removed
        staged.require_right()


def require_told(done, order):
    """Fails unless all that was said of it, if anything, are lines with the fix."""
    lines = [line for line in done.stderr.splitlines() if line and not line.startswith("ebpf: fetched ")]
    assert done.returncode in (0, 2) and (lines or not done.returncode), (order, done.stdout, done.stderr)
    for line in lines:
        # A compiler's own words, and those of a fetch that goes on with another source, are told as they are.
        assert line.startswith(("scons: *** ", "ebpf: ")), (order, done.stderr)
        assert os.strerror(getattr(errno, order["code"])) in line and FIXES[order["code"]] in line, (order, done.stderr)


FIXES = {"EMFILE": "ulimit -n", "EIO": "dmesg says", "EAGAIN": "ulimit -u", "ENOMEM": "more memory"}


@rows({f"no thread left, with {count} of 4 started": count for count in (0, 1)})
def test_no_thread_left(staged, fault):
    """The build goes on with the threads that there are, says so, and gives the right bytes."""
    staged.require_right()  # so that nothing is left to fetch
    staged.edit()
    done = staged.build({"threads": fault}, "-j4")
    assert done.returncode == 0 and "no more threads can be started" in done.stderr, done.stdout + done.stderr
    staged.require_right()


@rows(["no thread left for a fetch"])
def test_no_thread_left_for_a_fetch(staged, fault):
    """One line says so, and the next build gives the right bytes."""
    staged.forget()
    done = staged.build({"threads": 1}, "-j4")
    said = [line for line in done.stderr.splitlines() if line.startswith("scons: *** ")]
    assert done.returncode == 2 and "Traceback" not in done.stderr, done.stderr
    assert said and all(FIXES["EAGAIN"] in line for line in said), done.stderr
    staged.require_right()

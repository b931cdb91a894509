"""Reads the figures with which the kernel ends a verifier's log (print_verification_stats in kernel/bpf/verifier.c)."""

from __future__ import annotations

import re
from typing import NamedTuple

BPF_LOG_LEVEL1, BPF_LOG_LEVEL2, BPF_LOG_STATS = 1, 2, 4  # include/linux/bpf_verifier.h
PROCESSED = re.compile(r"^processed (\d+) insns", re.MULTILINE)
STACK_DEPTH = re.compile(r"^(?:stack depth|processed .*, stack depth) ([\d+]+)", re.MULTILINE)
DURATION = re.compile(r"^verification time (\d+) usec", re.MULTILINE)
STATES = "max_states_per_insn", "total_states", "peak_states", "mark_read"


class VerifierFigures(NamedTuple):
    """What a program took of the verifier: instructions walked through, states, bytes of stack, microseconds.

    `insns` counts an instruction each time that a path comes to it; the kernel allows a million. `total_states` were
    stored, `peak_states` at one time, `max_states_per_insn` at one instruction; `mark_read` is the longest chain of
    states through which a read was noted. `stack_depth` is the sum over a program and its functions. 0 for what this
    kernel doesn't print: states before Linux 5.2, the duration before 5.2.
    """

    insns: int
    total_states: int = 0
    peak_states: int = 0
    max_states_per_insn: int = 0
    mark_read: int = 0
    stack_depth: int = 0
    duration_us: int = 0


def read_figures(log: str) -> VerifierFigures | None:
    """Reads the figures at a log's end; returns None for a log without any."""
    processed = list(PROCESSED.finditer(log))
    if not processed:
        return None
    line = log[processed[-1].start() :].partition("\n")[0]
    states = {name: int(number) for name, number in re.findall(r"(\w+) (\d+)", line) if name in STATES}
    depth, duration = STACK_DEPTH.findall(log), DURATION.findall(log)
    return VerifierFigures(
        insns=int(processed[-1][1]),
        stack_depth=sum(int(part) for part in depth[-1].split("+") if part) if depth else 0,
        duration_us=int(duration[-1]) if duration else 0,
        **states,
    )

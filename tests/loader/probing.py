"""What several files of tests do with the probe."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import bpfloader

LOADER = Path(bpfloader.__file__).resolve().parents[1]


def hits_of(probe) -> int:
    """How many system calls of this process the program counts while ten are made."""
    before = probe.bss.hits
    for _ in range(10):
        os.getppid()
    return probe.bss.hits - before


def run_python(folder: Path, code: str, *wrapper: str) -> subprocess.CompletedProcess:
    setup = f"import sys; sys.path[:0] = [{str(folder)!r}, {str(LOADER)!r}]\n"
    command = [*wrapper, sys.executable, "-S", "-c", setup + textwrap.dedent(code)]
    return subprocess.run(command, capture_output=True, text=True)
